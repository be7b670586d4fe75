//! Layers with memory.

use super::Term;
use super::view::{View, count};

/// Four gates of a step: a row of the input and a row of the last output each.
pub(super) fn lstm(view: &View<'_>) -> Option<(&'static str, Vec<Term>)> {
    let &[units, inputs] = view.input(1)?.shape.dims() else {
        return None;
    };
    let steps = count(view.input(0)?) / inputs.max(1) as f64;
    let (units, inputs) = (units as f64, inputs as f64);
    let terms = vec![
        ("multiplications", steps * 4.0 * units * (inputs + units)),
        ("units", steps * units),
        ("steps", steps),
    ];
    Some(("", terms))
}

/// Filters over features, then over time.
pub(super) fn svdf(view: &View<'_>) -> Option<(&'static str, Vec<Term>)> {
    let &[filters, features] = view.input(1)?.shape.dims() else {
        return None;
    };
    let memory = view.input(2)?.shape.last();
    let rows = count(view.input(0)?) / features.max(1) as f64;
    let filters = filters as f64 * rows;
    let terms = vec![
        ("multiplications over features", filters * features as f64),
        ("multiplications over time", filters * memory as f64),
        ("filters", filters),
        ("outputs", count(view.output)),
    ];
    Some(("", terms))
}
