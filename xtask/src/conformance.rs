//! `cargo xtask conformance`: the runner of larun-testing.
//!
//! It is a program of its own, so that code generation does not depend on the code that it generates.

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitCode};

use crate::workspace_root;

/// What the command takes: what the runner does.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Builds the runner and runs it.
///
/// # Errors
/// When cargo cannot be started.
pub(crate) fn run(args: &Args) -> io::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = workspace_root().join("Cargo.toml");
    let status = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--package",
            "larun-testing",
            "--bin",
            "conformance",
        ])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--")
        .args(&args.args)
        .status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
