//! Start values of a network that was not trained yet.

use larun_graph::ops::{OpKind, Role};
use larun_graph::{Graph, GraphError, Node, NodeId, Place, Subgraph, TensorId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::TrainError;

/// Gives every constant that is trained its start value: weights are drawn from the uniform distribution
/// of Glorot and Bengio (2010), biases and running means are 0, scales and running variances 1.
///
/// Each tensor draws from its own stream of `seed`, so that a change of one layer leaves the others alone.
///
/// # Errors
/// When the graph does not hold together or a trained operand is no constant.
pub fn initialise(graph: &mut Graph, seed: u64) -> Result<(), TrainError> {
    graph.validate()?;
    let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
    let mut starts = Vec::new();
    for (id, node) in subgraph.iter_nodes() {
        for (index, tensor) in node.inputs.iter().enumerate() {
            let Some(tensor) = *tensor else { continue };
            if let Some(values) = start_values(graph, subgraph, id, node, index, tensor, seed)? {
                starts.push((tensor, values));
            }
        }
    }
    for (tensor, values) in starts {
        graph.set_values(tensor, &values)?;
    }
    Ok(())
}

fn start_values(
    graph: &Graph,
    subgraph: &Subgraph,
    id: NodeId,
    node: &Node,
    index: usize,
    tensor: TensorId,
    seed: u64,
) -> Result<Option<Vec<f32>>, TrainError> {
    let Some(operand) = node.kind().and_then(|kind| kind.info().input(index)) else {
        return Ok(None);
    };
    if matches!(operand.role, Role::Activation | Role::Parameter) {
        return Ok(None);
    }
    // Reading checks that it is a constant of floats.
    let mut values = graph.values::<f32>(tensor)?;
    match (operand.role, operand.name) {
        (Role::Weights { .. }, _) => {
            let shape = subgraph.tensor(tensor).map_or(&[][..], |t| t.shape.dims());
            let Some(limit) = glorot_limit(subgraph, node, shape) else {
                return Err(TrainError::Unsupported {
                    place: Place::node(subgraph, id),
                    reason: "the shape of its weights gives no start values".to_owned(),
                });
            };
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(u64::from(tensor.0));
            for value in &mut values {
                *value = (rng.random::<f32>() * 2.0 - 1.0) * limit;
            }
        }
        (Role::Scale, _) | (Role::Statistic, "variance") => values.fill(1.0),
        _ => values.fill(0.0),
    }
    Ok(Some(values))
}

/// Half of the width of the distribution: `sqrt(6 / (fan in + fan out))`.
///
/// A depthwise kernel counts as `[KH, KW, C, M]` for `C` input channels and the multiplier `M`, as in Keras.
fn glorot_limit(subgraph: &Subgraph, node: &Node, weights: &[usize]) -> Option<f32> {
    let (taps, inputs, outputs) = match *weights {
        [outputs, inputs] => (1, inputs, outputs),
        [1, height, width, filters] if node.kind() == Some(OpKind::DepthwiseConv2D) => {
            let channels = subgraph.tensor(node.input(0)?)?.shape.last();
            (height * width, channels, filters / channels.max(1))
        }
        [outputs, height, width, inputs] => (height * width, inputs, outputs),
        _ => return None,
    };
    Some(libm::sqrtf(6.0 / (taps * (inputs + outputs)) as f32))
}
