//! Inner products: INT8 weights with INT32 accumulators that wrap, and real numbers in a fixed order.
//!
//! INT8 inputs are widened to 16 bits before the product: processors multiply pairs of 16-bit lanes in one instruction,
//! and the differences to a zero point fit.

/// The products of two patches with two rows of weights: `[p0 w0, p1 w0, p0 w1, p1 w1]`.
///
/// Every value that is loaded serves two products.
pub(crate) fn dot_2x2(p0: &[i16], p1: &[i16], w0: &[i8], w1: &[i8]) -> [i32; 4] {
    let mut sums = [0i32; 4];
    for (((&p0, &p1), &w0), &w1) in p0.iter().zip(p1).zip(w0).zip(w1) {
        let (p0, p1) = (i32::from(p0), i32::from(p1));
        let (w0, w1) = (i32::from(w0), i32::from(w1));
        sums[0] = sums[0].wrapping_add(p0 * w0);
        sums[1] = sums[1].wrapping_add(p1 * w0);
        sums[2] = sums[2].wrapping_add(p0 * w1);
        sums[3] = sums[3].wrapping_add(p1 * w1);
    }
    sums
}

/// As [`dot_2x2`], with the values of two patches alternating: one load brings both, which leaves registers where there
/// are few.
#[inline(never)]
pub(crate) fn dot_pairs(patches: &[i16], w0: &[i8], w1: &[i8]) -> [i32; 4] {
    let mut sums = [0i32; 4];
    for ((&pair, &w0), &w1) in patches.as_chunks().0.iter().zip(w0).zip(w1) {
        let pair = bytemuck::cast::<[i16; 2], u32>(pair);
        let (p0, p1) = (i32::from(pair as i16), pair as i32 >> 16);
        let (w0, w1) = (i32::from(w0), i32::from(w1));
        sums[0] = sums[0].wrapping_add(p0 * w0);
        sums[1] = sums[1].wrapping_add(p1 * w0);
        sums[2] = sums[2].wrapping_add(p0 * w1);
        sums[3] = sums[3].wrapping_add(p1 * w1);
    }
    // The order in which a word holds two halves.
    if cfg!(target_endian = "big") {
        sums.swap(0, 1);
        sums.swap(2, 3);
    }
    sums
}

/// The product of a patch with a row of weights.
pub(crate) fn dot(patch: &[i16], weights: &[i8]) -> i32 {
    patch.iter().zip(weights).fold(0i32, |sum, (&p, &w)| {
        sum.wrapping_add(i32::from(p) * i32::from(w))
    })
}

/// The products of an input, whose values `convert` makes differences to the zero point, with four rows of weights.
pub(crate) fn dot_rows<T: Copy>(
    input: &[T],
    rows: [&[i8]; 4],
    convert: impl Fn(T) -> i16,
) -> [i32; 4] {
    let mut sums = [0i32; 4];
    let done = match crate::lanes::FEW_REGISTERS {
        true => add_quads(&mut sums, input, rows, &convert),
        false => 0,
    };
    let input = input.get(done..).unwrap_or(&[]);
    let [a, b, c, d] = rows.map(|row| row.get(done..).unwrap_or(&[]));
    for ((((&x, &a), &b), &c), &d) in input.iter().zip(a).zip(b).zip(c).zip(d) {
        let x = i32::from(convert(x));
        sums[0] = sums[0].wrapping_add(x * i32::from(a));
        sums[1] = sums[1].wrapping_add(x * i32::from(b));
        sums[2] = sums[2].wrapping_add(x * i32::from(c));
        sums[3] = sums[3].wrapping_add(x * i32::from(d));
    }
    sums
}

/// Adds the products of the whole quads of an input to the sums of four rows, row by row; returns how many values those
/// are.
#[inline(never)]
fn add_quads<T: Copy>(
    sums: &mut [i32; 4],
    input: &[T],
    rows: [&[i8]; 4],
    convert: impl Fn(T) -> i16,
) -> usize {
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<4>().0);
    let quads = input.as_chunks::<4>().0;
    for ((((quad, a), b), c), d) in quads.iter().zip(a).zip(b).zip(c).zip(d) {
        let quad = quad.map(|x| i32::from(convert(x)));
        for (sum, weights) in sums.iter_mut().zip([a, b, c, d]) {
            for (x, &w) in quad.into_iter().zip(weights) {
                *sum = sum.wrapping_add(x * i32::from(w));
            }
        }
    }
    4 * quads.len()
}

