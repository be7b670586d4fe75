//! `cargo xtask bench firmware`: models compiled to source beside the interpreter and TensorFlow Lite Micro, on a Cortex-M4.

use core::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::report::{Peer, peer};
use super::{
    Build, CORTEX_M4, Error, Linked, cargo, compare, mlperf, pseudo_random, reference, succeed,
    write,
};
use crate::page::with_part;
use crate::workspace_root;

/// The page that has the table, and the part of it that is the table.
const PAGE: &str = "docs/deployment.md";
const PART: &str = "bench firmware";

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Models to measure, INT8 with one input and one output; none: those of MLPerf Tiny in the corpus that LARUN_CORPUS names
    models: Vec<PathBuf>,
    /// Put the table into docs/deployment.md
    #[arg(long)]
    write: bool,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What a model takes.
#[derive(Serialize)]
struct Row {
    model: String,
    compiled: Figures,
    /// Layers in place of their inputs and of residuals, where that takes less RAM.
    in_place: Option<Figures>,
    /// The same, and layers streamed row by row.
    streamed: Option<Figures>,
    interpreter: Figures,
}

/// On one way.
#[derive(Serialize)]
struct Figures {
    instructions: u64,
    /// Code, constants and the model, without start-up code and the program's input.
    flash_bytes: u64,
    /// Activations, state and whatever else lies in RAM, without the stack.
    ram_bytes: u64,
    stack_bytes: u64,
}

/// Measures the models and prints the table.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let models = match args.models.is_empty() {
        true => mlperf()?,
        false => args.models.clone(),
    };
    let mut rows = Vec::new();
    for model in &models {
        eprintln!("{}", model.display());
        rows.push(measure(model)?);
    }
    let table = table(&rows);
    println!("{table}");
    if let Some(path) = &args.json {
        write(path, &serde_json::to_vec_pretty(&rows).unwrap_or_default())?;
    }
    if args.write {
        insert(&workspace_root().join(PAGE), &table)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(model: &Path) -> Result<Row, Error> {
    let interpreted = super::measure(model, Linked::default(), &[])?;
    let model_bytes = fs::metadata(model)
        .map_err(|source| io(model, source))?
        .len();
    let whole = compiled(model, None)?;
    let less = |than: u64, way: &str| {
        let figures = compiled(model, Some(way))?;
        Ok::<_, Error>((figures.ram_bytes < than).then_some(figures))
    };
    let in_place = less(whole.ram_bytes, "in-place")?;
    let least = in_place.as_ref().map_or(whole.ram_bytes, |it| it.ram_bytes);
    Ok(Row {
        streamed: less(least, "streamed")?,
        in_place,
        compiled: whole,
        interpreter: Figures {
            instructions: interpreted.instructions,
            flash_bytes: interpreted.code_bytes + model_bytes,
            ram_bytes: interpreted.arena_bytes,
            stack_bytes: interpreted.stack_bytes,
        },
        model: interpreted.model,
    })
}

/// Compiles a model to source, builds it into the program `compiled`, runs that and compares its bytes.
///
/// `way` is how rows are run, as the example `compile` takes it.
fn compiled(model: &Path, way: Option<&str>) -> Result<Figures, Error> {
    let folder = workspace_root().join("target/firmware/source");
    fs::create_dir_all(&folder).map_err(|source| io(&folder, source))?;
    let mut command = cargo();
    let program = [
        "run",
        "--quiet",
        "--package",
        "larun-codegen",
        "--example",
        "compile",
        "--",
    ];
    command
        .args(program)
        .arg(model)
        .arg(&folder)
        .arg(CORTEX_M4.target)
        .args(way);
    succeed(command.current_dir(workspace_root()), "larun-codegen")?;

    let bytes = reference(model, None)?.input_bytes;
    let inputs = workspace_root().join("target/firmware/inputs.bin");
    write(&inputs, &pseudo_random(bytes))?;
    let settings = [
        ("LARUN_SOURCE", folder.join("model.rs").into_os_string()),
        ("LARUN_INPUTS", inputs.clone().into_os_string()),
    ];
    let build = Build::new(CORTEX_M4, Linked::default());
    build.cargo_with("compiled", &["--features", "compiled"], &settings)?;
    build.cargo("empty", &[])?;
    let printed = build.run("compiled")?;
    let name = model.display().to_string();
    compare(
        CORTEX_M4,
        &name,
        &reference(model, Some(&inputs))?,
        &printed,
    )?;
    Ok(Figures {
        instructions: printed.number("invoke"),
        flash_bytes: build.code_bytes("compiled", &[&inputs])?,
        ram_bytes: printed.number("ram"),
        stack_bytes: printed.number("stack"),
    })
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| model | | instructions | of CMSIS-NN | flash, B | RAM, B | stack, B |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let peer = peer(&row.model);
        let mut line = |name: &str, way: &str, figures: &Figures| {
            let share = peer.map(|peer| figures.instructions as f64 / peer.optimised as f64);
            let share = share.map_or(String::new(), |share| format!("{share:.3}"));
            let Figures {
                instructions,
                flash_bytes,
                ram_bytes,
                stack_bytes,
            } = figures;
            // Writing to a `String` cannot fail.
            let _ = writeln!(
                text,
                "| {name} | {way} | {instructions} | {share} | {flash_bytes} | {ram_bytes} | {stack_bytes} |"
            );
        };
        line(&row.model, "generated Rust", &row.compiled);
        let ways = [("in place", &row.in_place), ("streamed", &row.streamed)];
        for (way, figures) in ways {
            if let Some(figures) = figures {
                line("", &format!("generated Rust, {way}"), figures);
            }
        }
        line("", "interpreter", &row.interpreter);
        if let Some(&Peer {
            optimised,
            int8_code_bytes,
            model_bytes,
            cmsis_arena_bytes,
            stack_bytes,
            ..
        }) = peer
        {
            let tflm = Figures {
                instructions: optimised,
                flash_bytes: int8_code_bytes + model_bytes,
                ram_bytes: cmsis_arena_bytes,
                stack_bytes,
            };
            line("", "TFLM with CMSIS-NN", &tflm);
        }
    }
    text
}

/// Replaces the table of the page.
fn insert(page: &Path, table: &str) -> Result<(), Error> {
    let text = fs::read_to_string(page).map_err(|source| io(page, source))?;
    let text = with_part(&text, PART, table).ok_or_else(|| Error::Malformed {
        what: page.display().to_string(),
        detail: "the lines around the table are missing".to_owned(),
    })?;
    write(page, text.as_bytes())
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        source,
    }
}
