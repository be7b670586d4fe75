//! A quantised graph made to follow its float graph, layer by layer, on sample data.

use std::borrow::Cow;
use std::collections::HashMap;

use larun_graph::ops::Role;
use larun_graph::{Graph, NodeId, TensorId};
use larun_quant::rounding::RoundingMethod;

use crate::bias_correction::BiasedLayer;
use crate::channels::bias_operand;
use crate::layer_rounding::{round_layer, weights_of};
use crate::lockstep::{Frontier, decode};
use crate::{PassError, edit};

/// What [`reconstruct`] does to each layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reconstruction {
    /// How INT8 weights are rounded again, for the least error on what the quantised layers before give; `None` leaves
    /// them as they are.
    pub rounding: Option<RoundingMethod>,
    /// Whether biases stay as they are.
    pub keep_biases: bool,
}

/// Adds to every bias of `integer` the mean by which the layer's outputs fall short of those of `float`, over samples.
///
/// [`reconstruct`] without rounding.
///
/// # Errors
/// As [`reconstruct`].
pub fn correct_biases(
    float: &Graph,
    integer: Graph,
    samples: &[Vec<&[f32]>],
    progress: impl FnMut(usize, usize),
) -> Result<Graph, PassError> {
    reconstruct(
        float,
        integer,
        samples,
        &Reconstruction::default(),
        progress,
    )
}

/// Rounds the weights of `integer` again and corrects its biases, so that each layer gives what it does in `float`.
///
/// Layers are taken in the order in which they run, each on the outputs of those done before it. First its weights are
/// rounded for the least mean square of the error that they leave in its output, given the covariance of its quantised
/// inputs (AdaRound, GPTQ and descent: see [`larun_quant::rounding`]). Then its bias takes back the mean error:
/// `b' = b + E[y - y']` over samples and positions (Nagel et al. 2019, section 4.2, the empirical form), over the values
/// that neither an activation nor the range cuts off.
///
/// Layers correspond by the names of their outputs; one whose name `float` lacks stays as it is. `progress` is told how
/// many of how many nodes are done. Memory grows with the number of samples: some tens are enough.
///
/// # Errors
/// When a sample does not fit the model or a node cannot be run alone.
pub fn reconstruct(
    float: &Graph,
    integer: Graph,
    samples: &[Vec<&[f32]>],
    options: &Reconstruction,
    progress: impl FnMut(usize, usize),
) -> Result<Graph, PassError> {
    let reference = Reference::new(float, samples)?;
    reconstruct_by(reference, integer, samples, options, progress)
}

/// [`reconstruct`] after the values of a reference.
///
/// # Errors
/// As that.
pub(crate) fn reconstruct_by(
    mut reference: Reference<'_>,
    mut integer: Graph,
    samples: &[Vec<&[f32]>],
    options: &Reconstruction,
    mut progress: impl FnMut(usize, usize),
) -> Result<Graph, PassError> {
    let mut frontier = Frontier::new(&integer, samples)?;
    let count = edit::main(&integer)?.nodes.len();
    for index in 0..count {
        progress(index, count);
        let id = NodeId::new(index);
        if let Some(method) = &options.rounding {
            round(&mut integer, id, &reference, &frontier, method)?;
        }
        if !options.keep_biases
            && let Some(layer) = BiasedLayer::of(&integer, id)?
            && let Some(expected) = reference.at(edit::name(&integer, layer.output)?)?
        {
            let (_, found) = frontier.compute(&integer, id)?;
            let found = found.first().map_or(&[][..], Vec::as_slice);
            layer.correct(&mut integer, &expected, found)?;
        }
        frontier.advance(&integer, id)?;
    }
    progress(count, count);
    Ok(integer)
}

/// Rounds the weights of a node, if it has integer ones and the float graph real ones.
fn round(
    integer: &mut Graph,
    id: NodeId,
    reference: &Reference<'_>,
    frontier: &Frontier,
    method: &RoundingMethod,
) -> Result<(), PassError> {
    let subgraph = edit::main(integer)?;
    let node = edit::node(subgraph, id)?;
    let Some(&output) = node.outputs.first().filter(|_| weights_of(node).is_some()) else {
        return Ok(());
    };
    let Some(real) = reference.weights(edit::name(integer, output)?)? else {
        return Ok(());
    };
    let info = node.kind().map_or(&[][..], |kind| kind.info().inputs);
    let data = info.iter().position(|input| input.role == Role::Activation);
    let Some(input) = data.and_then(|data| node.input(data)) else {
        return Ok(());
    };
    let tensor = edit::tensor(subgraph, input)?;
    let bytes = frontier.get(input).map_or(&[][..], Vec::as_slice);
    let inputs: Option<Vec<_>> = bytes.iter().map(|bytes| decode(tensor, bytes)).collect();
    match inputs {
        Some(inputs) if !inputs.is_empty() => round_layer(integer, id, &real, &inputs, method),
        _ => Ok(()),
    }
}

