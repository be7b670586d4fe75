//! Where the channels of a tensor lie in its flat values.

use crate::error::QuantError;

/// The channel axis of a tensor stored row by row: value `i` belongs to channel `(i / inner) % channels`.
///
/// A convolution's weights `[O, H, W, I]` have channels along axis 0 (`inner = H*W*I`), a depthwise convolution's
/// `[1, H, W, C]` along axis 3 (`inner = 1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelAxis {
    channels: usize,
    inner: usize,
}

impl ChannelAxis {
    /// The axis number `axis` of a tensor of this shape.
    ///
    /// # Errors
    /// [`BadAxis`](QuantError::BadAxis) if the shape has no such axis or its size overflows.
    pub fn new(shape: &[usize], axis: usize) -> Result<Self, QuantError> {
        let bad = QuantError::BadAxis {
            axis,
            rank: shape.len(),
        };
        let channels = *shape.get(axis).ok_or(bad)?;
        let after = shape.get(axis + 1..).unwrap_or_default();
        let inner = after
            .iter()
            .try_fold(1_usize, |size, &dim| size.checked_mul(dim));
        let inner = inner.ok_or(bad)?;
        inner.checked_mul(channels).ok_or(bad)?;
        Ok(Self { channels, inner })
    }

    /// Number of channels.
    #[must_use]
    pub const fn channels(self) -> usize {
        self.channels
    }

    /// Number of consecutive values of one channel.
    #[must_use]
    pub const fn inner(self) -> usize {
        self.inner
    }

    /// Refuses a number of values that is not whole channels.
    pub(crate) fn check(self, len: usize) -> Result<(), QuantError> {
        // An axis without channels, or with empty ones, has no values.
        let whole = match self.channels * self.inner {
            0 => len == 0,
            period => len.is_multiple_of(period),
        };
        if whole {
            return Ok(());
        }
        Err(QuantError::NotWholeChannels {
            len,
            channels: self.channels,
            inner: self.inner,
        })
    }

    /// The consecutive runs of one channel, each with its channel.
    pub(crate) fn runs<T>(self, values: &[T]) -> impl Iterator<Item = (usize, &[T])> {
        let channels = (0..self.channels).cycle();
        channels.zip(values.chunks(self.inner.max(1)))
    }

    /// As [`runs`](Self::runs), to be written.
    pub(crate) fn runs_mut<T>(self, values: &mut [T]) -> impl Iterator<Item = (usize, &mut [T])> {
        let channels = (0..self.channels).cycle();
        channels.zip(values.chunks_mut(self.inner.max(1)))
    }
}
