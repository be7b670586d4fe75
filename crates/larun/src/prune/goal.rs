//! What a network is to come down to, and the pruning that gets it there.

use larun_graph::Graph;
use larun_graph::ops::{ElementType, Role};
use larun_prune::{
    ChannelGroups, Evidence, Importance, Keep, PruneError, Schedule, WeightMask, apply_masks,
};
use larun_zoo::dataset::Dataset;

use super::{GroupReport, PruneRequest, evidence, writable};
use crate::optimize::Progress;
use crate::{Error, sizes};

/// What a network is to come down to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// This share of the weights of each layer (or of all) zero.
    Sparsity(f32),
    /// This share of the channels of each layer removed.
    Channels(f32),
    /// This share of all channels removed, the least important ones wherever they are.
    GlobalChannels(f32),
    /// Channels removed until a measure is within a bound.
    Within(Measure, u64),
}

/// What is measured of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Bytes of the file; of a float network's INT8 file, estimated.
    FileBytes,
    /// Multiply-accumulates.
    Macs,
    /// Bytes of activations, by TensorFlow Lite Micro's planner; of a float network with INT8 activations, estimated.
    ArenaBytes,
}

impl Measure {
    /// Measures a network.
    ///
    /// # Errors
    /// When it cannot be written or planned.
    pub fn of(self, graph: &Graph) -> Result<u64, Error> {
        match self {
            Self::FileBytes => int8_bytes(graph),
            Self::Macs => Ok(graph.stats()?.macs),
            Self::ArenaBytes => {
                let planned = sizes::planned_bytes(graph)?;
                let float = graph.main().is_some_and(|subgraph| {
                    let mut inputs = subgraph.inputs.iter().filter_map(|&id| subgraph.tensor(id));
                    inputs.any(|tensor| tensor.element_type == ElementType::Float32)
                });
                Ok(if float { planned.div_ceil(4) } else { planned })
            }
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::FileBytes => "bytes of the file",
            Self::Macs => "MACs",
            Self::ArenaBytes => "bytes of activations",
        }
    }
}

/// Bytes that quantisation parameters take for each channel of weights: a scale and a zero point.
const CHANNEL_BYTES: u64 = 12;
/// Bytes that they take for each other value: tables and vectors of one.
const VALUE_BYTES: u64 = 64;

/// Bytes of the file that INT8 makes of a float network: an estimate within a few percent. A network without float weights is
/// written and measured.
///
/// # Errors
/// When the graph cannot be written.
pub fn int8_bytes(graph: &Graph) -> Result<u64, Error> {
    let graph = writable(graph)?;
    let mut bytes = larun_tflite::write(&graph)?.len() as u64;
    let Some(subgraph) = graph.main() else {
        return Ok(bytes);
    };
    let mut seen = Vec::new();
    for node in &subgraph.nodes {
        for (index, input) in node.inputs.iter().enumerate() {
            let Some(id) = input.filter(|id| !seen.contains(id)) else {
                continue;
            };
            let role = node
                .kind()
                .and_then(|kind| kind.info().input(index))
                .map(|operand| operand.role);
            let Some(tensor) = subgraph
                .tensor(id)
                .filter(|t| t.element_type == ElementType::Float32)
            else {
                continue;
            };
            seen.push(id);
            match role {
                Some(Role::Weights { channel_axis }) if graph.is_constant(tensor) => {
                    let channels = tensor
                        .shape
                        .dims()
                        .get(usize::from(channel_axis))
                        .copied()
                        .unwrap_or(1);
                    bytes = bytes.saturating_sub(3 * tensor.shape.elements().unwrap_or(0) as u64);
                    bytes += CHANNEL_BYTES * channels as u64 + VALUE_BYTES;
                }
                Some(Role::Bias) => {
                    bytes +=
                        CHANNEL_BYTES * tensor.shape.elements().unwrap_or(0) as u64 + VALUE_BYTES;
                }
                _ => bytes += VALUE_BYTES,
            }
        }
    }
    Ok(bytes)
}

