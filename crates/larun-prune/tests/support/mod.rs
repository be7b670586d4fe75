//! Random networks with residuals, concatenations, depthwise layers and whatever else moves channels; and a run of a graph.

#![allow(dead_code, reason = "each test uses a part of it")]

use larun_graph::ops::{
    Activation, AddOptions, BatchNormOptions, ConcatenationOptions, Conv2DOptions,
    DepthToSpaceOptions, DepthwiseConv2DOptions, ElementType, FullyConnectedOptions,
    LeakyReluOptions, MulOptions, NoOptions, Op, PadOptions, Padding, Pool2DOptions,
    ReducerOptions, ReshapeOptions, SliceOptions, SoftmaxOptions, SpaceToDepthOptions,
    SplitOptions, SplitVOptions, StridedSliceOptions, TransposeConvOptions, TransposeOptions,
};
use larun_graph::{Graph, GraphBuilder, TensorId};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};
use proptest::prelude::*;

/// Numbers that look random and are the same every time.
pub(crate) fn noise(seed: u32, count: usize, amplitude: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        ((state >> 8) as f32 / 8_388_608.0 - 1.0) * amplitude
    };
    (0..count).map(next).collect()
}

/// What a graph of FLOAT32 tensors computes.
pub(crate) fn run(graph: &Graph, input: &[f32]) -> Vec<f32> {
    let graph = larun_passes::fold_batch_norm(graph.clone()).unwrap();
    let model = AlignedBytes::copy_of(&larun_tflite::write(&graph).unwrap());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = Interpreter::new(&model, kernels::ALL, &mut arena).unwrap();
    interpreter.set_input(0, input).unwrap();
    interpreter.invoke().unwrap();
    interpreter.output::<f32>(0).unwrap().to_vec()
}

/// A step of a random network; numbers choose among the values there are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Conv {
        from: usize,
        filters: usize,
        kernel: usize,
    },
    Depthwise {
        from: usize,
        multiplier: usize,
    },
    BatchNorm {
        from: usize,
    },
    Activate {
        from: usize,
        kind: usize,
    },
    Residual {
        from: usize,
        other: usize,
    },
    Concat {
        from: usize,
        other: usize,
    },
    Pool {
        from: usize,
        max: bool,
    },
    Pad {
        from: usize,
        channels: usize,
    },
    SplitAndSwap {
        from: usize,
    },
    SplitV {
        from: usize,
        at: usize,
    },
    Slice {
        from: usize,
        strided: bool,
        begin: usize,
    },
    NchwAndBack {
        from: usize,
    },
    Scale {
        from: usize,
    },
    Excite {
        from: usize,
    },
    Depth {
        from: usize,
    },
    Upsample {
        from: usize,
        filters: usize,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let from = || any::<usize>();
    prop_oneof![
        3 => (from(), 2usize..9, 1usize..4).prop_map(|(from, filters, kernel)| Step::Conv { from, filters, kernel }),
        3 => (from(), 1usize..3).prop_map(|(from, multiplier)| Step::Depthwise { from, multiplier }),
        2 => from().prop_map(|from| Step::BatchNorm { from }),
        2 => (from(), 0usize..6).prop_map(|(from, kind)| Step::Activate { from, kind }),
        4 => (from(), from()).prop_map(|(from, other)| Step::Residual { from, other }),
        4 => (from(), from()).prop_map(|(from, other)| Step::Concat { from, other }),
        1 => (from(), any::<bool>()).prop_map(|(from, max)| Step::Pool { from, max }),
        1 => (from(), 0usize..2).prop_map(|(from, channels)| Step::Pad { from, channels }),
        1 => from().prop_map(|from| Step::SplitAndSwap { from }),
        1 => (from(), 1usize..8).prop_map(|(from, at)| Step::SplitV { from, at }),
        1 => (from(), any::<bool>(), 0usize..3).prop_map(|(from, strided, begin)| Step::Slice { from, strided, begin }),
        1 => from().prop_map(|from| Step::NchwAndBack { from }),
        1 => from().prop_map(|from| Step::Scale { from }),
        1 => from().prop_map(|from| Step::Excite { from }),
        1 => from().prop_map(|from| Step::Depth { from }),
        1 => (from(), 2usize..6).prop_map(|(from, filters)| Step::Upsample { from, filters }),
    ]
}

/// A network in the making: every value is NHWC with one sample.
struct Net {
    builder: GraphBuilder,
    values: Vec<TensorId>,
    seed: u32,
}

