//! `cargo xtask bench models`: trains LARUN's networks on real data, measures them once on the test split, writes docs/models.md and the
//! models that ship.

use core::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bench::Error;
use crate::workspace_root;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder of the labelled sets [default: what LARUN_DATA names]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only these networks
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Seeds; the mean and the spread over them are written, and the model of the first ships
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    seeds: Vec<u64>,
    /// A larun program to use, in place of a release build
    #[arg(long, value_name = "PROGRAM")]
    larun: Option<PathBuf>,
    /// Where trained models are kept: a run that is stopped goes on from there
    #[arg(long, value_name = "DIR", default_value = "target/models")]
    work: PathBuf,
}

/// A network, its data, and how it is trained.
struct Task {
    network: &'static str,
    set: &'static str,
    /// What the data are.
    what: &'static str,
    /// What `larun data convert` makes of the set first.
    convert: &'static [&'static str],
    /// What `larun optimize` is given.
    train: &'static [&'static str],
}

const TASKS: [Task; 4] = [
    Task {
        network: "spectral",
        set: "lc6_hybrid1024",
        what: "light curves of six classes: noise real (Kepler), shapes of eclipsing binaries real (TESS), the rest injected",
        convert: &[],
        train: &["--epochs", "60", "--augment", "roll,reverse"],
    },
    Task {
        network: "galaxy",
        set: "galaxy_gz64",
        what: "Galaxy Zoo 2 images, real, four classes (cigar-shaped with edge-on)",
        convert: &[
            "--merge",
            "cigar_smooth=edge_on_disk",
            "--offset",
            "64",
            "--scale",
            "0.015625",
        ],
        train: &["--epochs", "40", "--augment", "reverse"],
    },
    Task {
        network: "transit",
        set: "tess_triage",
        what: "TESS threshold crossings vetted by people, real, transit-like or junk",
        convert: &[
            "--samples",
            "x_global,x_local",
            "--labels",
            "y_binary",
            "--class-names",
            "junk,transit_like",
            "--limits=-2,3",
        ],
        train: &["--epochs", "20", "--augment", "reverse"],
    },
    Task {
        network: "star",
        set: "star_obafgkm1024",
        what: "spectra of stars, real, the training split augmented",
        convert: &[],
        train: &["--epochs", "30", "--augment", "none"],
    },
];

/// What one training gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    seed: u64,
    command: String,
    float: f64,
    int8: f64,
    macro_f1: f64,
    auc: Option<f64>,
    recall: Vec<f64>,
    file_bytes: u64,
    arena_bytes: u64,
    parameters: u64,
    macs: u64,
    milliseconds: f64,
    training_seconds: f64,
    test: u64,
}

/// Trains what has not been trained yet, and writes the page.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let root = workspace_root();
    let data = args.data.clone();
    let data = data.or_else(|| std::env::var_os("LARUN_DATA").map(PathBuf::from));
    let data = data.ok_or(Error::NoData)?;
    let larun = match &args.larun {
        Some(program) => program.clone(),
        None => build(&root)?,
    };
    let work = root.join(&args.work);
    create(&work)?;
    let chosen = |task: &&Task| args.only.is_empty() || args.only.iter().any(|n| n == task.network);
    let mut page = String::from(HEAD);
    for task in TASKS.iter().filter(chosen) {
        let mut runs = Vec::new();
        for &seed in &args.seeds {
            runs.push(train(task, seed, &larun, &data, &work)?);
        }
        section(&mut page, task, &runs);
        ship(task, &runs, &work, &root)?;
    }
    write(&root.join("docs/models.md"), page.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn build(root: &Path) -> Result<PathBuf, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--package", "larun-cli"]);
    output(command.current_dir(root))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let program = root.join(target).join("release/larun");
    Ok(program.with_extension(std::env::consts::EXE_EXTENSION))
}

