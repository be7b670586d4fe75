//! `larun train` and `larun distill`: a network trained by itself, in real numbers or for integers.

use std::path::PathBuf;

use larun::optimize::Source;
use larun::passes::{Border, QuantizeOptions, Scheme};
use larun::prune::Kept;
use larun::train::{ActivationRanges, QatConfig, TrainConfig, WeightScales};
use larun::training::{Distillation, Integers, Lesson, Outcome, TrainReport, TrainRequest, train};

use super::learning::LearningArgs;
use super::print_json;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::render::{bytes, pairs, percent};

/// Train a network, in real numbers or for integers
///
/// Trains a network of the zoo from scratch, or a float .tflite further, on labelled samples, and writes the model of the best
/// epoch, with a log of one JSON line a step beside it. Ctrl-C stops after the current step; --resume goes on from there and gives
/// the same file, byte for byte.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true)))]
#[command(after_help = "Examples:
  larun train --zoo spectral --data curves.npz -o spectral.tflite
  larun train my_float.tflite --data samples.npz --qat int8 --epochs 10 --learning-rate 0.0005 -o my_int8.tflite
  larun train --zoo student --data curves.npz --distill-from spectral.tflite --optimizer sgd --schedule step -o student.tflite")]
pub(crate) struct TrainArgs {
    /// A float .tflite model to train further
    #[arg(group = "source", requires = "data")]
    model: Option<PathBuf>,

    /// A network to train from scratch: spectral, galaxy, transit, star, spectral-small, spectral-wide, galaxy-wide, student,
    /// galaxy-student, ds-cnn, resnet8, mobilenet-v1 or autoencoder
    #[arg(long, value_name = "NAME", group = "source")]
    zoo: Option<String>,

    /// Float models to learn from
    #[arg(long, value_name = "T.tflite", value_delimiter = ',')]
    distill_from: Vec<PathBuf>,

    #[command(flatten)]
    common: Common,
}

/// Train a small network on the answers of a large one
///
/// The student, a network of the zoo or a float .tflite, learns from the logits of one teacher or of several, softened by a
/// temperature, and from the labels. With --qat it becomes an integer model on the way: the float network can teach its own INT8
/// version.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun distill --teacher spectral.tflite --student student --data curves.npz -o student.tflite
  larun distill --teacher big.tflite --student small.tflite --data curves.npz --qat int8 --temperature 4 -o small_int8.tflite")]
pub(crate) struct DistillArgs {
    /// Float models to learn from
    #[arg(long, value_name = "T.tflite", value_delimiter = ',', required = true)]
    teacher: Vec<PathBuf>,

    /// The network that learns: a name of the zoo, or a float .tflite
    #[arg(long, value_name = "NAME|S.tflite")]
    student: String,

    #[command(flatten)]
    common: Common,
}

/// What both commands take.
#[derive(clap::Args)]
struct Common {
    /// Labelled samples: x, y and, if you like, class_names and split (0 train, 1 validation, 2 test) [default: simulated light
    /// curves]
    #[arg(long, value_name = "F.npz")]
    data: Option<PathBuf>,

    /// The model to write
    #[arg(short, long, value_name = "M.tflite")]
    output: PathBuf,

    /// Seed of everything random: the same seed gives the same file, byte for byte
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Most epochs to train
    #[arg(long, default_value_t = TrainConfig::default().epochs)]
    epochs: usize,

    #[command(flatten)]
    learning: LearningArgs,

    /// What pruned and clustered weights go on having: zeros, or few values in a layer
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    keep: Vec<Lasting>,

    /// Train for integers, and write the integer model
    #[arg(long, value_enum, value_name = "TYPE")]
    qat: Option<Target>,

    /// How the ranges of activations are found, with --qat
    #[arg(long, value_enum, default_value_t = Ranges::MovingAverage)]
    ranges: Ranges,

    /// Learn the scales of weights (LSQ), with --qat; those of four bits are learnt in any case
    #[arg(long)]
    learn_scales: bool,

    /// Training samples from which ranges are seen before the training, with --qat
    #[arg(long, default_value_t = 500, value_name = "N")]
    calibration_samples: usize,

    /// What is learnt of a teacher
    #[arg(long, value_enum, default_value_t = Learnt::Hinton)]
    distillation: Learnt,

    /// How much a teacher's answers are softened
    #[arg(long, default_value_t = 4.0)]
    temperature: f32,

    /// The share of the labels in the loss, the rest is the teacher's
    #[arg(long, default_value_t = 0.1)]
    alpha: f32,

    /// Go on from the checkpoint beside the output
    #[arg(long)]
    resume: bool,

    /// Simulated light curves of each class, where no data are given
    #[arg(long, default_value_t = 1000, value_name = "N")]
    samples_per_class: usize,

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

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Lasting {
    /// Weights that are zero stay so
    Zeros,
    /// Weights of a layer that share a value go on sharing one
    Clusters,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// Activations and weights of eight bits
    Int8,
    /// Activations of eight bits, weights of four
    Int4,
    /// Activations of sixteen bits, weights of eight
    Int16x8,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ranges {
    /// Moving averages of what batches show
    MovingAverage,
    /// Learnt upper ends (PACT)
    Pact,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Learnt {
    /// Hinton's loss on logits, times the square of the temperature
    Hinton,
    /// The formula on probabilities that guides print
    Published,
    /// The label against the others, and the others among themselves, apart (DKD)
    Decoupled,
}

impl TrainArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let source = match (self.zoo, self.model) {
            (Some(name), _) => Source::Zoo(name),
            (None, Some(model)) => Source::Model(model),
            (None, None) => return Err(Failure::Error("give a model or --zoo NAME".to_owned())),
        };
        self.common.run(source, self.distill_from)
    }
}

impl DistillArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let source = match self.student.ends_with(".tflite") {
            true => Source::Model(PathBuf::from(self.student)),
            false => Source::Zoo(self.student),
        };
        self.common.run(source, self.teacher)
    }
}

