//! The symmetric scale of least squared error, exactly.
//!
//! Between two neighbouring values of `t = 1 / scale` at which some weight changes its integer, the integers `q` are
//! fixed, and the best real factor for them is `sum h w q / sum h q^2` with an error of
//! `sum h w^2 - (sum h w q)^2 / sum h q^2` (`h` are importances, or 1). A sweep over all those changes in order therefore meets the best scale of all.
//! There are `|w| / scale` changes for a weight, some thirty for an INT8 one; the sweep ends where what is clipped alone
//! costs more than the best found.

use alloc::vec::Vec;

use crate::affine::IntegerRange;

/// About how many changes are sorted at a time, which bounds the memory.
const WINDOW: f64 = 262_144.0;

/// A weight's magnitude, importance and largest integer.
struct Weight {
    magnitude: f64,
    importance: f64,
    limit: f64,
}

/// At `at`, the weight's integer grows from `from` to `from + 1`.
struct Change {
    at: f64,
    product: f64,
    square: f64,
}

/// The scale of least `sum h (w - scale q)^2` for finite weights; `None` if all are 0 or without importance.
pub(super) fn best_scale(
    weights: &[f32],
    importance: Option<&[f32]>,
    integers: IntegerRange,
) -> Option<f64> {
    let weights = nonzero(weights, importance, integers);
    let largest = weights.iter().map(|w| w.magnitude).fold(0.0, f64::max);
    let most = weights.iter().map(|w| w.limit).fold(0.0, f64::max);
    if largest == 0.0 || most == 0.0 {
        return None;
    }
    // The reciprocal scale at which nothing is clipped, a first bound for the error that is worth to be clipped for.
    let unclipped = most / largest;
    let mut best = Best::default();
    best.offer(sums_at(&weights, unclipped));
    let end = end_of_sweep(&weights, unclipped, best.gain);
    let total: f64 = weights
        .iter()
        .map(|w| (w.magnitude * end).min(w.limit))
        .sum();
    let windows = libm::ceil(total / WINDOW).max(1.0);
    let mut changes = Vec::new();
    let mut window = 0.0;
    while window < windows {
        let bounds = (end * window / windows, end * (window + 1.0) / windows);
        collect_changes(&weights, bounds, &mut changes);
        changes.sort_unstable_by(|a, b| a.at.total_cmp(&b.at));
        let (mut product, mut square) = sums_at(&weights, bounds.0);
        for change in &changes {
            product += change.product;
            square += change.square;
            best.offer((product, square));
        }
        window += 1.0;
    }
    best.scale()
}

fn nonzero(weights: &[f32], importance: Option<&[f32]>, integers: IntegerRange) -> Vec<Weight> {
    let importance = importance.unwrap_or_default().iter().copied();
    let importance = importance.chain(core::iter::repeat(1.0));
    let pairs = weights.iter().zip(importance);
    let weight = |(&weight, importance): (&f32, f32)| {
        let limit = if weight < 0.0 {
            -f64::from(integers.min)
        } else {
            f64::from(integers.max)
        };
        Weight {
            magnitude: f64::from(weight.abs()),
            importance: f64::from(importance),
            limit: limit.max(0.0),
        }
    };
    pairs
        .map(weight)
        .filter(|w| w.magnitude > 0.0 && w.importance > 0.0)
        .collect()
}

/// The largest part of the weights' energy that integers stand for, and the sums that gave it.
#[derive(Default)]
struct Best {
    gain: f64,
    product: f64,
    square: f64,
}

impl Best {
    #[inline]
    fn offer(&mut self, (product, square): (f64, f64)) {
        // `product^2 / square`, the energy, compared without a division in most cases.
        if product * product > self.gain * square && square > 0.0 {
            *self = Self {
                gain: product * product / square,
                product,
                square,
            };
        }
    }

    fn scale(&self) -> Option<f64> {
        (self.square > 0.0).then(|| self.product / self.square)
    }
}

/// `sum h |w| q` and `sum h q^2` with the integers of the reciprocal scale `t`.
fn sums_at(weights: &[Weight], t: f64) -> (f64, f64) {
    let (mut product, mut square) = (0.0, 0.0);
    for weight in weights {
        let integer = integer_at(weight, t);
        product += weight.importance * weight.magnitude * integer;
        square += weight.importance * integer * integer;
    }
    (product, square)
}

fn integer_at(weight: &Weight, t: f64) -> f64 {
    libm::floor(weight.magnitude * t + 0.5).min(weight.limit)
}

/// The reciprocal scale from which on the clipped energy alone is more than the error of the best found.
fn end_of_sweep(weights: &[Weight], unclipped: f64, gain: f64) -> f64 {
    let clipped = |t: f64| -> f64 {
        let energy = |w: &Weight| {
            let beyond = (w.magnitude - w.limit / t).max(0.0);
            w.importance * beyond * beyond
        };
        weights.iter().map(energy).sum()
    };
    let energy: f64 = weights
        .iter()
        .map(|w| w.importance * w.magnitude * w.magnitude)
        .sum();
    // A little more than the error, for its own rounding.
    let allowed = (energy - gain) * 1.001 + energy * 1e-12;
    let mut end = unclipped;
    while clipped(end) <= allowed {
        if !(end * 2.0).is_finite() || end > unclipped * 1e6 {
            return end;
        }
        end *= 2.0;
    }
    let (mut low, mut high) = (end / 2.0, end);
    for _ in 0..20 {
        let middle = f64::midpoint(low, high);
        if clipped(middle) <= allowed {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The changes in `[from, to)`, such that the integers at `from` and these changes give those just below `to`.
fn collect_changes(weights: &[Weight], (from, to): (f64, f64), changes: &mut Vec<Change>) {
    changes.clear();
    for weight in weights {
        let energy = weight.importance * weight.magnitude;
        let mut integer = integer_at(weight, from);
        let last = integer_at(weight, to);
        while integer < last {
            changes.push(Change {
                at: (integer + 0.5) / weight.magnitude,
                product: energy,
                square: weight.importance * (2.0 * integer + 1.0),
            });
            integer += 1.0;
        }
    }
}
