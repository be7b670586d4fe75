//! One layer at a time: its operator for this pass, its operands, its gradients.

use super::Mode;
use super::buffers::FreeList;
use super::plan::{Layer, Operation, Plan, Source, ValueId};
use crate::TrainError;
use crate::ops::{
    BatchNorm, Differentiable, FakeQuantize, FakeQuantizeWeights, Reshape, Statistics, Tape, View,
    accumulate,
};

/// Elements of a tensor, or `None` where there are more than a machine word can count.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1, |product: usize, &size| product.checked_mul(size))
}

/// Checks that a layer computes the shape that the graph declares, for these samples.
pub(super) fn check_layer(
    plan: &Plan,
    layer: &Layer,
    shapes: &[Vec<usize>],
) -> Result<(), TrainError> {
    let inputs: Vec<&[usize]> = layer
        .inputs
        .iter()
        .map(|&input| shapes[input].as_slice())
        .collect();
    let declared = &shapes[layer.output];
    let operator = resolve(plan, layer, declared, Mode::Inference, None);
    let shape_error = |source| TrainError::Shape {
        place: layer.place.clone(),
        source,
    };
    let computed = operator
        .as_ref()
        .output_shape(&inputs)
        .map_err(shape_error)?;
    if computed == *declared && elements(declared).is_some() {
        return Ok(());
    }
    Err(TrainError::Unsupported {
        place: layer.place.clone(),
        reason: format!(
            "it mixes samples: two of them give the shape {computed:?} in place of {declared:?}"
        ),
    })
}

/// Adds a gradient to what is there already.
pub(super) fn add_or_set(slot: &mut Option<Vec<f32>>, gradient: Vec<f32>, free: &mut FreeList) {
    match slot {
        Some(total) => {
            accumulate(total, &gradient);
            free.give(gradient);
        }
        None => *slot = Some(gradient),
    }
}

/// An operator of the plan, or one made for this run.
pub(super) enum Resolved<'a> {
    Plain(&'a dyn Differentiable),
    Reshape(Reshape),
    BatchNorm(BatchNorm),
    FakeQuantize(FakeQuantize),
    FakeWeights(FakeQuantizeWeights),
}

impl Resolved<'_> {
    pub(super) fn as_ref(&self) -> &dyn Differentiable {
        match self {
            Self::Plain(operator) => *operator,
            Self::Reshape(operator) => operator,
            Self::BatchNorm(operator) => operator,
            Self::FakeQuantize(operator) => operator,
            Self::FakeWeights(operator) => operator,
        }
    }
}

/// The operator of a layer. `parameters` hold the values of all parameters; without them, what depends on them is left out.
pub(super) fn resolve<'a>(
    plan: &Plan,
    layer: &'a Layer,
    output: &[usize],
    mode: Mode,
    parameters: Option<&[&[f32]]>,
) -> Resolved<'a> {
    match &layer.operation {
        Operation::Plain(operator) => Resolved::Plain(operator.as_ref()),
        Operation::Reshape => Resolved::Reshape(Reshape {
            shape: output.to_vec(),
        }),
        Operation::BatchNorm(averages) => Resolved::BatchNorm(BatchNorm {
            epsilon: averages.epsilon,
            statistics: match mode {
                Mode::Training | Mode::Measuring(_) => Statistics::Batch,
                Mode::Inference => plan.fixed_statistics(averages),
            },
            activation: averages.activation,
        }),
        &Operation::FakeQuantize(form) => Resolved::FakeQuantize(plan.fake_quantize_operator(form)),
        Operation::FakeWeights { weights, norm } => {
            let factors = match (norm, parameters) {
                (Some((gamma, variance, epsilon)), Some(parameters)) => {
                    let variance = &plan.statistics[*variance].values;
                    let pairs = parameters[*gamma].iter().zip(variance);
                    pairs.map(|(g, v)| g / (v + epsilon).sqrt()).collect()
                }
                _ => Vec::new(),
            };
            Resolved::FakeWeights(plan.fake_weights_operator(*weights, factors))
        }
    }
}

/// All values that layers can read.
pub(super) struct Values<'a> {
    pub(super) plan: &'a Plan,
    pub(super) shapes: &'a [Vec<usize>],
    pub(super) inputs: &'a [Vec<f32>],
    pub(super) parameters: &'a [&'a [f32]],
    pub(super) outputs: &'a [Vec<f32>],
}

impl<'a> Values<'a> {
    fn view(&self, value: ValueId) -> View<'a> {
        let data: &[f32] = match self.plan.values[value].source {
            Source::Input(index) => &self.inputs[index],
            Source::Constant(index) => &self.plan.constants[index],
            Source::Parameter(index) => self.parameters[index],
            Source::Layer(index) => &self.outputs[index],
        };
        View {
            data,
            shape: &self.shapes[value],
        }
    }

    /// The inputs of a layer.
    pub(super) fn of(&self, layer: &Layer) -> Vec<View<'a>> {
        layer.inputs.iter().map(|&input| self.view(input)).collect()
    }

    pub(super) fn operator(&self, layer: &'a Layer, mode: Mode) -> Resolved<'a> {
        let output = &self.shapes[layer.output];
        resolve(self.plan, layer, output, mode, Some(self.parameters))
    }

    /// Adds the gradients of a layer's inputs to those that are there.
    pub(super) fn backward(
        &self,
        layer: &'a Layer,
        mode: Mode,
        saved: &[f32],
        gradient: &[f32],
        gradients: &mut [Option<Vec<f32>>],
        free: &mut FreeList,
    ) {
        let wanted = |&input: &ValueId| self.plan.values[input].is_trained;
        let mut parts: Vec<Option<Vec<f32>>> = layer
            .inputs
            .iter()
            .map(|input| wanted(input).then(|| free.take(self.shapes[*input].iter().product())))
            .collect();
        let mut slices: Vec<_> = parts.iter_mut().map(Option::as_deref_mut).collect();
        let tape = Tape {
            inputs: &self.of(layer),
            output: self.view(layer.output),
            saved,
            gradient,
        };
        self.operator(layer, mode)
            .as_ref()
            .backward(tape, &mut slices);
        for (&input, part) in layer.inputs.iter().zip(parts) {
            if let Some(part) = part {
                add_or_set(&mut gradients[input], part, free);
            }
        }
    }
}
