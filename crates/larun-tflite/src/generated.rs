//! Code made from `schema/tflite.fbs` by `cargo xtask codegen`: never edited, always checked in.

#[rustfmt::skip]
pub(crate) mod layouts;

#[rustfmt::skip]
#[allow(
    unsafe_code,
    reason = "flatc's code reads through unchecked offsets once its verifier has accepted them"
)]
#[allow(warnings, clippy::all, clippy::undocumented_unsafe_blocks, reason = "not our code")]
pub(crate) mod schema;
