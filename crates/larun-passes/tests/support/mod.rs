//! A small network with every quantisation rule, noise, and a run of a graph.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod uneven;

use larun_graph::ops::{
    Activation, AddOptions, BatchNormOptions, ConcatenationOptions, Conv2DOptions, ElementType,
    FullyConnectedOptions, NoOptions, Op, Padding, Pool2DOptions, ReducerOptions, SoftmaxOptions,
};
use larun_graph::{Graph, GraphBuilder, TensorId};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};
use larun_passes::{Calibration, Calibrator, fold_batch_norm, fuse_activations};

/// Numbers that look random and are the same every time.
pub(crate) fn noise(seed: u32, count: usize, amplitude: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
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
    let model = AlignedBytes::copy_of(&larun_tflite::write(graph).unwrap());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = Interpreter::new(&model, kernels::ALL, &mut arena).unwrap();
    interpreter.set_input(0, input).unwrap();
    interpreter.invoke().unwrap();
    interpreter.output::<f32>(0).unwrap().to_vec()
}

pub(crate) fn stride_one() -> Conv2DOptions {
    Conv2DOptions {
        stride_h: 1,
        stride_w: 1,
        ..Conv2DOptions::default()
    }
}

pub(crate) struct Net {
    pub(crate) builder: GraphBuilder,
    pub(crate) seed: u32,
}

impl Net {
    pub(crate) fn new(seed: u32) -> Self {
        let builder = GraphBuilder::new("net");
        Self { builder, seed }
    }

    pub(crate) fn constant(&mut self, name: &str, shape: &[usize], amplitude: f32) -> TensorId {
        self.seed += 1;
        let values = noise(self.seed, shape.iter().product(), amplitude);
        self.builder.constant(name, shape, &values).unwrap()
    }

    pub(crate) fn batch_norm(&mut self, input: TensorId, channels: usize) -> TensorId {
        let gamma = self.constant("gamma", &[channels], 2.0);
        let beta = self.constant("beta", &[channels], 1.0);
        let mean = self.constant("mean", &[channels], 0.5);
        let variance: Vec<f32> = noise(self.seed, channels, 0.4)
            .iter()
            .map(|v| v + 0.6)
            .collect();
        let variance = self
            .builder
            .constant("variance", &[channels], &variance)
            .unwrap();
        let op = Op::BatchNorm(BatchNormOptions::default());
        self.builder
            .node("norm", op, &[input, gamma, beta, mean, variance])
            .unwrap()
    }
}

/// Two branches, a residual, a join of a fixed and a free scale, pools: every quantisation rule.
pub(crate) fn branches(seed: u32) -> Graph {
    let mut net = Net::new(seed);
    let x = net
        .builder
        .input("x", &[1, 8, 8, 3], ElementType::Float32)
        .unwrap();
    let (w, b) = (
        net.constant("w1", &[8, 3, 3, 3], 0.4),
        net.constant("b1", &[8], 0.2),
    );
    let y = net
        .builder
        .node("conv1", Op::Conv2D(stride_one()), &[x, w, b])
        .unwrap();
    let y = net.batch_norm(y, 8);
    let y = net
        .builder
        .node("relu", Op::Relu(NoOptions {}), &[y])
        .unwrap();
    let w = net.constant("w2", &[8, 1, 1, 8], 0.4);
    let z = net
        .builder
        .node("conv2", Op::Conv2D(stride_one()), &[y, w])
        .unwrap();
    let sum = net
        .builder
        .node("sum", Op::Add(AddOptions::default()), &[y, z])
        .unwrap();
    let gate = net
        .builder
        .node("gate", Op::Logistic(NoOptions {}), &[sum])
        .unwrap();
    let joined = Op::Concatenation(ConcatenationOptions {
        axis: 3,
        activation: Activation::None,
    });
    let joined = net.builder.node("joined", joined, &[gate, sum]).unwrap();
    let pool = Pool2DOptions {
        padding: Padding::Valid,
        stride_h: 2,
        stride_w: 2,
        filter_h: 2,
        filter_w: 2,
        activation: Activation::None,
    };
    let pooled = net
        .builder
        .node("pooled", Op::MaxPool2D(pool), &[joined])
        .unwrap();
    let axes = net.builder.constant("axes", &[2], &[1i32, 2]).unwrap();
    let mean = net
        .builder
        .node(
            "mean",
            Op::Mean(ReducerOptions { keep_dims: false }),
            &[pooled, axes],
        )
        .unwrap();
    let (w, b) = (
        net.constant("w3", &[5, 16], 0.6),
        net.constant("b3", &[5], 0.2),
    );
    let dense = Op::FullyConnected(FullyConnectedOptions::default());
    let logits = net.builder.node("logits", dense, &[mean, w, b]).unwrap();
    let out = net
        .builder
        .node("out", Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[logits])
        .unwrap();
    net.builder.output(out);
    net.builder.finish().unwrap()
}

pub(crate) fn calibrate(graph: &Graph, samples: usize) -> Calibration {
    let mut calibrator = Calibrator::new(graph).unwrap();
    let samples: Vec<_> = (0..samples)
        .map(|i| noise(i as u32 + 99, 192, 1.0))
        .collect();
    calibrator
        .observe(samples.iter().map(|sample| vec![sample.as_slice()]))
        .unwrap();
    calibrator.finish().unwrap()
}

pub(crate) fn prepared(seed: u32) -> Graph {
    fuse_activations(fold_batch_norm(branches(seed)).unwrap()).unwrap()
}

/// What a graph of INT8 inputs and outputs computes.
pub(crate) fn run_int8(graph: &Graph, input: &[i8]) -> Vec<i8> {
    let model = AlignedBytes::copy_of(&larun_tflite::write(graph).unwrap());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = Interpreter::new(&model, kernels::ALL, &mut arena).unwrap();
    interpreter.set_input(0, input).unwrap();
    interpreter.invoke().unwrap();
    interpreter.output::<i8>(0).unwrap().to_vec()
}
