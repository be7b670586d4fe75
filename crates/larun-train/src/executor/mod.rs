//! Executes a graph forwards and backwards.

use larun_graph::{Graph, Place, TensorId};

pub use operation::why_untrained;
pub use parameter::{Parameter, ParameterKind};
pub use plan::Statistic;
pub use quantization::{ActivationRanges, QatConfig, WeightScales};

use crate::TrainError;
use crate::ops::BatchNorm;
use buffers::FreeList;
use pass::{Values, add_or_set, check_layer, elements};
use plan::{Operation, Plan, Source, ValueId};

mod buffers;
mod lower;
mod moved;
mod on_tape;
mod operands;
mod operation;
mod parameter;
mod pass;
mod plan;
mod qat;
mod quantization;

/// What batch normalisation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Uses mean and variance of the batch and moves the running averages towards them.
    Training,
    /// As in training, but the averages become the plain mean over this batch and those before it: `0` for
    /// the first batch, `1` for the second, and so on.
    Measuring(usize),
    /// Uses the running averages.
    Inference,
}

/// A float graph that can be run on many samples at once, forwards and backwards.
///
/// The graph describes one sample; a batch of `n` makes the leading axis of every computed tensor `n` times as
/// long. Trained are the constants that the operator table calls weights, bias or scale; all else stays.
///
/// The graph itself is the tape: values stay in buffers that are used again for the next batch, and a
/// gradient is written where it is needed instead of being added to zeros. [`Executor::on_tape`] puts the
/// same computation on candle's tape.
#[derive(Debug)]
pub struct Executor {
    plan: Plan,
    /// Samples of the last forward pass.
    batch: usize,
    mode: Mode,
    /// The shape of every value for that many samples.
    shapes: Vec<Vec<usize>>,
    inputs: Vec<Vec<f32>>,
    /// Output of each layer, and what it saved for the backward pass.
    outputs: Vec<Vec<f32>>,
    saved: Vec<Vec<f32>>,
    /// Gradient of each parameter.
    gradients: Vec<Vec<f32>>,
    free: FreeList,
}

impl Executor {
    /// Reads subgraph 0 of a graph.
    ///
    /// # Errors
    /// When the graph does not hold together, is not of float values, or has a node without a gradient or
    /// one that works across samples.
    pub fn new(graph: &Graph) -> Result<Self, TrainError> {
        Self::of(Plan::new(graph, None)?)
    }

    fn of(plan: Plan) -> Result<Self, TrainError> {
        let mut executor = Self {
            batch: 0,
            mode: Mode::Inference,
            shapes: Vec::new(),
            inputs: vec![Vec::new(); plan.inputs.len()],
            outputs: vec![Vec::new(); plan.layers.len()],
            saved: vec![Vec::new(); plan.layers.len()],
            gradients: plan.parameters.iter().map(|p| vec![0.0; p.len()]).collect(),
            free: FreeList::default(),
            plan,
        };
        // Two samples show a layer that mixes them, which one would hide.
        executor.resize(2)?;
        Ok(executor)
    }

    /// The trained constants.
    pub fn parameters(&self) -> &[Parameter] {
        &self.plan.parameters
    }

    /// The running averages of batch normalisation.
    pub fn statistics(&self) -> &[Statistic] {
        &self.plan.statistics
    }

    /// Replaces the values of a running average.
    ///
    /// # Errors
    /// When there is no such statistic or it has another number of values.
    pub fn set_statistic(&mut self, index: usize, values: &[f32]) -> Result<(), TrainError> {
        let expected = self
            .plan
            .statistics
            .get(index)
            .map_or(0, |s| s.values.len());
        check_length(|| format!("statistic {index}"), expected, values.len())?;
        if let Some(statistic) = self.plan.statistics.get_mut(index) {
            statistic.values.copy_from_slice(values);
        }
        Ok(())
    }

    /// Values of one sample of input `index`.
    pub fn input_len(&self, index: usize) -> Option<usize> {
        let &value = self.plan.inputs.get(index)?;
        Some(self.plan.values[value].shape.iter().product())
    }

    /// Shape of one sample of output `index`, as the graph declares it.
    pub fn output_shape(&self, index: usize) -> Option<&[usize]> {
        let &value = self.plan.outputs.get(index)?;
        Some(&self.plan.values[value].shape)
    }

