//! Random layers, each a float graph of one operator, to be quantised and counted.

use larun_graph::{Graph, GraphBuilder, GraphError, TensorId};
use larun_ops::{
    Activation, AddOptions, BatchMatmulOptions, ConcatenationOptions, Conv2DOptions,
    DepthwiseConv2DOptions, ElementType, FullyConnectedOptions, MulOptions, Op, OpKind, Padding,
    Pool2DOptions, ReducerOptions, ResizeBilinearOptions, SoftmaxOptions, StridedSliceOptions,
    SubOptions, TransposeConvOptions,
};

use super::random::Random;

/// A layer to count.
pub struct Layer {
    /// What it is called.
    pub name: String,
    /// The float graph.
    pub graph: Graph,
    /// Whether it has weights that can be INT4.
    pub weighted: bool,
}

/// Most multiplications of a layer: emulators are slow.
const MOST: usize = 120_000;

type Made = Result<Graph, GraphError>;
type Recipe = fn(&mut Random) -> Made;

/// What is made, how many of each, and whether it has weights.
const RECIPES: &[(&str, usize, bool, Recipe)] = &[
    ("conv_kxk", 60, true, conv_kxk),
    ("conv_1x1", 36, true, conv_1x1),
    ("conv_grouped", 10, true, conv_grouped),
    ("depthwise_3x3", 36, true, depthwise_3x3),
    ("depthwise_kxk", 32, true, depthwise_kxk),
    ("depthwise_1xk", 36, true, depthwise_1xk),
    ("depthwise_multiplier", 32, true, depthwise_multiplier),
    ("fully_connected", 50, true, fully_connected),
    ("average_pool", 24, false, |r| pool(r, Op::AveragePool2D)),
    ("max_pool", 24, false, |r| pool(r, Op::MaxPool2D)),
    ("max_pool_1xk", 16, false, max_pool_1xk),
    ("add", 20, false, |r| {
        binary(r, |activation| {
            Op::Add(AddOptions {
                activation,
                ..AddOptions::default()
            })
        })
    }),
    ("sub", 12, false, |r| {
        binary(r, |activation| {
            Op::Sub(SubOptions {
                activation,
                ..SubOptions::default()
            })
        })
    }),
    ("mul", 16, false, |r| {
        binary(r, |activation| Op::Mul(MulOptions { activation }))
    }),
    ("maximum", 10, false, |r| {
        binary(r, |_| OpKind::Maximum.with_default_options())
    }),
    ("minimum", 10, false, |r| {
        binary(r, |_| OpKind::Minimum.with_default_options())
    }),
    ("softmax", 16, false, softmax),
    ("logistic", 10, false, |r| unary(r, OpKind::Logistic)),
    ("tanh", 10, false, |r| unary(r, OpKind::Tanh)),
    ("relu", 8, false, |r| unary(r, OpKind::Relu)),
    ("relu6", 8, false, |r| unary(r, OpKind::Relu6)),
    ("leaky_relu", 8, false, |r| unary(r, OpKind::LeakyRelu)),
    ("hard_swish", 8, false, |r| unary(r, OpKind::HardSwish)),
    ("abs", 6, false, |r| unary(r, OpKind::Abs)),
    ("neg", 6, false, |r| unary(r, OpKind::Neg)),
    ("mean", 20, false, mean),
    ("reshape", 8, false, reshape),
    ("pad", 14, false, pad),
    ("concatenation", 14, false, concatenation),
    ("transpose", 12, false, transpose),
    ("strided_slice", 14, false, strided_slice),
    ("transpose_conv", 20, true, transpose_conv),
    ("batch_matmul", 16, false, batch_matmul),
    ("resize_bilinear", 10, false, resize),
];

