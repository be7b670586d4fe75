//! `report.html` in a browser: no error in its console, every figure, nothing that sticks out, on a phone and on a desk.
//!
//! Needs `chromium` or `google-chrome`; what needs it is skipped by name without.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;

const CHECKS: &str = include_str!("report/checks.html");

/// Every figure of a page for a network that was trained, in order.
const FIGURES: [&str; 12] = [
    "limits",
    "scores",
    "confusion-float",
    "confusion-int8",
    "classes",
    "sizes",
    "pareto",
    "memory",
    "layers",
    "loss",
    "accuracy-curve",
    "command",
];

/// A class whose name would run a program where it is not escaped.
const HOSTILE: &str = "<img src=x onerror=\"console.error('run')\">&'";

fn larun(args: &[&str]) -> Output {
    let output = Command::new(cargo_bin!("larun")).args(args).output();
    let output = output.unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    // Exit status 1 is a model that does not fit.
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{args:?}: {message}"
    );
    output
}

/// A folder with samples and the trials of a search.
fn inputs() -> &'static Path {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let make = || {
        let dir = tempfile::tempdir().unwrap();
        let mut data = larun::zoo::simulate::light_curves(8, 1);
        let short = data.x.chunks_exact(1024).flat_map(|curve| &curve[..128]);
        data.x = short.copied().collect();
        data.sample_shape = vec![128, 1];
        data.class_names[0] = HOSTILE.to_owned();
        data.save_npz(dir.path().join("data.npz")).unwrap();
        let [samples, store] =
            ["data.npz", "trials.jsonl"].map(|name| path(&dir.path().join(name)));
        let mut args = vec![
            "search",
            "run",
            "-q",
            "--strategy",
            "random",
            "--trials",
            "4",
        ];
        args.extend(["--data", &samples, "--device", "stm32h7", "--epochs", "1"]);
        args.extend(["--store", &store]);
        larun(&args);
        dir
    };
    DIR.get_or_init(make).path()
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The output folder of a run on those samples.
fn optimized(more: &[&str]) -> TempDir {
    let out = tempfile::tempdir().unwrap();
    let [samples, store] = ["data.npz", "trials.jsonl"].map(|name| path(&inputs().join(name)));
    let folder = path(out.path());
    let mut args = vec![
        "optimize", "--zoo", "student", "-q", "--seed", "3", "--epochs", "2",
    ];
    args.extend(["--data", &samples, "--trials", &store, "-o", &folder]);
    args.extend(more);
    larun(&args);
    out
}

/// A browser for a test, where one is installed.
fn browser(test: &str) -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let found = names.into_iter().find(runs);
    if found.is_none() {
        println!("skipped: {test}: none of {names:?} is installed");
    }
    found
}

/// What a browser says of a page: the findings at each width, and the lines of its console.
fn look(browser: &str, page: &Path) -> (Vec<Value>, Vec<String>) {
    let profile = tempfile::tempdir().unwrap();
    let checks = page.with_file_name("checks.html");
    let name = page.file_name().unwrap().to_str().unwrap();
    std::fs::write(&checks, CHECKS.replace("\"PAGE\"", &format!("\"{name}\""))).unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        // The page in the frame is another file than the one around it.
        .args([
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--hide-scrollbars",
        ])
        .args(["--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("file://{}", checks.display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let console = log.lines().filter(|line| line.contains("CONSOLE"));
    let dom = String::from_utf8_lossy(&output.stdout);
    let found = dom
        .split_once("<pre id=\"found\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"))
        .map_or("", |(found, _)| found);
    let found = found
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let found = serde_json::from_str(&found)
        .unwrap_or_else(|error| panic!("{error}: {found}\n{dom}\n{log}"));
    (found, console.map(str::to_owned).collect())
}

/// A list of a finding.
fn list<'f>(found: &'f Value, what: &str) -> Vec<&'f str> {
    let items = found[what].as_array().unwrap();
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

fn none() -> Vec<&'static str> {
    Vec::new()
}

#[track_caller]
fn is_sound(browser: &str, page: &Path, figures: &[&str]) {
    let (found, console) = look(browser, page);
    assert_eq!(console, none());
    assert_eq!(found.len(), 2);
    for found in found {
        let width = &found["width"];
        assert_eq!(found["scroll_width"], *width, "{found:#}");
        for nothing in ["sticking_out", "hidden_figures", "texts_outside", "loaded"] {
            assert_eq!(list(&found, nothing), none(), "{nothing} at {width}");
        }
        assert_eq!(list(&found, "figures"), figures, "at {width}");
        assert_eq!(found["active"], 0, "at {width}");
        let size = found["smallest_text"].as_f64().unwrap();
        assert!(size >= 8.0, "letters of {size} pixels at {width}");
    }
}

