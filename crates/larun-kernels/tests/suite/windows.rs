//! Convolutions, dense layers and pools against plain loops, over random geometries.

use larun_ops::{
    Activation, Conv2DOptions, DepthwiseConv2DOptions, FullyConnectedOptions, Op, Padding,
    Pool2DOptions,
};
use proptest::prelude::*;

use crate::reference::{Axis, Noise, pixels, requantize, taps};
use crate::support::{Node, Tensor};

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Same), Just(Padding::Valid)]
}

/// Two axes with one padding.
fn axes(dilated: bool) -> impl Strategy<Value = [Axis; 2]> {
    let axis = (1..9usize, 1..5usize, 1..4usize, 1..4usize);
    (axis.clone(), axis, padding())
        .prop_map(move |(rows, columns, padding)| {
            [rows, columns].map(|(input, filter, stride, dilation)| Axis {
                input,
                filter,
                stride,
                dilation: if dilated { dilation } else { 1 },
                padding,
            })
        })
        .prop_filter("the window fits", |axes| axes.iter().all(Axis::fits))
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::None),
        Just(Activation::Relu),
        Just(Activation::Relu6),
        Just(Activation::ReluN1To1),
    ]
}

/// The quantisation of a node with weights, random but for the number of scales of the weights.
struct Quantized {
    input: (f32, i64),
    weights: Vec<f32>,
    output: (f32, i64),
    bias: Vec<i32>,
}

impl Quantized {
    fn new(noise: &mut Noise, scales: usize, channels: usize) -> Self {
        let weights = (0..scales).map(|_| noise.scale() / 20.0).collect();
        Self {
            input: (noise.scale(), i64::from(noise.int8())),
            weights,
            output: (noise.scale() * 2.0, i64::from(noise.int8())),
            bias: (0..channels).map(|_| noise.next() as i16 as i32).collect(),
        }
    }

    fn expected(&self, channel: usize, sum: i64, activation: Activation) -> i8 {
        let weight = self.weights[channel % self.weights.len()];
        let real = f64::from(self.input.0) * f64::from(weight) / f64::from(self.output.0);
        let (min, max) = bounds(activation, self.output);
        requantize(sum, real, self.output.1, min, max)
    }
}

fn bounds(activation: Activation, (scale, zero_point): (f32, i64)) -> (i32, i32) {
    let at = |bound: f32| ((bound / scale).round() as i32 + zero_point as i32).clamp(-128, 127);
    match activation {
        Activation::Relu => (at(0.0), 127),
        Activation::Relu6 => (at(0.0), at(6.0)),
        Activation::ReluN1To1 => (at(-1.0), at(1.0)),
        _ => (-128, 127),
    }
}

fn clamp(activation: Activation, value: f32) -> f32 {
    match activation {
        Activation::Relu => value.max(0.0),
        Activation::Relu6 => value.clamp(0.0, 6.0),
        Activation::ReluN1To1 => value.clamp(-1.0, 1.0),
        _ => value,
    }
}

#[derive(Clone, Debug)]
struct ConvCase {
    axes: [Axis; 2],
    batch: usize,
    groups: usize,
    depth: usize,
    in_group: usize,
    activation: Activation,
    per_channel: bool,
    with_bias: bool,
    seed: u64,
}

fn conv_case() -> impl Strategy<Value = ConvCase> {
    let sizes = (1..3usize, 1..4usize, 1..10usize, 1..6usize);
    let flags = (activation(), any::<bool>(), any::<bool>(), any::<u64>());
    (axes(true), sizes, flags).prop_map(|(axes, sizes, flags)| ConvCase {
        axes,
        batch: sizes.0,
        groups: sizes.1,
        depth: sizes.2,
        in_group: sizes.3,
        activation: flags.0,
        per_channel: flags.1,
        with_bias: flags.2,
        seed: flags.3,
    })
}

impl ConvCase {
    fn op(&self) -> Op {
        let [rows, columns] = self.axes;
        Op::Conv2D(Conv2DOptions {
            padding: rows.padding,
            stride_h: rows.stride as i32,
            stride_w: columns.stride as i32,
            dilation_h: rows.dilation as i32,
            dilation_w: columns.dilation as i32,
            activation: self.activation,
            ..Conv2DOptions::default()
        })
    }

    fn channels(&self) -> (usize, usize) {
        (self.groups * self.depth, self.groups * self.in_group)
    }