pub(crate) const INPUT: [usize; 4] = [1, 6, 6, 3];

/// The network of some steps, with a dense head behind flattening or averaging.
pub(crate) fn network(steps: &[Step], flatten: bool, seed: u32) -> Graph {
    let mut builder = GraphBuilder::new("random");
    let input = builder
        .input("input", &INPUT, ElementType::Float32)
        .unwrap();
    let values = vec![input];
    let mut net = Net {
        builder,
        values,
        seed,
    };
    let stem = net.conv(input, 8, 3);
    net.values = vec![stem];
    for step in steps {
        let value = net.step(*step);
        if let Some(value) = value {
            net.values.push(value);
        }
    }
    let last = *net.values.last().unwrap();
    net.head(last, flatten)
}

fn conv_options() -> Conv2DOptions {
    Conv2DOptions {
        stride_h: 1,
        stride_w: 1,
        ..Conv2DOptions::default()
    }
}

impl Net {
    fn constant(&mut self, shape: &[usize], amplitude: f32) -> TensorId {
        self.seed += 1;
        let values = noise(self.seed, shape.iter().product(), amplitude);
        let name = format!("constant{}", self.seed);
        self.builder.constant(&name, shape, &values).unwrap()
    }

    fn ints(&mut self, values: &[i32]) -> TensorId {
        self.seed += 1;
        let name = format!("ints{}", self.seed);
        self.builder
            .constant(&name, &[values.len()], values)
            .unwrap()
    }

    fn node(&mut self, op: Op, inputs: &[TensorId]) -> TensorId {
        self.seed += 1;
        let name = format!("{}{}", op.kind().info().name, self.seed);
        self.builder.node(&name, op, inputs).unwrap()
    }

    fn dims(&self, id: TensorId) -> [usize; 4] {
        self.builder.shape(id).unwrap().nhwc().unwrap()
    }

    fn pick(&self, number: usize) -> TensorId {
        // Later values are taken more often, so that networks are deep.
        let count = self.values.len();
        self.values[count - 1 - (number % count).min(number / 7 % count)]
    }

    fn conv(&mut self, from: TensorId, filters: usize, kernel: usize) -> TensorId {
        let inputs = self.dims(from)[3];
        let amplitude = 1.5 / ((kernel * kernel * inputs) as f32).sqrt();
        let weights = self.constant(&[filters, kernel, kernel, inputs], amplitude);
        let bias = self.constant(&[filters], 0.3);
        self.node(Op::Conv2D(conv_options()), &[from, weights, bias])
    }

    /// A value of the same height, width and channels, from `other` where it fits.
    fn like(&mut self, from: TensorId, other: TensorId) -> TensorId {
        let [_, height, width, channels] = self.dims(from);
        let [_, h, w, c] = self.dims(other);
        match (h, w) == (height, width) {
            true if c == channels => other,
            true => self.conv(other, channels, 1),
            false => self.conv(from, channels, 1),
        }
    }

