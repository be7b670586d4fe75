//! `larun search`: architecture search under the budgets of a board.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use larun::data::dataset::{Dataset, Split};
use larun::device::{self, Budget};
use larun::passes::{fold_constants, simplify};
use larun::train::Augmentation;
use larun::{Model, files, tflite};
use larun_search::pareto::front;
use larun_search::plot::svg;
use larun_search::space::{Architecture, Space};
use larun_search::store::{Store, line};
use larun_search::strategy::{Aim, Strategy, run};
use larun_search::trial::{Setting, Teaching, Trained, Trial};

use super::learning::LearningArgs;
use super::print_json;
use crate::failure::Failure;
use crate::render::{bytes, group, percent, table};

/// Search for the best network that fits a board
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun search run --data curves.npz --device nano33ble --store trials.jsonl
  larun search trial --data curves.npz --device nano33ble --index 17 >> trials.jsonl
  larun search show trials.jsonl --svg front.svg")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Run(RunArgs),
    Trial(TrialArgs),
    Show(ShowArgs),
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(args) => args.run(),
            Command::Trial(args) => args.run(),
            Command::Show(args) => args.run(),
        }
    }
}

/// What all trials of a search share.
#[derive(clap::Args)]
struct SettingArgs {
    /// Labelled samples: train and validation are used, test never
    #[arg(long, value_name = "F.npz")]
    data: PathBuf,

    /// The board: nano33ble, esp32, pico, stm32f4 or pizero
    #[arg(long, value_name = "BOARD")]
    device: String,

    /// The space of networks, a JSON file; what it leaves out is as by default [default: layers 2-4, filters 8-32, kernels 3-11, pools of
    /// 2 or 4, dense 8-32, separable or not]
    #[arg(long, value_name = "SPACE.json")]
    space: Option<PathBuf>,

    /// The largest INT8 file, in KB of 1024 bytes [default: 100]
    #[arg(long, value_name = "KB")]
    max_flash_kb: Option<f64>,

    /// The largest arena, in KB [default: 50]
    #[arg(long, value_name = "KB")]
    max_arena_kb: Option<f64>,

    /// The most multiply-accumulates [default: 10 million]
    #[arg(long, value_name = "N")]
    max_macs: Option<u64>,

    /// The most milliseconds of an inference, an estimate [default: 10]
    #[arg(long, value_name = "MS")]
    max_ms: Option<f64>,

    /// Float models that every trial learns from, beside the labels
    #[arg(long, value_name = "T.tflite", value_delimiter = ',')]
    teacher: Vec<PathBuf>,

    /// How much a teacher's answers are softened
    #[arg(long, default_value_t = 4.0)]
    temperature: f32,

    /// The share of the labels in the loss, the rest is the teacher's
    #[arg(long, default_value_t = 0.1)]
    alpha: f32,

    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Epochs of a trial
    #[arg(long, default_value_t = 5)]
    epochs: usize,

    #[command(flatten)]
    learning: LearningArgs,

    /// Threads [default: all cores]; the result does not depend on it
    #[arg(long)]
    threads: Option<usize>,
}

/// Try many networks, in parallel, and show those that no other beats
///
/// Ctrl-C stops the search; the same command goes on from its store.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun search run --data curves.npz --device nano33ble --trials 40 --store trials.jsonl --svg front.svg
  larun search run --data curves.npz --device pico --strategy halving --trials 27 --epochs 27 --store halving.jsonl")]
struct RunArgs {
    #[command(flatten)]
    setting: SettingArgs,

    /// How networks are chosen
    #[arg(long, value_enum, default_value = "evolution")]
    strategy: StrategyName,

    /// Networks to try; of halving, in the first round
    #[arg(long, default_value_t = 40)]
    trials: u64,

    /// Networks of a generation
    #[arg(long, default_value_t = 8)]
    population: u64,

    /// What evolution goes after
    #[arg(long, value_enum, default_value = "front")]
    aim: AimName,

    /// Of so many networks, halving lets one go on
    #[arg(long, default_value_t = 3)]
    factor: u64,

    /// The store of trials, JSON lines: made, or gone on from
    #[arg(long, value_name = "TRIALS.jsonl")]
    store: PathBuf,

