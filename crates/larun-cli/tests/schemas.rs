//! What `--json` prints is what docs/schemas says, for every command and for every schema.

#[path = "support/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use serde_json::{Value, json};

/// Runs `larun` in a folder and holds what it prints to the schema that it names, whose name is given.
#[track_caller]
fn checked(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(cargo_bin!("larun"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    // A finding is printed as well.
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{args:?}: {error}"
    );
    held(&output.stdout, &args.join(" "))
}

/// Holds JSON to the schema that it names.
#[track_caller]
fn held(json: &[u8], what: &str) -> String {
    let value: Value = serde_json::from_slice(json).unwrap();
    let name = value["schema"].as_str().unwrap().to_owned();
    let file = schemas().join(format!("{}.json", name.replace('/', ".")));
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let schema: Value = serde_json::from_str(&text).unwrap();
    let wrong = schema::violations(&schema, &value);
    assert!(wrong.is_empty(), "{what}, {name}:\n{}", wrong.join("\n"));
    name
}

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas")
}

/// The commands of a whole project, in order: each takes what those before it wrote.
const COMMANDS: [&str; 21] = [
    "data simulate light-curves -n 6 --seed 7 -o curves.npz --json",
    "data inspect curves.npz --json",
    "data inspect kepler.fits --json",
    "data convert kepler.fits -o curve.npy --form whole --json",
    "data inspect curve.npy --json",
    "optimize --zoo student --device nano33ble --data curves.npz --epochs 2 -q --json -o out",
    "train --zoo student --data curves.npz --epochs 2 -q --json -o float.tflite",
    "distill --teacher float.tflite --student float.tflite --data curves.npz --epochs 1 --qat int8 -q --json -o taught.tflite",
    "prune float.tflite --channels 0.5 --data curves.npz --fine-tune 1 --sensitivity -q --json -o pruned.tflite",
    "quantize float.tflite --scheme int8 --calib curves.npz -q --json -o int8.tflite",
    "quantize float.tflite --scheme mixed --calib curves.npz --max-drop 50 -q --json -o mixed.tflite",
    "evaluate float.tflite int8.tflite --data curves.npz --json",
    "inspect int8.tflite --json",
    "inspect --sizes int8.tflite --json",
    "run int8.tflite --input curve.npy --float --output-dir scores --json",
    "plan int8.tflite --planner optimal --reorder --json",
    "fit int8.tflite --device nano33ble --json",
    "fit --list-devices --json",
    "export int8.tflite --format c -o c --json",
    "bench int8.tflite --runs 2 --per-op --json",
    "compare int8.tflite --rounding --json",
];

/// With several words in an argument, or after the others.
const MORE: [&str; 2] = [
    "compare float.tflite int8.tflite --data curves.npz --json",
    "search run --data curves.npz --device nano33ble --trials 2 --population 2 --epochs 1 --store trials.jsonl -q --json",
];

#[test]
fn every_command_prints_what_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let fits =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../larun-data/tests/fixtures/kepler.fits");
    std::fs::copy(fits, folder.path().join("kepler.fits")).unwrap();
    let mut seen = BTreeSet::new();
    for command in COMMANDS.iter().chain(&MORE) {
        let args: Vec<&str> = command.split(' ').collect();
        seen.insert(checked(folder.path(), &args));
    }
    let report = std::fs::read(folder.path().join("out/report.json")).unwrap();
    held(&report, "report.json");
    let files = std::fs::read_dir(schemas()).unwrap();
    let described: BTreeSet<String> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".json").replace(".1", "/1"))
        .collect();
    assert_eq!(
        seen, described,
        "each schema is printed by a command, each command has one"
    );
}

/// The checker finds what is wrong, or the test above would prove nothing.
#[test]
fn a_wrong_value_violates_its_schema() {
    let schema = json!({
        "type": "object",
        "properties": {
            "schema": { "const": "larun.test/1" },
            "count": { "type": ["integer", "null"], "minimum": 0 },
            "kind": { "$ref": "#/$defs/Kind" },
            "all": { "type": "array", "items": { "anyOf": [{ "type": "string" }, { "type": "null" }] } }
        },
        "required": ["schema", "count"],
        "$defs": { "Kind": { "enum": ["a", "b"] } }
    });
    let right = json!({ "schema": "larun.test/1", "count": null, "kind": "a", "all": ["x", null] });
    assert_eq!(schema::violations(&schema, &right), [""; 0]);
    for (wrong, part) in [
        (
            json!({ "schema": "larun.test/2", "count": 1 }),
            "larun.test/1",
        ),
        (json!({ "schema": "larun.test/1" }), "count is missing"),
        (json!({ "schema": "larun.test/1", "count": -1 }), "below"),
        (json!({ "schema": "larun.test/1", "count": 1.5 }), "type"),
        (
            json!({ "schema": "larun.test/1", "count": 1, "kind": "c" }),
            "$.kind",
        ),
        (
            json!({ "schema": "larun.test/1", "count": 1, "all": [1] }),
            "$.all[0]",
        ),
        (
            json!({ "schema": "larun.test/1", "count": 1, "new": 1 }),
            "describe",
        ),
    ] {
        let found = schema::violations(&schema, &wrong);
        assert!(
            found.iter().any(|found| found.contains(part)),
            "{wrong}: {found:?}"
        );
    }
    assert!(!schema::violations(&json!({ "pattern": "x" }), &json!("x")).is_empty());
}
