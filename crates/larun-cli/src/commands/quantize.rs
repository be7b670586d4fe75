//! `larun quantize`: a float model made smaller, by any scheme.

use std::path::PathBuf;

use clap::ValueEnum;
use larun::Model;
use larun::optimize::Progress;
use larun::passes::{Border, DenseWeights, QuantizeOptions, Scheme, Unsupported};
use larun::quantize::{QuantizeReport, Request, Samples, quantize_file};

use super::print_json;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::render::{bytes, pairs, percent, table};

/// Quantise a float model with sample data
///
/// Runs the samples through the float model to see the range of every tensor, writes a model of integers, and runs both on
/// the same samples to say how far they are apart.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun quantize float.tflite --scheme int8 --calib samples.npy -o int8.tflite
  larun quantize float.tflite --scheme int16x8 --calib data.npz --io float -o int16.tflite
  larun quantize float.tflite --scheme dynamic -o dynamic.tflite
  larun quantize float.tflite --scheme int8 --calib samples.npy --eval test.npy --leave-float -o int8.tflite")]
pub(crate) struct Args {
    /// The float .tflite file
    model: PathBuf,

    /// What to quantise to
    #[arg(long, value_enum)]
    scheme: SchemeName,

    /// Samples like the model's real inputs: .npy, or .npz with an array named after each input or x; the leading axis counts samples.
    /// Schemes with real activations do without
    #[arg(long, value_name = "C.npz|C.npy")]
    calib: Option<PathBuf>,

    /// Samples for the comparison with the float model; those of --calib where it is not given
    #[arg(long, value_name = "E.npz|E.npy")]
    eval: Option<PathBuf>,

    /// What inputs and outputs of the new model are
    #[arg(long, value_enum, default_value_t = Io::Int)]
    io: Io,

    /// Leave operators float that cannot be quantised, between DEQUANTIZE and QUANTIZE, instead of refusing the model
    #[arg(long)]
    leave_float: bool,

    /// One weight scale per output of dense layers too; runtimes from before 2024 misread such files
    #[arg(long)]
    per_channel_dense: bool,

    /// Show what became of each layer
    #[arg(long)]
    layers: bool,

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
enum SchemeName {
    /// INT8 weights and activations, INT32 biases, per-channel weight scales
    Int8,
    /// INT16 activations, INT8 weights, INT64 biases
    Int16x8,
    /// INT8 activations; INT4 weights of convolutions and dense layers
    Int4,
    /// INT8 activations; weights of one bit but for the first and last layer (TFLM and LARUN run it)
    Binary,
    /// Real activations quantised while the model runs, INT8 weights (LiteRT and LARUN run it)
    Dynamic,
    /// Real activations, INT8 weights behind a DEQUANTIZE
    WeightOnly,
    /// Real activations, INT4 weights behind a DEQUANTIZE
    WeightOnlyInt4,
    /// Real activations, every constant FLOAT16 behind a DEQUANTIZE
    Fp16,
}

impl SchemeName {
    const fn scheme(self) -> Scheme {
        match self {
            Self::Int8 => Scheme::Int8,
            Self::Int16x8 => Scheme::Int16x8,
            Self::Int4 => Scheme::Int4,
            Self::Binary => Scheme::Binary,
            Self::Dynamic => Scheme::Dynamic,
            Self::WeightOnly => Scheme::WeightOnly8,
            Self::WeightOnlyInt4 => Scheme::WeightOnly4,
            Self::Fp16 => Scheme::Float16,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Io {
    /// FLOAT32, converted at the border
    Float,
    /// The integers that the first and last layers compute on
    Int,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let model = Model::open(&self.model)?;
        let graph = model.graph()?;
        let open = |path: &Option<PathBuf>| path.as_deref().map(|p| Samples::open(p, &graph));
        let (calibration, evaluation) = (
            open(&self.calib).transpose()?,
            open(&self.eval).transpose()?,
        );
        let request = Request {
            options: self.options(),
            calibration: calibration.as_ref(),
            evaluation: evaluation.as_ref(),
        };
        let mut reporter = Reporter::new(self.quiet);
        reporter.stage("quantising");
        let progress = |done, total| reporter.samples(done, total);
        let report = quantize_file(&model, &request, &self.output, progress)?;
        if !self.quiet {
            for warning in &report.warnings {
                anstream::eprintln!("warning: {warning}");
            }
        }
        if self.json {
            return print_json(&report);
        }
        self.print(&report);
        Ok(())
    }

    fn options(&self) -> QuantizeOptions {
        QuantizeOptions {
            scheme: self.scheme.scheme(),
            border: match self.io {
                Io::Float => Border::Float,
                Io::Int => Border::Integer,
            },
            dense: match self.per_channel_dense {
                true => DenseWeights::PerChannel,
                false => DenseWeights::PerTensor,
            },
            unsupported: match self.leave_float {
                true => Unsupported::LeaveFloat,
                false => Unsupported::Refuse,
            },
            ..QuantizeOptions::default()
        }
    }

    fn print(&self, report: &QuantizeReport) {
        let mut rows = vec![
            (
                "size",
                format!(
                    "{} float, {} {}",
                    bytes(report.float_bytes),
                    bytes(report.quantized_bytes),
                    report.scheme
                ),
            ),
            ("compression", format!("{:.2} times", report.ratio)),
        ];
        if report.calibration_samples > 0 {
            let samples = format!("{} samples", report.calibration_samples);
            rows.push(("calibrated with", samples));
        }
        if report.evaluation_samples > 0 {
            let on = format!("on {} samples", report.evaluation_samples);
            let sqnr = match report.sqnr_db {
                Some(db) => format!("{db:.1} dB {on}"),
                None => format!("equal to the float model {on}"),
            };
            rows.push(("signal to noise", sqnr));
            let agreement = report.argmax_agreement.unwrap_or(1.0);
            rows.push(("arg-max agreement", format!("{} {on}", percent(agreement))));
        }
        let left = report
            .layers
            .iter()
            .filter(|layer| layer.left_float.is_some());
        for layer in left {
            let reason = layer.left_float.as_deref().unwrap_or_default();
            rows.push((
                "left float",
                format!("{} `{}`: {reason}", layer.op, layer.name),
            ));
        }
        rows.push(("file", self.output.display().to_string()));
        if self.layers {
            let layers = report.layers.iter();
            let row = |layer: &larun::quantize::LayerReport| {
                vec![layer.op.clone(), layer.name.clone(), layer.scheme.clone()]
            };
            let header = ["operator", "result", "became"];
            anstream::println!("{}\n", table(&header, layers.map(row).collect(), &[]));
        }
        anstream::println!("{}", pairs(&rows));
    }
}
