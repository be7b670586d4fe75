//! Pruning, clustering and storing a model: from a float or quantised file, or a network of the zoo, to a smaller file.

mod callback;
mod evidence;
mod goal;
mod report;
pub(crate) mod tune;

use std::path::{Path, PathBuf};

use larun_graph::ops::OpKind;
use larun_graph::{Graph, Node};
use larun_passes::remove_unused;
use larun_prune::{
    ChannelGroups, ClusterOptions, Importance, Keep, MagnitudePruning, Storage, expand, sparsities,
    strip, weight_sensitivity,
};
use larun_train::TrainConfig;
use larun_zoo::dataset::{Dataset, Split};
use larun_zoo::networks;

use crate::evaluate::classify;
use crate::optimize::{Progress, Source};
use crate::quantize::prepare;
use crate::{Error, Model, files, sizes};

use tune::Tuning;

pub use callback::{Constraints, Kept};
pub use evidence::evidence;
pub use goal::{Goal, Measure, int8_bytes, prune_channels, seed_sparsity};
pub use report::{GroupReport, ModelReport, PruneReport, SensitivityReport};

/// What [`prune`] is asked to do.
#[derive(Clone, Debug)]
pub struct PruneRequest {
    /// The network.
    pub source: Source,
    /// Labelled samples: to fine-tune and measure with.
    pub data: Option<PathBuf>,
    /// What the network is to come down to; `None` only stores it in another way.
    pub goal: Option<Goal>,
    /// What goes by magnitude, where weights do.
    pub magnitude: MagnitudePruning,
    /// Which channels go first.
    pub importance: Importance,
    /// In what steps channels are kept.
    pub keep: Keep,
    /// Whether the share of zeros grows over the first half of the fine-tuning; otherwise it is reached at once.
    pub gradual: bool,
    /// Values that the weights of each layer may have.
    pub clusters: Option<ClusterOptions>,
    /// How to train: a network of the zoo before pruning, and any network after it.
    pub training: TrainConfig,
    /// Epochs of training after pruning.
    pub fine_tune: usize,
    /// How the weights are stored.
    pub storage: Storage,
    /// Whether to measure what each layer alone would suffer.
    pub sensitivity: bool,
    /// Whether to take away what no microcontroller reads.
    pub strip: bool,
    /// Go on from the checkpoint beside the output.
    pub resume: bool,
    /// The file to write.
    pub out: PathBuf,
}

/// What [`prune`] comes to.
#[derive(Debug)]
pub enum Outcome {
    /// The file is written.
    Finished(Box<PruneReport>),
    /// The observer stopped the training; the checkpoint is written and `resume` goes on from it.
    Interrupted {
        /// The checkpoint.
        checkpoint: PathBuf,
    },
}

/// Shares at which the sensitivity is measured.
const SHARES: [f32; 3] = [0.25, 0.5, 0.75];

/// Samples by which the sensitivity is measured, at most: it takes a pass for each layer and share.
const SENSITIVITY_SAMPLES: usize = 256;

