//! `larun quantize`: a float model made smaller, by any scheme.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use larun::Model;
use larun::optimize::Progress;
use larun::passes::{Border, Budget, Effort, QuantizeOptions, Recipe, Scheme, Unsupported};
use larun::quant::ObserverKind;
use larun::quantize::{Plan, QuantizeReport, Request, Samples, quantize_file};

use super::dense::DenseArgs;
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
  larun quantize float.tflite --scheme int8 --optimize --calib samples.npy -o int8.tflite
  larun quantize float.tflite --scheme int16x8 --calib data.npz --io float -o int16.tflite
  larun quantize float.tflite --scheme dynamic -o dynamic.tflite
  larun quantize float.tflite --scheme int8 --calib samples.npy --eval test.npy --leave-float -o int8.tflite
  larun quantize float.tflite --scheme mixed --calib samples.npy --flash-kb 60 --ram-kb 40 -o mixed.tflite
  larun quantize float.tflite --recipe recipe.toml --calib samples.npy -o out.tflite

A recipe is a list of rules, in TOML or JSON; the last that fits a layer decides:
  [[rule]]
  activations = \"int8\"           # float32, int8, int16
  weights = \"int8\"               # float32, float16, int8, int4, binary
  [[rule]]
  operator = \"FULLY_CONNECTED\"   # the format's name, or *
  scope = \"^head/\"               # a regular expression on the names of a layer's results
  activations = \"int8\"
  weights = \"int4\"
  granularity = \"per-tensor\"     # per-tensor, per-channel
  algorithm = \"least-squares\"    # min-max, least-squares, octav
With real activations, mode is \"dynamic\" or \"weight-only\". ai-edge-quantizer's recipe files are read as they are.")]
pub(crate) struct Args {
    /// The float .tflite file
    model: PathBuf,

    /// What to quantise to
    #[arg(long, value_enum, required_unless_present = "recipe")]
    scheme: Option<SchemeName>,

    /// Rules for single layers, over the scheme; without one, layers that no rule names stay float
    #[arg(long, value_name = "R.toml|R.json")]
    recipe: Option<PathBuf>,

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

    /// How the range of an activation follows from the samples: min-max, moving-average, percentile, entropy, mse or octav,
    /// a parameter after `=` (percentile=99.9)
    #[arg(long, default_value_t)]
    observer: ObserverKind,

    /// Try several ways (channels equalised, ranges of least error, weights rounded for the least error of outputs) and keep
    /// the one whose outputs are nearest to the float model's on samples that it was not fitted to
    #[arg(long, conflicts_with = "plain")]
    optimize: bool,

    /// Do no more than round to the nearest: no bias correction
    #[arg(long)]
    plain: bool,

    /// Leave operators float that cannot be quantised, between DEQUANTIZE and QUANTIZE, instead of refusing the model
    #[arg(long)]
    leave_float: bool,

    /// Largest file of a mixed model, in KB of 1024 bytes
    #[arg(long, value_name = "KB")]
    flash_kb: Option<f64>,

    /// Largest arena of a mixed model, in KB of 1024 bytes
    #[arg(long, value_name = "KB")]
    ram_kb: Option<f64>,

    /// Largest share of samples whose result may change in a mixed model, in percent
    #[arg(long, value_name = "PERCENT")]
    max_drop: Option<f64>,

    /// Measure what quantising each layer alone would cost
    #[arg(long)]
    sensitivity: bool,

    #[command(flatten)]
    dense: DenseArgs,

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
    /// INT4, INT8 or INT16x8 for each layer, whatever does least harm within --flash-kb, --ram-kb and --max-drop
    Mixed,
}

