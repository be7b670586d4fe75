//! Float models with calibration and test data, and what other converters made of them: `quant/<model>/`.

use std::path::{Path, PathBuf};

use larun_ops::ElementType;
use serde::Deserialize;

use crate::case::Tensor;
use crate::npy::read_sets;
use crate::tfoc::{CorpusError, sorted_entries};

/// A float model with the data to quantise it.
#[derive(Clone, Debug)]
pub struct QuantModel {
    /// What it is called.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// The float model, a `.tflite` file.
    pub float: Vec<u8>,
    /// Samples to calibrate with, as the model takes them.
    pub calibration: Vec<Vec<f32>>,
    /// Samples to evaluate with.
    pub test: Vec<Vec<f32>>,
    /// The float model's outputs for the test samples, from another runtime.
    pub outputs: Vec<Vec<f32>>,
}

/// What another converter made of a model.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The `.tflite` file.
    pub model: Vec<u8>,
    /// Its outputs for the test samples, from another runtime.
    pub outputs: Vec<Tensor>,
    /// Decibels by which the float model's outputs stand above the difference, as measured when the corpus was made.
    pub sqnr_db: Option<f64>,
}

#[derive(Deserialize)]
struct ModelMeta {
    variants: std::collections::BTreeMap<String, VariantMeta>,
}

#[derive(Deserialize)]
struct VariantMeta {
    sqnr_db_vs_fp32: Option<serde_json::Value>,
}

/// The float models of a corpus: the folders in `quant` that hold `tf_fp32`, or those of the folder itself.
///
/// # Errors
/// When a file cannot be read or is malformed.
pub fn quant_models(corpus: &Path) -> Result<Vec<QuantModel>, CorpusError> {
    let quant = corpus.join("quant");
    let folder = if quant.is_dir() { &quant } else { corpus };
    let entries = sorted_entries(folder)?.into_iter();
    entries
        .filter(|dir| dir.join("tf_fp32/model.tflite").exists())
        .map(QuantModel::read)
        .collect()
}

impl QuantModel {
    /// The model of one folder.
    ///
    /// # Errors
    /// When a file cannot be read or is malformed.
    pub fn read(dir: PathBuf) -> Result<Self, CorpusError> {
        let name = dir.file_name().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            float: read(&dir.join("tf_fp32/model.tflite"))?,
            calibration: samples(&dir.join("calib.npy"))?,
            test: samples(&dir.join("test.npy"))?,
            outputs: samples(&dir.join("tf_fp32/out0.npy"))?,
            dir,
        })
    }

    /// What a converter made of the model, `None` where it failed.
    ///
    /// # Errors
    /// When a file cannot be read or is malformed.
    pub fn converted(&self, variant: &str) -> Result<Option<Converted>, CorpusError> {
        let dir = self.dir.join(variant);
        let (model, outputs) = (dir.join("model.tflite"), dir.join("out0.npy"));
        if !model.exists() || !outputs.exists() {
            return Ok(None);
        }
        let path = self.dir.join("model.json");
        let meta: ModelMeta =
            serde_json::from_slice(&read(&path)?).map_err(|e| CorpusError::Malformed {
                path,
                what: e.to_string(),
            })?;
        let sqnr = meta.variants.get(variant);
        Ok(Some(Converted {
            model: read(&model)?,
            outputs: read_sets(&outputs)?.unwrap_or_default(),
            sqnr_db: sqnr.and_then(|v| v.sqnr_db_vs_fp32.as_ref()?.as_f64()),
        }))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CorpusError> {
    std::fs::read(path).map_err(|source| CorpusError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Rows of real numbers. Bytes are pixels: `(byte - 128) / 128`.
fn samples(path: &Path) -> Result<Vec<Vec<f32>>, CorpusError> {
    let malformed = |what: &str| CorpusError::Malformed {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let sets = read_sets(path)?.ok_or_else(|| malformed("no such file"))?;
    let row = |set: Tensor| match set.element_type {
        ElementType::UInt8 => Ok(set.bytes.iter().map(|&b| pixel(b)).collect()),
        ElementType::Float32 => {
            let words = set.bytes.as_chunks().0;
            Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
        }
        _ => Err(malformed("expected FLOAT32 or UINT8")),
    };
    sets.into_iter().map(row).collect()
}

fn pixel(byte: u8) -> f32 {
    (f32::from(byte) - 128.0) / 128.0
}
