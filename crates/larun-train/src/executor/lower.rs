//! From the nodes of a graph to layers: options, operands and activations read, the rest refused by name.

use std::sync::Arc;

use larun_graph::ops::{Activation, ElementType, Op, OpKind, Role};
use larun_graph::{Graph, Node, NodeId, Place, Subgraph, TensorId};
use larun_quant::fake_quant::LearnedStep;

use super::parameter::{Parameter, ParameterKind};
use super::plan::{Averages, Layer, Operation, Plan, Source, Statistic, Value, ValueId};
use crate::TrainError;
use crate::ops::{Clamp, Differentiable, Moves, Unary};

/// The making of the layers of one node.
pub(super) struct Lowering<'a> {
    pub(super) plan: &'a mut Plan,
    pub(super) graph: &'a Graph,
    pub(super) subgraph: &'a Subgraph,
    pub(super) id: NodeId,
    pub(super) node: &'a Node,
    pub(super) place: Place,
}

/// What computes a node.
pub(super) enum Lowered {
    Computed(Operation),
    /// One operator for each output, and the operands that they read.
    Moved(Vec<usize>, Vec<Moves>),
}

impl Lowering<'_> {
    pub(super) fn lower(mut self) -> Result<(), TrainError> {
        let Some(op) = self.node.known() else {
            return Err(self.refuse("there is no gradient for this operator"));
        };
        self.layers_of(op)?;
        for &output in &self.node.outputs {
            self.plan.fake_quantize_home(output, &self.place)?;
        }
        Ok(())
    }

    fn layers_of(&mut self, op: &Op) -> Result<(), TrainError> {
        match op {
            Op::Relu(_) if self.fuse(Clamp::RELU)? => return Ok(()),
            Op::Relu6(_) if self.fuse(Clamp::RELU6)? => return Ok(()),
            _ => {}
        }
        let activation = op.activation().unwrap_or(Activation::None);
        let operation = match self.operation(op)? {
            Lowered::Computed(operation) => operation,
            Lowered::Moved(operands, all) => {
                let mut inputs = Vec::new();
                for index in operands {
                    if let Some(tensor) = self.node.input(index) {
                        inputs.push(self.activation(index, tensor)?);
                    }
                }
                for (&output, moves) in self.node.outputs.iter().zip(all) {
                    self.layers(plain(moves), inputs.clone(), activation, output)?;
                }
                return Ok(());
            }
        };
        let mut inputs = self.inputs()?;
        self.ensure_bias(op, &mut inputs)?;
        if let Operation::BatchNorm(_) = operation {
            inputs.truncate(3);
        }
        let &[output] = self.node.outputs.as_slice() else {
            return Err(self.refuse("it must have exactly one output"));
        };
        self.layers(operation, inputs, activation, output)
    }

    /// Joins the node to the batch normalisation that it alone follows. Returns whether there is one.
    fn fuse(&mut self, clamp: Clamp) -> Result<bool, TrainError> {
        let (Some(input), &[output]) = (self.node.input(0), self.node.outputs.as_slice()) else {
            return Ok(false);
        };
        let readers = self.subgraph.nodes.iter().flat_map(|node| &node.inputs);
        let is_read_elsewhere = readers.filter(|&&read| read == Some(input)).count() > 1
            || self.subgraph.outputs.contains(&input);
        let source = self
            .plan
            .value_of(input)
            .map(|value| self.plan.values[value].source);
        let Some(Source::Layer(number)) = source.filter(|_| !is_read_elsewhere) else {
            return Ok(false);
        };
        let Some(Layer {
            operation: Operation::BatchNorm(averages),
            ..
        }) = self.plan.layers.get_mut(number)
        else {
            return Ok(false);
        };
        averages.activation = Some(clamp);
        self.plan.forget(input);
        let value = self
            .plan
            .computed(self.subgraph, output, Source::Layer(number), true)?;
        self.plan.layers[number].output = value;
        Ok(true)
    }

    /// The values that the layer reads; parameters of the computation itself are not among them.
    fn inputs(&mut self) -> Result<Vec<ValueId>, TrainError> {
        let info = self.node.kind().map(|kind| kind.info());
        let mut values = Vec::new();
        for (index, input) in self.node.inputs.iter().enumerate() {
            let role = info
                .and_then(|info| info.input(index))
                .map(|operand| operand.role);
            let (Some(tensor), Some(role)) = (*input, role) else {
                continue;
            };
            match role {
                Role::Parameter if self.node.kind() == Some(OpKind::EmbeddingLookup) => {
                    values.push(self.activation(index, tensor)?);
                }
                Role::Parameter | Role::Statistic | Role::State => {}
                Role::Activation if self.is_matrix(index) => {
                    let channel_axis = self.shape(index).len().saturating_sub(1) as u8;
                    let role = Role::Weights { channel_axis };
                    let value = self.parameter(tensor, role)?;
                    values.push(self.read(index, value)?);
                }
                Role::Activation => values.push(self.activation(index, tensor)?),
                Role::Weights { .. } => {
                    let value = self.parameter(tensor, role)?;
                    let value =
                        self.plan
                            .fake_weights(self.subgraph, tensor, value, &self.place)?;
                    values.push(self.read(index, value)?);
                }
                Role::Bias | Role::Scale => {
                    let value = self.parameter(tensor, role)?;
                    values.push(self.read(index, value)?);
                }
            }
        }
        Ok(values)
    }

    /// Whether an operand is the constant matrix of a product, which is trained as weights are.
    fn is_matrix(&self, index: usize) -> bool {
        self.node.kind() == Some(OpKind::BatchMatmul) && self.is_constant(index)
    }

    /// A value as the node reads it: in an integer form of its own where the converter gives it one.
    fn read(&mut self, index: usize, value: ValueId) -> Result<ValueId, TrainError> {
        let own = self.plan.quantization.as_ref();
        match own.and_then(|quantization| quantization.read(self.id, index)) {
            Some(form) => self.plan.fake_quantize(value, form, &self.place),
            None => Ok(value),
        }
    }

    /// A value computed before, or a constant that takes its place.
    fn activation(&mut self, index: usize, tensor: TensorId) -> Result<ValueId, TrainError> {
        if let Some(value) = self.plan.value_of(tensor) {
            return self.read(index, value);
        }
        let values = match self.subgraph.tensor(tensor).map(|t| t.element_type) {
            Some(ElementType::Int32 | ElementType::Int64) => {
                let integers = self.integers(index)?;
                integers.iter().map(|&integer| integer as f32).collect()
            }
            _ => self.graph.values(tensor)?,
        };
        let source = Source::Constant(self.plan.constants.len());
        self.plan.constants.push(values);
        let shape = self
            .subgraph
            .tensor(tensor)
            .map_or(Vec::new(), |t| t.shape.dims().to_vec());
        let value = self.plan.push(Value {
            source,
            shape,
            is_trained: false,
            per_sample: false,
        });
        self.plan.name(tensor, value);
        self.read(index, value)
    }

    fn parameter(&mut self, tensor: TensorId, role: Role) -> Result<ValueId, TrainError> {
        if let Some(value) = self.plan.value_of(tensor) {
            return match self.plan.values[value].source {
                Source::Parameter(_) => Ok(value),
                _ => Err(self.refuse("its weights are computed; only constants are trained")),
            };
        }
        let values = self.graph.values(tensor)?;
        let (name, shape) = self
            .subgraph
            .tensor(tensor)
            .map_or(("?", &[][..]), |t| (t.name.as_str(), t.shape.dims()));
        let parameter = Parameter::new(tensor, name, role, ParameterKind::Constant, shape, values)?;
        let source = Source::Parameter(self.plan.parameters.len());
        self.plan.parameters.push(parameter);
        self.plan.computed(self.subgraph, tensor, source, true)
    }

    /// Puts zeros in the place of a bias that the node does not have.
    fn ensure_bias(&mut self, op: &Op, inputs: &mut Vec<ValueId>) -> Result<(), TrainError> {
        // How many inputs there are without a bias, which of them tells the number of channels, and by which axis.
        let (count, weights, axis, share) = match op {
            Op::Conv2D(_) | Op::FullyConnected(_) => (2, 1, 0, 1),
            Op::DepthwiseConv2D(_) => (2, 1, 3, 1),
            Op::TransposeConv(_) => (2, 0, 0, 1),
            Op::Svdf(options) => (3, 1, 0, self.sizes([options.rank.max(1), 1])?[0]),
            _ => return Ok(()),
        };
        if inputs.len() != count {
            return Ok(());
        }
        let Some(&channels) = self.plan.values[inputs[weights]].shape.get(axis) else {
            return Err(self.refuse("its weights have too few axes"));
        };
        let channels = channels / share;
        let source = Source::Constant(self.plan.constants.len());
        self.plan.constants.push(vec![0.0; channels]);
        inputs.push(self.plan.push(Value {
            source,
            shape: vec![channels],
            is_trained: false,
            per_sample: false,
        }));
        Ok(())
    }

    pub(super) fn statistic(&mut self, index: usize) -> Result<usize, TrainError> {
        let Some(tensor) = self.node.input(index) else {
            return Err(self.refuse("it lacks its running mean or variance"));
        };
        let statistic = Statistic {
            tensor,
            values: self.graph.values(tensor)?,
        };
        self.plan.statistics.push(statistic);
        Ok(self.plan.statistics.len() - 1)
    }

    /// Adds the layer, and one for its activation.
    fn layers(
        &mut self,
        operation: Operation,
        inputs: Vec<ValueId>,
        activation: Activation,
        tensor: TensorId,
    ) -> Result<(), TrainError> {
        let after = match activation {
            Activation::None => None,
            Activation::Relu => Some(plain(Clamp::RELU)),
            Activation::Relu6 => Some(plain(Clamp::RELU6)),
            Activation::ReluN1To1 => Some(plain(Clamp::RELU_N1_TO_1)),
            // The LSTM's own activation, not one of its output.
            Activation::Tanh if self.node.kind() == Some(OpKind::UnidirectionalSequenceLstm) => {
                None
            }
            Activation::Tanh => Some(plain(Unary::Tanh)),
            Activation::SignBit => {
                return Err(self.refuse("its activation SIGN_BIT has no gradient"));
            }
        };
        let stops = self.stops();
        let plan = &mut *self.plan;
        let is_trained = !stops && inputs.iter().any(|&input| plan.values[input].is_trained);
        let layer = Source::Layer(plan.layers.len());
        let mut output = plan.computed(self.subgraph, tensor, layer, is_trained)?;
        plan.layers.push(Layer {
            place: self.place.clone(),
            operation,
            inputs,
            output,
        });
        if let Some(after) = after {
            let inputs = vec![output];
            let layer = Source::Layer(plan.layers.len());
            output = plan.computed(self.subgraph, tensor, layer, is_trained)?;
            plan.layers.push(Layer {
                place: self.place.clone(),
                operation: after,
                inputs,
                output,
            });
        }
        Ok(())
    }

    pub(super) fn refuse(&self, reason: &str) -> TrainError {
        TrainError::Unsupported {
            place: self.place.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// The fake quantisation of a plan.
impl Plan {
    /// Puts a tensor that is computed in integers into their form.
    pub(super) fn fake_quantize_home(
        &mut self,
        tensor: TensorId,
        place: &Place,
    ) -> Result<(), TrainError> {
        let form = self.quantization.as_ref().and_then(|q| q.home(tensor));
        if let (Some(form), Some(value)) = (form, self.value_of(tensor)) {
            let quantized = self.fake_quantize(value, form, place)?;
            self.name(tensor, quantized);
        }
        Ok(())
    }

    /// A value in an integer form.
    fn fake_quantize(
        &mut self,
        value: ValueId,
        form: usize,
        place: &Place,
    ) -> Result<ValueId, TrainError> {
        let mut inputs = vec![value];
        let threshold = self.quantization.as_ref().and_then(|q| q.threshold(form));
        if let Some(threshold) = threshold {
            let kind = ParameterKind::Threshold(form);
            let tensor = self
                .quantization
                .as_ref()
                .and_then(|q| q.value(form).tensor);
            let role = Role::Scale;
            let parameter = Parameter::new(
                tensor.unwrap_or_default(),
                "threshold",
                role,
                kind,
                &[1],
                vec![threshold],
            )?;
            inputs.push(self.learned(parameter));
        }
        let Value {
            shape, per_sample, ..
        } = &self.values[value];
        let (shape, per_sample) = (shape.clone(), *per_sample);
        let is_trained = inputs.iter().any(|&input| self.values[input].is_trained);
        let source = Source::Layer(self.layers.len());
        let output = self.push(Value {
            source,
            shape,
            is_trained,
            per_sample,
        });
        self.layers.push(Layer {
            place: place.clone(),
            operation: Operation::FakeQuantize(form),
            inputs,
            output,
        });
        Ok(output)
    }

    /// Weights as their integers, where they become integers.
    fn fake_weights(
        &mut self,
        subgraph: &Subgraph,
        tensor: TensorId,
        value: ValueId,
        place: &Place,
    ) -> Result<ValueId, TrainError> {
        let found = self.quantization.as_ref().and_then(|quantization| {
            let (index, weights) = quantization.weights(tensor)?;
            Some((index, weights.clone(), quantization.config.learns(weights)))
        });
        let Some((index, weights, learns)) = found else {
            return Ok(value);
        };
        let same = |layer: &&Layer| matches!(layer.operation, Operation::FakeWeights { weights, .. } if weights == index);
        if let Some(layer) = self.layers.iter().find(same) {
            return Ok(layer.output);
        }
        let mut inputs = vec![value];
        if let (true, Source::Parameter(number)) = (learns, self.values[value].source) {
            let real = self.parameters[number].values();
            let axis = weights.per_channel.then_some(weights.channel_axis);
            let steps = learned_steps(&real, &self.values[value].shape, axis, weights.integers)?;
            let name = subgraph.tensor(tensor).map_or("?", |t| t.name.as_str());
            let parameter = Parameter::new(
                tensor,
                &format!("{name}/scales"),
                Role::Scale,
                ParameterKind::Scales(index),
                &[steps.len()],
                steps,
            )?;
            inputs.push(self.learned(parameter));
        }
        let shape = self.values[value].shape.clone();
        let source = Source::Layer(self.layers.len());
        let output = self.push(Value {
            source,
            shape,
            is_trained: true,
            per_sample: false,
        });
        self.layers.push(Layer {
            place: place.clone(),
            operation: Operation::FakeWeights {
                weights: index,
                norm: None,
            },
            inputs,
            output,
        });
        Ok(output)
    }

    /// Adds a parameter that no constant of the graph holds.
    fn learned(&mut self, parameter: Parameter) -> ValueId {
        let shape = parameter.var().dims().to_vec();
        let source = Source::Parameter(self.parameters.len());
        self.parameters.push(parameter);
        self.push(Value {
            source,
            shape,
            is_trained: true,
            per_sample: false,
        })
    }

    /// Tells the weights that share one scale of the batch normalisation that will be folded into them.
    pub(super) fn link_norms(&mut self) {
        let reader = |layers: &[Layer], value: ValueId| {
            layers
                .iter()
                .position(|layer| layer.inputs.contains(&value))
        };
        for index in 0..self.layers.len() {
            let Operation::FakeWeights { .. } = self.layers[index].operation else {
                continue;
            };
            let layer = reader(&self.layers, self.layers[index].output);
            let Some(next) =
                layer.and_then(|layer| reader(&self.layers, self.layers[layer].output))
            else {
                continue;
            };
            let Operation::BatchNorm(Averages {
                epsilon, variance, ..
            }) = self.layers[next].operation
            else {
                continue;
            };
            let gamma = self.layers[next].inputs.get(1);
            let gamma = gamma.map(|&gamma| self.values[gamma].source);
            if let (Some(Source::Parameter(gamma)), Operation::FakeWeights { norm, .. }) =
                (gamma, &mut self.layers[index].operation)
            {
                *norm = Some((gamma, variance, epsilon));
            }
        }
    }
}

/// LSQ's first steps, one a channel.
fn learned_steps(
    weights: &[f32],
    shape: &[usize],
    axis: Option<usize>,
    integers: larun_quant::IntegerRange,
) -> Result<Vec<f32>, TrainError> {
    let inner: usize = axis.map_or(1, |axis| shape.iter().skip(axis + 1).product());
    let count = axis.map_or(1, |axis| shape.get(axis).copied().unwrap_or(1));
    (0..count)
        .map(|channel| {
            let of_channel =
                |&(i, _): &(usize, &f32)| count == 1 || i / inner.max(1) % count == channel;
            let values = weights.iter().enumerate().filter(of_channel);
            let values: Vec<f32> = values.map(|(_, &w)| w).collect();
            match LearnedStep::for_weights(&values, integers) {
                Ok(step) => Ok(step.scale),
                Err(error) => Err(TrainError::Data(format!(
                    "weights cannot become integers: {error}"
                ))),
            }
        })
        .collect()
}

pub(super) fn plain(operator: impl Differentiable + 'static) -> Operation {
    Operation::Plain(Arc::new(operator))
}
