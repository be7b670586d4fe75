//! The command as a user meets it: files, exit statuses, messages.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;

fn larun(args: &[&str]) -> Output {
    Command::new(cargo_bin!("larun"))
        .args(args)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn succeeds(args: &[&str]) -> String {
    let output = larun(args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

/// The command refuses its input: exit status 2 and a message that holds `parts`.
#[track_caller]
fn refuses(args: &[&str], parts: &[&str]) {
    let output = larun(args);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The arguments of a short training into `out`.
fn short<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "optimize", "--zoo", "student", "--device", "stm32f4", "-o", out, "-q", "--seed", "3",
    ];
    args.extend(["--samples-per-class", "16", "--epochs", "3"]);
    args.extend(more);
    args
}

/// The output folder of one short training, made once.
fn trained() -> &'static Path {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        succeeds(&short(path(dir.path()), &["--threads", "2"]));
        dir
    })
    .path()
}

/// The INT8 model of that training.
fn model() -> &'static str {
    static MODEL: OnceLock<String> = OnceLock::new();
    MODEL.get_or_init(|| path(&trained().join("model.tflite")).to_owned())
}

/// An `.npz` of samples with 64 points in three classes, changed by `change` before it is written.
fn data(dir: &Path, change: impl FnOnce(&mut larun::zoo::dataset::Dataset)) -> PathBuf {
    let mut data = larun::zoo::simulate::light_curves(8, 1);
    change(&mut data);
    let file = dir.join("data.npz");
    data.save_npz(&file).unwrap();
    file
}

#[test]
fn the_command_alone_says_what_to_type_first() {
    let output = larun(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("larun optimize --zoo spectral"));
    for command in [
        "optimize", "train", "distill", "prune", "search", "data", "inspect", "run", "quantize",
        "plan", "fit", "export", "bench", "compare",
    ] {
        assert!(
            succeeds(&[command, "--help"]).contains("Example"),
            "{command}"
        );
    }
}

#[test]
fn optimize_writes_all_its_files() {
    let dir = trained();
    let report = json(&std::fs::read_to_string(dir.join("report.json")).unwrap());
    let size = std::fs::metadata(model()).unwrap().len();
    assert_eq!(report["int8_bytes"], size);
    assert_eq!(report["int8"]["samples"], report["dataset"]["test"]);
    assert_eq!(report["fits"], true);
    let card = std::fs::read_to_string(dir.join("card.yaml")).unwrap();
    for field in [
        "model_name: LarunNet-Student",
        "- planetary_transit",
        "f1_macro:",
        "license: MIT",
    ] {
        assert!(
            card.contains(field),
            "`{field}` is not in the card:\n{card}"
        );
    }
    let header = std::fs::read_to_string(dir.join("model.h")).unwrap();
    assert!(header.contains("student_model_data[]") && header.contains("student_model_data_len"));
    let source = std::fs::read_to_string(dir.join("model.rs")).unwrap();
    assert!(source.contains("k::Processor::Armv7em.is_own()") && source.contains("pub fn predict"));
    let page = std::fs::read_to_string(dir.join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<h1>LarunNet-Student</h1>"));
    for file in report["files"].as_array().unwrap() {
        let found = std::fs::metadata(dir.join(file["name"].as_str().unwrap()));
        assert_eq!(file["bytes"], found.unwrap().len(), "{file}");
    }
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["file_bytes"], size);
    let operators = report["per_layer"].as_array().unwrap();
    let macs: u64 = operators
        .iter()
        .filter_map(|layer| layer["macs"].as_u64())
        .sum();
    assert_eq!(report["macs"], macs);
    // Every layer of this network is one of the float network too, and none loses more than a tenth.
    for layer in operators {
        assert!(layer["sqnr_db"].as_f64().unwrap() > 20.0, "{layer}");
    }
    let names = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.contains("tmp")));
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("one");
    succeeds(&short(path(&out), &["--threads", "1"]));
    let same = std::fs::read(out.join("model.tflite")).unwrap();
    assert_eq!(same, std::fs::read(model()).unwrap());

    let out = dir.path().join("other");
    let args = short(path(&out), &[]);
    let args: Vec<_> = args
        .into_iter()
        .map(|arg| if arg == "3" { "4" } else { arg })
        .collect();
    succeeds(&args);
    assert_ne!(same, std::fs::read(out.join("model.tflite")).unwrap());
}

/// Kills a training as soon as it has a checkpoint, however often it is asked to.
#[test]
fn a_killed_training_resumes_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    let args = |out| {
        let mut args = short(out, &[]);
        args.extend(["--threads", "2"]);
        args.into_iter()
            .map(|arg| if arg == "3" { "12" } else { arg })
            .collect::<Vec<_>>()
    };
    succeeds(&args(path(&whole)));

    let checkpoint = killed.join("checkpoint.safetensors");
    let mut child = Command::new(cargo_bin!("larun"))
        .args(args(path(&killed)))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !checkpoint.exists() && started.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(1));
    }
    // SIGKILL: no handler runs.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(checkpoint.exists());

    let mut resumed = args(path(&killed));
    resumed.push("--resume");
    succeeds(&resumed);
    let read = |dir: &Path| std::fs::read(dir.join("model.tflite")).unwrap();
    assert_eq!(read(&whole), read(&killed));
}

