//! Quantising a float model with sample data.

use std::path::Path;

use larun_graph::{Graph, GraphError, Node, Subgraph};
use larun_passes::{
    Budget, Calibration, Calibrator, Decision, Effort, LayerOption, LayerSensitivity, PostTraining,
    QuantizeOptions, QuantizedGraph, Recipe, RoundToNearest, Scheme, Search, constant_values,
    quantize, quantize_after_training, simplify,
};
use larun_quant::measure::ErrorMeter;
use larun_quant::{IntegerRange, ObserverKind};
use larun_zoo::npy::NpyArray;
use larun_zoo::npz::NpzReader;
use serde::{Deserialize, Serialize};

use crate::runtime::run::{Mode, run_sets};
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

impl Samples {
    /// Some of the samples, spread over all, for measurements that are made many times.
    fn few(&self) -> Vec<Vec<&[f32]>> {
        let step = self.count.div_ceil(MEASURED_SAMPLES).max(1);
        (0..self.count)
            .step_by(step)
            .map(|i| self.sample(i))
            .collect()
    }

    /// An array for each input of `model`, its leading axis counting samples.
    fn arrays(&self, model: &Model) -> Result<Vec<NpyArray>, Error> {
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

/// What says what layers become.
#[derive(Clone, Copy, Debug, Default)]
pub enum Plan<'r> {
    /// The scheme of the options.
    #[default]
    Scheme,
    /// A recipe, and the scheme of the options for layers that it does not name.
    RecipeOver(&'r Recipe),
    /// A recipe; layers that it does not name stay float.
    Recipe(&'r Recipe),
    /// A search for the best mixed precision within a budget.
    Mixed(Budget),
}

/// How a file is quantised.
#[derive(Clone, Debug, Default)]
pub struct Request<'r> {
    /// What layers become, where the plan leaves it to the scheme, and the rest.
    pub options: QuantizeOptions,
    /// What says what layers become.
    pub plan: Plan<'r>,
    /// Whether every layer's sensitivity is measured; a search for mixed precision does it anyway.
    pub sensitivity: bool,
    /// How ranges follow from samples.
    pub observer: ObserverKind,
    /// How much is done for quality, where the plan is a scheme with integer activations.
    pub effort: Effort,
    /// Samples for calibration; none are needed where activations stay real.
    pub calibration: Option<&'r Samples>,
    /// Samples for the comparison with the float model, those of calibration where there are none.
    pub evaluation: Option<&'r Samples>,
}

/// What became of an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// The name of its result.
    pub name: String,
    /// The operator.
    pub op: String,
    /// What it became.
    pub scheme: String,
    /// Why it stays float though integers were asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left_float: Option<String>,
}

/// What quantising did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizeReport {
    /// The scheme.
    pub scheme: String,
    /// Bytes of the float file.
    pub float_bytes: u64,
    /// Bytes of the quantised file.
    pub quantized_bytes: u64,
    /// How many times smaller it is.
    pub ratio: f64,
    /// Samples that were used for calibration.
    pub calibration_samples: usize,
    /// What was done for quality; `None` where that is not a matter of choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ways: Option<String>,
    /// Samples that both models were run on.
    pub evaluation_samples: usize,
    /// Signal to quantisation noise of the outputs in decibels, as the interpreter of the device computes them; `None` where nothing
    /// was run or nothing differs.
    pub sqnr_db: Option<f64>,
    /// The share of output rows whose largest value is in the same place.
    pub argmax_agreement: Option<f64>,
    /// The operators of the float model, folded and fused.
    pub layers: Vec<LayerReport>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What each way to quantise each layer with weights costs; empty unless asked for.
    pub sensitivity: Vec<SensitivityReport>,
    /// How the search for mixed precision ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mixed: Option<MixedReport>,
}

/// What each way to quantise a layer costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensitivityReport {
    /// The name of the layer's result.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// The ways.
    pub options: Vec<OptionReport>,
    /// The number of the one that a search chose.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<usize>,
}