/// All layers of a seed.
///
/// # Errors
/// When a recipe makes an invalid graph, which is a fault of this file.
pub fn layers(seed: u64) -> Result<Vec<Layer>, GraphError> {
    let mut all = Vec::new();
    for &(name, count, weighted, recipe) in RECIPES {
        let of_name = name.bytes().fold(seed, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let mut random = Random::new(of_name);
        for index in 0..count {
            all.push(Layer {
                name: format!("{name}/{index}"),
                graph: recipe(&mut random)?,
                weighted,
            });
        }
    }
    Ok(all)
}

fn activation(r: &mut Random) -> Activation {
    r.pick(&[
        Activation::None,
        Activation::Relu,
        Activation::Relu,
        Activation::Relu6,
    ])
}

fn padding(r: &mut Random) -> Padding {
    r.pick(&[Padding::Same, Padding::Same, Padding::Valid])
}

fn input(b: &mut GraphBuilder, name: &str, shape: &[usize]) -> Result<TensorId, GraphError> {
    b.input(name, shape, ElementType::Float32)
}

fn weights(
    b: &mut GraphBuilder,
    r: &mut Random,
    name: &str,
    shape: &[usize],
) -> Result<TensorId, GraphError> {
    let values = r.reals(shape.iter().product());
    b.constant(name, shape, &values)
}

fn finish(mut b: GraphBuilder, output: TensorId) -> Made {
    b.output(output);
    b.finish()
}

/// A convolution: image, filters, stride.
struct Conv {
    height: usize,
    width: usize,
    depth: usize,
    outputs: usize,
    filter: [usize; 2],
    stride: i32,
    groups: usize,
}

impl Conv {
    fn is_small(&self) -> bool {
        let stride = self.stride as usize;
        let pixels = self.height.div_ceil(stride) * self.width.div_ceil(stride);
        let patch = self.filter[0] * self.filter[1] * self.depth / self.groups;
        let fits = self.filter[0] <= self.height && self.filter[1] <= self.width;
        fits && pixels * patch * self.outputs <= MOST && patch * self.outputs <= 24_000
    }

    fn build(&self, r: &mut Random) -> Made {
        let mut b = GraphBuilder::new("layer");
        let x = input(&mut b, "x", &[1, self.height, self.width, self.depth])?;
        let depth = self.depth / self.groups;
        let filter = [self.outputs, self.filter[0], self.filter[1], depth];
        let w = weights(&mut b, r, "w", &filter)?;
        let bias = weights(&mut b, r, "b", &[self.outputs])?;
        let op = Op::Conv2D(Conv2DOptions {
            padding: padding(r),
            stride_h: self.stride,
            stride_w: self.stride,
            activation: activation(r),
            ..Conv2DOptions::default()
        });
        let y = b.node("y", op, &[x, w, bias])?;
        finish(b, y)
    }
}

fn until<T>(r: &mut Random, make: impl Fn(&mut Random) -> T, good: impl Fn(&T) -> bool) -> T {
    loop {
        let made = make(r);
        if good(&made) {
            return made;
        }
    }
}

fn conv_kxk(r: &mut Random) -> Made {
    let make = |r: &mut Random| Conv {
        height: r.range(3, 24),
        width: r.range(3, 24),
        depth: r.pick(&[1, 1, 2, 3, 3, 4, 6, 8, 12, 16, 16, 20, 32, 40, 64]),
        outputs: r.range(1, 64),
        filter: match r.range(0, 4) {
            0 | 1 => [3, 3],
            2 => [5, 5],
            3 => [1, r.range(2, 9)],
            _ => [r.range(1, 10), r.range(1, 10)],
        },
        stride: r.pick(&[1, 1, 2]),
        groups: 1,
    };
    let conv = until(r, make, |conv| {
        conv.is_small() && (conv.filter != [1, 1] || conv.stride > 1)
    });
    conv.build(r)
}

fn conv_1x1(r: &mut Random) -> Made {
    let make = |r: &mut Random| Conv {
        height: r.range(1, 24),
        width: r.range(1, 24),
        depth: 4 * r.range(1, 48),
        outputs: r.range(1, 128),
        filter: [1, 1],
        stride: 1,
        groups: 1,
    };
    let conv = until(r, make, Conv::is_small);
    conv.build(r)
}

fn conv_grouped(r: &mut Random) -> Made {
    let make = |r: &mut Random| {
        let groups = r.pick(&[2, 4]);
        Conv {
            height: r.range(3, 12),
            width: r.range(3, 12),
            depth: groups * r.range(2, 8),
            outputs: groups * r.range(1, 12),
            filter: [r.range(1, 3), 3],
            stride: 1,
            groups,
        }
    };
    let conv = until(r, make, Conv::is_small);
    conv.build(r)
}

/// A depthwise convolution.
fn depthwise(r: &mut Random, filter: [usize; 2], depth: usize, multiplier: usize) -> Made {
    let taps = filter[0] * filter[1] * depth * multiplier;
    let side = (MOST / 2 / taps.max(1)).isqrt().clamp(4, 24);
    let [height, width] = [0, 1].map(|axis| r.range(4, side).max(filter[axis]));
    let stride = r.pick(&[1, 1, 2]);
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[1, height, width, depth])?;
    let outputs = depth * multiplier;
    let w = weights(&mut b, r, "w", &[1, filter[0], filter[1], outputs])?;
    let bias = weights(&mut b, r, "b", &[outputs])?;
    let op = Op::DepthwiseConv2D(DepthwiseConv2DOptions {
        padding: padding(r),
        stride_h: stride,
        stride_w: stride,
        depth_multiplier: multiplier as i32,
        activation: activation(r),
        ..DepthwiseConv2DOptions::default()
    });
    let y = b.node("y", op, &[x, w, bias])?;
    finish(b, y)
}

