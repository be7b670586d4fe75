//! Networks with a memory: forward passes against the interpreter, and training in real numbers and for integers.

use larun_graph::ops::{
    Activation, ElementType, FullyConnectedOptions, Op, Shape, SoftmaxOptions, SvdfOptions,
    UnidirectionalSequenceLstmOptions,
};
use larun_graph::{Graph, GraphBuilder, Node, NodeId, Tensor};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};
use larun_passes::{Calibrator, Placement, QuantizeOptions, run_alone};
use larun_quant::Affine;
use larun_train::{Executor, Mode, QatConfig, TrainConfig, Trainer, TrainingData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const STEPS: usize = 12;
const INPUTS: usize = 3;
const UNITS: usize = 6;
const CLASSES: usize = 3;

fn random(count: usize, seed: u64, limit: f32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| limit * (2.0 * rng.random::<f32>() - 1.0))
        .collect()
}

fn tensor(name: &str, shape: &[usize], is_variable: bool) -> Tensor {
    Tensor {
        name: name.to_owned(),
        shape: Shape::new(shape).unwrap(),
        is_variable,
        ..Tensor::default()
    }
}

/// An LSTM, and with `head` a dense layer on all its outputs and a SOFTMAX.
fn lstm(time_major: bool, head: bool) -> Graph {
    let mut builder = GraphBuilder::new("lstm");
    let shape = |width: usize| match time_major {
        true => [STEPS, 1, width],
        false => [1, STEPS, width],
    };
    let x = builder
        .input("x", &shape(INPUTS), ElementType::Float32)
        .unwrap();
    let mut seed = 0;
    let mut constant = |builder: &mut GraphBuilder, name: &str, shape: &[usize]| {
        seed += 1;
        let values = random(shape.iter().product(), seed, 0.7);
        Some(builder.constant(name, shape, &values).unwrap())
    };
    let mut operands = vec![Some(x)];
    for gate in 0..4 {
        operands.push(constant(
            &mut builder,
            &format!("w{gate}"),
            &[UNITS, INPUTS],
        ));
    }
    for gate in 0..4 {
        operands.push(constant(&mut builder, &format!("r{gate}"), &[UNITS, UNITS]));
    }
    operands.extend([None; 3]);
    for gate in 0..4 {
        operands.push(constant(&mut builder, &format!("b{gate}"), &[UNITS]));
    }
    operands.extend([None; 2]);
    let w = constant(&mut builder, "dense/w", &[CLASSES, STEPS * UNITS]).unwrap();
    let b = constant(&mut builder, "dense/b", &[CLASSES]).unwrap();
    builder.output(x);
    let mut graph = builder.finish().unwrap();
    let subgraph = graph.main_mut().unwrap();
    for name in ["h", "c"] {
        let state = tensor(name, &[1, UNITS], true);
        operands.push(Some(subgraph.add_tensor(state)));
    }
    operands.extend([None; 4]);
    let mut y = subgraph.add_tensor(tensor("y", &shape(UNITS), false));
    let options = UnidirectionalSequenceLstmOptions {
        activation: Activation::Tanh,
        time_major,
        ..Default::default()
    };
    subgraph.nodes.push(Node {
        inputs: operands,
        ..Node::new(Op::UnidirectionalSequenceLstm(options), &[], &[y])
    });
    if head {
        let scores = subgraph.add_tensor(tensor("scores", &[1, CLASSES], false));
        let dense = Op::FullyConnected(FullyConnectedOptions::default());
        subgraph.nodes.push(Node::new(dense, &[y, w, b], &[scores]));
        let probabilities = subgraph.add_tensor(tensor("probabilities", &[1, CLASSES], false));
        let softmax = Op::Softmax(SoftmaxOptions { beta: 1.0 });
        subgraph
            .nodes
            .push(Node::new(softmax, &[scores], &[probabilities]));
        y = probabilities;
    }
    subgraph.outputs = vec![y];
    graph.validate().unwrap();
    graph
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.chunks_exact(4);
    words
        .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

/// Two samples at once, each as the interpreter computes it from an empty memory.
fn compare(graph: &Graph, sample_len: usize) {
    let samples = random(2 * sample_len, 99, 1.0);
    let mut executor = Executor::new(graph).unwrap();
    executor.forward(2, &[&samples], Mode::Inference).unwrap();
    let found = executor.output(0).unwrap();
    let each = found.chunks(found.len() / 2);
    for (sample, found) in samples.chunks(sample_len).zip(each) {
        let expected = run_alone(graph, NodeId::new(0), &[&bytes(sample)]).unwrap();
        for (f, e) in found.iter().zip(floats(&expected[0])) {
            assert!((f - e).abs() < 1e-5, "{f}, the kernel has {e}");
        }
    }
}

#[test]
fn the_interpreter_agrees() {
    compare(&lstm(false, false), STEPS * INPUTS);
    compare(&lstm(true, false), STEPS * INPUTS);

    let (rank, memory) = (2, 4);
    let mut builder = GraphBuilder::new("svdf");
    let x = builder
        .input("x", &[1, INPUTS], ElementType::Float32)
        .unwrap();
    let filters = UNITS * rank;
    let feature = random(filters * INPUTS, 1, 1.0);
    let feature = builder.constant("feature", &[filters, INPUTS], &feature);
    let time = random(filters * memory, 2, 1.0);
    let time = builder.constant("time", &[filters, memory], &time);
    builder.output(x);
    let (feature, time) = (feature.unwrap(), time.unwrap());
    let mut graph = builder.finish().unwrap();
    let subgraph = graph.main_mut().unwrap();
    let state = subgraph.add_tensor(tensor("state", &[1, filters * memory], true));
    let y = subgraph.add_tensor(tensor("y", &[1, UNITS], false));
    let options = SvdfOptions {
        rank: rank as i32,
        ..Default::default()
    };
    subgraph.nodes.push(Node {
        inputs: vec![Some(x), Some(feature), Some(time), None, Some(state)],
        ..Node::new(Op::Svdf(options), &[], &[y])
    });
    subgraph.outputs = vec![y];
    graph.validate().unwrap();
    compare(&graph, INPUTS);
}

/// Sequences whose class is where they rise.
fn sequences(count: usize) -> (Vec<f32>, Vec<u32>) {
    let y: Vec<u32> = (0..count as u32).map(|i| i % CLASSES as u32).collect();
    let mut x = random(count * STEPS * INPUTS, 5, 0.3);
    for (sample, &class) in x.chunks_mut(STEPS * INPUTS).zip(&y) {
        for step in sample.chunks_mut(INPUTS).skip(1 + 4 * class as usize) {
            step[0] += 1.0;
        }
    }
    (x, y)
}

#[test]
fn it_learns_in_real_numbers_and_for_integers() {
    let graph = lstm(false, true);
    let (x, y) = sequences(150);
    let (train, validation): (Vec<usize>, Vec<usize>) = (0..150).partition(|i| i % 5 != 0);
    let data = TrainingData {
        x: &x,
        sample_len: STEPS * INPUTS,
        y: &y,
        train: &train,
        validation: &validation,
        ..TrainingData::default()
    };
    let config = |epochs, learning_rate| TrainConfig {
        epochs,
        batch_size: 16,
        learning_rate,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(&graph, data, config(15, 0.02)).unwrap();
    let outcome = trainer.run(&mut ()).unwrap();
    assert!(outcome.best.unwrap().validation.accuracy > 0.9);

    let trained = outcome.graph;
    let placement = Placement::new(&trained, &QuantizeOptions::default()).unwrap();
    // Four input matrices, four recurrent ones, the dense layer's.
    assert_eq!(placement.weights().len(), 9);
    let mut calibrator = Calibrator::new(placement.simplified()).unwrap();
    let samples = train
        .iter()
        .map(|&i| vec![&x[i * STEPS * INPUTS..][..STEPS * INPUTS]]);
    calibrator.observe(samples).unwrap();
    let ranges = calibrator.finish().unwrap();
    let qat = QatConfig::default();
    let mut trainer =
        Trainer::quantization_aware(&trained, data, config(3, 1e-3), &placement, &ranges, qat)
            .unwrap();
    trainer.run(&mut ()).unwrap();
    let all: Vec<usize> = (0..150).collect();
    let expected = trainer.outputs_of_best(&all).unwrap();
    let (_, quantized) = trainer.convert().unwrap();

    let model = AlignedBytes::copy_of(&larun_tflite::write(&quantized.graph).unwrap());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = Interpreter::new(&model, kernels::ALL, &mut arena).unwrap();
    let (scale, zero_point) = interpreter
        .input_info(0)
        .unwrap()
        .scale_and_zero_point()
        .unwrap();
    let affine = Affine::new(scale, zero_point);
    let mut alike = 0;
    for (sample, expected) in x.chunks(STEPS * INPUTS).zip(expected.chunks(CLASSES)) {
        let integers: Vec<i8> = sample.iter().map(|&x| affine.quantize_i8(x)).collect();
        interpreter.reset().unwrap();
        interpreter.set_input(0, &integers).unwrap();
        interpreter.invoke().unwrap();
        let found = interpreter.output::<i8>(0).unwrap();
        let class = |better: &dyn Fn(usize, usize) -> bool| {
            (0..CLASSES).fold(0, |best, i| if better(i, best) { i } else { best })
        };
        let found = class(&|a, b| found[a] > found[b]);
        alike += usize::from(found == class(&|a, b| expected[a] > expected[b]));
    }
    assert!(alike >= 147, "{alike} of 150 samples have the same class");
}
