//! `cargo xtask bench`: how fast LARUN is beside the real runtimes.

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
}

/// Builds the program that times LARUN and runs the script that times all.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let Machine::Host(args) = &args.machine;
    let root = workspace_root();
    let models = if args.models.is_empty() {
        corpus_models()?
    } else {
        args.models.clone()
    };
    let built = build(&root)?;
    if built != ExitCode::SUCCESS {
        return Ok(built);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let program = root.join(target).join("release/bench_host");
    // Relative to the folder that the command was started in, or else to the workspace.
    let python = match args.python.exists() {
        true => args.python.clone(),
        false => root.join(&args.python),
    };
    let mut script = Command::new(python);
    script.arg(root.join("xtask/scripts/bench_host.py"));
    script.arg(program.with_extension(std::env::consts::EXE_EXTENSION));
    script.args(["--rounds", &args.rounds.to_string()]);
    script.args(["--runs", &args.runs.to_string()]);
    if let Some(json) = &args.json {
        script.arg("--json").arg(json);
    }
    status(script.arg("--").args(models))
}

fn corpus_models() -> Result<Vec<PathBuf>, Error> {
    let corpus = std::env::var_os("LARUN_CORPUS").ok_or(Error::NoCorpus)?;
    let models = Path::new(&corpus).join("models/mlperf_tiny");
    Ok(MODELS
        .map(|name| models.join(name).join("model.tflite"))
        .to_vec())
}

fn build(root: &Path) -> Result<ExitCode, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--package"]);
    command.args(["larun-testing", "--bin", "bench_host"]);
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
