//! Integer weights where they lie: INT8, or INT4 with two in a byte.

use super::Sink;
use crate::dot::dot;
use crate::{InvokeError, Memory, check_len};

/// Products of an INT16 with an INT8 that any sum of INT32 holds: each is below 2^22 in size, or 2^22 itself.
const PRODUCTS: usize = 256;

/// The weights of a layer in the order of the format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weights<'a> {
    Int8(&'a [i8]),
    /// Element `2i` is in the low half of byte `i`, element `2i + 1` in the high half.
    Int4(&'a [u8]),
}

impl Weights<'_> {
    /// Checks that there are `len` weights, the last byte of INT4 filled up.
    pub(crate) fn check(&self, operand: Memory, len: usize) -> Result<(), InvokeError> {
        match self {
            Self::Int8(weights) => check_len(operand, weights.len(), len),
            Self::Int4(bytes) => check_len(operand, bytes.len(), len.div_ceil(2)),
        }
    }

    /// The product of values with as many weights from `start` on, exactly.
    pub(crate) fn dot(&self, start: usize, values: &[i16]) -> i64 {
        match self {
            Self::Int8(weights) => dot_bytes(values, weights.get(start..).unwrap_or(&[])),
            Self::Int4(bytes) => dot_nibbles(values, bytes.get(start / 2..).unwrap_or(&[]), start),
        }
    }

    /// Puts the product of `values` with each of `count` rows of as many weights, the first of which is row `first`, and
    /// whose numbers are those of the channels.
    pub(crate) fn put_rows(
        &self,
        values: &[i16],
        first: usize,
        count: usize,
        sink: &mut Sink<'_, '_>,
    ) {
        for row in first..first + count {
            sink.put(row, self.dot(row * values.len(), values));
        }
    }

    /// Four weights from `at` on, 0 past the end.
    #[inline]
    pub(crate) fn four(&self, at: usize) -> [i32; 4] {
        match self {
            Self::Int8(weights) => match weights.get(at..).and_then(|rest| rest.first_chunk()) {
                Some(four) => four.map(i32::from),
                None => [0, 1, 2, 3].map(|i| weights.get(at + i).map_or(0, |&w| i32::from(w))),
            },
            Self::Int4(bytes) => [at, at + 1, at + 2, at + 3].map(|at| {
                let byte = bytes.get(at / 2).copied().unwrap_or(0);
                if at % 2 == 0 { low(byte) } else { high(byte) }
            }),
        }
    }
}

fn low(byte: u8) -> i32 {
    i32::from((byte << 4) as i8 >> 4)
}

fn high(byte: u8) -> i32 {
    i32::from(byte as i8 >> 4)
}

fn dot_bytes(values: &[i16], weights: &[i8]) -> i64 {
    let chunks = values.chunks(PRODUCTS).zip(weights.chunks(PRODUCTS));
    chunks.fold(0, |sum, (values, weights)| {
        sum + i64::from(dot(values, weights))
    })
}

/// The first weight is in the high half of the first byte where `start` is odd.
fn dot_nibbles(values: &[i16], bytes: &[u8], start: usize) -> i64 {
    let (mut values, mut bytes, mut sum) = (values, bytes, 0);
    if start % 2 == 1
        && let (Some((&value, rest)), Some((&byte, more))) =
            (values.split_first(), bytes.split_first())
    {
        sum = i64::from(i32::from(value) * high(byte));
        (values, bytes) = (rest, more);
    }
    let chunks = values.chunks(2 * PRODUCTS).zip(bytes.chunks(PRODUCTS));
    for (values, bytes) in chunks {
        let mut partial = 0;
        let mut pairs = values.chunks_exact(2);
        for (pair, &byte) in (&mut pairs).zip(bytes) {
            if let &[even, odd] = pair {
                partial += i32::from(even) * low(byte) + i32::from(odd) * high(byte);
            }
        }
        if let (&[value], Some(&byte)) = (pairs.remainder(), bytes.get(values.len() / 2)) {
            partial += i32::from(value) * low(byte);
        }
        sum += i64::from(partial);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{PRODUCTS, Weights};
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn nibbles_and_bytes_agree() {
        let weights: Vec<i8> = (0..1100)
            .map(|i| ((i * 7 + i / 16) % 16) as i8 - 8)
            .collect();
        let nibbles = weights.chunks(2).map(|pair| {
            let odd = pair.get(1).copied().unwrap_or(0);
            (pair[0] as u8 & 15) | (odd as u8) << 4
        });
        let nibbles: Vec<u8> = nibbles.collect();
        let (bytes, nibbles) = (Weights::Int8(&weights), Weights::Int4(&nibbles));
        let values: Vec<i16> = (0..1100).map(|i| (i * 12_345) as i16).collect();
        for start in [0, 1, 2, 3, 64, 99] {
            assert_eq!(bytes.four(start), nibbles.four(start));
            for len in [0, 1, 2, 3, 7, 8, 511, 512, 513, 514, 1000] {
                let values = &values[..len];
                let expected = values.iter().zip(&weights[start..]);
                let expected: i64 = expected.map(|(&v, &w)| i64::from(v) * i64::from(w)).sum();
                assert_eq!(bytes.dot(start, values), expected, "{start} {len}");
                assert_eq!(nibbles.dot(start, values), expected, "{start} {len}");
            }
        }
    }

    #[test]
    fn extremes() {
        let values = [i16::MIN; 3 * PRODUCTS];
        let expected = 3 * PRODUCTS as i64 * 32_768 * 128;
        let bytes = [i8::MIN; 3 * PRODUCTS];
        assert_eq!(Weights::Int8(&bytes).dot(0, &values), expected);
        let nibbles = [0x88; 3 * PRODUCTS / 2];
        assert_eq!(Weights::Int4(&nibbles).dot(0, &values), expected / 16);
        assert_eq!(
            Weights::Int8(&bytes).four(3 * PRODUCTS - 1),
            [-128, 0, 0, 0]
        );
        assert_eq!(Weights::Int8(&[1]).dot(5, &values), 0);
    }
}
