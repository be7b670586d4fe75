//! Tests of the kernels as an interpreter runs them.

mod arithmetic;
mod custom;
mod elementwise;
mod flow;
mod functions;
mod golden;
mod io;
mod layout;
mod moves;
mod nonsense;
mod picks;
mod recurrent;
mod reference;
mod refusals;
mod resize;
mod signal;
mod support;
mod weighted;
mod windows;
