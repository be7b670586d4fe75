//! The same operations on `ndarray` arrays and views of any shape and layout.

use alloc::vec::Vec;

use ndarray::{Array, ArrayRef, Axis, Dimension};

use crate::affine::Affine;
use crate::axis::ChannelAxis;
use crate::error::QuantError;
use crate::observer::{MinMax, Observer, observe_channels};
use crate::weights::QuantizedWeights;

/// Quantises `reals` to INT8.
///
/// # Errors
/// [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity, by its index in logical order.
pub fn quantize_i8<D: Dimension>(
    reals: &ArrayRef<f32, D>,
    affine: Affine,
) -> Result<Array<i8, D>, QuantError> {
    if let Some((index, &value)) = reals.iter().enumerate().find(|(_, real)| !real.is_finite()) {
        return Err(QuantError::NotFinite { index, value });
    }
    Ok(reals.mapv(|real| affine.quantize_i8(real)))
}

/// Dequantises INT8 values.
#[must_use]
pub fn dequantize_i8<D: Dimension>(quantized: &ArrayRef<i8, D>, affine: Affine) -> Array<f32, D> {
    quantized.mapv(|quantized| affine.dequantize(quantized))
}

/// Shows the values of one sample to `observer`, in logical order.
///
/// # Errors
/// As [`Observer::observe`].
pub fn observe<D: Dimension>(
    observer: &mut impl Observer,
    values: &ArrayRef<f32, D>,
) -> Result<(), QuantError> {
    with_slice(values, |values| observer.observe(values))
}

/// The extremes of every channel along `axis`.
///
/// # Errors
/// [`BadAxis`](QuantError::BadAxis), and [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity, by its
/// index in logical order.
pub fn min_max_per_channel<D: Dimension>(
    values: &ArrayRef<f32, D>,
    axis: Axis,
) -> Result<Vec<MinMax>, QuantError> {
    let axis = ChannelAxis::new(values.shape(), axis.index())?;
    let mut observers = alloc::vec![MinMax::new(); axis.channels()];
    with_slice(values, |values| {
        observe_channels(values, axis, &mut observers)
    })?;
    Ok(observers)
}

/// Symmetric INT8 weights, one scale for each index along `axis`, and those scales.
///
/// # Errors
/// [`BadAxis`](QuantError::BadAxis), and [`NotFinite`](QuantError::NotFinite) for the first NaN or infinity, by its
/// index in logical order.
pub fn quantize_weights<D: Dimension>(
    weights: &ArrayRef<f32, D>,
    axis: Axis,
) -> Result<(Array<i8, D>, Vec<f32>), QuantError> {
    let channels = ChannelAxis::new(weights.shape(), axis.index())?;
    let QuantizedWeights { values, scales } = with_slice(weights, |weights| {
        QuantizedWeights::per_channel(weights, channels)
    })?;
    let mut values = values.into_iter();
    // One value for each place of the shape, in the same logical order.
    let quantized = Array::from_shape_simple_fn(weights.raw_dim(), || values.next().unwrap_or(0));
    Ok((quantized, scales))
}

/// Passes the values in logical order, copied only if they do not lie so.
fn with_slice<D: Dimension, R>(view: &ArrayRef<f32, D>, function: impl FnOnce(&[f32]) -> R) -> R {
    match view.as_slice() {
        Some(values) => function(values),
        None => function(&view.iter().copied().collect::<Vec<_>>()),
    }
}
