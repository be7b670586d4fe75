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

/// The product of an input less its zero point with a row of weights.
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
