#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(not(feature = "std"), forbid(unsafe_code))]

#[cfg(all(test, feature = "std"))]
mod agreement;
#[cfg(all(test, feature = "std"))]
mod faithful;
#[cfg(feature = "std")]
mod generated;
#[cfg(feature = "std")]
mod offline_plan;
#[cfg(feature = "std")]
mod raw;
#[cfg(feature = "std")]
mod read;
#[cfg(feature = "std")]
mod write;

pub use larun_ops::view;
#[cfg(feature = "std")]
pub use offline_plan::{remove_offline_plan, set_offline_plan};
#[cfg(feature = "std")]
pub use read::{Place, ReadError, ReadErrorKind, read};
#[cfg(feature = "std")]
pub use write::{WriteError, write};

/// The name that the format gives to a builtin operator, such as `CONV_2D` for 3.
#[cfg(feature = "std")]
pub fn builtin_name(code: i32) -> Option<&'static str> {
    generated::schema::BuiltinOperator(code).variant_name()
}
