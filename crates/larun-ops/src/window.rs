//! One axis of a sliding window: how many positions it takes and how much border it needs.

use crate::Padding;

/// A window of `filter` taps, `dilation` apart, that slides along an axis by `stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Positions that the window takes: the size of the output axis.
    pub output: usize,
    /// Border before the first input element; the larger half of an odd total goes after.
    pub pad_before: usize,
    /// Border after the last input element.
    pub pad_after: usize,
}

impl Window {
    /// The geometry of one axis as the file format defines it, or `None` when the filter, stride
    /// or dilation is zero, the window does not fit, or a size overflows.
    pub fn new(
        input: usize,
        filter: usize,
        stride: usize,
        dilation: usize,
        padding: Padding,
    ) -> Option<Self> {
        if stride == 0 || dilation == 0 {
            return None;
        }
        let extent = filter
            .checked_sub(1)?
            .checked_mul(dilation)?
            .checked_add(1)?;
        let output = match padding {
            Padding::Same => input.div_ceil(stride),
            Padding::Valid => input
                .checked_add(1)?
                .saturating_sub(extent)
                .div_ceil(stride),
        };
        if output == 0 {
            return None;
        }
        let covered = (output - 1).checked_mul(stride)?.checked_add(extent)?;
        let total = covered.saturating_sub(input);
        Some(Self {
            output,
            pad_before: total / 2,
            pad_after: total - total / 2,
        })
    }
}
