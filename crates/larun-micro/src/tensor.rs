//! What a caller may know of an input or output.

use larun_kernels::QuantizationView;
use larun_ops::{ElementType, Shape};

use crate::error::Name;

/// An input or output of a model.
#[derive(Clone, Copy, Debug)]
pub struct TensorInfo<'m> {
    /// Its number in the subgraph.
    pub index: usize,
    /// Its name in the file.
    pub name: Name<'m>,
    /// What its elements are.
    pub element_type: ElementType,
    /// Its shape.
    pub shape: Shape,
    /// How its integers stand for real numbers.
    pub quantization: QuantizationView<'m>,
}

impl TensorInfo<'_> {
    /// The scale and zero point of a tensor that is quantised as a whole: `real = scale * (q - zero_point)`.
    pub fn scale_and_zero_point(&self) -> Option<(f32, i32)> {
        if self.quantization.channels() != 1 {
            return None;
        }
        let zero_point = i32::try_from(self.quantization.zero_point(0)?).ok()?;
        Some((self.quantization.scale(0)?, zero_point))
    }
}
