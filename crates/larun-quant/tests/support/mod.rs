//! Reading of the JSON vectors, which are found through `LARUN_CORPUS`.

use std::{env, fs, path::Path};

use serde_json::Value;

/// The vectors of `math/<name>.json`; without a corpus says that `test` was skipped and gives `None`.
pub(crate) fn vectors(test: &str, name: &str) -> Option<Value> {
    let Some(corpus) = env::var_os("LARUN_CORPUS") else {
        println!("skipped: {test}: LARUN_CORPUS is not set");
        return None;
    };
    let path = Path::new(&corpus).join("math").join(name);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    )
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
#[allow(dead_code, reason = "not every test binary reads one")]
pub(crate) fn integers(array: &Value) -> Vec<i64> {
    array
        .as_array()
        .expect("an array")
        .iter()
        .map(|x| x.as_i64().expect("an integer"))
        .collect()
}