/// The products of an input less its zero point with four rows of weights.
pub(crate) fn dot_rows_i8(input: &[i8], zero_point: i16, rows: [&[i8]; 4]) -> [i32; 4] {
    if !crate::lanes::FEW_REGISTERS {
        let convert = |x: i8| i16::from(x).wrapping_sub(zero_point);
        return dot_rows(input, rows, convert);
    }
    // Behind a ReLU the zero point is the lowest value, and there is nothing to subtract.
    let (mut sums, done) = match zero_point {
        -128 => quads_i8::<false>(input, zero_point, rows),
        _ => quads_i8::<true>(input, zero_point, rows),
    };
    let input = input.get(done..).unwrap_or(&[]);
    if !input.is_empty() {
        for (sum, row) in sums.iter_mut().zip(rows) {
            let row = row.get(done..).unwrap_or(&[]);
            *sum = sum.wrapping_add(dot_row(input, zero_point, row));
        }
    }
    sums
}

/// The four rows of which some weights are. Halves need no checks.
#[inline]
pub(crate) fn quarters(weights: &[i8]) -> [&[i8]; 4] {
    let halves = |weights: &[i8]| weights.len() / 2;
    let (first, second) = weights
        .split_at_checked(halves(weights))
        .unwrap_or_default();
    let (a, b) = first.split_at_checked(halves(first)).unwrap_or_default();
    let (c, d) = second.split_at_checked(halves(second)).unwrap_or_default();
    [a, b, c, d]
}

/// The products of the whole quads of an input, and how many values those are. Two values less their zero point, of which
/// `SUBTRACT` says whether it is other than the lowest, share a register: so there are enough.
#[inline(never)]
fn quads_i8<const SUBTRACT: bool>(
    input: &[i8],
    zero_point: i16,
    rows: [&[i8]; 4],
) -> ([i32; 4], usize) {
    let above = (i32::from(zero_point) + 128) as u32;
    let above = above << 16 | above;
    let pair = |bytes: u32| match SUBTRACT {
        // The highest bit of each half keeps the difference of the lower from taking one off the upper.
        true => (bytes & 0x00ff_00ff | 0x8000_8000).wrapping_sub(above) ^ 0x8000_8000,
        false => bytes & 0x00ff_00ff,
    };
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<4>().0);
    let quads = input.as_chunks::<4>().0;
    let mut sums = [0; 4];
    for ((((&quad, a), b), c), d) in quads.iter().zip(a).zip(b).zip(c).zip(d) {
        // Bytes that count from 0.
        let bytes = u32::from_le_bytes(quad.map(|x| x as u8)) ^ 0x8080_8080;
        let (evens, odds) = (pair(bytes), pair(bytes >> 8));
        // One by one: a loop over them stays a loop where the compiler is told to save space.
        sums[0] = add_quad(sums[0], evens, odds, a);
        sums[1] = add_quad(sums[1], evens, odds, b);
        sums[2] = add_quad(sums[2], evens, odds, c);
        sums[3] = add_quad(sums[3], evens, odds, d);
    }
    (sums, 4 * quads.len())
}

/// A sum with the products of four weights and as many values: the first and the third in the halves of `evens`.
#[inline(always)]
fn add_quad(sum: i32, evens: u32, odds: u32, &[a, b, c, d]: &[i8; 4]) -> i32 {
    sum.wrapping_add(i32::from(evens as i16) * i32::from(a))
        .wrapping_add(i32::from(odds as i16) * i32::from(b))
        .wrapping_add((evens as i32 >> 16) * i32::from(c))
        .wrapping_add((odds as i32 >> 16) * i32::from(d))
}

