//! Layers with weights of every type against plain loops: what the sums are, and what becomes of them.

use larun_ops::{
    BatchMatmulOptions, Conv2DOptions, DepthwiseConv2DOptions, ElementType, FullyConnectedOptions,
    Op, Padding, TransposeConvOptions,
};
use larun_quant::DynamicInput;
use larun_quant::fixed_point::FixedMultiplier;
use proptest::prelude::*;

use crate::reference::{Axis, Noise, pixels, taps};
use crate::support::{Node, Tensor};

/// The types of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Types {
    Int8,
    Int4,
    /// INT16 with a 64-bit bias.
    Wide,
    /// INT16 with a 32-bit bias.
    Narrow,
    /// Real numbers over INT8, the input quantised symmetrically or not.
    Hybrid(bool),
    /// Real numbers over INT4.
    HybridInt4,
}

const TYPES: [Types; 7] = [
    Types::Int8,
    Types::Int4,
    Types::Wide,
    Types::Narrow,
    Types::Hybrid(false),
    Types::Hybrid(true),
    Types::HybridInt4,
];

fn types() -> impl Strategy<Value = Types> {
    prop::sample::select(&TYPES)
}

/// Operands at random, and how a sum becomes an output.
struct Layer {
    types: Types,
    input: Tensor,
    /// The input as integers less their zero point; real ones as each batch quantises them.
    values: Vec<i64>,
    /// What one step of each batch stands for.
    input_scales: Vec<f32>,
    weights: Tensor,
    weight_values: Vec<i64>,
    weight_scales: Vec<f32>,
    bias: Tensor,
    bias_values: Vec<i64>,
    output: Tensor,
    /// Whether the scales of a real output are multiplied first.
    scales_first: bool,
}

const OUTPUT_SCALE: f32 = 0.9;

impl Layer {
    /// `batches` are the batches that are quantised on their own, `axis` is that of the channels of the weights.
    fn new(
        types: Types,
        noise: &mut Noise,
        [input, weights]: [&[usize]; 2],
        output: &[usize],
        (batches, axis, asymmetric): (usize, usize, bool),
    ) -> Self {
        let len = |dims: &[usize]| dims.iter().product::<usize>();
        let channels = weights[axis];
        let int4 = matches!(types, Types::Int4 | Types::HybridInt4);
        let real = matches!(types, Types::Hybrid(_) | Types::HybridInt4);
        let weight_bytes = noise.int8s(len(weights));
        let weight_values: Vec<i64> = weight_bytes
            .iter()
            .map(|&w| i64::from(if int4 { w >> 4 } else { w }))
            .collect();
        let weight_scales: Vec<f32> = (0..channels).map(|_| noise.scale()).collect();
        let bias_values: Vec<i64> = (0..channels)
            .map(|_| i64::from(noise.int8()) * 50)
            .collect();
        let (input_scale, zero_point) = (noise.scale(), i64::from(noise.int8()));

        let mut input_scales = vec![input_scale; batches];
        let (input, values) = if real {
            let values = noise.floats(len(input));
            let mut integers = Vec::new();
            let batch_len = values.len() / batches;
            for (batch, scale) in values.chunks(batch_len).zip(&mut input_scales) {
                let dynamic = match asymmetric {
                    true => DynamicInput::asymmetric(batch),
                    false => DynamicInput::symmetric(batch),
                };
                *scale = dynamic.affine.scale;
                integers.extend(batch.iter().map(|&x| i64::from(dynamic.centred(x))));
            }
            (Tensor::float(input, &values), integers)
        } else if matches!(types, Types::Wide | Types::Narrow) {
            let values: Vec<i16> = (0..len(input)).map(|_| noise.next() as i16).collect();
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let tensor = Tensor::new(ElementType::Int16, input, bytes);
            let values = values.into_iter().map(i64::from).collect();
            (tensor.quantized(&[input_scale], &[0]), values)
        } else {
            let values = noise.int8s(len(input));
            let tensor = Tensor::int8(input, &values, input_scale, zero_point);
            let values = values.iter().map(|&x| i64::from(x) - zero_point);
            (tensor, values.collect())
        };
        let weights = if int4 {
            let bytes = weight_values.chunks(2).map(|pair| {
                let high = pair.get(1).copied().unwrap_or(0);
                (pair[0] as u8 & 15) | (high as u8) << 4
            });
            Tensor::new(ElementType::Int4, weights, bytes.collect())
        } else {
            Tensor::int8(weights, &weight_bytes, 1.0, 0)
        };
        let bias = match types {
            Types::Wide => {
                let bytes = bias_values.iter().flat_map(|v| v.to_le_bytes()).collect();
                Tensor::new(ElementType::Int64, &[channels], bytes)
            }
            _ if real => {
                let values: Vec<f32> = bias_values.iter().map(|&v| v as f32).collect();
                Tensor::float(&[channels], &values)
            }
            _ => {
                let values: Vec<i32> = bias_values.iter().map(|&v| v as i32).collect();
                Tensor::int32(&[channels], &values)
            }
        };
        let output = match types {
            Types::Wide | Types::Narrow => Tensor::new(ElementType::Int16, output, Vec::new()),
            _ if real => Tensor::float(output, &[]),
            _ => Tensor::new(ElementType::Int8, output, Vec::new()),
        };
        Self {
            types,
            input,
            values,
            input_scales,
            weights: weights
                .quantized(&weight_scales, &vec![0; channels])
                .along(axis)
                .constant(),
            weight_values,
            weight_scales,
            bias: bias.constant(),
            bias_values,
            output: output.quantized(&[OUTPUT_SCALE], &[0]),
            scales_first: false,
        }
    }

