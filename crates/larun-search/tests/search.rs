//! Searches: the same at any number of threads, resumed or not; budgets before training; fronts that nothing beats.

use larun::data::dataset::Dataset;
use larun::data::simulate;
use larun::device::{Budget, board};
use larun::train::TrainConfig;
use larun_search::cost::Cost;
use larun_search::pareto::{dominates, front, objectives, ranked};
use larun_search::plot::svg;
use larun_search::space::{Architecture, Layer, Space};
use larun_search::store::{Store, line};
use larun_search::strategy::{Strategy, run};
use larun_search::trial::{Setting, Trial};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Few and short signals, and small networks: a trial takes a blink.
fn data() -> Dataset {
    let mut data = simulate::light_curves(4, 1);
    let short: Vec<f32> = data
        .x
        .chunks_exact(1024)
        .flat_map(|curve| curve[..64].to_vec())
        .collect();
    data.x = short;
    data.sample_shape = vec![64, 1];
    data
}

fn space() -> Space {
    Space {
        layers: vec![2, 3],
        filters: vec![2, 4, 8],
        dense: vec![4, 8],
        ..Space::default()
    }
}

fn setting(data: &Dataset, budget: Budget) -> Setting<'_> {
    Setting {
        space: space(),
        data,
        board: board("nano33ble").unwrap().clone(),
        budget,
        training: TrainConfig {
            epochs: 2,
            ..TrainConfig::default()
        },
        seed: 3,
    }
}

fn searched(strategy: Strategy, threads: usize) -> Vec<Trial> {
    let (data, mut store) = (data(), Store::in_memory());
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| {
        run(
            strategy,
            &setting(&data, Budget::LARUN),
            &mut store,
            &|_| {},
        )
        .unwrap();
    });
    store.trials().to_vec()
}

#[test]
fn trials_are_the_same_at_any_number_of_threads() {
    for strategy in [
        Strategy::Random { trials: 4 },
        Strategy::Evolution {
            population: 3,
            generations: 2,
        },
        Strategy::Halving {
            trials: 4,
            factor: 2,
        },
    ] {
        let one = searched(strategy, 1);
        assert_eq!(one, searched(strategy, 3), "{strategy:?}");
        assert!(one.iter().all(|trial| trial.accuracy.is_some()));
    }
}

