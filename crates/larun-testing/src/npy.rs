//! Arrays of the model corpus, split into sets.

use std::path::Path;

use larun_ops::ElementType;
use npyz::{DType, NpyFile, TypeChar};

use crate::case::Tensor;
use crate::tfoc::CorpusError;

/// Reads an array whose leading axis is the input set, or `None` where the file does not exist.
pub(crate) fn read_sets(path: &Path) -> Result<Option<Vec<Tensor>>, CorpusError> {
    if !path.exists() {
        return Ok(None);
    }
    let malformed = |what: String| CorpusError::Malformed {
        path: path.to_owned(),
        what,
    };
    let bytes = std::fs::read(path).map_err(|source| CorpusError::Io {
        path: path.to_owned(),
        source,
    })?;
    let file = NpyFile::new(bytes.as_slice()).map_err(|e| malformed(e.to_string()))?;
    let element_type = element_type(&file.dtype())
        .ok_or_else(|| malformed("unexpected element type".to_owned()))?;
    let shape: Vec<usize> = file.shape().iter().map(|&dim| dim as usize).collect();
    let (&sets, inner) = shape
        .split_first()
        .ok_or_else(|| malformed("a scalar".to_owned()))?;
    let size = element_type
        .byte_len(inner.iter().product())
        .ok_or_else(|| malformed("too large".to_owned()))?;
    let start = bytes.len().checked_sub(size * sets);
    let data = start
        .and_then(|start| bytes.get(start..))
        .unwrap_or_default();
    let tensor = |i: usize| Tensor {
        element_type,
        shape: inner.to_vec(),
        bytes: data
            .get(i * size..(i + 1) * size)
            .unwrap_or_default()
            .to_vec(),
    };
    Ok(Some((0..sets).map(tensor).collect()))
}

fn element_type(dtype: &DType) -> Option<ElementType> {
    let DType::Plain(dtype) = dtype else {
        return None;
    };
    Some(match (dtype.type_char(), dtype.size_field()) {
        (TypeChar::Float, 4) => ElementType::Float32,
        (TypeChar::Float, 2) => ElementType::Float16,
        (TypeChar::Int, 1) => ElementType::Int8,
        (TypeChar::Int, 2) => ElementType::Int16,
        (TypeChar::Int, 4) => ElementType::Int32,
        (TypeChar::Int, 8) => ElementType::Int64,
        (TypeChar::Uint, 1) => ElementType::UInt8,
        (TypeChar::Uint, 4) => ElementType::UInt32,
        (TypeChar::Uint, 8) => ElementType::UInt64,
        (TypeChar::Bool, 1) => ElementType::Bool,
        _ => return None,
    })
}
