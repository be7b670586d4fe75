//! The integer types that quantised values are stored as.

use crate::affine::IntegerRange;
use crate::error::QuantError;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for i16 {}
    impl Sealed for i32 {}
}

/// `i8`, `i16` or `i32`: what quantised values are stored as. INT4 and INT2 values take an `i8` each until they are
/// [packed](crate::packing).
pub trait Integer: Copy + Default + Into<i32> + Send + Sync + sealed::Sealed {
    /// All values of the type.
    const RANGE: IntegerRange;

    /// The nearest value of the type.
    fn saturating_from(value: i32) -> Self;
}

impl Integer for i8 {
    const RANGE: IntegerRange = IntegerRange::INT8;

    #[inline]
    fn saturating_from(value: i32) -> Self {
        value.clamp(-128, 127) as Self
    }
}

impl Integer for i16 {
    const RANGE: IntegerRange = IntegerRange::INT16;

    #[inline]
    fn saturating_from(value: i32) -> Self {
        value.clamp(-32768, 32767) as Self
    }
}

impl Integer for i32 {
    const RANGE: IntegerRange = IntegerRange::INT32;

    #[inline]
    fn saturating_from(value: i32) -> Self {
        value
    }
}

/// Refuses a range that is empty or that the type does not hold.
pub(crate) fn range_fits<T: Integer>(integers: IntegerRange) -> Result<(), QuantError> {
    if integers.min > integers.max {
        return Err(QuantError::BadParameter {
            what: "the smallest integer of a range must not be above the largest",
            value: f64::from(integers.min),
        });
    }
    for (index, value) in [integers.min, integers.max].into_iter().enumerate() {
        if value < T::RANGE.min || value > T::RANGE.max {
            return Err(QuantError::OutOfRange {
                index,
                value,
                min: T::RANGE.min,
                max: T::RANGE.max,
            });
        }
    }
    Ok(())
}
