//! `cargo xtask bench`: LARUN beside the real runtimes and converters.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::workspace_root;

/// INT8 models of MLPerf Tiny in the corpus.
const MODELS: [&str; 5] = [
    "kws_int8",
    "ic_resnet8_int8",
    "vww_int8",
    "ad01_int8",
    "sww_int8",
];

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    machine: Machine,
}

/// Where models are timed.
#[derive(clap::Subcommand)]
enum Machine {
    /// On this machine, beside LiteRT with XNNPACK and TensorFlow Lite Micro
    Host(HostArgs),
    /// Compression: four tasks quantised, pruned, distilled; accuracy, bytes, arena and MACs of each
    Compress(crate::compress::Args),
    /// Models compiled to source on a Cortex-M4 in QEMU, beside the interpreter and TensorFlow Lite Micro
    Firmware(crate::firmware::compiled::Args),
    /// Quantisation: nearness of the outputs to the float model's, and time and memory, beside other converters
    Quantize(QuantizeArgs),
    /// Training: seconds of an epoch beside Keras, on the same networks, batches and data
    Train(TrainArgs),
    /// Test accuracy of trained networks by quantisation scheme, on labelled data
    Schemes(SchemesArgs),
    /// LARUN's networks: trained on real data and measured, for docs/models.md
    Models(crate::models::Args),
}

#[derive(clap::Args)]
struct TrainArgs {
    /// A Python that has tensorflow
    #[arg(long, value_name = "PYTHON")]
    tensorflow: PathBuf,
    /// Rounds in which both take turns
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Epochs in each round; the first is not counted
    #[arg(long, default_value_t = 4)]
    epochs: u32,
    /// Threads of each
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(clap::Args)]
struct SchemesArgs {
    /// A Python that has numpy
    #[arg(long, default_value = "target/ci/venv/bin/python")]
    python: PathBuf,
    /// Which data sets; none: five of light curves and spectra
    #[arg(long, value_delimiter = ',')]
    sets: Vec<String>,
    /// Seeds that each network is trained from
    #[arg(long, default_value_t = 3)]
    seeds: u32,
    /// Epochs of training
    #[arg(long, default_value_t = 30)]
    epochs: u32,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(clap::Args)]
struct QuantizeArgs {
    /// Where the float models are: a corpus, or a folder of folders with tf_fp32, calib.npy and test.npy
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Only models whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// Measure seconds and peak memory, not nearness
    #[arg(long, requires = "tensorflow", requires = "ai_edge")]
    time: bool,
    /// Time networks made with Keras instead, from which TensorFlow's whole converter starts
    #[arg(long, requires = "time")]
    keras: bool,
    /// A Python that has tensorflow
    #[arg(long, value_name = "PYTHON")]
    tensorflow: Option<PathBuf>,
    /// A Python that has ai-edge-quantizer
    #[arg(long, value_name = "PYTHON")]
    ai_edge: Option<PathBuf>,
    /// Rounds in which the converters take turns
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(clap::Args)]
struct HostArgs {
    /// Models to time; none: the INT8 models of MLPerf Tiny in the corpus that LARUN_CORPUS names
    models: Vec<PathBuf>,
    /// A Python that has numpy, tflite-micro and ai-edge-litert
    #[arg(long, default_value = "target/ci/venv/bin/python")]
    python: PathBuf,
    /// Rounds in which the runtimes take turns
    #[arg(long, default_value_t = 11)]
    rounds: u32,
    /// Invocations in each round
    #[arg(long, default_value_t = 50)]
    runs: u32,
    /// Write the times as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Why the run failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: io::Error },
    #[error("name models, or set LARUN_CORPUS to the folder of the corpus")]
    NoCorpus,
    #[error(
        "set LARUN_DATA and LARUN_CORPUS to the folders of the labelled samples and of the corpus"
    )]
    NoData,
    #[error("there is no task {0}: `--help` lists them")]
    NoTask(String),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("{command} failed: {message}")]
    Failed { command: String, message: String },
    #[error(transparent)]
    Firmware(#[from] crate::firmware::Error),
}

/// Builds the program that times LARUN and runs the script that times all.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    match &args.machine {
        Machine::Host(args) => host(args),
        Machine::Compress(args) => crate::compress::run(args),
        Machine::Firmware(args) => Ok(crate::firmware::compiled::run(args)?),
        Machine::Quantize(args) => quantize(args),
        Machine::Train(args) => train(args),
        Machine::Models(args) => crate::models::run(args),
        Machine::Schemes(args) => schemes(args),
    }
}

/// Trained float models are kept in `target/schemes`.
fn schemes(args: &SchemesArgs) -> Result<ExitCode, Error> {
    let root = workspace_root();
    let data = std::env::var_os("LARUN_DATA").ok_or(Error::NoData)?;
    let built = build_with(&root, &["larun-cli", "--bin", "larun"])?;
    if built != ExitCode::SUCCESS {
        return Ok(built);
    }
    let mut script = Command::new(python(&root, &args.python));
    script.arg(root.join("xtask/scripts/bench_schemes.py"));
    script.arg(built_program(&root, "larun")).arg(data);
    script.arg("--work").arg(root.join("target/schemes"));
    script.args(["--seeds", &args.seeds.to_string()]);
    script.args(["--epochs", &args.epochs.to_string()]);
    if !args.sets.is_empty() {
        script.args(["--sets", &args.sets.join(",")]);
    }
    if let Some(json) = &args.json {
        script.arg("--json").arg(json);
    }
    status(&mut script)
}

