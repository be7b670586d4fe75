//! `cargo xtask bench compress`: LARUN's four tasks compressed in every way, for docs/compression.md.

use core::fmt::Write;
use std::process::ExitCode;

use crate::bench::Error;
use crate::page::with_part;
use crate::tasks::{LESSON, Runner, Selection, Task, real, whole};
use crate::workspace_root;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Seeds of the student, alone and taught; everything else is of the first
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    seeds: Vec<u64>,
    /// Put the tables into docs/compression.md, in place of those of the same tasks
    #[arg(long)]
    write: bool,
}

/// A row of a task's table.
struct Row {
    title: &'static str,
    /// The models, one for each seed.
    models: Vec<String>,
}

/// Trains what has not been trained yet, and prints the tables.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    for task in args.selection.tasks()? {
        let mut runner = args.selection.runner(task)?;
        let rows = make(task, &args.seeds, &mut runner)?;
        let table = table(task, &rows, &runner)?;
        println!("{table}");
        if args.write {
            put(task, &table)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Trains and compresses.
fn make(task: &Task, seeds: &[u64], runner: &mut Runner) -> Result<Vec<Row>, Error> {
    let first = seeds.first().copied().unwrap_or(1).to_string();
    let mut trained = |file: &str, head: &[&str], tail: &[&str]| {
        let mut arguments = head.to_vec();
        if !head.contains(&"--seed") {
            arguments.extend(["--seed", &first]);
        }
        arguments.extend(tail);
        runner.train(file, &arguments).map(|_| file.to_owned())
    };
    let row = |title, models| Row { title, models };
    // On from a network that has learnt: short, in small steps.
    let on = tuning(task);
    let float = trained(
        "float.tflite",
        &["train", "--zoo", task.network],
        task.learn,
    )?;
    let qat = ["train", &float, "--qat", "int8"];
    let qat = trained("qat.tflite", &qat, &on)?;
    let int4 = ["train", &float, "--qat", "int4"];
    let int4 = trained("int4.tflite", &int4, &on)?;
    let halved = ["prune", &float, "--channels", "0.5"];
    let halved = trained("halved.tflite", &halved, &[])?;
    // What is left learns from the labels and from the whole network.
    let prune = ["train", &halved, "--distill-from", &float];
    let prune = [&prune[..], &LESSON, &["--learning-rate", "0.001"]].concat();
    let pruned = trained("pruned.tflite", &prune, task.learn)?;
    let pruned_qat = ["train", &pruned, "--qat", "int8"];
    let pruned_qat = trained("pruned_qat.tflite", &pruned_qat, &on)?;
    let (mut alone, mut taught, mut taught_qat) = (Vec::new(), Vec::new(), Vec::new());
    for seed in seeds {
        let seed = seed.to_string();
        let head = ["train", "--zoo", task.student, "--seed", &seed];
        alone.push(trained(
            &format!("student-{seed}.tflite"),
            &head,
            task.learn,
        )?);
        let head = ["distill", "--teacher", &float, "--student", task.student];
        let head = [&head[..], &LESSON, &["--seed", &seed]].concat();
        let model = trained(&format!("taught-{seed}.tflite"), &head, task.learn)?;
        let head = ["train", &model, "--qat", "int8", "--seed", &seed];
        taught_qat.push(trained(&format!("taught_qat-{seed}.tflite"), &head, &on)?);
        taught.push(model);
    }
    let ptq = ["optimize", &float, "--device", "nano33ble"];
    let ptq = trained("ptq", &ptq, &[])?;
    Ok(vec![
        row("float", vec![float]),
        row("INT8 after training", vec![format!("{ptq}/model.tflite")]),
        row("INT8 while training", vec![qat]),
        row("INT4 while training", vec![int4]),
        row("half of the channels, taught, float", vec![pruned]),
        row(
            "half of the channels, INT8 while training",
            vec![pruned_qat],
        ),
        row("student alone, float", alone),
        row("student taught, float", taught),
        row("student taught, INT8 while training", taught_qat),
    ])
}

/// The options of a short training.
fn tuning(task: &Task) -> Vec<&'static str> {
    let short = ["--epochs", "10", "--learning-rate", "0.0005"];
    short.into_iter().chain(task.augmentation()).collect()
}

/// What a task's models have, as a table with its heading.
fn table(task: &Task, rows: &[Row], runner: &Runner) -> Result<String, Error> {
    let mut page = format!("### {}\n\n{}", task.name, task.what);
    for (index, row) in rows.iter().enumerate() {
        let (mut accuracies, mut f1) = (Vec::new(), Vec::new());
        for model in &row.models {
            let evaluated = runner.evaluate(model)?;
            if index == 0 {
                let samples = whole(&evaluated, "/samples");
                // Writing to a string cannot fail.
                let _ = write!(page, "; {samples} test samples.\n\n{HEAD}");
            }
            accuracies.push(100.0 * real(&evaluated, "/accuracy"));
            f1.push(100.0 * real(&evaluated, "/macro_f1"));
        }
        let Some(model) = row.models.first() else {
            continue;
        };
        let inspected = runner.inspect(model)?;
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} |",
            row.title,
            spread(&accuracies),
            spread(&f1),
            whole(&inspected, "/file_bytes"),
            whole(&inspected, "/arena/bytes"),
            whole(&inspected, "/macs"),
        );
    }
    Ok(page)
}

const HEAD: &str = "| model | accuracy, % | macro F1, % | file, B | arena, B | MACs |\n|---|---:|---:|---:|---:|---:|\n";

/// The mean; of several also each.
fn spread(values: &[f64]) -> String {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    match values {
        [_] | [] => format!("{mean:.2}"),
        _ => {
            let each: Vec<_> = values.iter().map(|value| format!("{value:.2}")).collect();
            format!("{mean:.2} ({})", each.join(", "))
        }
    }
}

/// Replaces the table of a task in the page.
fn put(task: &Task, table: &str) -> Result<(), Error> {
    let file = workspace_root().join("docs/compression.md");
    let read = std::fs::read_to_string(&file);
    let text = read.map_err(|error| Error::File(file.clone(), error))?;
    let part = format!("bench compress {}", task.name);
    let text = with_part(&text, &part, table).ok_or_else(|| Error::Failed {
        command: "writing docs/compression.md".to_owned(),
        message: format!("it has no part `{part}`"),
    })?;
    std::fs::write(&file, text).map_err(|error| Error::File(file, error))
}