/// Prunes, clusters, fine-tunes and stores a model, and writes it.
///
/// # Errors
/// When the model or the data cannot be used, the goal cannot be reached, or training fails; nothing is then written.
pub fn prune(request: &PruneRequest, progress: &mut dyn Progress) -> Result<Outcome, Error> {
    let data = request.data.as_deref().map(Dataset::load_npz).transpose()?;
    let needs_data =
        request.fine_tune > 0 || request.sensitivity || matches!(request.source, Source::Zoo(_));
    if needs_data && data.is_none() {
        return Err(Error::Usage(
            "training and measuring need samples: give --data F.npz, or leave out --fine-tune and --sensitivity".to_owned(),
        ));
    }
    let Some(graph) = start(request, data.as_ref(), progress)? else {
        let checkpoint = tune::checkpoint(&request.out, "zoo");
        return Ok(Outcome::Interrupted { checkpoint });
    };
    let before = ModelReport::of(
        &writable(&graph)?,
        data.as_ref(),
        Path::new("before.tflite"),
    )?;
    let sensitivity = match data.as_ref().filter(|_| request.sensitivity) {
        Some(data) => {
            progress.stage("measuring the sensitivity of each layer");
            measure_sensitivity(&graph, request, data)?
        }
        None => Vec::new(),
    };
    progress.stage("pruning");
    let pruned = goal::apply(&graph, request, data.as_ref(), progress)?;
    let groups = pruned.groups.clone();
    let Some(tuned) = tune::fine_tune(pruned, request, data.as_ref(), progress)? else {
        let checkpoint = tune::checkpoint(&request.out, "round1");
        return Ok(Outcome::Interrupted { checkpoint });
    };
    progress.stage("storing");
    let mut dense = writable(&tuned)?;
    if request.strip {
        strip(&mut dense)?;
    }
    let (stored, tensors) = sizes::stored(&dense, request.storage)?;
    let bytes = larun_tflite::write(&stored)?;
    let after = ModelReport::of(&dense, data.as_ref(), &request.out)?;
    let model = Model::new(&request.out, &larun_tflite::write(&dense)?);
    let report = PruneReport {
        larun_version: env!("CARGO_PKG_VERSION").to_owned(),
        before,
        after,
        file_bytes: bytes.len() as u64,
        storage: request.storage.name().to_owned(),
        groups,
        sensitivity,
        stored: tensors.iter().map(report::StoredReport::of).collect(),
        zeros: sparsities(&dense)?
            .iter()
            .map(|layer| layer.zeros as u64)
            .sum(),
        weights: sparsities(&dense)?
            .iter()
            .map(|layer| layer.weights as u64)
            .sum(),
        sizes: sizes::sizes(&model)?,
    };
    files::write(&request.out, &bytes)?;
    Ok(Outcome::Finished(Box::new(report)))
}

/// A graph as a file holds it: batch normalisation folded, and nothing that no node uses. What has none is not simplified: it may be
/// quantised already.
pub(crate) fn writable(graph: &Graph) -> Result<Graph, Error> {
    let mut kinds = graph
        .main()
        .into_iter()
        .flat_map(|subgraph| subgraph.nodes.iter().filter_map(Node::kind));
    let mut writable = match kinds.any(|kind| kind == OpKind::BatchNorm) {
        true => prepare(graph.clone())?,
        false => graph.clone(),
    };
    remove_unused(&mut writable);
    Ok(writable)
}

/// The network to prune: a file's, its weights dense, or one of the zoo, trained. `None` where training was stopped.
fn start(
    request: &PruneRequest,
    data: Option<&Dataset>,
    progress: &mut dyn Progress,
) -> Result<Option<Graph>, Error> {
    match (&request.source, data) {
        (Source::Model(path), _) => Ok(Some(expand(&Model::open(path)?.graph()?)?)),
        (Source::Zoo(name), Some(data)) => {
            let network = networks::find(name)?;
            let classes = data.class_names.len();
            let graph = network.build(&data.sample_shape, classes, request.training.seed)?;
            progress.stage("training");
            let tuning = Tuning::new(request, "zoo", request.training.epochs);
            let trained = tune::train(graph, &tuning, data, &Constraints::default(), progress)?;
            Ok(trained.map(|trained| trained.graph))
        }
        (Source::Zoo(_), None) => Err(Error::Usage(
            "a network of the zoo is trained first: give --data F.npz".to_owned(),
        )),
    }
}

/// The accuracy on validation samples with each layer alone pruned.
fn measure_sensitivity(
    graph: &Graph,
    request: &PruneRequest,
    data: &Dataset,
) -> Result<Vec<SensitivityReport>, Error> {
    let mut samples = data.indices(Split::Validation);
    samples.truncate(SENSITIVITY_SAMPLES);
    let accuracy = |graph: &Graph| {
        let measured = writable(graph).and_then(|graph| {
            let model = Model::new(
                Path::new("sensitivity.tflite"),
                &larun_tflite::write(&graph)?,
            );
            Ok(classify(&model, data, &samples)?.accuracy)
        });
        measured.map_err(|error| larun_prune::PruneError::Measure(error.to_string()))
    };
    let found = match request.goal {
        Some(Goal::Sparsity(_)) => {
            weight_sensitivity(graph, &request.magnitude, &SHARES, accuracy)?
        }
        _ => {
            let groups = ChannelGroups::of(graph)?;
            let evidence = evidence(graph, request.importance, Some(data), &request.training)?;
            let scores = groups.scores(graph, request.importance, &evidence)?;
            groups.sensitivity(graph, &scores, request.keep, &SHARES, accuracy)?
        }
    };
    Ok(found.into_iter().map(SensitivityReport::from).collect())
}
