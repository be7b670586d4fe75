//! The inner loops of decoding: codes of a few bits each, the most significant bit first, become elements.

use crate::plan::record;
use crate::window::nonzero;

record! {
    /// Which channel each element of a tensor belongs to: `run` neighbours to one, `count` channels in turn.
    pub struct Channels {
        /// Channels, at least 1.
        pub count: usize,
        /// Neighbouring elements of one channel, at least 1.
        pub run: usize,
    }
}

impl Channels {
    /// Fills a tensor: `element` gives the next element, of the channel that it is called with.
    fn fill<T>(&self, output: &mut [T], mut element: impl FnMut(usize) -> T) {
        let numbers = (0..nonzero(self.count)).cycle();
        for (elements, channel) in output.chunks_mut(nonzero(self.run)).zip(numbers) {
            elements
                .iter_mut()
                .for_each(|place| *place = element(channel));
        }
    }
}

/// Numbers of `width` bits, at most 8, packed the most significant bit first. Past the end they are 0.
#[derive(Clone, Debug)]
pub(super) struct Codes<'a> {
    bytes: core::slice::Iter<'a, u8>,
    width: u32,
    /// Bits that are loaded but not taken yet: the lowest `loaded`.
    bits: u32,
    loaded: u32,
}

impl<'a> Codes<'a> {
    pub(super) fn new(bytes: &'a [u8], width: u32) -> Self {
        Self {
            bytes: bytes.iter(),
            width: width.min(8),
            bits: 0,
            loaded: 0,
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> usize {
        if self.loaded < self.width {
            let byte = self.bytes.next().copied().unwrap_or(0);
            self.bits = self.bits << 8 | u32::from(byte);
            self.loaded += 8;
        }
        self.loaded -= self.width;
        let mask = (1 << self.width) - 1;
        (self.bits >> self.loaded & mask) as usize
    }
}

/// Elements by their number in the table of their channel: `stride` entries from one table to the next.
///
/// A number without an entry gives zeros.
pub(super) fn look_up<const N: usize>(
    channels: &Channels,
    mut codes: Codes<'_>,
    stride: usize,
    tables: &[[u8; N]],
    output: &mut [[u8; N]],
) {
    channels.fill(output, |channel| {
        let at = channel.saturating_mul(stride).saturating_add(codes.next());
        tables.get(at).copied().unwrap_or([0; N])
    });
}

/// Elements that a bit says are there, taken in turn; the others are their channel's zero point.
pub(super) fn scatter<const N: usize>(
    channels: &Channels,
    mut bitmap: Codes<'_>,
    zero_points: &[i8],
    elements: &[[u8; N]],
    output: &mut [[u8; N]],
) {
    let mut elements = elements.iter();
    channels.fill(output, |channel| {
        let zero_point = zero_points.get(channel).copied().unwrap_or(0);
        // Only an element of one byte has a zero point other than 0.
        let zero = [zero_point as u8; N];
        match bitmap.next() {
            0 => zero,
            _ => elements.next().copied().unwrap_or(zero),
        }
    });
}
