//! Samples to calibrate with and to compare on.

use std::path::Path;

use larun_graph::{Graph, GraphError};
use larun_zoo::npy::NpyArray;
use larun_zoo::npz::NpzReader;

use crate::{Error, Model};

/// How many samples each measurement of a search runs, at most.
const MEASURED_SAMPLES: usize = 32;

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
    pub fn open(path: &Path, model: &Model) -> Result<Self, Error> {
        let names = input_names(&model.graph()?)?;
        let mut samples = if path.extension().is_some_and(|extension| extension == "npz") {
            Self::open_npz(path, model, &names)?
        } else {
            if names.len() != 1 {
                return Err(Error::Usage(format!(
                    "{}: the model has {} inputs ({}): give an .npz with an array for each",
                    path.display(),
                    names.len(),
                    names.join(", ")
                )));
            }
            Self::from_arrays(path, model, vec![NpyArray::read(path)?])?
        };
        samples.check(path, &names)?;
        samples.count = samples.inputs.iter().map(Rows::count).min().unwrap_or(0);
        Ok(samples)
    }

    fn open_npz(path: &Path, model: &Model, names: &[String]) -> Result<Self, Error> {
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
        let mut samples = Self::from_arrays(path, model, arrays)?;
        if file.contains("split") {
            let split = file.array("split").map_err(|f| fault("split", &f))?;
            samples.keep_training(&split.to_integers().unwrap_or_default());
        }
        Ok(samples)
    }

    fn from_arrays(path: &Path, model: &Model, arrays: Vec<NpyArray>) -> Result<Self, Error> {
        let rows = |(index, array): (usize, NpyArray)| {
            let array = model.arranged(index, array);
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
        let inputs: Result<Vec<_>, Error> = arrays.into_iter().enumerate().map(rows).collect();
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
    pub(super) fn sample(&self, index: usize) -> Vec<&[f32]> {
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

impl Samples {
    /// Some of the samples, spread over all, for measurements that are made many times.
    pub(super) fn few(&self) -> Vec<Vec<&[f32]>> {
        let step = self.count.div_ceil(MEASURED_SAMPLES).max(1);
        (0..self.count)
            .step_by(step)
            .map(|i| self.sample(i))
            .collect()
    }

    /// An array for each input of `model`, its leading axis counting samples.
    pub(super) fn arrays(&self, model: &Model) -> Result<Vec<NpyArray>, Error> {
        let graph = model.graph()?;
        let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
        let inputs = subgraph.inputs.iter().zip(&self.inputs);
        let array = |(id, rows): (&larun_graph::TensorId, &Rows)| {
            let dims = subgraph.tensor(*id).map(|t| t.shape.dims().to_vec());
            let mut shape = vec![self.count];
            shape.extend(dims.unwrap_or_default());
            let values = rows.values.get(..self.count * rows.len).unwrap_or_default();
            NpyArray::from_values(&shape, values)
                .map_err(|fault| Error::Usage(format!("the samples do not fit the model: {fault}")))
        };
        inputs.map(array).collect()
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
