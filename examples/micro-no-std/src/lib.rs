//! A detector of dips in light curves for a firmware: no std, no allocator, one model and its operators.
#![no_std]

use larun_micro::{Arena, Interpreter, Registration, include_model, ops};

static MODEL: &[u8] = include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/model/transit.tflite"));

/// What is linked: what `larun inspect --ops` lists, and no other operator.
const KERNELS: &[Registration] = ops![Conv2D, MaxPool2D, Reshape, FullyConnected, Softmax];

/// The points of a light curve: percent above or below the mean.
pub const POINTS: usize = 32;

/// Why there is no answer.
#[derive(Debug)]
pub struct Unusable;

/// The score of "transit", from -128 to 127.
///
/// # Errors
/// Where the model cannot be loaded or run: with this model and arena, never.
pub fn transit(flux: &[i8; POINTS]) -> Result<i8, Unusable> {
    let mut arena = Arena::<1024>::new();
    let mut interpreter = Interpreter::new(MODEL, KERNELS, &mut arena).map_err(|_| Unusable)?;
    interpreter.set_input(0, flux).map_err(|_| Unusable)?;
    interpreter.invoke().map_err(|_| Unusable)?;
    match interpreter.output::<i8>(0) {
        Ok(&[_, transit]) => Ok(transit),
        _ => Err(Unusable),
    }
}
