//! Tensors, their quantisation and their sparsity.

use larun_graph::{
    BufferId, DimensionFormat, DimensionMetadata, Quantization, QuantizationDetails, Sparsity,
    Tensor, VariantType,
};

use super::{Place, ReadErrorKind, Reader, Result, name_or_unknown};
use crate::raw::{Layout, RawError, RawTable};
use crate::view::fields::{quantization_parameters, sparsity_parameters, tensor};
use crate::view::{self, IndexVector, Table};

/// Where a tensor is, by its name if that can be read.
pub(super) fn place(view: &view::Subgraph<'_>, subgraph: usize, index: usize) -> Place {
    Place::Tensor {
        subgraph,
        index,
        name: name_or_unknown(view.tensor(index).and_then(|tensor| tensor.name())),
    }
}

impl<'a> Reader<'a> {
    pub(super) fn tensor(&self, subgraph: &view::Subgraph<'a>, index: usize) -> Result<Tensor> {
        let view = subgraph.tensor(index)?;
        self.enter(view.table(), tensor::SHAPE)?;
        let signature = view.shape_signature()?.unwrap_or_default();
        let quantization = view.quantization()?.map(|view| self.quantization(&view));
        let sparsity = view.sparsity()?.map(|view| self.sparsity(&view));
        let variants = self.several(view.variant_count()?, |i| {
            let variant = view.variant(i)?;
            Ok(VariantType {
                shape: variant.shape,
                element_type: variant.element_type,
                has_rank: variant.has_rank,
            })
        });
        Ok(Tensor {
            name: self.text(view.name()?)?.unwrap_or_default(),
            shape: view.shape()?,
            shape_signature: self.list(signature)?,
            has_rank: view.has_rank()?,
            element_type: view.element_type()?,
            buffer: BufferId(view.buffer()?),
            quantization: quantization.transpose()?,
            is_variable: view.is_variable()?,
            sparsity: sparsity.transpose()?,
            external_buffer: view.external_buffer()?,
            variants: variants?,
        })
    }

    fn quantization(&self, view: &view::Quantization<'a>) -> Result<Quantization> {
        self.enter(view.table(), quantization_parameters::SCALE)?;
        let details = view.details_table()?;
        let details = details.map(|(number, table)| self.details(view, number, &table));
        Ok(Quantization {
            scale: self.list(view.scales()?)?,
            zero_point: self.list(view.zero_points()?)?,
            min: self.list(view.min()?)?,
            max: self.list(view.max()?)?,
            axis: view.axis()?,
            details: details.transpose()?,
        })
    }

    fn details(
        &self,
        view: &view::Quantization<'a>,
        number: u8,
        table: &Table<'a>,
    ) -> Result<QuantizationDetails> {
        let newer = ReadErrorKind::NewerTable {
            union: "QuantizationDetails",
            number,
        };
        let layout = Layout::of_details(number).ok_or(newer)?;
        let raw = self.raw(table, layout)?;
        Ok(match view.details()? {
            Some(view::QuantizationDetails::Custom(bytes)) => {
                QuantizationDetails::Custom(self.bytes(bytes)?)
            }
            Some(view::QuantizationDetails::Blockwise {
                scales,
                zero_points,
                block_size,
            }) => QuantizationDetails::Blockwise {
                scales,
                zero_points,
                block_size,
            },
            _ => QuantizationDetails::Opaque {
                kind: number,
                table: raw.to_bytes(),
            },
        })
    }

    /// A table that is carried over as it is.
    pub(super) fn raw(&self, table: &Table<'a>, layout: &Layout) -> Result<RawTable> {
        let raw = RawTable::read(table, layout).map_err(|error| match error {
            RawError::Damaged(error) => ReadErrorKind::View(error),
            RawError::Newer(id) => ReadErrorKind::NewerField {
                table: layout.name,
                id,
            },
        })?;
        self.budget.take(raw.size())?;
        Ok(raw)
    }

    fn sparsity(&self, view: &view::Sparsity<'a>) -> Result<Sparsity> {
        self.enter(view.table(), sparsity_parameters::DIM_METADATA)?;
        let dimension = |i| self.dimension(&view.dimension(i)?);
        Ok(Sparsity {
            traversal_order: self.list(view.traversal_order()?)?,
            block_map: self.list(view.block_map()?)?,
            dimensions: self.several(view.dimension_count(), dimension)?,
        })
    }

    fn dimension(&self, view: &view::DimensionMetadata<'a>) -> Result<DimensionMetadata> {
        Ok(DimensionMetadata {
            format: match view.format {
                view::DimensionFormat::Dense => DimensionFormat::Dense,
                view::DimensionFormat::SparseCsr => DimensionFormat::SparseCsr,
            },
            dense_size: view.dense_size,
            segments: self.indices(view.segments)?,
            indices: self.indices(view.indices)?,
        })
    }

    /// Indices and the number of the table that holds them.
    fn indices(&self, indices: IndexVector<'a>) -> Result<Option<(u8, Vec<i32>)>> {
        Ok(match indices {
            IndexVector::None => None,
            IndexVector::Int32(list) => Some((1, self.list(list)?)),
            IndexVector::UInt16(list) => {
                let values = self.list(list)?;
                Some((2, values.into_iter().map(i32::from).collect()))
            }
            IndexVector::UInt8(bytes) => {
                self.budget.take(bytes.len())?;
                Some((3, bytes.iter().copied().map(i32::from).collect()))
            }
        })
    }
}
