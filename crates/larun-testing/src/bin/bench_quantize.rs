//! `bench_quantize`: how near to its float model a quantised one is, for `cargo xtask bench quantize`.

use core::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels::ALL;
use larun_micro::{ElementType, Interpreter};
use larun_passes::{Effort, PostTraining, quantize_after_training};
use larun_quant::Affine;
use larun_quant::measure::ErrorMeter;
use larun_testing::{QuantModel, quant_models};
use serde::Serialize;

/// Quantise the float models of a corpus and measure how near the outputs stay
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Signal to quantisation noise of the outputs, beside the files of other converters
    Sqnr(SqnrArgs),
    /// Quantise one model and print seconds and peak memory as JSON
    Convert {
        /// A folder of the corpus
        model: PathBuf,
        /// As `larun quantize --optimize`
        #[arg(long)]
        optimize: bool,
    },
}

#[derive(clap::Args)]
struct SqnrArgs {
    /// Where the models are: a corpus, or a folder of folders with tf_fp32, calib.npy and test.npy
    #[arg(long, value_name = "DIR", env = "LARUN_CORPUS")]
    corpus: PathBuf,
    /// Only models whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

type Fault = Box<dyn Error>;

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Sqnr(args) => sqnr(&args),
        Command::Convert { model, optimize } => convert(&model, optimize).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// What was measured of a model, in decibels.
#[derive(Serialize)]
struct Row {
    model: String,
    /// TensorFlow's file in our interpreter, and as the corpus records another's.
    tensorflow: Option<f64>,
    tensorflow_recorded: Option<f64>,
    ai_edge_quantizer: Option<f64>,
    ai_edge_quantizer_recorded: Option<f64>,
    default: Option<f64>,
    optimize: Option<f64>,
    /// What `optimize` chose.
    ways: String,
    /// Why there is no figure.
    failed: Option<String>,
}

impl Row {
    fn best_peer(&self) -> Option<f64> {
        let peers = [
            self.tensorflow,
            self.tensorflow_recorded,
            self.ai_edge_quantizer,
            self.ai_edge_quantizer_recorded,
        ];
        peers.into_iter().flatten().reduce(f64::max)
    }

    fn print(&self) {
        let db = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |db| format!("{db:.2}"));
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            self.model,
            db(self.tensorflow),
            db(self.ai_edge_quantizer),
            db(self.default),
            db(self.optimize),
            self.failed.as_ref().unwrap_or(&self.ways),
        );
    }
}

/// How far below the better peer a model may be.
const TOLERANCE_DB: f64 = 0.3;

/// Measures all models; whether the bounds hold.
fn sqnr(args: &SqnrArgs) -> Result<bool, Fault> {
    println!(
        "| model | TensorFlow | ai-edge-quantizer | default | `--optimize` | what `--optimize` chose |"
    );
    println!("|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for model in quant_models(&args.corpus)? {
        if model.name.contains(&args.filter) {
            let row = measure(&model)?;
            row.print();
            rows.push(row);
        }
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    let judged: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.best_peer()?)))
        .collect();
    let count = |holds: &dyn Fn(&Row, f64) -> bool| {
        judged
            .iter()
            .filter(|(row, peer)| holds(row, *peer))
            .count()
    };
    let above = |ours: Option<f64>, peer: f64| ours.is_some_and(|ours| ours > peer);
    let near = count(&|row, peer| above(row.default, peer - TOLERANCE_DB));
    let default = count(&|row, peer| above(row.default, peer));
    let optimize = count(&|row, peer| above(row.optimize, peer));
    let all = judged.len();
    println!(
        "\nbeside the better of the two: default within {TOLERANCE_DB} dB or above on {near} of {all}, above on {default}; with --optimize above on {optimize}"
    );
    Ok(near == all && 2 * default >= all && 10 * optimize >= 9 * all)
}

