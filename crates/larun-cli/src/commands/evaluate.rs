//! `larun evaluate`: how well a classifier does on labelled samples.

use std::path::PathBuf;

use larun::Model;
use larun::data::dataset::{Dataset, Split};
use larun::evaluate::{Classification, classify};

use super::print_json;
use crate::failure::Failure;
use crate::render::{group, pairs, percent, table};

/// Measure how well models classify labelled samples
///
/// Runs each model with LARUN's interpreter on one split of the samples: accuracy, macro F1, of two classes the area under the ROC
/// curve, and the confusion matrix. Integer models are given the samples as their inputs' scale says.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun evaluate model.tflite --data samples.npz
  larun evaluate float.tflite int8.tflite --data samples.npz --split validation
  larun evaluate --json model.tflite --data samples.npz --split all")]
pub(crate) struct Args {
    /// The .tflite or .onnx files
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<PathBuf>,

    /// Labelled samples: x, y and, if you like, class_names and split (0 train, 1 validation, 2 test); or a .csv with a column label
    #[arg(long, value_name = "F.npz")]
    data: PathBuf,

    /// The samples to measure on
    #[arg(long, value_enum, default_value_t = Which::Test)]
    split: Which,

    /// The seed that splits were drawn with, where the file names none
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    /// What networks are trained on
    Train,
    /// What training stops by
    Validation,
    /// What nothing has seen before
    Test,
    /// Every sample
    All,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Report {
    /// The name of the samples.
    dataset: String,
    /// The samples measured on.
    split: Which,
    /// The classes, by their labels.
    class_names: Vec<String>,
    /// The models, as they were given.
    models: Vec<Evaluated>,
}

/// A model's figures.
#[derive(serde::Serialize)]
struct Evaluated {
    /// The file.
    file: PathBuf,
    #[serde(flatten)]
    result: Classification,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let data = Dataset::load(&self.data, self.seed)?;
        let samples = self.samples(&data)?;
        let mut models = Vec::with_capacity(self.models.len());
        for file in self.models {
            let result = classify(&Model::open(&file)?, &data, &samples)?;
            models.push(Evaluated { file, result });
        }
        let report = Report {
            dataset: data.name,
            split: self.split,
            class_names: data.class_names,
            models,
        };
        match self.json {
            true => print_json("larun.evaluate/1", &report)?,
            false => report.print(),
        }
        Ok(())
    }

    /// The indices of the samples of the split.
    fn samples(&self, data: &Dataset) -> Result<Vec<usize>, Failure> {
        let samples = match self.split {
            Which::Train => data.indices(Split::Train),
            Which::Validation => data.indices(Split::Validation),
            Which::Test => data.indices(Split::Test),
            Which::All => (0..data.y.len()).collect(),
        };
        match samples.as_slice() {
            [] => Err(Failure::Error(format!(
                "{} has no samples in that split: choose another by --split train, validation, test or all",
                self.data.display()
            ))),
            _ => Ok(samples),
        }
    }
}

impl Report {
    fn print(&self) {
        for (index, model) in self.models.iter().enumerate() {
            let result = &model.result;
            let mut lines = vec![
                ("model", model.file.display().to_string()),
                ("samples", group(result.samples)),
                ("accuracy", percent(result.accuracy)),
                ("macro F1", percent(result.macro_f1)),
            ];
            if let Some(auc) = result.auc {
                lines.push(("AUC", format!("{auc:.4}")));
            }
            let line = if index == 0 { "" } else { "\n" };
            anstream::println!("{line}{}\n\n{}", pairs(&lines), self.confusion(result));
        }
    }

    /// Rows are true classes, columns the classes found.
    fn confusion(&self, result: &Classification) -> String {
        let mut header = vec!["true \\ found"];
        header.extend(self.class_names.iter().map(String::as_str));
        header.push("recall");
        let rows = result.confusion.iter().zip(&self.class_names).enumerate();
        let rows = rows.map(|(class, (counts, name))| {
            let mut row = vec![name.clone()];
            row.extend(counts.iter().map(|&count| group(count)));
            row.push(percent(result.recall.get(class).copied().unwrap_or(0.0)));
            row
        });
        let numbers: Vec<usize> = (1..header.len()).collect();
        table(&header, rows.collect(), &numbers)
    }
}