    fn shapes(&self) -> [Vec<usize>; 3] {
        let [rows, columns] = self.axes;
        let (inputs, outputs) = self.channels();
        [
            vec![self.batch, rows.input, columns.input, inputs],
            vec![outputs, rows.filter, columns.filter, self.depth],
            vec![self.batch, rows.output(), columns.output(), outputs],
        ]
    }

    /// Calls `output` with each output channel and the pairs of input and filter elements that it sums.
    fn for_each_output<T>(&self, mut output: impl FnMut(usize, &[(usize, usize)]) -> T) -> Vec<T> {
        let (inputs, outputs) = self.channels();
        let [rows, columns] = self.axes;
        let mut results = Vec::new();
        for pixel in pixels(self.batch, self.axes) {
            for o in 0..outputs {
                let mut pairs = Vec::new();
                for (tap_y, tap_x, at) in taps(self.axes, pixel) {
                    for d in 0..self.depth {
                        let weight =
                            ((o * rows.filter + tap_y) * columns.filter + tap_x) * self.depth + d;
                        let group = o / self.in_group;
                        pairs.push((at * inputs + group * self.depth + d, weight));
                    }
                }
                results.push(output(o, &pairs));
            }
        }
        results
    }
}

#[derive(Clone, Debug)]
struct DepthwiseCase {
    axes: [Axis; 2],
    batch: usize,
    channels: usize,
    multiplier: usize,
    activation: Activation,
    seed: u64,
}

fn depthwise_case() -> impl Strategy<Value = DepthwiseCase> {
    let sizes = (1..3usize, 1..40usize, 1..6usize);
    let rest = (activation(), any::<u64>());
    (axes(true), sizes, rest).prop_map(|(axes, sizes, rest)| DepthwiseCase {
        axes,
        batch: sizes.0,
        channels: sizes.1,
        multiplier: sizes.2.saturating_sub(2).max(1),
        activation: rest.0,
        seed: rest.1,
    })
}

impl DepthwiseCase {
    fn op(&self) -> Op {
        let [rows, columns] = self.axes;
        Op::DepthwiseConv2D(DepthwiseConv2DOptions {
            padding: rows.padding,
            stride_h: rows.stride as i32,
            stride_w: columns.stride as i32,
            dilation_h: rows.dilation as i32,
            dilation_w: columns.dilation as i32,
            activation: self.activation,
            ..DepthwiseConv2DOptions::default()
        })
    }

    fn shapes(&self) -> [Vec<usize>; 3] {
        let [rows, columns] = self.axes;
        let outputs = self.channels * self.multiplier;
        [
            vec![self.batch, rows.input, columns.input, self.channels],
            vec![1, rows.filter, columns.filter, outputs],
            vec![self.batch, rows.output(), columns.output(), outputs],
        ]
    }

    fn for_each_output<T>(&self, mut output: impl FnMut(usize, &[(usize, usize)]) -> T) -> Vec<T> {
        let outputs = self.channels * self.multiplier;
        let filter_w = self.axes[1].filter;
        let mut results = Vec::new();
        for pixel in pixels(self.batch, self.axes) {
            let taps = taps(self.axes, pixel);
            for o in 0..outputs {
                let pairs: Vec<_> = taps
                    .iter()
                    .map(|&(tap_y, tap_x, at)| {
                        (
                            at * self.channels + o / self.multiplier,
                            (tap_y * filter_w + tap_x) * outputs + o,
                        )
                    })
                    .collect();
                results.push(output(o, &pairs));
            }
        }
        results
    }
}

