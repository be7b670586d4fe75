//! Which way computes a layer.

use super::{add, channels, conv, depthwise, pool};
use crate::ways::Way;
use crate::{AddQuantization, ConvGeometry, ImageWindow, WeightedQuantization};

/// The way of a convolution with this bias, of those that are linked.
pub(crate) fn of_conv(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    bias: Option<&[i32]>,
    ways: u32,
) -> Way {
    let (count, products) = (geometry.output_channels(), geometry.patch_len());
    let with_faint = Way::Faint.is_in(ways);
    match channels::are_had(count, quantization, bias, products, with_faint) {
        true => conv::way(geometry, ways),
        false => Way::Definition,
    }
}

/// The way of a depthwise convolution with this bias, of those that are linked.
pub(crate) fn of_depthwise(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    bias: Option<&[i32]>,
    ways: u32,
) -> Way {
    let products = window.rows().filter() * window.columns().filter();
    let count = window.output_channels();
    let with_faint = Way::Faint.is_in(ways);
    match channels::are_had(count, quantization, bias, products, with_faint) {
        true => depthwise::way(window, ways),
        false => Way::Definition,
    }
}

/// The way of a sum of operands of one shape.
pub(crate) fn of_add(quantization: &AddQuantization) -> Way {
    match add::is_supported(quantization) {
        true => Way::OneShape,
        false => Way::Definition,
    }
}

/// The way of a pool that averages, or one that does not.
pub(crate) const fn of_pool(window: &ImageWindow, averages: bool) -> Way {
    match averages {
        true => pool::way_of_average(window),
        false => pool::way(window),
    }
}
