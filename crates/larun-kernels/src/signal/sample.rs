//! The numbers that a Fourier transform computes with: INT16 and INT32 as fractions of one, and FLOAT32.

use bytemuck::Pod;

/// Real and imaginary part.
pub(crate) type Complex<T> = [T; 2];

/// The arithmetic of kissfft. Integers stand for numbers from -1 to 1; their sums wrap, their products are rounded.
pub(crate) trait Sample: Pod + Default {
    /// What holds a sum of two products.
    type Wide: Copy;

    fn plus(self, other: Self) -> Self;

    fn minus(self, other: Self) -> Self;

    fn negated(self) -> Self;

    fn half(self) -> Self;

    /// Half of a sum that may need one more bit.
    fn half_sum(self, other: Self) -> Self;

    /// Half of a difference that may need one more bit.
    fn half_difference(self, other: Self) -> Self;

    /// The product before it is rounded.
    fn wide_product(self, factor: Self) -> Self::Wide;

    fn wide_plus(a: Self::Wide, b: Self::Wide) -> Self::Wide;

    fn wide_minus(a: Self::Wide, b: Self::Wide) -> Self::Wide;

    fn rounded(wide: Self::Wide) -> Self;

    /// Makes room for the sum of `terms` integers; real numbers stay as they are.
    fn scaled_down(self, terms: u8) -> Self;

    /// `e^(i phase)`.
    fn on_unit_circle(phase: f64) -> Complex<Self>;

    /// A result of the inverse transform of `len` samples: real numbers are divided by it, integers were scaled down.
    fn normalized(self, len: f32) -> Self;

    #[inline]
    fn times(self, factor: Self) -> Self {
        Self::rounded(self.wide_product(factor))
    }
}

macro_rules! fraction {
    ($narrow:ty, $wide:ty) => {
        impl Sample for $narrow {
            type Wide = $wide;

            #[inline]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            #[inline]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }

            #[inline]
            fn negated(self) -> Self {
                self.wrapping_neg()
            }

            #[inline]
            fn half(self) -> Self {
                self >> 1
            }

            // A sum of two INT16 has 32 bits in C, one of two INT32 wraps.

            #[inline]
            fn half_sum(self, other: Self) -> Self {
                (i32::from(self).wrapping_add(i32::from(other)) >> 1) as Self
            }

            #[inline]
            fn half_difference(self, other: Self) -> Self {
                (i32::from(self).wrapping_sub(i32::from(other)) >> 1) as Self
            }

            #[inline]
            fn wide_product(self, factor: Self) -> $wide {
                <$wide>::from(self).wrapping_mul(<$wide>::from(factor))
            }

            #[inline]
            fn wide_plus(a: $wide, b: $wide) -> $wide {
                a.wrapping_add(b)
            }

            #[inline]
            fn wide_minus(a: $wide, b: $wide) -> $wide {
                a.wrapping_sub(b)
            }

            #[inline]
            fn rounded(wide: $wide) -> Self {
                (wide.wrapping_add(1 << (Self::BITS - 2)) >> (Self::BITS - 1)) as Self
            }

            #[inline]
            fn scaled_down(self, terms: u8) -> Self {
                self.times(Self::MAX / Self::from(terms.max(1)))
            }

            fn on_unit_circle(phase: f64) -> Complex<Self> {
                let fraction = |x: f64| libm::floor(0.5 + f64::from(Self::MAX) * x) as Self;
                [fraction(libm::cos(phase)), fraction(libm::sin(phase))]
            }

            #[inline]
            fn normalized(self, _: f32) -> Self {
                self
            }
        }
    };
}

fraction!(i16, i32);
fraction!(i32, i64);

impl Sample for f32 {
    type Wide = Self;

    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        self - other
    }

    #[inline]
    fn negated(self) -> Self {
        -self
    }

    #[inline]
    fn half(self) -> Self {
        self * 0.5
    }

    #[inline]
    fn half_sum(self, other: Self) -> Self {
        (self + other) * 0.5
    }

    #[inline]
    fn half_difference(self, other: Self) -> Self {
        (self - other) * 0.5
    }

    #[inline]
    fn wide_product(self, factor: Self) -> Self {
        self * factor
    }

    #[inline]
    fn wide_plus(a: Self, b: Self) -> Self {
        a + b
    }

    #[inline]
    fn wide_minus(a: Self, b: Self) -> Self {
        a - b
    }

    #[inline]
    fn rounded(wide: Self) -> Self {
        wide
    }

    #[inline]
    fn scaled_down(self, _: u8) -> Self {
        self
    }

    fn on_unit_circle(phase: f64) -> Complex<Self> {
        [libm::cos(phase) as Self, libm::sin(phase) as Self]
    }

    #[inline]
    fn normalized(self, len: f32) -> Self {
        self / len
    }
}

#[inline]
pub(crate) fn add<T: Sample>([a, b]: Complex<T>, [c, d]: Complex<T>) -> Complex<T> {
    [a.plus(c), b.plus(d)]
}

#[inline]
pub(crate) fn subtract<T: Sample>([a, b]: Complex<T>, [c, d]: Complex<T>) -> Complex<T> {
    [a.minus(c), b.minus(d)]
}

/// The product, each part rounded once.
#[inline]
pub(crate) fn multiply<T: Sample>([a, b]: Complex<T>, [c, d]: Complex<T>) -> Complex<T> {
    [
        T::rounded(T::wide_minus(a.wide_product(c), b.wide_product(d))),
        T::rounded(T::wide_plus(a.wide_product(d), b.wide_product(c))),
    ]
}

#[inline]
pub(crate) fn conjugate<T: Sample>([a, b]: Complex<T>) -> Complex<T> {
    [a, b.negated()]
}

#[inline]
pub(crate) fn scale_down<T: Sample>([a, b]: Complex<T>, terms: u8) -> Complex<T> {
    [a.scaled_down(terms), b.scaled_down(terms)]
}
