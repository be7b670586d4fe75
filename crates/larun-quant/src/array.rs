//! The same operations on `ndarray` arrays and views of any shape and layout.
//!
//! ```
//! use larun_quant::weights::ScaleMethod;
//! use larun_quant::{IntegerRange, array};
//! use ndarray::{Axis, array};
//!
//! // Keras' kernels have their outputs along the last axis; a transposed view needs no copy of them first.
//! let kernel = array![[1.0_f32, -0.5], [7.0, 0.3]];
//! let (integers, scales) =
//!     array::quantize_weights_by::<i8, _>(&kernel.t(), Axis(0), IntegerRange::INT4_NARROW, ScaleMethod::Max)?;
//! assert_eq!(integers, array![[1, 7], [-7, 4]]);
//! let back = array::dequantize_weights(&integers, Axis(0), &scales)?;
//! assert!(array::measures(&kernel.t(), &back)?.largest <= 0.5);
//! # Ok::<(), larun_quant::QuantError>(())
//! ```

use alloc::vec::Vec;

use ndarray::{Array, ArrayRef, Axis, Dimension, Ix2};

use crate::affine::{Affine, IntegerRange};
use crate::axis::ChannelAxis;
use crate::error::{QuantError, same_length};
use crate::fake_quant::{FakeQuant, RangeGradient};
use crate::integer::Integer;
use crate::measure::{self, Measures};
use crate::observer::{MinMax, Observer, observe_channels};
use crate::rounding::Gram;
use crate::weights::{self, QuantizedWeights, ScaleMethod};

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
    Ok((like(weights, values), scales))
}

/// Quantises `reals` to `integers`.
///
/// # Errors
/// [`OutOfRange`](QuantError::OutOfRange) if `T` does not hold the range, and [`NotFinite`](QuantError::NotFinite) for the first
/// NaN or infinity, by its index in logical order.
pub fn quantize<T: Integer, D: Dimension>(
    reals: &ArrayRef<f32, D>,
    affine: Affine,
    integers: IntegerRange,
) -> Result<Array<T, D>, QuantError> {
    let mut quantized = alloc::vec![T::default(); reals.len()];
    with_slice(reals, |reals| {
        affine.quantize_slice(reals, integers, &mut quantized)
    })?;
    Ok(like(reals, quantized))
}

/// Dequantises integers of any type.
#[must_use]
pub fn dequantize<T: Integer, D: Dimension>(
    quantized: &ArrayRef<T, D>,
    affine: Affine,
) -> Array<f32, D> {
    quantized.mapv(|quantized| affine.dequantize(quantized))
}

/// Symmetric weights of `integers`, with scales chosen by `method` for each index along `axis`, and those scales.
///
/// # Errors
/// [`BadAxis`](QuantError::BadAxis), and those of [`QuantizedWeights::quantize`].
pub fn quantize_weights_by<T: Integer, D: Dimension>(
    weights: &ArrayRef<f32, D>,
    axis: Axis,
    integers: IntegerRange,
    method: ScaleMethod,
) -> Result<(Array<T, D>, Vec<f32>), QuantError> {
    let channels = ChannelAxis::new(weights.shape(), axis.index())?;
    grouped(weights, channels, integers, method)
}

/// Symmetric weights of `integers`, with scales chosen by `method` for each block of `block` along the last axis, and those
/// scales, in logical order.
///
/// # Errors
/// [`NotWholeBlocks`](QuantError::NotWholeBlocks), and those of [`QuantizedWeights::quantize`].
pub fn quantize_weights_in_blocks<T: Integer, D: Dimension>(
    weights: &ArrayRef<f32, D>,
    block: usize,
    integers: IntegerRange,
    method: ScaleMethod,
) -> Result<(Array<T, D>, Vec<f32>), QuantError> {
    let blocks = ChannelAxis::blocks(weights.shape(), block)?;
    grouped(weights, blocks, integers, method)
}

