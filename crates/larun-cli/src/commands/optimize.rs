//! `larun optimize`: the whole pipeline.

use std::ffi::OsString;
use std::path::PathBuf;

use larun::device::{self, Budget, FitReport};
use larun::optimize::{OptimizeRequest, Outcome, QatRequest, Source, optimize};
use larun::passes::{Border, QuantizeOptions};
use larun::report::{OptimizeReport, TrialPoint, quoted};
use larun::train::{QatConfig, TrainConfig};
use larun_search::store::Store;

use super::dense::DenseArgs;
use super::learning::LearningArgs;
use super::print_json;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::render::{bytes, group, pairs, percent, verdict};

/// Train, quantise, validate and write a model for a board
///
/// Trains a network of the zoo on your data (or on simulated light curves), quantises it to INT8, measures both
/// on the test split and writes model.tflite, model_float.tflite, model.h, model.rs, card.yaml, report.json and
/// report.html. Ctrl-C stops after the current step; --resume goes on from there.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true)))]
#[command(after_help = "Examples:
  larun optimize --zoo spectral --device nano33ble -o out
  larun optimize --zoo spectral --data curves.npz --device esp32 --seed 7 -o out
  larun optimize --zoo spectral --data curves.npz --device esp32 --qat -o out
  larun optimize my_float.tflite --data samples.npz --device pico -o out")]
pub(crate) struct Args {
    /// A float .tflite model to quantise, in place of a network of the zoo
    #[arg(group = "source", requires = "data")]
    model: Option<PathBuf>,

    /// A network to train: spectral, galaxy, transit, star, spectral-small, spectral-wide, galaxy-wide, student, galaxy-student, ds-cnn,
    /// resnet8 or mobilenet-v1
    #[arg(long, value_name = "NAME", group = "source")]
    zoo: Option<String>,

    /// Labelled samples: x, y and, if you like, class_names and split (0 train, 1 validation, 2 test); or a .csv with a column label
    #[arg(long, value_name = "F.npz")]
    data: Option<PathBuf>,

    /// The board: its name in `larun fit --list-devices`, or a .toml file
    #[arg(long, value_name = "BOARD")]
    device: String,

    /// The largest file allowed, in KB of 1024 bytes [default: the budget's 100]
    #[arg(long, value_name = "KB", value_parser = positive)]
    target_size_kb: Option<f64>,

    /// The folder to write to; made if missing
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// Seed of everything random: the same seed gives the same file, byte for byte
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Most epochs to train [default: 60 for the zoo, 0 for a model of yours]
    #[arg(long)]
    epochs: Option<usize>,

    #[command(flatten)]
    learning: LearningArgs,

    /// Train on for the integers, with the float network as the teacher of its own INT8 version
    #[arg(long)]
    qat: bool,

    /// Most epochs of --qat
    #[arg(long, value_name = "N", default_value_t = 10)]
    qat_epochs: usize,

    /// Go on from the checkpoint in the output folder
    #[arg(long)]
    resume: bool,

    /// Simulated light curves of each class, where no data are given
    #[arg(long, default_value_t = 1000, value_name = "N")]
    samples_per_class: usize,

    /// Training samples to calibrate with
    #[arg(long, default_value_t = 500, value_name = "N")]
    calibration_samples: usize,

    /// Leave the network as it is where its float file is larger than four times the target
    #[arg(long)]
    no_prune: bool,

    /// Epochs of training after pruning, where it is needed
    #[arg(long, default_value_t = 10, value_name = "EPOCHS")]
    fine_tune: usize,

    #[command(flatten)]
    dense: DenseArgs,

    /// What the model is called in model.h [default: NAME_model]
    #[arg(long)]
    name: Option<String>,

    /// Stores of `larun search`, whose networks the report shows beside this one [default: DIR/trials.jsonl, where it is there]
    #[arg(long, value_name = "TRIALS.jsonl")]
    trials: Vec<PathBuf>,

    /// The licence that card.yaml names
    #[arg(long, default_value = "MIT")]
    license: String,

