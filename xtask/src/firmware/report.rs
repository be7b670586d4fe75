//! The figures of models on a board, beside those of TensorFlow Lite Micro.

use std::path::Path;

use serde::Serialize;

use super::{Error, write};

/// What a model takes on a board.
#[derive(Serialize)]
pub(super) struct Measured {
    pub(super) model: String,
    /// Instructions of an inference.
    pub(super) instructions: u64,
    /// Instructions of loading.
    pub(super) load_instructions: u64,
    /// Bytes of flash without the model and the start-up code.
    pub(super) code_bytes: u64,
    pub(super) arena_bytes: u64,
    /// Bytes of stack in use at most.
    pub(super) stack_bytes: u64,
}

/// TensorFlow Lite Micro (August 2026) with CMSIS-NN (July 2026) on the same board, counted with an instruction-counting
/// plugin: instructions (the best of three builds with CMSIS-NN; the reference kernels at -O2), bytes of flash without
/// the model (with CMSIS-NN), bytes of arena.
pub(super) struct Peer {
    model: &'static str,
    pub(super) optimised: u64,
    reference: u64,
    code_bytes: u64,
    /// With the registrations that leave out the float and INT16 paths.
    pub(super) int8_code_bytes: u64,
    pub(super) model_bytes: u64,
    arena_bytes: u64,
    /// With CMSIS-NN, as the stack.
    pub(super) cmsis_arena_bytes: u64,
    pub(super) stack_bytes: u64,
}

/// The figures of a model, where it is one of MLPerf Tiny.
pub(super) fn peer(model: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.model == model)
}

const PEERS: [Peer; 5] = [
    Peer {
        model: "kws_int8",
        optimised: 7_226_054,
        reference: 43_039_848,
        code_bytes: 83_723,
        int8_code_bytes: 52_939,
        model_bytes: 53_936,
        arena_bytes: 22_772,
        cmsis_arena_bytes: 22_820,
        stack_bytes: 1_324,
    },
    Peer {
        model: "ic_resnet8_int8",
        optimised: 28_504_793,
        reference: 107_403_474,
        code_bytes: 78_583,
        int8_code_bytes: 50_743,
        model_bytes: 98_496,
        arena_bytes: 54_340,
        cmsis_arena_bytes: 54_996,
        stack_bytes: 1_324,
    },
    Peer {
        model: "vww_int8",
        optimised: 22_609_423,
        reference: 100_251_091,
        code_bytes: 83_723,
        int8_code_bytes: 52_939,
        model_bytes: 333_288,
        arena_bytes: 100_660,
        cmsis_arena_bytes: 100_708,
        stack_bytes: 1_324,
    },
    Peer {
        model: "ad01_int8",
        optimised: 573_284,
        reference: 1_952_425,
        code_bytes: 31_315,
        int8_code_bytes: 27_571,
        model_bytes: 276_976,
        arena_bytes: 2_260,
        cmsis_arena_bytes: 2_580,
        stack_bytes: 828,
    },
    Peer {
        model: "sww_int8",
        optimised: 2_116_785,
        reference: 8_285_517,
        code_bytes: 80_611,
        int8_code_bytes: 50_371,
        model_bytes: 74_520,
        arena_bytes: 15_252,
        cmsis_arena_bytes: 16_596,
        stack_bytes: 1_104,
    },
];

/// The figures so far.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(super) struct MeasuredTable(Vec<Measured>);

impl MeasuredTable {
    /// Adds a model; returns its lines of the report.
    pub(super) fn push(&mut self, measured: Measured) -> String {
        let lines = lines(&measured);
        self.0.push(measured);
        lines
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        write(path, &json)
    }
}

fn lines(measured: &Measured) -> String {
    let Measured {
        model,
        instructions,
        load_instructions,
        code_bytes,
        arena_bytes,
        stack_bytes,
    } = measured;
    let own = format!(
        "{model}: {instructions} instructions ({load_instructions} to load), {code_bytes} bytes of flash, {arena_bytes} of \
         arena, {stack_bytes} of stack"
    );
    let Some(peer) = peer(model) else {
        return own;
    };
    let ratio = |own: u64, peer: u64| own as f64 / peer as f64;
    format!(
        "{own}\n  against TensorFlow Lite Micro: {:.3} of CMSIS-NN's instructions, {:.3} of the reference kernels'; {:.2} of \
         the flash with CMSIS-NN; {:.2} of the arena",
        ratio(*instructions, peer.optimised),
        ratio(*instructions, peer.reference),
        ratio(*code_bytes, peer.code_bytes),
        ratio(*arena_bytes, peer.arena_bytes),
    )
}