/// Weights dequantised, with the scale of each index along `axis`.
///
/// # Errors
/// [`BadAxis`](QuantError::BadAxis), [`LengthMismatch`](QuantError::LengthMismatch) if there is not one scale for each.
pub fn dequantize_weights<T: Integer, D: Dimension>(
    quantized: &ArrayRef<T, D>,
    axis: Axis,
    scales: &[f32],
) -> Result<Array<f32, D>, QuantError> {
    let channels = ChannelAxis::new(quantized.shape(), axis.index())?;
    let mut reals = alloc::vec![0.0; quantized.len()];
    with_slice(quantized, |quantized| {
        weights::dequantize_per_channel(quantized, channels, scales, &mut reals)
    })?;
    Ok(like(quantized, reals))
}

/// How far `other` is from `reference`; both have the same shape.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch) for different shapes, and those of [`measure::measures`].
pub fn measures<D: Dimension>(
    reference: &ArrayRef<f32, D>,
    other: &ArrayRef<f32, D>,
) -> Result<Measures, QuantError> {
    same_shape(reference, other)?;
    with_slice(reference, |reference| {
        with_slice(other, |other| measure::measures(reference, other))
    })
}

/// Takes the rows of a matrix into a [`Gram`] matrix.
///
/// # Errors
/// Those of [`Gram::add_rows`].
pub fn add_rows(gram: &mut Gram, rows: &ArrayRef<f32, Ix2>) -> Result<(), QuantError> {
    same_length("columns", gram.size(), rows.ncols())?;
    with_slice(rows, |rows| gram.add_rows(rows))
}

/// The outputs of a [`FakeQuant`].
#[must_use]
pub fn fake_quantize<D: Dimension>(
    fake_quant: FakeQuant,
    inputs: &ArrayRef<f32, D>,
) -> Array<f32, D> {
    inputs.mapv(|input| fake_quant.apply(input))
}

/// The gradients of a [`FakeQuant`]: by the inputs, and by both ends of its range.
///
/// # Errors
/// [`LengthMismatch`](QuantError::LengthMismatch) for different shapes.
pub fn fake_quantize_gradient<D: Dimension>(
    fake_quant: FakeQuant,
    inputs: &ArrayRef<f32, D>,
    output_gradients: &ArrayRef<f32, D>,
) -> Result<(Array<f32, D>, RangeGradient), QuantError> {
    same_shape(inputs, output_gradients)?;
    let mut gradients = alloc::vec![0.0; inputs.len()];
    let of_range = with_slice(inputs, |inputs| {
        with_slice(output_gradients, |of_outputs| {
            fake_quant.backward(inputs, of_outputs, &mut gradients)
        })
    })?;
    Ok((like(inputs, gradients), of_range))
}

fn grouped<T: Integer, D: Dimension>(
    weights: &ArrayRef<f32, D>,
    groups: ChannelAxis,
    integers: IntegerRange,
    method: ScaleMethod,
) -> Result<(Array<T, D>, Vec<f32>), QuantError> {
    let quantized = with_slice(weights, |weights| {
        QuantizedWeights::quantize(weights, groups, integers, method)
    })?;
    Ok((like(weights, quantized.values), quantized.scales))
}

fn same_shape<D: Dimension>(
    left: &ArrayRef<f32, D>,
    right: &ArrayRef<f32, D>,
) -> Result<(), QuantError> {
    same_length("dimensions", left.ndim(), right.ndim())?;
    for (&expected, &found) in left.shape().iter().zip(right.shape()) {
        same_length("elements along an axis", expected, found)?;
    }
    Ok(())
}

/// An array of this shape with these values in logical order, one a place.
fn like<A: Copy + Default, B, D: Dimension>(shape: &ArrayRef<B, D>, values: Vec<A>) -> Array<A, D> {
    let mut values = values.into_iter();
    Array::from_shape_simple_fn(shape.raw_dim(), || values.next().unwrap_or_default())
}

/// Passes the values in logical order, copied only if they do not lie so.
fn with_slice<A: Copy, D: Dimension, R>(
    view: &ArrayRef<A, D>,
    function: impl FnOnce(&[A]) -> R,
) -> R {
    match view.as_slice() {
        Some(values) => function(values),
        None => function(&view.iter().copied().collect::<Vec<_>>()),
    }
}