/// The product of an input less its zero point with a row of weights.
#[cfg_attr(larun_arch = "armv7em", inline(never))]
pub(crate) fn dot_row(input: &[i8], zero_point: i16, row: &[i8]) -> i32 {
    input.iter().zip(row).fold(0i32, |sum, (&x, &w)| {
        let x = i32::from(i16::from(x).wrapping_sub(zero_point));
        sum.wrapping_add(x * i32::from(w))
    })
}

/// Values less their zero point, in 16 bits.
pub(crate) fn widen<T: Copy + Into<i16>>(values: &[T], zero_point: i32, widened: &mut [i16]) {
    for (widened, &value) in widened.iter_mut().zip(values) {
        *widened = value.into().wrapping_sub(zero_point as i16);
    }
}

/// The products of 16-bit values with four rows of weights.
pub(crate) fn dot_4(values: &[i16], [a, b, c, d]: [&[i8]; 4]) -> [i32; 4] {
    let mut sums = [0i32; 4];
    for ((((&x, &a), &b), &c), &d) in values.iter().zip(a).zip(b).zip(c).zip(d) {
        let x = i32::from(x);
        sums[0] = sums[0].wrapping_add(x * i32::from(a));
        sums[1] = sums[1].wrapping_add(x * i32::from(b));
        sums[2] = sums[2].wrapping_add(x * i32::from(c));
        sums[3] = sums[3].wrapping_add(x * i32::from(d));
    }
    sums
}

/// The products of 16-bit values with every row of a matrix, each with its row's number.
pub(crate) fn for_each_row(values: &[i16], matrix: &[i8], mut each: impl FnMut(usize, i32)) {
    let len = values.len().max(1);
    for (block, rows) in matrix.chunks(len.saturating_mul(4)).enumerate() {
        let sums = dot_4(values, four_rows(rows, len));
        for (lane, sum) in sums.into_iter().enumerate().take(rows.len() / len) {
            each(4 * block + lane, sum);
        }
    }
}

/// Adds to each sum the products of the values with its row of weights, one after the other.
///
/// Each sum is a chain of dependent additions; four chains keep the processor busy.
pub(crate) fn add_products(sums: &mut [f32; 4], values: &[f32], [a, b, c, d]: [&[f32]; 4]) {
    for ((((&value, &a), &b), &c), &d) in values.iter().zip(a).zip(b).zip(c).zip(d) {
        sums[0] += value * a;
        sums[1] += value * b;
        sums[2] += value * c;
        sums[3] += value * d;
    }
}

/// Up to four rows of `len` weights; missing ones count as the first.
pub(crate) fn four_rows<T>(rows: &[T], len: usize) -> [&[T]; 4] {
    let row = |i: usize| rows.get(i * len..(i + 1) * len);
    let first = row(0).unwrap_or(&[]);
    [0, 1, 2, 3].map(|i| row(i).unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quads_are_exact() {
        let values = |from: i32, step: i32| -> [i8; 23] {
            core::array::from_fn(|i| (from + step * i as i32) as i8)
        };
        let extremes: [i8; 23] = core::array::from_fn(|i| [-128, 127, 0, -1][i % 4]);
        let rows = [values(-128, 77), extremes, [-128; 23], values(5, 31)];
        let rows = rows.each_ref().map(<[i8; 23]>::as_slice);
        for input in [values(17, 59), extremes, [-128; 23], [127; 23]] {
            for zero_point in [-128, -127, -3, 0, 127] {
                for len in [0, 3, 4, 20, 23] {
                    let input = &input[..len];
                    let expected = rows.map(|row| dot_row(input, zero_point, row));
                    assert_eq!(dot_rows_i8(input, zero_point, rows), expected);
                    let (sums, done) = match zero_point {
                        -128 => quads_i8::<false>(input, zero_point, rows),
                        _ => quads_i8::<true>(input, zero_point, rows),
                    };
                    assert_eq!(done, len / 4 * 4);
                    let expected = rows.map(|row| dot_row(&input[..done], zero_point, row));
                    assert_eq!(sums, expected, "{zero_point} {len}");
                }
            }
        }
    }
}
