//! Huffman codes, and the tables from which TFLM's decoder reads them.
//!
//! A description is 16 bytes of header (type 1, version 1, code version 1 in byte 4, and in byte 5 bit 0 for 32-bit entries and
//! bits 4 to 7 for the bits that the first table takes, less one), then the tables. Codes are read from the stream the most significant
//! bit first. An entry that is found (highest bit) holds the symbol and, in the next four bits, how many of the bits that were
//! last taken belong to it; the others go back. An entry that is not found holds in the four bits how many bits the next table
//! takes, less one, and below that the way from the entry to that table. 16-bit entries have 11 bits of value, 32-bit ones 27.

use super::bits::{BitWriter, read_bits};

/// No code is longer: the entries have four bits for lengths, and tables stay short.
const LONGEST: u32 = 14;
/// The first table is not larger than this many bits.
const FIRST: u32 = 8;
/// More tables than this lead nowhere.
const LEVELS: usize = 32;

/// A stream of codes and the tables to read it with.
pub(super) struct Coded {
    pub(super) stream: Vec<u8>,
    pub(super) tables: Vec<u8>,
    /// The header's byte 5.
    pub(super) layout: u8,
}

/// Codes symbols, INT8 or INT16 (`wide`), as patterns of bits.
pub(super) fn encode(symbols: &[u16], wide: bool) -> Option<Coded> {
    let lengths = lengths(symbols)?;
    let codes = canonical(&lengths);
    let find = |symbol: u16| {
        let at = codes
            .binary_search_by_key(&symbol, |code| code.symbol)
            .ok()?;
        codes.get(at)
    };
    let mut stream = BitWriter::default();
    for &symbol in symbols {
        let code = find(symbol)?;
        stream.push(code.bits, code.length);
    }
    let mut stream = stream.finish();
    // The decoder takes whole words, and may look one word further than the last code.
    stream.resize(stream.len().next_multiple_of(4) + 4, 0);
    let longest = codes.iter().map(|code| code.length).max()?;
    let first = (1..=longest.min(FIRST)).filter_map(|first| {
        let entries = tables(&codes, first, wide)?;
        Some((entries.len(), first, entries))
    });
    let (_, first, entries) = first.min_by_key(|(len, first, _)| (*len, *first))?;
    let bytes = |entry: &u32| match wide {
        true => entry.to_le_bytes().to_vec(),
        false => (*entry as u16).to_le_bytes().to_vec(),
    };
    Some(Coded {
        stream,
        tables: entries.iter().flat_map(bytes).collect(),
        layout: ((first - 1) << 4) as u8 | u8::from(wide),
    })
}

/// The code of a symbol.
#[derive(Clone, Copy, Debug)]
struct Code {
    symbol: u16,
    bits: u32,
    length: u32,
}

/// The length of each symbol's code, in the order of symbols; `None` without symbols.
fn lengths(symbols: &[u16]) -> Option<Vec<(u16, u32)>> {
    let mut counts = std::collections::BTreeMap::<u16, u64>::new();
    symbols
        .iter()
        .for_each(|&symbol| *counts.entry(symbol).or_default() += 1);
    let mut weights: Vec<u64> = counts.values().copied().collect();
    loop {
        let lengths = huffman(&weights)?;
        if lengths.iter().all(|&length| length <= LONGEST) {
            return Some(counts.into_keys().zip(lengths).collect());
        }
        // Rare symbols are made less rare until no code is too long.
        weights
            .iter_mut()
            .for_each(|weight| *weight = *weight / 2 + 1);
    }
}

/// Lengths of the codes of symbols with these weights (Huffman 1952). A lone symbol has one bit.
fn huffman(weights: &[u64]) -> Option<Vec<u32>> {
    let mut lengths = vec![0u32; weights.len()];
    // Trees in the making: weight, age for ties, and the symbols in it.
    let mut trees: std::collections::BTreeMap<(u64, usize), Vec<usize>> = weights
        .iter()
        .enumerate()
        .map(|(symbol, &weight)| ((weight, symbol), vec![symbol]))
        .collect();
    let mut age = weights.len();
    while trees.len() > 1 {
        let ((first, _), mut symbols) = trees.pop_first()?;
        let ((second, _), more) = trees.pop_first()?;
        symbols.extend(more);
        for &symbol in &symbols {
            *lengths.get_mut(symbol)? += 1;
        }
        trees.insert((first + second, age), symbols);
        age += 1;
    }
    if let [length] = lengths.as_mut_slice() {
        *length = 1;
    }
    (!lengths.is_empty()).then_some(lengths)
}