fn depthwise_3x3(r: &mut Random) -> Made {
    let depth = match r.once_in(3) {
        true => r.range(4, 40),
        false => 4 * r.range(1, 32),
    };
    depthwise(r, [3, 3], depth, 1)
}

fn depthwise_kxk(r: &mut Random) -> Made {
    let filter = match r.range(0, 2) {
        0 => [5, 5],
        1 => [r.range(1, 12), 1],
        _ => [r.range(1, 8), r.range(1, 8)],
    };
    let depth = r.range(4, 64);
    let filter = if filter == [3, 3] { [4, 3] } else { filter };
    depthwise(r, filter, depth, 1)
}

/// Along a signal.
fn depthwise_1xk(r: &mut Random) -> Made {
    let (filter, depth) = (r.range(2, 11), r.range(4, 64));
    let width = r.range(filter + 3, (MOST / (filter * depth)).clamp(14, 300));
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[1, 1, width, depth])?;
    let w = weights(&mut b, r, "w", &[1, 1, filter, depth])?;
    let bias = weights(&mut b, r, "b", &[depth])?;
    let op = Op::DepthwiseConv2D(DepthwiseConv2DOptions {
        padding: padding(r),
        activation: activation(r),
        stride_h: 1,
        stride_w: 1,
        depth_multiplier: 1,
        ..DepthwiseConv2DOptions::default()
    });
    let y = b.node("y", op, &[x, w, bias])?;
    finish(b, y)
}

fn depthwise_multiplier(r: &mut Random) -> Made {
    let filter = [r.range(1, 10), r.range(1, 8)];
    match r.once_in(4) {
        true => {
            let depth = r.range(1, 3);
            depthwise(r, filter, depth, 1)
        }
        false => {
            let (depth, multiplier) = (r.pick(&[1, 1, 1, 2, 3, 4]), r.range(2, 16));
            depthwise(r, filter, depth, multiplier)
        }
    }
}

fn fully_connected(r: &mut Random) -> Made {
    let make = |r: &mut Random| {
        let inputs = match r.once_in(4) {
            true => r.range(1, 300),
            false => 4 * r.range(1, 160),
        };
        (inputs, r.range(1, 260))
    };
    let (inputs, units) = until(r, make, |(inputs, units)| inputs * units <= 40_000);
    let batch = if r.once_in(4) { r.range(2, 4) } else { 1 };
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[batch, inputs])?;
    let w = weights(&mut b, r, "w", &[units, inputs])?;
    let bias = weights(&mut b, r, "b", &[units])?;
    let op = Op::FullyConnected(FullyConnectedOptions {
        activation: activation(r),
        ..FullyConnectedOptions::default()
    });
    let y = b.node("y", op, &[x, w, bias])?;
    finish(b, y)
}