    /// The bytes of an output of `channel` from `batch`, whose products sum to `sum`.
    fn finish(&self, batch: usize, channel: usize, sum: i64) -> Vec<u8> {
        let (weight_scale, bias) = (self.weight_scales[channel], self.bias_values[channel]);
        let scale = self.input_scales[batch];
        let real = f64::from(scale) * f64::from(weight_scale) / f64::from(OUTPUT_SCALE);
        let multiplier = FixedMultiplier::from_real(real);
        let total = sum + bias;
        match self.types {
            Types::Int8 | Types::Int4 => {
                let scaled = multiplier.apply(total as i32);
                vec![scaled.clamp(-128, 127) as u8]
            }
            Types::Narrow => {
                let scaled = multiplier.apply(total as i32).clamp(-32768, 32767);
                (scaled as i16).to_le_bytes().to_vec()
            }
            Types::Wide => {
                let scaled = multiplier.apply_i64(total).clamp(-32768, 32767);
                (scaled as i16).to_le_bytes().to_vec()
            }
            Types::Hybrid(_) | Types::HybridInt4 => {
                let scaled = match self.scales_first {
                    true => sum as f32 * (scale * weight_scale),
                    false => sum as f32 * weight_scale * scale,
                };
                (scaled + bias as f32).to_le_bytes().to_vec()
            }
        }
    }

    fn node(&self, op: Op) -> Node {
        let inputs = [&self.input, &self.weights, &self.bias];
        Node {
            op,
            inputs: inputs.map(|tensor| Some(tensor.clone())).to_vec(),
            outputs: vec![self.output.clone()],
        }
    }
}

