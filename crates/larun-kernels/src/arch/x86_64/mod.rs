//! x86-64 with AVX2 or AVX-512 VNNI, whichever the processor that runs this has.
//!
//! Sums are exact. Nothing here takes memory of the arena; what is packed lies on the stack, of which a host has plenty.
#![allow(unsafe_code, reason = "vector instructions, and which there are")]

mod avx2;
mod detect;
#[cfg(test)]
mod large_tests;
mod positions;
mod real;
#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod tests;
mod vnni;
mod wide;

use self::detect::Level;
use crate::{
    AddQuantization, Clamp, ConvGeometry, DenseGeometry, ImageWindow, WeightedQuantization,
};
pub(crate) use wide::vectorised;

pub(crate) use super::portable::{
    average_pool_i8, conv2d_i8_scratch_len, depthwise_conv2d_i8_scratch_len,
    fully_connected_i8_scratch_len, max_pool_i8, mean_i8,
};

/// The level for a layer: the portable one where a product with a multiplier may saturate.
fn level(quantization: &WeightedQuantization<'_>) -> Level {
    match quantization.multipliers.can_saturate() {
        true => Level::Portable,
        false => Level::detected(),
    }
}

pub(crate) fn conv2d_i8(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    _scratch: &mut [i16],
) -> bool {
    // SAFETY: the instructions are there.
    unsafe { level(quantization).conv2d_i8(geometry, quantization, input, filter, bias, output) }
}

pub(crate) fn depthwise_conv2d_i8(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    _scratch: &mut [i16],
) -> bool {
    let level = level(quantization);
    // SAFETY: the instructions are there.
    unsafe { level.depthwise_conv2d_i8(window, quantization, input, filter, bias, output) }
}

pub(crate) fn fully_connected_i8(
    geometry: &DenseGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    weights: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    _scratch: &mut [i16],
) -> bool {
    let level = level(quantization);
    // SAFETY: the instructions are there.
    unsafe { level.fully_connected_i8(geometry, quantization, input, weights, bias, output) }
}

