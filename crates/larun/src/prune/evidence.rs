//! What some measures of importance need beside weights: gradients and activations on samples.

use core::ops::ControlFlow;
use std::collections::BTreeMap;

use larun_graph::{Graph, TensorId};
use larun_prune::{Evidence, Importance};
use larun_train::{BatchEvent, Observer, Schedule, TrainConfig, Trainer};
use larun_zoo::dataset::{Dataset, Split};

use super::writable;
use crate::Error;
use crate::training::samples_of;

/// Samples that activations and gradients are taken from, at most.
const SAMPLES: usize = 512;

/// The evidence that a measure needs, from the training split.
///
/// # Errors
/// When there are no data, or the network cannot be run or trained on them.
pub fn evidence(
    graph: &Graph,
    importance: Importance,
    data: Option<&Dataset>,
    training: &TrainConfig,
) -> Result<Evidence, Error> {
    let mut evidence = Evidence::default();
    let needs = || {
        Error::Usage(format!(
            "--importance {} looks at samples: give --data F.npz",
            importance.name()
        ))
    };
    match importance {
        Importance::Taylor => {
            let gradients = gradients(graph, data.ok_or_else(needs)?, training)?;
            evidence.gradients = gradients.sums;
        }
        Importance::Activation => {
            evidence.activations = activations(graph, data.ok_or_else(needs)?)?;
        }
        _ => {}
    }
    Ok(evidence)
}

/// Sums gradients of weights over the steps of a training.
#[derive(Debug, Default)]
struct Gradients {
    sums: BTreeMap<TensorId, Vec<f32>>,
}

impl Observer for Gradients {
    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        let pairs = event
            .executor
            .parameters()
            .iter()
            .zip(event.executor.gradients());
        for (parameter, gradient) in pairs {
            let sums = self
                .sums
                .entry(parameter.tensor())
                .or_insert_with(|| vec![0.0; gradient.len()]);
            sums.iter_mut()
                .zip(gradient)
                .for_each(|(sum, gradient)| *sum += gradient);
        }
        ControlFlow::Continue(())
    }
}

/// One epoch over some samples, with steps too small to change a weight.
fn gradients(graph: &Graph, data: &Dataset, training: &TrainConfig) -> Result<Gradients, Error> {
    let mut train = data.indices(Split::Train);
    train.truncate(SAMPLES);
    let validation: Vec<usize> = data
        .indices(Split::Validation)
        .into_iter()
        .take(1)
        .collect();
    let samples = samples_of(data, &train, &validation);
    let config = TrainConfig {
        epochs: 1,
        learning_rate: 1e-20,
        schedule: Schedule::Constant,
        checkpoint: None,
        ..training.clone()
    };
    let mut gradients = Gradients::default();
    Trainer::new(graph, samples, config)?.run(&mut gradients)?;
    Ok(gradients)
}

/// The root of the mean square of each channel of every layer's result.
fn activations(graph: &Graph, data: &Dataset) -> Result<BTreeMap<TensorId, Vec<f64>>, Error> {
    let samples: Vec<usize> = data
        .indices(Split::Train)
        .into_iter()
        .take(SAMPLES)
        .collect();
    // The interpreter runs no batch normalisation. Folded, results keep their names.
    let folded = writable(graph)?;
    let rows = samples.iter().map(|&index| vec![data.sample(index)]);
    let statistics = larun_passes::ChannelStatistics::of(&folded, rows)?;
    let (Some(old), Some(new)) = (graph.main(), folded.main()) else {
        return Ok(BTreeMap::new());
    };
    let mut found = BTreeMap::new();
    for (index, tensor) in old.tensors.iter().enumerate() {
        let same = new
            .tensors
            .iter()
            .position(|other| other.name == tensor.name);
        let channels = same.map_or(&[][..], |at| statistics.channels(TensorId::new(at)));
        if !channels.is_empty() {
            let sizes = channels
                .iter()
                .map(|channel| channel.mean_square.sqrt())
                .collect();
            found.insert(TensorId::new(index), sizes);
        }
    }
    Ok(found)
}
