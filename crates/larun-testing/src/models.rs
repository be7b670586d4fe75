//! Cases from whole models: `models/<group>/<name>/`.

use std::path::Path;

use serde::Deserialize;

use crate::case::{Case, Set, Tensor};
use crate::npy::read_sets;
use crate::tfoc::{CorpusError, sorted_entries};
use crate::tolerance::Tolerance;

/// How far outputs of float models may be off: relative to the largest value of the tensor.
const FLOAT_TOLERANCE: Tolerance = Tolerance::Relative { relative: 1e-5 };

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    stateful: bool,
    #[serde(default)]
    reset_each: bool,
}

/// The models of the corpus, group by group.
///
/// # Errors
/// When a file cannot be read or is malformed.
pub fn model_cases(corpus: &Path) -> Result<Vec<Case>, CorpusError> {
    let mut cases = Vec::new();
    for group in sorted_entries(&corpus.join("models"))? {
        if !group.is_dir() {
            continue;
        }
        for dir in sorted_entries(&group)? {
            if dir.join("model.tflite").exists() {
                cases.push(model_case(&dir)?);
            }
        }
    }
    Ok(cases)
}

fn model_case(dir: &Path) -> Result<Case, CorpusError> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map_err(|source| CorpusError::Io { path, source })
    };
    let meta: Meta =
        serde_json::from_slice(&read("meta.json")?).map_err(|e| CorpusError::Malformed {
            path: dir.join("meta.json"),
            what: e.to_string(),
        })?;
    let inputs = arrays(|i| read_sets(&dir.join(format!("in{i}.npy"))))?;
    let outputs = arrays(
        |i| match read_sets(&dir.join(format!("tflm_out{i}.npy")))? {
            Some(tflm) => Ok(Some(tflm)),
            None => read_sets(&dir.join(format!("out{i}.npy"))),
        },
    )?;
    let count = inputs
        .iter()
        .chain(&outputs)
        .map(Vec::len)
        .min()
        .unwrap_or(0);
    let set = |i: usize| Set {
        inputs: inputs.iter().map(|array| array[i].clone()).collect(),
        outputs: outputs.iter().map(|array| array[i].clone()).collect(),
    };
    let part = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    Ok(Case {
        name: part(Some(dir)),
        group: part(dir.parent()),
        dtype: "model".to_owned(),
        model: read("model.tflite")?,
        sets: (0..count).map(set).collect(),
        tolerance: FLOAT_TOLERANCE,
        stateful: meta.stateful,
        reset_each: meta.reset_each,
        warmup: 0,
        valid_output: None,
    })
}

/// Arrays 0, 1, 2 and so on, until there is none.
fn arrays(
    read: impl Fn(usize) -> Result<Option<Vec<Tensor>>, CorpusError>,
) -> Result<Vec<Vec<Tensor>>, CorpusError> {
    let mut arrays = Vec::new();
    while let Some(array) = read(arrays.len())? {
        arrays.push(array);
    }
    Ok(arrays)
}