fn measure(model: &QuantModel) -> Result<Row, Fault> {
    let peer = |variant| -> Result<(Option<f64>, Option<f64>), Fault> {
        let Some(peer) = model.converted(variant)? else {
            return Ok((None, None));
        };
        let found = outputs(&peer.model, &model.test);
        let db = found.and_then(|found| sqnr_db(&model.outputs, &found)).ok();
        Ok((db, peer.sqnr_db))
    };
    let (tensorflow, tensorflow_recorded) = peer("tf_int8")?;
    let (ai_edge_quantizer, ai_edge_quantizer_recorded) = peer("aeq_int8")?;
    let ours = |effort| {
        let (bytes, ways) = quantize(model, effort)?;
        let db = sqnr_db(&model.outputs, &outputs(&bytes, &model.test)?)?;
        Ok::<_, Fault>((db, ways))
    };
    let (default, optimize) = (ours(Effort::Default), ours(Effort::Best));
    let failed = default.as_ref().err().map(ToString::to_string);
    let (optimize, ways) = optimize.map_or((None, String::new()), |(db, ways)| (Some(db), ways));
    Ok(Row {
        model: model.name.clone(),
        tensorflow,
        tensorflow_recorded,
        ai_edge_quantizer,
        ai_edge_quantizer_recorded,
        default: default.ok().map(|(db, _)| db),
        optimize,
        ways,
        failed,
    })
}

/// The model quantised to INT8, and how.
fn quantize(model: &QuantModel, effort: Effort) -> Result<(Vec<u8>, String), Fault> {
    let graph = larun_tflite::read(&model.float)?;
    let samples: Vec<_> = model
        .calibration
        .iter()
        .map(|sample| vec![sample.as_slice()])
        .collect();
    let options = PostTraining {
        effort,
        ..PostTraining::default()
    };
    let done = quantize_after_training(graph, &samples, &options, |_, _| ())?;
    Ok((larun_tflite::write(&done.quantized.graph)?, done.ways))
}

/// A model's first output as real numbers.
fn outputs(model: &[u8], samples: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, Fault> {
    let model = AlignedBytes::copy_of(model);
    let mut arena = arena_for(&model, ALL).map_err(|e| e.to_string())?;
    let mut interpreter = Interpreter::new(&model, ALL, &mut arena).map_err(|e| e.to_string())?;
    let affine = |info: larun_micro::TensorInfo<'_>| {
        let (scale, zero_point) = info.scale_and_zero_point()?;
        Some(Affine::new(scale, zero_point)).filter(|_| info.element_type == ElementType::Int8)
    };
    let mut all = Vec::new();
    for sample in samples {
        interpreter.reset()?;
        match affine(interpreter.input_info(0)?) {
            Some(affine) => interpreter.set_input(0, &affine.quantize_to_vec_i8(sample)?)?,
            None => interpreter.set_input(0, sample)?,
        }
        interpreter.invoke()?;
        all.push(match affine(interpreter.output_info(0)?) {
            Some(affine) => affine.dequantize_to_vec_i8(interpreter.output::<i8>(0)?),
            None => interpreter.output::<f32>(0)?.to_vec(),
        });
    }
    Ok(all)
}

/// Ten times the logarithm of the sum of the reference's squares over that of the differences', over all samples.
fn sqnr_db(reference: &[Vec<f32>], found: &[Vec<f32>]) -> Result<f64, Fault> {
    let mut meter = ErrorMeter::new();
    for (reference, found) in reference.iter().zip(found) {
        meter.add(reference, found)?;
    }
    Ok(meter.measures()?.sqnr_db)
}

#[derive(Serialize)]
struct Converted {
    seconds: f64,
    peak_mb: f64,
    bytes: usize,
}

fn convert(dir: &std::path::Path, optimize: bool) -> Result<(), Fault> {
    let model = QuantModel::read(dir.to_owned())?;
    let effort = match optimize {
        true => Effort::Best,
        false => Effort::Default,
    };
    let start = Instant::now();
    let (bytes, _) = quantize(&model, effort)?;
    let converted = Converted {
        seconds: start.elapsed().as_secs_f64(),
        peak_mb: peak_memory_mb(),
        bytes: bytes.len(),
    };
    println!("{}", serde_json::to_string(&converted)?);
    Ok(())
}

/// The most memory that this process has held, as Linux counts it; 0 elsewhere.
fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
