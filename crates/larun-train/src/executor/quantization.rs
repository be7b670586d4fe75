//! Quantisation-aware execution: which values become integers, by which parameters, and what their ranges were.

use std::collections::HashMap;

use larun_graph::{NodeId, TensorId};
use larun_passes::{Calibration, PlacedValue, PlacedWeights, Placement};
use larun_quant::weights::ScaleMethod;
use larun_quant::{Affine, IntegerRange, MinMax, Observer};
use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::TrainError;
use crate::ops::{FakeQuantize, FakeQuantizeWeights};

/// How the ranges of activations are found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ActivationRanges {
    /// Moving averages of the extremes of each batch, as in TensorFlow's toolkit.
    MovingAverage {
        /// The share of the old range that a batch leaves.
        decay: f32,
    },
    /// PACT (Choi et al. 2018): the upper end of what is never below 0 is learnt; moving averages for all else.
    Pact {
        /// The share of the old range that a batch leaves, for the others.
        decay: f32,
        /// What the square of a threshold costs in the loss.
        penalty: f32,
    },
}

impl Default for ActivationRanges {
    fn default() -> Self {
        Self::MovingAverage { decay: 0.99 }
    }
}

/// How the scales of weights are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightScales {
    /// As the converter does, anew in every step. Weights of four bits have learnt scales all the same: extremes would waste half
    /// of their levels.
    #[default]
    Converter,
    /// LSQ (Esser et al. 2020): the scales are learnt.
    Learned,
}

/// The choices of quantisation-aware training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QatConfig {
    /// How the ranges of activations are found.
    pub activations: ActivationRanges,
    /// How the scales of weights are found.
    pub weights: WeightScales,
}

impl QatConfig {
    /// Whether the scales of these weights are learnt.
    pub(super) fn learns(self, weights: &PlacedWeights) -> bool {
        self.weights == WeightScales::Learned || weights.integers.max <= 7
    }

    fn decay(self) -> f32 {
        match self.activations {
            ActivationRanges::MovingAverage { decay } | ActivationRanges::Pact { decay, .. } => {
                decay
            }
        }
    }
}

/// What is known of the integers that a network will compute with.
#[derive(Clone, Debug)]
pub(super) struct Quantization {
    pub(super) placement: Placement,
    pub(super) config: QatConfig,
    /// Ranges by tensors of the simplified graph.
    pub(super) ranges: Calibration,
    /// The parameters of each value.
    pub(super) affines: Vec<Affine>,
    /// Values by tensor, and by node and input.
    homes: HashMap<TensorId, usize>,
    readers: HashMap<(NodeId, usize), usize>,
    weights: HashMap<TensorId, usize>,
}

impl Quantization {
    pub(super) fn new(
        placement: &Placement,
        ranges: &Calibration,
        config: QatConfig,
    ) -> Result<Self, TrainError> {
        let mut quantization = Self {
            affines: placement.affines(ranges)?,
            placement: placement.clone(),
            config,
            ranges: ranges.clone(),
            homes: HashMap::new(),
            readers: HashMap::new(),
            weights: HashMap::new(),
        };
        for (index, value) in placement.values().iter().enumerate() {
            match value.tensor {
                Some(tensor) if value.is_home => {
                    quantization.homes.insert(tensor, index);
                }
                _ => {
                    for &reader in &value.readers {
                        quantization.readers.insert(reader, index);
                    }
                }
            }
        }
        for (index, weights) in placement.weights().iter().enumerate() {
            quantization.weights.insert(weights.tensor, index);
        }
        Ok(quantization)
    }

    /// The value that a tensor is computed as.
    pub(super) fn home(&self, tensor: TensorId) -> Option<usize> {
        self.homes.get(&tensor).copied()
    }

    /// The value that a node reads as its input, where it is one of its own.
    pub(super) fn read(&self, node: NodeId, input: usize) -> Option<usize> {
        self.readers.get(&(node, input)).copied()
    }

    pub(super) fn weights(&self, tensor: TensorId) -> Option<(usize, &PlacedWeights)> {
        let &index = self.weights.get(&tensor)?;
        Some((index, self.placement.weights().get(index)?))
    }

    pub(super) fn value(&self, index: usize) -> &PlacedValue {
        &self.placement.values()[index]
    }

    /// The upper end of a value whose range PACT learns, `None` for any other.
    pub(super) fn threshold(&self, index: usize) -> Option<f32> {
        let ActivationRanges::Pact { .. } = self.config.activations else {
            return None;
        };
        let value = self.value(index);
        let (min, max) = self.ranges.range(value.simplified)?;
        let shared = self.placement.values().iter().enumerate();
        let alone = |affine: Affine| {
            let mut alike = shared.filter(|(other, _)| self.affines[*other] == affine);
            alike.all(|(other, _)| other == index)
        };
        let learns =
            value.is_home && !value.is_fixed && !value.is_constant && min >= 0.0 && max > 0.0;
        (learns && alone(self.affines[index])).then_some(max)
    }

    /// Moves the range of a value towards the extremes of a batch.
    pub(super) fn observe(&mut self, index: usize, values: &[f32]) -> Result<(), TrainError> {
        let tensor = self.value(index).simplified;
        let Ok(Some((low, high))) = MinMax::of(values).map(|range| range.bounds()) else {
            // Values that are no numbers: the loss will say so.
            return Ok(());
        };
        let decay = self.config.decay();
        let (min, max) = match self.ranges.range(tensor) {
            Some((min, max)) => (
                min + (low - min) * (1.0 - decay),
                max + (high - max) * (1.0 - decay),
            ),
            None => (low, high),
        };
        self.set(tensor, min, max)
    }

    pub(super) fn set(&mut self, tensor: TensorId, min: f32, max: f32) -> Result<(), TrainError> {
        self.ranges
            .set_range(tensor, min, max)
            .map_err(|error| TrainError::Data(format!("the range of tensor {tensor}: {error}")))
    }

    /// The parameters that follow from the ranges as they are now.
    pub(super) fn refresh(&mut self) -> Result<(), TrainError> {
        self.affines = self.placement.affines(&self.ranges)?;
        Ok(())
    }
}

/// The operators of fake quantisation.
impl Plan {
    /// What puts a value into its integer form.
    pub(super) fn fake_quantize_operator(&self, form: usize) -> FakeQuantize {
        match &self.quantization {
            Some(quantization) => FakeQuantize {
                affine: quantization.affines[form],
                integers: quantization.value(form).integers(),
            },
            None => FakeQuantize {
                affine: Affine::new(1.0, 0),
                integers: IntegerRange::INT16,
            },
        }
    }

    /// What makes weights integers, behind a batch normalisation with these factors.
    pub(super) fn fake_weights_operator(
        &self,
        weights: usize,
        factors: Vec<f32>,
    ) -> FakeQuantizeWeights {
        let placed = self
            .quantization
            .as_ref()
            .and_then(|quantization| quantization.placement.weights().get(weights));
        match placed {
            Some(placed) => FakeQuantizeWeights {
                axis: placed.per_channel.then_some(placed.channel_axis),
                integers: placed.integers,
                method: placed.method(),
                factors: match placed.per_channel {
                    true => (0, Vec::new()),
                    false => (placed.channel_axis, factors),
                },
            },
            None => FakeQuantizeWeights {
                axis: None,
                integers: IntegerRange::INT8_NARROW,
                method: ScaleMethod::Max,
                factors: (0, Vec::new()),
            },
        }
    }
}
