//! `larun prune`: fewer weights, fewer channels, a smaller file.

use std::path::PathBuf;

use clap::ValueEnum;
use larun::optimize::Source;
use larun::prune::{Goal, Measure, Outcome, PruneReport, PruneRequest, prune};
use larun::pruning::{
    ClusterOptions, Encoding, Importance, Keep, MagnitudePruning, Pattern, Scope, Storage,
};
use larun::train::{Augmentation, TrainConfig};

use super::print_json;
use super::sizes::print_sizes;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::render::{bytes, group, pairs, percent, table};

/// Prune weights or channels of a model, fine-tune it, and store it so that the file gets smaller
///
/// Channels are removed from every layer that has them, so that a pruned model is a smaller model for every runtime. Weights that are
/// zero make a file smaller only where it is stored sparse (LiteRT) or encoded (TFLM and LARUN): see --store. The table at the end
/// shows what each way comes to, and why one gains nothing.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true)))]
#[command(group(clap::ArgGroup::new("goal")))]
#[command(after_help = "Examples:
  larun prune float.tflite --channels 0.5 --data samples.npz --fine-tune 10 -o pruned.tflite
  larun prune --zoo spectral --data curves.npz --target-kb 6 --fine-tune 20 -o pruned.tflite
  larun prune float.tflite --sparsity 0.8 --schedule polynomial --data samples.npz --fine-tune 10 -o sparse.tflite
  larun prune float.tflite --clusters 16 -o clustered.tflite
  larun prune int8.tflite --sparsity 0.7 --store decode -o small.tflite
  larun prune int8.tflite --store huffman -o small.tflite
  larun prune float.tflite --channels 0.5 --sensitivity --data samples.npz -o pruned.tflite")]
pub(crate) struct Args {
    /// A .tflite model
    #[arg(group = "source")]
    model: Option<PathBuf>,

    /// A network of the zoo, trained on --data first
    #[arg(long, value_name = "NAME", group = "source", requires = "data")]
    zoo: Option<String>,

    /// Labelled samples to fine-tune and measure with
    #[arg(long, value_name = "F.npz")]
    data: Option<PathBuf>,

    /// The share of each layer's weights to set to zero, below 1
    #[arg(long, value_name = "SHARE", group = "goal")]
    sparsity: Option<f32>,

    /// The share of channels to remove from every layer that can lose some, below 1
    #[arg(long, value_name = "SHARE", group = "goal")]
    channels: Option<f32>,

    /// Remove channels until the model's INT8 file has at most so many KB of 1024 bytes
    #[arg(long, value_name = "KB", group = "goal")]
    target_kb: Option<f64>,

    /// Remove channels until an inference takes at most so many MACs
    #[arg(long, value_name = "N", group = "goal")]
    macs: Option<u64>,

    /// Remove channels until the activations, as INT8, take at most so many KB of 1024 bytes
    #[arg(long, value_name = "KB", group = "goal")]
    arena_kb: Option<f64>,

    /// Compare weights, or channels, over the whole network, not layer by layer
    #[arg(long)]
    global: bool,

    /// What of --sparsity goes together: unstructured, blocks such as 1x4 or 4x4, or zeros of every few neighbours such as 2:4
    #[arg(long, value_name = "PATTERN", default_value = "unstructured")]
    pattern: String,

    /// Prune depthwise filters by --sparsity too
    #[arg(long)]
    depthwise: bool,

    /// Which channels go first: l1, l2, fpgm (near the geometric median), taylor, bn (batch normalisation's scale), activation, random
    #[arg(long, value_name = "MEASURE", default_value = "l1")]
    importance: String,

    /// Channels are kept in multiples of this: 4 suits SMLAD (Cortex-M4), 16 MVE (Cortex-M55)
    #[arg(long, value_name = "N", default_value_t = Keep::default().multiple)]
    multiple: usize,

    /// How --sparsity comes about: at once, or over the first half of the fine-tuning
    #[arg(long, value_enum, default_value_t = ScheduleName::Constant)]
    schedule: ScheduleName,

    /// Give the weights of each layer so many values
    #[arg(long, value_name = "N")]
    clusters: Option<usize>,

    /// Epochs of training after pruning
    #[arg(long, value_name = "EPOCHS", default_value_t = 0)]
    fine_tune: usize,