#[test]
fn bad_data_is_named_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let check = |file: &Path, parts: &[&str]| {
        let more = ["--data", path(file)];
        refuses(&short(path(&out), &more), parts);
        assert!(!out.exists(), "a folder was left by {}", file.display());
    };
    check(Path::new("no/such/file.npz"), &["no/such/file.npz"]);

    let file = dir.path().join("text.npz");
    std::fs::write(&file, "no archive").unwrap();
    check(&file, &["text.npz"]);

    check(
        &data(dir.path(), |data| data.x[5] = f32::NAN),
        &["data.npz", "array \"x\"", "NaN"],
    );
    check(
        &data(dir.path(), |data| data.y.fill(2)),
        &["data.npz", "class"],
    );
    let no_test = |data: &mut larun::zoo::dataset::Dataset| {
        data.split.fill(larun::zoo::dataset::Split::Train);
    };
    check(&data(dir.path(), no_test), &["data.npz", "split"]);
    let short_samples = |data: &mut larun::zoo::dataset::Dataset| {
        data.sample_shape = vec![8, 128];
        data.sample_shape[0] = 8;
    };
    check(&data(dir.path(), short_samples), &["8"]);
}

#[test]
fn bad_use_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let out = path(dir.path());
    refuses(
        &[
            "optimize", "--zoo", "spectrum", "--device", "pico", "-o", out,
        ],
        &["spectrum", "spectral, galaxy"],
    );
    refuses(
        &["optimize", "--zoo", "student", "--device", "pic", "-o", out],
        &["pic", "nano33ble"],
    );
    refuses(&short(out, &["--resume"]), &["checkpoint", "--resume"]);
    refuses(&["optimize", "--device", "pico", "-o", out], &["--zoo"]);
    refuses(&["inspect", "missing.tflite"], &["missing.tflite"]);
    refuses(&["bench", model(), "--runs", "0"], &["one run"]);
}

#[test]
fn what_does_not_fit_is_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let output = larun(&short(path(&out), &["--target-size-kb", "1"]));
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("does not fit") && message.contains("over the budget's 1024 bytes"),
        "{message}"
    );
    assert!(out.join("model.tflite").exists());
}

#[test]
fn inspect_tells_and_lists_operators() {
    let report = json(&succeeds(&["inspect", "--json", model()]));
    assert_eq!(
        report["inputs"][0]["shape"],
        serde_json::json!([1, 1, 1024, 1])
    );
    assert_eq!(
        report["file_bytes"],
        std::fs::metadata(model()).unwrap().len()
    );
    assert!(
        report["arena"]["bytes"].as_u64().unwrap()
            > report["arena"]["activation_bytes"].as_u64().unwrap()
    );
    let text = succeeds(&["inspect", "--tensors", model()]);
    assert!(
        text.contains("CONV_2D") && text.contains("scales along axis 0"),
        "{text}"
    );
    let ops = succeeds(&["inspect", "--ops", model()]);
    // Behind the name of an operator that has a choice, the ways that the model takes.
    let mut names = String::new();
    for part in ops.trim().split('>') {
        names += part.split('<').next().unwrap_or_default();
    }
    assert_eq!(
        names,
        "larun_micro::ops![Conv2D, FullyConnected, MaxPool2D, Softmax, Mean]"
    );
    assert!(
        ops.contains("Conv2D<") && ops.contains("MaxPool2D<FourChannels>"),
        "{ops}"
    );
    // Another way stands in for the one that is left out.
    assert!(ops.contains("Narrow"), "{ops}");
    let smaller = succeeds(&["inspect", "--ops", "--without", "narrow", model()]);
    assert!(
        !smaller.contains("Narrow") && smaller.contains("Patches"),
        "{smaller}"
    );
    refuses(
        &["inspect", "--ops", "--without", "narow", model()],
        &["Narrow, OneShape"],
    );
}

