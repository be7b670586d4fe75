//! Archives of operator cases (`.tfoc`).
//!
//! Little endian: `"TFOC0001"`, the number of cases and a zero; then for each case, from a multiple of 16 on, eight words
//! (lengths of metadata and model, numbers of sets, inputs and outputs, whether alternative outputs follow, two zeros), the
//! metadata in JSON, padding to 16, the model, and the tensors of each set. A tensor is its element type and rank in a byte each,
//! two zero bytes, its dimensions, the number of its bytes, and these.

use std::path::{Path, PathBuf};

use larun_ops::ElementType;
use serde::Deserialize;

use crate::case::{Case, Set, Tensor};
use crate::tolerance::Tolerance;

/// Why a corpus cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {what}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// What the metadata of a case says that a test needs.
#[derive(Deserialize)]
struct Meta {
    name: String,
    op: String,
    dtype: String,
    tolerance: Tolerance,
    #[serde(default)]
    stateful: bool,
    #[serde(default)]
    accept_alt: bool,
    #[serde(default)]
    warmup: usize,
    #[serde(default = "none")]
    valid_output: i64,
}

const fn none() -> i64 {
    -1
}

/// The cases of all archives in the corpus's `ops` folder, by file name.
///
/// # Errors
/// When a file cannot be read or is malformed.
pub fn op_cases(corpus: &Path) -> Result<Vec<Case>, CorpusError> {
    let mut cases = Vec::new();
    for path in sorted_entries(&corpus.join("ops"))? {
        if path
            .extension()
            .is_some_and(|extension| extension == "tfoc")
        {
            let bytes = std::fs::read(&path).map_err(|source| CorpusError::Io {
                path: path.clone(),
                source,
            })?;
            cases.extend(
                read_archive(&bytes).map_err(|what| CorpusError::Malformed { path, what })?,
            );
        }
    }
    Ok(cases)
}

/// The paths in a folder, sorted.
pub(crate) fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    let error = |source| CorpusError::Io {
        path: dir.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(dir).map_err(error)?;
    let paths: Result<Vec<_>, _> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut paths = paths.map_err(error)?;
    paths.sort();
    Ok(paths)
}

/// The cases of one archive.
///
/// # Errors
/// A sentence that says what is malformed.
pub fn read_archive(bytes: &[u8]) -> Result<Vec<Case>, String> {
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.take(8)? != b"TFOC0001" {
        return Err("not an archive of cases".to_owned());
    }
    let count = cursor.word()?;
    cursor.word()?;
    (0..count).map(|_| read_case(&mut cursor)).collect()
}

fn read_case(cursor: &mut Cursor<'_>) -> Result<Case, String> {
    cursor.align()?;
    let [meta_len, model_len, sets, inputs, outputs, has_alt, _, _] = cursor.words()?;
    let meta: Meta =
        serde_json::from_slice(cursor.take(meta_len as usize)?).map_err(|e| e.to_string())?;
    cursor.align()?;
    let model = cursor.take(model_len as usize)?.to_vec();
    let sets = (0..sets).map(|_| {
        let inputs = cursor.tensors(inputs)?;
        let expected = cursor.tensors(outputs)?;
        let alternative = cursor.tensors(if has_alt == 0 { 0 } else { outputs })?;
        // Where two answers are defensible, the one of the reference for integers counts.
        let use_alternative = meta.accept_alt && has_alt != 0;
        let outputs = if use_alternative {
            alternative
        } else {
            expected
        };
        Ok(Set { inputs, outputs })
    });
    let sets = sets.collect::<Result<_, String>>()?;
    Ok(Case {
        group: meta.op,
        dtype: meta.dtype,
        model,
        sets,
        tolerance: meta.tolerance,
        stateful: meta.stateful,
        reset_each: false,
        warmup: meta.warmup,
        valid_output: usize::try_from(meta.valid_output).ok(),
        name: meta.name,
    })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..len).ok_or("the archive is cut short")?;
        self.at += len;
        Ok(taken)
    }

    fn align(&mut self) -> Result<(), String> {
        let padding = self.at.next_multiple_of(16) - self.at;
        self.take(padding).map(|_| ())
    }

    fn word(&mut self) -> Result<u32, String> {
        let [word] = self.words()?;
        Ok(word)
    }

    fn words<const N: usize>(&mut self) -> Result<[u32; N], String> {
        let mut words = [0; N];
        for word in &mut words {
            let bytes = self.take(4)?.try_into().unwrap_or_default();
            *word = u32::from_le_bytes(bytes);
        }
        Ok(words)
    }

    fn tensors(&mut self, count: u32) -> Result<Vec<Tensor>, String> {
        (0..count).map(|_| self.tensor()).collect()
    }

    fn tensor(&mut self) -> Result<Tensor, String> {
        let head = self.take(4)?;
        let (code, rank) = (head[0], head[1]);
        let element_type = i8::try_from(code).ok().and_then(ElementType::from_code);
        let element_type = element_type.ok_or_else(|| format!("element type {code} is unknown"))?;
        let dims: Result<Vec<_>, _> = (0..rank)
            .map(|_| self.word().map(|dim| dim as usize))
            .collect();
        let shape = dims?;
        let len = self.word()? as usize;
        Ok(Tensor {
            element_type,
            shape,
            bytes: self.take(len)?.to_vec(),
        })
    }
}
