//! A graph on candle's own tape.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::plan::{Operation, Plan, Source};
use super::{Executor, Mode};
use crate::TrainError;
use crate::ops::candle::apply;
use crate::ops::{BatchNorm, Differentiable, Reshape, Statistics};

impl Executor {
    /// Runs a batch of `batch` samples on candle's tape and returns the outputs: for losses, penalties or
    /// several networks at once, whose gradients candle then brings to the variables of
    /// [`parameters`](Self::parameters).
    ///
    /// Slower than [`forward`](Self::forward) and [`backward`](Self::backward), and running averages stay
    /// as they are. The inputs have the shapes of the graph's, with a leading axis `batch` times as long.
    ///
    /// # Errors
    /// When an input has another shape, or candle fails.
    pub fn on_tape(
        &self,
        batch: usize,
        inputs: &[Tensor],
        mode: Mode,
    ) -> Result<Vec<Tensor>, TrainError> {
        let plan = &self.plan;
        super::check_length(
            || "inputs of the graph".to_owned(),
            plan.inputs.len(),
            inputs.len(),
        )?;
        let mut values: Vec<Tensor> = Vec::with_capacity(plan.values.len());
        for value in &plan.values {
            let tensor = match value.source {
                Source::Input(index) => inputs[index].reshape(value.batched(batch))?,
                Source::Constant(index) => Tensor::from_slice(
                    &plan.constants[index],
                    value.shape.as_slice(),
                    &Device::Cpu,
                )?,
                Source::Parameter(index) => plan.parameters[index].var().as_tensor().clone(),
                Source::Layer(index) => layer_on_tape(plan, index, batch, mode, &values)?,
            };
            values.push(tensor);
        }
        Ok(plan
            .outputs
            .iter()
            .map(|&output| values[output].clone())
            .collect())
    }
}

/// The output of a layer whose inputs are among `values`.
fn layer_on_tape(
    plan: &Plan,
    index: usize,
    batch: usize,
    mode: Mode,
    values: &[Tensor],
) -> Result<Tensor, TrainError> {
    let layer = &plan.layers[index];
    let inputs: Vec<&Tensor> = layer.inputs.iter().map(|&input| &values[input]).collect();
    Ok(match &layer.operation {
        Operation::Plain(operator) => apply_to_all(operator, &inputs)?,
        Operation::Reshape => {
            let shape = plan.values[layer.output].batched(batch);
            apply(Reshape { shape }, &inputs)?
        }
        Operation::BatchNorm(averages) => {
            let statistics = match mode {
                Mode::Training | Mode::Measuring(_) => Statistics::Batch,
                Mode::Inference => plan.fixed_statistics(averages),
            };
            let operator = BatchNorm {
                epsilon: averages.epsilon,
                statistics,
                activation: averages.activation,
            };
            apply(operator, &inputs)?
        }
    })
}

/// Candle records three inputs at most. The one operator that takes more is CONCATENATION, which can join
/// them one by one.
fn apply_to_all(
    operator: &Arc<dyn Differentiable>,
    inputs: &[&Tensor],
) -> candle_core::Result<Tensor> {
    match inputs {
        [first, rest @ ..] if rest.len() > 2 => {
            rest.iter().try_fold((*first).clone(), |joined, next| {
                apply(Arc::clone(operator), &[&joined, next])
            })
        }
        _ => apply(Arc::clone(operator), inputs),
    }
}
