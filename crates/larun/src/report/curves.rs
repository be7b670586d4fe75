//! The plots of a report: sizes against accuracies, and how the trainings went.

use larun_train::EpochMetrics;

use super::{OptimizeReport, StepReport};
use crate::numbers::{bytes, percent};
use crate::picture::{Axis, Ink, Line, Plot, Point, staircase};

/// The model among the others: accuracy over size.
pub(super) fn pareto(report: &OptimizeReport) -> String {
    let place = |file_bytes: u64, accuracy: f64| [file_bytes as f64 / 1024.0, 100.0 * accuracy];
    let about = |name: &str, file_bytes, accuracy| {
        format!("{name}: {}, {}", bytes(file_bytes), percent(accuracy))
    };
    let trials = report.trials.iter().map(|trial| Point {
        at: place(trial.file_bytes, trial.validation_accuracy),
        ink: Ink::Many,
        label: None,
        about: about(&trial.name, trial.file_bytes, trial.validation_accuracy),
    });
    let step = |step: &StepReport| Point {
        at: place(step.file_bytes, step.validation_accuracy),
        ink: if step.is_deployed {
            Ink::Main
        } else {
            Ink::Other
        },
        label: Some(step.name.clone()),
        about: about(&step.name, step.file_bytes, step.validation_accuracy),
    };
    // The deployed model is the last step, and so over all others.
    let points: Vec<Point> = trials.chain(report.steps.iter().map(step)).collect();
    let places = || points.iter().map(|point| point.at);
    let plot = Plot {
        about: "accuracy on the validation split over the size of the file".to_owned(),
        x: Axis::log("file, KB", places().map(|[size, _]| size)),
        y: Axis::linear(
            "validation accuracy, %",
            places().map(|[_, accuracy]| accuracy),
        )
        .within(0.0, 100.0),
        lines: vec![Line {
            name: String::new(),
            ink: Ink::Chosen,
            points: staircase(places()),
        }],
        points,
        rules: Vec::new(),
    };
    plot.svg()
}

/// The loss by epoch; `None` where nothing was trained.
pub(super) fn loss(report: &OptimizeReport) -> Option<String> {
    let value = |train: bool, epoch: &EpochMetrics| match train {
        true => epoch.train.loss,
        false => epoch.validation.loss,
    };
    by_epoch(report, "loss", value, |axis| axis)
}

/// The accuracy by epoch; `None` where nothing was trained.
pub(super) fn accuracy(report: &OptimizeReport) -> Option<String> {
    let value = |train: bool, epoch: &EpochMetrics| match train {
        true => 100.0 * epoch.train.accuracy,
        false => 100.0 * epoch.validation.accuracy,
    };
    by_epoch(report, "accuracy, %", value, |axis| axis.within(0.0, 100.0))
}

/// A value of both splits by epoch, the trainings one after the other, with a mark at the epoch whose weights were kept.
fn by_epoch(
    report: &OptimizeReport,
    label: &str,
    value: impl Fn(bool, &EpochMetrics) -> f64,
    limits: impl Fn(Axis) -> Axis,
) -> Option<String> {
    let mut lines: Vec<Line> = Vec::new();
    let (mut points, mut rules) = (Vec::new(), Vec::new());
    let mut before = 0.0;
    for (name, training) in report.trainings() {
        if before > 0.0 {
            rules.push((before + 0.5, name.to_owned()));
        }
        for (split, ink, is_train) in [
            ("train", Ink::Other, true),
            ("validation", Ink::Main, false),
        ] {
            let at = |epoch: &EpochMetrics| [before + epoch.epoch as f64, value(is_train, epoch)];
            let is_first = !lines.iter().any(|line| line.name == split);
            lines.push(Line {
                // One entry of the legend stands for the lines of all trainings.
                name: if is_first {
                    split.to_owned()
                } else {
                    String::new()
                },
                ink,
                points: training.history.iter().map(at).collect(),
            });
        }
        if let Some(best) = &training.best {
            points.push(Point {
                at: [before + best.epoch as f64, value(false, best)],
                ink: Ink::Main,
                label: None,
                about: format!("{name}: the weights of epoch {} were kept", best.epoch),
            });
        }
        before += training.history.len() as f64;
    }
    if before == 0.0 {
        return None;
    }
    let all = || lines.iter().flat_map(|line| &line.points);
    let plot = Plot {
        about: format!("{label} by epoch"),
        x: Axis::linear("epoch", [1.0, before])
            .within(0.5, before + 0.5)
            .whole(),
        y: limits(Axis::linear(label, all().map(|[_, value]| *value))),
        lines,
        points,
        rules,
    };
    Some(plot.svg())
}
