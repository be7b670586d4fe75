//! Which differentiable operator computes what a node does: for every operator of the table, by name.

use larun_graph::ops::{Op, OpKind};

use super::lower::{Lowered, Lowering, plain};
use super::moved::moves;
use super::plan::{Averages, Operation};
use crate::TrainError;
use crate::ops::{
    Add, AddN, Arithmetic, AveragePool2d, BatchMatmul, Clamp, Comparison, Concatenation, Conv2d,
    CumSum, DepthwiseConv2d, Embedding, FullyConnected, Identity, L2Normalization, L2Pool2d,
    LogSoftmax, Logistic, Lstm, MaxPool2d, Mean, Mul, Pad, Reduce, Reduction, ResizeBilinear,
    Select, Softmax, Svdf, TransposeConv, Unary,
};

/// The operators that are not trained, as a pattern of an enum over the table: one list for [`Op`] and for [`OpKind`].
macro_rules! untrained {
    ($of:ident, $($options:tt)?) => {
        untrained!(smooth $of, $($options)?)
            | untrained!(float $of, $($options)?)
            | untrained!(control $of, $($options)?)
            | untrained!(encoded $of, $($options)?)
            | untrained!(signal $of, $($options)?)
    };
    (smooth $of:ident, $($o:tt)?) => {
        $of::ArgMax $($o)? | $of::ArgMin $($o)? | $of::DetectionPostProcess $($o)?
    };
    (float $of:ident, $($o:tt)?) => {
        $of::Shape $($o)? | $of::LogicalNot $($o)? | $of::ReduceAll $($o)? | $of::BroadcastArgs $($o)?
    };
    (control $of:ident, $($o:tt)?) => {
        $of::If $($o)?
            | $of::While $($o)?
            | $of::CallOnce $($o)?
            | $of::VarHandle $($o)?
            | $of::ReadVariable $($o)?
            | $of::AssignVariable $($o)?
            | $of::CircularBuffer $($o)?
    };
    (encoded $of:ident, $($o:tt)?) => {
        $of::Decode $($o)?
    };
    (signal $of:ident, $($o:tt)?) => {
        $of::SignalDelay $($o)?
            | $of::SignalEnergy $($o)?
            | $of::SignalFftAutoScale $($o)?
            | $of::SignalFilterBank $($o)?
            | $of::SignalFilterBankLog $($o)?
            | $of::SignalFilterBankSpectralSubtraction $($o)?
            | $of::SignalFilterBankSquareRoot $($o)?
            | $of::SignalFramer $($o)?
            | $of::SignalIrfft $($o)?
            | $of::SignalOverlapAdd $($o)?
            | $of::SignalPcan $($o)?
            | $of::SignalRfft $($o)?
            | $of::SignalStacker $($o)?
            | $of::SignalWindow $($o)?
    };
}

/// Why an operator is not trained, `None` for one that is.
pub const fn why_untrained(kind: OpKind) -> Option<&'static str> {
    match kind {
        untrained!(smooth OpKind,) => Some(NO_GRADIENT),
        untrained!(float OpKind,) => Some(NOT_FLOAT),
        untrained!(control OpKind,) => Some(CONTROL),
        untrained!(encoded OpKind,) => Some(ENCODED),
        untrained!(signal OpKind,) => Some(SIGNAL),
        _ => None,
    }
}

/// Why an operator is not trained.
const NO_GRADIENT: &str = "what it computes does not change smoothly with what it reads";
const NOT_FLOAT: &str = "it computes no real numbers";
const CONTROL: &str = "it runs other subgraphs or keeps values between inferences; only what is computed in one go is trained";
const ENCODED: &str = "its constants are compressed; train the model before that";
const SIGNAL: &str = "signal processing comes before the network: train on its output";

