//! The inner loops of decoding: codes of a few bits each, the most significant bit first, become elements.

use super::huffman::{HuffmanLayout, Symbols};
use super::{Code, Encoding};
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

/// Goes through the elements of a tensor and says which channel each belongs to.
#[derive(Clone, Debug)]
struct Turns {
    channels: Channels,
    channel: usize,
    /// Elements of the channel before the next one's turn.
    left: usize,
}

impl Turns {
    const fn new(channels: Channels) -> Self {
        Self {
            channels,
            channel: 0,
            left: nonzero(channels.run),
        }
    }

    /// Fills the next elements: `element` gives the next one, of the channel that it is called with.
    fn fill<T>(&mut self, mut output: &mut [T], mut element: impl FnMut(usize) -> T) {
        while !output.is_empty() {
            let count = self.left.min(output.len());
            let (elements, rest) = output.split_at_mut_checked(count).unwrap_or_default();
            for place in elements {
                *place = element(self.channel);
            }
            output = rest;
            self.left -= count;
            if self.left == 0 {
                self.left = nonzero(self.channels.run);
                self.channel += 1;
                if self.channel >= self.channels.count {
                    self.channel = 0;
                }
            }
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

/// Decodes a tensor of elements of `N` bytes from its start, as many elements at a time as are asked for.
pub(super) struct Decoder<'a, const N: usize> {
    turns: Turns,
    code: Code<'a>,
    codes: Codes<'a>,
    symbols: Symbols<'a>,
    /// The tables, or the elements that are there.
    values: &'a [[u8; N]],
}

impl<'a, const N: usize> Decoder<'a, N> {
    /// `values` is what the description has behind its header.
    pub(super) fn new(encoding: &Encoding<'a>, encoded: &'a [u8], values: &'a [u8]) -> Self {
        let (width, layout) = match encoding.code {
            Code::Table { width, .. } => (width, HuffmanLayout::default()),
            Code::Pruned { .. } => (1, HuffmanLayout::default()),
            Code::Huffman(layout) => (1, layout),
        };
        Self {
            turns: Turns::new(encoding.channels),
            code: encoding.code,
            codes: Codes::new(encoded, width),
            symbols: Symbols::new(encoded, values, layout),
            values: values.as_chunks().0,
        }
    }

    /// Decodes the next elements.
    pub(super) fn fill(&mut self, output: &mut [[u8; N]]) {
        let (codes, values) = (&mut self.codes, &mut self.values);
        match self.code {
            Code::Table { stride, .. } => self.turns.fill(output, |channel| {
                let at = channel.saturating_mul(stride).saturating_add(codes.next());
                // A number without an entry gives zeros.
                values.get(at).copied().unwrap_or([0; N])
            }),
            Code::Huffman(_) => {
                for place in output {
                    // What does not decode gives zeros; loading has refused it already.
                    let symbol = self.symbols.next().unwrap_or(0).to_le_bytes();
                    for (byte, symbol) in place.iter_mut().zip(symbol) {
                        *byte = symbol;
                    }
                }
            }
            Code::Pruned { zero_points } => self.turns.fill(output, |channel| {
                let zero_point = zero_points.get(channel).copied().unwrap_or(0);
                // Only an element of one byte has a zero point other than 0.
                let zero = [zero_point as u8; N];
                match (codes.next(), values.split_first()) {
                    (1.., Some((&value, rest))) => {
                        *values = rest;
                        value
                    }
                    _ => zero,
                }
            }),
        }
    }
}
