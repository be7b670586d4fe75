//! Which element types are linked: a program that computes with INT8 alone leaves the others out.
//!
//! Every kernel asks for its operands by type. What it does with a type that is left out follows such a request that
//! fails at once, so that the compiler drops it; and no node with such a type is prepared.

use core::any::TypeId;

use larun_ops::ElementType;

/// INT4: weights, and elements that are moved.
pub(crate) const INT4: bool = cfg!(feature = "int4");
/// INT16, the audio front end's type as well.
pub(crate) const INT16: bool = cfg!(feature = "int16");
/// INT32 in operators of two inputs.
pub(crate) const INT32: bool = cfg!(feature = "int32");
/// Real numbers.
pub(crate) const FLOAT32: bool = cfg!(feature = "float32");
/// Layers with integer weights that are not INT8 throughout.
pub(crate) const MIXED: bool = INT4 || INT16 || FLOAT32;

/// The feature that would link an element type that is left out.
pub(crate) const fn left_out(element_type: ElementType) -> Option<&'static str> {
    match element_type {
        ElementType::Int4 if !INT4 => Some("int4"),
        ElementType::Int16 if !INT16 => Some("int16"),
        ElementType::Float32 if !FLOAT32 => Some("float32"),
        _ => None,
    }
}

/// Whether operands of elements `T` are linked. A constant to the compiler.
#[inline(always)]
pub(crate) fn is_linked<T: 'static>() -> bool {
    let found = TypeId::of::<T>();
    (INT16 || found != TypeId::of::<i16>()) && (FLOAT32 || found != TypeId::of::<f32>())
}
