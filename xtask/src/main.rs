//! Chores of the workspace, run as `cargo xtask <command>`.

mod bench;
mod codegen;
mod compress;
mod conformance;
mod costs;
mod docs;
mod firmware;
mod models;
mod page;
mod release;
mod tasks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// LARUN's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One file of this crate for each.
#[derive(Subcommand)]
enum Command {
    /// Time models beside the real runtimes
    Bench(bench::Args),
    /// Turn crates/larun-tflite/schema/tflite.fbs into crates/larun-tflite/src/generated
    Codegen(codegen::Args),
    /// Run the operator cases and models of the corpus through the micro-interpreter
    #[command(disable_help_flag = true)]
    Conformance(conformance::Args),
    /// Count the instructions of many layers in QEMU and fit larun-device's cost model to them
    CalibrateCosts(costs::Args),
    /// Make what the pages of docs show of the code: tables, outputs of commands, figures; check links
    Docs(docs::Args),
    /// Run what every change must pass: the same steps as a release, less what a release alone needs
    Ci(release::CiArgs),
    /// Run the firmware examples in QEMU, compare their bytes with this machine's, and measure models
    Firmware(firmware::Args),
    /// Check everything, pack everything, build the command and its files; publishes nothing unless told
    Release(release::Args),
}

fn main() -> ExitCode {
    let result: Result<ExitCode, Box<dyn core::error::Error>> = match Cli::parse().command {
        Command::Bench(args) => bench::run(&args).map_err(Into::into),
        Command::Codegen(args) => codegen::run(&args)
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
        Command::Conformance(args) => conformance::run(&args).map_err(Into::into),
        Command::CalibrateCosts(args) => costs::run(&args).map_err(Into::into),
        Command::Docs(args) => docs::run(&args).map_err(Into::into),
        Command::Ci(args) => release::run_ci(&args).map_err(Into::into),
        Command::Firmware(args) => firmware::run(&args).map_err(Into::into),
        Command::Release(args) => release::run(&args).map_err(Into::into),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// The folder of the workspace, whatever folder the command was started in.
fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