/// One way to quantise a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptionReport {
    /// What the layer becomes.
    pub scheme: String,
    /// Signal to noise of the outputs in decibels with this layer alone quantised; `None` without noise.
    pub sqnr_db: Option<f64>,
    /// Bytes of weights, scales and bias.
    pub bytes: usize,
}

/// How the search for mixed precision ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixedReport {
    /// Signal to noise as the sum of the layers' noise foretells it.
    pub predicted_sqnr_db: f64,
    /// Signal to noise as measured on the calibration samples that were used.
    pub measured_sqnr_db: f64,
    /// The share of those samples whose largest output is elsewhere.
    pub drop: f64,
    /// Bytes of the file.
    pub flash_bytes: usize,
    /// Bytes of the arena.
    pub ram_bytes: usize,
    /// How many samples were used.
    pub samples: usize,
}

/// Folds, fuses, calibrates and quantises a float model and writes it to `out`, and runs both on the evaluation samples.
/// `progress` is told how many of how many samples were seen.
///
/// # Errors
/// When the model cannot be quantised or the samples do not fit it; nothing is then written.
pub fn quantize_file(
    model: &Model,
    request: &Request<'_>,
    out: &Path,
    mut progress: impl FnMut(usize, usize),
) -> Result<QuantizeReport, Error> {
    let graph = prepare(model.graph()?)?;
    let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?.clone();
    let Made {
        quantized,
        calibration_samples,
        warnings,
        sensitivity,
        mixed,
        ways,
    } = match after_training(request) {
        Some(samples) => make_after_training(graph, request, samples, &mut progress)?,
        None => {
            let calibration = calibrate(&graph, request, &mut progress)?;
            let warnings = warnings(&graph, request, &calibration)?;
            Made {
                warnings,
                ..make(graph, request, &calibration, &mut progress)?
            }
        }
    };
    let layers = layer_reports(&subgraph, &quantized.decisions);
    let bytes = larun_tflite::write(&quantized.graph)?;
    let result = Model::new(out, &bytes);
    let evaluation = request.evaluation.or(request.calibration);
    let compared = evaluation.map(|samples| compare_outputs(model, &result, samples));
    let compared = compared.transpose()?;
    files::write(out, &bytes)?;
    let (float_bytes, quantized_bytes) = (model.bytes().len() as u64, bytes.len() as u64);
    Ok(QuantizeReport {
        scheme: match request.plan {
            Plan::Scheme => request.options.scheme.to_string(),
            Plan::RecipeOver(_) => format!("{} with a recipe", request.options.scheme),
            Plan::Recipe(_) => "recipe".to_owned(),
            Plan::Mixed(_) => "mixed".to_owned(),
        },
        float_bytes,
        quantized_bytes,
        ratio: float_bytes as f64 / quantized_bytes.max(1) as f64,
        calibration_samples,
        ways,
        evaluation_samples: evaluation.map_or(0, Samples::len),
        sqnr_db: compared.as_ref().and_then(|c| c.sqnr_db),
        argmax_agreement: compared.map(|c| c.argmax_agreement),
        warnings,
        layers,
        sensitivity,
        mixed,
    })
}

/// A quantised graph, and what was found out on the way.
struct Made {
    quantized: QuantizedGraph,
    calibration_samples: usize,
    warnings: Vec<String>,
    sensitivity: Vec<SensitivityReport>,
    mixed: Option<MixedReport>,
    ways: Option<String>,
}

/// The samples, where the request is for a scheme with integer activations and nothing else.
fn after_training<'r>(request: &Request<'r>) -> Option<&'r Samples> {
    let alone = matches!(request.plan, Plan::Scheme) && !request.sensitivity;
    let integer = request.options.scheme.needs_calibration();
    request.calibration.filter(|_| alone && integer)
}

