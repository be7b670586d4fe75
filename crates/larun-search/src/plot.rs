//! A picture of a search: accuracy over the file's size, the front drawn as a line.

use larun::picture::{Axis, Ink, Line, Plot, Point, staircase};

use crate::pareto::front;
use crate::trial::Trial;

/// An SVG image, to be opened in any browser. Each trial is a point with its network as a tooltip; those that no other beats are in
/// another colour, and those that no other beats in size and accuracy are joined.
#[must_use]
pub fn svg(trials: &[Trial]) -> String {
    let best = front(trials);
    let point = |trial: &Trial| {
        let at = [
            trial.cost.flash_bytes as f64 / 1024.0,
            100.0 * trial.accuracy?,
        ];
        let is_best = best.iter().any(|other| core::ptr::eq(*other, trial));
        Some(Point {
            at,
            ink: if is_best { Ink::Chosen } else { Ink::Many },
            label: None,
            about: format!(
                "{}: {}, {:.2} %, {:.1} KB",
                trial.index, trial.architecture, at[1], at[0]
            ),
        })
    };
    let points: Vec<Point> = trials.iter().filter_map(point).collect();
    let places = || points.iter().map(|point| point.at);
    let plot = Plot {
        about: "accuracy over size of the networks of a search".to_owned(),
        x: Axis::log("INT8 file, KB", places().map(|[size, _]| size)),
        y: Axis::linear(
            "validation accuracy, %",
            places().map(|[_, accuracy]| accuracy),
        ),
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