#[test]
fn run_takes_integers_reals_and_sets() {
    use larun::zoo::npy::NpyArray;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let values: Vec<f32> = (0..3 * 1024)
        .map(|i| ((i % 97) as f32 - 48.0) / 16.0)
        .collect();
    NpyArray::from_values(&[3, 1024, 1], &values)
        .unwrap()
        .write(&file("sets.npy"))
        .unwrap();
    NpyArray::from_values(&[1, 1024, 1], &values[..1024])
        .unwrap()
        .write(&file("one.npy"))
        .unwrap();
    NpyArray::from_values(&[1, 1, 1024, 1], &[3i8; 1024])
        .unwrap()
        .write(&file("integers.npy"))
        .unwrap();
    NpyArray::from_values(&[1, 512], &values[..512])
        .unwrap()
        .write(&file("short.npy"))
        .unwrap();
    let (model, out) = (model(), file("out"));
    let run = |input: &Path, more: &[&str]| {
        let mut args = vec![
            "run",
            model,
            "--input",
            path(input),
            "--output-dir",
            path(&out),
        ];
        args.extend(more);
        succeeds(&args);
        NpyArray::read(&out.join("out0.npy")).unwrap()
    };
    let integers = run(&file("integers.npy"), &[]);
    assert_eq!(
        (integers.shape(), integers.element_type().name()),
        (&[1, 6][..], "INT8")
    );
    let one = run(&file("one.npy"), &["--float"]);
    assert_eq!(
        (one.shape(), one.element_type().name()),
        (&[1, 6][..], "FLOAT32")
    );
    let total: f32 = one.to_f32().unwrap().iter().sum();
    assert!(
        (total - 1.0).abs() < 0.05,
        "probabilities add up to {total}"
    );
    let sets = run(&file("sets.npy"), &["--float", "--sets", "--reset"]);
    assert_eq!(sets.shape(), [3, 1, 6]);
    assert_eq!(sets.to_f32().unwrap()[..6], one.to_f32().unwrap()[..]);

    let with = |input: &Path, parts: &[&str]| {
        refuses(
            &[
                "run",
                model,
                "--input",
                path(input),
                "--output-dir",
                path(&out),
            ],
            parts,
        );
    };
    with(&file("one.npy"), &["INT8", "FLOAT32", "--float"]);
    let short = file("short.npy");
    with(&short, &["FLOAT32"]);
    let args = [
        "run",
        model,
        "--input",
        path(&short),
        "--float",
        "--output-dir",
        path(&out),
    ];
    refuses(&args, &["[1, 1, 1024, 1]", "[1, 512]"]);
}

#[test]
fn quantize_makes_an_integer_model() {
    use larun::zoo::npy::NpyArray;
    let dir = tempfile::tempdir().unwrap();
    let float = trained().join("model_float.tflite");
    let calibration = dir.path().join("calibration.npy");
    let values: Vec<f32> = (0..4 * 1024)
        .map(|i| ((i % 89) as f32 - 44.0) / 15.0)
        .collect();
    NpyArray::from_values(&[4, 1024, 1], &values)
        .unwrap()
        .write(&calibration)
        .unwrap();
    let out = dir.path().join("int8.tflite");
    let args = |model| {
        let calibration = path(&calibration);
        [
            "quantize",
            model,
            "--scheme",
            "int8",
            "--calib",
            calibration,
            "-o",
            path(&out),
            "--json",
            "-q",
        ]
    };
    let report = json(&succeeds(&args(path(&float))));
    assert_eq!(report["calibration_samples"], 4);
    assert_eq!(
        report["quantized_bytes"],
        std::fs::metadata(&out).unwrap().len()
    );
    refuses(&args(model()), &["INT8 already"]);

    let empty = dir.path().join("empty.npy");
    NpyArray::from_values::<f32>(&[0, 1024, 1], &[])
        .unwrap()
        .write(&empty)
        .unwrap();
    let args = [
        "quantize",
        path(&float),
        "--scheme",
        "int8",
        "--calib",
        path(&empty),
        "-o",
        path(&out),
    ];
    refuses(&args, &["empty.npy", "no samples"]);
}

#[test]
fn quantize_follows_recipes_and_budgets() {
    use larun::zoo::npy::NpyArray;
    let dir = tempfile::tempdir().unwrap();
    let float = trained().join("model_float.tflite");
    let calibration = dir.path().join("calibration.npy");
    let values: Vec<f32> = (0..12 * 1024)
        .map(|i| ((i * 7 % 89) as f32 - 44.0) / 15.0)
        .collect();
    NpyArray::from_values(&[12, 1024, 1], &values)
        .unwrap()
        .write(&calibration)
        .unwrap();
    let out = dir.path().join("out.tflite");
    let quantize = |more: &[&str]| {
        let mut args = vec!["quantize", path(&float), "-o", path(&out), "--json", "-q"];
        args.extend(["--calib", path(&calibration)]);
        args.extend(more);
        json(&succeeds(&args))
    };
    let sizes = ["fp16", "int8", "int4"].map(|scheme| {
        let report = quantize(&["--scheme", scheme]);
        assert!(report["sqnr_db"].as_f64().unwrap() > 0.0);
        report["quantized_bytes"].as_u64().unwrap()
    });
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");

    let recipe = dir.path().join("recipe.toml");
    std::fs::write(
        &recipe,
        "[[rule]]\noperator = \"CONV_2D\"\nweights = \"int8\"\n",
    )
    .unwrap();
    let report = quantize(&["--recipe", path(&recipe)]);
    for layer in report["layers"].as_array().unwrap() {
        let expected = match layer["op"].as_str() {
            Some("CONV_2D") => "FLOAT32 activations, INT8 weights",
            _ => "FLOAT32 activations, FLOAT32 weights",
        };
        assert_eq!(layer["scheme"], expected);
    }

    let budget = sizes[1].midpoint(sizes[2]);
    let kb = format!("{}", budget as f64 / 1024.0);
    let report = quantize(&["--scheme", "mixed", "--flash-kb", &kb]);
    assert!(report["quantized_bytes"].as_u64().unwrap() <= budget);
    assert_eq!(report["mixed"]["flash_bytes"], report["quantized_bytes"]);
    let layers = report["sensitivity"].as_array().unwrap();
    assert!(layers.iter().all(|layer| layer["chosen"].is_u64()));

    let base = [
        "quantize",
        path(&float),
        "-o",
        path(&out),
        "--calib",
        path(&calibration),
    ];
    let refused = |more: &[&str], expected: &str| {
        let args: Vec<_> = base.iter().chain(more).copied().collect();
        refuses(&args, &[expected]);
    };
    refused(&["--scheme", "mixed"], "give a bound");
    refused(
        &["--scheme", "mixed", "--flash-kb", "1"],
        "the smallest choice takes",
    );
    refused(
        &["--scheme", "int8", "--flash-kb", "9"],
        "belong to --scheme mixed",
    );
    std::fs::write(&recipe, "[[rule]]\nweight = 1\n").unwrap();
    refused(&["--recipe", path(&recipe)], "unknown field");
}

