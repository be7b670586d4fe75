//! Operators that move elements without changing them. They work on bytes, and so on every element type.

mod blocks;
pub(crate) mod bytes;
mod gather;
mod join;
mod pad;
mod reorder;
mod shapes;
mod slice;
mod split;
mod transfer;
mod update;
mod view;