fn axes(largest_dilation: usize) -> impl Strategy<Value = [Axis; 2]> {
    let padding = prop::sample::select(&[Padding::Same, Padding::Valid][..]);
    let axis = (1..7usize, 1..4usize, 1..4usize, 1..=largest_dilation);
    (axis.clone(), axis, padding)
        .prop_map(|(rows, columns, padding)| {
            [rows, columns].map(|(input, filter, stride, dilation)| Axis {
                input,
                filter,
                stride,
                dilation,
                padding,
            })
        })
        .prop_filter("the window fits", |axes| axes.iter().all(Axis::fits))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn convolutions(
        types in types(), axes in axes(3), batch in 1..3usize, groups in 1..3usize, depth in 1..5usize,
        in_group in 2..4usize, seed: u64,
    ) {
        let [rows, columns] = axes;
        let (channels, filters) = (groups * depth, groups * in_group);
        let layer = Layer::new(
            types,
            &mut Noise::new(seed),
            [
                &[batch, rows.input, columns.input, channels],
                &[filters, rows.filter, columns.filter, depth],
            ],
            &[batch, rows.output(), columns.output(), filters],
            // Scales of channels that differ ask for asymmetric inputs.
            (batch, 0, true),
        );
        let mut expected = Vec::new();
        for pixel in pixels(batch, axes) {
            for filter in 0..filters {
                let mut sum = 0;
                for (tap_y, tap_x, at) in taps(axes, pixel) {
                    for c in 0..depth {
                        let value = layer.values[at * channels + filter / in_group * depth + c];
                        let tap = (filter * rows.filter + tap_y) * columns.filter + tap_x;
                        sum += value * layer.weight_values[tap * depth + c];
                    }
                }
                expected.extend(layer.finish(pixel.0, filter, sum));
            }
        }
        let node = layer.node(Op::Conv2D(Conv2DOptions {
            padding: rows.padding,
            stride_h: rows.stride as i32,
            stride_w: columns.stride as i32,
            dilation_h: rows.dilation as i32,
            dilation_w: columns.dilation as i32,
            ..Conv2DOptions::default()
        }));
        prop_assert_eq!(&node.run().unwrap()[0], &expected);
    }

    #[test]
    fn depthwise_convolutions(
        types in types(), axes in axes(3), batch in 1..3usize, channels in 1..7usize, multiplier in 1..4usize,
        seed: u64,
    ) {
        prop_assume!(channels * multiplier > 1);
        let [rows, columns] = axes;
        let outputs = channels * multiplier;
        let mut layer = Layer::new(
            types,
            &mut Noise::new(seed),
            [
                &[batch, rows.input, columns.input, channels],
                &[1, rows.filter, columns.filter, outputs],
            ],
            &[batch, rows.output(), columns.output(), outputs],
            (batch, 3, true),
        );
        layer.scales_first = true;
        let mut expected = Vec::new();
        for pixel in pixels(batch, axes) {
            for channel in 0..outputs {
                let products = taps(axes, pixel).into_iter().map(|(tap_y, tap_x, at)| {
                    let tap = tap_y * columns.filter + tap_x;
                    layer.values[at * channels + channel / multiplier]
                        * layer.weight_values[tap * outputs + channel]
                });
                let sum = products.sum();
                expected.extend(layer.finish(pixel.0, channel, sum));
            }
        }
        let node = layer.node(Op::DepthwiseConv2D(DepthwiseConv2DOptions {
            padding: rows.padding,
            stride_h: rows.stride as i32,
            stride_w: columns.stride as i32,
            dilation_h: rows.dilation as i32,
            dilation_w: columns.dilation as i32,
            ..DepthwiseConv2DOptions::default()
        }));
        prop_assert_eq!(&node.run().unwrap()[0], &expected);
    }

    #[test]
    fn dense_layers(types in types(), batch in 1..4usize, inputs in 1..40usize, units in 2..7usize, seed: u64) {
        // INT4 weights per channel are rounded as LiteRT does, which another test shows.
        prop_assume!(types != Types::Int4);
        let asymmetric = types == Types::Hybrid(true);
        let mut layer = Layer::new(
            types,
            &mut Noise::new(seed),
            [&[batch, inputs], &[units, inputs]],
            &[batch, units],
            (batch, 0, asymmetric),
        );
        layer.scales_first = true;
        let mut expected = Vec::new();
        for (row, values) in layer.values.chunks(inputs).enumerate() {
            for (unit, weights) in layer.weight_values.chunks(inputs).enumerate() {
                let sum = values.iter().zip(weights).map(|(v, w)| v * w).sum();
                expected.extend(layer.finish(row, unit, sum));
            }
        }
        let node = layer.node(Op::FullyConnected(FullyConnectedOptions {
            asymmetric_quantize_inputs: asymmetric,
            ..FullyConnectedOptions::default()
        }));
        prop_assert_eq!(&node.run().unwrap()[0], &expected);
    }

    #[test]
    fn transposed_convolutions(
        types in types(), axes in axes(1), batch in 1..3usize, depth in 1..5usize, filters in 2..5usize, seed: u64,
    ) {
        // The convolution that goes the other way, from `axes.input` to `axes.output`, says how large things are.
        let [rows, columns] = axes;
        let shape = [batch, rows.input, columns.input, filters];
        let layer = Layer::new(
            types,
            &mut Noise::new(seed),
            [
                &[batch, rows.output(), columns.output(), depth],
                &[filters, rows.filter, columns.filter, depth],
            ],
            &shape,
            (batch, 0, true),
        );
        let mut sums = vec![0; shape.iter().product()];
        for (from, pixel) in pixels(batch, axes).into_iter().enumerate() {
            for (tap_y, tap_x, to) in taps(axes, pixel) {
                for filter in 0..filters {
                    for c in 0..depth {
                        let tap = (filter * rows.filter + tap_y) * columns.filter + tap_x;
                        sums[to * filters + filter] +=
                            layer.values[from * depth + c] * layer.weight_values[tap * depth + c];
                    }
                }
            }
        }
        let per_batch = sums.len() / batch;
        let outputs = sums.iter().enumerate();
        let expected = outputs.flat_map(|(i, &sum)| layer.finish(i / per_batch, i % filters, sum));
        let expected: Vec<u8> = expected.collect();
        let mut node = layer.node(Op::TransposeConv(TransposeConvOptions {
            padding: rows.padding,
            stride_h: rows.stride as i32,
            stride_w: columns.stride as i32,
            ..TransposeConvOptions::default()
        }));
        let asked = shape.map(|dim| dim as i32);
        let (input, weights, bias) = (node.inputs[0].take(), node.inputs[1].take(), node.inputs[2].take());
        node.inputs = vec![Some(Tensor::int32(&[4], &asked).constant()), weights, input, bias];
        prop_assert_eq!(&node.run().unwrap()[0], &expected);
        // A shape that is computed at run time is taken from the file.
        node.inputs[0].as_mut().unwrap().constant = false;
        prop_assert_eq!(&node.run().unwrap()[0], &expected);
    }

    #[test]
    fn matrix_products(
        [rows, columns, depth] in [1..6usize, 1..10usize, 1..9usize], adj_x: bool, adj_y: bool,
        batches in prop::sample::select(&[[1, 1, 1], [2, 1, 2], [1, 3, 3], [3, 3, 3]][..]), outer in 1..3usize,
        int16: bool, seed: u64,
    ) {
        let noise = &mut Noise::new(seed);
        let [left_batches, right_batches, output_batches] = batches;
        let swap = |[a, b]: [usize; 2], swapped| if swapped { [b, a] } else { [a, b] };
        let [a, b] = swap([rows, depth], adj_x);
        let [c, d] = swap([depth, columns], adj_y);
        let left_shape = [outer, left_batches, a, b];
        let right_shape = [right_batches, c, d];
        let zeros = if int16 { [0; 3] } else { [0; 3].map(|_: i64| i64::from(noise.int8())) };
        let scales = [noise.scale(), noise.scale(), 1.0];
        let tensor = |shape: &[usize], i: usize, noise: &mut Noise| {
            let values: Vec<i64> = (0..shape.iter().product())
                .map(|_| if int16 { i64::from(noise.next() as i16) } else { noise.int8().into() })
                .collect();
            let (element_type, bytes) = if int16 {
                (ElementType::Int16, values.iter().flat_map(|&v| (v as i16).to_le_bytes()).collect())
            } else {
                (ElementType::Int8, values.iter().map(|&v| v as u8).collect())
            };
            (Tensor::new(element_type, shape, bytes).quantized(&[scales[i]], &[zeros[i]]), values)
        };
        let (left, left_values) = tensor(&left_shape, 0, noise);
        let (right, right_values) = tensor(&right_shape, 1, noise);
        let (output, _) = tensor(&[outer, output_batches, rows, columns], 2, noise);
        let fixed = FixedMultiplier::from_real(f64::from(scales[0]) * f64::from(scales[1]));
        let mut expected = Vec::new();
        for batch in 0..outer * output_batches {
            let (outer, inner) = (batch / output_batches, batch % output_batches);
            let left_at = (outer * left_batches + inner % left_batches) * rows * depth;
            let right_at = inner % right_batches * depth * columns;
            for row in 0..rows {
                for column in 0..columns {
                    let sum: i64 = (0..depth).map(|k| {
                        let left = if adj_x { k * rows + row } else { row * depth + k };
                        let right = if adj_y { column * depth + k } else { k * columns + column };
                        (left_values[left_at + left] - zeros[0]) * (right_values[right_at + right] - zeros[1])
                    }).sum();
                    match int16 {
                        true => expected.extend((fixed.apply_i64(sum).clamp(-32768, 32767) as i16).to_le_bytes()),
                        false => expected.push((fixed.apply(sum as i32) + zeros[2] as i32).clamp(-128, 127) as u8),
                    }
                }
            }
        }
        let options = BatchMatmulOptions { adj_x, adj_y, asymmetric_quantize_inputs: false };
        let node = Node {
            op: Op::BatchMatmul(options),
            inputs: vec![Some(left), Some(right)],
            outputs: vec![output],
        };
        prop_assert_eq!(&node.run().unwrap()[0], &expected);
    }
}