#[test]
fn plan_knows_models_and_tables() {
    let plan = json(&succeeds(&["plan", "--json", model()]));
    assert!(plan["peak_bytes"].as_u64() >= plan["lower_bound_bytes"].as_u64());
    assert_eq!(
        plan["optimal"],
        plan["peak_bytes"] == plan["lower_bound_bytes"]
    );

    let dir = tempfile::tempdir().unwrap();
    let (csv, out) = (dir.path().join("in.csv"), dir.path().join("out.csv"));
    std::fs::write(&csv, "id,lower,upper,size\na,0,3,4\nb,3,9,4\nc,0,9,4\n").unwrap();
    let args = [
        "plan",
        "--csv",
        path(&csv),
        "-o",
        path(&out),
        "--json",
        "--capacity",
        "8",
    ];
    let plan = json(&succeeds(&args));
    assert_eq!(
        (&plan["peak_bytes"], &plan["optimal"]),
        (&Value::from(8), &Value::from(true))
    );
    assert_eq!(std::fs::read_to_string(out).unwrap().lines().count(), 4);
    let output = larun(&["plan", "--csv", path(&csv), "--capacity", "7"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("1 more than the capacity of 7"));
    std::fs::write(&csv, "id,lower\n").unwrap();
    refuses(&["plan", "--csv", path(&csv)], &["in.csv"]);
}

#[test]
fn a_plan_travels_in_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let (planned, picture) = (
        dir.path().join("planned.tflite"),
        dir.path().join("plan.svg"),
    );
    let args = [
        "plan",
        "--planner",
        "optimal",
        "--json",
        model(),
        "-o",
        path(&planned),
        "--svg",
        path(&picture),
    ];
    let plan = json(&succeeds(&args));
    assert_eq!(plan["optimal"], Value::from(true));
    assert_eq!(plan["peak_bytes"], plan["lower_bound_bytes"]);
    let picture = std::fs::read_to_string(picture).unwrap();
    let buffers = plan["buffers"].as_array().unwrap();
    assert_eq!(picture.matches("<title>").count(), buffers.len());

    // The interpreter follows the plan in the file.
    let followed = json(&succeeds(&["plan", "--json", path(&planned)]));
    assert_eq!(followed["planner"], Value::from("file"));
    assert_eq!(followed["peak_bytes"], plan["peak_bytes"]);
    assert_eq!(followed["buffers"], plan["buffers"]);
    assert_eq!(followed["arena_bytes"], plan["arena_bytes"]);

    let csv = dir.path().join("in.csv");
    std::fs::write(&csv, "id,lower,upper,size\na,0,3,4\n").unwrap();
    refuses(
        &["plan", "--csv", path(&csv), "-o", path(&planned)],
        &[".csv"],
    );
    for planner in ["portfolio", "hill-climb"] {
        let other = json(&succeeds(&[
            "plan",
            "--planner",
            planner,
            "--in-place",
            "--reorder",
            "--json",
            model(),
        ]));
        assert!(other["peak_bytes"].as_u64() <= plan["peak_bytes"].as_u64());
        assert!(other["live_bytes_before_reordering"].is_u64());
    }
}

#[test]
fn layers_run_row_by_row() {
    let plan = |flags: &[&str]| {
        let args = ["plan", "--generated", "--json", model()];
        json(&succeeds(&[&args, flags].concat()))
    };
    let peak = |plan: &Value| plan["peak_bytes"].as_u64().unwrap();
    let whole = plan(&[]);
    assert!(whole["by_rows"].as_array().unwrap().is_empty());
    let streamed = plan(&["--in-place", "--stream"]);
    assert!(peak(&streamed) < peak(&whole));
    assert!(!streamed["by_rows"].as_array().unwrap().is_empty());
    // Nothing is streamed where everything fits.
    let fits = format!("--stream={}", peak(&whole));
    assert_eq!(plan(&[&fits])["by_rows"], whole["by_rows"]);

    let dir = tempfile::tempdir().unwrap();
    let args = ["export", model(), "--name", "net", "-o", path(dir.path())];
    let rust = ["--format", "rust", "--in-place", "--stream"];
    succeeds(&[&args[..], &rust].concat());
    let source = std::fs::read_to_string(dir.path().join("net.rs")).unwrap();
    assert!(source.contains("row by row"));
    assert!(source.contains(&format!("ACTIVATION_BYTES: usize = {};", peak(&streamed))));
    let c = ["--format", "c", "--stream"];
    refuses(&[&args[..], &c].concat(), &["Rust"]);
    refuses(&["plan", "--stream=1000", model()], &["--generated"]);
}

