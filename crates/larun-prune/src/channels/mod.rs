//! Structured removal: which channels of a network can only go together, and their removal from every tensor that has them.
//!
//! A channel is an index of the output axis of a layer's weights, with all that hangs on it: its bias and batch
//! normalisation, the same index of every tensor that passes it on, the columns of all layers that read it, and through
//! sums, concatenations and flattening the indices of other layers that are tied to it. [`ChannelGroups::of`] finds these
//! sets, [`ChannelGroups::remove`] cuts them out, and [`ChannelGroups::mask`] sets them to zero instead: both graphs compute
//! the same.

mod atoms;
mod moves;
mod parts;
mod remove;
mod rules;
mod scores;
mod select;
mod trace;

use std::collections::{BTreeMap, BTreeSet};

use larun_graph::ops::{OpKind, Role};
use larun_graph::{Graph, NodeId, TensorId};

use crate::PruneError;
use crate::values::main;
use atoms::{Axis, Set, Sets};

pub use atoms::Blocker;
pub use scores::Evidence;
pub use select::{Keep, Selection};

/// Every layer's channels, in groups.
#[derive(Clone, Debug)]
pub struct ChannelGroups {
    groups: Vec<ChannelGroup>,
    blockers: Vec<Blocker>,
    /// Constants that a mask sets to zero.
    zeroed: BTreeSet<TensorId>,
}

/// Channels that occur on the same axes of the same tensors: what one layer computes, or several that are added up.
#[derive(Clone, Debug)]
pub struct ChannelGroup {
    /// What the group is called: after the result of its first layer.
    pub name: String,
    /// The layers that compute the channels.
    pub layers: Vec<GroupLayer>,
    /// Batch normalisations of the channels, by their tensors of scales.
    pub batch_norms: Vec<TensorId>,
    /// Why the channels stay, `None` where they can go.
    pub blocker: Option<Blocker>,
    channels: Vec<Vec<(Axis, usize)>>,
}

/// A layer that computes the channels of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLayer {
    /// The layer.
    pub node: NodeId,
    /// Its result.
    pub output: TensorId,
    /// Its weights.
    pub weights: TensorId,
    /// The axis of its weights that the channels lie along.
    pub axis: usize,
    /// Whether it is depthwise: each channel from one of its input.
    pub depthwise: bool,
}

impl ChannelGroup {
    /// How many channels there are.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there are none. Groups have at least one.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Whether channels can go: nothing stands in the way, and one is left.
    pub fn is_free(&self) -> bool {
        self.blocker.is_none() && self.len() > 1
    }

    /// The indices of a channel along an axis.
    fn indices(&self, channel: usize, axis: Axis) -> impl Iterator<Item = usize> {
        let places = self.channels.get(channel).into_iter().flatten();
        places
            .filter(move |place| place.0 == axis)
            .map(|place| place.1)
    }
}

impl ChannelGroups {
    /// The groups of a graph.
    ///
    /// # Errors
    /// When the graph does not hold together.
    pub fn of(graph: &Graph) -> Result<Self, PruneError> {
        let Sets {
            sets,
            blockers,
            zeroed,
        } = trace::trace(graph)?;
        let layers = layers(graph)?;
        let norms = batch_norms(graph)?;
        let subgraph = main(graph)?;
        let mut groups: Vec<ChannelGroup> = Vec::new();
        let mut numbers: BTreeMap<Vec<Axis>, Option<usize>> = BTreeMap::new();
        for Set { places, blocker } in sets {
            let axes: BTreeSet<Axis> = places.iter().map(|place| place.0).collect();
            let axes: Vec<Axis> = axes.into_iter().collect();
            let blocker = blocker.and_then(|number| blockers.get(number)).cloned();
            let number = *numbers.entry(axes.clone()).or_insert_with(|| {
                let own = layers
                    .iter()
                    .filter(|l| axes.contains(&(l.weights, l.axis)));
                let own: Vec<GroupLayer> = own.copied().collect();
                let first = own.iter().find(|layer| !layer.depthwise).or(own.first())?;
                let name = subgraph.tensor(first.output).map(|t| t.name.clone());
                groups.push(ChannelGroup {
                    name: name.unwrap_or_default(),
                    layers: own,
                    batch_norms: norms
                        .iter()
                        .copied()
                        .filter(|&id| axes.contains(&(id, 0)))
                        .collect(),
                    blocker: None,
                    channels: Vec::new(),
                });
                Some(groups.len() - 1)
            });
            if let Some(group) = number.and_then(|number| groups.get_mut(number)) {
                group.channels.push(places);
                // One channel that stays keeps its group whole: the rest would be ragged.
                group.blocker = group.blocker.take().or(blocker);
            }
        }
        Ok(Self {
            groups,
            blockers,
            zeroed,
        })
    }

    /// The groups, in the order of their layers.
    pub fn groups(&self) -> &[ChannelGroup] {
        &self.groups
    }

    /// Everything that keeps channels, with its reason: the border of the model among it.
    pub fn blockers(&self) -> &[Blocker] {
        &self.blockers
    }
}

/// Every constant of weights whose output channels a layer computes.
fn layers(graph: &Graph) -> Result<Vec<GroupLayer>, PruneError> {
    let mut layers = Vec::new();
    for (node, found) in main(graph)?.iter_nodes() {
        let Some((kind, &output)) = found.kind().zip(found.outputs.first()) else {
            continue;
        };
        for (index, weights) in found.inputs.iter().enumerate() {
            let role = kind.info().input(index).map(|operand| operand.role);
            let (Some(weights), Some(Role::Weights { channel_axis })) = (*weights, role) else {
                continue;
            };
            layers.push(GroupLayer {
                node,
                output,
                weights,
                axis: usize::from(channel_axis),
                depthwise: kind == OpKind::DepthwiseConv2D,
            });
        }
    }
    Ok(layers)
}

/// The scales of every batch normalisation.
fn batch_norms(graph: &Graph) -> Result<Vec<TensorId>, PruneError> {
    let nodes = main(graph)?.nodes.iter();
    let norms = nodes.filter(|node| node.kind() == Some(OpKind::BatchNorm));
    Ok(norms.filter_map(|node| node.input(1)).collect())
}