/// A dense layer of one row.
fn dense(input: Tensor, weights: Tensor, bias: Option<Tensor>, output: Tensor) -> Node {
    let mut inputs = vec![Some(input), Some(weights.constant())];
    inputs.extend(bias.map(|bias| Some(bias.constant())));
    Node {
        op: Op::FullyConnected(FullyConnectedOptions::default()),
        inputs,
        outputs: vec![output],
    }
}

#[test]
fn int4_rounded_per_channel_as_litert() {
    // 3 * -0.49999997 is nearest to -1; TFLM's two roundings would make it -3 / 2 and then -2.
    let weights = Tensor::new(ElementType::Int4, &[2, 1], vec![0xF1]);
    let node = dense(
        Tensor::int8(&[1, 1], &[3], 1.0, 0),
        weights.quantized(&[0.5, 0.499_999_97], &[0, 0]),
        None,
        Tensor::int8(&[1, 2], &[], 1.0, 0),
    );
    assert_eq!(node.run_i8().unwrap(), [2, -1]);
}

#[test]
fn float_rows_times_int8_matrices() {
    let right = Tensor::int8(&[2, 2], &[100, 0, 0, -50], 0.01, 0).constant();
    let node = |asymmetric_quantize_inputs| Node {
        op: Op::BatchMatmul(BatchMatmulOptions {
            adj_x: true,
            adj_y: false,
            asymmetric_quantize_inputs,
        }),
        // Rows [2, 4] and [-1, 1].
        inputs: vec![
            Some(Tensor::float(&[2, 2], &[2.0, -1.0, 4.0, 1.0])),
            Some(right.clone()),
        ],
        outputs: vec![Tensor::float(&[2, 2], &[])],
    };
    for asymmetric in [false, true] {
        let found = node(asymmetric).run_f32().unwrap();
        for (found, expected) in found.iter().zip([2.0, -2.0, -1.0, -0.5]) {
            assert!((found - expected).abs() < 0.02, "{found} {expected}");
        }
    }
}