    fn step(&mut self, step: Step) -> Option<TensorId> {
        Some(match step {
            Step::Conv {
                from,
                filters,
                kernel,
            } => {
                let from = self.pick(from);
                self.conv(from, filters, kernel)
            }
            Step::Depthwise { from, multiplier } => {
                let from = self.pick(from);
                let channels = self.dims(from)[3] * multiplier;
                if channels > 24 {
                    return None;
                }
                let weights = self.constant(&[1, 3, 3, channels], 0.5);
                let bias = self.constant(&[channels], 0.3);
                let options = DepthwiseConv2DOptions {
                    stride_h: 1,
                    stride_w: 1,
                    depth_multiplier: multiplier as i32,
                    ..DepthwiseConv2DOptions::default()
                };
                self.node(Op::DepthwiseConv2D(options), &[from, weights, bias])
            }
            Step::BatchNorm { from } => {
                let from = self.pick(from);
                let channels = self.dims(from)[3];
                let [gamma, beta] = [1.5, 0.5].map(|size| self.constant(&[channels], size));
                let mean = self.constant(&[channels], 0.5);
                let spread: Vec<f32> = noise(self.seed, channels, 0.4)
                    .iter()
                    .map(|v| v + 0.6)
                    .collect();
                let variance = self
                    .builder
                    .constant("variance", &[channels], &spread)
                    .unwrap();
                let op = Op::BatchNorm(BatchNormOptions::default());
                self.node(op, &[from, gamma, beta, mean, variance])
            }
            Step::Activate { from, kind } => {
                let from = self.pick(from);
                let op = match kind {
                    0 => Op::Relu(NoOptions {}),
                    1 => Op::Relu6(NoOptions {}),
                    2 => Op::Logistic(NoOptions {}),
                    3 => Op::Tanh(NoOptions {}),
                    4 => Op::LeakyRelu(LeakyReluOptions { alpha: 0.2 }),
                    _ => Op::Elu(NoOptions {}),
                };
                self.node(op, &[from])
            }
            Step::Residual { from, other } => {
                let (from, other) = (self.pick(from), self.pick(other));
                let other = self.like(from, other);
                let activation = Activation::Relu;
                self.node(
                    Op::Add(AddOptions {
                        activation,
                        ..AddOptions::default()
                    }),
                    &[from, other],
                )
            }
            Step::Concat { from, other } => {
                let (from, other) = (self.pick(from), self.pick(other));
                let other = self.like(from, other);
                let options = ConcatenationOptions {
                    axis: -1,
                    ..ConcatenationOptions::default()
                };
                let joined = self.node(Op::Concatenation(options), &[from, other]);
                match self.dims(joined)[3] > 24 {
                    true => self.conv(joined, 6, 1),
                    false => joined,
                }
            }
            Step::Pool { from, max } => {
                let from = self.pick(from);
                if self.dims(from)[1] < 4 {
                    return None;
                }
                let options = Pool2DOptions {
                    padding: Padding::Valid,
                    stride_h: 2,
                    stride_w: 2,
                    filter_h: 2,
                    filter_w: 2,
                    ..Pool2DOptions::default()
                };
                let op = if max {
                    Op::MaxPool2D(options)
                } else {
                    Op::AveragePool2D(options)
                };
                self.node(op, &[from])
            }
            Step::Pad { from, channels } => {
                let from = self.pick(from);
                let paddings = self.builder_constant_2d(&[0, 0, 1, 0, 0, 1, 0, channels as i32]);
                self.node(Op::Pad(PadOptions {}), &[from, paddings])
            }
            Step::SplitAndSwap { from } => {
                let from = self.pick(from);
                if !self.dims(from)[3].is_multiple_of(2) {
                    return None;
                }
                let axis = self.builder.constant("axis", &[], &[3i32]).unwrap();
                let op = Op::Split(SplitOptions { num_splits: 2 });
                let parts = self
                    .builder
                    .node_with_outputs("split", op, &[axis, from], 2)
                    .unwrap();
                let options = ConcatenationOptions {
                    axis: 3,
                    ..ConcatenationOptions::default()
                };
                self.node(Op::Concatenation(options), &[parts[1], parts[0]])
            }
            Step::SplitV { from, at } => {
                let from = self.pick(from);
                let channels = self.dims(from)[3];
                if at >= channels {
                    return None;
                }
                let sizes = self.ints(&[at as i32, -1]);
                let axis = self.builder.constant("axis", &[], &[3i32]).unwrap();
                let op = Op::SplitV(SplitVOptions { num_splits: 2 });
                let parts = self
                    .builder
                    .node_with_outputs("splitv", op, &[from, sizes, axis], 2)
                    .unwrap();
                let first = self.conv(parts[0], 4, 1);
                let second = self.conv(parts[1], 4, 1);
                self.node(Op::Mul(MulOptions::default()), &[first, second])
            }
            Step::Slice {
                from,
                strided,
                begin,
            } => {
                let from = self.pick(from);
                let [_, height, width, channels] = self.dims(from).map(|dim| dim as i32);
                let begin = (begin as i32).min(channels - 2);
                if begin < 0 {
                    return None;
                }
                if strided {
                    let [begin, end] =
                        [[0, 0, 0, begin], [1, height, width, -1]].map(|v| self.ints(&v));
                    let strides = self.ints(&[1, 1, 1, 1]);
                    self.node(
                        Op::StridedSlice(StridedSliceOptions::default()),
                        &[from, begin, end, strides],
                    )
                } else {
                    let size = self.ints(&[1, -1, width, channels - begin - 1]);
                    let begin = self.ints(&[0, 0, 0, begin]);
                    self.node(Op::Slice(SliceOptions {}), &[from, begin, size])
                }
            }
            Step::NchwAndBack { from } => {
                let from = self.pick(from);
                let [_, height, width, channels] = self.dims(from).map(|dim| dim as i32);
                let order = self.ints(&[0, 3, 1, 2]);
                let nchw = self.node(Op::Transpose(TransposeOptions {}), &[from, order]);
                let shape = IntsOf(&[1, channels, height * width]);
                let options = ReshapeOptions {
                    new_shape: shape.list(),
                };
                let flat = self.node(Op::Reshape(options), &[nchw]);
                let order = self.ints(&[0, 2, 1]);
                let back = self.node(Op::Transpose(TransposeOptions {}), &[flat, order]);
                let shape = self.ints(&[1, height, width, -1]);
                self.node(Op::Reshape(ReshapeOptions::default()), &[back, shape])
            }
            Step::Scale { from } => {
                let from = self.pick(from);
                let channels = self.dims(from)[3];
                let factors = self.constant(&[channels], 1.0);
                self.node(Op::Mul(MulOptions::default()), &[factors, from])
            }
            Step::Excite { from } => {
                let from = self.pick(from);
                let channels = self.dims(from)[3];
                let axes = self.ints(&[1, 2]);
                let mean = self.node(Op::Mean(ReducerOptions { keep_dims: false }), &[from, axes]);
                let squeezed = self.dense(mean, 3);
                let weights = self.dense(squeezed, channels);
                let gate = self.node(Op::Logistic(NoOptions {}), &[weights]);
                let shape = self.ints(&[1, 1, 1, channels as i32]);
                let gate = self.node(Op::Reshape(ReshapeOptions::default()), &[gate, shape]);
                self.node(Op::Mul(MulOptions::default()), &[from, gate])
            }
            Step::Depth { from } => {
                let from = self.pick(from);
                let [_, height, width, channels] = self.dims(from);
                if height % 2 == 0 && width % 2 == 0 && channels <= 6 {
                    self.node(
                        Op::SpaceToDepth(SpaceToDepthOptions { block_size: 2 }),
                        &[from],
                    )
                } else if channels % 4 == 0 && height <= 6 {
                    self.node(
                        Op::DepthToSpace(DepthToSpaceOptions { block_size: 2 }),
                        &[from],
                    )
                } else {
                    return None;
                }
            }
            Step::Upsample { from, filters } => {
                let from = self.pick(from);
                let [_, height, width, channels] = self.dims(from);
                if height > 4 {
                    return None;
                }
                let shape = self.ints(&[1, 2 * height as i32, 2 * width as i32, filters as i32]);
                let weights = self.constant(&[filters, 2, 2, channels], 0.5);
                let options = TransposeConvOptions {
                    stride_h: 2,
                    stride_w: 2,
                    ..TransposeConvOptions::default()
                };
                self.node(Op::TransposeConv(options), &[shape, weights, from])
            }
        })
    }

