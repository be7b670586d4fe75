//! Quantising a float model with sample data.

use std::path::Path;

use larun_graph::{Graph, GraphError};
use larun_passes::{
    Budget, Calibration, Calibrator, Effort, PostTraining, QuantizeOptions, QuantizedGraph, Recipe,
    RoundToNearest, Scheme, Search, constant_values, quantize, quantize_after_training, simplify,
};
use larun_quant::{IntegerRange, ObserverKind};

use crate::{Error, Model, files};

mod outputs;
mod report;
mod samples;

use outputs::compare_outputs;
use report::{layer_reports, sensitivity_reports};

pub use report::{LayerReport, MixedReport, OptionReport, QuantizeReport, SensitivityReport};
pub use samples::Samples;

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

/// What every graph goes through before calibration.
///
/// # Errors
/// When the graph does not hold together.
pub fn prepare(graph: Graph) -> Result<Graph, Error> {
    Ok(simplify(graph)?)
}
