//! The `larun` command.

mod commands;
mod failure;
mod progress;
mod render;

use std::process::ExitCode;

use clap::Parser;

use commands::Command;
use failure::Failure;

/// From a trained network to firmware for a microcontroller.
///
/// Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 a finding (it does not fit,
/// it differs), 2 bad use or bad input.
#[derive(Parser)]
#[command(
    name = "larun",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Try first:\n  larun optimize --zoo spectral --device nano33ble -o out"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    progress::handle_interrupts();
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Finding(message)) => {
            anstream::eprintln!("{}", render::finding(&message));
            ExitCode::from(1)
        }
        Err(Failure::Error(message)) => {
            anstream::eprintln!("{} {message}", render::error_label());
            ExitCode::from(2)
        }
        // What a shell gives for a program that Ctrl-C ended.
        Err(Failure::Interrupted(message)) => {
            anstream::eprintln!("{message}");
            ExitCode::from(130)
        }
    }
}
