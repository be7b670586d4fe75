//! Schedules, masks and rankings as the TensorFlow Model Optimization Toolkit computes them.

use larun_prune::{Curve, Filters, Pattern, Pool, Schedule, ascending, most_important};
use larun_testing::corpus_dir;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

fn read<T: DeserializeOwned>(test: &str, name: &str) -> Option<T> {
    let path = corpus_dir(test)?.join("math").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}")))
}

#[derive(Deserialize)]
struct Schedules {
    schedules: Vec<ScheduleCase>,
}

#[derive(Deserialize)]
struct ScheduleCase {
    kind: String,
    #[serde(default)]
    initial: f32,
    #[serde(rename = "final", default)]
    last: f32,
    #[serde(default)]
    target: f32,
    #[serde(default)]
    power: f32,
    begin: u64,
    end: i64,
    frequency: u64,
    steps: Vec<(u64, bool, f64)>,
}

#[test]
fn schedules() {
    let Some(file) = read::<Schedules>("schedules", "tfmot_schedules.json") else {
        return;
    };
    let mut steps = 0;
    for case in file.schedules {
        let curve = match case.kind.as_str() {
            "PolynomialDecay" => Curve::Polynomial {
                initial: case.initial,
                last: case.last,
                power: case.power,
            },
            "ConstantSparsity" => Curve::Constant {
                sparsity: case.target,
            },
            other => panic!("a schedule of kind {other}"),
        };
        let schedule = Schedule {
            curve,
            begin: case.begin,
            end: u64::try_from(case.end).ok(),
            frequency: case.frequency,
        };
        for (step, prunes, sparsity) in case.steps {
            assert_eq!(schedule.prunes_at(step), prunes, "{schedule:?} at {step}");
            let found = f64::from(schedule.sparsity_at(step));
            // The runtime's own power function rounds in 32 bits: two units in the last place of 1.
            assert!(
                (found - sparsity).abs() <= 2.4e-7,
                "{schedule:?} at {step}: {found}, not {sparsity}"
            );
            steps += 1;
        }
    }
    assert!(steps > 500, "{steps} steps");
}

#[derive(Deserialize)]
struct Masks {
    cases: Vec<MaskCase>,
}

#[derive(Deserialize)]
struct MaskCase {
    shape: Vec<usize>,
    block: (usize, usize),
    pool: String,
    sparsity: Option<f32>,
    m_by_n: Option<(usize, usize)>,
    weights: Option<Vec<f32>>,
    mask: Option<Vec<u8>>,
}

/// Moves the axis before the last to the end: from Keras's layouts to rows of input channels.
fn channels_last(values: &[f32], shape: &[usize]) -> Vec<usize> {
    let [outer @ .., inputs, outputs] = shape else {
        panic!("{shape:?}");
    };
    let outer: usize = outer.iter().product();
    let at =
        |place: usize, output: usize, input: usize| (place * inputs + input) * outputs + output;
    let order = (0..outer).flat_map(|place| {
        (0..*outputs)
            .flat_map(move |output| (0..*inputs).map(move |input| at(place, output, input)))
    });
    let order: Vec<usize> = order.collect();
    assert_eq!(order.len(), values.len());
    order
}

#[test]
fn masks() {
    let Some(file) = read::<Masks>("masks", "pruning_masks.json") else {
        return;
    };
    let mut checked = 0;
    for case in file.cases {
        // Where the toolkit itself fails there is nothing to compare with.
        let (Some(weights), Some(mask)) = (case.weights, case.mask) else {
            continue;
        };
        let expected: Vec<bool> = mask.iter().map(|&keep| keep != 0).collect();
        let sparsity = case.sparsity.unwrap_or(0.0);
        let found = match case.m_by_n {
            Some((zeros, group)) => {
                let order = channels_last(&weights, &case.shape);
                let moved: Vec<f32> = order.iter().map(|&at| weights[at]).collect();
                let inputs = case.shape[case.shape.len() - 2];
                let pattern = Pattern::Grouped { zeros, group };
                let kept = pattern
                    .keep(&moved, moved.len() / inputs, sparsity)
                    .unwrap();
                let mut found = vec![false; kept.len()];
                for (at, keep) in order.into_iter().zip(kept) {
                    found[at] = keep;
                }
                found
            }
            None => {
                let pool = match case.pool.as_str() {
                    "MAX" => Pool::Max,
                    _ => Pool::Average,
                };
                let pattern = match case.block {
                    (1, 1) => Pattern::Unstructured,
                    (rows, columns) => Pattern::Block {
                        rows,
                        columns,
                        pool,
                    },
                };
                pattern.keep(&weights, case.shape[0], sparsity).unwrap()
            }
        };
        assert_eq!(
            found, expected,
            "shape {:?}, block {:?} {}, {:?}, sparsity {sparsity}",
            case.shape, case.block, case.pool, case.m_by_n
        );
        checked += 1;
    }
    assert!(checked >= 60, "{checked} cases");
}

#[derive(Deserialize)]
struct Rankings {
    cases: Vec<RankingCase>,
}

#[derive(Deserialize)]
struct RankingCase {
    shape: Vec<usize>,
    weights: Vec<f32>,
    l1: Vec<f64>,
    l2: Vec<f64>,
    ascending_l1: Vec<usize>,
    ascending_l2: Vec<usize>,
    keep_ratio: BTreeMap<String, Kept>,
}

#[derive(Deserialize)]
struct Kept {
    l1: Vec<usize>,
    l2: Vec<usize>,
}

#[test]
fn rankings() {
    let Some(file) = read::<Rankings>("rankings", "filter_ranking.json") else {
        return;
    };
    assert!(file.cases.len() >= 5);
    for case in file.cases {
        let filters = Filters::new(&case.weights, &case.shape, case.shape.len() - 1).unwrap();
        let measures = [
            (filters.l1(), &case.l1, &case.ascending_l1),
            (filters.l2(), &case.l2, &case.ascending_l2),
        ];
        for (found, expected, order) in measures {
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() <= 1e-12 * expected,
                    "{found}, not {expected}"
                );
            }
            assert_eq!(&ascending(&found), order);
        }
        for (ratio, kept) in case.keep_ratio {
            let count = ratio.parse::<f64>().unwrap() * filters.count() as f64;
            let count = count.round_ties_even() as usize;
            assert_eq!(most_important(&filters.l1(), count), kept.l1, "{ratio}");
            assert_eq!(most_important(&filters.l2(), count), kept.l2, "{ratio}");
        }
    }
}