#[test]
fn refusals() {
    let int16 = |dims: &[usize], zero_point| {
        let bytes = vec![0; 2 * dims.iter().product::<usize>()];
        Tensor::new(ElementType::Int16, dims, bytes).quantized(&[0.5], &[zero_point])
    };
    let weights = || Tensor::int8(&[1, 1], &[1], 0.5, 0);
    let said = |node: Node| node.prepare().unwrap_err().to_string();
    let zero_point = dense(int16(&[1, 1], 1), weights(), None, int16(&[1, 1], 0));
    assert_eq!(said(zero_point), "input 0: zero point must be 0, is 1");
    let float = Tensor::float(&[1], &[0.0]);
    let bias = dense(int16(&[1, 1], 0), weights(), Some(float), int16(&[1, 1], 0));
    assert_eq!(
        said(bias),
        "input 2: element type FLOAT32 is not supported here (supported: INT64, INT32, INT16)"
    );
    let fine = int16(&[1, 1], 0).quantized(&[0.000_01], &[0]);
    let coarse = dense(int16(&[1, 1], 0), weights(), None, fine);
    assert!(said(coarse).contains("too far apart"));
    let empty = dense(int16(&[0, 1], 0), weights(), None, int16(&[0, 1], 0));
    assert!(empty.run().unwrap()[0].is_empty());
    let no_scale = Tensor::new(ElementType::Int8, &[1, 1], vec![1]);
    let real = || Tensor::float(&[1, 1], &[1.0]);
    let said_of_scale = said(dense(real(), no_scale, None, real()));
    assert_eq!(said_of_scale, "input 1: has no quantisation parameters");
    let product = Node {
        op: Op::BatchMatmul(BatchMatmulOptions::default()),
        inputs: vec![
            Some(Tensor::float(&[1, 0], &[])),
            Some(Tensor::float(&[0, 1], &[])),
        ],
        outputs: vec![Tensor::float(&[1, 1], &[])],
    };
    assert_eq!(said(product), "input 0: has no elements");
}
