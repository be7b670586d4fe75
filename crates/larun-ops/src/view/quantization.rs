//! How the numbers of a tensor stand for real ones: real = scale * (q - zero point).

use super::error::{ViewError, ViewErrorKind};
use super::flatbuffer::{List, Table};
use crate::view::fields::{
    blockwise_quantization as blockwise, custom_quantization,
    multi_axis_quantization as multi_axis, quantization_parameters as parameters,
};

/// The quantisation of a tensor.
#[derive(Clone, Copy)]
pub struct Quantization<'a> {
    table: Table<'a>,
}

impl<'a> Quantization<'a> {
    pub(super) const fn new(table: Table<'a>) -> Self {
        Self { table }
    }

    /// The table itself.
    pub const fn table(&self) -> &Table<'a> {
        &self.table
    }

    /// One scale, or one for each index along [`axis`](Self::axis); none in a tensor that carries
    /// only a range.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn scales(&self) -> Result<List<'a, f32>, ViewError> {
        self.table.list_or_empty(parameters::SCALE)
    }

    /// As many zero points as scales, or none.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn zero_points(&self) -> Result<List<'a, i64>, ViewError> {
        self.table.list_or_empty(parameters::ZERO_POINT)
    }

    /// The dimension along which scales run. Files with one scale may say anything here.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn axis(&self) -> Result<i32, ViewError> {
        self.table.scalar_or(parameters::QUANTIZED_DIMENSION, 0)
    }

    /// The smallest real values, where the file carries a range.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn min(&self) -> Result<List<'a, f32>, ViewError> {
        self.table.list_or_empty(parameters::MIN)
    }

    /// The largest real values, where the file carries a range.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn max(&self) -> Result<List<'a, f32>, ViewError> {
        self.table.list_or_empty(parameters::MAX)
    }

    /// The number and table of a scheme, whether or not it is known.
    pub fn details_table(&self) -> Result<Option<(u8, Table<'a>)>, ViewError> {
        self.table.union(parameters::DETAILS)
    }

    /// A scheme that stands in place of scales and zero points.
    ///
    /// # Errors
    /// When the file is damaged there or names a scheme that is not defined.
    pub fn details(&self) -> Result<Option<QuantizationDetails<'a>>, ViewError> {
        let Some((number, table)) = self.table.union(parameters::DETAILS)? else {
            return Ok(None);
        };
        Ok(Some(match number {
            1 => QuantizationDetails::Custom(
                table
                    .bytes(custom_quantization::CUSTOM)?
                    .unwrap_or_default(),
            ),
            2 => QuantizationDetails::Blockwise {
                scales: table.scalar_or(blockwise::SCALES, 0)?,
                zero_points: table.scalar_or(blockwise::ZERO_POINTS, 0)?,
                block_size: table.scalar_or(blockwise::BLOCK_SIZE, 0)?,
            },
            3 => QuantizationDetails::MultiAxis {
                scales: table.scalar_or(multi_axis::SCALES, 0)?,
                zero_points: table.scalar_or(multi_axis::ZERO_POINTS, 0)?,
                block_size: table.scalar_or(multi_axis::BLOCK_SIZE, 0)?,
                axes: table.list_or_empty(multi_axis::QUANTIZED_DIMENSIONS)?,
            },
            _ => {
                let kind = ViewErrorKind::Unknown(number.into());
                return Err(parameters::DETAILS.union_type().error(kind));
            }
        }))
    }
}

/// A scheme beyond one scale a tensor or a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QuantizationDetails<'a> {
    /// Known to the maker of the file.
    Custom(&'a [u8]),
    /// Scales for blocks of elements, in tensors of their own.
    Blockwise {
        /// The number of the tensor of scales.
        scales: i32,
        /// The number of the tensor of zero points, -1 where all are zero.
        zero_points: i32,
        /// How many elements share a scale.
        block_size: i32,
    },
    /// Scales along several dimensions, in tensors of their own.
    MultiAxis {
        /// The number of the tensor of scales.
        scales: i32,
        /// The number of the tensor of zero points, -1 where all are zero.
        zero_points: i32,
        /// How many elements share a scale, 0 for one scale an index.
        block_size: i32,
        /// The dimensions that scales run along.
        axes: List<'a, i32>,
    },
}
