//! Mixed precision: for each layer with weights INT4 or INT8 weights on INT8 activations, or INT16 activations, under budgets.
//!
//! The noise that a layer's rounding puts on the model's outputs is measured layer by layer, everything else in real numbers. Noise
//! of different layers is nearly uncorrelated, so that their powers add up (the assumption of HAWQ and of most searches since); the
//! best choice for every size is then a multiple-choice knapsack, which is solved exactly. What comes out is measured as a whole.

mod knapsack;
mod measure;
mod sensitivity;

use larun_graph::{Graph, Subgraph};
use larun_quant::measure::Measures;

use crate::quantize::check::{is_float, is_real_constant, weight_inputs};
use crate::quantize::decide::{Chosen, fit};
use crate::quantize::{
    Activations, Algorithm, Border, LayerScheme, QuantizeOptions, QuantizedGraph, WeightRounder,
    Weights, quantize,
};
use crate::{Calibration, PassError, edit};
use knapsack::{Item, front};
pub use measure::Agreement;
use measure::{Float, arena_len, file_len};
pub use sensitivity::{LayerOption, LayerSensitivity, sensitivity};

/// What a model may take. At least one bound is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// Bytes of the file.
    pub flash: Option<usize>,
    /// Bytes of the interpreter's arena.
    pub ram: Option<usize>,
    /// The largest share of samples, 0 to 1, whose largest output may be in another place than in the float model: no more accuracy
    /// than that can be lost.
    pub max_drop: Option<f64>,
}

/// A model of mixed precision, and how it was chosen.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// The model.
    pub quantized: QuantizedGraph,
    /// The layers, with what each choice costs.
    pub layers: Vec<LayerSensitivity>,
    /// For each of them, the option that was chosen.
    pub chosen: Vec<usize>,
    /// Signal to noise in decibels, as the sum of the layers' noise foretells it.
    pub predicted_sqnr_db: f64,
    /// What was measured of the model as a whole.
    pub measured: Measures,
    /// The share of samples whose largest output is elsewhere.
    pub drop: f64,
    /// Bytes of the file.
    pub flash: usize,
    /// Bytes of the arena.
    pub ram: usize,
}

/// What a search works on.
pub struct Search<'s> {
    /// The float graph, folded and fused.
    pub graph: &'s Graph,
    /// Its ranges.
    pub calibration: &'s Calibration,
    /// Samples to measure with, each one slice of values an input.
    pub samples: &'s [Vec<&'s [f32]>],
    /// Border, dense layers, and what to do with what cannot be quantised.
    pub options: &'s QuantizeOptions,
    /// How weights are rounded.
    pub rounder: &'s dyn WeightRounder,
}

