//! A network on its way into a firmware, in Rust: trained, its channels pruned, taught by what it was, made INT8, written as C.
//!
//! ```sh
//! cargo run --release --example shrink -- out
//! ```

use core::error::Error;
use std::path::{Path, PathBuf};

use larun::data::simulate;
use larun::optimize::Source;
use larun::passes::QuantizeOptions;
use larun::prune::{Goal, Kept, PruneRequest, prune};
use larun::pruning::{Importance, Keep, MagnitudePruning, Storage};
use larun::train::{QatConfig, TrainConfig};
use larun::training::{Distillation, Integers, Lesson, TrainRequest, train};
use larun::{Model, export, files};

#[allow(dead_code, reason = "the test of the examples calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("out"), PathBuf::from);
    std::fs::create_dir_all(&out)?;
    run(&out)
}

pub(crate) fn run(out: &Path) -> Result<(), Box<dyn Error>> {
    let data = out.join("curves.npz");
    simulate::light_curves(60, 7).save_npz(&data)?;

    // Train a network of the zoo in real numbers.
    let float = out.join("float.tflite");
    train(
        &request(Source::Zoo("student".to_owned()), &data, &float, 5),
        &mut (),
    )?;

    // Remove a quarter of its channels, and train what is left.
    let pruned = out.join("pruned.tflite");
    prune(&pruning(&float, &data, &pruned), &mut ())?;

    // Train it for integers, with the network that it was as its teacher.
    let int8 = out.join("int8.tflite");
    let lesson = TrainRequest {
        integers: Some(Integers {
            quantization: QuantizeOptions::default(),
            config: QatConfig::default(),
            calibration_samples: 100,
        }),
        distillation: Some(Distillation {
            teachers: vec![float],
            lesson: Lesson::Hinton,
            temperature: 4.0,
            alpha: 0.5,
        }),
        ..request(Source::Model(pruned), &data, &int8, 2)
    };
    train(&lesson, &mut ())?;

    // Write it as C99.
    let source = export::c_source(&Model::open(&int8)?, "curves")?;
    for (ending, text) in [("c", &source.source), ("h", &source.header)] {
        let file = out.join(format!("{}.{ending}", source.stem));
        files::write(&file, text.as_bytes())?;
        println!("{}: {} bytes", file.display(), text.len());
    }
    Ok(())
}

fn training(epochs: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        learning_rate: 3e-3,
        ..TrainConfig::default()
    }
}

fn request(source: Source, data: &Path, out: &Path, epochs: usize) -> TrainRequest {
    TrainRequest {
        source,
        data: Some(data.to_owned()),
        samples_per_class: 0,
        training: training(epochs),
        integers: None,
        distillation: None,
        kept: Kept::default(),
        resume: false,
        out: out.to_owned(),
    }
}

fn pruning(model: &Path, data: &Path, out: &Path) -> PruneRequest {
    PruneRequest {
        source: Source::Model(model.to_owned()),
        data: Some(data.to_owned()),
        goal: Some(Goal::Channels(0.25)),
        magnitude: MagnitudePruning::default(),
        importance: Importance::L1,
        keep: Keep { multiple: 4 },
        gradual: false,
        clusters: None,
        training: training(2),
        fine_tune: 2,
        storage: Storage::Dense,
        sensitivity: false,
        strip: false,
        resume: false,
        out: out.to_owned(),
    }
}
