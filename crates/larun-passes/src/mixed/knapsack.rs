//! The multiple-choice knapsack: one option of each layer, least noise for every size.

/// An option of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Item {
    /// What it takes.
    pub(super) bytes: usize,
    /// What it costs.
    pub(super) noise: f64,
}

/// A choice for every layer that no other beats in both bytes and noise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) bytes: usize,
    pub(super) noise: f64,
    /// For each layer, the number of its option.
    pub(super) chosen: Vec<usize>,
}

/// A partial choice: its predecessor in the round before, and the option added.
#[derive(Clone, Copy)]
struct Step {
    bytes: usize,
    noise: f64,
    before: usize,
    option: usize,
}

/// Sizes are told apart down to this many bytes: fewer states, no smaller answer.
const UNIT: usize = 16;

/// All choices that no other beats, by growing size and falling noise.
///
/// Dynamic programming over layers, with dominated choices dropped after each: exact but that two choices whose sizes are in the
/// same unit of [`UNIT`] bytes count as one.
pub(super) fn front(layers: &[Vec<Item>]) -> Vec<State> {
    let mut rounds = vec![vec![Step {
        bytes: 0,
        noise: 0.0,
        before: 0,
        option: 0,
    }]];
    for layer in layers {
        let before = rounds.last().map_or(&[][..], Vec::as_slice);
        let mut steps = Vec::with_capacity(before.len() * layer.len());
        for (at, step) in before.iter().enumerate() {
            steps.extend(layer.iter().enumerate().map(|(option, item)| Step {
                bytes: step.bytes.saturating_add(item.bytes),
                noise: step.noise + item.noise,
                before: at,
                option,
            }));
        }
        rounds.push(undominated(steps));
    }
    let last = rounds.last().map_or(0, Vec::len);
    (0..last).filter_map(|at| state(&rounds, at)).collect()
}

/// Steps that no smaller one beats, by size.
fn undominated(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by(|a, b| {
        let by_size = (a.bytes / UNIT).cmp(&(b.bytes / UNIT));
        by_size.then(a.noise.total_cmp(&b.noise))
    });
    let mut kept: Vec<Step> = Vec::new();
    for step in steps {
        if kept.last().is_none_or(|last| step.noise < last.noise) {
            kept.push(step);
        }
    }
    kept
}

/// The choice that ends in step `at` of the last round.
fn state(rounds: &[Vec<Step>], at: usize) -> Option<State> {
    let end = rounds.last()?.get(at)?;
    let mut chosen = Vec::with_capacity(rounds.len());
    let mut at = at;
    // The first round holds the empty choice.
    for round in rounds.iter().skip(1).rev() {
        let step = round.get(at)?;
        chosen.push(step.option);
        at = step.before;
    }
    chosen.reverse();
    Some(State {
        bytes: end.bytes,
        noise: end.noise,
        chosen,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every choice there is.
    fn all(layers: &[Vec<Item>]) -> Vec<(usize, f64)> {
        layers.iter().fold(vec![(0, 0.0)], |sums, layer| {
            let with = |&(bytes, noise): &(usize, f64)| {
                let added = move |item: &Item| (bytes + item.bytes, noise + item.noise);
                layer.iter().map(added).collect::<Vec<_>>()
            };
            sums.iter().flat_map(with).collect()
        })
    }

    fn layers() -> impl Strategy<Value = Vec<Vec<Item>>> {
        let item = (0usize..50, 0.0f64..1.0).prop_map(|(units, noise)| Item {
            bytes: units * UNIT,
            noise,
        });
        prop::collection::vec(prop::collection::vec(item, 1..4), 1..6)
    }

    proptest! {
        #[test]
        fn the_front_is_that_of_all_choices(layers in layers()) {
            let front = front(&layers);
            for &(bytes, noise) in &all(&layers) {
                let best = front.iter().rev().find(|state| state.bytes <= bytes);
                prop_assert!(best.is_some_and(|best| best.noise <= noise + 1e-12));
            }
            for pair in front.windows(2) {
                prop_assert!(pair[0].bytes < pair[1].bytes && pair[0].noise > pair[1].noise);
            }
            for state in &front {
                let items = layers.iter().zip(&state.chosen).map(|(layer, &option)| layer[option]);
                let (bytes, noise) = items.fold((0, 0.0), |(bytes, noise), item| {
                    (bytes + item.bytes, noise + item.noise)
                });
                prop_assert_eq!(bytes, state.bytes);
                prop_assert!((noise - state.noise).abs() < 1e-12);
            }
        }
    }
}