fn make_after_training(
    graph: Graph,
    request: &Request<'_>,
    samples: &Samples,
    progress: &mut impl FnMut(usize, usize),
) -> Result<Made, Error> {
    let options = PostTraining {
        quantize: request.options.clone(),
        observer: request.observer,
        effort: request.effort,
    };
    let samples: Vec<_> = (0..samples.len())
        .map(|index| samples.sample(index))
        .collect();
    let done = quantize_after_training(graph, &samples, &options, progress)?;
    Ok(Made {
        warnings: warnings(&done.float, request, &done.calibration)?,
        quantized: done.quantized,
        calibration_samples: done.calibration.samples(),
        sensitivity: Vec::new(),
        mixed: None,
        ways: Some(done.ways),
    })
}

fn make(
    graph: Graph,
    request: &Request<'_>,
    calibration: &Calibration,
    progress: &mut impl FnMut(usize, usize),
) -> Result<Made, Error> {
    let samples = request.calibration.map(Samples::few).unwrap_or_default();
    let search = Search {
        graph: &graph,
        calibration,
        samples: &samples,
        options: &request.options,
        rounder: &RoundToNearest,
    };
    if let Plan::Mixed(budget) = &request.plan {
        let mixed = larun_passes::mixed(&search, budget, progress)?;
        return Ok(Made {
            sensitivity: sensitivity_reports(&mixed.layers, Some(&mixed.chosen)),
            mixed: Some(MixedReport {
                predicted_sqnr_db: mixed.predicted_sqnr_db,
                measured_sqnr_db: mixed.measured.sqnr_db,
                drop: mixed.drop,
                flash_bytes: mixed.flash,
                ram_bytes: mixed.ram,
                samples: samples.len(),
            }),
            quantized: mixed.quantized,
            calibration_samples: calibration.samples(),
            warnings: Vec::new(),
            ways: None,
        });
    }
    let sensitivity = match request.sensitivity {
        true => sensitivity_reports(&larun_passes::sensitivity(&search, progress)?, None),
        false => Vec::new(),
    };
    let mut options = request.options.clone();
    let recipe = match request.plan {
        Plan::Recipe(recipe) => Some((recipe, None)),
        Plan::RecipeOver(recipe) => Some((recipe, Some(options.scheme))),
        Plan::Scheme | Plan::Mixed(_) => None,
    };
    if let Some((recipe, base)) = recipe {
        options.layers = recipe.layers(&graph, &options, base)?;
    }
    Ok(Made {
        quantized: quantize(graph, calibration, &options, &RoundToNearest)?,
        calibration_samples: calibration.samples(),
        warnings: Vec::new(),
        sensitivity,
        mixed: None,
        ways: None,
    })
}

fn sensitivity_reports(
    layers: &[LayerSensitivity],
    chosen: Option<&[usize]>,
) -> Vec<SensitivityReport> {
    let option = |option: &LayerOption| OptionReport {
        scheme: option.scheme.to_string(),
        sqnr_db: Some(option.sqnr_db()).filter(|db| db.is_finite()),
        bytes: option.bytes,
    };
    let layers = layers.iter().enumerate();
    let report = |(at, layer): (usize, &LayerSensitivity)| SensitivityReport {
        name: layer.name.clone(),
        op: layer.op.clone(),
        options: layer.options.iter().map(option).collect(),
        chosen: chosen.and_then(|chosen| chosen.get(at).copied()),
    };
    layers.map(report).collect()
}

/// Whether activations may become integers.
fn needs_calibration(request: &Request<'_>) -> bool {
    match request.plan {
        Plan::Scheme => request.options.scheme.needs_calibration() || request.sensitivity,
        Plan::RecipeOver(recipe) => {
            request.options.scheme.needs_calibration() || recipe.needs_calibration()
        }
        Plan::Recipe(recipe) => recipe.needs_calibration(),
        Plan::Mixed(_) => true,
    }
}

