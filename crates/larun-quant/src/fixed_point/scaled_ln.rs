//! The natural logarithm of an integer, from a table of 128 segments.

/// Fractional bits of the logarithms inside.
const BITS: u32 = 16;

/// Logarithm of the number of segments.
const SEGMENT_BITS: u32 = 7;

/// `ln(2)` with [`BITS`] fractional bits.
const LN_2: u64 = 45_426;

/// `log2(1 + x) - x` with [`BITS`] fractional bits for `x = i / 128`.
const BULGE: [u16; 129] = [
    0, 224, 442, 654, 861, 1063, 1259, 1450, 1636, 1817, 1992, 2163, 2329, 2490, 2646, 2797, 2944,
    3087, 3224, 3358, 3487, 3611, 3732, 3848, 3960, 4068, 4172, 4272, 4368, 4460, 4549, 4633, 4714,
    4791, 4864, 4934, 5001, 5063, 5123, 5178, 5231, 5280, 5326, 5368, 5408, 5444, 5477, 5507, 5533,
    5557, 5578, 5595, 5610, 5622, 5631, 5637, 5640, 5641, 5638, 5633, 5626, 5615, 5602, 5586, 5568,
    5547, 5524, 5498, 5470, 5439, 5406, 5370, 5332, 5291, 5249, 5203, 5156, 5106, 5054, 5000, 4944,
    4885, 4825, 4762, 4697, 4630, 4561, 4490, 4416, 4341, 4264, 4184, 4103, 4020, 3935, 3848, 3759,
    3668, 3575, 3481, 3384, 3286, 3186, 3084, 2981, 2875, 2768, 2659, 2549, 2437, 2323, 2207, 2090,
    1971, 1851, 1729, 1605, 1480, 1353, 1224, 1094, 963, 830, 695, 559, 421, 282, 142, 0,
];

/// `scale * ln(x)`, rounded; 0 for `x = 0`. The product with `scale` wraps at 32 bits before its 16 fractional bits are
/// dropped.
#[doc(alias = "Log32")]
#[must_use]
pub fn scaled_ln(x: u32, scale: u32) -> u32 {
    let Some(integer) = x.checked_ilog2() else {
        return 0;
    };
    // What is left of x below its highest bit, with `BITS` bits.
    let below = x.wrapping_sub(1 << integer);
    let fraction = match integer.checked_sub(BITS) {
        Some(excess) => below >> excess,
        None => below << (BITS - integer),
    };
    let log2 = (integer << BITS).wrapping_add(fraction.wrapping_add(bulge(fraction)));
    let round = 1u32 << (BITS - 1);
    let natural = (LN_2 * u64::from(log2) + u64::from(round)) >> BITS;
    scale.wrapping_mul(natural as u32).wrapping_add(round) >> BITS
}

/// What the logarithm of `1 + fraction` is above `fraction`, between two entries of the table.
fn bulge(fraction: u32) -> u32 {
    let segment = (fraction >> (BITS - SEGMENT_BITS)) as usize;
    let entry = |at: usize| i32::from(BULGE.get(at).copied().unwrap_or(0));
    let (start, end) = (entry(segment), entry(segment + 1));
    let within = (fraction & ((1 << (BITS - SEGMENT_BITS)) - 1)) as i32;
    (start + (((end - start) * within) >> BITS)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_its_formula() {
        for (i, entry) in BULGE.iter().enumerate() {
            let x = i as f64 / 128.0;
            let expected = (libm::log2(1.0 + x) - x) * 65536.0;
            assert!(
                (f64::from(*entry) - expected).abs() <= 0.52,
                "{i}: {entry} {expected}"
            );
        }
    }
}