/// Chooses the precision of every layer under a budget.
///
/// With a bound of the file, the choice with the least noise that fits; else the smallest one that keeps `max_drop`.
///
/// # Errors
/// When nothing fits, no bound or no sample is given, or the model cannot be quantised. `progress` is told how many of how many
/// measurements are done.
pub fn mixed(
    search: &Search<'_>,
    budget: &Budget,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Mixed, PassError> {
    if budget.flash.is_none() && budget.ram.is_none() && budget.max_drop.is_none() {
        return Err(PassError::Budget(
            "give a bound: flash, RAM or the largest drop".to_owned(),
        ));
    }
    let float = Float::new(search.graph, search.samples)?;
    let mut layers = sensitivity(search, progress)?;
    // Each round takes one option away; there is an end to them.
    loop {
        let candidate = search.best(&float, &layers, budget)?;
        let Some(limit) = budget.ram.filter(|&limit| candidate.ram > limit) else {
            return Ok(candidate);
        };
        if !forbid_widest(&mut layers, &candidate.chosen) {
            return Err(PassError::Budget(format!(
                "the arena takes {} bytes with INT8 activations throughout, {limit} are allowed",
                candidate.ram
            )));
        }
    }
}

/// Takes INT16 away from the chosen layer with the most activations; whether there was one.
fn forbid_widest(layers: &mut [LayerSensitivity], chosen: &[usize]) -> bool {
    let wide = layers.iter_mut().zip(chosen).filter(|(layer, chosen)| {
        let option = layer.options.get(**chosen);
        option.is_some_and(|o| o.scheme.activations == Activations::Int16)
    });
    match wide.max_by_key(|(layer, _)| layer.activation_elements) {
        Some((layer, _)) => {
            layer
                .options
                .retain(|option| option.scheme.activations != Activations::Int16);
            true
        }
        None => false,
    }
}

impl Search<'_> {
    /// The best choice by the sum of noise, measured; RAM is not looked at.
    fn best(
        &self,
        float: &Float<'_>,
        layers: &[LayerSensitivity],
        budget: &Budget,
    ) -> Result<Mixed, PassError> {
        let items: Vec<Vec<Item>> = layers.iter().map(LayerSensitivity::items).collect();
        let front = front(&items);
        let built = |at: usize| {
            let chosen = front.get(at).map(|state| state.chosen.clone());
            self.build(float, layers, chosen.unwrap_or_default())
        };
        match (budget.flash, budget.max_drop) {
            (Some(flash), max_drop) => {
                let best = self.within(flash, front.len(), &built)?;
                match max_drop.filter(|&most| best.drop > most) {
                    None => Ok(best),
                    Some(most) => Err(PassError::Budget(format!(
                        "{:.2} % of the samples have another result in {} bytes, {:.2} % are allowed: allow more flash",
                        100.0 * best.drop,
                        best.flash,
                        100.0 * most
                    ))),
                }
            }
            (None, Some(most)) => smallest_with_drop(most, front.len(), &built),
            // RAM alone: the least noise of all.
            (None, None) => built(front.len().saturating_sub(1)),
        }
    }

    /// The last state of the front, which is the one with the least noise, whose file is within `flash` bytes.
    fn within(
        &self,
        flash: usize,
        states: usize,
        built: &dyn Fn(usize) -> Result<Mixed, PassError>,
    ) -> Result<Mixed, PassError> {
        let (mut low, mut high) = (0, states);
        let smallest = built(0)?;
        if smallest.flash > flash {
            return Err(PassError::Budget(format!(
                "the smallest choice takes {} bytes, {flash} are allowed",
                smallest.flash
            )));
        }
        let mut best = smallest;
        // Files grow with the bytes of weights but for a few bytes of alignment.
        while low + 1 < high {
            let middle = low.midpoint(high);
            let candidate = built(middle)?;
            if candidate.flash <= flash {
                low = middle;
                best = candidate;
            } else {
                high = middle;
            }
        }
        Ok(best)
    }

    /// The model with these options, measured.
    fn build(
        &self,
        float: &Float<'_>,
        layers: &[LayerSensitivity],
        chosen: Vec<usize>,
    ) -> Result<Mixed, PassError> {
        let options = self.with_layers(spread(
            self.graph,
            layers.iter().zip(&chosen).filter_map(|(layer, &option)| {
                Some((layer.node, layer.options.get(option)?.scheme))
            }),
            self.options,
        )?);
        let quantized = quantize(self.graph.clone(), self.calibration, &options, self.rounder)?;
        let noise: f64 = layers
            .iter()
            .zip(&chosen)
            .filter_map(|(layer, &option)| Some(layer.options.get(option)?.noise))
            .sum();
        let Agreement { measures, drop } = float.compare(&quantized.graph)?;
        Ok(Mixed {
            predicted_sqnr_db: -10.0 * noise.log10(),
            measured: measures,
            drop,
            flash: file_len(&quantized.graph)?,
            ram: arena_len(&quantized.graph)?,
            layers: layers.to_vec(),
            chosen,
            quantized,
        })
    }

    fn with_layers(&self, layers: Vec<Option<LayerScheme>>) -> QuantizeOptions {
        QuantizeOptions {
            layers,
            ..self.options.clone()
        }
    }
}