#[test]
fn a_trial_is_a_function_of_its_index() {
    let all = searched(Strategy::Random { trials: 3 }, 2);
    let data = data();
    let alone = setting(&data, Budget::LARUN).trial(2).unwrap();
    assert_eq!(alone, all[2]);
    assert_eq!(
        all.iter().map(|trial| trial.index).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

#[test]
fn evolution_tries_no_network_twice() {
    let strategy = Strategy::Evolution {
        population: 4,
        generations: 3,
    };
    let mut networks: Vec<Architecture> = searched(strategy, 2)
        .into_iter()
        .map(|trial| trial.architecture)
        .collect();
    assert_eq!(networks.len(), 12);
    networks.sort();
    networks.dedup();
    assert_eq!(networks.len(), 12);
}

#[test]
fn halving_gives_more_epochs_to_fewer() {
    let trials = searched(
        Strategy::Halving {
            trials: 4,
            factor: 2,
        },
        2,
    );
    // Two epochs at most: a share of a half, and of a quarter, are one.
    let with = |epochs: usize| trials.iter().filter(|trial| trial.epochs == epochs).count();
    assert_eq!((with(1), with(2)), (4, 1));
    let last = trials.last().unwrap();
    let best = trials
        .iter()
        .filter(|trial| trial.epochs == 1)
        .map(|trial| trial.accuracy.unwrap())
        .fold(0.0, f64::max);
    let first = trials
        .iter()
        .find(|trial| trial.index == last.index)
        .unwrap();
    assert_eq!(first.accuracy, Some(best));
}

#[test]
fn a_stopped_search_goes_on() {
    let strategy = Strategy::Evolution {
        population: 3,
        generations: 2,
    };
    let whole = searched(strategy, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trials.jsonl");
    // Four trials are done, and the fifth was being written.
    let mut text: String = whole[..4]
        .iter()
        .map(|trial| line(trial).unwrap() + "\n")
        .collect();
    text.push_str(&line(&whole[4]).unwrap()[..40]);
    std::fs::write(&path, text).unwrap();
    let data = data();
    let mut store = Store::open(&path, 3).unwrap();
    let done = core::sync::atomic::AtomicUsize::new(0);
    run(
        strategy,
        &setting(&data, Budget::LARUN),
        &mut store,
        &|_| {
            done.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        },
    )
    .unwrap();
    assert_eq!(done.into_inner(), 2);
    assert_eq!(store.trials(), whole);
    assert_eq!(Store::open(&path, 3).unwrap().trials(), whole);
    let message = Store::open(&path, 4).unwrap_err().to_string();
    assert!(
        message.contains("line 1") && message.contains("seed 3"),
        "{message}"
    );
    std::fs::write(&path, "{}\n").unwrap();
    assert!(
        Store::open(&path, 3)
            .unwrap_err()
            .to_string()
            .contains("no trial")
    );
}

#[test]
fn what_does_not_fit_is_not_trained() {
    let data = data();
    let budget = Budget {
        flash_bytes: 100,
        ..Budget::LARUN
    };
    let trial = setting(&data, budget).trial(0).unwrap();
    assert_eq!(trial.accuracy, None);
    assert!(trial.exceeded[0].contains("flash"), "{:?}", trial.exceeded);
    assert!(front(core::slice::from_ref(&trial)).is_empty());
    assert!(svg(&[trial]).contains("</svg>"));
}

#[test]
fn a_cost_does_not_depend_on_weights() {
    let data = data();
    let board = board("nano33ble").unwrap();
    let network = space().draw(&mut ChaCha8Rng::seed_from_u64(1));
    let cost = |seed: u64, sample: usize| {
        let graph = network.build(&[64, 1], 6, seed).unwrap();
        Cost::of(graph, &[data.sample(sample)], board).unwrap()
    };
    assert_eq!(cost(1, 0), cost(2, 9));
}

#[test]
fn spaces_are_checked_and_counted() {
    let mut space = Space::default();
    // 24 first layers; 48 others; one to three of them; three dense layers.
    let others = 48.0 + 48.0 * 48.0 + 48.0 * 48.0 * 48.0;
    assert_eq!(space.size(), 24.0 * others * 3.0);
    space.kernels = vec![3, 0];
    assert!(space.check().unwrap_err().to_string().contains("kernels"));
    let data = data();
    for strategy in [
        Strategy::Evolution {
            population: 1,
            generations: 1,
        },
        Strategy::Halving {
            trials: 3,
            factor: 1,
        },
    ] {
        let mut store = Store::in_memory();
        assert!(
            run(
                strategy,
                &setting(&data, Budget::LARUN),
                &mut store,
                &|_| {}
            )
            .is_err()
        );
    }
    let network = Space::default().draw(&mut ChaCha8Rng::seed_from_u64(1));
    let message = network.build(&[2, 2, 2, 2], 2, 0).unwrap_err().to_string();
    assert!(message.contains("[H, W, C]"), "{message}");
}

fn trial(index: u64, accuracy: f64, bytes: [u64; 3]) -> Trial {
    Trial {
        seed: 0,
        index,
        epochs: 1,
        architecture: Architecture {
            layers: vec![Layer {
                filters: 8,
                kernel: 3,
                pool: 2,
                separable: false,
            }],
            dense: 8,
        },
        cost: Cost {
            flash_bytes: bytes[0],
            arena_bytes: bytes[1],
            macs: bytes[2],
            parameters: 0,
            cycles: bytes[2],
        },
        exceeded: Vec::new(),
        accuracy: Some(accuracy),
    }
}

proptest! {
    #[test]
    fn fronts_are_what_nothing_beats(values in proptest::collection::vec((0u32..5, 1u64..6, 1u64..6, 1u64..6), 1..30)) {
        let trials: Vec<Trial> = values.iter().zip(0..).map(|(&(a, f, r, c), index)| trial(index, f64::from(a) / 5.0, [f, r, c])).collect();
        let best = front(&trials);
        prop_assert!(!best.is_empty());
        let of = |trial: &Trial| objectives(trial).unwrap();
        for one in &best {
            prop_assert!(!trials.iter().any(|other| dominates(&of(other), &of(one))));
        }
        for other in &trials {
            prop_assert!(best.iter().any(|one| of(one) == of(other) || dominates(&of(one), &of(other))));
        }
        let order = ranked(&trials);
        prop_assert_eq!(order.len(), trials.len());
        for (i, one) in order.iter().enumerate() {
            prop_assert!(!order[i + 1..].iter().any(|later| dominates(&of(later), &of(one))));
        }
        let picture = svg(&trials);
        prop_assert_eq!(picture.matches("<circle").count(), trials.len());
    }

    #[test]
    fn networks_stay_in_their_space(seed in any::<u64>()) {
        let (space, mut random) = (Space::default(), ChaCha8Rng::seed_from_u64(seed));
        let (a, b) = (space.draw(&mut random), space.draw(&mut random));
        let joined = space.cross(&a, &b, &mut random);
        for network in [space.mutate(&a, &mut random), joined, a, b] {
            prop_assert!(space.layers.contains(&network.layers.len()) && space.dense.contains(&network.dense));
            prop_assert!(!network.layers[0].separable);
            for layer in &network.layers {
                prop_assert!(space.filters.contains(&layer.filters) && space.kernels.contains(&layer.kernel) && space.pooling.contains(&layer.pool));
            }
            for shape in [&[200][..], &[64, 2], &[16, 16, 3]] {
                let graph = network.build(shape, 3, 0).unwrap();
                prop_assert!(graph.stats().unwrap().parameters > 0);
            }
        }
    }
}