    /// Runs a batch. Each input holds its samples one after the other.
    ///
    /// # Errors
    /// When an input has another number of values.
    pub fn forward(
        &mut self,
        batch: usize,
        inputs: &[&[f32]],
        mode: Mode,
    ) -> Result<(), TrainError> {
        check_length(
            || "inputs of the graph".to_owned(),
            self.inputs.len(),
            inputs.len(),
        )?;
        for (index, (&value, values)) in self.plan.inputs.iter().zip(inputs).enumerate() {
            let expected = elements(&self.plan.values[value].batched(batch)).unwrap_or(usize::MAX);
            check_length(
                || format!("input {index} of the graph"),
                expected,
                values.len(),
            )?;
        }
        self.resize(batch)?;
        self.mode = mode;
        for (values, buffer) in inputs.iter().zip(&mut self.inputs) {
            buffer.clear();
            buffer.extend_from_slice(values);
        }
        let Self {
            plan,
            shapes,
            inputs,
            outputs,
            saved,
            ..
        } = self;
        parameter::with_values(&plan.parameters, |parameters| {
            for (index, layer) in plan.layers.iter().enumerate() {
                let (before, rest) = outputs.split_at_mut(index);
                let values = Values {
                    plan,
                    shapes,
                    inputs,
                    parameters,
                    outputs: before,
                };
                let views = values.of(layer);
                let operator = values.operator(layer, mode);
                operator
                    .as_ref()
                    .forward(&views, &mut rest[0], &mut saved[index]);
            }
        });
        match mode {
            Mode::Training => {
                self.update_averages(|momentum| 1.0 - momentum);
                self.observe_ranges()?;
            }
            Mode::Measuring(before) => self.update_averages(|_| 1.0 / (before as f32 + 1.0)),
            Mode::Inference => {}
        }
        Ok(())
    }

    /// The value of a tensor of the graph in the last forward pass, samples one after the other; `None` for
    /// a tensor that nothing computes, or that the activation after it has taken in.
    pub fn value(&self, tensor: TensorId) -> Option<&[f32]> {
        let value = self.plan.value_of(tensor)?;
        match self.plan.values[value].source {
            Source::Layer(layer) => self.outputs.get(layer).map(Vec::as_slice),
            Source::Input(input) => self.inputs.get(input).map(Vec::as_slice),
            Source::Constant(_) | Source::Parameter(_) => None,
        }
    }

    /// Output `index` of the last forward pass, samples one after the other.
    pub fn output(&self, index: usize) -> Option<&[f32]> {
        let &value = self.plan.outputs.get(index)?;
        match self.plan.values[value].source {
            Source::Layer(layer) => self.outputs.get(layer).map(Vec::as_slice),
            Source::Input(input) => self.inputs.get(input).map(Vec::as_slice),
            Source::Constant(_) | Source::Parameter(_) => None,
        }
    }

    /// Computes the gradient of every parameter, given that of some tensors of the last forward pass.
    ///
    /// The result is in the order of [`parameters`](Self::parameters).
    ///
    /// # Errors
    /// When a seed is for a tensor that nothing computes, or has another number of values.
    pub fn backward(&mut self, seeds: &[(TensorId, &[f32])]) -> Result<&[Vec<f32>], TrainError> {
        let mut gradients: Vec<Option<Vec<f32>>> = Vec::new();
        gradients.resize_with(self.plan.values.len(), || None);
        for &(tensor, seed) in seeds {
            let what = || format!("gradient of tensor {tensor}");
            let value = self.plan.value_of(tensor);
            let expected = value.map_or(0, |value| self.shapes[value].iter().product());
            check_length(what, expected, seed.len())?;
            if let Some(value) = value {
                self.add_gradient(&mut gradients, value, |gradient| {
                    gradient.copy_from_slice(seed);
                });
            }
        }
        let Self {
            plan,
            shapes,
            inputs,
            outputs,
            saved,
            free,
            mode,
            ..
        } = self;
        parameter::with_values(&plan.parameters, |parameters| {
            let values = Values {
                plan,
                shapes,
                inputs,
                parameters,
                outputs,
            };
            for (layer, saved) in plan.layers.iter().zip(&*saved).rev() {
                if let Some(gradient) = gradients[layer.output].take() {
                    values.backward(layer, *mode, saved, &gradient, &mut gradients, free);
                    free.give(gradient);
                }
            }
        });
        self.keep_parameter_gradients(gradients);
        Ok(&self.gradients)
    }

