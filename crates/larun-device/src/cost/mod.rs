//! What a model costs on a board: instructions, cycles, milliseconds, microjoules, bytes; layer by layer.
//!
//! Instructions come from counts of LARUN's own kernels: `cargo xtask calibrate-costs` runs many layers in QEMU, and every kernel's
//! count is fitted as a sum over what its loops do ([`work`](fn@work)). Cycles come from the mix of instructions and the core's timings.

mod cycles;
mod estimate;
mod generated;
mod memory;
mod table;
mod work;

use serde::{Deserialize, Serialize};

pub use cycles::{InstructionMix, Timing};
pub use estimate::{CostEstimate, LayerCost, estimate};
pub use memory::{LiveBytes, live_bytes};
pub use table::{Fit, INTERPRETER, instructions};
pub use work::{Term, Work, work};

/// The instruction sets whose code was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstructionSet {
    /// Armv6-M: Cortex-M0+.
    #[serde(rename = "armv6-m")]
    Armv6M,
    /// Armv7E-M with its DSP instructions: Cortex-M4 and M7, and the code that M33, M55 and M85 run as well.
    #[serde(rename = "armv7e-m")]
    Armv7EM,
    /// RV32IMC; stands for any processor that has no kernels of its own.
    Rv32imc,
}

/// The kernels that a processor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Written out for the DSP instructions of Cortex-M.
    Dsp,
    /// Compiled from the definition.
    Portable,
}

impl InstructionSet {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::Armv6M, Self::Armv7EM, Self::Rv32imc];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Armv6M => "armv6-m",
            Self::Armv7EM => "armv7e-m",
            Self::Rv32imc => "rv32imc",
        }
    }

    /// The kernels that it runs.
    #[must_use]
    pub const fn kernels(self) -> Kernels {
        match self {
            Self::Armv7EM => Kernels::Dsp,
            Self::Armv6M | Self::Rv32imc => Kernels::Portable,
        }
    }
}