#[test]
fn a_page_is_sound_at_the_width_of_a_phone_and_of_a_desk() {
    let Some(browser) = browser("a_page_is_sound_at_the_width_of_a_phone_and_of_a_desk") else {
        return;
    };
    let runs: [(&[&str], &[&str]); 2] = [
        (
            &["--device", "nano33ble", "--qat", "--qat-epochs", "2"],
            &["float", "INT8", "INT8, QAT"],
        ),
        (
            &[
                "--device",
                "stm32g0",
                "--target-size-kb",
                "1",
                "--fine-tune",
                "2",
            ],
            &["float", "float, pruned", "INT8"],
        ),
    ];
    for (more, steps) in runs {
        let out = optimized(more);
        let report = std::fs::read(out.path().join("report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        let made = report["steps"].as_array().unwrap();
        let made: Vec<_> = made.iter().map(|step| step["name"].as_str()).collect();
        let expected: Vec<_> = steps.iter().copied().map(Some).collect();
        assert_eq!(made, expected);
        assert_eq!(report["trials"].as_array().unwrap().len(), 4);
        is_sound(browser, &out.path().join("report.html"), &FIGURES);
    }
}

#[test]
fn a_page_for_a_model_that_was_not_trained_is_sound() {
    let Some(browser) = browser("a_page_for_a_model_that_was_not_trained_is_sound") else {
        return;
    };
    let first = optimized(&["--device", "pizero"]);
    let out = tempfile::tempdir().unwrap();
    let [model, samples, folder] = [
        first.path().join("model_float.tflite"),
        inputs().join("data.npz"),
        out.path().to_owned(),
    ]
    .map(|one| path(&one));
    larun(&[
        "optimize", &model, "--data", &samples, "--device", "alif-e7", "-q", "-o", &folder,
    ]);
    let figures: Vec<&str> = FIGURES
        .into_iter()
        .filter(|figure| !["loss", "accuracy-curve"].contains(figure))
        .collect();
    is_sound(browser, &out.path().join("report.html"), &figures);
}

/// The checks see what they are to see.
#[test]
fn faults_of_a_page_are_found() {
    let Some(browser) = browser("faults_of_a_page_are_found") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let page: PathBuf = dir.path().join("faulty.html");
    let html = r#"<!doctype html>
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <div style="width:700px">too wide for a phone</div>
        <figure data-figure="empty"></figure>
        <svg width="100" viewBox="0 0 400 100"><text x="390" y="50" font-size="12">outside</text></svg>
        <img src="https://example.invalid/a.png"><script>1</script>"#;
    std::fs::write(&page, html).unwrap();
    let (found, console) = look(browser, &page);
    assert!(
        console
            .iter()
            .any(|line| line.contains("Content Security Policy")),
        "{console:?}"
    );
    let [phone, desk] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(phone["scroll_width"].as_f64().unwrap() > 390.0);
    assert_eq!(desk["scroll_width"], 1280);
    assert_eq!(list(phone, "sticking_out").len(), 1);
    assert_eq!(list(phone, "hidden_figures"), ["empty"]);
    assert_eq!(list(phone, "texts_outside"), ["outside"]);
    assert_eq!(phone["smallest_text"], 3.0);
    assert_eq!(phone["active"], 2);
}

/// Equal runs give equal pages, but for the seconds that they took; and nothing of the data is taken for markup.
#[test]
fn pages_are_reproducible_and_escaped() {
    let more = ["--device", "nano33ble"];
    let read = || {
        let out = optimized(&more);
        let text = std::fs::read_to_string(out.path().join("report.html")).unwrap();
        let folder = path(out.path()).replace('/', "&#x2f;");
        let text = text.replace(&folder, "OUT");
        // `<td class="number">1.2 s</td>` is the time of a training.
        let is_time = |line: &&str| !line.contains(" s</td></tr>");
        text.lines().filter(is_time).collect::<Vec<_>>().join("\n")
    };
    let (page, again) = (read(), read());
    let differs = page.lines().zip(again.lines()).find(|(a, b)| a != b);
    assert_eq!(differs, None);
    assert_eq!(page.len(), again.len());
    assert!(!page.contains("<img"), "markup came through");
    assert!(page.contains("&lt;img src=x onerror="));
    // The names of SVG alone look like addresses.
    let names = page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert_eq!(page.matches("://").count(), names);
    assert!(!page.contains("url(") && !page.contains("@import"));
}
