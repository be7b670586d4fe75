//! Searches: the same at any number of threads, resumed or not; budgets before training; fronts that nothing beats.

use larun::data::dataset::Dataset;
use larun::data::simulate;
use larun::device::{Budget, board};
use larun::train::TrainConfig;
use larun_search::cost::Cost;
use larun_search::pareto::{by_accuracy, dominates, front, objectives, ranked};
use larun_search::plot::svg;
use larun_search::space::{Architecture, Head, Layer, Space};
use larun_search::store::{Store, line};
use larun_search::strategy::{Aim, Strategy, run};
use larun_search::trial::{Setting, Teaching, Trial};
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
        teaching: None,
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
            aim: Aim::Front,
        },
        Strategy::Evolution {
            population: 3,
            generations: 2,
            aim: Aim::Accuracy,
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
        aim: Aim::Front,
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
        aim: Aim::Front,
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
fn a_cost_is_that_of_the_trained_network() {
    let data = data();
    let setting = setting(&data, Budget::LARUN);
    let network = setting.drawn(1).unwrap();
    let graph = network.build(&[64, 1], 6, 7).unwrap();
    let cost = Cost::of(graph, &setting.board).unwrap();
    let trained = setting.trained(&network, 1).unwrap();
    assert_eq!(cost, Cost::of(trained.float, &setting.board).unwrap());
    assert_eq!(cost.flash_bytes, trained.int8.bytes().len() as u64);
    let mut arena = trained.int8.arena().unwrap();
    let interpreter = trained.int8.interpreter(&mut arena).unwrap();
    assert_eq!(cost.arena_bytes, interpreter.arena_bytes() as u64);
}

#[test]
fn a_deep_network_has_a_cost_before_it_is_trained() {
    let data = data();
    let setting = setting(&data, Budget::LARUN);
    let layer = |separable| Layer {
        filters: 32,
        kernel: 3,
        pool: 1,
        separable,
        strided: false,
    };
    let network = Architecture {
        shrink: 1,
        layers: (0..7).map(|index| layer(index > 0)).collect(),
        head: Head::AverageAndPeak,
        dense: 0,
    };
    let trial = setting.costed(0, network, 1).unwrap();
    let pointwise = 64 * 32 * 32;
    assert!(trial.cost.macs > 6 * pointwise && trial.accuracy.is_none());
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
            aim: Aim::Front,
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
            shrink: 1,
            layers: vec![Layer {
                filters: 8,
                kernel: 3,
                pool: 2,
                separable: false,
                strided: false,
            }],
            head: Head::Average,
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

/// The default space with every part that it leaves out.
fn every_choice() -> Space {
    Space {
        shrink: vec![1, 2],
        pooling: vec![1, 2, 4],
        strided: vec![false, true],
        heads: vec![Head::Average, Head::AverageAndPeak, Head::Flatten],
        dense: vec![0, 8],
        ..Space::default()
    }
}

#[test]
fn a_network_has_the_parts_it_names() {
    let text = r#"{"shrink": 2, "layers": [
        {"filters": 4, "kernel": 5, "pool": 4, "separable": false, "strided": true},
        {"filters": 8, "kernel": 3, "pool": 2, "separable": true}
    ], "head": "flatten", "dense": 0}"#;
    let network: Architecture = serde_json::from_str(text).unwrap();
    assert_eq!(
        network.to_string(),
        "mean /2, conv 4x5 step 4, sep 8x3 /2, flatten, no dense layer"
    );
    // 64 points, 32 after the mean, 8 after the step, 4 after the pool.
    let signal = 8 * 4 * 5 + 8 * (4 * 3 + 4 * 8) + 4 * 8 * 3;
    let stats = network.build(&[64], 3, 0).unwrap().stats().unwrap();
    assert_eq!(stats.macs, signal);
    let image = 16 * 4 * 25 * 2 + 16 * (4 * 9 + 4 * 8) + 4 * 8 * 3;
    let graph = network.build(&[32, 32, 2], 3, 0).unwrap();
    assert_eq!(graph.stats().unwrap().macs, image);
    // What stores and spaces of before these parts say is what it was.
    let text =
        r#"{"layers": [{"filters": 4, "kernel": 5, "pool": 4, "separable": false}], "dense": 8}"#;
    let network: Architecture = serde_json::from_str(text).unwrap();
    assert_eq!(network.to_string(), "conv 4x5 /4, dense 8");
    let space: Space = serde_json::from_str(r#"{"layers": [2], "strided": [true]}"#).unwrap();
    assert_eq!(
        (space.layers, space.kernels),
        (vec![2], Space::default().kernels)
    );
    assert!(serde_json::from_str::<Space>(r#"{"layer": [2]}"#).is_err());
}

#[test]
fn trials_draw_what_fits() {
    let data = data();
    let open = setting(&data, Budget::LARUN);
    let costs: Vec<u64> = (0..6)
        .map(|index| {
            let network = open.drawn(index).unwrap();
            let graph = network.build(&data.sample_shape, 6, 0).unwrap();
            graph.stats().unwrap().macs
        })
        .collect();
    let least = costs.iter().copied().min().unwrap();
    assert!(costs.iter().any(|&macs| macs > least));
    // Enough for the smallest of them and not for the largest.
    let budget = Budget {
        operations: least,
        ..Budget::LARUN
    };
    let tight = setting(&data, budget);
    for index in 0..6 {
        let network = tight.drawn(index).unwrap();
        assert!(tight.fits(&network).unwrap(), "{network}");
    }
}

#[test]
fn teachers_are_listened_to() {
    let data = data();
    let alone = setting(&data, Budget::LARUN);
    let network = alone.drawn(0).unwrap();
    let taught = |points: usize| {
        let teacher = network.build(&[points], 6, 9).unwrap();
        let teaching = Teaching {
            teachers: vec![teacher],
            temperature: 2.0,
            alpha: 1.0,
        };
        let setting = Setting {
            teaching: Some(teaching),
            ..alone.clone()
        };
        setting.trial(0)
    };
    // All of the loss is the labels'.
    assert_eq!(taught(64).unwrap(), alone.trial(0).unwrap());
    let message = taught(32).unwrap_err().to_string();
    assert!(message.contains("expected"), "{message}");
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
        let accurate = by_accuracy(&trials);
        prop_assert_eq!(accurate.len(), trials.len());
        let is_sorted = accurate.is_sorted_by(|a, b| {
            (b.accuracy, a.cost.flash_bytes, a.index) <= (a.accuracy, b.cost.flash_bytes, b.index)
        });
        prop_assert!(is_sorted);
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
        let (space, mut random) = (every_choice(), ChaCha8Rng::seed_from_u64(seed));
        let (a, b) = (space.draw(&mut random), space.draw(&mut random));
        let joined = space.cross(&a, &b, &mut random);
        for network in [space.mutate(&a, &mut random), joined, a, b] {
            prop_assert!(space.layers.contains(&network.layers.len()) && space.dense.contains(&network.dense));
            prop_assert!(space.heads.contains(&network.head) && space.shrink.contains(&network.shrink));
            prop_assert!(!network.layers[0].separable);
            for layer in &network.layers {
                prop_assert!(space.filters.contains(&layer.filters) && space.kernels.contains(&layer.kernel) && space.pooling.contains(&layer.pool));
            }
            for shape in [&[200][..], &[64, 2], &[16, 16, 3], &[5, 40, 1]] {
                let graph = network.build(shape, 3, 0).unwrap();
                prop_assert!(graph.stats().unwrap().parameters > 0);
            }
        }
    }
}
