//! What a newcomer meets: help, completions, manual pages, colours, and Ctrl-C.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;

fn larun<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(cargo_bin!("larun"));
    command.args(args);
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The names of a folder's files, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_command_has_a_page_and_a_help_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    let args = [
        OsStr::new("man-pages"),
        OsStr::new("--output-dir"),
        pages.as_os_str(),
    ];
    succeeds(&larun(&args).output().unwrap());
    let pages = names(&pages);
    assert!(pages.len() > 16, "{pages:?}");
    assert!(
        pages.contains(&"larun-data-convert.1".to_owned()),
        "{pages:?}"
    );

    let help = succeeds(&larun(&["--help"]).output().unwrap());
    assert!(help.contains("Try first"), "{help}");
    for page in pages.iter().filter(|page| *page != "larun.1") {
        let name = page.strip_suffix(".1").unwrap();
        // The pages' names join words by hyphens, and so does one command.
        let words: Vec<_> = match name {
            "larun-man-pages" => vec!["man-pages"],
            _ => name.split('-').skip(1).collect(),
        };
        let args = [&words[..], &["--help"]].concat();
        let help = succeeds(&larun(&args).output().unwrap());
        assert!(help.contains("Example"), "{words:?}: {help}");
        assert!(
            help.contains(&format!("larun {}", words.join(" "))),
            "{words:?}: {help}"
        );
    }
}

#[test]
fn the_command_alone_says_what_to_type_first() {
    let output = larun::<&str>(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(
        message
            .trim_end()
            .ends_with("larun optimize --zoo spectral --device nano33ble -o out"),
        "{message}"
    );
}

#[test]
fn shells_know_the_commands_and_their_options() {
    for shell in ["bash", "zsh", "fish"] {
        let script = succeeds(&larun(&["completions", shell]).output().unwrap());
        for word in ["quantize", "optimize", "calibration-samples", "man-pages"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let output = larun(&["completions", "teletype"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("possible values: bash"));
}

#[test]
fn colour_only_where_it_is_wanted() {
    let failing = |name: &str, value: &str| {
        let mut command = larun(&["inspect", "no_such.tflite"]);
        if !name.is_empty() {
            command.env(name, value);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    // No terminal here.
    assert!(failing("", "").starts_with("error: no_such.tflite"));
    assert!(failing("CLICOLOR_FORCE", "1").starts_with("\u{1b}["));
    let mut command = larun(&["inspect", "no_such.tflite"]);
    command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(text(&command.output().unwrap().stderr).starts_with("error: no_such.tflite"));
}

#[cfg(unix)]
mod interrupted {
    //! Ctrl-C, which a terminal sends as SIGINT.

    use std::io::{BufRead, BufReader};
    use std::process::{Child, Stdio};

    use super::{Command, Path, larun, names, text};

    /// Starts a command, waits for a line on stderr that begins with `line`, presses Ctrl-C; returns the rest of stderr.
    fn after(line: &str, mut command: Command) -> (Option<i32>, String) {
        let mut child: Child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        while !seen.lines().any(|seen| seen.trim_start().starts_with(line)) {
            assert!(stderr.read_line(&mut seen).unwrap() > 0, "it ended: {seen}");
        }
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut stderr, &mut rest).unwrap();
        (child.wait().unwrap().code(), text(&rest))
    }

    /// A float model of light curves of 1024 points, and many samples.
    fn model_and_samples(folder: &Path) {
        let stars = larun::zoo::simulate::light_curves(400, 1);
        let network = larun::zoo::networks::find("spectral").unwrap();
        let graph = network.build(&stars.sample_shape, stars.class_names.len(), 1);
        let graph = larun::quantize::prepare(graph.unwrap()).unwrap();
        let bytes = larun::tflite::write(&graph).unwrap();
        std::fs::write(folder.join("float.tflite"), bytes).unwrap();
        stars.save_npz(folder.join("stars.npz")).unwrap();
    }

    #[test]
    fn a_quantisation_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        model_and_samples(folder.path());
        let before = names(folder.path());
        let mut command = larun(&["quantize", "float.tflite", "--scheme", "int8", "--optimize"]);
        command
            .args(["--calib", "stars.npz", "-o", "int8.tflite"])
            .current_dir(folder.path());
        let (code, message) = after("quantising", command);
        assert_eq!(code, Some(130), "{message}");
        assert_eq!(names(folder.path()), before);
    }

    #[test]
    fn a_training_leaves_a_checkpoint_and_says_how_to_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = larun(&["train", "--zoo", "student", "--samples-per-class", "16"]);
        command.args([
            "--epochs",
            "100000",
            "--patience",
            "100000",
            "-o",
            "m.tflite",
        ]);
        command.current_dir(folder.path());
        let (code, message) = after("epoch", command);
        assert_eq!(code, Some(130), "{message}");
        assert!(message.contains("--resume"), "{message}");
        assert_eq!(
            names(folder.path()),
            ["m.tflite.checkpoint", "m.tflite.log.jsonl"]
        );
        let log = std::fs::read_to_string(folder.path().join("m.tflite.log.jsonl")).unwrap();
        for line in log.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(event["event"].is_string(), "{line}");
        }
    }
}
