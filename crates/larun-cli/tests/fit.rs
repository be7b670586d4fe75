//! `larun fit` on real models and boards.

use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/spectral/model.tflite")
}

/// Runs the command; exit status, standard output, standard error.
fn larun(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(cargo_bin!("larun"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_model_that_fits_says_where_everything_goes() {
    let model = model();
    let model = model.to_str().unwrap();
    let (code, out, err) = larun(&[
        "fit",
        model,
        "--device",
        "nano33ble",
        "--ms",
        "1000",
        "--json",
    ]);
    assert_eq!(code, 0, "{err}");
    let fit: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(fit["fits"], true);
    assert_eq!(fit["ram_is_measured"], true);
    let file = std::fs::metadata(model).unwrap().len();
    assert_eq!(fit["usage"]["flash_bytes"], file);
    let layers = fit["cost"]["layers"].as_array().unwrap();
    let sum = |key: &str| -> f64 {
        layers
            .iter()
            .map(|layer| layer[key].as_f64().unwrap())
            .sum()
    };
    assert_eq!(sum("macs"), fit["cost"]["macs"].as_f64().unwrap());
    assert!(sum("cycles") <= fit["cost"]["cycles"].as_f64().unwrap());
    assert!(
        layers.iter().all(|layer| layer["counted"] == true),
        "every kernel of it was counted"
    );
    let shares: Vec<f64> = fit["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["worst_share"].as_f64().unwrap())
        .collect();
    assert!(!shares.is_empty() && shares.is_sorted());

    let (code, out, _) = larun(&["fit", model, "--device", "nano33ble", "--ms", "1000"]);
    assert_eq!(code, 0);
    for part in [
        "Arduino Nano 33 BLE",
        "fits",
        "CONV_2D",
        "what would help most",
        "estimate",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn by_how_much_a_model_does_not_fit_is_a_finding() {
    let model = model();
    let limits = ["--flash-kb", "1", "--ram-kb", "1", "--ms", "0.001"];
    let mut arguments = vec!["fit", model.to_str().unwrap(), "--device", "pico"];
    arguments.extend(limits);
    let (code, out, err) = larun(&arguments);
    assert_eq!(code, 1);
    assert!(out.contains("does not fit"), "{out}");
    for part in [
        "flash",
        "RAM",
        "time (estimate)",
        "over the budget's 1024 bytes",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let file = std::fs::metadata(&model).unwrap().len();
    assert!(
        err.contains(&format!("{file} bytes, {} bytes over", file - 1024)),
        "{err}"
    );
}

#[test]
fn boards_are_listed_and_added_by_files() {
    let (code, out, _) = larun(&["fit", "--list-devices"]);
    assert_eq!(code, 0);
    for id in ["nano33ble", "esp32", "pico2", "stm32u5", "ra8d1", "pizero"] {
        assert!(out.contains(id), "{id}: {out}");
    }
    let (_, json, _) = larun(&["fit", "--list-devices", "--json"]);
    let devices: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(devices["boards"][0]["id"], "nano33ble");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    let text = "id = \"mine\"\nname = \"My board\"\ncore = \"cortex-m33\"\nclock_mhz = 100\nflash_kb = 512\n\n[[ram]]\nname = \"SRAM\"\nkb = 64\n";
    std::fs::write(&file, text).unwrap();
    let model = model();
    let (model, device) = (model.to_str().unwrap(), file.to_str().unwrap());
    let (code, out, err) = larun(&["fit", model, "--device", device, "--ms", "1000"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("My board (Cortex-M33, 100 MHz)"), "{out}");

    std::fs::write(
        &file,
        text.replace("clock_mhz = 100", "clock_mhz = \"fast\""),
    )
    .unwrap();
    let (code, _, err) = larun(&["fit", model, "--device", device]);
    assert_eq!(code, 2);
    for part in ["mine.toml", "clock_mhz", "expected"] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let (code, _, err) = larun(&["fit", model, "--device", "arduino"]);
    assert_eq!(code, 2);
    assert!(
        err.contains("no device is called \"arduino\"") && err.contains("nano33ble"),
        "{err}"
    );
}
