//! Which processor's kernels a plan is for: the faster versions of layers differ in the scratch memory they need.

use crate::arch;
use crate::{ConvGeometry, DenseGeometry, ImageWindow};

/// The processor that is to run a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Processor {
    /// The one that the program is compiled for.
    #[default]
    Own,
    /// One for which there are only the portable definitions: Cortex-M0+, RISC-V.
    Portable,
    /// Armv7E-M with DSP instructions: Cortex-M4, M7, M33.
    Armv7em,
}

impl Processor {
    /// The processor of a compilation target, given its triple and the flags that the compiler is given.
    ///
    /// ```
    /// use larun_kernels::Processor;
    ///
    /// assert_eq!(Processor::of_target("thumbv7em-none-eabihf", ""), Processor::Armv7em);
    /// assert_eq!(
    ///     Processor::of_target("thumbv8m.main-none-eabihf", "-Ctarget-cpu=cortex-m33"),
    ///     Processor::Armv7em,
    /// );
    /// assert_eq!(Processor::of_target("thumbv8m.main-none-eabihf", ""), Processor::Portable);
    /// assert_eq!(Processor::of_target("riscv32imc-unknown-none-elf", ""), Processor::Portable);
    /// ```
    #[must_use]
    pub fn of_target(target: &str, flags: &str) -> Self {
        // Armv7E-M always has the DSP instructions; on Armv8-M they are an option that a processor name or feature
        // turns on. `build.rs` chooses the same way.
        let named = [
            "target-cpu=cortex-m33",
            "target-cpu=cortex-m35p",
            "target-cpu=cortex-m55",
            "target-cpu=cortex-m85",
        ];
        let named = named.iter().any(|name| flags.contains(name));
        let dsp = (named && !flags.contains("-dsp")) || flags.contains("+dsp");
        match target {
            _ if flags.contains("larun_portable") => Self::Portable,
            _ if target.starts_with("thumbv7em") => Self::Armv7em,
            _ if target.starts_with("thumbv8m.main") && dsp => Self::Armv7em,
            // Its faster versions take no more scratch memory than the definitions.
            _ => Self::Portable,
        }
    }

    /// Whether kernels of this program run what is prepared for the processor.
    #[must_use]
    pub const fn is_own(self) -> bool {
        match self {
            Self::Own => true,
            Self::Portable => !cfg!(larun_arch = "armv7em"),
            Self::Armv7em => cfg!(larun_arch = "armv7em"),
        }
    }

    /// The processor asked for. Without the feature `processors` it is the program's own.
    pub(crate) const fn linked(self) -> Self {
        if cfg!(feature = "processors") {
            self
        } else {
            Self::Own
        }
    }

    /// [`conv2d_i8_scratch_len`](crate::conv2d_i8_scratch_len) there, with these ways linked.
    pub(crate) fn conv2d_i8_scratch_len(self, geometry: &ConvGeometry, ways: u32) -> usize {
        let definition = 2 * geometry.patch_len();
        let faster = match self {
            Self::Own => arch::conv2d_i8_scratch_len(geometry, ways),
            #[cfg(feature = "processors")]
            Self::Armv7em => {
                let narrow = crate::packed::narrow_of_conv(geometry);
                let narrow = narrow.map_or(0, |layer| 2 * layer.scratch_words());
                let packed = crate::packed::of_conv(geometry);
                let own = arch::armv7em::conv2d_i8_scratch_len(geometry, ways);
                at_least(packed, own).max(narrow)
            }
            _ => 0,
        };
        if faster > definition {
            faster
        } else {
            definition
        }
    }

    /// [`depthwise_conv2d_i8_scratch_len`](crate::depthwise_conv2d_i8_scratch_len) there, with these ways linked.
    pub(crate) const fn depthwise_conv2d_i8_scratch_len(
        self,
        window: &ImageWindow,
        ways: u32,
    ) -> usize {
        match self {
            Self::Own => arch::depthwise_conv2d_i8_scratch_len(window, ways),
            #[cfg(feature = "processors")]
            Self::Armv7em => arch::armv7em::depthwise_conv2d_i8_scratch_len(window, ways),
            _ => 0,
        }
    }

    /// [`fully_connected_i8_scratch_len`](crate::fully_connected_i8_scratch_len) there.
    pub(crate) fn fully_connected_i8_scratch_len(self, geometry: &DenseGeometry) -> usize {
        match self {
            Self::Own => arch::fully_connected_i8_scratch_len(geometry),
            #[cfg(feature = "processors")]
            Self::Armv7em => {
                let packed = crate::packed::of_dense(geometry);
                at_least(
                    packed,
                    arch::armv7em::fully_connected_i8_scratch_len(geometry),
                )
            }
            _ => 0,
        }
    }
}

/// Elements of an INT16 for a packed layer, where there is one, but no fewer than `least`.
#[cfg(feature = "processors")]
fn at_least(packed: Option<crate::PackedLayer>, least: usize) -> usize {
    let words = packed.map_or(0, |layer| layer.scratch_words());
    words.saturating_mul(2).max(least)
}