impl Common {
    fn run(self, source: Source, teachers: Vec<PathBuf>) -> Result<(), Failure> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global()?;
        }
        let (json, quiet) = (self.json, self.quiet);
        let request = self.request(source, teachers)?;
        let mut reporter = Reporter::new(quiet);
        match train(&request, &mut reporter)? {
            Outcome::Finished(report) => match json {
                true => print_json("larun.train/1", &report),
                false => {
                    print(&report);
                    Ok(())
                }
            },
            Outcome::Interrupted { checkpoint } => Err(Failure::Interrupted(format!(
                "stopped; {} is written: the same command with --resume goes on from there",
                checkpoint.display()
            ))),
        }
    }

    fn request(self, source: Source, teachers: Vec<PathBuf>) -> Result<TrainRequest, Failure> {
        let training = self.learning.config(self.seed, self.epochs, &source)?;
        let integers = self.qat.map(|target| Integers {
            quantization: QuantizeOptions {
                scheme: match target {
                    Target::Int8 => Scheme::Int8,
                    Target::Int4 => Scheme::Int4,
                    Target::Int16x8 => Scheme::Int16x8,
                },
                border: Border::Integer,
                ..QuantizeOptions::default()
            },
            config: QatConfig {
                activations: match self.ranges {
                    Ranges::MovingAverage => ActivationRanges::default(),
                    Ranges::Pact => ActivationRanges::Pact {
                        decay: 0.99,
                        penalty: 1e-4,
                    },
                },
                weights: match self.learn_scales {
                    true => WeightScales::Learned,
                    false => WeightScales::Converter,
                },
            },
            calibration_samples: self.calibration_samples,
        });
        let distillation = (!teachers.is_empty()).then_some(Distillation {
            teachers,
            lesson: match self.distillation {
                Learnt::Hinton => Lesson::Hinton,
                Learnt::Published => Lesson::Published,
                Learnt::Decoupled => Lesson::Decoupled,
            },
            temperature: self.temperature,
            alpha: self.alpha,
        });
        Ok(TrainRequest {
            source,
            data: self.data,
            samples_per_class: self.samples_per_class,
            training,
            integers,
            distillation,
            kept: Kept {
                zeros: self.keep.contains(&Lasting::Zeros),
                clusters: self.keep.contains(&Lasting::Clusters),
            },
            resume: self.resume,
            out: self.output,
        })
    }
}

fn print(report: &TrainReport) {
    let data = &report.dataset;
    let simulated = if data.simulated { " (simulated)" } else { "" };
    let best = report.training.best;
    let scores = |scores: &larun::train::Scores| {
        let auc = scores
            .auc
            .map_or_else(String::new, |auc| format!(", AUC {auc:.4}"));
        match report.model.is_some() {
            true => format!(
                "accuracy {}, macro F1 {}{auc}, loss {:.4}",
                percent(scores.accuracy),
                percent(scores.macro_f1),
                scores.loss
            ),
            false => format!("loss {:.6}{auc}", scores.loss),
        }
    };
    let mut lines = vec![
        ("network", report.network.clone()),
        (
            "data",
            format!(
                "{}{simulated}: {} train, {} validation, {} test",
                data.name, data.train, data.validation, data.test
            ),
        ),
        (
            "epochs",
            format!(
                "{}, the best was {}; {:.1} s",
                report.training.epochs,
                best.map_or_else(|| "none".to_owned(), |best| best.epoch.to_string()),
                report.training.seconds
            ),
        ),
    ];
    if report.teachers > 0 {
        lines.push(("teachers", report.teachers.to_string()));
    }
    lines.push(("before", scores(&report.before)));
    lines.push(("after", scores(&report.after)));
    if let Some(model) = &report.model {
        let agreement = report.agreement.map_or_else(String::new, |share| {
            format!(", same class as in training for {}", percent(share))
        });
        lines.push((
            "written model",
            format!(
                "accuracy {}, macro F1 {}{agreement}",
                percent(model.accuracy),
                percent(model.macro_f1)
            ),
        ));
    }
    lines.push((
        "size",
        format!(
            "{}, arena {}",
            bytes(report.file_bytes),
            bytes(report.arena_bytes)
        ),
    ));
    lines.push(("file", report.file.display().to_string()));
    lines.push(("log", report.log.display().to_string()));
    anstream::println!("{}", pairs(&lines));
    if let Some(model) = &report.model {
        anstream::println!("\nconfusion (rows: true classes)");
        for (name, row) in data.classes.iter().zip(&model.confusion) {
            let counts: Vec<String> = row.iter().map(|count| format!("{count:6}")).collect();
            anstream::println!("  {name:16} {}", counts.join(" "));
        }
    }
}