    /// Most epochs of training a network of the zoo before pruning
    #[arg(long, default_value_t = TrainConfig::default().epochs)]
    epochs: usize,

    /// Samples per training step
    #[arg(long, default_value_t = TrainConfig::default().batch_size)]
    batch_size: usize,

    /// Greatest learning rate
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f32,

    /// How training samples are changed in every epoch, as for `larun train` [default: what suits the network of the zoo; none for a model
    /// of yours]
    #[arg(long, value_name = "CHANGES")]
    augment: Option<Augmentation>,

    /// How the file holds weights
    #[arg(long, value_enum, default_value_t = Store::Dense)]
    store: Store,

    /// Measure what each layer alone would suffer, at three shares
    #[arg(long)]
    sensitivity: bool,

    /// Take away names, signatures and metadata that no microcontroller reads
    #[arg(long)]
    strip: bool,

    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Go on from the checkpoints beside the output
    #[arg(long)]
    resume: bool,

    /// The file to write
    #[arg(short, long, value_name = "OUT.tflite")]
    output: PathBuf,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScheduleName {
    /// At once
    Constant,
    /// By the cubic curve of Zhu and Gupta, quickly at first
    Polynomial,
}

#[derive(Clone, Copy, ValueEnum)]
enum Store {
    /// Every weight, for every runtime
    Dense,
    /// With sparsity parameters, for LiteRT
    Sparse,
    /// By TFLM_DECODE, each tensor the smallest way, for TensorFlow Lite Micro and LARUN
    Decode,
    /// By TFLM_DECODE: a bit for each weight, and those that are not zero
    Pruning,
    /// By TFLM_DECODE: numbers of at most 128 values
    Table,
    /// By TFLM_DECODE: Huffman codes
    Huffman,
}

impl Store {
    const fn storage(self) -> Storage {
        match self {
            Self::Dense => Storage::Dense,
            Self::Sparse => Storage::Sparse,
            Self::Decode => Storage::Smallest,
            Self::Pruning => Storage::Decode(Encoding::Pruning),
            Self::Table => Storage::Decode(Encoding::Table),
            Self::Huffman => Storage::Decode(Encoding::Huffman),
        }
    }
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (json, quiet) = (self.json, self.quiet);
        let request = self.request()?;
        let mut reporter = Reporter::new(quiet);
        match prune(&request, &mut reporter)? {
            Outcome::Finished(report) if json => print_json("larun.prune/1", &report),
            Outcome::Finished(report) => {
                print(&request, &report);
                Ok(())
            }
            Outcome::Interrupted { checkpoint } => Err(Failure::Interrupted(format!(
                "stopped; {} is written: the same command with --resume goes on from there",
                checkpoint.display()
            ))),
        }
    }

    fn goal(&self) -> Result<Option<Goal>, Failure> {
        let kb = |kb: f64| (kb.max(0.0) * 1024.0) as u64;
        let goals = [
            self.sparsity.map(Goal::Sparsity),
            self.channels.map(|share| match self.global {
                true => Goal::GlobalChannels(share),
                false => Goal::Channels(share),
            }),
            self.target_kb
                .map(|size| Goal::Within(Measure::FileBytes, kb(size))),
            self.macs.map(|macs| Goal::Within(Measure::Macs, macs)),
            self.arena_kb
                .map(|size| Goal::Within(Measure::ArenaBytes, kb(size))),
        ];
        let goal = goals.into_iter().flatten().next();
        let does_nothing =
            goal.is_none() && self.clusters.is_none() && matches!(self.store, Store::Dense);
        if does_nothing && !self.sensitivity && !self.strip && self.model.is_some() {
            return Err(Failure::Error(
                "say what to do: --sparsity, --channels, --target-kb, --macs or --arena-kb; --clusters; --store; --strip; or --sensitivity".to_owned(),
            ));
        }
        Ok(goal)
    }