    /// The gradient of every parameter that the last backward pass computed.
    pub fn gradients(&self) -> &[Vec<f32>] {
        &self.gradients
    }

    /// The trained constants, and the gradient of each from the last backward pass, to be changed.
    pub(crate) fn parameters_and_gradients(&mut self) -> (&[Parameter], &mut [Vec<f32>]) {
        (&self.plan.parameters, &mut self.gradients)
    }

    /// Copies the trained constants and the running averages into a graph of the same tensors.
    ///
    /// # Errors
    /// When the graph lacks one of the tensors or it has another shape.
    pub fn write_to(&self, graph: &mut Graph) -> Result<(), TrainError> {
        for parameter in &self.plan.parameters {
            if parameter.kind() == ParameterKind::Constant {
                graph.set_values(parameter.tensor(), &parameter.values())?;
            }
        }
        for statistic in &self.plan.statistics {
            graph.set_values(statistic.tensor, &statistic.values)?;
        }
        Ok(())
    }

    /// The first node of the last forward pass with a value that is no finite number.
    pub fn first_not_finite(&self) -> Option<&Place> {
        let mut layers = self.plan.layers.iter().zip(&self.outputs);
        let found = layers.find(|(_, output)| output.iter().any(|value| !value.is_finite()));
        found.map(|(layer, _)| &layer.place)
    }

    /// Makes room for a batch and checks that every layer takes it.
    fn resize(&mut self, batch: usize) -> Result<(), TrainError> {
        if batch == 0 {
            return check_length(|| "samples of a batch".to_owned(), 1, 0);
        }
        if self.batch == batch {
            return Ok(());
        }
        let shapes: Vec<_> = self
            .plan
            .values
            .iter()
            .map(|value| value.batched(batch))
            .collect();
        for (layer, output) in self.plan.layers.iter().zip(&mut self.outputs) {
            check_layer(&self.plan, layer, &shapes)?;
            output.resize(elements(&shapes[layer.output]).unwrap_or(0), 0.0);
        }
        self.shapes = shapes;
        self.batch = batch;
        Ok(())
    }

    /// Moves the running averages towards the moments of the batch; `weight` turns the momentum of a layer
    /// into the weight of the batch.
    fn update_averages(&mut self, weight: impl Fn(f32) -> f32) {
        let Plan {
            layers, statistics, ..
        } = &mut self.plan;
        for (layer, saved) in layers.iter().zip(&self.saved) {
            let Operation::BatchNorm(averages) = &layer.operation else {
                continue;
            };
            let weight = weight(averages.momentum);
            let (mean, variance) = BatchNorm::batch_moments(saved);
            for (index, batch) in [(averages.mean, mean), (averages.variance, variance)] {
                for (running, &batch) in statistics[index].values.iter_mut().zip(batch) {
                    *running = (1.0 - weight) * *running + weight * batch;
                }
            }
        }
    }

    fn add_gradient(
        &mut self,
        gradients: &mut [Option<Vec<f32>>],
        value: ValueId,
        f: impl FnOnce(&mut [f32]),
    ) {
        let mut buffer = self.free.take(self.shapes[value].iter().product());
        f(&mut buffer);
        add_or_set(&mut gradients[value], buffer, &mut self.free);
    }

    /// Takes over the gradients of the parameters; those that no seed reaches become zero.
    fn keep_parameter_gradients(&mut self, gradients: Vec<Option<Vec<f32>>>) {
        for gradient in &mut self.gradients {
            gradient.fill(0.0);
        }
        for (value, gradient) in self.plan.values.iter().zip(gradients) {
            let Some(gradient) = gradient else { continue };
            if let Source::Parameter(parameter) = value.source {
                self.gradients[parameter].copy_from_slice(&gradient);
            }
            self.free.give(gradient);
        }
    }
}

fn check_length(
    what: impl FnOnce() -> String,
    expected: usize,
    found: usize,
) -> Result<(), TrainError> {
    if expected == found {
        return Ok(());
    }
    Err(TrainError::Length {
        what: what(),
        expected,
        found,
    })
}