/// Operands of one shape: `a`, `b` and `output` are equally long.
pub(crate) fn add_i8(
    quantization: &AddQuantization,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> bool {
    // SAFETY: the instructions are there.
    unsafe { Level::detected().add_i8(quantization, a, b, output) }
}

pub(crate) fn conv2d_f32(
    geometry: &ConvGeometry,
    clamp: &Clamp,
    input: &[f32],
    filter: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> bool {
    // SAFETY: the instructions are there.
    unsafe { Level::detected().conv2d_f32(geometry, clamp, input, filter, bias, output) }
}

pub(crate) fn depthwise_conv2d_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    filter: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> bool {
    // SAFETY: the instructions are there.
    unsafe { Level::detected().depthwise_conv2d_f32(window, clamp, input, filter, bias, output) }
}

pub(crate) fn fully_connected_f32(
    geometry: &DenseGeometry,
    clamp: &Clamp,
    input: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> bool {
    // SAFETY: the instructions are there.
    unsafe { Level::detected().fully_connected_f32(geometry, clamp, input, weights, bias, output) }
}

pub(crate) fn average_pool_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    output: &mut [f32],
) -> bool {
    // SAFETY: the instructions are there.
    unsafe { Level::detected().average_pool_f32(window, clamp, input, output) }
}

pub(crate) fn max_pool_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    output: &mut [f32],
) -> bool {
    // SAFETY: the instructions are there.
    unsafe { Level::detected().max_pool_f32(window, clamp, input, output) }
}

/// Layers of real numbers: at every level but the portable one by AVX2.
///
/// # Safety
/// The processor has the instructions of the level.
impl Level {
    unsafe fn conv2d_f32(
        self,
        geometry: &ConvGeometry,
        clamp: &Clamp,
        input: &[f32],
        filter: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) -> bool {
        if self != Self::Portable {
            // SAFETY: the caller says so.
            unsafe { real::conv::conv2d_f32(geometry, clamp, input, filter, bias, output) };
        }
        self != Self::Portable
    }

    unsafe fn depthwise_conv2d_f32(
        self,
        window: &ImageWindow,
        clamp: &Clamp,
        input: &[f32],
        filter: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) -> bool {
        // SAFETY: the caller says so.
        self != Self::Portable
            && unsafe {
                real::depthwise::depthwise_conv2d_f32(window, clamp, input, filter, bias, output)
            }
    }

    /// Where there are several rows, the layer is a convolution of as many pixels.
    unsafe fn fully_connected_f32(
        self,
        geometry: &DenseGeometry,
        clamp: &Clamp,
        input: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) -> bool {
        match (self, positions::of_dense(geometry, usize::MAX)) {
            (Self::Portable, _) => return false,
            // SAFETY: the caller says so.
            (_, Some(conv)) => unsafe {
                real::conv::conv2d_f32(&conv, clamp, input, weights, bias, output);
            },
            // SAFETY: the caller says so.
            (_, None) => unsafe {
                real::dense::fully_connected_f32(geometry, clamp, input, weights, bias, output);
            },
        }
        true
    }

    unsafe fn average_pool_f32(
        self,
        window: &ImageWindow,
        clamp: &Clamp,
        input: &[f32],
        output: &mut [f32],
    ) -> bool {
        // SAFETY: the caller says so.
        self != Self::Portable
            && unsafe { real::pool::average_pool_f32(window, clamp, input, output) }
    }

    unsafe fn max_pool_f32(
        self,
        window: &ImageWindow,
        clamp: &Clamp,
        input: &[f32],
        output: &mut [f32],
    ) -> bool {
        // SAFETY: the caller says so.
        self != Self::Portable && unsafe { real::pool::max_pool_f32(window, clamp, input, output) }
    }
}

/// Layers whose multipliers do not saturate.
///
/// # Safety
/// The processor has the instructions of the level.
impl Level {
    unsafe fn add_i8(
        self,
        quantization: &AddQuantization,
        a: &[i8],
        b: &[i8],
        output: &mut [i8],
    ) -> bool {
        match self {
            Self::Portable => false,
            // SAFETY: the caller says so.
            Self::Avx2 => unsafe { avx2::add::add_i8(quantization, a, b, output) },
            // SAFETY: the caller says so.
            Self::Vnni => unsafe { vnni::add::add_i8(quantization, a, b, output) },
        }
    }

    unsafe fn conv2d_i8(
        self,
        geometry: &ConvGeometry,
        quantization: &WeightedQuantization<'_>,
        input: &[i8],
        filter: &[i8],
        bias: Option<&[i32]>,
        output: &mut [i8],
    ) -> bool {
        match self {
            Self::Portable => false,
            // SAFETY: the caller says so.
            Self::Avx2 => unsafe {
                avx2::conv::conv2d_i8(geometry, quantization, input, filter, bias, output)
            },
            // SAFETY: the caller says so.
            Self::Vnni => unsafe {
                match positions::as_dense(geometry) {
                    Some(dense) => {
                        self.fully_connected_i8(&dense, quantization, input, filter, bias, output)
                    }
                    None => {
                        vnni::conv::conv2d_i8(geometry, quantization, input, filter, bias, output)
                    }
                }
            },
        }
    }

    unsafe fn depthwise_conv2d_i8(
        self,
        window: &ImageWindow,
        quantization: &WeightedQuantization<'_>,
        input: &[i8],
        filter: &[i8],
        bias: Option<&[i32]>,
        output: &mut [i8],
    ) -> bool {
        match self {
            Self::Portable => false,
            // SAFETY: the caller says so.
            Self::Vnni => unsafe {
                vnni::depthwise::depthwise_conv2d_i8(
                    window,
                    quantization,
                    input,
                    filter,
                    bias,
                    output,
                )
            },
            // SAFETY: the caller says so.
            Self::Avx2 => unsafe {
                avx2::depthwise::depthwise_conv2d_i8(
                    window,
                    quantization,
                    input,
                    filter,
                    bias,
                    output,
                )
            },
        }
    }

    unsafe fn fully_connected_i8(
        self,
        geometry: &DenseGeometry,
        quantization: &WeightedQuantization<'_>,
        input: &[i8],
        weights: &[i8],
        bias: Option<&[i32]>,
        output: &mut [i8],
    ) -> bool {
        let most = match self {
            Self::Portable => return false,
            Self::Avx2 => avx2::conv::LARGE,
            Self::Vnni => vnni::conv::MOST,
        };
        let (q, conv) = (quantization, positions::of_dense(geometry, most));
        match (self, conv) {
            // SAFETY: the caller says so.
            (Self::Vnni, Some(conv)) => unsafe {
                vnni::conv::conv2d_i8(&conv, q, input, weights, bias, output)
            },
            // SAFETY: the caller says so.
            (Self::Vnni, None) => unsafe {
                vnni::dense::fully_connected_i8(geometry, q, input, weights, bias, output)
            },
            // SAFETY: the caller says so.
            (_, Some(conv)) => unsafe {
                avx2::conv::conv2d_i8(&conv, q, input, weights, bias, output)
            },
            // SAFETY: the caller says so.
            (_, None) => unsafe {
                avx2::dense::fully_connected_i8(geometry, q, input, weights, bias, output)
            },
        }
    }
}
