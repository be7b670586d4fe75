//! The operators of an audio front end, from samples to features: those of TensorFlow Lite Micro's signal library.
//!
//! Shapes are the file's; each `prepare` checks what its kernel relies on.

mod butterfly;
mod fft;
mod filter_bank;
mod framing;
mod history;
mod noise;
mod overlap_add;
mod real_fft;
mod sample;
mod spectrum;

use crate::{Element, InvokeError, Io, Reason, Refusal};

/// An option that must be a whole number of things, `least` at least.
fn count(what: &'static str, found: i32, least: usize) -> Result<usize, Refusal> {
    let count = usize::try_from(found).ok().filter(|&count| count >= least);
    count.ok_or(Refusal::options(Reason::Option { what, found }))
}

/// An option that must be a shift of a number of `bits`.
fn shift(what: &'static str, found: i32, bits: u32) -> Result<u32, Refusal> {
    let shift = u32::try_from(found).ok().filter(|&shift| shift < bits);
    shift.ok_or(Refusal::options(Reason::Option { what, found }))
}

/// The product of sizes, one of which comes from an option.
fn product(sizes: &[usize]) -> Result<usize, Refusal> {
    let mut sizes = sizes.iter();
    let product = sizes.try_fold(1usize, |product, &size| product.checked_mul(size));
    product.ok_or(Refusal::options(Reason::TooLarge))
}

/// The node's state, of `len` elements.
fn state<'a, T: Element>(io: &mut Io<'a>, len: usize) -> Result<&'a mut [T], InvokeError> {
    match len {
        0 => Ok(&mut []),
        _ => io.node_state(),
    }
}

/// Copies as many elements as both have.
fn copy<T: Copy>(to: &mut [T], from: &[T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
