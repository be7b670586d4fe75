//! `cargo xtask bench models`: trains LARUN's networks on real data, measures them once on the test split, puts them into docs/models.md and the
//! models among those that ship.

use core::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use crate::bench::Error;
use crate::page::with_part;
use crate::tasks::{LESSON, Runner, Selection, TASKS, Task, fit, real, whole};
use crate::workspace_root;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Seeds; the mean and the spread over them are written, and the model of the first ships
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    seeds: Vec<u64>,
    /// Train nothing: only what the models that ship take on the board, by the cost model
    #[arg(long)]
    board: bool,
}

/// What one training gave.
struct Run {
    seed: u64,
    float: f64,
    int8: f64,
    macro_f1: f64,
    auc: Option<f64>,
    recall: Vec<f64>,
    file_bytes: u64,
    arena_bytes: u64,
    parameters: u64,
    macs: u64,
    training_seconds: f64,
    test: u64,
}

/// Trains what has not been trained yet, and writes the page.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let root = workspace_root();
    if args.board {
        return board(&args.selection, &root);
    }
    for task in args.selection.tasks()? {
        let mut runner = args.selection.runner(task)?;
        let teachers = teach(task, &mut runner)?;
        let mut runs = Vec::new();
        let mut commands = Vec::new();
        for &seed in &args.seeds {
            let so_far = runner.shown.len();
            runs.push(learn(task, seed, &teachers, &mut runner)?);
            if commands.is_empty() {
                commands = runner.shown.clone();
            }
            runner.shown.truncate(so_far);
        }
        put(&root, task.name, &section(task, &runs, &commands))?;
        // One model of each network ships, that of its first set.
        if TASKS.iter().any(|first| first.name == task.name) {
            ship(task, &runs, &runner, &root)?;
        }
    }
    board(&args.selection, &root)
}

/// What the models that ship take on the board, as a table of the page.
fn board(selection: &Selection, root: &Path) -> Result<ExitCode, Error> {
    let larun = selection.program()?;
    let mut table =
        String::from("| network | MACs | instructions | milliseconds |\n|---|---:|---:|---:|\n");
    for task in &TASKS {
        let model = root.join(shipped(task)).join("model.tflite");
        let fit = fit(&larun, &model)?;
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {:.0} | {:.1} |",
            task.network,
            whole(&fit, "/cost/macs"),
            real(&fit, "/cost/instructions"),
            real(&fit, "/cost/milliseconds")
        );
    }
    put(root, "board", &table)?;
    Ok(ExitCode::SUCCESS)
}

/// Where a task's model ships.
fn shipped(task: &Task) -> String {
    format!("fixtures/models/larunnet/{}", task.network)
}

/// Puts a part into the page.
fn put(root: &Path, name: &str, part: &str) -> Result<(), Error> {
    let file = root.join("docs/models.md");
    let page = std::fs::read_to_string(&file).map_err(|e| Error::File(file.clone(), e))?;
    let page = with_part(&page, name, part).ok_or_else(|| Error::Failed {
        command: "cargo xtask bench models".to_owned(),
        message: format!("docs/models.md has no part `{name}`"),
    })?;
    write(&file, page.as_bytes())
}

/// Trains the teachers; their files, and the seconds it took.
fn teach(task: &Task, runner: &mut Runner) -> Result<(Vec<String>, f64), Error> {
    let (network, count) = task.teacher;
    let (mut files, mut seconds) = (Vec::new(), 0.0);
    for seed in 101..=100 + count {
        let file = format!("teacher-{seed}.tflite");
        let seed = seed.to_string();
        let mut arguments = vec!["train", "--zoo", network, "--seed", &seed];
        arguments.extend(task.learn);
        seconds += real(&runner.train(&file, &arguments)?, "/training/seconds");
        files.push(file);
    }
    Ok((files, seconds))
}

/// The network of a seed: distilled from the teachers, then trained on for its integers.
fn learn(
    task: &Task,
    seed: u64,
    (teachers, teaching): &(Vec<String>, f64),
    runner: &mut Runner,
) -> Result<Run, Error> {
    let (seed_text, teachers) = (seed.to_string(), teachers.join(","));
    let float = format!("{}-{seed}.tflite", task.title);
    let mut arguments = vec!["distill", "--teacher", &teachers, "--student", task.network];
    arguments.extend(LESSON);
    arguments.extend(["--seed", &seed_text]);
    arguments.extend(task.learn);
    let distilled = runner.train(&float, &arguments)?;
    let name = format!("{}_model", task.network);
    let mut arguments = vec!["optimize", &float, "--device", "nano33ble", "--qat"];
    arguments.extend(["--seed", &seed_text, "--name", &name]);
    arguments.extend(task.augmentation());
    let report = runner.train(&folder(task, seed), &arguments)?;
    let seconds = teaching + real(&distilled, "/training/seconds");
    Ok(Run::new(seed, seconds, &report))
}

