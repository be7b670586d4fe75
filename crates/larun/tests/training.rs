//! Training for integers on real light curves: the integer model gives the classes that the training gave.

use std::path::{Path, PathBuf};

use larun::optimize::Source;
use larun::passes::QuantizeOptions;
use larun::prune::Kept;
use larun::train::{QatConfig, TrainConfig};
use larun::training::{Integers, Outcome, TrainReport, TrainRequest, train};

fn run(source: Source, data: &Path, out: &Path, integers: Option<Integers>) -> TrainReport {
    let request = TrainRequest {
        source,
        data: Some(data.to_owned()),
        samples_per_class: 0,
        training: TrainConfig {
            epochs: if integers.is_some() { 2 } else { 6 },
            learning_rate: if integers.is_some() { 3e-4 } else { 5e-3 },
            ..TrainConfig::default()
        },
        integers,
        distillation: None,
        kept: Kept::default(),
        resume: false,
        out: out.to_owned(),
    };
    match train(&request, &mut ()).unwrap() {
        Outcome::Finished(report) => *report,
        Outcome::Interrupted { .. } => panic!("nobody interrupted it"),
    }
}

#[test]
fn the_integer_model_gives_the_classes_of_its_training() {
    let Some(folder) = std::env::var_os("LARUN_DATA").map(PathBuf::from) else {
        println!("skipped: LARUN_DATA is not set");
        return;
    };
    let data = folder.join("kepler_folded1024.npz");
    let directory = tempfile::tempdir().unwrap();
    let float = directory.path().join("float.tflite");
    let spectral = Source::Zoo("spectral".to_owned());
    let before = run(spectral, &data, &float, None);
    let integers = Integers {
        quantization: QuantizeOptions::default(),
        config: QatConfig::default(),
        calibration_samples: 200,
    };
    let out = directory.path().join("int8.tflite");
    let after = run(Source::Model(float), &data, &out, Some(integers));
    let agreement = after.agreement.unwrap();
    let model = after.model.unwrap();
    println!(
        "float {:.4}, integers {:.4}, agreement {agreement:.4}",
        before.after.accuracy, model.accuracy
    );
    assert!(agreement >= 0.999, "{agreement}");
    assert!(model.accuracy > before.after.accuracy - 0.02, "{before:?}");
}
