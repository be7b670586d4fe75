//! The whole pipeline: data, training, folding, quantisation, validation, files.

mod inputs;
mod request;
mod result;
mod steps;
mod write;

use larun_graph::Graph;
use larun_train::EpochMetrics;
use larun_zoo::dataset::Dataset;

pub(crate) use inputs::{dataset, network, spread};
pub use request::{OptimizeRequest, Outcome, Progress, QatRequest, Source};

use crate::Error;
use crate::report::{PruningReport, TrainingReport};
use steps::Step;

/// The name of the checkpoint in the output folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// The name of the checkpoint of the training for integers.
pub const QAT_CHECKPOINT: &str = "checkpoint_qat.safetensors";

/// The name of the checkpoint of the training after pruning.
pub const PRUNING_CHECKPOINT: &str = "pruning.safetensors";

/// Trains, quantises, validates and writes `model.tflite`, `model_float.tflite`, `model.h`, `model.rs`, `card.yaml`, `report.json` and
/// `report.html`.
///
/// The accuracy reported is that of the integer model, run by the interpreter on the test split, which nothing before has seen.
///
/// # Errors
/// When the data or the network cannot be used, training fails, or a file cannot be written. Files appear together at the end:
/// an error leaves none of them half-written.
pub fn optimize(request: &OptimizeRequest, progress: &mut dyn Progress) -> Result<Outcome, Error> {
    progress.stage("reading data");
    let seed = request.training.seed;
    let data = dataset(request.data.as_deref(), request.samples_per_class, seed)?;
    let graph = network(&request.source, &data, seed)?;
    let made = match make(request, graph, &data, progress)? {
        Step::Finished(made) => *made,
        Step::Interrupted(checkpoint) => return Ok(Outcome::Interrupted { checkpoint }),
    };
    progress.stage("validating");
    let (models, report) = result::measure(request, made, &data)?;
    progress.stage("writing files");
    let report = write::write_files(request, report, &models)?;
    Ok(Outcome::Finished(Box::new(report)))
}

/// The networks that the steps have made, and how the steps went.
struct Made {
    /// The float network before it was pruned, where it was.
    unpruned: Option<Graph>,
    /// The float network that was quantised, its batch normalisation folded.
    float: Graph,
    /// The network quantised without being trained for it, where it was trained for it then.
    untrained: Option<Graph>,
    /// The network to deploy.
    quantized: Graph,
    training: Option<TrainingReport>,
    pruning: Option<PruningReport>,
    fine_tuning: Option<TrainingReport>,
    qat: Option<TrainingReport>,
}

/// All the steps.
fn make(
    request: &OptimizeRequest,
    graph: Graph,
    data: &Dataset,
    progress: &mut dyn Progress,
) -> Result<Step<Made>, Error> {
    let (trained, training) = match steps::train(request, graph, data, progress)? {
        Step::Finished(trained) => *trained,
        Step::Interrupted(checkpoint) => return Ok(Step::Interrupted(checkpoint)),
    };
    let pruned = match steps::prune(request, &trained, data, progress)? {
        Step::Finished(pruned) => *pruned,
        Step::Interrupted(checkpoint) => return Ok(Step::Interrupted(checkpoint)),
    };
    let (graph, unpruned, pruning, fine_tuning) = match pruned {
        Some(pruned) => (
            pruned.graph,
            Some(trained),
            Some(pruned.report),
            pruned.training,
        ),
        None => (trained, None, None, None),
    };
    let (float, untrained, quantized, qat) = match &request.qat {
        Some(qat) => match steps::train_integers(request, qat, graph, data, progress)? {
            Step::Finished(made) => (
                made.float,
                Some(made.untrained),
                made.quantized,
                Some(made.training),
            ),
            Step::Interrupted(checkpoint) => return Ok(Step::Interrupted(checkpoint)),
        },
        None => {
            let (float, quantized) = steps::quantize(request, graph, data, progress)?;
            (float, None, quantized, None)
        }
    };
    Ok(Step::Finished(Box::new(Made {
        unpruned,
        float,
        untrained,
        quantized,
        training,
        pruning,
        fine_tuning,
        qat,
    })))
}

/// The figures of the last epoch, for whoever prints a line of them.
pub fn epoch_line(metrics: &EpochMetrics) -> String {
    format!(
        "loss {:.4}  accuracy {:.1} %  validation loss {:.4}  accuracy {:.1} %",
        metrics.train.loss,
        100.0 * metrics.train.accuracy,
        metrics.validation.loss,
        100.0 * metrics.validation.accuracy
    )
}
