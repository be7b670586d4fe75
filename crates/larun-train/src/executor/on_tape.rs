//! A graph on candle's own tape.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::pass::{Resolved, resolve};
use super::plan::{Operation, Plan, Source};
use super::{Executor, Mode};
use crate::TrainError;
use crate::ops::candle::apply;
use crate::ops::{Differentiable, ShapeError, Tape, View};

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
    let shape = plan.values[layer.output].batched(batch);
    if let Operation::Plain(operator) = &layer.operation {
        return Ok(apply_to_all(operator, &inputs)?);
    }
    let values: Vec<Vec<f32>> = plan
        .parameters
        .iter()
        .map(super::Parameter::values)
        .collect();
    let values: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    Ok(match resolve(plan, layer, &shape, mode, Some(&values)) {
        Resolved::Plain(_) => {
            return Err(TrainError::Data("a layer without an operator".to_owned()));
        }
        Resolved::Reshape(operator) => apply(operator, &inputs)?,
        Resolved::BatchNorm(operator) => apply(operator, &inputs)?,
        Resolved::FakeQuantize(operator) => apply(operator, &inputs)?,
        Resolved::FakeWeights(operator) => apply(operator, &inputs)?,
    })
}

/// Candle records three inputs at most. More are joined into one, which the operator takes apart again.
fn apply_to_all(
    operator: &Arc<dyn Differentiable>,
    inputs: &[&Tensor],
) -> candle_core::Result<Tensor> {
    if inputs.len() <= 3 {
        return apply(Arc::clone(operator), inputs);
    }
    let flat: Vec<Tensor> = inputs
        .iter()
        .map(|input| input.flatten_all())
        .collect::<Result<_, _>>()?;
    let joined = Tensor::cat(&flat, 0)?;
    let shapes = inputs.iter().map(|input| input.dims().to_vec()).collect();
    let operator = Joined {
        operator: Arc::clone(operator),
        shapes,
    };
    apply(operator, &[&joined])
}

/// An operator whose inputs lie one after the other.
#[derive(Debug)]
struct Joined {
    operator: Arc<dyn Differentiable>,
    shapes: Vec<Vec<usize>>,
}

impl Joined {
    fn apart<'a>(&'a self, joined: &'a [f32]) -> Vec<View<'a>> {
        let mut rest = joined;
        let view = |shape: &'a Vec<usize>| {
            let (data, after) = rest.split_at(shape.iter().product());
            rest = after;
            View { data, shape }
        };
        self.shapes.iter().map(view).collect()
    }
}

impl Differentiable for Joined {
    fn name(&self) -> &'static str {
        self.operator.name()
    }

    fn output_shape(&self, _inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let shapes: Vec<&[usize]> = self.shapes.iter().map(Vec::as_slice).collect();
        self.operator.output_shape(&shapes)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], saved: &mut Vec<f32>) {
        let [joined] = inputs else { return };
        self.operator
            .forward(&self.apart(joined.data), output, saved);
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([joined], [Some(gradient)]) = (tape.inputs, gradients) else {
            return;
        };
        let mut rest = &mut **gradient;
        let mut parts = Vec::new();
        for shape in &self.shapes {
            let (part, after) = rest.split_at_mut(shape.iter().product());
            parts.push(Some(part));
            rest = after;
        }
        let inputs = self.apart(joined.data);
        let tape = Tape {
            inputs: &inputs,
            ..tape
        };
        self.operator.backward(tape, &mut parts);
    }
}
