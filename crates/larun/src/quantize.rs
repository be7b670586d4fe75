//! Quantising a float model with sample data.

use std::path::Path;

use larun_graph::{Graph, GraphError};
use larun_passes::{Calibrator, QuantizeOptions, fold_batch_norm, fuse_activations, quantize_int8};
use larun_zoo::npy::NpyArray;
use larun_zoo::npz::NpzReader;
use serde::{Deserialize, Serialize};

use crate::{Error, Model, files};

/// Samples for calibration: for each input of the model, one row a sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    inputs: Vec<Rows>,
    count: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Rows {
    values: Vec<f32>,
    len: usize,
}

impl Samples {
    /// Reads `.npy` (one array for a model with one input) or `.npz` (an array named after each input, or `x`). The leading axis
    /// counts samples. In a `.npz` with a `split`, only the training split (0) is used.
    ///
    /// # Errors
    /// When the file cannot be read, an array is missing or empty, or holds NaN or infinities.
    pub fn open(path: &Path, graph: &Graph) -> Result<Self, Error> {
        let names = input_names(graph)?;
        let mut samples = if path.extension().is_some_and(|extension| extension == "npz") {
            Self::open_npz(path, &names)?
        } else {
            if names.len() != 1 {
                return Err(Error::Usage(format!(
                    "{}: the model has {} inputs ({}): give an .npz with an array for each",
                    path.display(),
                    names.len(),
                    names.join(", ")
                )));
            }
            Self::from_arrays(path, vec![NpyArray::read(path)?])?
        };
        samples.check(path, &names)?;
        samples.count = samples.inputs.iter().map(Rows::count).min().unwrap_or(0);
        Ok(samples)
    }

    fn open_npz(path: &Path, names: &[String]) -> Result<Self, Error> {
        let fault = |array: &str, fault: &dyn core::fmt::Display| {
            Error::Usage(format!("{}: array `{array}`: {fault}", path.display()))
        };
        let mut file =
            NpzReader::open(path).map_err(|f| Error::Usage(format!("{}: {f}", path.display())))?;
        let mut arrays = Vec::new();
        for name in names {
            let array = if file.contains(name) {
                name.as_str()
            } else {
                "x"
            };
            if !file.contains(array) || (names.len() > 1 && array != name) {
                let found = file.names().join(", ");
                return Err(Error::Usage(format!(
                    "{}: no array `{name}` (nor `x`) for the model's input; it has {found}",
                    path.display()
                )));
            }
            arrays.push(file.array(array).map_err(|f| fault(array, &f))?);
        }
        let mut samples = Self::from_arrays(path, arrays)?;
        if file.contains("split") {
            let split = file.array("split").map_err(|f| fault("split", &f))?;
            samples.keep_training(&split.to_integers().unwrap_or_default());
        }
        Ok(samples)
    }

    fn from_arrays(path: &Path, arrays: Vec<NpyArray>) -> Result<Self, Error> {
        let rows = |array: NpyArray| {
            let values = array.to_f32().ok_or_else(|| {
                let found = array.element_type();
                Error::Usage(format!(
                    "{}: elements are {found}, expected numbers",
                    path.display()
                ))
            })?;
            let len = array.shape().iter().skip(1).product::<usize>();
            Ok(Rows { values, len })
        };
        let inputs: Result<Vec<_>, Error> = arrays.into_iter().map(rows).collect();
        Ok(Self {
            inputs: inputs?,
            count: 0,
        })
    }

    /// Drops the rows of other splits than training.
    fn keep_training(&mut self, split: &[i128]) {
        for rows in &mut self.inputs {
            let len = rows.len.max(1);
            let kept = rows
                .values
                .chunks(len)
                .zip(split)
                .filter(|(_, split)| **split == 0);
            rows.values = kept.flat_map(|(row, _)| row.iter().copied()).collect();
        }
    }

    fn check(&self, path: &Path, names: &[String]) -> Result<(), Error> {
        for (rows, name) in self.inputs.iter().zip(names) {
            if rows.count() == 0 {
                return Err(Error::Usage(format!(
                    "{}: no samples for input `{name}`",
                    path.display()
                )));
            }
            if let Some(at) = rows.values.iter().position(|value| !value.is_finite()) {
                return Err(Error::Usage(format!(
                    "{}: sample {} for input `{name}` holds {}: calibration needs finite values",
                    path.display(),
                    at / rows.len.max(1),
                    rows.values[at]
                )));
            }
        }
        Ok(())
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values of sample `index`, one slice an input.
    fn sample(&self, index: usize) -> Vec<&[f32]> {
        let inputs = self.inputs.iter();
        inputs
            .map(|rows| {
                rows.values
                    .get(index * rows.len..(index + 1) * rows.len)
                    .unwrap_or_default()
            })
            .collect()
    }
}

impl Rows {
    fn count(&self) -> usize {
        self.values.len().checked_div(self.len).unwrap_or(0)
    }
}

/// The names of a graph's inputs.
fn input_names(graph: &Graph) -> Result<Vec<String>, Error> {
    let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
    let name = |id: &larun_graph::TensorId| subgraph.tensor(*id).map(|tensor| tensor.name.clone());
    Ok(subgraph.inputs.iter().filter_map(name).collect())
}

/// What quantising did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizeReport {
    /// Bytes of the float file.
    pub float_bytes: u64,
    /// Bytes of the quantised file.
    pub quantized_bytes: u64,
    /// How many times smaller it is.
    pub ratio: f64,
    /// Samples that were used for calibration.
    pub calibration_samples: usize,
}

/// Folds, fuses, calibrates and quantises a float model to INT8 and writes it to `out`. `progress` is told how many of how many samples were seen.
///
/// # Errors
/// When the model cannot be quantised or the samples do not fit it; nothing is then written.
pub fn quantize_file(
    model: &Model,
    samples: &Samples,
    options: &QuantizeOptions,
    out: &Path,
    mut progress: impl FnMut(usize, usize),
) -> Result<QuantizeReport, Error> {
    let graph = prepare(model.graph()?)?;
    let mut calibrator = Calibrator::new(&graph)?;
    calibrator.observe((0..samples.len()).map(|index| {
        progress(index, samples.len());
        samples.sample(index)
    }))?;
    progress(samples.len(), samples.len());
    let quantized = quantize_int8(graph, &calibrator.finish()?, options)?;
    let bytes = larun_tflite::write(&quantized)?;
    files::write(out, &bytes)?;
    let (float_bytes, quantized_bytes) = (model.bytes().len() as u64, bytes.len() as u64);
    Ok(QuantizeReport {
        float_bytes,
        quantized_bytes,
        ratio: float_bytes as f64 / quantized_bytes.max(1) as f64,
        calibration_samples: samples.len(),
    })
}

/// What every graph goes through before calibration.
///
/// # Errors
/// When the graph does not hold together.
pub fn prepare(graph: Graph) -> Result<Graph, Error> {
    Ok(fuse_activations(fold_batch_norm(graph)?)?)
}
