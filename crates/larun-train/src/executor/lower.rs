//! From the nodes of a graph to layers: options, operands and activations read, the rest refused by name.

use std::sync::Arc;

use larun_graph::ops::{Activation, ElementType, Op, Padding, Pool2DOptions, Role};
use larun_graph::{Graph, Node, Place, Subgraph, TensorId};

use super::parameter::Parameter;
use super::plan::{Averages, Layer, Operation, Plan, Source, Statistic, Value, ValueId};
use crate::TrainError;
use crate::ops::{
    Add, AveragePool2d, Clamp, Concatenation, Conv2d, DepthwiseConv2d, Differentiable,
    FullyConnected, Identity, Logistic, MaxPool2d, Mean, Mul, Pad, Softmax, Window2d,
};

/// The making of the layers of one node.
pub(super) struct Lowering<'a> {
    pub(super) plan: &'a mut Plan,
    pub(super) graph: &'a Graph,
    pub(super) subgraph: &'a Subgraph,
    pub(super) node: &'a Node,
    pub(super) place: Place,
}

impl Lowering<'_> {
    pub(super) fn lower(mut self) -> Result<(), TrainError> {
        let Some(op) = self.node.known() else {
            return Err(self.refuse("there is no gradient for this operator"));
        };
        match op {
            Op::Relu(_) if self.fuse(Clamp::RELU)? => return Ok(()),
            Op::Relu6(_) if self.fuse(Clamp::RELU6)? => return Ok(()),
            _ => {}
        }
        let operation = self.operation(op)?;
        let mut inputs = self.inputs()?;
        if matches!(
            op,
            Op::Conv2D(_) | Op::DepthwiseConv2D(_) | Op::FullyConnected(_)
        ) {
            self.ensure_bias(op, &mut inputs)?;
        }
        if let Operation::BatchNorm(_) = operation {
            inputs.truncate(3);
        }
        let activation = op.activation().unwrap_or(Activation::None);
        self.layers(operation, inputs, activation)
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

    /// What the node computes, its activation aside.
    fn operation(&mut self, op: &Op) -> Result<Operation, TrainError> {
        Ok(match op {
            Op::Add(_) => plain(Add),
            Op::Mul(_) => plain(Mul),
            Op::AveragePool2D(options) => plain(AveragePool2d {
                window: self.pool_window(options)?,
            }),
            Op::MaxPool2D(options) => plain(MaxPool2d {
                window: self.pool_window(options)?,
            }),
            Op::Conv2D(o) => plain(Conv2d {
                window: self.kernel_window(
                    [o.stride_h, o.stride_w],
                    [o.dilation_h, o.dilation_w],
                    o.padding,
                )?,
            }),
            Op::DepthwiseConv2D(o) => plain(DepthwiseConv2d {
                window: self.kernel_window(
                    [o.stride_h, o.stride_w],
                    [o.dilation_h, o.dilation_w],
                    o.padding,
                )?,
            }),
            Op::FullyConnected(options) => plain(FullyConnected {
                keep_dims: options.keep_num_dims,
            }),
            Op::Concatenation(options) => plain(Concatenation {
                axis: self.axis(options.axis)?,
            }),
            Op::Mean(options) => plain(Mean {
                axes: self.axes()?,
                keep_dims: options.keep_dims,
            }),
            Op::Pad(_) => plain(Pad {
                padding: self.padding()?,
            }),
            Op::Softmax(options) => plain(Softmax { beta: options.beta }),
            Op::Relu(_) => plain(Clamp::RELU),
            Op::Relu6(_) => plain(Clamp::RELU6),
            Op::Logistic(_) => plain(Logistic),
            Op::Quantize(_) | Op::Dequantize(_) => plain(Identity),
            Op::Reshape(_) | Op::Squeeze(_) | Op::ExpandDims(_) => Operation::Reshape,
            Op::DepthToSpace(_)
            | Op::EmbeddingLookup(_)
            | Op::Floor(_)
            | Op::L2Normalization(_)
            | Op::L2Pool2D(_)
            | Op::ResizeBilinear(_)
            | Op::SpaceToDepth(_)
            | Op::Svdf(_)
            | Op::Tanh(_)
            | Op::Gather(_)
            | Op::BatchToSpaceNd(_)
            | Op::SpaceToBatchNd(_)
            | Op::Transpose(_)
            | Op::Sub(_)
            | Op::Div(_)
            | Op::UnidirectionalSequenceLstm(_)
            | Op::StridedSlice(_)
            | Op::Exp(_)
            | Op::Split(_)
            | Op::LogSoftmax(_)
            | Op::Cast(_)
            | Op::Prelu(_)
            | Op::Maximum(_)
            | Op::ArgMax(_)
            | Op::Minimum(_)
            | Op::Less(_)
            | Op::Neg(_)
            | Op::PadV2(_)
            | Op::Greater(_)
            | Op::GreaterEqual(_)
            | Op::LessEqual(_)
            | Op::Slice(_)
            | Op::Sin(_)
            | Op::TransposeConv(_)
            | Op::Equal(_)
            | Op::NotEqual(_)
            | Op::Log(_)
            | Op::Sum(_)
            | Op::Sqrt(_)
            | Op::Rsqrt(_)
            | Op::Shape(_)
            | Op::ArgMin(_)
            | Op::ReduceMax(_)
            | Op::Pack(_)
            | Op::LogicalOr(_)
            | Op::LogicalAnd(_)
            | Op::LogicalNot(_)
            | Op::Unpack(_)
            | Op::ReduceMin(_)
            | Op::FloorDiv(_)
            | Op::Square(_)
            | Op::ZerosLike(_)
            | Op::Fill(_)
            | Op::FloorMod(_)
            | Op::ResizeNearestNeighbor(_)
            | Op::LeakyRelu(_)
            | Op::SquaredDifference(_)
            | Op::MirrorPad(_)
            | Op::Abs(_)
            | Op::SplitV(_)
            | Op::Ceil(_)
            | Op::ReverseV2(_)
            | Op::AddN(_)
            | Op::GatherNd(_)
            | Op::Cos(_)
            | Op::Elu(_)
            | Op::Round(_)
            | Op::HardSwish(_)
            | Op::If(_)
            | Op::While(_)
            | Op::Select(_)
            | Op::SelectV2(_)
            | Op::BatchMatmul(_)
            | Op::CumSum(_)
            | Op::CallOnce(_)
            | Op::BroadcastTo(_)
            | Op::ReduceAll(_)
            | Op::VarHandle(_)
            | Op::ReadVariable(_)
            | Op::AssignVariable(_)
            | Op::BroadcastArgs(_)
            | Op::Gelu(_)
            | Op::DynamicUpdateSlice(_)
            | Op::CircularBuffer(_)
            | Op::Decode(_)
            | Op::DetectionPostProcess(_)
            | Op::SignalDelay(_)
            | Op::SignalEnergy(_)
            | Op::SignalFftAutoScale(_)
            | Op::SignalFilterBank(_)
            | Op::SignalFilterBankLog(_)
            | Op::SignalFilterBankSpectralSubtraction(_)
            | Op::SignalFilterBankSquareRoot(_)
            | Op::SignalFramer(_)
            | Op::SignalIrfft(_)
            | Op::SignalOverlapAdd(_)
            | Op::SignalPcan(_)
            | Op::SignalRfft(_)
            | Op::SignalStacker(_)
            | Op::SignalWindow(_) => return Err(self.refuse("the operator has no gradient yet")),
            Op::BatchNorm(options) => Operation::BatchNorm(Averages {
                epsilon: options.epsilon,
                momentum: options.momentum,
                activation: None,
                mean: self.statistic(3)?,
                variance: self.statistic(4)?,
            }),
        })
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
                Role::Parameter | Role::Statistic | Role::State => {}
                Role::Activation => values.push(self.activation(tensor)?),
                Role::Weights { .. } | Role::Bias | Role::Scale => {
                    values.push(self.parameter(tensor, role)?);
                }
            }
        }
        Ok(values)
    }

    /// A value computed before, or a constant that takes its place.
    fn activation(&mut self, tensor: TensorId) -> Result<ValueId, TrainError> {
        if let Some(value) = self.plan.value_of(tensor) {
            return Ok(value);
        }
        let values = self.graph.values(tensor)?;
        let source = Source::Constant(self.plan.constants.len());
        self.plan.constants.push(values);
        self.plan.computed(self.subgraph, tensor, source, false)
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
        let parameter = Parameter::new(tensor, name, role, shape, values)?;
        let source = Source::Parameter(self.plan.parameters.len());
        self.plan.parameters.push(parameter);
        self.plan.computed(self.subgraph, tensor, source, true)
    }

    /// Puts zeros in the place of a bias that the node does not have.
    fn ensure_bias(&mut self, op: &Op, inputs: &mut Vec<ValueId>) -> Result<(), TrainError> {
        let &[_, weights] = inputs.as_slice() else {
            return Ok(());
        };
        let axis = if matches!(op, Op::DepthwiseConv2D(_)) {
            3
        } else {
            0
        };
        let Some(&channels) = self.plan.values[weights].shape.get(axis) else {
            return Err(self.refuse("its weights have too few axes"));
        };
        let source = Source::Constant(self.plan.constants.len());
        self.plan.constants.push(vec![0.0; channels]);
        let shape = vec![channels];
        inputs.push(self.plan.push(Value {
            source,
            shape,
            is_trained: false,
        }));
        Ok(())
    }

    fn statistic(&mut self, index: usize) -> Result<usize, TrainError> {
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
        self,
        operation: Operation,
        inputs: Vec<ValueId>,
        activation: Activation,
    ) -> Result<(), TrainError> {
        let clamp = match activation {
            Activation::None => None,
            Activation::Relu => Some(Clamp::RELU),
            Activation::Relu6 => Some(Clamp::RELU6),
            Activation::ReluN1To1 => Some(Clamp::RELU_N1_TO_1),
            Activation::Tanh | Activation::SignBit => {
                return Err(self.refuse(&format!(
                    "its activation {activation:?} has no gradient here"
                )));
            }
        };
        let &[tensor] = self.node.outputs.as_slice() else {
            return Err(self.refuse("it must have exactly one output"));
        };
        let Self {
            plan,
            subgraph,
            place,
            ..
        } = self;
        let is_trained = inputs.iter().any(|&input| plan.values[input].is_trained);
        let layer = Source::Layer(plan.layers.len());
        let mut output = plan.computed(subgraph, tensor, layer, is_trained)?;
        plan.layers.push(Layer {
            place: place.clone(),
            operation,
            inputs,
            output,
        });
        if let Some(clamp) = clamp {
            let inputs = vec![output];
            let layer = Source::Layer(plan.layers.len());
            output = plan.computed(subgraph, tensor, layer, is_trained)?;
            plan.layers.push(Layer {
                place,
                operation: plain(clamp),
                inputs,
                output,
            });
        }
        Ok(())
    }

    fn pool_window(&self, options: &Pool2DOptions) -> Result<Window2d, TrainError> {
        let size = self.sizes([options.filter_h, options.filter_w])?;
        self.window(
            size,
            [options.stride_h, options.stride_w],
            [1, 1],
            options.padding,
        )
    }

    /// The window of a convolution, whose weights have the shape `[_, KH, KW, _]`.
    fn kernel_window(
        &self,
        stride: [i32; 2],
        dilation: [i32; 2],
        padding: Padding,
    ) -> Result<Window2d, TrainError> {
        let weights = self
            .node
            .input(1)
            .and_then(|weights| self.subgraph.tensor(weights));
        match weights.map(|weights| weights.shape.dims()) {
            Some(&[_, height, width, _]) => self.window([height, width], stride, dilation, padding),
            _ => Err(self.refuse("its weights must have rank 4")),
        }
    }

    fn window(
        &self,
        size: [usize; 2],
        stride: [i32; 2],
        dilation: [i32; 2],
        padding: Padding,
    ) -> Result<Window2d, TrainError> {
        Ok(Window2d {
            size,
            stride: self.sizes(stride)?,
            dilation: self.sizes(dilation)?,
            padding,
        })
    }

    fn sizes(&self, sizes: [i32; 2]) -> Result<[usize; 2], TrainError> {
        match sizes.map(usize::try_from) {
            [Ok(height), Ok(width)] => Ok([height, width]),
            _ => Err(self.refuse("its window, stride or dilation is negative")),
        }
    }

    /// An axis of the first input, counted from the end where negative; never the one of the samples.
    fn axis(&self, axis: i32) -> Result<usize, TrainError> {
        let first = self
            .node
            .input(0)
            .and_then(|input| self.subgraph.tensor(input));
        match first.and_then(|input| input.shape.axis(axis)) {
            Some(0) => {
                Err(self.refuse("it works across axis 0, which is that of the samples in training"))
            }
            Some(axis) => Ok(axis),
            None => Err(self.refuse(&format!("its input has no axis {axis}"))),
        }
    }

    /// The integers of a constant operand.
    fn integers(&self, index: usize) -> Result<Vec<i32>, TrainError> {
        let Some(tensor) = self.node.input(index) else {
            return Err(self.refuse(&format!("input {index} is absent")));
        };
        let element_type = self.subgraph.tensor(tensor).map(|t| t.element_type);
        if element_type == Some(ElementType::Int64) {
            let values = self.graph.values::<i64>(tensor)?;
            let narrow = values
                .into_iter()
                .map(i32::try_from)
                .collect::<Result<_, _>>();
            return narrow.map_err(|_| self.refuse(&format!("input {index} does not fit 32 bits")));
        }
        Ok(self.graph.values(tensor)?)
    }

    fn axes(&self) -> Result<Vec<usize>, TrainError> {
        self.integers(1)?
            .into_iter()
            .map(|axis| self.axis(axis))
            .collect()
    }

    fn padding(&self) -> Result<Vec<[usize; 2]>, TrainError> {
        let integers = self.integers(1)?;
        let pairs = integers
            .chunks_exact(2)
            .map(|pair| self.sizes([pair[0], pair[1]]));
        let padding: Vec<[usize; 2]> = pairs.collect::<Result<_, _>>()?;
        match padding.first() {
            Some(&first) if first != [0, 0] => {
                Err(self.refuse("it pads axis 0, which is that of the samples in training"))
            }
            _ => Ok(padding),
        }
    }

    fn refuse(&self, reason: &str) -> TrainError {
        TrainError::Unsupported {
            place: self.place.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn plain(operator: impl Differentiable + 'static) -> Operation {
    Operation::Plain(Arc::new(operator))
}