/// The share of weights that the workflow of the pipeline prunes: none where a float file is within four times the target,
/// `1 - 4 target / size` beyond, 0.7 at most.
pub fn seed_sparsity(float_bytes: u64, target_bytes: u64) -> Option<f32> {
    let (size, target) = (float_bytes as f64, 4.0 * target_bytes as f64);
    (size > target && target > 0.0).then(|| (1.0 - target / size).min(0.7) as f32)
}

/// A pruned network, and what has to hold while it is trained further.
#[derive(Clone, Debug)]
pub(super) struct Pruned {
    pub(super) graph: Graph,
    /// Masks that stay.
    pub(super) masks: Vec<WeightMask>,
    /// The sparsities of rounds of pruning and training, where zeros grow.
    pub(super) rounds: Vec<f32>,
    pub(super) groups: Vec<GroupReport>,
}

pub(super) fn apply(
    graph: &Graph,
    request: &PruneRequest,
    data: Option<&Dataset>,
    progress: &mut dyn Progress,
) -> Result<Pruned, Error> {
    let whole = |graph: Graph| Pruned {
        graph,
        masks: Vec::new(),
        rounds: Vec::new(),
        groups: Vec::new(),
    };
    match request.goal {
        None => Ok(whole(graph.clone())),
        Some(Goal::Sparsity(sparsity)) => {
            if request.gradual && request.fine_tune > 1 {
                return Ok(Pruned {
                    rounds: rounds(sparsity, request.fine_tune)?,
                    ..whole(graph.clone())
                });
            }
            let masks = request.magnitude.masks(graph, sparsity)?;
            let mut graph = graph.clone();
            apply_masks(&mut graph, &masks)?;
            Ok(Pruned {
                masks,
                ..whole(graph)
            })
        }
        Some(goal) => {
            if matches!(
                request.importance,
                Importance::Taylor | Importance::Activation
            ) {
                progress.stage("looking at samples");
            }
            let evidence = evidence(graph, request.importance, data, &request.training)?;
            let (graph, groups) =
                prune_channels(graph, goal, request.importance, &evidence, request.keep)?;
            Ok(Pruned {
                groups,
                ..whole(graph)
            })
        }
    }
}

/// Rounds of pruning and training, at most.
const ROUNDS: u64 = 5;

/// The sparsity of each round, by the cubic schedule.
fn rounds(sparsity: f32, epochs: usize) -> Result<Vec<f32>, Error> {
    let count = ROUNDS.min(epochs as u64);
    let schedule = Schedule::polynomial(0.0, sparsity, 0, count);
    schedule.check()?;
    Ok((1..=count)
        .map(|round| schedule.sparsity_at(round))
        .collect())
}

/// Removes channels, the least important ones by evidence first.
///
/// # Errors
/// When the goal cannot be reached, or the importance lacks its evidence.
pub fn prune_channels(
    graph: &Graph,
    goal: Goal,
    importance: Importance,
    evidence: &Evidence,
    keep: Keep,
) -> Result<(Graph, Vec<GroupReport>), Error> {
    let groups = ChannelGroups::of(graph)?;
    let scores = groups.scores(graph, importance, evidence)?;
    let selection = match goal {
        Goal::Channels(share) => groups.select_each(&scores, share, keep)?,
        Goal::GlobalChannels(share) => groups.select_globally(&scores, share, keep)?,
        Goal::Within(measure, budget) => {
            let cost = |graph: &Graph| {
                measure
                    .of(graph)
                    .map_err(|error| PruneError::Measure(error.to_string()))
            };
            groups.select_within(graph, &scores, keep, (budget, measure.unit()), cost)?
        }
        Goal::Sparsity(_) => {
            return Err(Error::Usage(
                "a sparsity of weights removes no channels".to_owned(),
            ));
        }
    };
    let pruned = groups.remove(graph, &selection)?;
    let reports = groups.groups().iter().zip(&selection.removed);
    Ok((
        pruned,
        reports
            .map(|(group, gone)| GroupReport::of(group, gone.len()))
            .collect(),
    ))
}
