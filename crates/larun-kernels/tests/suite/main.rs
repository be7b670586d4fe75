//! Tests of the kernels as an interpreter runs them.

mod elementwise;
mod golden;
mod io;
mod layout;
mod nonsense;
mod reference;
mod refusals;
mod support;
mod weighted;
mod windows;