impl SchemeName {
    const fn scheme(self) -> Scheme {
        match self {
            Self::Int8 | Self::Mixed => Scheme::Int8,
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
        let open = |path: &Option<PathBuf>| path.as_deref().map(|p| Samples::open(p, &model));
        let (calibration, evaluation) = (
            open(&self.calib).transpose()?,
            open(&self.eval).transpose()?,
        );
        let recipe = self.recipe.as_deref().map(read_recipe).transpose()?;
        let request = Request {
            options: self.options(),
            plan: self.plan(recipe.as_ref())?,
            sensitivity: self.sensitivity,
            observer: self.observer,
            effort: match (self.plain, self.optimize) {
                (true, _) => Effort::Plain,
                (false, false) => Effort::Default,
                (false, true) => Effort::Best,
            },
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
            return print_json("larun.quantize/1", &report);
        }
        self.print(&report);
        Ok(())
    }

    fn plan<'r>(&self, recipe: Option<&'r Recipe>) -> Result<Plan<'r>, Failure> {
        let bytes = |kb: Option<f64>| kb.map(|kb| (kb.max(0.0) * 1024.0) as usize);
        let budget = Budget {
            flash: bytes(self.flash_kb),
            ram: bytes(self.ram_kb),
            max_drop: self.max_drop.map(|percent| percent / 100.0),
        };
        let is_mixed = matches!(self.scheme, Some(SchemeName::Mixed));
        if !is_mixed && budget != Budget::default() {
            return Err(Failure::from(larun::Error::Usage(
                "--flash-kb, --ram-kb and --max-drop belong to --scheme mixed".to_owned(),
            )));
        }
        match (recipe, is_mixed) {
            (Some(_), true) => Err(Failure::from(larun::Error::Usage(
                "--scheme mixed chooses for every layer: give it no recipe".to_owned(),
            ))),
            (None, true) => Ok(Plan::Mixed(budget)),
            (Some(recipe), false) if self.scheme.is_some() => Ok(Plan::RecipeOver(recipe)),
            (Some(recipe), false) => Ok(Plan::Recipe(recipe)),
            (None, false) => Ok(Plan::Scheme),
        }
    }

    fn options(&self) -> QuantizeOptions {
        QuantizeOptions {
            scheme: self.scheme.map_or_else(Scheme::default, SchemeName::scheme),
            border: match self.io {
                Io::Float => Border::Float,
                Io::Int => Border::Integer,
            },
            dense: self.dense.weights(),
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
        if let Some(ways) = &report.ways {
            rows.push(("for quality", ways.clone()));
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
        if let Some(mixed) = &report.mixed {
            let foretold = format!(
                "{:.1} dB foretold, {:.1} dB measured on {} samples",
                mixed.predicted_sqnr_db, mixed.measured_sqnr_db, mixed.samples
            );
            rows.push(("mixed precision", foretold));
            rows.push(("other results", percent(mixed.drop)));
            rows.push(("arena", bytes(mixed.ram_bytes as u64)));
        }
        rows.push(("file", self.output.display().to_string()));
        if !report.sensitivity.is_empty() {
            anstream::println!("{}\n", sensitivity_table(report));
        }
        if self.layers {
            let layers = report.layers.iter();
            let row = |layer: &larun::quantize::LayerReport| {
                vec![layer.op.clone(), short(&layer.name), layer.scheme.clone()]
            };
            let header = ["operator", "result", "became"];
            anstream::println!("{}\n", table(&header, layers.map(row).collect(), &[]));
        }
        anstream::println!("{}", pairs(&rows));
    }
}

/// The end of a name: converters join those of all that was fused.
fn short(name: &str) -> String {
    const LONGEST: usize = 40;
    let last = name.rsplit(';').next().unwrap_or(name);
    match last.char_indices().rev().nth(LONGEST - 1) {
        Some((at, _)) if at > 0 => format!("..{}", last.get(at..).unwrap_or(last)),
        _ => last.to_owned(),
    }
}

/// What each way to quantise each layer costs; a star marks the one that was chosen.
fn sensitivity_table(report: &QuantizeReport) -> String {
    let rows = report.sensitivity.iter().flat_map(|layer| {
        layer.options.iter().enumerate().map(|(at, option)| {
            let star = if layer.chosen == Some(at) { "*" } else { "" };
            let noise = option
                .sqnr_db
                .map_or_else(|| "none".to_owned(), |db| format!("{db:.1}"));
            let first = |text: &String| if at == 0 { text.clone() } else { String::new() };
            vec![
                first(&layer.op),
                first(&short(&layer.name)),
                star.to_owned(),
                option.scheme.clone(),
                noise,
                bytes(option.bytes as u64),
            ]
        })
    });
    let header = ["operator", "result", "", "quantised alone", "dB", "takes"];
    table(&header, rows.collect(), &[4, 5])
}

fn read_recipe(path: &Path) -> Result<Recipe, Failure> {
    let usage = |fault: &dyn core::fmt::Display| {
        Failure::from(larun::Error::Usage(format!("{}: {fault}", path.display())))
    };
    let text = std::fs::read_to_string(path).map_err(|fault| usage(&fault))?;
    Recipe::parse(&text).map_err(|fault| usage(&fault))
}
