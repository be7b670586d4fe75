//! Callbacks: what they change, how they combine, and that a training with them resumes to the same bytes.

#[allow(dead_code, reason = "not every test needs every layer")]
mod networks;

use core::ops::ControlFlow;
use std::path::Path;

use larun_graph::ops::Activation;
use larun_graph::{Graph, TensorId};
use larun_train::{
    Batch, BatchEvent, Callback, CheckpointConfig, Observer, OptimizerConfig, Outcome, Schedule,
    Seeds, Step, TrainConfig, TrainError, Trainer, TrainingData, initialise,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const WIDTH: usize = 32;
const SAMPLES: usize = 40;

fn network() -> Graph {
    let net = networks::Net::new(WIDTH).unwrap().conv(4, 5).unwrap();
    let net = net.norm_relu().unwrap().average().unwrap();
    let mut graph = net.dense(2, Activation::None).unwrap().softmax().unwrap();
    initialise(&mut graph, 3).unwrap();
    graph
}

struct Samples {
    x: Vec<f32>,
    y: Vec<u32>,
    train: Vec<usize>,
    validation: Vec<usize>,
}

fn samples() -> Samples {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let y: Vec<u32> = (0..SAMPLES as u32).map(|i| i % 2).collect();
    let x = y
        .iter()
        .flat_map(|&class| {
            let noise: Vec<f32> = (0..WIDTH).map(|_| rng.random::<f32>() - 0.5).collect();
            noise
                .into_iter()
                .enumerate()
                .map(move |(i, noise)| match class {
                    1 if i % 4 == 0 => 1.0 + noise,
                    _ => noise,
                })
        })
        .collect();
    Samples {
        x,
        y,
        train: (0..30).collect(),
        validation: (30..SAMPLES).collect(),
    }
}

impl Samples {
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

fn config() -> TrainConfig {
    TrainConfig {
        epochs: 4,
        batch_size: 8,
        ..TrainConfig::default()
    }
}

/// Prunes one weight more in every step and keeps all pruned ones at nought.
#[derive(Debug, Default)]
struct Pruning {
    pruned: Vec<f32>,
}

impl Callback for Pruning {
    fn name(&self) -> &'static str {
        "pruning"
    }

    fn after_step(&mut self, step: &Step<'_>) -> Result<(), TrainError> {
        let weights = &step.parameters[0];
        self.pruned.resize(weights.len(), 1.0);
        if let Some(slot) = self.pruned.get_mut(step.step as usize) {
            *slot = 0.0;
        }
        weights.update(|values| {
            values
                .iter_mut()
                .zip(&self.pruned)
                .for_each(|(w, m)| *w *= m);
        })
    }

    fn is_settled(&self) -> bool {
        self.pruned.iter().filter(|&&mask| mask == 0.0).count() >= 10
    }

    fn state(&self) -> Vec<Vec<f32>> {
        vec![self.pruned.clone()]
    }

    fn restore(&mut self, mut state: Vec<Vec<f32>>) -> Result<(), String> {
        self.pruned = state.pop().ok_or("no mask")?;
        Ok(())
    }
}

/// Pulls the logits towards a constant, with a memory of what it saw.
#[derive(Debug)]
struct Pull {
    to: f32,
    seen: f32,
}

impl Callback for Pull {
    fn name(&self) -> &'static str {
        "pull"
    }

    fn settings(&self) -> String {
        self.to.to_string()
    }

    fn task_weight(&self) -> f32 {
        0.5
    }

    fn loss(&mut self, batch: &Batch<'_>, seeds: &mut Seeds) -> Result<f32, TrainError> {
        let logits = batch.executor.value(batch.logits).unwrap();
        assert_eq!(batch.labels.len(), batch.samples.len());
        assert_eq!(batch.inputs.len(), batch.samples.len() * WIDTH);
        // A memory that changes the result, so that it must be in the checkpoint.
        self.seen = 0.9 * self.seen + 0.1 * logits[0];
        let target = self.to + self.seen;
        let gradient = logits
            .iter()
            .map(|x| 2.0 * (x - target) / logits.len() as f32);
        seeds.add(batch.logits, gradient.collect());
        let loss = logits
            .iter()
            .map(|x| (x - target) * (x - target))
            .sum::<f32>();
        Ok(loss / logits.len() as f32)
    }

    fn state(&self) -> Vec<Vec<f32>> {
        vec![vec![self.seen]]
    }

    fn restore(&mut self, state: Vec<Vec<f32>>) -> Result<(), String> {
        self.seen = state[0][0];
        Ok(())
    }
}

fn run(pruning: &mut Pruning, config: TrainConfig, resume: Option<&Path>, stop: usize) -> Outcome {
    let samples = samples();
    let mut trainer = Trainer::new(&network(), samples.data(), config).unwrap();
    trainer.add_callback(Box::new(Pull { to: 0.3, seen: 0.0 }));
    trainer.add_callback(Box::new(&mut *pruning));
    if let Some(path) = resume {
        trainer.resume(path).unwrap();
    }
    trainer.run(&mut StopAfter(stop)).unwrap()
}

struct StopAfter(usize);

impl Observer for StopAfter {
    fn batch_finished(&mut self, _event: BatchEvent<'_>) -> ControlFlow<()> {
        self.0 -= 1;
        match self.0 {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[test]
fn callbacks_combine_and_settle() {
    let mut pruning = Pruning::default();
    let outcome = run(&mut pruning, config(), None, usize::MAX);
    // Ten weights are pruned in the third epoch of four batches: no epoch before it can be the best.
    assert!(outcome.best.unwrap().epoch >= 3);
    let weights = outcome.graph.values::<f32>(TensorId(1)).unwrap();
    let zeros = weights.iter().filter(|&&w| w == 0.0).count();
    assert!(zeros >= 10, "{weights:?}");
    assert!(zeros < weights.len());
}

#[test]
fn a_resumed_training_with_callbacks_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint");
    for optimizer in [
        OptimizerConfig::sgd(),
        OptimizerConfig::adam_w(),
        OptimizerConfig::default(),
    ] {
        let config = TrainConfig {
            optimizer,
            schedule: Schedule::Exponential { decay: 0.8 },
            warmup_steps: 3,
            label_smoothing: 0.1,
            class_weights: vec![1.0, 1.5],
            checkpoint: Some(CheckpointConfig {
                path: path.clone(),
                every: Some(1),
            }),
            ..config()
        };
        let whole = run(&mut Pruning::default(), config.clone(), None, usize::MAX);
        for stop in [1, 4, 7, 13] {
            run(&mut Pruning::default(), config.clone(), None, stop);
            let mut pruning = Pruning::default();
            let resumed = run(&mut pruning, config.clone(), Some(&path), usize::MAX);
            assert_eq!(resumed.graph, whole.graph, "{optimizer:?} after {stop}");
            assert_eq!(resumed.history, whole.history);
        }
    }
}

#[test]
fn a_checkpoint_belongs_to_its_callbacks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint");
    let config = TrainConfig {
        checkpoint: Some(CheckpointConfig {
            path: path.clone(),
            every: None,
        }),
        ..config()
    };
    run(&mut Pruning::default(), config.clone(), None, usize::MAX);
    let samples = samples();
    let mut trainer = Trainer::new(&network(), samples.data(), config).unwrap();
    trainer.add_callback(Box::new(Pull { to: 0.4, seen: 0.0 }));
    trainer.add_callback(Box::new(Pruning::default()));
    let error = trainer.resume(&path).unwrap_err().to_string();
    assert!(error.contains("the list of callbacks"), "{error}");
}
