//! Quantised element types, so that a kernel is written once for INT8 and INT16.

use larun_ops::ElementType;
use larun_quant::IntegerRange;

use crate::Element;

/// The types that functions of one operand compute with.
pub(crate) const QUANTIZED_OR_FLOAT32: &[ElementType] =
    &[ElementType::Int8, ElementType::Int16, ElementType::Float32];

/// An integer that stands for a real number by a scale and a zero point.
pub(crate) trait Quantized: Element + Ord + Into<i32> {
    /// All values of the type.
    const RANGE: IntegerRange;

    /// A value that is within the range; others wrap.
    fn narrow(value: i32) -> Self;

    /// The value of the range that is nearest.
    #[inline]
    fn saturate(value: i32) -> Self {
        Self::narrow(value.max(Self::RANGE.min).min(Self::RANGE.max))
    }
}

impl Quantized for i8 {
    const RANGE: IntegerRange = IntegerRange::INT8;

    #[inline]
    fn narrow(value: i32) -> Self {
        value as Self
    }
}

impl Quantized for i16 {
    const RANGE: IntegerRange = IntegerRange::INT16;

    #[inline]
    fn narrow(value: i32) -> Self {
        value as Self
    }
}

/// The values of an integer type, those of INT32 for any that is not an activation's.
pub(crate) fn range_of(element_type: ElementType) -> IntegerRange {
    match element_type {
        ElementType::Int8 => IntegerRange::INT8,
        ElementType::UInt8 => IntegerRange::UINT8,
        ElementType::Int16 => IntegerRange::INT16,
        _ => IntegerRange::INT32,
    }
}