    fn builder_constant_2d(&mut self, values: &[i32]) -> TensorId {
        self.seed += 1;
        let name = format!("paddings{}", self.seed);
        self.builder
            .constant(&name, &[values.len() / 2, 2], values)
            .unwrap()
    }

    fn dense(&mut self, from: TensorId, units: usize) -> TensorId {
        let inputs: usize = self.builder.shape(from).unwrap().elements().unwrap();
        let weights = self.constant(&[units, inputs], 1.5 / (inputs as f32).sqrt());
        let bias = self.constant(&[units], 0.3);
        self.node(
            Op::FullyConnected(FullyConnectedOptions::default()),
            &[from, weights, bias],
        )
    }

    fn head(mut self, last: TensorId, flatten: bool) -> Graph {
        let features = match flatten {
            true => last,
            false => {
                let axes = self.ints(&[1, 2]);
                self.node(Op::Mean(ReducerOptions { keep_dims: true }), &[last, axes])
            }
        };
        let flat = match flatten {
            true => features,
            false => {
                let shape = self.ints(&[1, -1]);
                self.node(Op::Reshape(ReshapeOptions::default()), &[features, shape])
            }
        };
        let hidden = self.dense(flat, 8);
        let hidden = self.node(Op::Relu(NoOptions {}), &[hidden]);
        let scores = self.dense(hidden, 4);
        let result = self.node(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[scores]);
        self.builder.output(scores);
        self.builder.output(result);
        self.builder.finish().unwrap()
    }
}

struct IntsOf<'v>(&'v [i32]);

impl IntsOf<'_> {
    fn list(&self) -> larun_graph::ops::IntList {
        larun_graph::ops::IntList::new(self.0).unwrap()
    }
}