fn calibrate(
    graph: &Graph,
    request: &Request<'_>,
    progress: &mut impl FnMut(usize, usize),
) -> Result<Calibration, Error> {
    let samples = match request.calibration {
        _ if !needs_calibration(request) => return Ok(Calibration::default()),
        Some(samples) => samples,
        None => {
            return Err(Error::Usage(
                "integer activations need samples to calibrate with: give --calib".to_owned(),
            ));
        }
    };
    let integers = match request.options.scheme {
        Scheme::Int16x8 => IntegerRange::INT16,
        _ => IntegerRange::INT8,
    };
    let mut calibrator = Calibrator::with_observer(graph, request.observer, integers)?;
    calibrator.observe((0..samples.len()).map(|index| {
        progress(index, samples.len());
        samples.sample(index)
    }))?;
    progress(samples.len(), samples.len());
    Ok(calibrator.finish()?)
}

/// How many samples each measurement of a search runs, at most.
const MEASURED_SAMPLES: usize = 32;

/// How many samples a calibration should have.
const ENOUGH_SAMPLES: usize = 10;

fn warnings(
    graph: &Graph,
    request: &Request<'_>,
    calibration: &Calibration,
) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    if !needs_calibration(request) {
        return Ok(warnings);
    }
    let found = calibration.samples();
    if found < ENOUGH_SAMPLES {
        warnings.push(format!(
            "calibrated with {found} samples: ranges that they do not reach will be clipped; give some hundred like the real inputs"
        ));
    }
    let constant = constant_values(graph, calibration)?.into_iter();
    warnings.extend(constant.map(|place| {
        format!("{place} was the same in every sample: other values will be clipped; give samples that differ")
    }));
    Ok(warnings)
}

fn layer_reports(subgraph: &Subgraph, decisions: &[Decision]) -> Vec<LayerReport> {
    let nodes = subgraph.nodes.iter().zip(decisions);
    let report = |(node, decision): (&Node, &Decision)| {
        let output = node.outputs.first().and_then(|&id| subgraph.tensor(id));
        LayerReport {
            name: output.map_or_else(String::new, |tensor| tensor.name.clone()),
            op: node.op_name(),
            scheme: decision.scheme.to_string(),
            left_float: decision.left_float.map(str::to_owned),
        }
    };
    nodes.map(report).collect()
}

/// How far the outputs of a quantised model are from those of the float one, all of them together.
fn compare_outputs(float: &Model, quantized: &Model, samples: &Samples) -> Result<Compared, Error> {
    let outputs = |model: &Model| {
        let mode = Mode {
            sets: true,
            reset: true,
            float: true,
            ..Mode::default()
        };
        let ran = run_sets(model, &samples.arrays(float)?, mode)?;
        let real = |array: NpyArray| {
            let row = array.shape().last().copied().unwrap_or(1);
            array.to_f32().map(|values| (values, row))
        };
        Ok::<_, Error>(ran.outputs.into_iter().filter_map(real).collect::<Vec<_>>())
    };
    let (expected, found) = (outputs(float)?, outputs(quantized)?);
    let mut meter = ErrorMeter::new();
    let (mut rows, mut agreeing) = (0u64, 0u64);
    for ((expected, row), (found, _)) in expected.iter().zip(&found) {
        let fault = |fault| Error::Run {
            path: quantized.path().to_owned(),
            reason: format!("its outputs cannot be compared: {fault}"),
        };
        meter.add(expected, found).map_err(fault)?;
        let row = (*row).max(1);
        for (expected, found) in expected.chunks(row).zip(found.chunks(row)) {
            rows += 1;
            agreeing += u64::from(arg_max(expected) == arg_max(found));
        }
    }
    let measures = meter.measures().ok();
    Ok(Compared {
        sqnr_db: measures.map(|m| m.sqnr_db).filter(|db| db.is_finite()),
        argmax_agreement: agreeing as f64 / rows.max(1) as f64,
    })
}

struct Compared {
    sqnr_db: Option<f64>,
    argmax_agreement: f64,
}

/// The place of the first largest value.
fn arg_max(values: &[f32]) -> Option<usize> {
    let indexed = values.iter().enumerate().rev();
    indexed
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(index, _)| index)
}

/// What every graph goes through before calibration.
///
/// # Errors
/// When the graph does not hold together.
pub fn prepare(graph: Graph) -> Result<Graph, Error> {
    Ok(simplify(graph)?)
}
