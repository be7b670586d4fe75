//! What quantisation-aware training does beside running layers: ranges are followed, and go to the converter in the end.

use std::collections::HashMap;

use larun_graph::Graph;
use larun_passes::{Calibration, Placement, QuantizedGraph};

use super::plan::{Operation, Plan};
use super::quantization::{ActivationRanges, Quantization};
use super::{Executor, ParameterKind, QatConfig};
use crate::TrainError;
use crate::ops::learnt;

impl Executor {
    /// Reads a graph as [`new`](Self::new) does and computes what integers will make of it, exactly where the converter will
    /// quantise: `placement` is the converter's own, `ranges` are those to begin with, by tensors of
    /// [`Placement::simplified`].
    ///
    /// # Errors
    /// As [`new`](Self::new), and when a range is missing.
    pub fn quantization_aware(
        graph: &Graph,
        placement: &Placement,
        ranges: &Calibration,
        config: QatConfig,
    ) -> Result<Self, TrainError> {
        let quantization = Quantization::new(placement, ranges, config)?;
        Self::of(Plan::new(graph, Some(quantization))?)
    }

    /// The range of each value that becomes integers: smallest and largest. Empty where none does.
    pub fn ranges(&self) -> Vec<Vec<f32>> {
        let Some(quantization) = &self.plan.quantization else {
            return Vec::new();
        };
        let values = quantization.placement.values().iter();
        let range = |tensor| quantization.ranges.range(tensor).unwrap_or_default();
        values
            .map(|value| range(value.simplified))
            .map(|(min, max)| vec![min, max])
            .collect()
    }

    /// Sets the ranges as [`ranges`](Self::ranges) gives them.
    ///
    /// # Errors
    /// When there is another number of them, or a bound is not finite.
    pub fn set_ranges(&mut self, ranges: &[Vec<f32>]) -> Result<(), TrainError> {
        let expected = self.ranges().len();
        super::check_length(|| "ranges".to_owned(), expected, ranges.len())?;
        let Some(quantization) = &mut self.plan.quantization else {
            return Ok(());
        };
        for (index, range) in ranges.iter().enumerate() {
            if let &[min, max] = range.as_slice() {
                let tensor = quantization.value(index).simplified;
                quantization.set(tensor, min, max)?;
            }
        }
        quantization.refresh()
    }

    /// Quantises the network as it stands, with the ranges and the scales that were trained. `graph` is the one that the executor
    /// was made from. Gives the simplified float graph and the quantised one.
    ///
    /// # Errors
    /// Those of the converter; and when the executor computes on real numbers.
    pub fn convert(&self, graph: &Graph) -> Result<(Graph, QuantizedGraph), TrainError> {
        let Some(quantization) = &self.plan.quantization else {
            return Err(TrainError::Data(
                "the network was not trained for integers: quantise it after its training"
                    .to_owned(),
            ));
        };
        let mut trained = graph.clone();
        self.write_to(&mut trained)?;
        let factors = self.folded_factors();
        let scales: HashMap<usize, Vec<f32>> = self
            .parameters()
            .iter()
            .filter_map(|parameter| match parameter.kind() {
                ParameterKind::Scales(weights) => {
                    let scales = parameter.values();
                    let factors = factors.get(&weights);
                    let placed = quantization.placement.weights().get(weights)?;
                    // One scale for all channels means another one once each is multiplied with its factor: the converter finds it.
                    if !placed.per_channel && factors.is_some() {
                        return None;
                    }
                    let folded = scales.iter().enumerate().map(|(channel, &scale)| {
                        let factor = factors.and_then(|factors| factors.get(channel));
                        learnt(scale) * factor.map_or(1.0, |factor: &f32| factor.abs())
                    });
                    // A channel that batch normalisation has switched off has no scale; any does.
                    Some((
                        weights,
                        folded.map(|s| if s > 0.0 { s } else { 1.0 }).collect(),
                    ))
                }
                _ => None,
            })
            .collect();
        let placement = &quantization.placement;
        Ok(placement.convert(&trained, &quantization.ranges, &scales)?)
    }

    /// What batch normalisation will multiply the channels of weights with, by their number.
    fn folded_factors(&self) -> HashMap<usize, Vec<f32>> {
        let norms = self
            .plan
            .layers
            .iter()
            .filter_map(|layer| match layer.operation {
                Operation::FakeWeights {
                    weights,
                    norm: Some(norm),
                } => Some((weights, norm)),
                _ => None,
            });
        norms
            .map(|(weights, (gamma, variance, epsilon))| {
                let gamma = self.plan.parameters[gamma].values();
                let variance = &self.plan.statistics[variance].values;
                let pairs = gamma.iter().zip(variance);
                (
                    weights,
                    pairs.map(|(g, v)| g / (v + epsilon).sqrt()).collect(),
                )
            })
            .collect()
    }

    /// Moves the ranges towards what the last forward pass saw.
    pub(super) fn observe_ranges(&mut self) -> Result<(), TrainError> {
        let Some(mut quantization) = self.plan.quantization.take() else {
            return Ok(());
        };
        let mut seen = Ok(());
        for layer in &self.plan.layers {
            let Operation::FakeQuantize(form) = layer.operation else {
                continue;
            };
            let value = quantization.value(form);
            if value.is_fixed || value.is_constant || !value.is_home {
                continue;
            }
            // A learnt upper end is the range.
            if let &[_, threshold] = layer.inputs.as_slice() {
                if let super::plan::Source::Parameter(number) = self.plan.values[threshold].source {
                    let top = self.plan.parameters[number].values();
                    let top = learnt(top.first().copied().unwrap_or(1.0));
                    let tensor = value.simplified;
                    seen = seen.and_then(|()| quantization.set(tensor, 0.0, top));
                }
                continue;
            }
            let Some(&input) = layer.inputs.first() else {
                continue;
            };
            let values: &[f32] = match self.plan.values[input].source {
                super::plan::Source::Layer(index) => &self.outputs[index],
                super::plan::Source::Input(index) => &self.inputs[index],
                _ => continue,
            };
            seen = seen.and_then(|()| quantization.observe(form, values));
        }
        let refreshed = seen.and_then(|()| quantization.refresh());
        self.plan.quantization = Some(quantization);
        refreshed
    }

    /// Adds the gradients of what parameters of quantisation cost by themselves: the squares of PACT's thresholds.
    pub(crate) fn penalise_thresholds(&mut self) {
        let Some(quantization) = &self.plan.quantization else {
            return;
        };
        let ActivationRanges::Pact { penalty, .. } = quantization.config.activations else {
            return;
        };
        for (parameter, gradient) in self.plan.parameters.iter().zip(&mut self.gradients) {
            if let ParameterKind::Threshold(_) = parameter.kind() {
                for (g, value) in gradient.iter_mut().zip(parameter.values()) {
                    *g += 2.0 * penalty * value;
                }
            }
        }
    }
}
