//! A network of LARUN's learns what a network from elsewhere knows: the teacher is an ONNX file, and no labels are needed.
//!
//! `cargo run -p larun --example distil_onnx [FOLDER]`. The teacher is one of the repository's fixtures, made by PyTorch's conventions.

use core::error::Error;
use std::path::Path;

use larun::Model;
use larun::data::dataset::Dataset;
use larun::optimize::Source;
use larun::prune::Kept;
use larun::train::TrainConfig;
use larun::training::{Distillation, Lesson, Outcome, TrainRequest, train};
use larun::zoo::simulate;

const TEACHER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/onnx/cnn1d.onnx"
);

/// Points of a light curve that the teacher takes.
const POINTS: usize = 128;

/// Light curves as the teacher takes them, and its answers for labels.
fn answered(teacher: &Model) -> Result<Dataset, Box<dyn Error>> {
    let mut stars = simulate::light_curves(32, 1);
    let width = stars.sample_len() / POINTS;
    let mean = |points: &[f32]| points.iter().sum::<f32>() / points.len() as f32;
    // The fixture's weights are random: only strong signals move it from one class to another.
    let strong = |points: &[f32]| 10.0 * mean(points);
    stars.x = stars.x.chunks_exact(width).map(strong).collect();
    stars.sample_shape = vec![POINTS, 1];

    let mut arena = teacher.arena()?;
    let mut interpreter = teacher.interpreter(&mut arena)?;
    for index in 0..stars.len() {
        interpreter.set_input(0, stars.sample(index))?;
        interpreter.invoke()?;
        let scores = interpreter.output::<f32>(0)?.iter().enumerate();
        let best = scores.max_by(|a, b| a.1.total_cmp(b.1));
        stars.y[index] = best.map_or(0, |(class, _)| class as u32);
    }
    Ok(stars)
}

pub(crate) fn run(folder: &Path) -> Result<(), Box<dyn Error>> {
    let data = folder.join("answered.npz");
    answered(&Model::open(Path::new(TEACHER))?)?.save_npz(&data)?;
    let request = TrainRequest {
        source: Source::Zoo("student".to_owned()),
        data: Some(data),
        samples_per_class: 0,
        training: TrainConfig {
            epochs: 20,
            batch_size: 16,
            learning_rate: 5e-3,
            seed: 1,
            ..TrainConfig::default()
        },
        integers: None,
        distillation: Some(Distillation {
            teachers: vec![TEACHER.into()],
            lesson: Lesson::Hinton,
            temperature: 2.0,
            alpha: 0.1,
        }),
        kept: Kept::default(),
        resume: false,
        out: folder.join("student.tflite"),
    };
    let Outcome::Finished(report) = train(&request, &mut ())? else {
        return Err("nobody interrupted it".into());
    };
    println!(
        "the student gives the teacher's answer for {:.0} % of the test samples, {:.0} % before",
        100.0 * report.after.accuracy,
        100.0 * report.before.accuracy
    );
    match report.after.loss < 0.8 * report.before.loss {
        true => Ok(()),
        false => Err("the student has learnt little".into()),
    }
}

#[allow(dead_code, reason = "the test of the examples calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "out".to_owned());
    std::fs::create_dir_all(&folder)?;
    run(Path::new(&folder))
}
