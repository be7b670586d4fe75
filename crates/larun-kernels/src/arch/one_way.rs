//! Processors with one way for all layers: nothing to choose.

use super::{conv2d_i8, depthwise_conv2d_i8};
use crate::{ConvGeometry, ImageWindow, WeightedQuantization};

#[inline(always)]
pub(crate) fn conv2d_i8_by<const WAYS: u32>(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> bool {
    conv2d_i8(geometry, quantization, input, filter, bias, output, scratch)
}

#[inline(always)]
pub(crate) fn depthwise_conv2d_i8_by<const WAYS: u32>(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> bool {
    depthwise_conv2d_i8(window, quantization, input, filter, bias, output, scratch)
}

/// There is the definition.
pub(crate) mod ways {
    use crate::ways::Way;
    use crate::{AddQuantization, ConvGeometry, ImageWindow, WeightedQuantization};

    pub(crate) const fn of_conv(
        _: &ConvGeometry,
        _: &WeightedQuantization<'_>,
        _bias: Option<&[i32]>,
        _ways: u32,
    ) -> Way {
        Way::Definition
    }

    pub(crate) const fn of_depthwise(
        _: &ImageWindow,
        _: &WeightedQuantization<'_>,
        _bias: Option<&[i32]>,
        _ways: u32,
    ) -> Way {
        Way::Definition
    }

    pub(crate) const fn of_add(_: &AddQuantization) -> Way {
        Way::Definition
    }

    pub(crate) const fn of_pool(_: &ImageWindow, _averages: bool) -> Way {
        Way::Definition
    }
}