/// The real values of a graph by name: of each a piece for each sample.
pub(crate) type Known = HashMap<String, Vec<Vec<f32>>>;

/// The float graph and its values.
pub(crate) struct Reference<'g> {
    graph: &'g Graph,
    /// Which node gives the value of a name.
    nodes: HashMap<&'g str, (usize, TensorId)>,
    values: Values<'g>,
}

enum Values<'g> {
    /// The graph is run as far as the values that were asked for.
    Run { frontier: Frontier, done: usize },
    /// They were computed before: which samples of them to take.
    Known(&'g Known, &'g [usize]),
}

impl<'g> Reference<'g> {
    pub(crate) fn new(graph: &'g Graph, samples: &[Vec<&[f32]>]) -> Result<Self, PassError> {
        let frontier = Frontier::new(graph, samples)?;
        Self::of(graph, Values::Run { frontier, done: 0 })
    }

    /// Of values that are known, those of the samples with these numbers.
    pub(crate) fn known(
        graph: &'g Graph,
        known: &'g Known,
        samples: &'g [usize],
    ) -> Result<Self, PassError> {
        Self::of(graph, Values::Known(known, samples))
    }

    fn of(graph: &'g Graph, values: Values<'g>) -> Result<Self, PassError> {
        let subgraph = edit::main(graph)?;
        let mut nodes = HashMap::new();
        for (index, node) in subgraph.nodes.iter().enumerate() {
            for &output in &node.outputs {
                nodes.insert(edit::name(graph, output)?, (index, output));
            }
        }
        Ok(Self {
            graph,
            nodes,
            values,
        })
    }

    /// The real values of a name, a piece for each sample; `None` where the graph has none.
    pub(crate) fn at(&mut self, name: &str) -> Result<Option<Vec<Cow<'g, [f32]>>>, PassError> {
        let Some(&(node, output)) = self.nodes.get(name) else {
            return Ok(None);
        };
        let (frontier, done) = match &mut self.values {
            Values::Run { frontier, done } => (frontier, done),
            Values::Known(known, samples) => {
                let Some(all) = known.get(name) else {
                    return Ok(None);
                };
                let chosen = samples.iter().filter_map(|&sample| all.get(sample));
                return Ok(Some(chosen.map(|v| Cow::Borrowed(&v[..])).collect()));
            }
        };
        while *done <= node {
            frontier.advance(self.graph, NodeId::new(*done))?;
            *done += 1;
        }
        let tensor = edit::tensor(edit::main(self.graph)?, output)?;
        let decode = |bytes: &Vec<u8>| decode(tensor, bytes).map(Cow::Owned);
        let values = frontier.get(output);
        Ok(values.and_then(|bytes| bytes.iter().map(decode).collect()))
    }

    /// The weights of the layer that gives the value of a name.
    fn weights(&self, name: &str) -> Result<Option<Vec<f32>>, PassError> {
        let Some(&(index, _)) = self.nodes.get(name) else {
            return Ok(None);
        };
        let node = edit::node(edit::main(self.graph)?, NodeId::new(index))?;
        Ok(weights_of(node).and_then(|(weights, _)| self.graph.values(weights).ok()))
    }
}

/// The values that biases are corrected after and the graph's outputs, where they take `most_bytes` at most for all samples.
///
/// # Errors
/// When a sample does not fit the model or a node cannot be run alone.
pub(crate) fn known_values(
    float: &Graph,
    samples: &[Vec<&[f32]>],
    most_bytes: usize,
) -> Result<Option<Known>, PassError> {
    let subgraph = edit::main(float)?;
    let mut outputs = Vec::new();
    for node in subgraph
        .nodes
        .iter()
        .filter(|node| bias_operand(node).is_some())
    {
        outputs.extend(node.outputs.first().copied());
    }
    // The graph's own too, to compare with.
    outputs.extend(subgraph.outputs.iter().copied());
    let mut elements = 0usize;
    for &output in &outputs {
        let shape = &edit::tensor(subgraph, output)?.shape;
        elements = elements.saturating_add(shape.elements().unwrap_or(usize::MAX));
    }
    let bytes = elements
        .saturating_mul(samples.len())
        .saturating_mul(size_of::<f32>());
    if bytes > most_bytes {
        return Ok(None);
    }
    let mut reference = Reference::new(float, samples)?;
    let mut known = Known::new();
    for output in outputs {
        let name = edit::name(float, output)?;
        if let Some(values) = reference.at(name)? {
            let values = values.into_iter().map(Cow::into_owned).collect();
            known.insert(name.to_owned(), values);
        }
    }
    Ok(Some(known))
}
