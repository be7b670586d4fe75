//! Prefix codes, read with the tables that a description holds.
//!
//! A table is entered with the next few bits. An entry that is found holds the symbol and how many of these bits belong to its code;
//! one that is not holds how many bits the next table takes, and how far behind the entry it lies.

/// Tables that lead on to more tables than this lead nowhere.
const MOST_TABLES: usize = 32;

/// How the tables of a description are laid out: byte 5 of its header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HuffmanLayout(u8);

impl HuffmanLayout {
    /// Bit 0: entries have 32 bits in place of 16. Bits 4 to 7: the bits that the first table takes, less one.
    pub const fn new(byte: u8) -> Self {
        Self(byte)
    }

    pub(super) const fn byte(self) -> u8 {
        self.0
    }

    /// Whether entries have 32 bits, and symbols may have more than 8.
    pub(super) const fn is_wide(self) -> bool {
        self.0 & 1 == 1
    }

    const fn first_bits(self) -> u32 {
        (self.0 >> 4) as u32 + 1
    }
}

/// An entry of a table.
struct Entry {
    is_symbol: bool,
    /// Bits of the code among those taken last, or one less than the next table takes.
    bits: u32,
    /// The symbol, or the way to the next table.
    value: u32,
}

/// Reads symbols from a stream of codes, the most significant bit first.
#[derive(Clone, Debug)]
pub(super) struct Symbols<'a> {
    stream: &'a [u8],
    tables: &'a [u8],
    layout: HuffmanLayout,
    /// The position in the stream, in bits.
    at: usize,
}

impl<'a> Symbols<'a> {
    pub(super) const fn new(stream: &'a [u8], tables: &'a [u8], layout: HuffmanLayout) -> Self {
        Self {
            stream,
            tables,
            layout,
            at: 0,
        }
    }

    /// The next symbol, `None` where the stream or the tables do not hold it.
    pub(super) fn next(&mut self) -> Option<u32> {
        let mut bits = self.layout.first_bits();
        let mut place = self.take(bits);
        for _ in 0..MOST_TABLES {
            let entry = self.entry(place)?;
            if entry.is_symbol {
                self.at = self
                    .at
                    .saturating_sub(bits.saturating_sub(entry.bits) as usize);
                return (self.at <= self.stream.len().saturating_mul(8)).then_some(entry.value);
            }
            bits = entry.bits + 1;
            let inside = self.take(bits);
            place = place
                .checked_add(entry.value as usize)?
                .checked_add(inside)?;
        }
        None
    }

    /// The next bits, at most 16. Past the end they are 0.
    fn take(&mut self, bits: u32) -> usize {
        let rest = self.stream.get(self.at / 8..).unwrap_or_default();
        // 16 bits that begin anywhere in a byte lie within three.
        let byte = |index: usize| rest.get(index).copied().map_or(0, u32::from);
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        let free = 24 - (self.at % 8) as u32 - bits;
        self.at = self.at.saturating_add(bits as usize);
        (word >> free & ((1 << bits) - 1)) as usize
    }

    fn entry(&self, place: usize) -> Option<Entry> {
        if self.layout.is_wide() {
            let entry = u32::from_le_bytes(*self.tables.as_chunks().0.get(place)?);
            Some(Entry {
                is_symbol: entry >> 31 == 1,
                bits: entry >> 27 & 15,
                value: entry & 0x07ff_ffff,
            })
        } else {
            let entry = u16::from_le_bytes(*self.tables.as_chunks().0.get(place)?);
            Some(Entry {
                is_symbol: entry >> 15 == 1,
                bits: u32::from(entry >> 11 & 15),
                value: u32::from(entry & 0x07ff),
            })
        }
    }
}