/// The smallest state whose measured drop is within bounds. Drops are taken to fall along the front, and measured where it matters.
fn smallest_with_drop(
    most: f64,
    states: usize,
    built: &dyn Fn(usize) -> Result<Mixed, PassError>,
) -> Result<Mixed, PassError> {
    let mut best = built(states.saturating_sub(1))?;
    if best.drop > most {
        return Err(PassError::Budget(format!(
            "{:.2} % of the samples have another result with the most bits, {:.2} % are allowed",
            100.0 * best.drop,
            100.0 * most
        )));
    }
    let (mut low, mut high) = (0, states.saturating_sub(1));
    while low < high {
        let middle = low.midpoint(high);
        let candidate = built(middle)?;
        if candidate.drop <= most {
            high = middle;
            best = candidate;
        } else {
            low = middle + 1;
        }
    }
    Ok(best)
}

/// The layer schemes of all nodes: those given, and for nodes without weights INT16 where something that they read is INT16.
fn spread(
    graph: &Graph,
    given: impl Iterator<Item = (larun_graph::NodeId, LayerScheme)>,
    options: &QuantizeOptions,
) -> Result<Vec<Option<LayerScheme>>, PassError> {
    let subgraph = edit::main(graph)?;
    let mut layers = vec![None; subgraph.nodes.len()];
    for (node, scheme) in given {
        if let Some(slot) = layers.get_mut(node.index()) {
            *slot = Some(scheme);
        }
    }
    let mut wide = vec![false; subgraph.tensors.len()];
    for (id, node) in subgraph.iter_nodes() {
        let mut inputs = node.inputs.iter().flatten();
        let reads_wide = inputs.any(|input| wide.get(input.index()) == Some(&true));
        let slot = layers.get_mut(id.index());
        let is_free = slot.as_ref().is_some_and(|slot| slot.is_none());
        let fits = fit(graph, subgraph, node, WIDE, options, Chosen::ByHand).is_ok();
        if let Some(slot) = slot
            && is_free
            && reads_wide
            && fits
        {
            *slot = Some(WIDE);
        }
        let scheme = layers.get(id.index()).copied().flatten();
        if scheme.is_some_and(|s| s.activations == Activations::Int16) {
            for output in &node.outputs {
                if let Some(slot) = wide.get_mut(output.index()) {
                    *slot = is_float(subgraph, *output);
                }
            }
        }
    }
    Ok(layers)
}

/// INT16 activations and INT8 weights.
const WIDE: LayerScheme = LayerScheme {
    activations: Activations::Int16,
    weights: Weights::Int8,
    ..LayerScheme::FLOAT
};
/// INT8 activations and weights.
const NARROW: LayerScheme = LayerScheme {
    activations: Activations::Int8,
    weights: Weights::Int8,
    ..LayerScheme::FLOAT
};
/// INT8 activations and INT4 weights of the least squared error.
const NIBBLES: LayerScheme = LayerScheme {
    activations: Activations::Int8,
    weights: Weights::Int4,
    algorithm: Algorithm::LeastSquares,
    ..LayerScheme::FLOAT
};

/// The same with weights that nothing clips.
const UNCLIPPED_NIBBLES: LayerScheme = LayerScheme {
    algorithm: Algorithm::MinMax,
    ..NIBBLES
};

/// Nodes with constant weights.
fn is_layer(graph: &Graph, subgraph: &Subgraph, node: &larun_graph::Node) -> bool {
    weight_inputs(node).any(|(_, _, id)| is_real_constant(graph, subgraph, id))
}

/// A border of real numbers, to measure with.
fn with_real_border(options: &QuantizeOptions) -> QuantizeOptions {
    QuantizeOptions {
        border: Border::Float,
        ..options.clone()
    }
}