#[test]
fn export_and_bench() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "export",
        model(),
        "--format",
        "c-header",
        "--name",
        "net",
        "-o",
        path(dir.path()),
    ];
    succeeds(&args);
    assert!(
        std::fs::read_to_string(dir.path().join("net.h"))
            .unwrap()
            .contains("net_data_len")
    );
    for (format, files) in [
        ("rust", &["net.rs"][..]),
        ("c", &["net.c", "net.h"]),
        ("arduino", &["net/net.ino", "net/net.h"]),
    ] {
        let out = dir.path().join(format);
        let args = [
            "export",
            model(),
            "--format",
            format,
            "--name",
            "net",
            "-o",
            path(&out),
            "--json",
        ];
        let written = json(&succeeds(&args));
        assert_eq!(written["files"].as_array().unwrap().len(), files.len());
        for file in files {
            assert!(out.join(file).is_file(), "{format}: {file}");
        }
    }
    let rust = std::fs::read_to_string(dir.path().join("rust/net.rs")).unwrap();
    assert!(rust.contains("pub fn predict(&mut self, input: &[i8; "));
    let sketch = std::fs::read_to_string(dir.path().join("arduino/net/net.ino")).unwrap();
    assert!(sketch.contains("resolver.AddConv2D()") && sketch.contains("kArenaBytes"));

    let timing = json(&succeeds(&[
        "bench",
        model(),
        "--runs",
        "3",
        "--per-op",
        "--json",
    ]));
    assert_eq!(timing["runs"], 3);
    for figure in ["mean_ms", "std_ms", "min_ms", "max_ms", "median_ms"] {
        assert!(timing[figure].is_f64(), "{figure}");
    }
    assert_eq!(timing["operators"][0]["op"], "CONV_2D");
}

#[test]
fn models_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let same = json(&succeeds(&["compare", model(), model(), "--json"]));
    assert_eq!(same["first_difference"], Value::Null);
    assert_eq!(same["outputs"][0]["differing"], 0);
    assert_eq!(same["made_up_inputs"], true);

    // Another weight in the first layer: everything behind it may differ.
    let mut graph = larun::Model::open(Path::new(model()))
        .unwrap()
        .graph()
        .unwrap();
    let first = graph.subgraphs[0].nodes[0].inputs[1].unwrap();
    let buffer = graph.subgraphs[0].tensors[first.index()].buffer;
    graph.buffers[buffer.index()].data.fill(100);
    let other = dir.path().join("other.tflite");
    std::fs::write(&other, larun::tflite::write(&graph).unwrap()).unwrap();
    let output = larun(&["compare", model(), path(&other)]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("first tensor that differs"),
        "{}",
        stdout(&output)
    );
    assert!(
        stdout(&output).contains("(CONV_2D 0)"),
        "{}",
        stdout(&output)
    );

    let roundings = json(&succeeds(&["compare", model(), "--rounding", "--json"]));
    assert_eq!(roundings["roundings"].as_array().map(Vec::len), Some(2));
    let missing = path(&dir.path().join("none.npy")).to_owned();
    refuses(
        &["compare", model(), model(), "--data", &missing],
        &["none.npy"],
    );
}

#[test]
fn damaged_models_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("damaged.tflite");
    let whole = std::fs::read(model()).unwrap();
    let calibration = dir.path().join("calibration.npy");
    larun::zoo::npy::NpyArray::from_values(&[1, 4], &[0.0f32; 4])
        .unwrap()
        .write(&calibration)
        .unwrap();
    for len in [0, 3, 8, 40, whole.len() / 2] {
        std::fs::write(&file, &whole[..len]).unwrap();
        let (file, calibration, out) = (path(&file), path(&calibration), path(dir.path()));
        refuses(&["inspect", file], &["damaged.tflite"]);
        refuses(
            &["run", file, "--input", calibration, "--output-dir", out],
            &["damaged.tflite"],
        );
        refuses(
            &[
                "quantize",
                file,
                "--scheme",
                "int8",
                "--calib",
                calibration,
                "-o",
                "x",
            ],
            &["damaged.tflite"],
        );
    }
}

/// The arguments of a short `train` of the student into `out`.
fn train_args<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", "--zoo", "student", "-o", out, "-q", "--seed", "3"];
    args.extend(["--samples-per-class", "16", "--epochs", "3"]);
    args.extend(more);
    args
}