/// Trains and measures one network with one seed, unless that was done before.
fn train(task: &Task, seed: u64, larun: &Path, data: &Path, work: &Path) -> Result<Run, Error> {
    let folder = work.join(format!("{}-{seed}", task.network));
    let done = folder.join("run.json");
    if let Ok(text) = std::fs::read(&done)
        && let Ok(run) = serde_json::from_slice(&text)
    {
        return Ok(run);
    }
    let set = data.join(format!("{}.npz", task.set));
    let mut shown = Vec::new();
    let samples = match task.convert {
        [] => set,
        convert => {
            let converted = work.join(format!("{}.npz", task.network));
            let mut command = Command::new(larun);
            command.args(["data", "convert"]).arg(&set).args(convert);
            command.arg("-o").arg(&converted);
            shown.push(format!(
                "larun data convert {}.npz {} -o {}.npz",
                task.set,
                convert.join(" "),
                task.network
            ));
            output(&mut command)?;
            converted
        }
    };
    let seed_text = seed.to_string();
    let mut command = Command::new(larun);
    command
        .args(["optimize", "--zoo", task.network, "--data"])
        .arg(&samples);
    command.args(["--device", "nano33ble", "--seed", &seed_text]);
    command
        .args(task.train)
        .args(["--json", "-q", "-o"])
        .arg(&folder);
    shown.push(format!(
        "larun optimize --zoo {} --data {}.npz --device nano33ble --seed {seed} {} -o {}",
        task.network,
        if task.convert.is_empty() {
            task.set
        } else {
            task.network
        },
        task.train.join(" "),
        task.network
    ));
    let text = output(&mut command)?;
    let report: Value = serde_json::from_str(&text).map_err(|error| Error::Failed {
        command: "larun optimize".to_owned(),
        message: error.to_string(),
    })?;
    let run = Run::new(seed, shown.join("\n"), &report);
    let json = serde_json::to_vec_pretty(&run).unwrap_or_default();
    write(&done, &json)?;
    Ok(run)
}

impl Run {
    fn new(seed: u64, command: String, report: &Value) -> Self {
        let number = |path: &str| report.pointer(path).and_then(Value::as_f64);
        let real = |path: &str| number(path).unwrap_or(f64::NAN);
        let whole = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let recall = report.pointer("/int8/recall").and_then(Value::as_array);
        Self {
            seed,
            command,
            float: real("/float/accuracy"),
            int8: real("/int8/accuracy"),
            macro_f1: real("/int8/macro_f1"),
            auc: number("/int8/auc"),
            recall: recall.map_or_else(Vec::new, |values| {
                values.iter().filter_map(Value::as_f64).collect()
            }),
            file_bytes: whole("/int8_bytes"),
            arena_bytes: whole("/arena_bytes"),
            parameters: whole("/parameters"),
            macs: whole("/macs"),
            milliseconds: real("/fit/latency/milliseconds"),
            training_seconds: real("/training/seconds"),
            test: whole("/int8/samples"),
        }
    }
}

const HEAD: &str = "# Models

LARUN's four networks on labelled data, made by `cargo xtask bench models`. Accuracies are those of the test split, which was looked at
once, by the commands below; networks and settings were chosen by the validation split alone. INT8 accuracies, sizes and arenas are of the
file and the interpreter that run on the board; milliseconds are estimates from multiply-accumulates for the Arduino Nano 33 BLE. With
several seeds a figure is the mean, and behind ± half of the range. Training times depend on the machine and on what else it does.
The models themselves, each of the first seed, are in `fixtures/models/larunnet` with their cards.
";

fn section(page: &mut String, task: &Task, runs: &[Run]) {
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
    row("estimate, ms", format!("{:.1}", first.milliseconds));
    row("training, s", spread(runs, &|run| run.training_seconds, 0));
    let seeds: Vec<String> = runs.iter().map(|run| run.seed.to_string()).collect();
    let _ = write!(
        page,
        "\nSeeds: {}. The commands for seed {}:\n\n```sh\n{}\n```\n",
        seeds.join(", "),
        first.seed,
        first.command
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
fn ship(task: &Task, runs: &[Run], work: &Path, root: &Path) -> Result<(), Error> {
    let Some(run) = runs.first() else {
        return Ok(());
    };
    let (from, to) = (
        work.join(format!("{}-{}", task.network, run.seed)),
        root.join("fixtures/models/larunnet"),
    );
    create(&to)?;
    for (file, name) in [("model.tflite", "tflite"), ("card.yaml", "card.yaml")] {
        let from = from.join(file);
        let bytes = std::fs::read(&from).map_err(|error| Error::File(from.clone(), error))?;
        write(&to.join(format!("{}.{name}", task.network)), &bytes)?;
    }
    Ok(())
}

fn create(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| Error::File(folder.to_owned(), error))
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(file, bytes).map_err(|error| Error::File(file.to_owned(), error))
}

/// Runs a command to its end and gives what it printed. A finding (exit status 1) is an end too.
fn output(command: &mut Command) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().map_err(|source| Error::Start {
        program: name.clone(),
        source,
    })?;
    match done.status.code() {
        Some(0 | 1) => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        _ => Err(Error::Failed {
            command: name,
            message: String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        }),
    }
}
