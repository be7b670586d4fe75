//! How a constant leaves out its zeros: the TACO format, each dimension dense or compressed.

use super::error::{ViewError, ViewErrorKind};
use super::flatbuffer::{List, Table, Tables};
use crate::generated::fields::{
    dimension_metadata, int32_vector, sparsity_parameters as parameters, uint8_vector,
    uint16_vector,
};
use crate::view::Field;

/// The sparsity of a tensor.
#[derive(Clone, Copy)]
pub struct Sparsity<'a> {
    table: Table<'a>,
    dimensions: Tables<'a>,
}

impl<'a> Sparsity<'a> {
    pub(super) fn new(table: Table<'a>) -> Result<Self, ViewError> {
        let dimensions = table.tables(parameters::DIM_METADATA)?;
        Ok(Self { table, dimensions })
    }

    /// The order in which dimensions are stored, those of a block last.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn traversal_order(&self) -> Result<List<'a, i32>, ViewError> {
        self.table.list_or_empty(parameters::TRAVERSAL_ORDER)
    }

    /// The dimension that each dimension of a block splits; empty without blocks.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn block_map(&self) -> Result<List<'a, i32>, ViewError> {
        self.table.list_or_empty(parameters::BLOCK_MAP)
    }

    /// How many dimensions are described: as many as [`traversal_order`](Self::traversal_order)
    /// has.
    #[inline]
    pub const fn dimension_count(&self) -> usize {
        self.dimensions.len()
    }

    /// The description of entry `index` of the traversal order.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn dimension(&self, index: usize) -> Result<DimensionMetadata<'a>, ViewError> {
        use dimension_metadata as dimension;
        let table = self.dimensions.get(index)?;
        match table.scalar_or(dimension::FORMAT, 0i8)? {
            0 => Ok(DimensionMetadata::Dense {
                size: table.scalar_or(dimension::DENSE_SIZE, 0)?,
            }),
            1 => Ok(DimensionMetadata::SparseCsr {
                segments: indices(&table, dimension::ARRAY_SEGMENTS)?,
                indices: indices(&table, dimension::ARRAY_INDICES)?,
            }),
            other => Err(dimension::FORMAT.error(ViewErrorKind::Unknown(other.into()))),
        }
    }
}

/// How one dimension is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DimensionMetadata<'a> {
    /// Every index.
    Dense {
        /// How many there are.
        size: i32,
    },
    /// The indices that hold anything.
    SparseCsr {
        /// Where the indices of each outer entry begin, and where the last ends.
        segments: IndexVector<'a>,
        /// The indices.
        indices: IndexVector<'a>,
    },
}

/// Indices in the narrowest type that holds them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IndexVector<'a> {
    /// The file has none.
    None,
    /// 32-bit indices.
    Int32(List<'a, i32>),
    /// 16-bit indices.
    UInt16(List<'a, u16>),
    /// 8-bit indices.
    UInt8(&'a [u8]),
}

fn indices<'a>(table: &Table<'a>, field: Field) -> Result<IndexVector<'a>, ViewError> {
    let Some((number, vector)) = table.union(field)? else {
        return Ok(IndexVector::None);
    };
    Ok(match number {
        1 => IndexVector::Int32(vector.list_or_empty(int32_vector::VALUES)?),
        2 => IndexVector::UInt16(vector.list_or_empty(uint16_vector::VALUES)?),
        3 => IndexVector::UInt8(vector.bytes(uint8_vector::VALUES)?.unwrap_or_default()),
        _ => {
            let kind = ViewErrorKind::Unknown(number.into());
            return Err(field.union_type().error(kind));
        }
    })
}
