//! A network whose channels are of very different sizes, samples for it, and how far an INT8 form is off.

use super::{Net, noise, run};
use larun_graph::ops::{
    Activation, AddOptions, Conv2DOptions, DepthwiseConv2DOptions, ElementType,
    FullyConnectedOptions, Op, Padding, Pool2DOptions, ReshapeOptions,
};
use larun_graph::{Graph, TensorId};

/// A residual network with depthwise filters, pads, pools and dense layers, channels of very different sizes.
pub(crate) fn uneven(seed: u32, activation: Activation) -> Graph {
    let mut net = Net::new(seed);
    let x = net
        .builder
        .input("x", &[1, 8, 8, 3], ElementType::Float32)
        .unwrap();
    let conv = Conv2DOptions {
        stride_h: 1,
        stride_w: 1,
        activation,
        ..Conv2DOptions::default()
    };
    let mut weights = noise(seed + 90, 8 * 27, 0.4);
    // Every channel has a size of its own.
    for (channel, filter) in weights.chunks_mut(27).enumerate() {
        filter
            .iter_mut()
            .for_each(|w| *w *= 1.0 / (1.0 + channel as f32));
    }
    let w = net.builder.constant("w1", &[8, 3, 3, 3], &weights).unwrap();
    let b = net.constant("b1", &[8], 0.3);
    let y = net
        .builder
        .node("conv1", Op::Conv2D(conv), &[x, w, b])
        .unwrap();
    let (w, b) = (
        net.constant("w2", &[1, 3, 3, 8], 0.5),
        net.constant("b2", &[8], 0.2),
    );
    let depthwise = DepthwiseConv2DOptions {
        stride_h: 1,
        stride_w: 1,
        depth_multiplier: 1,
        activation,
        ..DepthwiseConv2DOptions::default()
    };
    let z = net
        .builder
        .node("depthwise", Op::DepthwiseConv2D(depthwise), &[y, w, b])
        .unwrap();
    let w = net.constant("w3", &[8, 1, 1, 8], 0.5);
    let plain = Conv2DOptions {
        activation: Activation::None,
        ..conv
    };
    let z = net
        .builder
        .node("pointwise", Op::Conv2D(plain), &[z, w])
        .unwrap();
    let sum = AddOptions {
        activation,
        ..AddOptions::default()
    };
    let y = net.builder.node("sum", Op::Add(sum), &[y, z]).unwrap();
    let pool = Pool2DOptions {
        padding: Padding::Valid,
        stride_h: 8,
        stride_w: 8,
        filter_h: 8,
        filter_w: 8,
        activation: Activation::None,
    };
    let y = net
        .builder
        .node("pool", Op::AveragePool2D(pool), &[y])
        .unwrap();
    let shape = net.builder.constant("shape", &[2], &[1i32, 8]).unwrap();
    let y = net
        .builder
        .node("flat", Op::Reshape(ReshapeOptions::default()), &[y, shape])
        .unwrap();
    let (w, b) = (
        net.constant("w4", &[5, 8], 1.0),
        net.constant("b4", &[5], 0.2),
    );
    let y = net
        .builder
        .node(
            "dense",
            Op::FullyConnected(FullyConnectedOptions::default()),
            &[y, w, b],
        )
        .unwrap();
    net.builder.output(y);
    net.builder.finish().unwrap()
}

pub(crate) fn samples(seed: u32, count: u32) -> Vec<Vec<f32>> {
    (0..count)
        .map(|i| noise(seed * 1_000 + i, 8 * 8 * 3, 1.0))
        .collect()
}

pub(crate) fn as_slices(samples: &[Vec<f32>]) -> Vec<Vec<&[f32]>> {
    samples
        .iter()
        .map(|sample| vec![sample.as_slice()])
        .collect()
}

pub(crate) fn assert_near(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= tolerance * largest, "{f}, expected {e}");
    }
}

/// Mean square of the difference of an INT8 graph's outputs from a float graph's.
pub(crate) fn noise_of(float: &Graph, integer: &Graph, samples: &[Vec<f32>]) -> f64 {
    let subgraph = integer.main().unwrap();
    let affine = |id: TensorId| {
        let tensor = subgraph.tensor(id).unwrap();
        tensor
            .quantization
            .as_ref()
            .unwrap()
            .as_per_tensor()
            .unwrap()
    };
    let (input, output) = (affine(subgraph.inputs[0]), affine(subgraph.outputs[0]));
    let mut sum = 0.0;
    for sample in samples {
        let expected = run(float, sample);
        let found = super::run_int8(integer, &input.quantize_to_vec_i8(sample).unwrap());
        for (e, f) in expected.iter().zip(output.dequantize_to_vec_i8(&found)) {
            sum += f64::from(e - f).powi(2);
        }
    }
    sum / samples.len() as f64
}