impl Lowering<'_> {
    /// What the node computes, its activation aside.
    pub(super) fn operation(&mut self, op: &Op) -> Result<Lowered, TrainError> {
        let operation = match op {
            Op::Add(_) => plain(Add),
            Op::Mul(_) => plain(Mul),
            Op::Sub(_) => plain(Arithmetic::Sub),
            Op::Div(_) => plain(Arithmetic::Div),
            Op::Maximum(_) => plain(Arithmetic::Maximum),
            Op::Minimum(_) => plain(Arithmetic::Minimum),
            Op::SquaredDifference(_) => plain(Arithmetic::SquaredDifference),
            Op::FloorDiv(_) => plain(Arithmetic::FloorDiv),
            Op::FloorMod(_) => plain(Arithmetic::FloorMod),
            Op::Prelu(_) => plain(Arithmetic::Prelu),
            Op::AddN(_) => plain(AddN),
            Op::Less(_) => plain(Comparison::Less),
            Op::LessEqual(_) => plain(Comparison::LessEqual),
            Op::Greater(_) => plain(Comparison::Greater),
            Op::GreaterEqual(_) => plain(Comparison::GreaterEqual),
            Op::Equal(_) => plain(Comparison::Equal),
            Op::NotEqual(_) => plain(Comparison::NotEqual),
            Op::LogicalAnd(_) => plain(Comparison::And),
            Op::LogicalOr(_) => plain(Comparison::Or),
            Op::Abs(_) => plain(Unary::Abs),
            Op::Ceil(_) => plain(Unary::Ceil),
            Op::Cos(_) => plain(Unary::Cos),
            Op::Elu(_) => plain(Unary::Elu),
            Op::Exp(_) => plain(Unary::Exp),
            Op::Floor(_) => plain(Unary::Floor),
            Op::Gelu(options) => plain(Unary::Gelu {
                approximate: options.approximate,
            }),
            Op::HardSwish(_) => plain(Unary::HardSwish),
            Op::LeakyRelu(options) => plain(Unary::LeakyRelu {
                alpha: options.alpha,
            }),
            Op::Log(_) => plain(Unary::Log),
            Op::Neg(_) => plain(Unary::Neg),
            Op::Round(_) => plain(Unary::Round),
            Op::Rsqrt(_) => plain(Unary::Rsqrt),
            Op::Sin(_) => plain(Unary::Sin),
            Op::Sqrt(_) => plain(Unary::Sqrt),
            Op::Square(_) => plain(Unary::Square),
            Op::Tanh(_) => plain(Unary::Tanh),
            Op::ZerosLike(_) => plain(Unary::ZerosLike),
            Op::Relu(_) => plain(Clamp::RELU),
            Op::Relu6(_) => plain(Clamp::RELU6),
            Op::Logistic(_) => plain(Logistic),
            Op::Softmax(options) => plain(Softmax { beta: options.beta }),
            Op::LogSoftmax(_) => plain(LogSoftmax),
            Op::L2Normalization(_) => plain(L2Normalization),
            Op::AveragePool2D(options) => plain(AveragePool2d {
                window: self.pool_window(options)?,
            }),
            Op::MaxPool2D(options) => plain(MaxPool2d {
                window: self.pool_window(options)?,
            }),
            Op::L2Pool2D(options) => plain(L2Pool2d {
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
            Op::TransposeConv(o) => {
                let window = self.kernel_window([o.stride_h, o.stride_w], [1, 1], o.padding)?;
                match *self.output_shape() {
                    [_, height, width, _] => plain(TransposeConv {
                        window,
                        output: [height, width],
                    }),
                    _ => return Err(self.refuse("its output must have rank 4")),
                }
            }
            Op::FullyConnected(options) => plain(FullyConnected {
                keep_dims: options.keep_num_dims,
            }),
            Op::BatchMatmul(options) => plain(BatchMatmul {
                transpose: [options.adj_x, options.adj_y],
            }),
            Op::EmbeddingLookup(_) => plain(Embedding),
            Op::UnidirectionalSequenceLstm(options) => {
                // The interpreter runs these alone: peepholes and the like have no kernel.
                let plain_gates = (1..9).chain(12..16).all(|i| self.node.input(i).is_some());
                let variants = [9, 10, 11, 16, 17, 20, 21, 22, 23];
                if !plain_gates || variants.iter().any(|&i| self.node.input(i).is_some()) {
                    return Err(self.refuse(
                        "peepholes, projection, layer normalisation and gates without weights are not trained",
                    ));
                }
                let &[outer, inner, _] = self.shape(0) else {
                    return Err(self.refuse("its input must have rank 3"));
                };
                let (sequences, steps) = match options.time_major {
                    true => (inner, outer),
                    false => (outer, inner),
                };
                plain(Lstm {
                    cell_clip: options.cell_clip,
                    sequences,
                    steps,
                    time_major: options.time_major,
                })
            }
            Op::Svdf(options) => plain(Svdf {
                rank: self.sizes([options.rank, 1])?[0],
            }),
            Op::Mean(options) => plain(Mean {
                axes: self.axes()?,
                keep_dims: options.keep_dims,
            }),
            Op::Sum(options) => self.reduce(Reduction::Sum, options.keep_dims)?,
            Op::ReduceMax(options) => self.reduce(Reduction::Max, options.keep_dims)?,
            Op::ReduceMin(options) => self.reduce(Reduction::Min, options.keep_dims)?,
            Op::CumSum(options) => {
                let axis = self.integers(1)?.first().copied().unwrap_or(0);
                plain(CumSum {
                    axis: self.axis(axis)?,
                    exclusive: options.exclusive,
                    reverse: options.reverse,
                })
            }
            Op::ResizeBilinear(options) => match *self.output_shape() {
                [_, height, width, _] => plain(ResizeBilinear {
                    size: [height, width],
                    align_corners: options.align_corners,
                    half_pixel_centers: options.half_pixel_centers,
                }),
                _ => return Err(self.refuse("its output must have rank 4")),
            },
            Op::Quantize(_) | Op::Dequantize(_) => plain(Identity),
            Op::Cast(_) => plain(Identity),
            Op::Reshape(_) | Op::Squeeze(_) | Op::ExpandDims(_) => Operation::Reshape,
            Op::Concatenation(options) => {
                match self.axis(options.axis) {
                    Ok(axis) => plain(Concatenation { axis }),
                    // Along the axis of the samples, each sample is joined on its own.
                    Err(_) => return self.moved(&self.all_inputs()),
                }
            }
            Op::Pad(_) => match self.padding()? {
                Some(padding) => plain(Pad { padding }),
                None => return self.moved(&[0]),
            },
            Op::BatchToSpaceNd(_)
            | Op::BroadcastTo(_)
            | Op::DepthToSpace(_)
            | Op::GatherNd(_)
            | Op::MirrorPad(_)
            | Op::ResizeNearestNeighbor(_)
            | Op::ReverseV2(_)
            | Op::Slice(_)
            | Op::SpaceToBatchNd(_)
            | Op::SpaceToDepth(_)
            | Op::SplitV(_)
            | Op::StridedSlice(_)
            | Op::Transpose(_)
            | Op::Unpack(_)
            | Op::Gather(_) => return self.moved(&[0]),
            Op::Split(_) | Op::Fill(_) => return self.moved(&[1]),
            Op::PadV2(_) => return self.moved(&[0, 2]),
            Op::DynamicUpdateSlice(_) => return self.moved(&[0, 1]),
            Op::Pack(_) => return self.moved(&self.all_inputs()),
            Op::Select(_) | Op::SelectV2(_) => match self.is_constant(0) {
                true => return self.moved(&[1, 2]),
                false => plain(Select),
            },
            Op::BatchNorm(options) => Operation::BatchNorm(Averages {
                epsilon: options.epsilon,
                momentum: options.momentum,
                activation: None,
                mean: self.statistic(3)?,
                variance: self.statistic(4)?,
            }),
            untrained!(Op, (_)) => {
                return Err(self.refuse(why_untrained(op.kind()).unwrap_or(NO_GRADIENT)));
            }
        };
        Ok(Lowered::Computed(operation))
    }

    fn reduce(&self, reduction: Reduction, keep_dims: bool) -> Result<Operation, TrainError> {
        Ok(plain(Reduce {
            reduction,
            axes: self.axes()?,
            keep_dims,
        }))
    }

    fn all_inputs(&self) -> Vec<usize> {
        (0..self.node.inputs.len()).collect()
    }

    /// An operator that only moves the elements of these operands.
    fn moved(&self, operands: &[usize]) -> Result<Lowered, TrainError> {
        for index in (0..self.node.inputs.len()).filter(|index| !operands.contains(index)) {
            if self.node.input(index).is_some() && !self.is_constant(index) {
                return Err(self.refuse(&format!(
                    "where its elements go depends on input {index}, which is computed"
                )));
            }
        }
        let all = moves(self.graph, self.subgraph, self.node, operands)?;
        Ok(Lowered::Moved(operands.to_vec(), all))
    }

    /// Whether the gradient stops at the node.
    pub(super) fn stops(&self) -> bool {
        matches!(
            self.node.kind(),
            Some(
                OpKind::Less
                    | OpKind::LessEqual
                    | OpKind::Greater
                    | OpKind::GreaterEqual
                    | OpKind::Equal
                    | OpKind::NotEqual
                    | OpKind::LogicalAnd
                    | OpKind::LogicalOr
                    | OpKind::ZerosLike
                    | OpKind::Floor
                    | OpKind::Ceil
                    | OpKind::Round
                    | OpKind::FloorDiv
            )
        )
    }
}
