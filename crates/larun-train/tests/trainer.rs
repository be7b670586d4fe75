//! The loop: it learns, gives the same bytes again, stops and resumes, and refuses what it cannot train on.

mod networks;

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};

use larun_graph::Graph;
use larun_graph::ops::Activation;
use larun_train::{
    BatchEvent, CheckpointConfig, EpochMetrics, Monitor, Observer, Outcome, Schedule, Stop,
    TrainConfig, TrainError, Trainer, TrainingData, evaluate, initialise,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const WIDTH: usize = 64;

/// Noise with a bump, a step or nothing in it.
struct Signals {
    x: Vec<f32>,
    y: Vec<u32>,
    train: Vec<usize>,
    validation: Vec<usize>,
}

impl Signals {
    fn new(count: usize) -> Self {
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
        Self {
            x,
            y,
            train: (0..count * 3 / 4).collect(),
            validation: (count * 3 / 4..count).collect(),
        }
    }

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
}

fn network() -> Graph {
    let net = networks::Net::new(WIDTH).unwrap();
    let net = net
        .conv(4, 5)
        .unwrap()
        .norm_relu()
        .unwrap()
        .pool(4)
        .unwrap();
    let net = net
        .depthwise(3)
        .unwrap()
        .conv(6, 1)
        .unwrap()
        .norm_relu()
        .unwrap()
        .average()
        .unwrap();
    let mut graph = net.dense(3, Activation::None).unwrap().softmax().unwrap();
    initialise(&mut graph, 3).unwrap();
    graph
}

fn config() -> TrainConfig {
    TrainConfig {
        epochs: 6,
        batch_size: 16,
        learning_rate: 0.01,
        ..TrainConfig::default()
    }
}

fn train(config: TrainConfig) -> Outcome {
    let signals = Signals::new(120);
    Trainer::new(&network(), signals.data(), config)
        .unwrap()
        .run(&mut ())
        .unwrap()
}

/// Breaks after a number of steps.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn batch_finished(&mut self, _event: BatchEvent<'_>) -> ControlFlow<()> {
        self.0 -= 1;
        if self.0 == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[test]
fn it_learns() {
    let signals = Signals::new(120);
    let outcome = train(TrainConfig {
        epochs: 30,
        ..config()
    });
    let best = outcome.best.unwrap();
    assert!(best.validation.accuracy > 0.85, "{best:?}");
    assert!(best.validation.macro_f1 > 0.85, "{best:?}");
    assert!(outcome.history.len() > 5);
    // The graph holds the weights of the best epoch.
    let (scores, confusion) =
        evaluate(&outcome.graph, &signals.data(), &signals.validation).unwrap();
    assert_eq!(scores, best.validation);
    assert_eq!(confusion.total(), 30);
}

#[test]
fn same_bytes_at_any_thread_count() {
    let signals = Signals::new(120);
    let mut graph = networks::spectral(WIDTH, 3).unwrap();
    initialise(&mut graph, 3).unwrap();
    let with_seed = |seed: u64| {
        let config = TrainConfig { seed, ..config() };
        Trainer::new(&graph, signals.data(), config)
            .unwrap()
            .run(&mut ())
            .unwrap()
    };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| with_seed(0))
    };
    let (one, two) = (on(1), on(2));
    assert_eq!(one.graph, two.graph);
    assert_eq!(one.history, two.history);
    assert_ne!(one.graph, with_seed(1).graph);
}

fn with_checkpoint(path: &Path, every: Option<usize>) -> TrainConfig {
    TrainConfig {
        checkpoint: Some(CheckpointConfig {
            path: path.to_owned(),
            every,
        }),
        ..config()
    }
}

fn temporary() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("training.safetensors");
    (directory, path)
}

/// A training killed between two checkpoints goes on from the last one, as if nothing had happened.
#[test]
fn resumed_training_gives_the_same_bytes() {
    let signals = Signals::new(120);
    let graph = network();
    let plateau = Schedule::Plateau {
        factor: 0.5,
        patience: 1,
        least: 1e-4,
    };
    for (schedule, weight_average) in [
        (Schedule::default(), 0.0),
        (plateau, 0.0),
        (Schedule::default(), 0.9),
    ] {
        let whole = train(TrainConfig {
            schedule,
            weight_average,
            ..config()
        });
        for steps in [1, 6, 7, 9, 13, 29] {
            let (_directory, path) = temporary();
            let config = TrainConfig {
                schedule,
                weight_average,
                ..with_checkpoint(&path, Some(3))
            };
            let mut killed = Trainer::new(&graph, signals.data(), config.clone()).unwrap();
            killed.run(&mut Poison(steps)).ok();
            let mut resumed = Trainer::new(&graph, signals.data(), config).unwrap();
            if path.exists() {
                resumed.resume(&path).unwrap();
            }
            let outcome = resumed.run(&mut ()).unwrap();
            assert_eq!(outcome.graph, whole.graph, "{steps} steps");
            assert_eq!(outcome.history, whole.history, "{steps} steps");
        }
    }
}