/// Canonical codes, sorted by symbol: those of one length count up, and longer ones follow shorter ones.
fn canonical(lengths: &[(u16, u32)]) -> Vec<Code> {
    let mut order = lengths.to_vec();
    order.sort_by_key(|&(symbol, length)| (length, symbol));
    let (mut next, mut last) = (0u32, 0u32);
    let mut codes: Vec<Code> = order
        .into_iter()
        .map(|(symbol, length)| {
            next <<= length - last;
            last = length;
            let bits = next;
            next += 1;
            Code {
                symbol,
                bits,
                length,
            }
        })
        .collect();
    codes.sort_by_key(|code| code.symbol);
    codes
}

/// The entries of a first table of `first` bits and of one table for each of its entries that longer codes begin with; `None`
/// where a way is too long for an entry.
fn tables(codes: &[Code], first: u32, wide: bool) -> Option<Vec<u32>> {
    let (found, count_shift, value_mask) = match wide {
        true => (0x8000_0000, 27, 0x07ff_ffff),
        false => (0x8000, 11, 0x07ff),
    };
    let leaf = |code: &Code, taken: u32| {
        let symbol = match wide {
            true => u32::from(code.symbol),
            false => u32::from(code.symbol as u8),
        };
        found | taken << count_shift | symbol
    };
    let mut entries = vec![0u32; 1 << first];
    for code in codes.iter().filter(|code| code.length <= first) {
        let free = first - code.length;
        let start = (code.bits << free) as usize;
        entries
            .get_mut(start..start + (1 << free))?
            .fill(leaf(code, code.length));
    }
    for prefix in 0..1u32 << first {
        let longer =
            |code: &&Code| code.length > first && code.bits >> (code.length - first) == prefix;
        let below: Vec<&Code> = codes.iter().filter(longer).collect();
        let Some(bits) = below.iter().map(|code| code.length - first).max() else {
            continue;
        };
        let start = entries.len();
        let way = u32::try_from(start).ok()? - prefix;
        if way > value_mask {
            return None;
        }
        *entries.get_mut(prefix as usize)? = (bits - 1) << count_shift | way;
        entries.resize(start + (1 << bits), 0);
        for code in below {
            let (own, free) = (code.length - first, bits - (code.length - first));
            let at = start + ((code.bits & ((1 << own) - 1)) << free) as usize;
            entries.get_mut(at..at + (1 << free))?.fill(leaf(code, own));
        }
    }
    Some(entries)
}

/// Reads `count` symbols, `None` where the tables or the stream do not hold them.
pub(super) fn decode(stream: &[u8], tables: &[u8], layout: u8, count: usize) -> Option<Vec<u16>> {
    let wide = layout & 1 == 1;
    let first = u32::from(layout >> 4) + 1;
    let entry = |at: usize| -> Option<(bool, u32, u32)> {
        if wide {
            let bytes = tables.get(4 * at..4 * at + 4)?;
            let entry = u32::from_le_bytes(bytes.try_into().ok()?);
            Some((entry >> 31 == 1, entry >> 27 & 15, entry & 0x07ff_ffff))
        } else {
            let bytes = tables.get(2 * at..2 * at + 2)?;
            let entry = u32::from(u16::from_le_bytes(bytes.try_into().ok()?));
            Some((entry >> 15 == 1, entry >> 11 & 15, entry & 0x07ff))
        }
    };
    let mut position = 0usize;
    let mut symbols = Vec::with_capacity(count.min(8 * stream.len()));
    for _ in 0..count {
        let mut taken = first;
        let mut at = read_bits(stream, position, taken) as usize;
        position += taken as usize;
        let mut levels = 0;
        let symbol = loop {
            let (found, bits, value) = entry(at)?;
            if found {
                position -= taken.saturating_sub(bits) as usize;
                break value;
            }
            levels += 1;
            if levels > LEVELS {
                return None;
            }
            taken = bits + 1;
            at += value as usize + read_bits(stream, position, taken) as usize;
            position += taken as usize;
        };
        if position > 8 * stream.len() {
            return None;
        }
        symbols.push(symbol as u16);
    }
    Some(symbols)
}
