//! A value of a subgraph: its shape, its element type, and where its bytes are.

use crate::{ElementType, Shape};

use super::error::{Field, ViewError, ViewErrorKind};
use super::flatbuffer::{List, Table, position};
use super::{Quantization, Sparsity};
use crate::view::fields::{tensor, variant_sub_type};

/// A tensor.
#[derive(Clone, Copy)]
pub struct Tensor<'a> {
    table: Table<'a>,
}

impl<'a> Tensor<'a> {
    pub(super) const fn new(table: Table<'a>) -> Self {
        Self { table }
    }

    /// The table itself.
    pub const fn table(&self) -> &Table<'a> {
        &self.table
    }

    /// Its name, for messages.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn name(&self) -> Result<Option<&'a [u8]>, ViewError> {
        self.table.bytes(tensor::NAME)
    }

    /// Its shape, `[N, H, W, C]` for images; a dimension that is not known is 1.
    ///
    /// # Errors
    /// When the file is damaged there, or the shape has a dimension below zero or more than
    /// [`crate::MAX_RANK`] of them.
    pub fn shape(&self) -> Result<Shape, ViewError> {
        shape(&self.table, tensor::SHAPE)
    }

    /// Writes its [`shape`](Self::shape) to where it is wanted: a shape is large.
    ///
    /// # Errors
    /// As there.
    pub fn write_shape(&self, shape: &mut Shape) -> Result<(), ViewError> {
        write_shape(&self.table, tensor::SHAPE, shape)
    }

    /// Its shape with -1 for dimensions that are not known; `None` where the file does not say.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn shape_signature(&self) -> Result<Option<List<'a, i32>>, ViewError> {
        self.table.list(tensor::SHAPE_SIGNATURE)
    }

    /// Whether an empty shape is that of a scalar rather than an unknown one.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn has_rank(&self) -> Result<bool, ViewError> {
        self.table.flag(tensor::HAS_RANK)
    }

    /// What its elements are.
    ///
    /// # Errors
    /// When the file is damaged there or names a type that is not defined.
    pub fn element_type(&self) -> Result<ElementType, ViewError> {
        element_type(&self.table, tensor::TYPE)
    }

    /// The number of the buffer with its bytes; 0 for a value that is computed.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn buffer(&self) -> Result<u32, ViewError> {
        self.table.scalar_or(tensor::BUFFER, 0)
    }

    /// The id of the external buffer with its bytes; 0 for none.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn external_buffer(&self) -> Result<u32, ViewError> {
        self.table.scalar_or(tensor::EXTERNAL_BUFFER, 0)
    }

    /// Whether it keeps its value from one run to the next.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn is_variable(&self) -> Result<bool, ViewError> {
        self.table.flag(tensor::IS_VARIABLE)
    }

    /// How its numbers stand for real ones.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn quantization(&self) -> Result<Option<Quantization<'a>>, ViewError> {
        let table = self.table.table(tensor::QUANTIZATION)?;
        Ok(table.map(Quantization::new))
    }

    /// How its zeros are left out.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn sparsity(&self) -> Result<Option<Sparsity<'a>>, ViewError> {
        let table = self.table.table(tensor::SPARSITY)?;
        table.map(Sparsity::new).transpose()
    }

    /// How many types of element a VARIANT tensor names.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn variant_count(&self) -> Result<usize, ViewError> {
        Ok(self.table.tables(tensor::VARIANT_TENSORS)?.len())
    }

    /// Type `index` of the elements of a VARIANT tensor.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn variant(&self, index: usize) -> Result<VariantType, ViewError> {
        let table = self.table.tables(tensor::VARIANT_TENSORS)?.get(index)?;
        Ok(VariantType {
            shape: shape(&table, variant_sub_type::SHAPE)?,
            element_type: element_type(&table, variant_sub_type::TYPE)?,
            has_rank: table.flag(variant_sub_type::HAS_RANK)?,
        })
    }
}

/// What a VARIANT tensor holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VariantType {
    /// The shape of the value.
    pub shape: Shape,
    /// What its elements are.
    pub element_type: ElementType,
    /// Whether an empty shape is that of a scalar.
    pub has_rank: bool,
}

fn shape(table: &Table<'_>, field: Field) -> Result<Shape, ViewError> {
    let mut shape = Shape::SCALAR;
    write_shape(table, field, &mut shape)?;
    Ok(shape)
}

fn write_shape(table: &Table<'_>, field: Field, shape: &mut Shape) -> Result<(), ViewError> {
    let dims: List<'_, i32> = table.list_or_empty(field)?;
    *shape = Shape::SCALAR;
    for dim in dims.iter() {
        let dim = usize::try_from(dim).map_err(|_| field.error(ViewErrorKind::Negative(dim)))?;
        let too_long = || field.error(ViewErrorKind::TooLong(position(dims.len())));
        shape.push(dim).ok_or_else(too_long)?;
    }
    Ok(())
}

fn element_type(table: &Table<'_>, field: Field) -> Result<ElementType, ViewError> {
    let number = table.byte_or(field, 0)? as i8;
    let unknown = || field.error(ViewErrorKind::Unknown(number.into()));
    ElementType::from_code(number).ok_or_else(unknown)
}