/// Averages the weights after each step by itself.
struct Averaging {
    kept: f32,
    steps: f32,
    average: Vec<(String, Vec<f32>)>,
}

impl Observer for Averaging {
    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        self.steps += 1.0;
        let kept = self.kept.min((1.0 + self.steps) / (10.0 + self.steps));
        let parameters = event.executor.parameters();
        let values = parameters.iter().map(|p| (p.name().to_owned(), p.values()));
        let values: Vec<_> = values.collect();
        if self.average.is_empty() {
            self.average = values;
            return ControlFlow::Continue(());
        }
        for ((_, average), (_, values)) in self.average.iter_mut().zip(values) {
            let pairs = average.iter_mut().zip(values);
            pairs.for_each(|(average, value)| *average += (1.0 - kept) * (value - *average));
        }
        ControlFlow::Continue(())
    }
}

/// What the training gives, and judges epochs by, is the average of the weights after each step; the steps themselves are those of a
/// training without an average.
#[test]
fn the_average_of_the_weights_is_what_comes_out() {
    let signals = Signals::new(120);
    let config = TrainConfig {
        epochs: 1,
        weight_average: 0.7,
        ..config()
    };
    let mut trainer = Trainer::new(&network(), signals.data(), config.clone()).unwrap();
    let mut own = Averaging {
        kept: 0.7,
        steps: 0.0,
        average: Vec::new(),
    };
    let outcome = trainer.run(&mut own).unwrap();
    assert!(!own.average.is_empty());
    for (name, average) in &own.average {
        let tensors = &outcome.graph.subgraphs[0].tensors;
        let index = tensors.iter().position(|t| &t.name == name).unwrap();
        let id = larun_graph::TensorId(index.try_into().unwrap());
        let found = outcome.graph.values::<f32>(id).unwrap();
        for (found, expected) in found.iter().zip(average) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{name}: {found} {expected}"
            );
        }
    }
    let data = signals.data();
    let (scores, _) = evaluate(&outcome.graph, &data, &signals.validation).unwrap();
    assert!((scores.loss - outcome.best.unwrap().validation.loss).abs() < 1e-5);
    let plain = TrainConfig {
        weight_average: 0.0,
        ..config
    };
    let plain = Trainer::new(&network(), signals.data(), plain)
        .unwrap()
        .run(&mut ())
        .unwrap();
    assert_eq!(plain.history[0].train, outcome.history[0].train);
    assert_ne!(plain.graph, outcome.graph);
}

/// Makes the training fail after a number of steps, without a checkpoint of the place where it stood.
struct Poison(usize);

impl Observer for Poison {
    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        self.0 -= 1;
        if self.0 == 0 {
            for parameter in event.executor.parameters() {
                parameter.update(|values| values.fill(f32::NAN)).unwrap();
            }
            self.0 = usize::MAX;
        }
        ControlFlow::Continue(())
    }
}

/// An interrupted training writes where it stood, goes on when run again, and after a finished one there is
/// nothing left to do.
#[test]
fn interrupted_and_finished_trainings() {
    let signals = Signals::new(120);
    let graph = network();
    let whole = train(config());
    let (_directory, path) = temporary();
    let config = with_checkpoint(&path, None);
    let mut trainer = Trainer::new(&graph, signals.data(), config.clone()).unwrap();
    assert_eq!(
        trainer.run(&mut StopAfter(8)).unwrap().stop,
        Stop::Interrupted
    );
    assert_eq!(trainer.epochs_done(), 1);

    let mut resumed = Trainer::new(&graph, signals.data(), config.clone()).unwrap();
    resumed.resume(&path).unwrap();
    assert_eq!(resumed.run(&mut ()).unwrap().graph, whole.graph);
    assert_eq!(trainer.run(&mut ()).unwrap().graph, whole.graph);

    let mut finished = Trainer::new(&graph, signals.data(), config).unwrap();
    finished.resume(&path).unwrap();
    let outcome = finished.run(&mut StopAfter(1)).unwrap();
    assert_eq!(outcome.stop, whole.stop);
    assert_eq!((outcome.graph, outcome.best), (whole.graph, whole.best));
}