fn product(dims: &[usize]) -> usize {
    dims.iter().product()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn int8_convolution_is_the_plain_one(case in conv_case()) {
        let mut noise = Noise::new(case.seed);
        let [input_shape, filter_shape, output_shape] = case.shapes();
        let outputs = filter_shape[0];
        let scales = if case.per_channel { outputs } else { 1 };
        let q = Quantized::new(&mut noise, scales, outputs);
        let x = noise.int8s(product(&input_shape));
        let w = noise.int8s(product(&filter_shape));
        let bias = Tensor::int32(&[outputs], &q.bias).constant();
        let node = Node {
            op: case.op(),
            inputs: vec![
                Some(Tensor::int8(&input_shape, &x, q.input.0, q.input.1)),
                Some(Tensor::int8(&filter_shape, &w, 1.0, 0).quantized(&q.weights, &vec![0; scales]).constant()),
                case.with_bias.then_some(bias),
            ],
            outputs: vec![Tensor::int8(&output_shape, &[], q.output.0, q.output.1)],
        };
        let expected = case.for_each_output(|o, pairs| {
            let products = pairs.iter().map(|&(i, f)| (i64::from(x[i]) - q.input.1) * i64::from(w[f]));
            let bias = if case.with_bias { i64::from(q.bias[o]) } else { 0 };
            q.expected(o, products.sum::<i64>() + bias, case.activation)
        });
        prop_assert_eq!(node.run_i8().unwrap(), expected);
    }

    #[test]
    fn real_convolution_sums_in_order(case in conv_case()) {
        let mut noise = Noise::new(case.seed);
        let [input_shape, filter_shape, output_shape] = case.shapes();
        let x = noise.floats(product(&input_shape));
        let w = noise.floats(product(&filter_shape));
        let bias = noise.floats(filter_shape[0]);
        let node = Node {
            op: case.op(),
            inputs: vec![
                Some(Tensor::float(&input_shape, &x)),
                Some(Tensor::float(&filter_shape, &w).constant()),
                case.with_bias.then(|| Tensor::float(&[bias.len()], &bias).constant()),
            ],
            outputs: vec![Tensor::float(&output_shape, &[])],
        };
        let expected = case.for_each_output(|o, pairs| {
            let sum = pairs.iter().fold(0.0, |sum, &(i, f)| sum + x[i] * w[f]);
            clamp(case.activation, sum + if case.with_bias { bias[o] } else { 0.0 })
        });
        prop_assert_eq!(node.run_f32().unwrap(), expected);
    }

    #[test]
    fn int8_depthwise_is_the_plain_one(case in depthwise_case()) {
        let mut noise = Noise::new(case.seed);
        let [input_shape, filter_shape, output_shape] = case.shapes();
        let outputs = filter_shape[3];
        let q = Quantized::new(&mut noise, outputs, outputs);
        let x = noise.int8s(product(&input_shape));
        let w = noise.int8s(product(&filter_shape));
        let node = Node {
            op: case.op(),
            inputs: vec![
                Some(Tensor::int8(&input_shape, &x, q.input.0, q.input.1)),
                Some(Tensor::int8(&filter_shape, &w, 1.0, 0).quantized(&q.weights, &vec![0; outputs]).along(3).constant()),
                Some(Tensor::int32(&[outputs], &q.bias).constant()),
            ],
            outputs: vec![Tensor::int8(&output_shape, &[], q.output.0, q.output.1)],
        };
        let expected = case.for_each_output(|o, pairs| {
            let products = pairs.iter().map(|&(i, f)| (i64::from(x[i]) - q.input.1) * i64::from(w[f]));
            q.expected(o, products.sum::<i64>() + i64::from(q.bias[o]), case.activation)
        });
        prop_assert_eq!(node.run_i8().unwrap(), expected);
    }

    #[test]
    fn real_depthwise_sums_in_order(case in depthwise_case()) {
        let mut noise = Noise::new(case.seed);
        let [input_shape, filter_shape, output_shape] = case.shapes();
        let x = noise.floats(product(&input_shape));
        let w = noise.floats(product(&filter_shape));
        let bias = noise.floats(filter_shape[3]);
        let node = Node {
            op: case.op(),
            inputs: vec![
                Some(Tensor::float(&input_shape, &x)),
                Some(Tensor::float(&filter_shape, &w).constant()),
                Some(Tensor::float(&[bias.len()], &bias).constant()),
            ],
            outputs: vec![Tensor::float(&output_shape, &[])],
        };
        let expected = case.for_each_output(|o, pairs| {
            let sum = pairs.iter().fold(0.0, |sum, &(i, f)| sum + x[i] * w[f]);
            clamp(case.activation, sum + bias[o])
        });
        prop_assert_eq!(node.run_f32().unwrap(), expected);
    }

    #[test]
    fn int8_dense_layer_is_the_plain_one(
        (batch, inputs, units) in (1..4usize, 1..70usize, 1..20usize),
        activation in activation(),
        per_channel: bool,
        seed: u64,
    ) {
        let mut noise = Noise::new(seed);
        let scales = if per_channel { units } else { 1 };
        let mut q = Quantized::new(&mut noise, scales, units);
        // The bias counts in units of input scale times weight scale.
        q.bias.iter_mut().for_each(|bias| *bias /= 8);
        let x = noise.int8s(batch * inputs);
        let w = noise.int8s(units * inputs);
        let node = Node {
            op: Op::FullyConnected(FullyConnectedOptions { activation, ..Default::default() }),
            inputs: vec![
                Some(Tensor::int8(&[batch, inputs], &x, q.input.0, q.input.1)),
                Some(Tensor::int8(&[units, inputs], &w, 1.0, 0).quantized(&q.weights, &vec![0; scales]).constant()),
                Some(Tensor::int32(&[units], &q.bias).constant()),
            ],
            outputs: vec![Tensor::int8(&[batch, units], &[], q.output.0, q.output.1)],
        };
        let expected: Vec<i8> = (0..batch * units)
            .map(|i| {
                let (n, o) = (i / units, i % units);
                let products = (0..inputs).map(|d| {
                    (i64::from(x[n * inputs + d]) - q.input.1) * i64::from(w[o * inputs + d])
                });
                q.expected(o, products.sum::<i64>() + i64::from(q.bias[o]), activation)
            })
            .collect();
        prop_assert_eq!(node.run_i8().unwrap(), expected);
    }

    #[test]
    fn real_dense_layer_sums_in_order(
        (batch, inputs, units) in (1..4usize, 1..40usize, 1..10usize),
        activation in activation(),
        seed: u64,
    ) {
        let mut noise = Noise::new(seed);
        let (x, w) = (noise.floats(batch * inputs), noise.floats(units * inputs));
        let node = Node {
            op: Op::FullyConnected(FullyConnectedOptions { activation, ..Default::default() }),
            inputs: vec![
                Some(Tensor::float(&[batch, inputs], &x)),
                Some(Tensor::float(&[units, inputs], &w)),
                None,
            ],
            outputs: vec![Tensor::float(&[batch, units], &[])],
        };
        let expected: Vec<f32> = (0..batch * units)
            .map(|i| {
                let (n, o) = (i / units, i % units);
                let sum = (0..inputs).fold(0.0, |sum, d| sum + x[n * inputs + d] * w[o * inputs + d]);
                clamp(activation, sum)
            })
            .collect();
        prop_assert_eq!(node.run_f32().unwrap(), expected);
    }

    #[test]
    fn pools_are_the_plain_ones(
        axes in axes(false),
        (batch, channels) in (1..3usize, 1..40usize),
        activation in activation(),
        seed: u64,
    ) {
        let mut noise = Noise::new(seed);
        let [rows, columns] = axes;
        let options = Pool2DOptions {
            padding: rows.padding,
            stride_h: rows.stride as i32,
            stride_w: columns.stride as i32,
            filter_h: rows.filter as i32,
            filter_w: columns.filter as i32,
            activation,
        };
        let input = [batch, rows.input, columns.input, channels];
        let output = [batch, rows.output(), columns.output(), channels];
        let (scale, zero_point) = (noise.scale(), i64::from(noise.int8()));
        let (x, real) = (noise.int8s(product(&input)), noise.floats(product(&input)));
        let (min, max) = bounds(activation, (scale, zero_point));
        let mut expected: [Vec<i8>; 2] = Default::default();
        let mut expected_real: [Vec<f32>; 2] = Default::default();
        for pixel in pixels(batch, axes) {
            let taps = taps(axes, pixel);
            for c in 0..channels {
                let at = |&(_, _, pixel): &(usize, usize, usize)| pixel * channels + c;
                let sum: i32 = taps.iter().map(|t| i32::from(x[at(t)])).sum();
                let mean = (f64::from(sum) / taps.len() as f64).round() as i32;
                expected[0].push(mean.clamp(min, max) as i8);
                let largest = taps.iter().map(|t| i32::from(x[at(t)])).max().unwrap();
                expected[1].push(largest.clamp(min, max) as i8);
                let sum = taps.iter().fold(0.0, |sum, t| sum + real[at(t)]);
                expected_real[0].push(clamp(activation, sum / taps.len() as f32));
                let largest = taps.iter().fold(f32::MIN, |max, t| max.max(real[at(t)]));
                expected_real[1].push(clamp(activation, largest));
            }
        }
        for (i, op) in [Op::AveragePool2D(options), Op::MaxPool2D(options)].into_iter().enumerate() {
            let node = Node {
                op,
                inputs: vec![Some(Tensor::int8(&input, &x, scale, zero_point))],
                outputs: vec![Tensor::int8(&output, &[], scale, zero_point)],
            };
            prop_assert_eq!(&node.run_i8().unwrap(), &expected[i]);
            let node = Node {
                op,
                inputs: vec![Some(Tensor::float(&input, &real))],
                outputs: vec![Tensor::float(&output, &[])],
            };
            prop_assert_eq!(&node.run_f32().unwrap(), &expected_real[i]);
        }
    }
}