    /// Threads to train with [default: all cores]; the result does not depend on it
    #[arg(long)]
    threads: Option<usize>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("give a number above 0".to_owned()),
    }
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global()?;
        }
        let (json, quiet) = (self.json, self.quiet);
        let request = self.request()?;
        let mut reporter = Reporter::new(quiet);
        match optimize(&request, &mut reporter)? {
            Outcome::Finished(report) => {
                match json {
                    true => print_json(OptimizeReport::SCHEMA, &report)?,
                    false => print(&request, &report),
                }
                exit(&report)
            }
            Outcome::Interrupted { checkpoint } => Err(Failure::Interrupted(format!(
                "stopped; {} is written: the same command with --resume goes on from there",
                checkpoint.display()
            ))),
        }
    }

    /// The networks of searches that were trained.
    fn trials(&self) -> Result<Vec<TrialPoint>, Failure> {
        let beside = self.output.join("trials.jsonl");
        let stores = match self.trials.as_slice() {
            [] if beside.exists() => core::slice::from_ref(&beside),
            stores => stores,
        };
        let mut points = Vec::new();
        for store in stores {
            let trials = Store::read(store)?;
            points.extend(trials.iter().filter_map(|trial| {
                Some(TrialPoint {
                    name: format!("trial {}: {}", trial.index, trial.architecture),
                    file_bytes: trial.cost.flash_bytes,
                    validation_accuracy: trial.accuracy?,
                })
            }));
        }
        Ok(points)
    }

    fn request(self) -> Result<OptimizeRequest, Failure> {
        let trials = self.trials()?;
        let source = match (self.zoo, self.model) {
            (Some(name), _) => Source::Zoo(name),
            (None, Some(model)) => Source::Model(model),
            (None, None) => return Err(Failure::Error("give a model or --zoo NAME".to_owned())),
        };
        let epochs = match source {
            Source::Zoo(_) => TrainConfig::default().epochs,
            Source::Model(_) => 0,
        };
        let epochs = self.epochs.unwrap_or(epochs);
        let training = self.learning.config(self.seed, epochs, &source)?;
        Ok(OptimizeRequest {
            source,
            data: self.data,
            samples_per_class: self.samples_per_class,
            board: device::find_board(&self.device)?,
            budget: Budget::LARUN,
            target_size_kb: self.target_size_kb,
            training,
            trials,
            command: Some(command_line(std::env::args_os())),
            qat: self.qat.then_some(QatRequest {
                epochs: self.qat_epochs,
                learning_rate: self.learning.learning_rate / 10.0,
                alpha: 0.5,
                temperature: 2.0,
                config: QatConfig::default(),
            }),
            resume: self.resume,
            prune: !self.no_prune,
            fine_tune_epochs: self.fine_tune,
            calibration_samples: self.calibration_samples,
            quantization: QuantizeOptions {
                border: Border::Integer,
                dense: self.dense.weights(),
                ..QuantizeOptions::default()
            },
            name: self.name,
            license: self.license,
            out: self.output,
        })
    }
}

/// The command as a shell reads it, by the name that it has wherever it is installed.
fn command_line(args: impl Iterator<Item = OsString>) -> String {
    let words = args.skip(1).map(|word| quoted(&word.to_string_lossy()));
    let all: Vec<String> = core::iter::once("larun".to_owned()).chain(words).collect();
    all.join(" ")
}

fn print(request: &OptimizeRequest, report: &OptimizeReport) {
    let data = &report.dataset;
    let simulated = if data.simulated { " (simulated)" } else { "" };
    let target = format!(
        "{} ({} of {})",
        verdict(report.target_met, "met", "not met"),
        bytes(report.int8_bytes),
        bytes(report.target_bytes)
    );
    anstream::println!(
        "{}",
        pairs(&[
            (
                "network",
                format!("{}: {}", report.network, report.architecture)
            ),
            (
                "data",
                format!(
                    "{}{simulated}: {} train, {} validation, {} test",
                    data.name, data.train, data.validation, data.test
                )
            ),
            (
                "size",
                format!(
                    "{} float, {} INT8",
                    bytes(report.float_bytes),
                    bytes(report.int8_bytes)
                )
            ),
            (
                "compression",
                format!("{:.2} times", report.compression_ratio)
            ),
            ("pruned", pruned_line(report)),
            ("target size", target),
            (
                "accuracy",
                format!(
                    "{} float, {} INT8",
                    percent(report.float.accuracy),
                    percent(report.int8.accuracy)
                )
            ),
            (
                "macro F1",
                format!(
                    "{} float, {} INT8",
                    percent(report.float.macro_f1),
                    percent(report.int8.macro_f1)
                )
            ),
            (
                "arena",
                format!(
                    "{} ({} for values)",
                    bytes(report.arena_bytes),
                    bytes(report.activation_bytes)
                )
            ),
            (
                "cost",
                format!(
                    "{} parameters, {} MACs",
                    group(report.parameters),
                    group(report.macs)
                )
            ),
            ("board", board_line(&report.fit)),
            (
                "files",
                format!(
                    "{}: report.html has all of this and more",
                    request.out.display()
                )
            ),
        ])
    );
}

fn pruned_line(report: &OptimizeReport) -> String {
    let Some(pruning) = &report.pruning else {
        return "no: the float file is within four times the target".to_owned();
    };
    let what = match pruning.by_channels {
        true => "channels",
        false => "single weights, which makes no dense file smaller",
    };
    format!(
        "{what}: {} to {} parameters, {} to {} MACs",
        group(pruning.parameters_before),
        group(pruning.parameters_after),
        group(pruning.macs_before),
        group(pruning.macs_after)
    )
}

fn board_line(fit: &FitReport) -> String {
    let (board, ms) = (&fit.board.name, fit.latency.milliseconds);
    let verdict = verdict(fit.fits(), "fits", "does not fit");
    format!("{board}: {verdict}, about {ms:.1} ms an inference (estimate)")
}

/// What does not fit is a finding.
fn exit(report: &OptimizeReport) -> Result<(), Failure> {
    match report.exceeded.as_slice() {
        [] => Ok(()),
        exceeded => Err(Failure::Finding(format!(
            "does not fit: {}",
            exceeded.join("; ")
        ))),
    }
}