fn pool(r: &mut Random, op: fn(Pool2DOptions) -> Op) -> Made {
    let (height, width) = (r.range(2, 20), r.range(2, 20));
    let depth = r.range(1, 72);
    let [filter_h, filter_w] = match r.range(0, 2) {
        0 => [height, width],
        1 => [2.min(height), 2.min(width)],
        _ => [r.range(1, height.min(6)), r.range(1, width.min(6))],
    };
    let stride = r.range(1, 2) as i32;
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[1, height, width, depth])?;
    let op = op(Pool2DOptions {
        padding: padding(r),
        stride_h: stride,
        stride_w: stride,
        filter_h: filter_h as i32,
        filter_w: filter_w as i32,
        ..Pool2DOptions::default()
    });
    let y = b.node("y", op, &[x])?;
    finish(b, y)
}

/// Along a signal.
fn max_pool_1xk(r: &mut Random) -> Made {
    let (size, depth) = (r.range(2, 8), r.range(4, 72));
    let width = size * r.range(1, 120 / size);
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[1, 1, width, depth])?;
    let op = Op::MaxPool2D(Pool2DOptions {
        padding: padding(r),
        stride_h: 1,
        stride_w: size as i32,
        filter_h: 1,
        filter_w: size as i32,
        ..Pool2DOptions::default()
    });
    let y = b.node("y", op, &[x])?;
    finish(b, y)
}

fn shape(r: &mut Random) -> Vec<usize> {
    match r.range(0, 3) {
        0 => vec![1, r.range(1, 2000)],
        _ => vec![1, r.range(1, 16), r.range(1, 16), r.range(1, 48)],
    }
}

fn binary(r: &mut Random, op: fn(Activation) -> Op) -> Made {
    let op = op(activation(r));
    let shape = shape(r);
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &shape)?;
    let other = match r.range(0, 4) {
        0 => weights(&mut b, r, "w", &[*shape.last().unwrap_or(&1)])?,
        1 => weights(&mut b, r, "w", &[1])?,
        _ => input(&mut b, "z", &shape)?,
    };
    let y = b.node("y", op, &[x, other])?;
    finish(b, y)
}

fn softmax(r: &mut Random) -> Made {
    let rows = if r.once_in(2) { 1 } else { r.range(2, 40) };
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[rows, r.range(2, 60)])?;
    let y = b.node("y", Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[x])?;
    finish(b, y)
}

fn unary(r: &mut Random, kind: OpKind) -> Made {
    let shape = shape(r);
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &shape)?;
    let y = b.node("y", kind.with_default_options(), &[x])?;
    finish(b, y)
}

fn mean(r: &mut Random) -> Made {
    let mut b = GraphBuilder::new("layer");
    let x = input(
        &mut b,
        "x",
        &[1, r.range(1, 16), r.range(1, 16), r.range(1, 64)],
    )?;
    let axes = match r.once_in(4) {
        true => b.constant("axes", &[1], &[3i32])?,
        false => b.constant("axes", &[2], &[1i32, 2])?,
    };
    let op = Op::Mean(ReducerOptions {
        keep_dims: r.once_in(2),
    });
    let y = b.node("y", op, &[x, axes])?;
    finish(b, y)
}

fn reshape(r: &mut Random) -> Made {
    let (rows, columns) = (r.range(1, 60), r.range(1, 60));
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[1, rows, columns])?;
    let to = b.constant("shape", &[2], &[1i32, (rows * columns) as i32])?;
    let y = b.node("y", OpKind::Reshape.with_default_options(), &[x, to])?;
    finish(b, y)
}

fn pad(r: &mut Random) -> Made {
    let mut b = GraphBuilder::new("layer");
    let x = input(
        &mut b,
        "x",
        &[1, r.range(2, 20), r.range(2, 20), r.range(1, 32)],
    )?;
    let [top, bottom, left, right] = [0; 4].map(|_: i32| r.range(0, 3) as i32);
    let paddings = b.constant("paddings", &[4, 2], &[0, 0, top, bottom, left, right, 0, 0])?;
    let y = b.node("y", OpKind::Pad.with_default_options(), &[x, paddings])?;
    finish(b, y)
}

