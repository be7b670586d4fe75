//! Quantisation after training: what each layer becomes, the parameters of every tensor, and the graph that computes with them.
//!
//! A [`Scheme`] chooses a [`LayerScheme`] for each layer, recipes and searches choose others; one engine applies them. The rules are
//! those of TensorFlow Lite's specification, read from the operator table: activations asymmetric INT8 or symmetric INT16 with one
//! scale a tensor, weights symmetric with one scale an output channel, biases with the scale of input times weights, fixed outputs
//! for LOGISTIC and SOFTMAX, and one set of parameters where an operator only moves values.

pub(crate) mod check;
pub(crate) mod decide;
mod engine;
mod half;
mod layer;
mod placement;
mod rounder;
mod scheme;
pub(crate) mod state;
mod values;
mod warn;
mod weights;

use larun_graph::{Graph, Metadata, Place, Subgraph, TensorId};
use larun_quant::QuantError;

use crate::cleanup::{MEMORY_PLAN, remove_unused};
use crate::{Calibration, PassError};

pub(crate) use check::check_float;
pub use decide::{Decision, Unsupported};
pub use placement::{PlacedValue, PlacedWeights, Placement};
pub use rounder::{RealWeights, RoundToNearest, WeightRounder};
pub use scheme::{Activations, Algorithm, Granularity, LayerScheme, Scheme, Weights};
pub use warn::constant_values;

/// What inputs and outputs of the quantised model are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// Integers: nothing is left in floating point that can be integer.
    #[default]
    Integer,
    /// FLOAT32, with QUANTIZE behind every input and DEQUANTIZE before every output.
    Float,
}

/// How the weights of dense layers are scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DenseWeights {
    /// One scale for the whole matrix. Runtimes from before 2024, Arduino's library among them, read only the
    /// first of several scales and compute nonsense without saying so.
    PerTensor,
    /// One scale for every output, as the current specification allows and TensorFlow's converter does.
    #[default]
    PerChannel,
}

/// Choices of [`quantize`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// What layers become.
    pub scheme: Scheme,
    /// What inputs and outputs are.
    pub border: Border,
    /// How dense layers are scaled.
    pub dense: DenseWeights,
    /// What to do with operators that cannot be quantised.
    pub unsupported: Unsupported,
    /// What single layers become, by index of the node, instead of what the scheme says; none where it is empty or `None`.
    pub layers: Vec<Option<LayerScheme>>,
}

/// A quantised graph, and what became of each node of the float one.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedGraph {
    /// The graph.
    pub graph: Graph,
    /// By index of the float graph's nodes.
    pub decisions: Vec<Decision>,
}

/// Quantises a float graph to INT8, with the ranges that calibration saw.
///
/// Fold batch normalisation and fuse activations before calibrating: every tensor left costs a rounding.
///
/// # Errors
/// When the graph is quantised already, holds an operator that cannot be, or a tensor was not calibrated.
pub fn quantize_int8(
    graph: Graph,
    calibration: &Calibration,
    options: &QuantizeOptions,
) -> Result<Graph, PassError> {
    Ok(quantize(graph, calibration, options, &RoundToNearest)?.graph)
}

/// Quantises a float graph by a scheme, with the ranges that calibration saw and the integers of weights chosen by `rounder`.
///
/// Schemes on real activations need no ranges: [`Calibration::default`] serves.
///
/// Fold batch normalisation and fuse activations before calibrating: every tensor left costs a rounding.
///
/// # Errors
/// When the graph is quantised already, holds an operator that cannot be (unless that is to stay float), or a tensor was not
/// calibrated; and those of the rounder.
pub fn quantize(
    graph: Graph,
    calibration: &Calibration,
    options: &QuantizeOptions,
    rounder: &dyn WeightRounder,
) -> Result<QuantizedGraph, PassError> {
    graph.validate()?;
    check_float(&graph)?;
    let decisions = decide::decide(&graph, options)?;
    let values = values::Values::new(&graph, calibration, &decisions, options.border)?;
    let mut graph = engine::apply(
        graph,
        &values,
        &decisions,
        calibration,
        rounder,
        options.border,
    )?;
    // A plan of the float model's memory says nothing about this one.
    let is_plan = |m: &Metadata| m.name.as_deref() == Some(MEMORY_PLAN);
    graph.metadata.retain(|metadata| !is_plan(metadata));
    remove_unused(&mut graph);
    graph.validate()?;
    Ok(QuantizedGraph { graph, decisions })
}

fn at_tensor(subgraph: &Subgraph, id: TensorId, source: QuantError) -> PassError {
    PassError::Quantization {
        place: Place::tensor(subgraph, id),
        source,
    }
}
