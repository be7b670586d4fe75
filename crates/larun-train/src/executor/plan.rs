//! A graph as a list of differentiable layers over numbered values.

use std::sync::Arc;

use larun_graph::ops::ElementType;
use larun_graph::{Graph, GraphError, Place, Subgraph, TensorId};

use super::lower::Lowering;
use super::parameter::Parameter;
use super::quantization::Quantization;
use crate::TrainError;
use crate::ops::{Clamp, Differentiable, Statistics};

/// The number of a value.
pub(super) type ValueId = usize;

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// An input of the graph.
    Input(usize),
    /// A constant that is not trained.
    Constant(usize),
    /// A trained constant.
    Parameter(usize),
    /// The output of a layer.
    Layer(usize),
}

/// Something that a layer reads or computes.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) source: Source,
    /// Its shape for one sample. For a batch of `n` the leading axis is `n` times as long, unless the
    /// value is a constant.
    pub(super) shape: Vec<usize>,
    /// Whether some trained constant stands behind it.
    pub(super) is_trained: bool,
    /// Whether every sample has its own.
    pub(super) per_sample: bool,
}

impl Value {
    /// The shape for a batch.
    pub(super) fn batched(&self, batch: usize) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if let (true, Some(leading)) = (self.per_sample, shape.first_mut()) {
            *leading = leading.saturating_mul(batch);
        }
        shape
    }
}

/// What a layer computes.
#[derive(Debug)]
pub(super) enum Operation {
    /// The same in training and in inference.
    Plain(Arc<dyn Differentiable>),
    /// The same elements in the shape of the output.
    Reshape,
    /// Batch normalisation with its running averages.
    BatchNorm(Averages),
    /// A value in the integer form of this number.
    FakeQuantize(usize),
    /// Weights as their integers.
    FakeWeights {
        /// The number of the weights.
        weights: usize,
        /// The batch normalisation that will be folded into them: numbers of its factors and its running variance, and epsilon.
        norm: Option<(usize, usize, f32)>,
    },
}

/// The running averages of a batch normalisation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Averages {
    pub(super) epsilon: f32,
    pub(super) momentum: f32,
    /// A RELU or the like that follows and nothing else reads: one pass does both.
    pub(super) activation: Option<Clamp>,
    /// Numbers of the statistics.
    pub(super) mean: usize,
    pub(super) variance: usize,
}

/// One step of the execution. A node makes one, or two with a fused activation.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) place: Place,
    pub(super) operation: Operation,
    pub(super) inputs: Vec<ValueId>,
    pub(super) output: ValueId,
}

/// A constant that training measures: the running mean or variance of a batch normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistic {
    /// The constant in the graph.
    pub tensor: TensorId,
    /// Its values, one a channel.
    pub values: Vec<f32>,
}

/// The execution of a graph.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) values: Vec<Value>,
    pub(super) layers: Vec<Layer>,
    pub(super) inputs: Vec<ValueId>,
    pub(super) outputs: Vec<ValueId>,
    pub(super) constants: Vec<Vec<f32>>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) statistics: Vec<Statistic>,
    /// The integers that the network will compute with; `None` where it is trained in real numbers.
    pub(super) quantization: Option<Quantization>,
    /// The value of each tensor.
    by_tensor: Vec<Option<ValueId>>,
}

impl Plan {
    pub(super) fn new(
        graph: &Graph,
        quantization: Option<Quantization>,
    ) -> Result<Self, TrainError> {
        graph.validate()?;
        let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
        let mut plan = Self {
            by_tensor: vec![None; subgraph.tensors.len()],
            quantization,
            ..Self::default()
        };
        for (number, &tensor) in subgraph.inputs.iter().enumerate() {
            let value = plan.computed(subgraph, tensor, Source::Input(number), false)?;
            plan.inputs.push(value);
            let place = Place::tensor(subgraph, tensor);
            plan.fake_quantize_home(tensor, &place)?;
        }
        for (id, node) in subgraph.iter_nodes() {
            let place = Place::node(subgraph, id);
            Lowering {
                plan: &mut plan,
                graph,
                subgraph,
                id,
                node,
                place,
            }
            .lower()?;
        }
        for &tensor in &subgraph.outputs {
            let value = plan
                .value_of(tensor)
                .ok_or_else(|| GraphError::NoSuchTensor {
                    place: Place::tensor(subgraph, tensor),
                })?;
            plan.outputs.push(value);
        }
        plan.link_norms();
        Ok(plan)
    }

    /// The value of a tensor of the graph, `None` where nothing computes it.
    pub(super) fn value_of(&self, tensor: TensorId) -> Option<ValueId> {
        self.by_tensor.get(tensor.index()).copied().flatten()
    }

    /// The running averages as an operator takes them.
    pub(super) fn fixed_statistics(&self, averages: &Averages) -> Statistics {
        Statistics::Fixed {
            mean: self.statistics[averages.mean].values.clone(),
            variance: self.statistics[averages.variance].values.clone(),
        }
    }

    /// Makes a value that of a tensor.
    pub(super) fn name(&mut self, tensor: TensorId, value: ValueId) {
        if let Some(slot) = self.by_tensor.get_mut(tensor.index()) {
            *slot = Some(value);
        }
    }

    /// Leaves a tensor without a value.
    pub(super) fn forget(&mut self, tensor: TensorId) {
        if let Some(slot) = self.by_tensor.get_mut(tensor.index()) {
            *slot = None;
        }
    }

    pub(super) fn push(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        self.values.len() - 1
    }

    /// Adds an input or an output of a layer.
    pub(super) fn computed(
        &mut self,
        subgraph: &Subgraph,
        tensor: TensorId,
        source: Source,
        is_trained: bool,
    ) -> Result<ValueId, TrainError> {
        let info = subgraph
            .tensor(tensor)
            .ok_or_else(|| GraphError::NoSuchTensor {
                place: Place::tensor(subgraph, tensor),
            })?;
        // Truth values are kept as 0 and 1, numbers of rows that come in as whole floats.
        let is_number = match source {
            Source::Input(_) => info.element_type == ElementType::Int32,
            _ => info.element_type == ElementType::Bool,
        };
        if info.element_type != ElementType::Float32 && !is_number {
            return Err(TrainError::Graph(GraphError::ElementType {
                place: Place::tensor(subgraph, tensor),
                expected: ElementType::Float32,
                found: info.element_type,
            }));
        }
        let shape = info.shape.dims().to_vec();
        let value = self.push(Value {
            source,
            shape,
            is_trained,
            per_sample: matches!(source, Source::Input(_) | Source::Layer(_)),
        });
        self.name(tensor, value);
        Ok(value)
    }
}