    fn request(self) -> Result<PruneRequest, Failure> {
        let goal = self.goal()?;
        let pattern = Pattern::parse(&self.pattern).map_err(larun::Error::from)?;
        let importance = Importance::parse(&self.importance, self.seed).ok_or_else(|| {
            Failure::Error(format!(
                "no importance is called {}: there are l1, l2, fpgm, taylor, bn, activation and random",
                self.importance
            ))
        })?;
        let source = match (self.zoo, self.model) {
            (Some(name), _) => Source::Zoo(name),
            (None, Some(model)) => Source::Model(model),
            (None, None) => return Err(Failure::Error("give a model or --zoo NAME".to_owned())),
        };
        let augmentation = match self.augment {
            Some(asked) => asked,
            None => source.suited_augmentation()?,
        };
        Ok(PruneRequest {
            source,
            data: self.data,
            goal,
            magnitude: MagnitudePruning {
                pattern,
                scope: match self.global {
                    true => Scope::Global,
                    false => Scope::Layer,
                },
                depthwise: self.depthwise,
            },
            importance,
            keep: Keep {
                multiple: self.multiple,
            },
            gradual: matches!(self.schedule, ScheduleName::Polynomial),
            clusters: self.clusters.map(|clusters| ClusterOptions {
                seed: self.seed,
                preserve_zeros: self.sparsity.is_some(),
                ..ClusterOptions::new(clusters)
            }),
            training: TrainConfig {
                seed: self.seed,
                epochs: self.epochs,
                batch_size: self.batch_size,
                learning_rate: self.learning_rate,
                augmentation,
                ..TrainConfig::default()
            },
            fine_tune: self.fine_tune,
            storage: self.store.storage(),
            sensitivity: self.sensitivity,
            strip: self.strip,
            resume: self.resume,
            out: self.output,
        })
    }
}

fn print(request: &PruneRequest, report: &PruneReport) {
    print_groups(report);
    print_sensitivity(report);
    let (before, after) = (&report.before, &report.after);
    let change = |name, a: u64, b: u64, show: fn(u64) -> String| {
        let times = a as f64 / b.max(1) as f64;
        (
            name,
            format!("{} before, {} now, {times:.2} times less", show(a), show(b)),
        )
    };
    let mut lines = vec![
        change("parameters", before.parameters, after.parameters, group),
        change("MACs", before.macs, after.macs, group),
        change(
            "activations",
            before.planned_bytes,
            after.planned_bytes,
            bytes,
        ),
        change("dense file", before.file_bytes, after.file_bytes, bytes),
        change("INT8 file", before.int8_bytes, after.int8_bytes, bytes),
        (
            "zeros",
            format!(
                "{} of {} weights ({})",
                group(report.zeros),
                group(report.weights),
                percent(report.zeros as f64 / report.weights.max(1) as f64)
            ),
        ),
    ];
    if let (Some(before), Some(after)) = (before.accuracy, after.accuracy) {
        lines.push((
            "accuracy",
            format!(
                "{} before, {} now, on the test split",
                percent(before),
                percent(after)
            ),
        ));
    }
    lines.push((
        "written",
        format!(
            "{}, {} ({})",
            request.out.display(),
            bytes(report.file_bytes),
            report.storage
        ),
    ));
    anstream::println!("{}\n", pairs(&lines));
    print_sizes(&report.sizes, false);
}

fn print_groups(report: &PruneReport) {
    if report.groups.is_empty() {
        return;
    }
    let row = |group: &larun::prune::GroupReport| {
        vec![
            group.name.clone(),
            group.layers.to_string(),
            group.before.to_string(),
            group.after.to_string(),
            group.kept_by.clone().unwrap_or_default(),
        ]
    };
    let rows = report.groups.iter().map(row).collect();
    let header = ["channels of", "layers", "before", "now", "kept by"];
    anstream::println!("{}\n", table(&header, rows, &[1, 2, 3]));
}

fn print_sensitivity(report: &PruneReport) {
    let Some(first) = report.sensitivity.first() else {
        return;
    };
    let shares = first
        .points
        .iter()
        .map(|(share, _)| format!("{:.0} %", 100.0 * share));
    let header: Vec<String> = ["accuracy with one layer pruned by".to_owned()]
        .into_iter()
        .chain(shares)
        .collect();
    let row = |layer: &larun::prune::SensitivityReport| {
        let accuracies = layer.points.iter().map(|(_, accuracy)| percent(*accuracy));
        [layer.name.clone()].into_iter().chain(accuracies).collect()
    };
    let rows = report.sensitivity.iter().map(row).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let numbers: Vec<usize> = (1..header.len()).collect();
    anstream::println!("{}\n", table(&header, rows, &numbers));
}
