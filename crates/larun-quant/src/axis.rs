//! Where the channels of a tensor lie in its flat values.
//!
//! ```
//! use larun_quant::ChannelAxis;
//!
//! // A depthwise convolution's weights [1, 2, 2, 3]: three channels, whose values lie in turn.
//! let axis = ChannelAxis::new(&[1, 2, 2, 3], 3)?;
//! assert_eq!((axis.channels(), axis.inner()), (3, 1));
//! let weights = [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3];
//! assert_eq!(axis.gather(&weights)?, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
//! // Blocks of two along the inputs of a fully connected layer [2, 4].
//! assert_eq!(ChannelAxis::blocks(&[2, 4], 2)?.channels(), 4);
//! # Ok::<(), larun_quant::QuantError>(())
//! ```

use crate::error::{QuantError, same_length};

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

    /// One channel of `len` values: what one scale for a whole tensor amounts to.
    #[must_use]
    pub const fn whole(len: usize) -> Self {
        Self {
            channels: 1,
            inner: len,
        }
    }

    /// Blocks of `block` consecutive values along the last axis of a tensor of this shape, each a channel of its own.
    ///
    /// The last axis is the one that TensorFlow Lite's fully connected weights `[O, I]` and convolution weights
    /// `[O, H, W, I]` are summed over. The blocks' scales then are a tensor of the same shape with the last axis
    /// divided by `block`, row by row. TensorFlow Lite's block-wise quantisation takes 32, 64, 128 or 256.
    ///
    /// # Errors
    /// [`NotWholeBlocks`](QuantError::NotWholeBlocks) if `block` does not divide the last axis, and
    /// [`BadAxis`](QuantError::BadAxis) if there is none or the tensor's size overflows.
    pub fn blocks(shape: &[usize], block: usize) -> Result<Self, QuantError> {
        let bad = QuantError::BadAxis {
            axis: shape.len().saturating_sub(1),
            rank: shape.len(),
        };
        let &last = shape.last().ok_or(bad)?;
        if block == 0 || !last.is_multiple_of(block) {
            return Err(QuantError::NotWholeBlocks { len: last, block });
        }
        let values = shape
            .iter()
            .try_fold(1_usize, |size, &dim| size.checked_mul(dim));
        Ok(Self {
            channels: values.ok_or(bad)? / block,
            inner: block,
        })
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

    /// The values of every channel together, channel after channel: a depthwise convolution's `[1, H, W, C]` becomes
    /// `[C, H * W]`.
    ///
    /// # Errors
    /// [`NotWholeChannels`](QuantError::NotWholeChannels).
    #[cfg(feature = "alloc")]
    pub fn gather<T: Copy>(self, values: &[T]) -> Result<alloc::vec::Vec<T>, QuantError> {
        self.check(values.len())?;
        let mut gathered = alloc::vec::Vec::with_capacity(values.len());
        for channel in 0..self.channels {
            self.of_channel(values, channel, &mut gathered);
        }
        Ok(gathered)
    }

    /// The reverse of [`gather`](Self::gather): into `values`, which has the same length.
    ///
    /// # Errors
    /// [`NotWholeChannels`](QuantError::NotWholeChannels), [`LengthMismatch`](QuantError::LengthMismatch).
    pub fn scatter<T: Copy>(self, gathered: &[T], values: &mut [T]) -> Result<(), QuantError> {
        self.check(gathered.len())?;
        same_length("places for values", gathered.len(), values.len())?;
        let of_one = gathered.len() / self.channels.max(1);
        for (position, run) in values.chunks_mut(self.inner.max(1)).enumerate() {
            let (outer, channel) = (position / self.channels, position % self.channels);
            let start = channel * of_one + outer * self.inner;
            if let Some(source) = gathered.get(start..start + run.len()) {
                run.copy_from_slice(source);
            }
        }
        Ok(())
    }

    /// Appends the values of one channel, in order.
    #[cfg(feature = "alloc")]
    pub(crate) fn of_channel<T: Copy>(
        self,
        values: &[T],
        channel: usize,
        into: &mut alloc::vec::Vec<T>,
    ) {
        let runs = values.chunks(self.inner.max(1)).skip(channel);
        for run in runs.step_by(self.channels.max(1)) {
            into.extend_from_slice(run);
        }
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
