//! The layers of this directory against the portable definitions, level by level.

use super::super::cases::{Faster, Kind, Weighted, on_many};
use super::detect::Level;
use crate::{AddQuantization, ConvGeometry, DenseGeometry, ImageWindow};

impl Level {
    /// Whether the processor has the level. A test that it has to leave out says so, by name.
    pub(super) fn is_there(self, test: &str) -> bool {
        let there = self <= Self::detected();
        if !there {
            std::eprintln!("skipped: {test}: this processor has no {self:?}");
        }
        there
    }
}

/// Methods are called only at levels that are there.
impl Faster for Level {
    fn conv2d_i8(
        &self,
        geometry: &ConvGeometry,
        w: &Weighted<'_>,
        output: &mut [i8],
        _: &mut [i16],
    ) -> bool {
        // SAFETY: the level is there.
        unsafe {
            Self::conv2d_i8(
                *self,
                geometry,
                &w.quantization,
                w.input,
                w.filter,
                w.bias,
                output,
            )
        }
    }

    fn depthwise_conv2d_i8(
        &self,
        window: &ImageWindow,
        w: &Weighted<'_>,
        output: &mut [i8],
        _: &mut [i16],
    ) -> bool {
        let q = &w.quantization;
        // SAFETY: the level is there.
        unsafe { Self::depthwise_conv2d_i8(*self, window, q, w.input, w.filter, w.bias, output) }
    }

    fn fully_connected_i8(
        &self,
        geometry: &DenseGeometry,
        w: &Weighted<'_>,
        output: &mut [i8],
        _: &mut [i16],
    ) -> bool {
        let q = &w.quantization;
        // SAFETY: the level is there.
        unsafe { Self::fully_connected_i8(*self, geometry, q, w.input, w.filter, w.bias, output) }
    }

    fn add_i8(
        &self,
        quantization: &AddQuantization,
        a: &[i8],
        b: &[i8],
        output: &mut [i8],
    ) -> bool {
        // SAFETY: the level is there.
        unsafe { Self::add_i8(*self, quantization, a, b, output) }
    }
}

/// Tests of one level.
macro_rules! tests_of {
    ($module:ident, $level:expr, $($test:ident: $kind:expr,)*) => {
        mod $module {
            use super::*;

            $(#[test]
            fn $test() {
                if $level.is_there(concat!(module_path!(), "::", stringify!($test))) {
                    on_many($kind, &$level);
                }
            })*
        }
    };
}

tests_of! {
    avx2, Level::Avx2,
    convolutions: Kind::Conv,
    depthwise_convolutions: Kind::Depthwise,
    dense_layers: Kind::Dense,
    sums: Kind::Add,
}

tests_of! {
    vnni, Level::Vnni,
    convolutions: Kind::Conv,
    depthwise_convolutions: Kind::Depthwise,
    dense_layers: Kind::Dense,
    sums: Kind::Add,
}

#[test]
fn the_portable_level_computes_nothing_itself() {
    let mut memory = super::super::cases::Memory::NEW;
    for kind in [Kind::Conv, Kind::Depthwise, Kind::Dense, Kind::Add] {
        assert!((0..100).all(|seed| memory.agrees(kind, seed, &Level::Portable).is_none()));
    }
}