#[test]
fn train_writes_a_model_and_a_log() {
    let dir = TempDir::new().unwrap();
    let (out, again) = (dir.path().join("a.tflite"), dir.path().join("b.tflite"));
    let text = succeeds(&train_args(
        path(&out),
        &["--optimizer", "sgd", "--schedule", "step"],
    ));
    for part in ["before", "after", "written model", "confusion"] {
        assert!(text.contains(part), "{text}");
    }
    // Every line of the log is JSON; epochs hold the figures of both splits.
    let log = std::fs::read_to_string(dir.path().join("a.tflite.log.jsonl")).unwrap();
    let lines: Vec<Value> = log.lines().map(json).collect();
    let epochs = lines.iter().filter(|line| line["event"] == "epoch");
    assert_eq!(epochs.count(), 3);
    assert!(
        lines
            .iter()
            .any(|line| line["validation"]["accuracy"].is_number())
    );
    // The same seed gives the same bytes, at another number of threads too.
    let more = ["--optimizer", "sgd", "--schedule", "step", "--threads", "1"];
    succeeds(&train_args(path(&again), &more));
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&again).unwrap());
}

#[test]
fn train_and_distill_for_integers() {
    let dir = TempDir::new().unwrap();
    let (float, int8) = (dir.path().join("t.tflite"), dir.path().join("s.tflite"));
    succeeds(&train_args(path(&float), &[]));
    let mut args = vec![
        "distill",
        "--teacher",
        path(&float),
        "--student",
        path(&float),
    ];
    args.extend(["--data", "unused.npz"]);
    refuses(
        &[args.as_slice(), &["-o", path(&int8)]].concat(),
        &["unused.npz"],
    );
    let mut args = vec!["distill", "--teacher", path(&float), "--student", "student"];
    args.extend(["--qat", "int8", "-o", path(&int8), "-q", "--json"]);
    args.extend([
        "--samples-per-class",
        "16",
        "--epochs",
        "2",
        "--temperature",
        "3",
    ]);
    let report = json(&succeeds(&args));
    assert_eq!(report["teachers"], 1);
    assert!(report["agreement"].as_f64().unwrap() > 0.9, "{report}");
    assert!(dir.path().join("s_float.tflite").exists());
    let (small, large) = (
        std::fs::metadata(&int8).unwrap().len(),
        std::fs::metadata(&float).unwrap().len(),
    );
    assert!(small < large);
    // Nothing to go on with, a teacher of integers, and a student that tells other classes apart.
    refuses(
        &train_args(path(&float), &["--resume"]),
        &["no checkpoint to resume from"],
    );
    let mut args = vec!["distill", "--teacher", path(&int8), "--student", "student"];
    args.extend(["-o", path(&float), "-q", "--samples-per-class", "8"]);
    refuses(&args, &["teacher cannot be run"]);
}

#[test]
fn optimize_trains_for_integers() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out");
    let report = json(&succeeds(&short(
        path(&out),
        &["--qat", "--qat-epochs", "2", "--json"],
    )));
    assert!(report["int8"]["accuracy"].is_number(), "{report}");
    assert!(out.join("model.tflite").exists());
}

#[test]
fn prune_removes_channels_and_trains_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let float = trained().join("model_float.tflite");
    let (out, samples) = (dir.path().join("pruned.tflite"), data(dir.path(), |_| ()));
    let (float, samples) = (path(&float), path(&samples));
    let more = ["--fine-tune", "1", "--sensitivity", "--json", "-q"];
    let mut args = vec![
        "prune",
        float,
        "--channels",
        "0.5",
        "--data",
        samples,
        "-o",
        path(&out),
    ];
    args.extend(more);
    let report = json(&succeeds(&args));
    let figure = |when: &str, what: &str| report[when][what].as_u64().unwrap();
    assert!(
        2 * figure("after", "macs") <= figure("before", "macs"),
        "{report}"
    );
    assert!(figure("after", "int8_bytes") < figure("before", "int8_bytes"));
    assert!(report["after"]["accuracy"].as_f64().is_some());
    let groups = report["groups"].as_array().unwrap();
    let kept = groups.iter().filter(|group| group["kept_by"].is_string());
    // Only the scores have to stay.
    assert_eq!(kept.count(), 1, "{groups:?}");
    assert!(!report["sensitivity"].as_array().unwrap().is_empty());
    assert_eq!(report["file_bytes"], std::fs::metadata(&out).unwrap().len());
    // The same seed, from the checkpoint of a training that is over: the same bytes.
    let first = std::fs::read(&out).unwrap();
    args.push("--resume");
    succeeds(&args);
    assert_eq!(std::fs::read(&out).unwrap(), first);
    // The result is a model like any other.
    let scheme = ["--scheme", "int8", "--calib", samples, "-q"];
    let int8 = dir.path().join("int8.tflite");
    let mut args = vec!["quantize", path(&out), "-o", path(&int8)];
    args.extend(scheme);
    succeeds(&args);
}

