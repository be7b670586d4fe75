//! Training for integers: what the training computes is what the integer model gives.

#[allow(dead_code, reason = "not every test needs every layer")]
mod networks;

use larun_graph::Graph;
use larun_graph::ops::Activation;
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};
use larun_passes::{Calibrator, Placement, QuantizeOptions, Scheme};
use larun_train::{
    ActivationRanges, CheckpointConfig, Executor, Mode, ParameterKind, QatConfig, TrainConfig,
    Trainer, TrainingData, WeightScales, initialise,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const WIDTH: usize = 64;

struct Signals {
    x: Vec<f32>,
    y: Vec<u32>,
    train: Vec<usize>,
    validation: Vec<usize>,
}

/// Noise with a bump, a step or nothing in it.
fn signals(count: usize) -> Signals {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let y: Vec<u32> = (0..count as u32).map(|i| i % 3).collect();
    let mut x = Vec::new();
    for &class in &y {
        let at = rng.random_range(8..WIDTH - 8);
        x.extend((0..WIDTH).map(|i| {
            let signal = match class {
                1 if i.abs_diff(at) < 4 => 2.0,
                2 if i > at => 1.5,
                _ => 0.0,
            };
            signal + 0.3 * (rng.random::<f32>() - 0.5)
        }));
    }
    Signals {
        x,
        y,
        train: (0..count * 3 / 4).collect(),
        validation: (count * 3 / 4..count).collect(),
    }
}

impl Signals {
    fn data(&self) -> TrainingData<'_> {
        TrainingData {
            x: &self.x,
            sample_len: WIDTH,
            y: &self.y,
            train: &self.train,
            validation: &self.validation,
            ..TrainingData::default()
        }
    }

    fn sample(&self, index: usize) -> &[f32] {
        &self.x[index * WIDTH..][..WIDTH]
    }
}

fn network() -> Graph {
    let net = networks::Net::new(WIDTH).unwrap().conv(4, 5).unwrap();
    let net = net.norm_relu().unwrap().pool(4).unwrap();
    let net = net.depthwise(3).unwrap().norm_relu().unwrap();
    let net = net.conv(6, 1).unwrap().norm_relu().unwrap();
    let net = net.average().unwrap().dense(8, Activation::Relu).unwrap();
    let mut graph = net.dense(3, Activation::None).unwrap().softmax().unwrap();
    initialise(&mut graph, 3).unwrap();
    graph
}

fn config(epochs: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        batch_size: 16,
        learning_rate: 0.01,
        patience: None,
        ..TrainConfig::default()
    }
}

/// The float network after its training.
fn trained(signals: &Signals) -> Graph {
    let mut trainer = Trainer::new(&network(), signals.data(), config(12)).unwrap();
    trainer.run(&mut ()).unwrap().graph
}

fn placement(graph: &Graph, scheme: Scheme) -> Placement {
    let options = QuantizeOptions {
        scheme,
        ..QuantizeOptions::default()
    };
    Placement::new(graph, &options).unwrap()
}

fn ranges(placement: &Placement, signals: &Signals) -> larun_passes::Calibration {
    let mut calibrator = Calibrator::new(placement.simplified()).unwrap();
    let samples = signals.train.iter().take(60);
    calibrator
        .observe(samples.map(|&index| vec![signals.sample(index)]))
        .unwrap();
    calibrator.finish().unwrap()
}

/// The outputs of a quantised model, in real numbers, for some samples.
fn run_integers(graph: &Graph, signals: &Signals, samples: &[usize]) -> Vec<f32> {
    let model = AlignedBytes::copy_of(&larun_tflite::write(graph).unwrap());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = Interpreter::new(&model, kernels::ALL, &mut arena).unwrap();
    let of = |info: &larun_micro::TensorInfo<'_>| {
        let (scale, zero_point) = info.scale_and_zero_point().unwrap();
        larun_quant::Affine::new(scale, zero_point)
    };
    let (input, output) = (
        interpreter.input_info(0).unwrap(),
        interpreter.output_info(0).unwrap(),
    );
    let (from, to) = (of(&input), of(&output));
    let wide = input.element_type == larun_micro::ElementType::Int16;
    let mut outputs = Vec::new();
    for &index in samples {
        let x = signals.sample(index).iter();
        if wide {
            let x: Vec<i16> = x.map(|&x| from.quantize_i16(x)).collect();
            interpreter.set_input(0, &x).unwrap();
        } else {
            let x: Vec<i8> = x.map(|&x| from.quantize_i8(x)).collect();
            interpreter.set_input(0, &x).unwrap();
        }
        interpreter.invoke().unwrap();
        if wide {
            let y = interpreter.output::<i16>(0).unwrap();
            outputs.extend(y.iter().map(|&y| to.dequantize(y)));
        } else {
            let y = interpreter.output::<i8>(0).unwrap();
            outputs.extend(y.iter().map(|&y| to.dequantize(y)));
        }
    }
    outputs
}

