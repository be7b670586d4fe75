//! Which trials no other beats in everything.

use crate::trial::Trial;

/// What trials are compared by, each less the better: error, flash, arena, cycles. `None` for a trial without an accuracy.
#[must_use]
pub fn objectives(trial: &Trial) -> Option<[f64; 4]> {
    let cost = &trial.cost;
    Some([
        1.0 - trial.accuracy?,
        cost.flash_bytes as f64,
        cost.arena_bytes as f64,
        cost.cycles as f64,
    ])
}

/// Whether `a` is as good as `b` in everything and better in something.
#[must_use]
pub fn dominates(a: &[f64; 4], b: &[f64; 4]) -> bool {
    let pairs = || a.iter().zip(b);
    pairs().all(|(a, b)| a <= b) && pairs().any(|(a, b)| a < b)
}

/// The trials that no other dominates, the most accurate first; of equal ones the smaller, then the earlier.
#[must_use]
pub fn front(trials: &[Trial]) -> Vec<&Trial> {
    let all: Vec<(&Trial, [f64; 4])> = trials
        .iter()
        .filter_map(|trial| Some((trial, objectives(trial)?)))
        .collect();
    let mut front: Vec<(&Trial, [f64; 4])> = Vec::new();
    for (trial, values) in &all {
        let beaten = all.iter().any(|(_, other)| dominates(other, values));
        let is_there = front.iter().any(|(_, other)| other == values);
        if !beaten && !is_there {
            front.push((trial, *values));
        }
    }
    front.sort_by(|(a, x), (b, y)| {
        let first = x.iter().zip(y).map(|(x, y)| x.total_cmp(y));
        first
            .fold(core::cmp::Ordering::Equal, core::cmp::Ordering::then)
            .then(a.index.cmp(&b.index))
    });
    front.into_iter().map(|(trial, _)| trial).collect()
}

/// The trials from the best on, by how many times they are dominated away (rank) and how lonely they are there (crowding distance), as
/// NSGA-II orders them (Deb et al. 2002). Trials without an accuracy are left out.
#[must_use]
pub fn ranked(trials: &[Trial]) -> Vec<&Trial> {
    let mut left: Vec<(&Trial, [f64; 4])> = trials
        .iter()
        .filter_map(|trial| Some((trial, objectives(trial)?)))
        .collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let beaten = |values: &[f64; 4]| left.iter().any(|(_, other)| dominates(other, values));
        let (rest, layer): (Vec<_>, Vec<_>) =
            left.iter().copied().partition(|(_, values)| beaten(values));
        let mut lonely: Vec<(f64, &Trial)> = layer
            .iter()
            .enumerate()
            .map(|(index, (trial, _))| (crowding(&layer, index), *trial))
            .collect();
        lonely.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.index.cmp(&b.1.index)));
        order.extend(lonely.into_iter().map(|(_, trial)| trial));
        left = rest;
    }
    order
}

/// The trials from the most accurate on; of equal ones the smaller first, then the earlier. Trials without an accuracy are left out.
#[must_use]
pub fn by_accuracy<'t>(trials: impl IntoIterator<Item = &'t Trial>) -> Vec<&'t Trial> {
    let mut order: Vec<(f64, &Trial)> = trials
        .into_iter()
        .filter_map(|trial| Some((trial.accuracy?, trial)))
        .collect();
    order.sort_by(|(x, a), (y, b)| {
        y.total_cmp(x)
            .then(a.cost.flash_bytes.cmp(&b.cost.flash_bytes))
            .then(a.index.cmp(&b.index))
    });
    order.into_iter().map(|(_, trial)| trial).collect()
}

/// How far a trial's neighbours in each objective are apart, in shares of the layer's span.
fn crowding(layer: &[(&Trial, [f64; 4])], index: usize) -> f64 {
    let Some((_, own)) = layer.get(index) else {
        return 0.0;
    };
    let mut distance = 0.0;
    for (objective, &value) in own.iter().enumerate() {
        let others = || {
            let of = layer
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            of.filter_map(|(_, (_, values))| values.get(objective).copied())
        };
        let below = others()
            .filter(|&v| v <= value)
            .fold(f64::NEG_INFINITY, f64::max);
        let above = others()
            .filter(|&v| v >= value)
            .fold(f64::INFINITY, f64::min);
        let span = others().fold(value, f64::max) - others().fold(value, f64::min);
        if span > 0.0 {
            distance += (above - below) / span;
        }
    }
    distance
}
