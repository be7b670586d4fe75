//! What pruned and clustered weights have lasts while a network is trained for integers, and the model has it.

use std::path::Path;

use larun::Model;
use larun::optimize::Source;
use larun::passes::QuantizeOptions;
use larun::prune::Kept;
use larun::pruning::{ClusterOptions, Clusters, MagnitudePruning, apply_masks, sparsities};
use larun::train::{QatConfig, TrainConfig};
use larun::training::{Integers, Outcome, TrainRequest, train};
use larun::zoo::networks;

/// Trains a model file for INT8 on simulated light curves.
fn for_integers(model: &Path, out: &Path, kept: Kept) -> Model {
    let request = TrainRequest {
        source: Source::Model(model.to_owned()),
        data: None,
        samples_per_class: 20,
        training: TrainConfig {
            epochs: 1,
            learning_rate: 1e-3,
            ..TrainConfig::default()
        },
        integers: Some(Integers {
            quantization: QuantizeOptions::default(),
            config: QatConfig::default(),
            calibration_samples: 20,
        }),
        distillation: None,
        kept,
        resume: false,
        out: out.to_owned(),
    };
    match train(&request, &mut ()).unwrap() {
        Outcome::Finished(_) => Model::open(out).unwrap(),
        Outcome::Interrupted { .. } => panic!("nobody interrupted it"),
    }
}

/// The student network with seven tenths of its weights zero; of all its layers' weights, how many are zero.
fn sparse(file: &Path) -> usize {
    let network = networks::find("student").unwrap();
    let mut graph = network.build(&[1024, 1], 6, 3).unwrap();
    let masks = MagnitudePruning::default().masks(&graph, 0.7).unwrap();
    apply_masks(&mut graph, &masks).unwrap();
    std::fs::write(file, larun::tflite::write(&graph).unwrap()).unwrap();
    zeros(&Model::open(file).unwrap())
}

fn zeros(model: &Model) -> usize {
    let layers = sparsities(&model.graph().unwrap()).unwrap();
    layers.iter().map(|layer| layer.zeros).sum()
}

#[test]
fn zeros_last() {
    let folder = tempfile::tempdir().unwrap();
    let (float, out) = (
        folder.path().join("float.tflite"),
        folder.path().join("int8.tflite"),
    );
    let before = sparse(&float);
    let kept = Kept {
        zeros: true,
        ..Kept::default()
    };
    let after = zeros(&for_integers(&float, &out, kept));
    // Small weights become zero too when they are rounded.
    assert!(after >= before, "{before} zeros, then {after}");
    let lost = zeros(&for_integers(&float, &out, Kept::default()));
    assert!(
        lost < before / 2,
        "{before} zeros, then {lost} without being kept"
    );
}

#[test]
fn few_values_last() {
    let folder = tempfile::tempdir().unwrap();
    let (float, out) = (
        folder.path().join("float.tflite"),
        folder.path().join("int8.tflite"),
    );
    let network = networks::find("student").unwrap();
    let mut graph = network.build(&[1024, 1], 6, 3).unwrap();
    let convolution = sparsities(&graph).unwrap()[1].tensor;
    let weights = graph.values::<f32>(convolution).unwrap();
    let clusters = Clusters::fit(&weights, &ClusterOptions::new(8)).unwrap();
    graph.set_values(convolution, &clusters.weights()).unwrap();
    std::fs::write(&float, larun::tflite::write(&graph).unwrap()).unwrap();
    let kept = Kept {
        clusters: true,
        ..Kept::default()
    };
    let most = |kept| {
        let model = for_integers(&float, &out, kept);
        let graph = model.graph().unwrap();
        let layer = sparsities(&graph).unwrap()[1];
        let values = graph.values::<i8>(layer.tensor).unwrap();
        // A filter has a scale of its own, and with it integers of its own.
        let filters = values.chunks(layer.weights / 16);
        let distinct = filters.map(|filter| {
            let mut values = filter.to_vec();
            values.sort_unstable();
            values.dedup();
            values.len()
        });
        distinct.max().unwrap()
    };
    assert!(most(kept) <= 8);
    assert!(
        most(Kept::default()) > 8,
        "without being kept they are many"
    );
}