fn greatest(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

fn agreement(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let alike = a.chunks(3).zip(b.chunks(3));
    let alike = alike.filter(|(a, b)| greatest(a) == greatest(b)).count();
    alike as f64 / (a.len() / 3) as f64
}

/// Each type, with ranges and scales found in each way: the integer model gives the classes that the training's arithmetic gave, and
/// is as good as the float network.
#[test]
fn integers_agree_with_their_training() {
    let signals = signals(400);
    let graph = trained(&signals);
    let all: Vec<usize> = (0..400).collect();
    for (scheme, qat) in [
        (Scheme::Int8, QatConfig::default()),
        (
            Scheme::Int8,
            QatConfig {
                activations: ActivationRanges::Pact {
                    decay: 0.99,
                    penalty: 1e-4,
                },
                weights: WeightScales::Learned,
            },
        ),
        (Scheme::Int4, QatConfig::default()),
        (Scheme::Int16x8, QatConfig::default()),
    ] {
        let placement = placement(&graph, scheme);
        let ranges = ranges(&placement, &signals);
        let short = TrainConfig {
            learning_rate: 1e-3,
            ..config(3)
        };
        let mut trainer =
            Trainer::quantization_aware(&graph, signals.data(), short, &placement, &ranges, qat)
                .unwrap();
        let outcome = trainer.run(&mut ()).unwrap();
        let best = outcome.best.unwrap().validation;
        assert!(best.accuracy > 0.9, "{scheme}: {best:?}");
        let (_, quantized) = trainer.convert().unwrap();
        let expected = trainer.outputs_of_best(&all).unwrap();
        let found = run_integers(&quantized.graph, &signals, &all);
        let agreement = agreement(&expected, &found);
        assert!(agreement >= 0.995, "{scheme} {qat:?}: {agreement}");
        // Not only the classes: most probabilities are the same integer.
        let step = match scheme {
            Scheme::Int16x8 => 0.01,
            _ => 0.05,
        };
        let near = expected
            .iter()
            .zip(&found)
            .filter(|(a, b)| (*a - *b).abs() <= step);
        assert!(
            near.count() >= expected.len() * 97 / 100,
            "{scheme} {qat:?}"
        );
    }
}

/// Values become integers where the converter makes them integers, and nowhere else.
#[test]
fn placement_is_the_converters() {
    let graph = network();
    let placement = placement(&graph, Scheme::Int8);
    // Input, after each activation, pool, average, the hidden layer, the scores, the probabilities.
    let homes = placement
        .values()
        .iter()
        .filter(|value| value.is_home)
        .count();
    assert_eq!(homes, 9);
    // Three convolutions and two dense layers.
    assert_eq!(placement.weights().len(), 5);
    let names: Vec<&str> = placement
        .weights()
        .iter()
        .map(|w| {
            graph
                .main()
                .unwrap()
                .tensor(w.tensor)
                .unwrap()
                .name
                .as_str()
        })
        .collect();
    assert!(names[0].ends_with("conv/weights"), "{names:?}");
    let signals = signals(40);
    let ranges = ranges(&placement, &signals);
    let executor =
        Executor::quantization_aware(&graph, &placement, &ranges, QatConfig::default()).unwrap();
    let learnt = executor
        .parameters()
        .iter()
        .filter(|p| p.kind() != ParameterKind::Constant);
    assert_eq!(learnt.count(), 0);
    let plain = Executor::new(&graph).unwrap();
    assert_eq!(executor.parameters().len(), plain.parameters().len());
}

/// What comes out of the fake-quantised network lies on the grid of its integers.
#[test]
fn outputs_lie_on_the_grid() {
    let (graph, signals) = (network(), signals(40));
    let placement = placement(&graph, Scheme::Int8);
    let ranges = ranges(&placement, &signals);
    let mut executor =
        Executor::quantization_aware(&graph, &placement, &ranges, QatConfig::default()).unwrap();
    executor
        .forward(2, &[&signals.x[..2 * WIDTH]], Mode::Inference)
        .unwrap();
    let output = executor.output(0).unwrap();
    // SOFTMAX has the fixed scale 1/256.
    assert!(
        output.iter().all(|y| (y * 256.0).fract() == 0.0),
        "{output:?}"
    );
}

/// A training for integers that was interrupted gives the same bytes, ranges and learnt scales included.
#[test]
fn resumed_training_gives_the_same_model() {
    let signals = signals(120);
    let graph = network();
    let placement = placement(&graph, Scheme::Int4);
    let ranges = ranges(&placement, &signals);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint");
    let config = TrainConfig {
        checkpoint: Some(CheckpointConfig {
            path: path.clone(),
            every: Some(1),
        }),
        ..config(2)
    };
    let trainer = || {
        let qat = QatConfig::default();
        let data = signals.data();
        Trainer::quantization_aware(&graph, data, config.clone(), &placement, &ranges, qat).unwrap()
    };
    let mut whole = trainer();
    whole.run(&mut ()).unwrap();
    let expected = larun_tflite::write(&whole.convert().unwrap().1.graph).unwrap();
    for stop in [2, 8] {
        let mut stopped = trainer();
        stopped.run(&mut StopAfter(stop)).unwrap();
        let mut resumed = trainer();
        resumed.resume(&path).unwrap();
        resumed.run(&mut ()).unwrap();
        let found = larun_tflite::write(&resumed.convert().unwrap().1.graph).unwrap();
        assert!(found == expected, "after {stop} steps");
    }
}

struct StopAfter(usize);

impl larun_train::Observer for StopAfter {
    fn batch_finished(&mut self, _: larun_train::BatchEvent<'_>) -> core::ops::ControlFlow<()> {
        self.0 -= 1;
        match self.0 {
            0 => core::ops::ControlFlow::Break(()),
            _ => core::ops::ControlFlow::Continue(()),
        }
    }
}
