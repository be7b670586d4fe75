//! Full-integer quantisation to INT8 after training.
//!
//! The rules are those of TensorFlow Lite's INT8 specification, read from the operator table: activations
//! asymmetric with one scale a tensor, weights symmetric with one scale an output channel, biases INT32 with the
//! scale of input times weights, fixed outputs for LOGISTIC and SOFTMAX, and one set of parameters where an
//! operator only moves values.

mod border;
mod check;
mod constants;
mod parameters;
mod rounder;

use larun_graph::{Graph, Place, Subgraph, TensorId};
use larun_quant::QuantError;

use crate::cleanup::remove_unused;
use crate::{Calibration, PassError};

pub(crate) use check::check_float;
pub use rounder::{RealWeights, RoundToNearest, WeightRounder};

/// What inputs and outputs of the quantised model are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// INT8: nothing is left in floating point.
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
    #[default]
    PerTensor,
    /// One scale for every output, as the current specification allows.
    PerChannel,
}

/// Choices of [`quantize_int8`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// What inputs and outputs are.
    pub border: Border,
    /// How dense layers are scaled.
    pub dense: DenseWeights,
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
    quantize_int8_rounded(graph, calibration, options, &RoundToNearest)
}

/// As [`quantize_int8`], with the integers of weights chosen by `rounder`.
///
/// # Errors
/// As [`quantize_int8`], and those of the rounder.
pub fn quantize_int8_rounded(
    mut graph: Graph,
    calibration: &Calibration,
    options: &QuantizeOptions,
    rounder: &dyn WeightRounder,
) -> Result<Graph, PassError> {
    graph.validate()?;
    check_float(&graph)?;
    let mut ranges = parameters::value_ranges(&graph, calibration)?;
    let groups = parameters::group(&mut graph, &mut ranges)?;
    let parameters = parameters::choose_parameters(&graph, &ranges, groups)?;
    constants::quantize_constants(&mut graph, &parameters, options, rounder)?;
    constants::quantize_values(&mut graph, &parameters)?;
    if options.border == Border::Float {
        border::add_float_border(&mut graph)?;
    }
    remove_unused(&mut graph);
    graph.validate()?;
    Ok(graph)
}

fn at_tensor(subgraph: &Subgraph, id: TensorId, source: QuantError) -> PassError {
    PassError::Quantization {
        place: Place::tensor(subgraph, id),
        source,
    }
}