    /// Write a plot of accuracy over size
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,

    /// Print the front as JSON
    #[arg(long)]
    json: bool,

    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum StrategyName {
    /// Each drawn alone
    Random,
    /// From the best so far
    Evolution,
    /// Many with few epochs, the better ones with more
    Halving,
}

#[derive(Clone, Copy, ValueEnum)]
enum AimName {
    /// Accuracy, flash, arena and cycles at once
    Front,
    /// The most accurate network within the limits
    Accuracy,
}

/// Do one trial, a function of space, seed and index, and print it as one JSON line
///
/// For searches that are spread over machines: see docs/search.md. With --of and --output, trains a network that was found once more,
/// such as for longer or from teachers, and writes it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun search trial --data curves.npz --device nano33ble --seed 7 --index 17
  larun search trial --data curves.npz --device nano33ble --of trials.jsonl --index 17 --epochs 40 -o found.tflite")]
struct TrialArgs {
    #[command(flatten)]
    setting: SettingArgs,

    /// The trial's number
    #[arg(long)]
    index: u64,

    /// Take the network of the trial of that number in this store, in place of drawing one
    #[arg(long, value_name = "TRIALS.jsonl")]
    of: Option<PathBuf>,

    /// Write the INT8 model, and beside it the float model, which `larun optimize` takes
    #[arg(short, long, value_name = "M.tflite")]
    output: Option<PathBuf>,
}

/// Show the trials of one or several stores that no other beats
#[derive(clap::Args)]
#[command(after_help = "Example:
  larun search show trials-*.jsonl --svg front.svg")]
struct ShowArgs {
    /// Stores of trials
    #[arg(required = true)]
    stores: Vec<PathBuf>,

    /// Write a plot of accuracy over size
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,

    /// Print the front as JSON
    #[arg(long)]
    json: bool,
}

impl SettingArgs {
    /// Reads the data and hands the setting on.
    fn with<T>(&self, then: impl FnOnce(&Setting<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global()?;
        }
        let data = Dataset::load(&self.data, self.seed)?;
        for split in [Split::Train, Split::Validation] {
            if data.indices(split).is_empty() {
                return Err(Failure::Error(format!(
                    "{}: the {split} split is empty",
                    self.data.display()
                )));
            }
        }
        let space = match &self.space {
            Some(file) => {
                let text = files::read(file)?;
                serde_json::from_slice(&text).map_err(|error| {
                    Failure::Error(format!("{}: no space of networks: {error}", file.display()))
                })?
            }
            None => Space::default(),
        };
        let mut budget = Budget::LARUN;
        if let Some(kilobytes) = self.max_flash_kb {
            budget.flash_bytes = (kilobytes * 1024.0) as u64;
        }
        if let Some(kilobytes) = self.max_arena_kb {
            budget.ram_bytes = (kilobytes * 1024.0) as u64;
        }
        if let Some(macs) = self.max_macs {
            budget.operations = macs;
        }
        if let Some(milliseconds) = self.max_ms {
            budget.milliseconds = milliseconds;
        }
        let training =
            self.learning
                .config_for_any(self.seed, self.epochs, Augmentation::default());
        then(&Setting {
            space,
            data: &data,
            board: device::find_board(&self.device)?,
            budget,
            training,
            teaching: self.teaching()?,
            seed: self.seed,
        })
    }

