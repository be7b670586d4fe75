//! What the tests share: a small network, and how one is loaded and fed.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod flow;

use larun_graph::ops::{
    Activation, Conv2DOptions, ElementType, FullyConnectedOptions, Op, Padding, Pool2DOptions,
    ReshapeOptions, SoftmaxOptions,
};
use larun_graph::{Graph, GraphBuilder, Quantization, TensorId};
use larun_micro::host::AlignedBytes;
use larun_micro::{Interpreter, LoadError, kernels};

/// Points of the light curve that [`transit`] looks at.
pub(crate) const POINTS: usize = 32;

/// A hand-made INT8 network that finds a dip in a light curve of [`POINTS`] brightnesses, 1 % a step.
///
/// Means over 3 and 7 points, upside down, their largest values, and from these the probabilities of "flat" and
/// "transit".
pub(crate) fn transit() -> Graph {
    let mut net = GraphBuilder::new("transit");
    let flux = net.input("flux", &[1, 1, POINTS, 1], ElementType::Int8);
    let flux = flux.unwrap();
    let boxes = [
        0, 0, -127, -127, -127, 0, 0, -127, -127, -127, -127, -127, -127, -127i8,
    ];
    let boxes = net.constant("boxes", &[2, 1, 7, 1], &boxes).unwrap();
    let conv = Op::Conv2D(Conv2DOptions {
        padding: Padding::Same,
        stride_w: 1,
        stride_h: 1,
        activation: Activation::Relu,
        ..Conv2DOptions::default()
    });
    let depths = net.node("depths", conv, &[flux, boxes]).unwrap();
    let pool = Op::MaxPool2D(Pool2DOptions {
        padding: Padding::Valid,
        stride_w: 1,
        stride_h: 1,
        filter_h: 1,
        filter_w: POINTS as i32,
        ..Pool2DOptions::default()
    });
    let deepest = net.node("deepest", pool, &[depths]).unwrap();
    let shape = net.constant("shape", &[2], &[1i32, 2]).unwrap();
    let reshape = Op::Reshape(ReshapeOptions::default());
    let flat = net.node("flat", reshape, &[deepest, shape]).unwrap();
    let weights = net.constant("weights", &[2, 2], &[-100, -100, 100, 100i8]);
    let weights = weights.unwrap();
    let bias = net.constant("bias", &[2], &[5000, -5000i32]).unwrap();
    let dense = Op::FullyConnected(FullyConnectedOptions::default());
    let logits = net.node("logits", dense, &[flat, weights, bias]).unwrap();
    let softmax = Op::Softmax(SoftmaxOptions { beta: 1.0 });
    let classes = net.node("classes", softmax, &[logits]).unwrap();
    net.output(classes);
    let mut graph = net.finish().unwrap();

    let thirds = vec![1.0 / 3.0 / 127.0, 1.0 / 7.0 / 127.0];
    set_quantization(&mut graph, boxes, Quantization::per_channel(thirds, 0));
    set_affine(&mut graph, flux, 0.01, 0);
    for tensor in [depths, deepest, flat] {
        set_affine(&mut graph, tensor, 0.005, -128);
    }
    set_affine(&mut graph, weights, 0.08, 0);
    set_affine(&mut graph, bias, 0.005 * 0.08, 0);
    set_affine(&mut graph, logits, 0.1, 0);
    set_affine(&mut graph, classes, 1.0 / 256.0, -128);
    graph
}

fn set_affine(graph: &mut Graph, tensor: TensorId, scale: f32, zero_point: i64) {
    let quantization = Quantization {
        scale: vec![scale],
        zero_point: vec![zero_point],
        ..Quantization::default()
    };
    set_quantization(graph, tensor, quantization);
}

fn set_quantization(graph: &mut Graph, tensor: TensorId, quantization: Quantization) {
    let main = graph.main_mut().unwrap();
    main.tensor_mut(tensor).unwrap().quantization = Some(quantization);
}

/// The file of [`transit`].
pub(crate) fn transit_file() -> AlignedBytes {
    AlignedBytes::copy_of(&larun_tflite::write(&transit()).unwrap())
}

/// A light curve with a dip of five points, so many hundredths deep.
pub(crate) fn light_curve(depth: i8) -> [i8; POINTS] {
    let mut curve: [i8; POINTS] = core::array::from_fn(|i| [0, 2, -1, 1][i % 4]);
    curve[12..17].fill(-depth);
    curve
}

/// Loads with every kernel.
pub(crate) fn load<'m, 'a>(
    model: &'m [u8],
    arena: &'a mut [u8],
) -> Result<Interpreter<'m, 'a>, LoadError<'m>> {
    Interpreter::new(model, kernels::ALL, arena)
}

/// Sets every input to bytes that a seed gives.
pub(crate) fn fill_inputs(interpreter: &mut Interpreter<'_, '_>, seed: u64) {
    let mut random = Random(seed);
    for i in 0..interpreter.input_count() {
        // A constant that a file calls an input cannot be set.
        if let Ok(bytes) = interpreter.input_bytes_mut(i) {
            bytes.fill_with(|| random.next() as u8);
        }
    }
}

/// The bytes of every output.
pub(crate) fn outputs(interpreter: &Interpreter<'_, '_>) -> Vec<Vec<u8>> {
    let bytes = |i| interpreter.output_bytes(i).unwrap().to_vec();
    (0..interpreter.output_count()).map(bytes).collect()
}

/// Numbers that a seed gives (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
