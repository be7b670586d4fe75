//! `cargo xtask release` and `cargo xtask ci`: everything that must hold, as one list of steps.
//!
//! Continuous integration runs the steps that every change must pass, a release those and its own.

mod api;
mod binary;
mod code;
mod context;
mod downstream;
mod examples;
mod firmware;
mod packages;
mod publish;
mod runner;
mod step;
mod version;
mod workspace;

use std::process::ExitCode;

use self::context::Context;
use self::step::{Error, STEPS, Step, When};

pub(crate) use self::workspace::SELECTION;

/// What `cargo xtask release` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run this step alone; several may be named
    #[arg(long = "step", value_name = "NAME")]
    steps: Vec<String>,
    /// Say what the steps are, and run none
    #[arg(long)]
    list: bool,
    /// Publish when every step has passed: tag the commit and upload the packages, which cannot be undone
    #[arg(long, conflicts_with = "steps")]
    publish: bool,
}

/// What `cargo xtask ci` takes.
#[derive(clap::Args)]
pub(crate) struct CiArgs {
    /// The steps to run; without a name, all that a change must pass
    steps: Vec<String>,
}

/// Runs a release's steps; without `--publish` nothing leaves this machine.
///
/// # Errors
/// When a step is named that does not exist.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    if args.list {
        for step in STEPS {
            println!("{:<14}{}", step.name, step.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let context = Context::new(args.publish)?;
    let chosen = choose(&args.steps, |_| true)?;
    let passed = runner::run(&context, &chosen);
    if !passed {
        return Ok(ExitCode::FAILURE);
    }
    match args.publish {
        true => publish::run(&context)?,
        false if args.steps.is_empty() => println!(
            "a dry run: nothing was published; the files are in {}, and --publish tags and uploads",
            binary::FOLDER
        ),
        false => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the steps that every change must pass, or those named.
///
/// # Errors
/// When a step is named that does not exist.
pub(crate) fn run_ci(args: &CiArgs) -> Result<ExitCode, Error> {
    let context = Context::new(false)?;
    let chosen = choose(&args.steps, |step| step.when == When::EveryChange)?;
    Ok(match runner::run(&context, &chosen) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The steps of these names, or without names those that are `wanted`.
fn choose(names: &[String], wanted: impl Fn(&Step) -> bool) -> Result<Vec<&'static Step>, Error> {
    if names.is_empty() {
        return Ok(STEPS.iter().filter(|step| wanted(step)).collect());
    }
    let find = |name: &String| {
        let step = STEPS.iter().find(|step| step.name == name);
        step.ok_or_else(|| Error::NoStep {
            name: name.clone(),
            all: STEPS
                .iter()
                .map(|step| step.name)
                .collect::<Vec<_>>()
                .join(" "),
        })
    };
    names.iter().map(find).collect()
}
