//! The estimate of a whole model on a board.

use larun_graph::{Graph, GraphError};
use serde::Serialize;

use super::memory::live_bytes;
use super::table::{of_interpreter, of_node};
use crate::{Board, Core};

/// What a layer costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerCost {
    /// Its index.
    pub index: usize,
    /// The operator's name.
    pub op: String,
    /// The shape of its first output.
    pub output_shape: Vec<usize>,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Instructions, an estimate.
    pub instructions: f64,
    /// Whether a kernel of this kind was counted; else the instructions are a guess.
    pub counted: bool,
    /// Cycles, an estimate.
    pub cycles: f64,
    /// Milliseconds, an estimate.
    pub milliseconds: f64,
    /// Bytes of constants that no earlier layer uses.
    pub weight_bytes: u64,
    /// Bytes of the values that are alive while it runs.
    pub live_bytes: u64,
}

/// What an inference costs, layer by layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostEstimate {
    /// The layers.
    pub layers: Vec<LayerCost>,
    /// Instructions, the interpreter's own among them.
    pub instructions: f64,
    /// Cycles.
    pub cycles: f64,
    /// Milliseconds of an inference.
    pub milliseconds: f64,
    /// Microjoules of an inference; `None` where no current is known for the board.
    pub microjoules: Option<f64>,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Trained values.
    pub parameters: u64,
    /// Bytes of constants.
    pub weight_bytes: u64,
    /// The most bytes of values that are alive at once: no plan of whole tensors needs less.
    pub live_bytes: u64,
}

/// Estimates an inference of a graph's main subgraph on a board.
///
/// `arena_bytes` is what the model takes of RAM, where that is known: it decides which memory the values are in.
///
/// # Errors
/// When the graph has no subgraph, or the size of a tensor is unknown.
pub fn estimate(
    graph: &Graph,
    board: &Board,
    arena_bytes: Option<u64>,
) -> Result<CostEstimate, GraphError> {
    let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
    let stats = graph.stats()?;
    let live = live_bytes(graph, subgraph)?;
    let most = live.iter().map(|live| live.all).max().unwrap_or(0);
    let processor = Processor {
        core: board.core,
        hertz: board.clock_hz as f64,
        wait_states: board.wait_states(arena_bytes.unwrap_or(most)),
    };
    let mut layers = Vec::with_capacity(subgraph.nodes.len());
    for ((stats, node), live) in stats.nodes.iter().zip(&subgraph.nodes).zip(live) {
        let cost = of_node(subgraph, node, board.core.instruction_set());
        let cycles = cost.instructions * processor.cycles_per_instruction(&cost.mix);
        let output = node.outputs.first().and_then(|&id| subgraph.tensor(id));
        layers.push(LayerCost {
            index: stats.node.index(),
            op: stats.op.clone(),
            output_shape: output.map_or_else(Vec::new, |tensor| tensor.shape.dims().to_vec()),
            macs: stats.macs,
            instructions: cost.instructions,
            counted: cost.counted,
            cycles,
            milliseconds: processor.milliseconds(cycles),
            weight_bytes: stats.constant_bytes,
            live_bytes: live.all,
        });
    }
    let own = of_interpreter(layers.len(), board.core.instruction_set());
    let own_cycles = own * processor.cycles_per_instruction(&super::InstructionMix::TYPICAL);
    let instructions = own + layers.iter().map(|layer| layer.instructions).sum::<f64>();
    let cycles = own_cycles + layers.iter().map(|layer| layer.cycles).sum::<f64>();
    let milliseconds = processor.milliseconds(cycles);
    Ok(CostEstimate {
        layers,
        instructions,
        cycles,
        milliseconds,
        microjoules: board
            .power
            .as_ref()
            .map(|power| power.milliwatts * milliseconds),
        macs: stats.macs,
        parameters: stats.parameters,
        weight_bytes: stats.constant_bytes,
        live_bytes: most,
    })
}

/// A core at a clock, with its memory.
struct Processor {
    core: Core,
    hertz: f64,
    wait_states: f64,
}

impl Processor {
    fn cycles_per_instruction(&self, mix: &super::InstructionMix) -> f64 {
        let accesses = mix.loaded_words + mix.stored_words;
        self.core.timing().cycles_per_instruction(mix) + accesses * self.wait_states
    }

    fn milliseconds(&self, cycles: f64) -> f64 {
        cycles / self.hertz * 1e3
    }
}