#[test]
fn pruned_weights_are_stored_smaller_and_compute_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| path(&dir.path().join(name)).to_owned();
    let (dense, small) = (file("dense.tflite"), file("small.tflite"));
    let text = succeeds(&["prune", model(), "--sparsity", "0.9", "-q", "-o", &dense]);
    assert!(
        text.contains("% of the weights are zero, but a zero takes as many bytes"),
        "{text}"
    );
    let report = json(&succeeds(&[
        "prune", &dense, "--store", "decode", "--json", "-q", "-o", &small,
    ]));
    let ways = report["sizes"]["ways"].as_array().unwrap();
    let bytes = |name: &str| {
        let mut way = ways.iter().filter(|way| way["storage"] == name);
        way.next().unwrap()["file_bytes"].as_u64().unwrap()
    };
    assert!(bytes("decode") <= bytes("dense") && bytes("decode") <= bytes("pruning"));
    assert_eq!(report["file_bytes"].as_u64().unwrap(), bytes("decode"));
    let input = file("in.npy");
    let values = vec![0.25f32; 1024];
    let array = larun::zoo::npy::NpyArray::from_values(&[1, 1, 1024, 1], &values).unwrap();
    array.write(Path::new(&input)).unwrap();
    let outputs = [&dense, &small].map(|model| {
        let folder = tempfile::tempdir().unwrap();
        let out = path(folder.path());
        succeeds(&[
            "run",
            model,
            "--float",
            "--input",
            &input,
            "--output-dir",
            out,
        ]);
        std::fs::read(folder.path().join("out0.npy")).unwrap()
    });
    assert_eq!(outputs[0], outputs[1]);
    let text = succeeds(&["inspect", "--sizes", &dense]);
    assert!(
        text.contains("huffman") && text.contains("LiteRT"),
        "{text}"
    );
}