/// Relative to the folder that the command was started in, or else to the workspace.
fn python(root: &Path, python: &Path) -> PathBuf {
    match python.exists() {
        true => python.to_owned(),
        false => root.join(python),
    }
}

fn train(args: &TrainArgs) -> Result<ExitCode, Error> {
    let root = workspace_root();
    let built = build_with(&root, &["larun-train", "--example", "epoch"])?;
    if built != ExitCode::SUCCESS {
        return Ok(built);
    }
    let mut script = Command::new(&args.tensorflow);
    script.arg(root.join("xtask/scripts/bench_train.py"));
    script.arg(built_program(&root, "examples/epoch"));
    script.arg("--keras").arg(&args.tensorflow);
    script.args(["--rounds", &args.rounds.to_string()]);
    script.args(["--epochs", &args.epochs.to_string()]);
    script.args(["--threads", &args.threads.to_string()]);
    if let Some(json) = &args.json {
        script.arg("--json").arg(json);
    }
    status(&mut script)
}

fn host(args: &HostArgs) -> Result<ExitCode, Error> {
    let root = workspace_root();
    let models = if args.models.is_empty() {
        corpus_models()?
    } else {
        args.models.clone()
    };
    let built = build(&root, "bench_host")?;
    if built != ExitCode::SUCCESS {
        return Ok(built);
    }
    let program = built_program(&root, "bench_host");
    let mut script = Command::new(python(&root, &args.python));
    script.arg(root.join("xtask/scripts/bench_host.py"));
    script.arg(program);
    script.args(["--rounds", &args.rounds.to_string()]);
    script.args(["--runs", &args.runs.to_string()]);
    if let Some(json) = &args.json {
        script.arg("--json").arg(json);
    }
    status(script.arg("--").args(models))
}

fn quantize(args: &QuantizeArgs) -> Result<ExitCode, Error> {
    let root = workspace_root();
    let built = build(&root, "bench_quantize")?;
    if built != ExitCode::SUCCESS {
        return Ok(built);
    }
    let program = built_program(&root, "bench_quantize");
    let corpus = match (args.keras, &args.tensorflow) {
        (true, Some(python)) => keras_networks(&root, python)?,
        _ => {
            let corpus = args.corpus.clone();
            let corpus = corpus.or_else(|| std::env::var_os("LARUN_CORPUS").map(PathBuf::from));
            corpus.ok_or(Error::NoCorpus)?
        }
    };
    let mut command = match (args.time, &args.tensorflow, &args.ai_edge) {
        (true, Some(tensorflow), Some(ai_edge)) => {
            let mut script = Command::new(ai_edge);
            script.arg(root.join("xtask/scripts/bench_quantize.py"));
            script.arg(program).arg("--tensorflow").arg(tensorflow);
            script.arg("--ai-edge").arg(ai_edge);
            script.args(["--rounds", &args.rounds.to_string()]);
            script
        }
        _ => {
            let mut command = Command::new(program);
            command.arg("sqnr").arg("--corpus").arg(&corpus);
            command.args(["--filter", &args.filter]);
            command
        }
    };
    if let Some(json) = &args.json {
        command.arg("--json").arg(json);
    }
    if args.time {
        command.args(quant_folders(&corpus, &args.filter)?);
    }
    status(&mut command)
}

/// The folder of the networks made with Keras, which are made where they are not there yet.
fn keras_networks(root: &Path, python: &Path) -> Result<PathBuf, Error> {
    let folder = root.join("target/bench_keras");
    let mut script = Command::new(python);
    script.arg(root.join("xtask/scripts/keras_networks.py"));
    status(script.arg(&folder))?;
    Ok(folder)
}

/// The folders of the float models.
fn quant_folders(corpus: &Path, filter: &str) -> Result<Vec<PathBuf>, Error> {
    let quant = corpus.join("quant");
    let folder = if quant.is_dir() { &quant } else { corpus };
    let entries = std::fs::read_dir(folder).map_err(|_| Error::NoCorpus)?;
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.contains(filter) && path.join("tf_fp32/model.tflite").exists()
    };
    let mut folders: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(named)
        .collect();
    folders.sort();
    Ok(folders)
}

fn corpus_models() -> Result<Vec<PathBuf>, Error> {
    let corpus = std::env::var_os("LARUN_CORPUS").ok_or(Error::NoCorpus)?;
    let models = Path::new(&corpus).join("models/mlperf_tiny");
    Ok(MODELS
        .map(|name| models.join(name).join("model.tflite"))
        .to_vec())
}

pub(crate) fn built_program(root: &Path, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let program = root.join(target).join("release").join(name);
    program.with_extension(std::env::consts::EXE_EXTENSION)
}

fn build(root: &Path, program: &str) -> Result<ExitCode, Error> {
    build_with(root, &["larun-testing", "--bin", program])
}

pub(crate) fn build_with(root: &Path, package: &[&str]) -> Result<ExitCode, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--package"]);
    command.args(package);
    status(command.current_dir(root))
}

fn status(command: &mut Command) -> Result<ExitCode, Error> {
    let program = |name: &OsStr| name.to_string_lossy().into_owned();
    let status = command.status().map_err(|source| Error::Start {
        program: program(command.get_program()),
        source,
    })?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
