//! `larun compare`: two models side by side, or one under other roundings.

use std::path::{Path, PathBuf};

use larun::Model;
use larun::advise::{LayerAdvice, advise};
use larun::compare::{Comparison, Difference, compare, compare_roundings};
use larun::zoo::npy::NpyArray;
use larun::zoo::npz::NpzReader;

use super::print_json;
use crate::failure::Failure;
use crate::render::{group, percent, table};

/// Compare two models' outputs and inner values, layer by layer
///
/// Values that both compute under the same name are compared as real numbers, so that a float model can be compared
/// with its quantised form. Models of the same element types that differ are a finding (exit status 1).
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun compare float.tflite int8.tflite --data samples.npz
  larun compare old.tflite new.tflite --data input0.npy --data input1.npy
  larun compare model.tflite --rounding --data samples.npy")]
pub(crate) struct Args {
    /// The first model: what the second is held against
    a: PathBuf,

    /// The second model
    #[arg(required_unless_present = "rounding", conflicts_with = "rounding")]
    b: Option<PathBuf>,

    /// An array for each input, in order, whose leading axis counts samples (.npy, or the array x of an .npz); without
    /// any, 16 sets of seeded random numbers
    #[arg(long = "data", value_name = "FILE")]
    data: Vec<PathBuf>,

    /// How far the model's outputs move under other roundings than TensorFlow Lite Micro's
    #[arg(long)]
    rounding: bool,

    /// Show every layer, not only those that differ most
    #[arg(long)]
    layers: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// How many layers are shown unless all are asked for.
const SHOWN_LAYERS: usize = 10;
/// How much of a tensor's name is shown.
const MOST_CHARACTERS: usize = 48;

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let data: Vec<_> = self
            .data
            .iter()
            .map(|path| array(path))
            .collect::<Result<_, _>>()?;
        let a = Model::open(&self.a)?;
        let Some(b) = &self.b else {
            return self.roundings(&a, &data);
        };
        let b = Model::open(b)?;
        let comparison = compare(&a, &b, &data)?;
        let layers = advise(&a, &b, &data)?;
        if self.json {
            let report = Report {
                comparison: &comparison,
                layers_to_look_at: &layers,
            };
            print_json("larun.compare/1", &report)?;
        } else {
            self.print(&comparison);
            print_advice(&layers);
        }
        match comparison.same_element_types() && !comparison.is_equal() {
            true => Err(Failure::Finding("the models differ".to_owned())),
            false => Ok(()),
        }
    }

    fn roundings(&self, model: &Model, data: &[NpyArray]) -> Result<(), Failure> {
        let compared = compare_roundings(model, data)?;
        if self.json {
            let report = Roundings {
                roundings: &compared,
            };
            return print_json("larun.roundings/1", &report);
        }
        for (index, rounding) in compared.iter().enumerate() {
            let line = if index == 0 { "" } else { "\n" };
            anstream::println!(
                "{line}{} against TensorFlow Lite Micro's:",
                rounding.rounding
            );
            self.print(&rounding.comparison);
        }
        Ok(())
    }

    fn print(&self, comparison: &Comparison) {
        let inputs = if comparison.made_up_inputs {
            "input sets of seeded random numbers; --data takes real ones"
        } else {
            "input sets"
        };
        anstream::println!("{} {inputs}\n", comparison.sets);
        print_differences(&comparison.outputs.iter().collect::<Vec<_>>());
        match &comparison.first_difference {
            None if comparison.layers.is_empty() => {
                anstream::println!("\nno inner value has the same name in both models");
            }
            None => anstream::println!("\nevery inner value of the same name is the same"),
            Some(first) => {
                anstream::println!(
                    "\nfirst tensor that differs: `{}` ({})\n",
                    first.name,
                    first.at
                );
                print_differences(&self.shown(&comparison.layers));
            }
        }
    }

    /// All layers, or those with the lowest signal to noise ratio, in order.
    fn shown<'c>(&self, layers: &'c [Difference]) -> Vec<&'c Difference> {
        if self.layers {
            return layers.iter().collect();
        }
        let noisy = |index: &usize| layers.get(*index).and_then(|layer| layer.sqnr_db);
        let mut worst: Vec<_> = (0..layers.len())
            .filter(|index| noisy(index).is_some())
            .collect();
        worst.sort_by(|a, b| noisy(a).unwrap_or(0.0).total_cmp(&noisy(b).unwrap_or(0.0)));
        worst.truncate(SHOWN_LAYERS);
        worst.sort_unstable();
        worst
            .into_iter()
            .filter_map(|index| layers.get(index))
            .collect()
    }
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Report<'r> {
    #[serde(flatten)]
    comparison: &'r Comparison,
    /// Layers where something can be said, in order.
    layers_to_look_at: &'r [LayerAdvice],
}

/// What `--rounding --json` prints.
#[derive(serde::Serialize)]
struct Roundings<'r> {
    /// How far values move under each other rounding.
    roundings: &'r [larun::compare::RoundingComparison],
}

fn print_advice(layers: &[LayerAdvice]) {
    if let Some(first) = layers.iter().find(|layer| layer.collapses) {
        let db = first.sqnr_db.unwrap_or(0.0);
        anstream::println!(
            "\nfirst layer that collapses: {} `{}` ({db:.1} dB)",
            first.op,
            first.name
        );
    }
    for layer in layers {
        if let Some(advice) = &layer.advice {
            anstream::println!("\n{} `{}`: {advice}", layer.op, short(&layer.name));
        }
    }
}

fn print_differences(differences: &[&Difference]) {
    let row = |difference: &&Difference| {
        vec![
            difference.at.clone(),
            short(&difference.name),
            format!(
                "{} of {}",
                group(difference.differing),
                group(difference.elements)
            ),
            format!("{:.6}", difference.largest),
            difference
                .sqnr_db
                .map_or_else(|| "-".to_owned(), |db| format!("{db:.1}")),
            percent(difference.argmax_agreement),
        ]
    };
    let header = ["", "tensor", "differ", "largest", "SQNR dB", "same arg-max"];
    let rows = differences.iter().map(row).collect();
    anstream::println!("{}", table(&header, rows, &[2, 3, 4, 5]));
}

/// A name short enough for a table: converters join the names of all that they fused.
fn short(name: &str) -> String {
    let last = name
        .rsplit(';')
        .find(|part| !part.is_empty())
        .unwrap_or(name);
    match last.char_indices().rev().nth(MOST_CHARACTERS - 1) {
        Some((at, _)) if at > 0 => format!("…{}", last.get(at..).unwrap_or_default()),
        _ => last.to_owned(),
    }
}

fn array(path: &Path) -> Result<NpyArray, Failure> {
    if path.extension().is_none_or(|extension| extension != "npz") {
        return Ok(NpyArray::read(path)?);
    }
    let fault =
        |fault: &dyn core::fmt::Display| Failure::Error(format!("{}: {fault}", path.display()));
    let mut reader = NpzReader::open(path).map_err(|e| fault(&e))?;
    reader.array("x").map_err(|e| fault(&e))
}