fn concatenation(r: &mut Random) -> Made {
    let mut b = GraphBuilder::new("layer");
    let (height, width) = (r.range(1, 14), r.range(1, 14));
    let pieces = (0..r.range(2, 4))
        .map(|i| {
            input(
                &mut b,
                &format!("x{i}"),
                &[1, height, width, r.range(1, 32)],
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    let op = Op::Concatenation(ConcatenationOptions {
        axis: 3,
        ..ConcatenationOptions::default()
    });
    let y = b.node("y", op, &pieces)?;
    finish(b, y)
}

fn transpose(r: &mut Random) -> Made {
    let mut b = GraphBuilder::new("layer");
    let x = input(
        &mut b,
        "x",
        &[1, r.range(1, 20), r.range(1, 20), r.range(1, 20)],
    )?;
    let order = r.pick(&[[0i32, 2, 1, 3], [0, 3, 1, 2], [0, 1, 3, 2], [0, 2, 3, 1]]);
    let order = b.constant("order", &[4], &order)?;
    let y = b.node("y", OpKind::Transpose.with_default_options(), &[x, order])?;
    finish(b, y)
}

fn strided_slice(r: &mut Random) -> Made {
    let (height, width, depth) = (r.range(2, 20), r.range(2, 20), r.range(1, 32));
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[1, height, width, depth])?;
    let first = r.range(0, height / 2) as i32;
    let begin = b.constant("begin", &[4], &[0i32, first, 0, 0])?;
    let end = b.constant("end", &[4], &[1, height as i32, width as i32, depth as i32])?;
    let strides = b.constant("strides", &[4], &[1, 1, r.pick(&[1, 1, 2]), 1])?;
    let op = Op::StridedSlice(StridedSliceOptions::default());
    let y = b.node("y", op, &[x, begin, end, strides])?;
    finish(b, y)
}

fn transpose_conv(r: &mut Random) -> Made {
    let make = |r: &mut Random| {
        let side = r.range(2, 10);
        (
            side,
            r.range(1, 24),
            r.range(1, 24),
            r.range(2, 4),
            r.range(1, 2),
        )
    };
    let good = |&(side, depth, outputs, filter, _): &(usize, usize, usize, usize, usize)| {
        side * side * depth * outputs * filter * filter <= MOST
    };
    let (side, depth, outputs, filter, stride) = until(r, make, good);
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[1, side, side, depth])?;
    let w = weights(&mut b, r, "w", &[outputs, filter, filter, depth])?;
    let whole = (side * stride) as i32;
    let to = b.constant("shape", &[4], &[1, whole, whole, outputs as i32])?;
    let op = Op::TransposeConv(TransposeConvOptions {
        padding: Padding::Same,
        stride_h: stride as i32,
        stride_w: stride as i32,
        ..TransposeConvOptions::default()
    });
    let y = b.node("y", op, &[to, w, x])?;
    finish(b, y)
}

fn batch_matmul(r: &mut Random) -> Made {
    let (batch, rows, depth, columns) = (
        r.range(1, 4),
        r.range(1, 24),
        r.range(1, 40),
        r.range(1, 24),
    );
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[batch, rows, depth])?;
    let adj_y = r.once_in(2);
    let other = if adj_y {
        [batch, columns, depth]
    } else {
        [batch, depth, columns]
    };
    let z = input(&mut b, "z", &other)?;
    let op = Op::BatchMatmul(BatchMatmulOptions {
        adj_y,
        ..BatchMatmulOptions::default()
    });
    let y = b.node("y", op, &[x, z])?;
    finish(b, y)
}

fn resize(r: &mut Random) -> Made {
    let (height, width) = (r.range(2, 10), r.range(2, 10));
    let mut b = GraphBuilder::new("layer");
    let x = input(&mut b, "x", &[1, height, width, r.range(1, 24)])?;
    let size = b.constant("size", &[2], &[2 * height as i32, 2 * width as i32])?;
    let op = Op::ResizeBilinear(ResizeBilinearOptions {
        half_pixel_centers: true,
        ..ResizeBilinearOptions::default()
    });
    let y = b.node("y", op, &[x, size])?;
    finish(b, y)
}
