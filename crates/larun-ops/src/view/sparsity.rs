//! How a constant leaves out its zeros: the TACO format, each dimension dense or compressed.

use super::error::{ViewError, ViewErrorKind};
use super::flatbuffer::{List, Table, Tables};
use crate::view::Field;
use crate::view::fields::{
    dimension_metadata, int32_vector, sparsity_parameters as parameters, uint8_vector,
    uint16_vector,
};

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

    /// The table itself.
    pub const fn table(&self) -> &Table<'a> {
        &self.table
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
        let number = table.scalar_or(dimension::FORMAT, 0i8)?;
        let unknown = || dimension::FORMAT.error(ViewErrorKind::Unknown(number.into()));
        Ok(DimensionMetadata {
            format: DimensionFormat::from_code(number).ok_or_else(unknown)?,
            dense_size: table.scalar_or(dimension::DENSE_SIZE, 0)?,
            segments: indices(&table, dimension::ARRAY_SEGMENTS)?,
            indices: indices(&table, dimension::ARRAY_INDICES)?,
        })
    }
}

/// How one dimension is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DimensionMetadata<'a> {
    /// Dense or compressed.
    pub format: DimensionFormat,
    /// How many indices a dense dimension has.
    pub dense_size: i32,
    /// Where the indices of each outer entry of a compressed dimension begin, and where the last
    /// ends.
    pub segments: IndexVector<'a>,
    /// The indices of a compressed dimension.
    pub indices: IndexVector<'a>,
}

/// Which indices of a dimension are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DimensionFormat {
    /// Every one.
    Dense,
    /// Those that hold anything, as in the compressed rows of a sparse matrix.
    SparseCsr,
}

impl DimensionFormat {
    const fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Dense),
            1 => Some(Self::SparseCsr),
            _ => None,
        }
    }
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
