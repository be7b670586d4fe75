//! `larun quantize`: a float model made integer.

use std::path::PathBuf;

use clap::ValueEnum;
use larun::Model;
use larun::optimize::Progress;
use larun::passes::{Border, DenseWeights, QuantizeOptions};
use larun::quantize::{Samples, quantize_file};

use super::print_json;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::render::{bytes, pairs};

/// Quantise a float model with sample data
///
/// Runs the samples through the float model to see the range of every tensor, then writes a model of integers.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun quantize float.tflite --scheme int8 --calib samples.npy -o int8.tflite
  larun quantize float.tflite --scheme int8 --calib data.npz --io float -o int8.tflite")]
pub(crate) struct Args {
    /// The float .tflite file
    model: PathBuf,

    /// What to quantise to
    #[arg(long, value_enum)]
    scheme: Scheme,

    /// Samples like the model's real inputs: .npy, or .npz with an array named after each input or x; the leading axis counts samples
    #[arg(long, value_name = "C.npz|C.npy")]
    calib: PathBuf,

    /// What inputs and outputs of the new model are
    #[arg(long, value_enum, default_value_t = Io::Int)]
    io: Io,

    /// One weight scale per output of dense layers too; runtimes from before 2024 misread such files
    #[arg(long)]
    per_channel_dense: bool,

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
enum Scheme {
    /// INT8 weights and activations, INT32 biases, per-channel weight scales
    Int8,
}

#[derive(Clone, Copy, ValueEnum)]
enum Io {
    /// FLOAT32, converted at the border
    Float,
    /// INT8
    Int,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Scheme::Int8 = self.scheme;
        let model = Model::open(&self.model)?;
        let samples = Samples::open(&self.calib, &model.graph()?)?;
        let options = QuantizeOptions {
            border: match self.io {
                Io::Float => Border::Float,
                Io::Int => Border::Integer,
            },
            dense: match self.per_channel_dense {
                true => DenseWeights::PerChannel,
                false => DenseWeights::PerTensor,
            },
        };
        let mut reporter = Reporter::new(self.quiet);
        reporter.stage("calibrating");
        let progress = |done, total| reporter.samples(done, total);
        let report = quantize_file(&model, &samples, &options, &self.output, progress)?;
        if self.json {
            return print_json(&report);
        }
        anstream::println!(
            "{}",
            pairs(&[
                (
                    "size",
                    format!(
                        "{} float, {} INT8",
                        bytes(report.float_bytes),
                        bytes(report.quantized_bytes)
                    )
                ),
                ("compression", format!("{:.2} times", report.ratio)),
                (
                    "calibrated with",
                    format!("{} samples", report.calibration_samples)
                ),
                ("file", self.output.display().to_string()),
            ])
        );
        Ok(())
    }
}
