//! What the pipeline made, measured: accuracy, sizes, memory, layers, limits.

use larun_device::Budget;
use larun_graph::Graph;
use larun_zoo::dataset::{Dataset, Split};
use larun_zoo::npy::NpyArray;

use super::{Made, OptimizeRequest, spread};
use crate::compare::{Difference, compare};
use crate::evaluate::classify;
use crate::fit::{ModelFit, fit_model};
use crate::plan::{PlanRequest, plan_model};
use crate::quantize::prepare;
use crate::report::{DatasetReport, LayerReport, OptimizeReport, StepReport, routes};
use crate::sizes::deflated;
use crate::{Error, Model};

/// Validation samples on which layers are compared.
const COMPARED_SAMPLES: usize = 64;

/// The models to be written.
pub(super) struct Models {
    pub(super) float: Model,
    pub(super) int8: Model,
}

/// Measures what was made. The test split is looked at here and nowhere else.
pub(super) fn measure(
    request: &OptimizeRequest,
    made: Made,
    data: &Dataset,
) -> Result<(Models, OptimizeReport), Error> {
    let models = Models {
        float: model_of(&made.float, request, "model_float.tflite")?,
        int8: model_of(&made.quantized, request, "model.tflite")?,
    };
    let test = data.indices(Split::Test);
    let float_scores = classify(&models.float, data, &test)?;
    let int8_scores = classify(&models.int8, data, &test)?;
    let steps = steps(request, &made, &models, data)?;
    let budget = Budget {
        flash_bytes: request.target_bytes(),
        ..request.budget
    };
    let fit = fit_model(&models.int8, &request.board, &budget)?;
    let per_layer = layers(&made.quantized, &fit, &differences(&models, data)?);
    let mut arena = models.int8.arena()?;
    let activation_bytes = models.int8.interpreter(&mut arena)?.activation_bytes() as u64;
    let (network, architecture) = request.source.describe();
    let [float_bytes, int8_bytes] =
        [&models.float, &models.int8].map(|model| model.bytes().len() as u64);
    let report = OptimizeReport {
        larun_version: env!("CARGO_PKG_VERSION").to_owned(),
        network,
        architecture,
        layers: weighted_layers(&made.quantized),
        dataset: DatasetReport::new(data, request.data.is_none()),
        training: made.training,
        pruning: made.pruning,
        fine_tuning: made.fine_tuning,
        qat: made.qat,
        steps,
        parameters: fit.usage.parameters,
        macs: fit.usage.operations,
        float_bytes,
        int8_bytes,
        compression_ratio: float_bytes as f64 / int8_bytes.max(1) as f64,
        arena_bytes: fit.usage.ram_bytes,
        activation_bytes,
        target_bytes: budget.flash_bytes,
        target_met: int8_bytes <= budget.flash_bytes,
        float: float_scores,
        int8: int8_scores,
        fits: fit.fits,
        exceeded: fit.exceeded,
        fit: fit.report,
        microjoules: fit.cost.microjoules,
        changes: fit.changes,
        per_layer,
        memory: plan_model(&models.int8, &PlanRequest::default())?.report,
        trials: request.trials.clone(),
        flashing: routes(&request.board, &request.out, &request.model_name()),
        command: request.command.clone(),
        seed: request.training.seed,
        // What is written is known when it is.
        files: Vec::new(),
    };
    Ok((models, report))
}

fn model_of(graph: &Graph, request: &OptimizeRequest, file: &str) -> Result<Model, Error> {
    let bytes = larun_tflite::write(graph)?;
    Ok(Model::new(&request.out.join(file), &bytes))
}

/// The model after each step that made it.
fn steps(
    request: &OptimizeRequest,
    made: &Made,
    models: &Models,
    data: &Dataset,
) -> Result<Vec<StepReport>, Error> {
    let validation = data.indices(Split::Validation);
    let step = |name: &str, graph: &Graph, model: &Model| {
        let stats = graph.stats()?;
        Ok::<_, Error>(StepReport {
            name: name.to_owned(),
            file_bytes: model.bytes().len() as u64,
            deflated_bytes: deflated(model.bytes()),
            parameters: stats.parameters,
            macs: stats.macs,
            validation_accuracy: classify(model, data, &validation)?.accuracy,
            is_deployed: false,
        })
    };
    let mut steps = Vec::new();
    if let Some(graph) = &made.unpruned {
        let graph = prepare(graph.clone())?;
        let model = model_of(&graph, request, "unpruned.tflite")?;
        steps.push(step("float", &graph, &model)?);
    }
    let float = match made.unpruned {
        Some(_) => "float, pruned",
        None => "float",
    };
    steps.push(step(float, &made.float, &models.float)?);
    if let Some(graph) = &made.untrained {
        let model = model_of(graph, request, "untrained.tflite")?;
        steps.push(step("INT8", graph, &model)?);
    }
    let int8 = match made.untrained {
        Some(_) => "INT8, QAT",
        None => "INT8",
    };
    steps.push(StepReport {
        is_deployed: true,
        ..step(int8, &made.quantized, &models.int8)?
    });
    Ok(steps)
}

/// How far the integer model's inner values are from the float model's; nothing for a model of several inputs, for which a dataset has
/// no samples.
fn differences(models: &Models, data: &Dataset) -> Result<Vec<Difference>, Error> {
    let mut arena = models.float.arena()?;
    let interpreter = models.float.interpreter(&mut arena)?;
    if interpreter.input_count() != 1 {
        return Ok(Vec::new());
    }
    let info = interpreter.input_info(0);
    let info = info.map_err(|e| models.float.run_error(e))?;
    let samples = spread(&data.indices(Split::Validation), COMPARED_SAMPLES);
    let values: Vec<f32> = samples
        .iter()
        .flat_map(|&index| data.sample(index).iter().copied())
        .collect();
    let mut shape = vec![samples.len()];
    shape.extend(info.shape.dims());
    let array = NpyArray::from_values(&shape, &values)
        .map_err(|fault| Error::Usage(format!("samples of {}: {fault}", data.name)))?;
    Ok(compare(&models.float, &models.int8, &[array])?.layers)
}

/// The table of operators.
fn layers(graph: &Graph, fit: &ModelFit, differences: &[Difference]) -> Vec<LayerReport> {
    let Some(subgraph) = graph.main() else {
        return Vec::new();
    };
    let layers = fit.cost.layers.iter().zip(&subgraph.nodes);
    layers
        .map(|(cost, node)| {
            let output = node.outputs.first().and_then(|&id| subgraph.tensor(id));
            let name = output.map_or("", |tensor| tensor.name.as_str());
            let difference = differences.iter().find(|found| found.name == name);
            LayerReport {
                index: cost.index,
                op: cost.op.clone(),
                name: name.to_owned(),
                output_shape: cost.output_shape.clone(),
                macs: cost.macs,
                weight_bytes: cost.weight_bytes,
                live_bytes: cost.live_bytes,
                sqnr_db: difference.and_then(|difference| difference.sqnr_db),
                cycles: cost.cycles,
                milliseconds: cost.milliseconds,
                counted: cost.counted,
            }
        })
        .collect()
}

/// Layers that have weights.
fn weighted_layers(graph: &Graph) -> usize {
    let nodes = graph.main().map_or(&[][..], |subgraph| &subgraph.nodes);
    let weighted = nodes.iter().filter(|node| {
        let role = node
            .kind()
            .and_then(|kind| kind.info().input(1))
            .map(|operand| operand.role);
        matches!(role, Some(larun_ops::Role::Weights { .. }))
    });
    weighted.count()
}