#[test]
fn prune_explains_what_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let out = path(&dir.path().join("out.tflite")).to_owned();
    let prune = |more: &[&'static str]| {
        let mut args = vec!["prune", model(), "-q", "-o"];
        args.push(&out);
        args.extend(more);
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    for (more, parts) in [
        (&[][..], &["--sparsity", "--store"][..]),
        (&["--sparsity", "1.5"], &["0 <= s < 1"]),
        (
            &["--sparsity", "0.5", "--channels", "0.5"],
            &["cannot be used with"],
        ),
        (&["--channels", "0.5", "--fine-tune", "1"], &["--data"]),
        (
            &["--channels", "0.5", "--importance", "size"],
            &["fpgm", "taylor"],
        ),
        (
            &["--channels", "0.5", "--importance", "taylor"],
            &["--data"],
        ),
        (&["--sparsity", "0.5", "--pattern", "3"], &["1x4"]),
        (&["--macs", "10"], &["budget of 10 MACs", "still"]),
    ] {
        let args = prune(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        refuses(&args, parts);
        assert!(!Path::new(&out).exists());
    }
}

/// A file of the FITS fixtures.
fn fits(name: &str) -> String {
    let fixtures = "../larun-data/tests/fixtures";
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(fixtures)
        .join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn data_are_simulated_inspected_and_converted() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| path(&dir.path().join(name)).to_owned();
    let npz = file("galaxies.npz");
    let args = [
        "data", "simulate", "galaxies", "-n", "4", "--seed", "9", "-o", &npz,
    ];
    let text = succeeds(&args);
    assert!(
        text.contains("16 samples of shape [64, 64, 3], 4 classes"),
        "{text}"
    );
    let again = file("again.npz");
    let mut args = args;
    args[8] = &again;
    succeeds(&args);
    assert_eq!(std::fs::read(&npz).unwrap(), std::fs::read(&again).unwrap());

    let seen = json(&succeeds(&["data", "inspect", &npz, "--json"]));
    assert_eq!(
        (&seen["kind"], &seen["samples"]),
        (&"dataset".into(), &16.into())
    );
    assert_eq!(seen["classes"][1]["name"], "spiral");

    let three = file("three.csv");
    let merge = "elliptical=merger";
    succeeds(&[
        "data", "convert", &npz, "--merge", merge, "--scale", "2", "--limits", "0,1.5", "-o",
        &three,
    ]);
    let seen = json(&succeeds(&["data", "inspect", &three, "--json"]));
    assert_eq!(seen["classes"].as_array().unwrap().len(), 3);
    assert!(seen["largest"].as_f64().unwrap() <= 1.5);
    refuses(
        &[
            "data",
            "convert",
            &npz,
            "--merge",
            "blob=merger",
            "-o",
            &three,
        ],
        &["\"blob\"", "spiral"],
    );
    refuses(
        &["data", "convert", &npz, "-o", &file("galaxies.png")],
        &["galaxies.png", ".npz or .csv"],
    );
}

#[test]
fn light_curves_of_telescopes_become_samples() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| path(&dir.path().join(name)).to_owned();
    let kepler = fits("kepler.fits");
    let text = succeeds(&["data", "inspect", &kepler]);
    for part in [
        "PDCSAP_FLUX [e-/s]",
        "KIC 11446443",
        "393 of 400 rows",
        "29.42 minutes",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let out = file("views.npy");
    let mut args = vec!["data", "convert", &kepler, "-o", &out, "--json"];
    args.extend([
        "--form",
        "views",
        "--points",
        "61",
        "--normalise",
        "depth",
        "--detrend",
        "biweight",
    ]);
    args.extend(["--sigma-clip", "4", "--sigma-lower", "inf"]);
    refuses(&args, &["kepler.fits", "the period"]);
    args.extend(["--period", "3", "--epoch", "132.06"]);
    let written = json(&succeeds(&args));
    assert_eq!(written["shape"], json("[1, 61, 2]"));
    let array = larun::zoo::npy::NpyArray::read(Path::new(&out)).unwrap();
    let values = array.values::<f32>().unwrap();
    assert!(
        values[61] < -0.8,
        "the transit is in the middle: {}",
        values[61]
    );

    let list = file("list.csv");
    let lines = format!(
        "file,label,split\n{kepler},planet,train\n{},star,val\n{},star,test\n",
        fits("tess.fits"),
        fits("tess.fits")
    );
    std::fs::write(&list, lines).unwrap();
    let npz = file("curves.npz");
    let text = succeeds(&[
        "data", "convert", "--list", &list, "--points", "128", "-o", &npz,
    ]);
    assert!(text.contains("9 samples of shape [128, 1]"), "{text}");
}

#[test]
fn unusable_light_curves_are_named_with_their_column() {
    for (name, parts) in [
        ("no_flux.fits", &["PDCSAP_FLUX", "TIMECORR"][..]),
        ("all_nan.fits", &["PDCSAP_FLUX", "NaN"]),
        ("seconds.fits", &["TIME", "\"s\"", "days"]),
        ("magnitudes.fits", &["PDCSAP_FLUX", "mag"]),
    ] {
        let file = fits(name);
        let all: Vec<&str> = [name].iter().chain(parts).copied().collect();
        refuses(&["data", "convert", &file, "-o", "unused.npy"], &all);
        refuses(&["data", "inspect", &file], &all);
    }
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.fits");
    let whole = std::fs::read(fits("kepler.fits")).unwrap();
    std::fs::write(&cut, &whole[..9000]).unwrap();
    refuses(
        &["data", "inspect", path(&cut)],
        &["cut.fits", "truncated", "LIGHTCURVE"],
    );
}

#[test]
fn a_search_is_what_its_trials_are() {
    let dir = tempfile::tempdir().unwrap();
    let curves = data(dir.path(), |data| {
        data.x = data
            .x
            .chunks_exact(1024)
            .flat_map(|curve| curve[..64].to_vec())
            .collect();
        data.sample_shape = vec![64, 1];
    });
    let (curves, store, plot) = (
        path(&curves),
        dir.path().join("trials.jsonl"),
        dir.path().join("front.svg"),
    );
    let shared = [
        "--data",
        curves,
        "--device",
        "nano33ble",
        "--epochs",
        "1",
        "--seed",
        "5",
    ];
    let run = |more: &[&str]| {
        let mut args = vec![
            "search",
            "run",
            "--strategy",
            "random",
            "--trials",
            "3",
            "-q",
        ];
        args.extend(shared);
        args.extend(["--store", path(&store)]);
        args.extend(more);
        succeeds(&args)
    };
    let text = run(&["--svg", path(&plot)]);
    assert!(text.contains("3 trials, 0 over budget"), "{text}");
    let trials = std::fs::read_to_string(&store).unwrap();
    // Nothing is left to do, and the front is the same.
    assert_eq!(run(&[]), text);
    assert_eq!(std::fs::read_to_string(&store).unwrap(), trials);
    assert!(std::fs::read_to_string(&plot).unwrap().contains("<circle"));

    let mut args = vec!["search", "trial", "--index", "1", "--threads", "1"];
    args.extend(shared);
    assert_eq!(succeeds(&args).trim_end(), trials.lines().nth(1).unwrap());
    assert_eq!(succeeds(&["search", "show", path(&store)]), text);

    args.extend(["--max-flash-kb", "1"]);
    let over = json(&succeeds(&args));
    assert!(over["accuracy"].is_null() && over["exceeded"][0].as_str().unwrap().contains("flash"));
    let mut other = args.clone();
    let space = dir.path().join("space.json");
    std::fs::write(&space, "{\"filter\": [8]}").unwrap();
    other.extend(["--space", path(&space)]);
    refuses(&other, &["space.json", "filters"]);

    // A network that was found, trained once more and written.
    let found = dir.path().join("found.tflite");
    let mut args = vec!["search", "trial", "--index", "1", "--of", path(&store)];
    args.extend(shared);
    args.extend(["-o", path(&found)]);
    assert_eq!(succeeds(&args).trim_end(), trials.lines().nth(1).unwrap());
    let bytes = json(trials.lines().nth(1).unwrap())["cost"]["flash_bytes"].clone();
    assert_eq!(bytes, std::fs::metadata(&found).unwrap().len());
    assert!(dir.path().join("found_float.tflite").exists());
    let missing = ["search", "trial", "--index", "9", "--of", path(&store)];
    refuses(
        &[&missing[..], &shared].concat(),
        &["trials.jsonl", "trial 9"],
    );
}
