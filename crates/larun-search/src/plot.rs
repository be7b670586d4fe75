//! A picture of a search: accuracy over the file's size, the front drawn as a line.

use core::fmt::Write;

use crate::pareto::front;
use crate::trial::Trial;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 56.0;

/// An SVG image of 720 by 420, to be opened in any browser. Each trial is a point with its network as a tooltip; those that no other
/// beats in size and accuracy are joined.
#[must_use]
pub fn svg(trials: &[Trial]) -> String {
    let measured: Vec<(&Trial, f64, f64)> = trials
        .iter()
        .filter_map(|trial| {
            let kilobytes = trial.cost.flash_bytes as f64 / 1024.0;
            Some((trial, kilobytes, 100.0 * trial.accuracy?))
        })
        .collect();
    let [left, right] = span(measured.iter().map(|point| point.1));
    let [bottom, top] = span(measured.iter().map(|point| point.2));
    let x = |value: f64| MARGIN + (value - left) / (right - left) * (WIDTH - 2.0 * MARGIN);
    let y =
        |value: f64| HEIGHT - MARGIN - (value - bottom) / (top - bottom) * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    // Writing to a string cannot fail.
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let (value, level) = (
            left + (right - left) * share,
            bottom + (top - bottom) * share,
        );
        let (across, down) = (x(value), y(level));
        let _ = write!(
            svg,
            "<text x=\"{across:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.1}</text>\n\
             <line x1=\"{MARGIN}\" x2=\"{:.1}\" y1=\"{down:.1}\" y2=\"{down:.1}\" stroke=\"#ddd\"/>\n",
            HEIGHT - MARGIN + 18.0,
            WIDTH - MARGIN,
        );
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{level:.1}</text>",
            MARGIN - 6.0,
            y(level) + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">INT8 file, KB</text>\n<text x=\"{MARGIN}\" y=\"{}\">validation accuracy, %</text>",
        WIDTH / 2.0,
        HEIGHT - 12.0,
        MARGIN - 16.0
    );
    let line: Vec<String> = staircase(&measured)
        .iter()
        .map(|(size, accuracy)| format!("{:.1},{:.1}", x(*size), y(*accuracy)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#c33\" stroke-width=\"1.5\"/>",
        line.join(" ")
    );
    let best = front(trials);
    for (trial, size, accuracy) in &measured {
        let is_best = best.iter().any(|other| core::ptr::eq(*other, *trial));
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{}\"><title>{}: {}, {accuracy:.2} %, {size:.1} KB</title></circle>",
            x(*size),
            y(*accuracy),
            if is_best { "#c33" } else { "#88a" },
            trial.index,
            trial.architecture
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The corners of the front in size and accuracy alone, from the smallest on.
fn staircase(measured: &[(&Trial, f64, f64)]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = measured.iter().map(|point| (point.1, point.2)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut best = f64::NEG_INFINITY;
    points.retain(|point| {
        let is_better = point.1 > best;
        best = best.max(point.1);
        is_better
    });
    points
}

/// The range of some values with a little room; never empty.
fn span(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return [0.0, 1.0];
    }
    let room = ((high - low) * 0.05).max(0.5);
    [low - room, high + room]
}