/// Two runs write the same checkpoint, and only the checkpoint.
#[test]
fn checkpoints_are_reproducible() {
    let signals = Signals::new(120);
    let write = || {
        let (directory, path) = temporary();
        let config = with_checkpoint(&path, Some(2));
        Trainer::new(&network(), signals.data(), config)
            .unwrap()
            .run(&mut ())
            .unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        std::fs::read(&path).unwrap()
    };
    assert_eq!(write(), write());
}

#[test]
fn foreign_checkpoints_are_refused() {
    let signals = Signals::new(120);
    let other = Signals::new(123);
    let graph = network();
    let (directory, path) = temporary();
    Trainer::new(&graph, signals.data(), with_checkpoint(&path, None))
        .unwrap()
        .run(&mut ())
        .unwrap();
    let refused = |graph: &Graph, data: TrainingData<'_>, config: TrainConfig, path: &Path| {
        Trainer::new(graph, data, config)
            .unwrap()
            .resume(path)
            .unwrap_err()
            .to_string()
    };
    let mut redrawn = graph.clone();
    initialise(&mut redrawn, 9).unwrap();
    assert!(refused(&redrawn, signals.data(), config(), &path).contains("the graph differs"));
    assert!(
        refused(&graph, other.data(), config(), &path).contains("the data or its split differs")
    );
    let longer = TrainConfig {
        epochs: 7,
        ..config()
    };
    assert!(refused(&graph, signals.data(), longer, &path).contains("the configuration differs"));

    let bytes = std::fs::read(&path).unwrap();
    let damaged = directory.path().join("damaged");
    for length in [0, 4, 100, bytes.len() - 1] {
        std::fs::write(&damaged, &bytes[..length]).unwrap();
        assert!(
            refused(&graph, signals.data(), config(), &damaged).contains("damaged"),
            "{length}"
        );
    }
    let missing = refused(&graph, signals.data(), config(), Path::new("no such file"));
    assert!(missing.starts_with("no such file:"), "{missing}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to a checkpoint on disk, reading it gives a training or an error.
    #[test]
    fn damaged_checkpoints_never_panic(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        use std::sync::OnceLock;
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let signals = Signals::new(12);
        let graph = network();
        let bytes = BYTES.get_or_init(|| {
            let (_directory, path) = temporary();
            Trainer::new(&graph, signals.data(), with_checkpoint(&path, None)).unwrap().run(&mut ()).unwrap();
            std::fs::read(&path).unwrap()
        });
        // The header, where all the structure is.
        let header = bytes.len().min(6000);
        let mut damaged = bytes.clone();
        damaged[at.index(header)] = with;
        let (_directory, path) = temporary();
        std::fs::write(&path, damaged).unwrap();
        let mut trainer = Trainer::new(&graph, signals.data(), config()).unwrap();
        if trainer.resume(&path).is_ok() {
            trainer.run(&mut ()).ok();
        }
    }
}

/// Early stopping keeps the best epoch and its weights.
#[test]
fn early_stopping() {
    let signals = Signals::new(120);
    let config = TrainConfig {
        epochs: 200,
        learning_rate: 0.05,
        schedule: Schedule::Constant,
        patience: Some(3),
        monitor: Monitor::Accuracy,
        ..config()
    };
    let outcome = train(config);
    assert_eq!(outcome.stop, Stop::Early);
    let best = outcome.best.unwrap();
    assert_eq!(outcome.history.len(), best.epoch + 3);
    let greatest = outcome
        .history
        .iter()
        .map(|m| m.validation.accuracy)
        .fold(0.0, f64::max);
    assert_eq!(best.validation.accuracy, greatest);
    let (scores, _) = evaluate(&outcome.graph, &signals.data(), &signals.validation).unwrap();
    assert_eq!(scores, best.validation);
}

/// What observers see.
#[derive(Default)]
struct Log {
    epochs: Vec<usize>,
    steps: usize,
    rates: Vec<f32>,
    checkpoints: usize,
}

impl Observer for Log {
    fn epoch_started(&mut self, epoch: usize, epochs: usize, batches: usize) {
        assert_eq!((epochs, batches), (6, 6));
        self.epochs.push(epoch);
    }

    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        self.steps += 1;
        assert_eq!(self.steps, (event.epoch - 1) * event.batches + event.batch);
        ControlFlow::Continue(())
    }

    fn epoch_finished(&mut self, metrics: &EpochMetrics, _is_best: bool) {
        self.rates.push(metrics.learning_rate);
    }

    fn checkpoint_written(&mut self, path: &Path) {
        assert!(path.exists());
        self.checkpoints += 1;
    }
}

