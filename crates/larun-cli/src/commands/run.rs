//! `larun run`: inferences with arrays from files.

use std::path::{Path, PathBuf};

use larun::Model;
use larun::runtime::run::{DumpedTensor, Mode, run_sets};
use larun::zoo::npy::NpyArray;
use serde::Serialize;

use super::print_json;
use crate::failure::Failure;
use crate::render::{shape, table};

/// Run a model on arrays and write its outputs as out0.npy, out1.npy and so on
///
/// Arrays have the shapes and element types of the model's own tensors, unless --float is given.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun run model.tflite --input x.npy --output-dir out
  larun run model.tflite --input x.npy --float --output-dir out
  larun run model.tflite --input batch.npy --sets --output-dir out
  larun run model.tflite --input x.npy --dump-tensors --output-dir out")]
pub(crate) struct Args {
    /// The .tflite file
    model: PathBuf,

    /// An array for each input, in order
    #[arg(long = "input", value_name = "A.npy", required = true)]
    inputs: Vec<PathBuf>,

    /// The folder to write to; made if missing
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,

    /// The leading axis of every input counts sets, run in order in one interpreter; outputs are stacked alike
    #[arg(long)]
    sets: bool,

    /// Clear the model's state before every set
    #[arg(long, requires = "sets")]
    reset: bool,

    /// Take and give real numbers: quantise inputs and dequantise outputs as the model says
    #[arg(long)]
    float: bool,

    /// Write what every operator gives as well: tensors/NODE_OPERATOR_TENSOR.npy, in the tensors' own element types
    #[arg(long)]
    dump_tensors: bool,

    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Written {
    /// The outputs of the model, and the inner values that were asked for.
    outputs: Vec<Output>,
}

#[derive(Serialize)]
struct Output {
    /// The .npy file.
    file: PathBuf,
    /// What its elements are.
    element_type: String,
    /// Its shape.
    shape: Vec<usize>,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let model = Model::open(&self.model)?;
        let inputs: Result<Vec<_>, _> = self
            .inputs
            .iter()
            .map(|path| NpyArray::read(path))
            .collect();
        let mode = Mode {
            sets: self.sets,
            reset: self.reset,
            float: self.float,
            dump: self.dump_tensors,
        };
        let outcome = run_sets(&model, &inputs?, mode)?;
        let mut written = write(&self.output_dir, &outcome.outputs)?;
        if self.dump_tensors {
            written.extend(dump(&self.output_dir.join("tensors"), &outcome.tensors)?);
        }
        if self.json {
            return print_json("larun.run/1", &Written { outputs: written });
        }
        let row = |output: &Output| {
            let file = output.file.display().to_string();
            vec![file, output.element_type.clone(), shape(&output.shape)]
        };
        let rows = written.iter().map(row).collect();
        anstream::println!("{}", table(&["file", "elements", "shape"], rows, &[]));
        Ok(())
    }
}

fn write(dir: &Path, outputs: &[NpyArray]) -> Result<Vec<Output>, Failure> {
    std::fs::create_dir_all(dir).map_err(larun::Error::io(dir))?;
    let files = (0..).map(|i| dir.join(format!("out{i}.npy")));
    files
        .zip(outputs)
        .map(|(file, array)| write_array(file, array))
        .collect()
}

fn dump(dir: &Path, tensors: &[DumpedTensor]) -> Result<Vec<Output>, Failure> {
    std::fs::create_dir_all(dir).map_err(larun::Error::io(dir))?;
    let name = |tensor: &DumpedTensor| {
        let DumpedTensor {
            node, op, tensor, ..
        } = tensor;
        dir.join(format!("{node:03}_{op}_{tensor}.npy"))
    };
    tensors
        .iter()
        .map(|tensor| write_array(name(tensor), &tensor.array))
        .collect()
}

fn write_array(file: PathBuf, array: &NpyArray) -> Result<Output, Failure> {
    array.write(&file)?;
    Ok(Output {
        file,
        element_type: array.element_type().name().to_owned(),
        shape: array.shape().to_vec(),
    })
}
