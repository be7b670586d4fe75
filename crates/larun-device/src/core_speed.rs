//! How fast processor cores are, from published measurements.

use serde::Serialize;

use crate::Board;

/// A processor core, and the cycles that INT8 networks take on it for a multiply-accumulate.
///
/// | core | cycles | from |
/// |---|---:|---|
/// | Cortex-M4F | 3.8 | median of the four MLPerf Tiny models with CMSIS-NN on an STM32L4R5 at 120 MHz: microTVM 3.7 to 4.8 and ONNC 2.9 to 4.2 (MLPerf Tiny v1.1) |
/// | Cortex-M0+ | 10.7 | median of the four on an STM32G0B1 at 64 MHz: 7.8 to 12.1 (Bosch HALE, MLPerf Tiny v1.2) |
/// | Xtensa LX6 | 12.7 | person detection of TensorFlow Lite Micro with ESP-NN on an ESP32: 380 ms for 7.16 million at 240 MHz (esp-tflite-micro's README) |
/// | ARM1176 | 7.5 | nothing published: the median of TensorFlow Lite Micro's plain kernels on a Cortex-M4, 4.6 to 9.6 (MLPerf Tiny v0.5) |
///
/// So kernels made for the core are taken for granted, except on the ARM1176. A network of few channels, or with much of its work in
/// depthwise convolutions, takes up to two or three times as long as the same work elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Core {
    /// Arm Cortex-M4 with a floating-point unit.
    #[serde(rename = "cortex-m4f")]
    CortexM4F,
    /// Arm Cortex-M0+.
    CortexM0Plus,
    /// Xtensa LX6, of which one of the two cores runs.
    XtensaLx6,
    /// Arm1176JZF-S.
    Arm1176,
}

impl Core {
    /// What the core is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CortexM4F => "Cortex-M4F",
            Self::CortexM0Plus => "Cortex-M0+",
            Self::XtensaLx6 => "Xtensa LX6",
            Self::Arm1176 => "ARM1176",
        }
    }

    /// Cycles of a multiply-accumulate in an INT8 network.
    #[must_use]
    pub const fn cycles_per_mac(self) -> f64 {
        match self {
            Self::CortexM4F => 3.8,
            Self::CortexM0Plus => 10.7,
            Self::XtensaLx6 => 12.7,
            Self::Arm1176 => 7.5,
        }
    }
}

/// How long an inference takes, not measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyEstimate {
    /// Milliseconds of one inference.
    pub milliseconds: f64,
    /// How the estimate was made.
    pub model: String,
}

impl LatencyEstimate {
    /// The time that so many multiply-accumulates take on a board.
    #[must_use]
    pub fn new(operations: u64, board: &Board) -> Self {
        let cycles = board.core.cycles_per_mac();
        let milliseconds = operations as f64 * cycles / board.clock_hz as f64 * 1e3;
        let megahertz = board.clock_hz as f64 / 1e6;
        let core = board.core.name();
        let model = format!(
            "estimate: {operations} MACs at {cycles} cycles each ({core}, INT8) and {megahertz} MHz"
        );
        Self {
            milliseconds,
            model,
        }
    }
}
