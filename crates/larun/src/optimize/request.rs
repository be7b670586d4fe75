//! What the pipeline is asked to do, whom it tells how it goes, and what it comes to.

use std::path::{Path, PathBuf};

use larun_device::{Board, Budget};
use larun_passes::QuantizeOptions;
use larun_train::{Augmentation, Observer, QatConfig, TrainConfig};
use larun_zoo::networks;

use crate::Error;
use crate::report::{OptimizeReport, TrialPoint};

/// What to optimise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A network of the zoo, trained from scratch.
    Zoo(String),
    /// A float model, quantised as it is, or trained further when epochs are asked for.
    Model(PathBuf),
}

impl Source {
    /// What the network is called.
    pub fn name(&self) -> String {
        self.describe().0
    }

    /// The changes of training samples that suit the network: those of the zoo know theirs, a model of the user's is left with none.
    ///
    /// # Errors
    /// When the zoo has no network of that name.
    pub fn suited_augmentation(&self) -> Result<Augmentation, Error> {
        match self {
            Self::Zoo(name) => Ok(networks::find(name)?.augment.parse()?),
            Self::Model(_) => Ok(Augmentation::default()),
        }
    }

    /// What the network is called, and its layers in words.
    pub(super) fn describe(&self) -> (String, String) {
        match self {
            Self::Zoo(name) => networks::find(name).map_or_else(
                |_| (name.clone(), String::new()),
                |network| (network.title.to_owned(), network.architecture.to_owned()),
            ),
            Self::Model(path) => (stem(path), "imported".to_owned()),
        }
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(
        || "model".to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

/// Shows nothing.
impl Progress for () {
    fn training(&mut self) -> &mut dyn Observer {
        self
    }
}

/// What [`optimize`](super::optimize) is asked to do.
#[derive(Clone, Debug)]
pub struct OptimizeRequest {
    /// The network.
    pub source: Source,
    /// Labelled samples (`.npz`); simulated light curves where there are none.
    pub data: Option<PathBuf>,
    /// Simulated samples of each class.
    pub samples_per_class: usize,
    /// The board that the model is for.
    pub board: Board,
    /// Limits beside those of the board.
    pub budget: Budget,
    /// The most that the file may have, in KB of 1024 bytes; the budget's where unsaid.
    pub target_size_kb: Option<f64>,
    /// How to train. The checkpoint is set by [`optimize`](super::optimize).
    pub training: TrainConfig,
    /// Go on from the checkpoint in the output folder.
    pub resume: bool,
    /// Training samples to calibrate with.
    pub calibration_samples: usize,
    /// How to quantise.
    pub quantization: QuantizeOptions,
    /// Train on for the integers, with the float network as the teacher.
    pub qat: Option<QatRequest>,
    /// What the model is called in generated sources.
    pub name: Option<String>,
    /// Whether channels are removed where the float model is larger than four times the target.
    pub prune: bool,
    /// Epochs of training after pruning.
    pub fine_tune_epochs: usize,
    /// The networks of a search, to be shown beside this one.
    pub trials: Vec<TrialPoint>,
    /// The command that asks for this, to be shown in the report.
    pub command: Option<String>,
    /// The licence that the model card names.
    pub license: String,
    /// The folder to write to.
    pub out: PathBuf,
}

impl OptimizeRequest {
    /// What the model is called in generated sources.
    pub(super) fn model_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| match &self.source {
            Source::Zoo(name) => format!("{name}_model"),
            Source::Model(path) => stem(path),
        })
    }

    /// The most that the file may have.
    pub(super) fn target_bytes(&self) -> u64 {
        let asked = self.target_size_kb.map(|target| (target * 1024.0) as u64);
        asked.unwrap_or(self.budget.flash_bytes)
    }
}

/// The training for integers after that in real numbers.
#[derive(Clone, Debug)]
pub struct QatRequest {
    /// How to train; seed, batch and augmentation are those of the first training.
    pub epochs: usize,
    /// The greatest learning rate.
    pub learning_rate: f32,
    /// The share of the labels in the loss, the rest is the float network's answers; 1 for the labels alone.
    pub alpha: f32,
    /// How much those answers are softened.
    pub temperature: f32,
    /// How ranges and scales are found.
    pub config: QatConfig,
}

/// Is told how the pipeline goes.
pub trait Progress {
    /// A step begins.
    fn stage(&mut self, name: &str) {
        let _ = name;
    }

    /// So many of so many samples of the step are done.
    fn samples(&mut self, done: usize, total: usize) {
        let _ = (done, total);
    }

    /// Who watches the training.
    fn training(&mut self) -> &mut dyn Observer;
}

/// What [`optimize`](super::optimize) comes to.
#[derive(Debug)]
pub enum Outcome {
    /// All files are written.
    Finished(Box<OptimizeReport>),
    /// The observer stopped the training; the checkpoint is written and `resume` goes on from it.
    Interrupted {
        /// The checkpoint.
        checkpoint: PathBuf,
    },
}
