//! Processor cores: the instructions they run and the cycles these take.

use serde::{Deserialize, Serialize};

use crate::cost::{InstructionSet, Timing};

/// A processor core.
///
/// What its cycles come from:
///
/// | core | code counted | cycles |
/// |---|---|---|
/// | Cortex-M0+ | Armv6-M | Cortex-M0+ Technical Reference Manual: loads and stores 2, of several words 1 + words, taken branches 2, multiplications 1 |
/// | Cortex-M4F | Armv7E-M | Cortex-M4 Technical Reference Manual: loads 2, of several words 1 + words, stores 1, taken branches 1 + refill (2 here), divisions 2 to 12 |
/// | Cortex-M33 | Armv7E-M, which it runs | the M4's times 0.88: the median ratio of X-CUBE-AI and Plumerai on an STM32U575 to the same on an STM32L4R5 (MLPerf Tiny v1.1, v1.2) |
/// | Cortex-M7 | Armv7E-M | the M4's times 0.63: that ratio for STM32H7A3 and STM32F746 |
/// | Cortex-M55 | Armv7E-M | as the Cortex-M33: none of LARUN's kernels uses Helium, and nothing is published without it |
/// | Cortex-M85 | Armv7E-M | as the Cortex-M7, for the same reason |
/// | RISC-V of ESP32-C3 | RV32IMC | 1 an instruction, loads and taken branches 2, divisions about 17: a single-issue pipeline of four stages; nothing is published |
/// | Xtensa LX6, LX7 | RV32IMC | as that: nothing of LARUN's was counted on Xtensa |
/// | Arm1176 | RV32IMC | as that: nothing of LARUN's was counted on Armv6 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Core {
    /// Arm Cortex-M0+ with the multiplier of one cycle.
    CortexM0Plus,
    /// Arm Cortex-M4 with a floating-point unit.
    #[serde(rename = "cortex-m4f")]
    CortexM4F,
    /// Arm Cortex-M7.
    CortexM7,
    /// Arm Cortex-M33 with the DSP extension.
    CortexM33,
    /// Arm Cortex-M55; Helium is not used.
    CortexM55,
    /// Arm Cortex-M85; Helium is not used.
    CortexM85,
    /// 32-bit RISC-V with multiplication and compressed instructions.
    RiscV32,
    /// Xtensa LX6, of which one of the two cores runs.
    XtensaLx6,
    /// Xtensa LX7, of which one of the two cores runs; its vector instructions are not used.
    XtensaLx7,
    /// Arm1176JZF-S.
    Arm1176,
}

/// Documented timings of the Cortex-M4; others are in proportion.
const CORTEX_M4: Timing = Timing {
    load: 1.0,
    word: 1.0,
    store: 0.0,
    taken: 2.0,
    multiplication: 0.0,
    division: 6.0,
    factor: 1.0,
};

impl Core {
    /// Every core.
    pub const ALL: &'static [Self] = &[
        Self::CortexM0Plus,
        Self::CortexM4F,
        Self::CortexM7,
        Self::CortexM33,
        Self::CortexM55,
        Self::CortexM85,
        Self::RiscV32,
        Self::XtensaLx6,
        Self::XtensaLx7,
        Self::Arm1176,
    ];

    /// What the core is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CortexM0Plus => "Cortex-M0+",
            Self::CortexM4F => "Cortex-M4F",
            Self::CortexM7 => "Cortex-M7",
            Self::CortexM33 => "Cortex-M33",
            Self::CortexM55 => "Cortex-M55",
            Self::CortexM85 => "Cortex-M85",
            Self::RiscV32 => "RISC-V RV32IMC",
            Self::XtensaLx6 => "Xtensa LX6",
            Self::XtensaLx7 => "Xtensa LX7",
            Self::Arm1176 => "ARM1176",
        }
    }

    /// The instruction set whose counts stand for the core.
    #[must_use]
    pub const fn instruction_set(self) -> InstructionSet {
        match self {
            Self::CortexM0Plus => InstructionSet::Armv6M,
            Self::CortexM4F
            | Self::CortexM7
            | Self::CortexM33
            | Self::CortexM55
            | Self::CortexM85 => InstructionSet::Armv7EM,
            Self::RiscV32 | Self::XtensaLx6 | Self::XtensaLx7 | Self::Arm1176 => {
                InstructionSet::Rv32imc
            }
        }
    }

    /// The target triple that Rust compiles for, and the flags of the compiler (`RUSTFLAGS`) with which it has the core's instructions;
    /// no flags where the triple says it all.
    #[must_use]
    pub const fn rust_target(self) -> (&'static str, &'static str) {
        match self {
            Self::CortexM0Plus => ("thumbv6m-none-eabi", ""),
            Self::CortexM4F | Self::CortexM7 => ("thumbv7em-none-eabihf", ""),
            // Armv8-M has the DSP instructions as an option, which the name of a processor turns on. M55 and M85 run M33's code.
            Self::CortexM33 | Self::CortexM55 | Self::CortexM85 => {
                ("thumbv8m.main-none-eabihf", "-C target-cpu=cortex-m33")
            }
            Self::RiscV32 => ("riscv32imc-unknown-none-elf", ""),
            Self::XtensaLx6 => ("xtensa-esp32-none-elf", ""),
            Self::XtensaLx7 => ("xtensa-esp32s3-none-elf", ""),
            Self::Arm1176 => ("arm-unknown-linux-gnueabihf", ""),
        }
    }

    /// Whether the counts are of the core's own instruction set.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        !matches!(self, Self::XtensaLx6 | Self::XtensaLx7 | Self::Arm1176)
    }

    /// The cycles of its instructions.
    #[must_use]
    pub fn timing(self) -> Timing {
        let times = |factor| Timing {
            factor,
            ..CORTEX_M4
        };
        match self {
            Self::CortexM0Plus => Timing {
                load: 1.0,
                word: 1.0,
                store: 1.0,
                taken: 1.0,
                multiplication: 0.0,
                division: 0.0,
                factor: 1.0,
            },
            Self::CortexM4F => CORTEX_M4,
            Self::CortexM33 | Self::CortexM55 => times(0.88),
            Self::CortexM7 | Self::CortexM85 => times(0.63),
            Self::RiscV32 | Self::XtensaLx6 | Self::XtensaLx7 | Self::Arm1176 => Timing {
                load: 1.0,
                word: 0.0,
                store: 0.0,
                taken: 1.0,
                multiplication: 0.0,
                division: 16.0,
                factor: 1.0,
            },
        }
    }
}
