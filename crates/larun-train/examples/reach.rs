//! Trains the spectral network on labelled light curves and prints accuracy and time.
//!
//! `cargo run --release -p larun-train --example reach -- FILE.npz [seeds=3] [scale=1] [epochs=60] [rate=0.01]
//! [batch=64] [patience=15] [schedule=cosine|plateau|constant] [roll=0] [reverse=0] [measured=32] [verbose=0]`
//!
//! The file has `x` (samples, length, 1), `y` and `split` (0 train, 1 validation, 2 test).

#[path = "../tests/networks/mod.rs"]
mod networks;

use core::error::Error;
use core::str::FromStr;
use std::fs::File;
use std::io::BufReader;
use std::time::Instant;

use larun_train::{
    Augmentation, EpochMetrics, Observer, Schedule, TrainConfig, Trainer, TrainingData, evaluate,
    initialise,
};
use zip::ZipArchive;

struct DataSet {
    x: Vec<f32>,
    sample_len: usize,
    y: Vec<u32>,
    splits: [Vec<usize>; 3],
}

fn array<T: npyz::Deserialize>(
    archive: &mut ZipArchive<File>,
    name: &str,
) -> Result<Vec<T>, Box<dyn Error>> {
    let file = BufReader::new(archive.by_name(&format!("{name}.npy"))?);
    Ok(npyz::NpyFile::new(file)?.into_vec()?)
}

fn read(path: &str, scale: f32) -> Result<DataSet, Box<dyn Error>> {
    let mut archive = ZipArchive::new(File::open(path)?)?;
    let y: Vec<u32> = array::<u8>(&mut archive, "y")?
        .into_iter()
        .map(u32::from)
        .collect();
    let split = array::<u8>(&mut archive, "split")?;
    let x: Vec<f32> = array::<f32>(&mut archive, "x")?
        .into_iter()
        .map(|x| x * scale)
        .collect();
    let of = |which: u8| (0..split.len()).filter(|&i| split[i] == which).collect();
    Ok(DataSet {
        sample_len: x.len() / y.len().max(1),
        x,
        y,
        splits: [of(0), of(1), of(2)],
    })
}

/// Notes how long each epoch took.
struct Clock {
    started: Instant,
    seconds: Vec<f64>,
    verbose: bool,
}

impl Observer for Clock {
    fn epoch_started(&mut self, _epoch: usize, _epochs: usize, _batches: usize) {
        self.started = Instant::now();
    }

    fn epoch_finished(&mut self, metrics: &EpochMetrics, is_best: bool) {
        self.seconds.push(self.started.elapsed().as_secs_f64());
        if self.verbose {
            let (train, validation) = (metrics.train, metrics.validation);
            println!(
                "  {:3} {:.5}  train {:.4} {:.2} %  validation {:.4} {:.2} % {}",
                metrics.epoch,
                metrics.learning_rate,
                train.loss,
                100.0 * train.accuracy,
                validation.loss,
                100.0 * validation.accuracy,
                if is_best { "*" } else { "" }
            );
        }
    }
}

/// The value of `name=value` among the arguments.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let prefix = format!("{name}=");
    let given = std::env::args().find_map(|arg| arg.strip_prefix(&prefix)?.parse().ok());
    given.unwrap_or(default)
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("which .npz file?")?;
    let set = read(&path, option("scale", 1.0))?;
    let classes = set.y.iter().max().map_or(0, |&y| y as usize + 1);
    let [train, validation, test] = &set.splits;
    println!(
        "{} train, {} validation, {} test, {classes} classes",
        train.len(),
        validation.len(),
        test.len()
    );
    let data = TrainingData {
        x: &set.x,
        sample_len: set.sample_len,
        y: &set.y,
        train,
        validation,
        ..TrainingData::default()
    };
    let rate = option("rate", TrainConfig::default().learning_rate);
    let schedule = match option("schedule", "cosine".to_owned()).as_str() {
        "constant" => Schedule::Constant,
        "plateau" => Schedule::Plateau {
            factor: 0.5,
            patience: 5,
            least: 1e-5,
        },
        _ => Schedule::default(),
    };
    let mut accuracies = Vec::new();
    for seed in 0..option("seeds", 3) {
        let mut graph = networks::spectral(set.sample_len, classes)?;
        initialise(&mut graph, seed)?;
        let config = TrainConfig {
            seed,
            epochs: option("epochs", TrainConfig::default().epochs),
            batch_size: option("batch", TrainConfig::default().batch_size),
            learning_rate: rate,
            schedule,
            augmentation: Augmentation {
                roll: option("roll", 0) > 0,
                reverse: option("reverse", 0) > 0,
                ..Augmentation::default()
            },
            measured_batches: option("measured", TrainConfig::default().measured_batches),
            patience: Some(option(
                "patience",
                TrainConfig::default().patience.unwrap_or(15),
            )),
            ..TrainConfig::default()
        };
        let mut clock = Clock {
            started: Instant::now(),
            seconds: Vec::new(),
            verbose: option("verbose", 0) > 0,
        };
        let begin = Instant::now();
        let outcome = Trainer::new(&graph, data, config)?.run(&mut clock)?;
        let total = begin.elapsed().as_secs_f64();
        let (scores, _) = evaluate(&outcome.graph, &data, test)?;
        let least = clock.seconds.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "seed {seed}: test {:.2} %, macro F1 {:.4}, validation {:.2} %, best epoch {} of {}, {total:.1} s, shortest epoch {least:.3} s",
            100.0 * scores.accuracy,
            scores.macro_f1,
            100.0 * outcome.best.map_or(0.0, |best| best.validation.accuracy),
            outcome.best.map_or(0, |best| best.epoch),
            outcome.history.len(),
        );
        accuracies.push(scores.accuracy);
    }
    let mean = accuracies.iter().sum::<f64>() / accuracies.len().max(1) as f64;
    println!("mean test accuracy {:.2} %", 100.0 * mean);
    Ok(())
}
