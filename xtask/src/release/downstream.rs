//! The step `downstream`: programs of a stranger, who has our crates from the registry.
//!
//! A workspace in a temporary folder takes every crate from its package. It holds the crates of `examples/` that need no board, an
//! application of larun, and for every other crate the program that its README shows. All are built and run; what the three crates that
//! are depended on most bring with them is counted and timed.

mod measure;
mod programs;

use std::path::Path;

use super::code::TARGETS;
use super::context::{Context, read, write};
use super::packages::{unpack, workspace};
use super::step::{Error, Outcome};
use measure::Row;
use programs::Program;

use crate::page::with_part;

/// The page with the table, and the part of it that is the table.
const PAGE: &str = "docs/dependencies.md";
const PART: &str = "downstream";

/// Builds and runs programs that depend on the packages, counts, times, and writes the table.
pub(super) fn prove(context: &Context) -> Result<Outcome, Error> {
    let folder = tempfile::tempdir().map_err(Error::io("a temporary folder"))?;
    let root = folder.path();
    let packages = unpack(context, root)?;
    let programs = programs::all(context, root, &packages)?;
    let members: Vec<_> = programs
        .iter()
        .map(|program| program.name.clone())
        .collect();
    workspace(context, root, &members, &packages, "")?;
    let mut rows = Vec::new();
    for program in &programs {
        if let Some(measured) = &program.measured {
            let row = measure::row(context, root, program, measured)?;
            context.say(row.to_markdown().trim_end());
            rows.push(row);
        }
    }
    for program in &programs {
        build_and_run(context, root, program)?;
    }
    let table = table(context, &rows)?;
    context.say(&table);
    // Times differ from run to run: what is about to be tagged stays as it was committed.
    if !context.publishing() {
        write_page(context, &table)?;
    }
    Ok(Outcome::Passed)
}

/// Builds a program where the last measured one was built: what they share is there.
fn build_and_run(context: &Context, root: &Path, program: &Program) -> Result<(), Error> {
    if program.no_std {
        for target in TARGETS {
            if super::code::target_toolchain(context)?.is_some() {
                context.say(&format!(
                    "{}: not built for {target}, which rustup has not",
                    program.name
                ));
                continue;
            }
            let mut build = cargo(context, root, "build", program);
            context.run(build.args(["--lib", "--target", target]))?;
        }
    }
    let verb = if program.runs { "run" } else { "build" };
    context.run(&mut cargo(context, root, verb, program))
}

/// Cargo in the programs' workspace, with the folder that all but the measured builds share.
fn cargo(context: &Context, root: &Path, verb: &str, program: &Program) -> std::process::Command {
    let mut cargo = context.cargo([verb, "--quiet", "--package", &program.name]);
    cargo
        .arg("--target-dir")
        .arg(root.join("target"))
        .current_dir(root);
    cargo
}

/// What is measured, as a table in Markdown.
fn table(context: &Context, rows: &[Row]) -> Result<String, Error> {
    let version = context.output(
        std::process::Command::new("rustc")
            .arg("--version")
            .current_dir(context.path("")),
    )?;
    let version = version
        .split(" (")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = concat!(
        "| what `Cargo.toml` asks for | direct | total | others' | clean build |\n",
        "|---|---|---|---|---|\n",
    )
    .to_owned();
    for row in rows {
        text += &row.to_markdown();
    }
    text += &format!("\n{version}, `cargo build` in an empty target folder, {cores} cores.\n");
    Ok(text)
}

/// Puts the table into its page.
fn write_page(context: &Context, table: &str) -> Result<(), Error> {
    let path = context.path(PAGE);
    let page = read(&path)?;
    let broken = || Error::Finding(format!("{PAGE} lacks the lines around its table"));
    let page = with_part(&page, PART, table).ok_or_else(broken)?;
    write(&path, page.as_bytes())
}