    fn teaching(&self) -> Result<Option<Teaching>, Failure> {
        let teachers = self
            .teacher
            .iter()
            .map(|path| Ok(fold_constants(Model::open(path)?.graph()?)?));
        let teachers = teachers.collect::<Result<Vec<_>, Failure>>()?;
        Ok((!teachers.is_empty()).then_some(Teaching {
            teachers,
            temperature: self.temperature,
            alpha: self.alpha,
        }))
    }
}

impl RunArgs {
    fn run(self) -> Result<(), Failure> {
        let strategy = match self.strategy {
            StrategyName::Random => Strategy::Random {
                trials: self.trials,
            },
            StrategyName::Evolution => Strategy::Evolution {
                population: self.population,
                generations: self.trials.div_ceil(self.population.max(1)),
                aim: match self.aim {
                    AimName::Front => Aim::Front,
                    AimName::Accuracy => Aim::Accuracy,
                },
            },
            StrategyName::Halving => Strategy::Halving {
                trials: self.trials,
                factor: self.factor,
            },
        };
        let quiet = self.quiet;
        let progress = |trial: &Trial| {
            if !quiet {
                anstream::eprintln!("{}", progress_line(trial));
            }
        };
        let trials = self.setting.with(|setting| {
            let mut store = Store::open(&self.store, setting.seed)?;
            run(strategy, setting, &mut store, &progress)?;
            Ok(store.trials().to_vec())
        })?;
        show(&trials, self.svg.as_deref(), self.json)
    }
}

fn progress_line(trial: &Trial) -> String {
    let result = match trial.accuracy {
        Some(accuracy) => percent(accuracy),
        None => format!("over budget: {}", trial.exceeded.join("; ")),
    };
    format!("trial {}: {}: {result}", trial.index, trial.architecture)
}

impl TrialArgs {
    fn run(self) -> Result<(), Failure> {
        self.setting.with(|setting| {
            setting.space.check()?;
            let (index, epochs) = (self.index, setting.training.epochs);
            let network = match &self.of {
                Some(store) => stored(store, index)?,
                None => setting.drawn(index)?,
            };
            let mut trial = setting.costed(index, network, epochs)?;
            if trial.exceeded.is_empty() {
                let trained = setting.trained(&trial.architecture, epochs)?;
                trial.accuracy = Some(trained.accuracy);
                if let Some(output) = &self.output {
                    write(output, trained)?;
                }
            }
            anstream::println!("{}", line(&trial)?);
            Ok(())
        })
    }
}

/// The network of a stored trial.
fn stored(store: &Path, index: u64) -> Result<Architecture, Failure> {
    let trials = Store::read(store)?;
    let found = trials.into_iter().find(|trial| trial.index == index);
    match found {
        Some(trial) => Ok(trial.architecture),
        None => Err(Failure::Error(format!(
            "{}: there is no trial {index}",
            store.display()
        ))),
    }
}

/// Writes the models of a trained network.
fn write(output: &Path, trained: Trained) -> Result<(), Failure> {
    let float = tflite::write(&simplify(trained.float)?)?;
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let mut batch = files::Batch::default();
    batch.add(output, trained.int8.bytes())?;
    // The name that training for integers gives its float model.
    let beside = output.with_file_name(format!("{stem}_float.tflite"));
    batch.add(&beside, &float)?;
    Ok(batch.commit()?)
}

impl ShowArgs {
    fn run(self) -> Result<(), Failure> {
        let mut trials = Vec::new();
        for store in &self.stores {
            trials.extend(Store::read(store)?);
        }
        show(&trials, self.svg.as_deref(), self.json)
    }
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Best<'t> {
    /// The trials that no other beats.
    front: &'t [&'t Trial],
}

fn show(trials: &[Trial], plot: Option<&Path>, json: bool) -> Result<(), Failure> {
    if let Some(file) = plot {
        files::write(file, svg(trials).as_bytes())?;
    }
    let best = front(trials);
    if json {
        return print_json("larun.search/1", &Best { front: &best });
    }
    let rows = best.iter().map(|trial| {
        vec![
            trial.index.to_string(),
            percent(trial.accuracy.unwrap_or(0.0)),
            bytes(trial.cost.flash_bytes),
            bytes(trial.cost.arena_bytes),
            group(trial.cost.macs),
            group(trial.cost.cycles),
            trial.architecture.to_string(),
        ]
    });
    let header = [
        "trial",
        "validation",
        "flash",
        "arena",
        "MACs",
        "cycles",
        "network",
    ];
    let numbers = [0, 1, 2, 3, 4, 5];
    anstream::println!("{}", table(&header, rows.collect(), &numbers));
    let trained = trials
        .iter()
        .filter(|trial| trial.accuracy.is_some())
        .count();
    anstream::println!(
        "\n{} trials, {} over budget and not trained; {} that no other beats",
        trials.len(),
        trials.len() - trained,
        best.len()
    );
    Ok(())
}