#[test]
fn observers_see_every_step() {
    let signals = Signals::new(120);
    let (_directory, path) = temporary();
    let mut log = Log::default();
    let config = with_checkpoint(&path, Some(4));
    Trainer::new(&network(), signals.data(), config)
        .unwrap()
        .run(&mut log)
        .unwrap();
    assert_eq!(log.epochs, [1, 2, 3, 4, 5, 6]);
    assert_eq!(log.steps, 36);
    assert_eq!(log.checkpoints, 12);
    assert!(log.rates.windows(2).all(|pair| pair[1] < pair[0]));
}

#[test]
fn divergence_names_epoch_batch_and_node() {
    let signals = Signals::new(120);
    let mut trainer = Trainer::new(&network(), signals.data(), config()).unwrap();
    let error = trainer.run(&mut Poison(8)).unwrap_err();
    let message = error.to_string();
    assert!(
        matches!(
            error,
            TrainError::Diverged {
                epoch: 2,
                batch: 3,
                ..
            }
        ),
        "{message}"
    );
    assert!(
        message.contains("operator 0 (CONV_2D, output `1_conv`)"),
        "{message}"
    );
}

#[test]
fn data_that_cannot_be_trained_on() {
    let signals = Signals::new(12);
    let good = signals.data();
    let refused = |data: TrainingData<'_>| {
        let error = Trainer::new(&network(), data, config()).unwrap_err();
        assert!(matches!(error, TrainError::Data(_)), "{error}");
        error.to_string()
    };
    assert!(refused(TrainingData { train: &[], ..good }).contains("the training split is empty"));
    assert!(
        refused(TrainingData {
            validation: &[],
            ..good
        })
        .contains("the validation split is empty")
    );
    assert!(
        refused(TrainingData {
            train: &[0, 12],
            ..good
        })
        .contains("sample 12 of 12")
    );
    assert!(
        refused(TrainingData {
            train: &[0, 3],
            ..good
        })
        .contains("class 0; at least two classes")
    );
    assert!(
        refused(TrainingData {
            sample_len: 32,
            ..good
        })
        .contains("32 values")
    );
    assert!(
        refused(TrainingData {
            x: &signals.x[1..],
            ..good
        })
        .contains("make no 12 samples")
    );
    assert!(
        refused(TrainingData {
            y: &[3; 12],
            ..good
        })
        .contains("class 3")
    );
    let mut x = signals.x.clone();
    x[WIDTH + 5] = f32::NAN;
    assert!(
        refused(TrainingData { x: &x, ..good })
            .contains("sample 1 has the value NaN at position 5")
    );
    // Values outside the splits do not matter.
    assert!(
        Trainer::new(
            &network(),
            TrainingData {
                x: &x,
                train: &[0, 2],
                ..good
            },
            config()
        )
        .is_ok()
    );
}

#[test]
fn settings_out_of_range() {
    let signals = Signals::new(12);
    let refused = |config: TrainConfig| {
        let error = Trainer::new(&network(), signals.data(), config).unwrap_err();
        assert!(matches!(error, TrainError::Config { .. }), "{error}");
    };
    refused(TrainConfig {
        epochs: 0,
        ..config()
    });
    refused(TrainConfig {
        batch_size: 0,
        ..config()
    });
    refused(TrainConfig {
        learning_rate: 0.0,
        ..config()
    });
    refused(TrainConfig {
        learning_rate: f32::NAN,
        ..config()
    });
    refused(TrainConfig {
        weight_average: 1.0,
        ..config()
    });
    refused(TrainConfig {
        schedule: Schedule::Cosine { least: 1.0 },
        ..config()
    });
    refused(TrainConfig {
        schedule: Schedule::Plateau {
            factor: 1.0,
            patience: 1,
            least: 0.0,
        },
        ..config()
    });
}

#[test]
fn graphs_that_are_no_classifiers() {
    let signals = Signals::new(12);
    let net = networks::Net::new(WIDTH).unwrap().average().unwrap();
    let refused = |graph: &Graph| {
        Trainer::new(graph, signals.data(), config())
            .unwrap_err()
            .to_string()
    };
    let one = net.dense(1, Activation::None).unwrap().softmax().unwrap();
    assert!(refused(&one).contains("at least two classes"));
    let net = networks::Net::new(WIDTH).unwrap().conv(2, 3).unwrap();
    assert!(refused(&net.softmax().unwrap()).contains("[1, classes]"));
}
