//! `cargo xtask bench models`: trains LARUN's networks on real data, measures them once on the test split, writes docs/models.md and the
//! models that ship.

use core::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use crate::bench::Error;
use crate::tasks::{LESSON, Runner, Selection, Task, real, whole};
use crate::workspace_root;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Seeds; the mean and the spread over them are written, and the model of the first ships
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    seeds: Vec<u64>,
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
    instructions: f64,
    milliseconds: f64,
    training_seconds: f64,
    test: u64,
}

/// Trains what has not been trained yet, and writes the page.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let root = workspace_root();
    let mut page = String::from(HEAD);
    for task in args.selection.tasks() {
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
        section(&mut page, task, &runs, &commands);
        ship(task, &runs, &runner, &root)?;
    }
    write(&root.join("docs/models.md"), page.as_bytes())?;
    Ok(ExitCode::SUCCESS)
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
    let fit = runner.fit(&format!("{}/model.tflite", folder(task, seed)))?;
    Ok(Run::new(seed, seconds, &report, &fit))
}

/// Where the model of a seed lies.
fn folder(task: &Task, seed: u64) -> String {
    format!("{}-{seed}", task.network)
}

impl Run {
    fn new(seed: u64, training_seconds: f64, report: &Value, fit: &Value) -> Self {
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
            instructions: real(fit, "/cost/instructions"),
            milliseconds: real(fit, "/cost/milliseconds"),
            training_seconds,
            test: whole("/int8/samples"),
        }
    }
}

const HEAD: &str = "# Models

LARUN's four networks on labelled data, made by `cargo xtask bench models`. Networks and settings were chosen by the validation split;
the accuracies here are those of the test split, which only the commands below look at. Each network learns from the labels and from larger
networks that were trained before it, and is then trained on for its integers. INT8 accuracies, sizes and arenas are of the file and the
interpreter that run on the board; instructions and milliseconds are the cost model's for the Arduino Nano 33 BLE. With several seeds a
figure is the mean, and behind ± half of the range. Training times include the teachers', and depend on the machine and on what else it
does. The models themselves, each of the first seed, are in `fixtures/models/larunnet` with their cards.
";

fn section(page: &mut String, task: &Task, runs: &[Run], commands: &[String]) {
    let Some(first) = runs.first() else {
        return;
    };
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "\n## {}\n\nData: `{}`, {}; {} test samples.\n\n| figure | value |\n|---|---:|\n",
        task.network, task.set, task.what, first.test
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
    row(
        "instructions (estimate)",
        format!("{:.0}", first.instructions),
    );
    row(
        "milliseconds (estimate)",
        format!("{:.1}", first.milliseconds),
    );
    row("training, s", spread(runs, &|run| run.training_seconds, 0));
    let seeds: Vec<String> = runs.iter().map(|run| run.seed.to_string()).collect();
    let _ = write!(
        page,
        "\nSeeds: {}. The commands for seed {}:\n\n```sh\n{}\n```\n",
        seeds.join(", "),
        first.seed,
        commands.join("\n")
    );
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
    let to = root.join("fixtures/models/larunnet").join(task.network);
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
