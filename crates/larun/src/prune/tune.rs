//! Training before and after pruning, with what pruned and clustered weights have to keep.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use larun_graph::{Graph, TensorId};
use larun_prune::{Clusters, apply_masks};
use larun_train::{CheckpointConfig, Stop, TrainConfig, Trainer};
use larun_zoo::dataset::{Dataset, Split};

use super::goal::Pruned;
use super::{Constraints, PruneRequest};
use crate::Error;
use crate::optimize::Progress;
use crate::report::TrainingReport;
use crate::training::samples_of;

/// The checkpoint of a training beside the output.
pub(super) fn checkpoint(out: &Path, what: &str) -> PathBuf {
    out.with_extension(format!("{what}.safetensors"))
}

/// Trains the pruned network; zeros stay zeros, and grow from round to round where they are to. Clusters then, and trains the
/// clusters' values, where both were asked for.
///
/// `None` where training was stopped.
pub(super) fn fine_tune(
    pruned: Pruned,
    request: &PruneRequest,
    data: Option<&Dataset>,
    progress: &mut dyn Progress,
) -> Result<Option<Graph>, Error> {
    let Pruned {
        mut graph,
        masks,
        rounds,
        ..
    } = pruned;
    let data = data.filter(|_| request.fine_tune > 0);
    let mut constraints = Constraints {
        masks,
        ..Constraints::default()
    };
    if let Some(data) = data {
        // The first rounds share one half of the epochs, the last one has the other to heal.
        let early = (request.fine_tune / 2).checked_div(rounds.len().saturating_sub(1));
        let mut left = request.fine_tune;
        let count = rounds.len().max(1);
        for round in 0..count {
            if let Some(&sparsity) = rounds.get(round) {
                constraints.masks = request.magnitude.masks(&graph, sparsity)?;
                apply_masks(&mut graph, &constraints.masks)?;
            }
            let epochs = match early {
                Some(early) if round + 1 < count => early,
                _ => left,
            };
            left -= epochs;
            progress.stage(&match count {
                1 => "fine-tuning".to_owned(),
                _ => format!("fine-tuning, round {} of {count}", round + 1),
            });
            let tuning = Tuning::new(request, &format!("round{}", round + 1), epochs);
            match train(graph, &tuning, data, &constraints, progress)? {
                Some(tuned) => graph = tuned.graph,
                None => return Ok(None),
            }
        }
    }
    let Some(options) = request.clusters else {
        return Ok(Some(graph));
    };
    progress.stage("clustering");
    let constraints = Constraints {
        clusters: clusters(&mut graph, &options)?,
        ..Constraints::default()
    };
    let Some(data) = data else {
        return Ok(Some(graph));
    };
    let tuning = Tuning::new(request, "clusters", request.fine_tune);
    let tuned = train(graph, &tuning, data, &constraints, progress)?;
    Ok(tuned.map(|tuned| tuned.graph))
}

/// Gives the weights of each layer a few values.
fn clusters(
    graph: &mut Graph,
    options: &larun_prune::ClusterOptions,
) -> Result<BTreeMap<TensorId, Clusters>, Error> {
    let mut found = BTreeMap::new();
    for layer in larun_prune::sparsities(graph)? {
        // A layer of fewer weights than values has nothing to share.
        if layer.weights <= options.clusters || found.contains_key(&layer.tensor) {
            continue;
        }
        let weights = graph.values::<f32>(layer.tensor)?;
        let clusters = Clusters::fit(&weights, options)?;
        graph.set_values(layer.tensor, &clusters.weights())?;
        found.insert(layer.tensor, clusters);
    }
    Ok(found)
}

/// How a training of the pipeline goes.
#[derive(Clone, Debug)]
pub(crate) struct Tuning<'r> {
    /// The settings but for epochs and checkpoint.
    pub(crate) config: &'r TrainConfig,
    /// The most epochs.
    pub(crate) epochs: usize,
    /// Its checkpoint.
    pub(crate) checkpoint: PathBuf,
    /// Whether to go on from the checkpoint, where there is one.
    pub(crate) resume: bool,
}

/// A network after such a training.
pub(crate) struct Tuned {
    /// It.
    pub(crate) graph: Graph,
    /// How the training went, `None` for one of no epochs.
    pub(crate) training: Option<TrainingReport>,
}

/// Trains for some epochs; `None` where the observer stopped it, with its checkpoint written.
pub(crate) fn train(
    graph: Graph,
    tuning: &Tuning<'_>,
    data: &Dataset,
    constraints: &Constraints,
    progress: &mut dyn Progress,
) -> Result<Option<Tuned>, Error> {
    if tuning.epochs == 0 {
        let training = None;
        return Ok(Some(Tuned { graph, training }));
    }
    let path = &tuning.checkpoint;
    let (train, validation) = (data.indices(Split::Train), data.indices(Split::Validation));
    let samples = samples_of(data, &train, &validation);
    let settings = TrainConfig {
        epochs: tuning.epochs,
        ..tuning.config.clone()
    };
    let config = TrainConfig {
        checkpoint: Some(CheckpointConfig {
            path: path.clone(),
            every: None,
        }),
        ..settings.clone()
    };
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    }
    let mut trainer = Trainer::new(&graph, samples, config)?;
    trainer.add_callback(Box::new(constraints.clone()));
    // A run of several trainings goes on from those that have begun.
    if tuning.resume && path.exists() {
        trainer.resume(path)?;
    }
    let started = Instant::now();
    let outcome = trainer.run(progress.training())?;
    if outcome.stop == Stop::Interrupted {
        return Ok(None);
    }
    let seconds = started.elapsed().as_secs_f64();
    let report = TrainingReport::new(&settings, outcome.best, outcome.history, seconds);
    Ok(Some(Tuned {
        graph: outcome.graph,
        training: Some(report),
    }))
}

impl<'r> Tuning<'r> {
    pub(super) fn new(request: &'r PruneRequest, what: &str, epochs: usize) -> Self {
        Self {
            config: &request.training,
            epochs,
            checkpoint: checkpoint(&request.out, what),
            resume: request.resume,
        }
    }
}