/// Where the model of a seed lies.
fn folder(task: &Task, seed: u64) -> String {
    format!("{}-{seed}", task.network)
}

impl Run {
    fn new(seed: u64, training_seconds: f64, report: &Value) -> Self {
        let whole = |path: &str| whole(report, path);
        let recall = report.pointer("/int8/recall").and_then(Value::as_array);
        Self {
            seed,
            float: real(report, "/float/accuracy"),
            int8: real(report, "/int8/accuracy"),
            macro_f1: real(report, "/int8/macro_f1"),
            auc: report.pointer("/int8/auc").and_then(Value::as_f64),
            recall: recall.map_or_else(Vec::new, |values| {
                values.iter().filter_map(Value::as_f64).collect()
            }),
            file_bytes: whole("/int8_bytes"),
            arena_bytes: whole("/arena_bytes"),
            parameters: whole("/parameters"),
            macs: whole("/macs"),
            training_seconds,
            test: whole("/int8/samples"),
        }
    }
}

/// What was measured of a task's network.
fn section(task: &Task, runs: &[Run], commands: &[String]) -> String {
    let mut page = String::new();
    let Some(first) = runs.first() else {
        return page;
    };
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "Data: `{}`, {}; {} test samples.\n\n| figure | value |\n|---|---:|\n",
        task.set, task.what, first.test
    );
    let percent = |of: &dyn Fn(&Run) -> f64| spread(runs, &|run| 100.0 * of(run), 2);
    let mut row = |name: &str, value: String| {
        let _ = writeln!(page, "| {name} | {value} |");
    };
    row("accuracy, float, %", percent(&|run| run.float));
    row("accuracy, INT8, %", percent(&|run| run.int8));
    row("accuracy wanted, %", task.wanted.to_string());
    row("macro F1, INT8, %", percent(&|run| run.macro_f1));
    if first.auc.is_some() {
        row(
            "AUC, INT8",
            spread(runs, &|run| run.auc.unwrap_or(f64::NAN), 4),
        );
        row(
            "recall of the rare class, %",
            percent(&|run| run.recall.last().copied().unwrap_or(f64::NAN)),
        );
    }
    row("INT8 file, bytes", first.file_bytes.to_string());
    row("arena, bytes", first.arena_bytes.to_string());
    row("parameters", first.parameters.to_string());
    row("MACs", first.macs.to_string());
    row("training, s", spread(runs, &|run| run.training_seconds, 0));
    let seeds: Vec<String> = runs.iter().map(|run| run.seed.to_string()).collect();
    let _ = write!(
        page,
        "\nSeeds: {}. The commands for seed {}:\n\n```sh\n{}\n```\n",
        seeds.join(", "),
        first.seed,
        commands.join("\n")
    );
    page
}

/// The mean and half of the range.
fn spread(runs: &[Run], of: &dyn Fn(&Run) -> f64, digits: usize) -> String {
    let values: Vec<f64> = runs.iter().map(of).collect();
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values.len() {
        1 => format!("{mean:.digits$}"),
        _ => format!("{mean:.digits$} ± {:.digits$}", (high - low) / 2.0),
    }
}

/// Copies the model and the card of the first seed to where they ship.
fn ship(task: &Task, runs: &[Run], runner: &Runner, root: &Path) -> Result<(), Error> {
    let Some(run) = runs.first() else {
        return Ok(());
    };
    let from = runner.folder.join(folder(task, run.seed));
    let to = root.join(shipped(task));
    std::fs::create_dir_all(&to).map_err(|error| Error::File(to.clone(), error))?;
    for file in ["model.tflite", "card.yaml"] {
        let from = from.join(file);
        let bytes = std::fs::read(&from).map_err(|error| Error::File(from.clone(), error))?;
        write(&to.join(file), &bytes)?;
    }
    Ok(())
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(file, bytes).map_err(|error| Error::File(file.to_owned(), error))
}
