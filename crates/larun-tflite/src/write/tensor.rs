//! Tensors, their quantisation and their sparsity.

use flatbuffers::{UnionWIPOffset, WIPOffset};
use larun_graph::{
    DimensionFormat, DimensionMetadata, Quantization, QuantizationDetails, Sparsity, Tensor,
    VariantType,
};
use larun_ops::{ElementType, Shape};

use super::{WriteError, Writer};
use crate::generated::schema;
use crate::raw::{Layout, RawTable};

/// The number and the table of a union.
type Union = (u8, WIPOffset<UnionWIPOffset>);

impl Writer {
    pub(super) fn tensor(
        &mut self,
        subgraph: usize,
        index: usize,
        tensor: &Tensor,
    ) -> Result<WIPOffset<schema::Tensor<'static>>, WriteError> {
        let quantization = match &tensor.quantization {
            Some(quantization) => {
                Some(
                    self.quantization(quantization)
                        .map_err(|number| WriteError::Opaque {
                            place: format!(
                                "subgraph {subgraph}, tensor {index} (`{}`)",
                                tensor.name
                            ),
                            what: "quantisation details",
                            number,
                        })?,
                )
            }
            None => None,
        };
        let sparsity = tensor
            .sparsity
            .as_ref()
            .map(|sparsity| self.sparsity(sparsity));
        let variants = self.each(&tensor.variants, |writer, _, variant| {
            writer.variant(variant)
        })?;
        let name = (!tensor.name.is_empty()).then_some(tensor.name.as_str());
        let shape = dims(&tensor.shape)?;
        let args = schema::TensorArgs {
            shape: Some(self.fbb.create_vector(&shape)),
            type_: element_type(tensor.element_type),
            buffer: tensor.buffer.0,
            name: self.text(name),
            quantization,
            is_variable: tensor.is_variable,
            sparsity,
            shape_signature: self.vector(&tensor.shape_signature),
            has_rank: tensor.has_rank,
            variant_tensors: (!variants.is_empty()).then(|| self.fbb.create_vector(&variants)),
            external_buffer: tensor.external_buffer,
        };
        Ok(schema::Tensor::create(&mut self.fbb, &args))
    }

    fn variant(
        &mut self,
        variant: &VariantType,
    ) -> Result<WIPOffset<schema::VariantSubType<'static>>, WriteError> {
        let shape = dims(&variant.shape)?;
        let args = schema::VariantSubTypeArgs {
            shape: Some(self.fbb.create_vector(&shape)),
            type_: element_type(variant.element_type),
            has_rank: variant.has_rank,
        };
        Ok(schema::VariantSubType::create(&mut self.fbb, &args))
    }

    /// The table, or the number of a scheme whose bytes are not a table of the format.
    fn quantization(
        &mut self,
        quantization: &Quantization,
    ) -> Result<WIPOffset<schema::QuantizationParameters<'static>>, u8> {
        let details = quantization.details.as_ref();
        let details = details.map(|details| self.details(details)).transpose()?;
        let args = schema::QuantizationParametersArgs {
            min: self.vector(&quantization.min),
            max: self.vector(&quantization.max),
            scale: self.vector(&quantization.scale),
            zero_point: self.vector(&quantization.zero_point),
            details_type: schema::QuantizationDetails(details.map_or(0, |(number, _)| number)),
            details: details.map(|(_, table)| table),
            quantized_dimension: quantization.axis,
        };
        Ok(schema::QuantizationParameters::create(&mut self.fbb, &args))
    }

    fn details(&mut self, details: &QuantizationDetails) -> Result<Union, u8> {
        Ok(match details {
            QuantizationDetails::Custom(bytes) => {
                let custom = Some(self.aligned(bytes));
                let args = schema::CustomQuantizationArgs { custom };
                let table = schema::CustomQuantization::create(&mut self.fbb, &args);
                (1, table.as_union_value())
            }
            QuantizationDetails::Blockwise {
                scales,
                zero_points,
                block_size,
            } => {
                let args = schema::BlockwiseQuantizationArgs {
                    scales: *scales,
                    zero_points: *zero_points,
                    block_size: *block_size,
                };
                let table = schema::BlockwiseQuantization::create(&mut self.fbb, &args);
                (2, table.as_union_value())
            }
            QuantizationDetails::Opaque { kind, table } => {
                let layout = Layout::of_details(*kind).ok_or(*kind)?;
                let raw = RawTable::from_bytes(table, layout).map_err(|_| *kind)?;
                (*kind, raw.emit(&mut self.fbb))
            }
        })
    }

    fn sparsity(&mut self, sparsity: &Sparsity) -> WIPOffset<schema::SparsityParameters<'static>> {
        let args = schema::SparsityParametersArgs {
            traversal_order: self.vector(&sparsity.traversal_order),
            block_map: self.vector(&sparsity.block_map),
            dim_metadata: self.tables(&sparsity.dimensions, |writer, dimension| {
                writer.dimension(dimension)
            }),
        };
        schema::SparsityParameters::create(&mut self.fbb, &args)
    }

    fn dimension(
        &mut self,
        dimension: &DimensionMetadata,
    ) -> WIPOffset<schema::DimensionMetadata<'static>> {
        let segments = dimension.segments.as_ref();
        let segments = segments.map(|(number, values)| self.indices(*number, values));
        let indices = dimension.indices.as_ref();
        let indices = indices.map(|(number, values)| self.indices(*number, values));
        let number =
            |union: Option<Union>| schema::SparseIndexVector(union.map_or(0, |(number, _)| number));
        let args = schema::DimensionMetadataArgs {
            format: match dimension.format {
                DimensionFormat::Dense => schema::DimensionType::DENSE,
                DimensionFormat::SparseCsr => schema::DimensionType::SPARSE_CSR,
            },
            dense_size: dimension.dense_size,
            array_segments_type: number(segments),
            array_segments: segments.map(|(_, table)| table),
            array_indices_type: number(indices),
            array_indices: indices.map(|(_, table)| table),
        };
        schema::DimensionMetadata::create(&mut self.fbb, &args)
    }

    /// Indices in the type asked for, or in the widest where they do not fit it.
    fn indices(&mut self, number: u8, values: &[i32]) -> Union {
        let narrow8: Result<Vec<u8>, _> = values.iter().map(|v| u8::try_from(*v)).collect();
        let narrow16: Result<Vec<u16>, _> = values.iter().map(|v| u16::try_from(*v)).collect();
        match (number, narrow16, narrow8) {
            (3, _, Ok(values)) => {
                let values = Some(self.fbb.create_vector(&values));
                let args = schema::Uint8VectorArgs { values };
                let table = schema::Uint8Vector::create(&mut self.fbb, &args);
                (3, table.as_union_value())
            }
            (2, Ok(values), _) => {
                let values = Some(self.fbb.create_vector(&values));
                let args = schema::Uint16VectorArgs { values };
                let table = schema::Uint16Vector::create(&mut self.fbb, &args);
                (2, table.as_union_value())
            }
            _ => {
                let values = Some(self.fbb.create_vector(values));
                let args = schema::Int32VectorArgs { values };
                let table = schema::Int32Vector::create(&mut self.fbb, &args);
                (1, table.as_union_value())
            }
        }
    }
}

/// The dimensions as the format has them.
fn dims(shape: &Shape) -> Result<Vec<i32>, WriteError> {
    let dim = |dim: &usize| {
        i32::try_from(*dim).map_err(|_| WriteError::TooLarge {
            what: "dimension",
            number: *dim as u64,
            limit: i32::MAX as u64,
        })
    };
    shape.dims().iter().map(dim).collect()
}

const fn element_type(element_type: ElementType) -> schema::TensorType {
    schema::TensorType(element_type.code())
}
