//! `larun data simulate`: labelled samples from physics.

use std::path::PathBuf;

use clap::ValueEnum;
use larun::data::dataset::{Dataset, Split};
use larun::data::simulate;
use serde::Serialize;

use crate::commands::print_json;
use crate::failure::Failure;
use crate::render::{group, shape};

/// Simulate labelled samples from physics
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun data simulate light-curves -n 1000 --seed 42 -o curves.npz
  larun data simulate stars -n 200 -o spectra.csv")]
pub(crate) struct Args {
    /// What to simulate
    #[arg(value_enum)]
    task: Task,

    /// Samples of each class
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000)]
    samples_per_class: usize,

    /// Seed: the same one gives the same samples, at any number of threads
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// The file to write: .npz, or .csv with a line a sample
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Task {
    /// Light curves of six classes, [1024, 1]: noise, stellar_signal, planetary_transit, eclipsing_binary, instrument_artifact, unknown_anomaly
    LightCurves,
    /// Folded transit candidates, [201, 2]: junk, transit_like
    Transits,
    /// Colour images, [64, 64, 3]: elliptical, spiral, edge_on, merger
    Galaxies,
    /// Spectra, [1024, 1]: O, B, A, F, G, K, M
    Stars,
}

/// What a dataset holds.
#[derive(Serialize)]
pub(super) struct Written {
    /// The file.
    pub(super) file: PathBuf,
    /// How many samples.
    pub(super) samples: usize,
    /// The shape of one.
    pub(super) sample_shape: Vec<usize>,
    /// The classes.
    pub(super) class_names: Vec<String>,
    /// Samples to train on.
    pub(super) train: usize,
    /// Samples to stop by.
    pub(super) validation: usize,
    /// Samples to measure on.
    pub(super) test: usize,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (count, seed) = (self.samples_per_class, self.seed);
        if count < 3 {
            let message = "give -n 3 or more: each class needs a sample in each split";
            return Err(Failure::Error(message.to_owned()));
        }
        let dataset = match self.task {
            Task::LightCurves => simulate::light_curves(count, seed),
            Task::Transits => simulate::views::candidates(count, seed),
            Task::Galaxies => simulate::galaxy::galaxies(count, seed),
            Task::Stars => simulate::spectrum::spectra(count, seed),
        };
        save(&dataset, &self.output)?;
        Written::new(&dataset, self.output).print(self.json)
    }
}

/// Writes a dataset in the form that the file's extension names.
pub(super) fn save(dataset: &Dataset, file: &std::path::Path) -> Result<(), Failure> {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str() {
        Some("npz") => Ok(dataset.save_npz(file)?),
        Some("csv") => Ok(dataset.save_csv(file)?),
        _ => Err(Failure::Error(format!(
            "{}: a dataset is written as .npz or .csv",
            file.display()
        ))),
    }
}

impl Written {
    pub(super) fn new(dataset: &Dataset, file: PathBuf) -> Self {
        let count = |split| dataset.indices(split).len();
        Self {
            file,
            samples: dataset.len(),
            sample_shape: dataset.sample_shape.clone(),
            class_names: dataset.class_names.clone(),
            train: count(Split::Train),
            validation: count(Split::Validation),
            test: count(Split::Test),
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return print_json("larun.data-written/1", self);
        }
        anstream::println!(
            "{}: {} samples of shape {}, {} classes; {} train, {} validation, {} test",
            self.file.display(),
            group(self.samples as u64),
            shape(&self.sample_shape),
            self.class_names.len(),
            group(self.train as u64),
            group(self.validation as u64),
            group(self.test as u64)
        );
        Ok(())
    }
}
