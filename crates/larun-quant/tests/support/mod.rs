//! Reading of JSON vectors: those beside the tests, and those found through `LARUN_CORPUS`.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The folder of the test corpora; without one, says that `test` was skipped and gives `None`.
pub(crate) fn corpus(test: &str) -> Option<PathBuf> {
    let folder = env::var_os("LARUN_CORPUS");
    if folder.is_none() {
        println!("skipped: {test}: LARUN_CORPUS is not set");
    }
    folder.map(PathBuf::from)
}

/// The vectors of `math/<name>` of the corpus; without one, says that `test` was skipped and gives `None`.
pub(crate) fn vectors(test: &str, name: &str) -> Option<Value> {
    corpus(test).map(|corpus| read(&corpus.join("math").join(name)))
}

/// The cases of a fixture beside the tests.
pub(crate) fn fixture(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let cases = read(&folder.join(name))["cases"].take();
    assert!(cases[0].is_object(), "{name} has no cases");
    cases.as_array().cloned().unwrap_or_default()
}

/// A JSON file.
pub(crate) fn read(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of an array of arrays of integers, null for absent.
pub(crate) fn rows(array: &Value) -> Vec<Vec<Option<i64>>> {
    let row = |row: &Value| {
        row.as_array()
            .expect("a row")
            .iter()
            .map(Value::as_i64)
            .collect()
    };
    array.as_array().expect("rows").iter().map(row).collect()
}

/// An array of integers.
pub(crate) fn integers(array: &Value) -> Vec<i64> {
    array
        .as_array()
        .expect("an array")
        .iter()
        .map(integer)
        .collect()
}

/// An integer.
pub(crate) fn integer(value: &Value) -> i64 {
    value.as_i64().expect("an integer")
}

/// A float32 given as a number.
pub(crate) fn float(value: &Value) -> f32 {
    value.as_f64().expect("a number") as f32
}

/// A float32 given by its bits.
pub(crate) fn from_bits(value: &Value) -> f32 {
    f32::from_bits(integer(value) as u32)
}
