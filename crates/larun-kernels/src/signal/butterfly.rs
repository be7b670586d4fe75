//! The butterflies of a Fourier transform: what joins two to five transforms into one.
//!
//! Each takes a block of `N` transforms of `len` values and the roots of unity of the whole transform, of which a step
//! of `stride` is the first of the block. Order of operations and roundings are those of kissfft.

use super::sample::{Complex, Sample, add, multiply, scale_down, subtract};

/// Roots of unity in steps of a stride.
#[derive(Clone, Copy)]
pub(crate) struct Roots<'p, T> {
    pub(crate) roots: &'p [Complex<T>],
    pub(crate) stride: usize,
}

impl<T: Sample> Roots<'_, T> {
    #[inline]
    fn get(self, step: usize) -> Complex<T> {
        let root = self.roots.get(step.wrapping_mul(self.stride));
        root.copied().unwrap_or_default()
    }
}

/// The `N` transforms of a block.
fn parts<T, const N: usize>(block: &mut [T], len: usize) -> [&mut [T]; N] {
    let mut parts = block.chunks_exact_mut(len.max(1));
    core::array::from_fn(|_| parts.next().unwrap_or_default())
}

pub(crate) fn join_2<T: Sample>(block: &mut [Complex<T>], len: usize, roots: Roots<'_, T>) {
    let [first, second] = parts(block, len);
    for (k, (a, b)) in first.iter_mut().zip(second).enumerate() {
        let turned = multiply(scale_down(*b, 2), roots.get(k));
        *a = scale_down(*a, 2);
        *b = subtract(*a, turned);
        *a = add(*a, turned);
    }
}

pub(crate) fn join_3<T: Sample>(block: &mut [Complex<T>], len: usize, roots: Roots<'_, T>) {
    // The imaginary part of the third root of unity.
    let [_, third] = roots.get(len);
    let [first, second, last] = parts(block, len);
    for (k, ((a, b), c)) in first.iter_mut().zip(second).zip(last).enumerate() {
        *a = scale_down(*a, 3);
        let turned_b = multiply(scale_down(*b, 3), roots.get(k));
        let turned_c = multiply(scale_down(*c, 3), roots.get(2 * k));
        let sum = add(turned_b, turned_c);
        let [real, imaginary] = subtract(turned_b, turned_c).map(|part| part.times(third));
        let middle = subtract(*a, sum.map(T::half));
        *a = add(*a, sum);
        *c = [middle[0].plus(imaginary), middle[1].minus(real)];
        *b = [middle[0].minus(imaginary), middle[1].plus(real)];
    }
}

pub(crate) fn join_4<T: Sample>(
    block: &mut [Complex<T>],
    len: usize,
    roots: Roots<'_, T>,
    inverse: bool,
) {
    let [first, second, third, last] = parts(block, len);
    let quarters = first.iter_mut().zip(second).zip(third).zip(last);
    for (k, (((a, b), c), d)) in quarters.enumerate() {
        let turned_b = multiply(scale_down(*b, 4), roots.get(k));
        let turned_c = multiply(scale_down(*c, 4), roots.get(2 * k));
        let turned_d = multiply(scale_down(*d, 4), roots.get(3 * k));
        let start = scale_down(*a, 4);
        let difference = subtract(start, turned_c);
        let even = add(start, turned_c);
        let odd = add(turned_b, turned_d);
        let [real, imaginary] = subtract(turned_b, turned_d);
        *c = subtract(even, odd);
        *a = add(even, odd);
        let ahead = [difference[0].minus(imaginary), difference[1].plus(real)];
        let behind = [difference[0].plus(imaginary), difference[1].minus(real)];
        (*b, *d) = match inverse {
            true => (ahead, behind),
            false => (behind, ahead),
        };
    }
}

pub(crate) fn join_5<T: Sample>(block: &mut [Complex<T>], len: usize, roots: Roots<'_, T>) {
    // The first and second of the fifth roots of unity.
    let (ya, yb) = (roots.get(len), roots.get(2 * len));
    let [p0, p1, p2, p3, p4] = parts(block, len);
    let fifths = p0.iter_mut().zip(p1).zip(p2).zip(p3).zip(p4);
    for (k, ((((a, b), c), d), e)) in fifths.enumerate() {
        let start = scale_down(*a, 5);
        let turned = |value: Complex<T>, n: usize| multiply(scale_down(value, 5), roots.get(n * k));
        let (b1, c2, d3, e4) = (turned(*b, 1), turned(*c, 2), turned(*d, 3), turned(*e, 4));
        let (outer, outer_difference) = (add(b1, e4), subtract(b1, e4));
        let (inner, inner_difference) = (add(c2, d3), subtract(c2, d3));
        *a = add(start, add(outer, inner));
        let times = |value: Complex<T>, factor: T| value.map(|part| part.times(factor));
        let along = |[far, _]: Complex<T>, [near, _]: Complex<T>| {
            add(add(start, times(outer, far)), times(inner, near))
        };
        let middle = along(ya, yb);
        let far = times(outer_difference, ya[1]);
        let near = times(inner_difference, yb[1]);
        let turn = [far[1].plus(near[1]), far[0].negated().minus(near[0])];
        *b = subtract(middle, turn);
        *e = add(middle, turn);
        let middle = along(yb, ya);
        let far = times(outer_difference, yb[1]);
        let near = times(inner_difference, ya[1]);
        let turn = [near[1].minus(far[1]), far[0].minus(near[0])];
        *c = add(middle, turn);
        *d = subtract(middle, turn);
    }
}
