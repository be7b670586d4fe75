//! Removing channels computes what masking them does, on random networks; shapes stay valid, no layer is emptied.

mod support;

use larun_graph::Graph;
use larun_graph::ops::{Op, OpKind, SoftmaxOptions};
use larun_prune::{ChannelGroups, Evidence, Importance, Keep, Selection};
use proptest::prelude::*;
use support::{INPUT, network, noise, run, step};

/// The largest difference between two results, in units of the largest value or of 1.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    let size = a.iter().fold(1.0f32, |size, value| size.max(value.abs()));
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / size
}

fn has_no_empty_tensor(graph: &Graph) -> bool {
    let tensors = &graph.main().unwrap().tensors;
    tensors
        .iter()
        .all(|tensor| tensor.shape.elements() != Some(0))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn removing_is_masking(
        steps in prop::collection::vec(step(), 1..14),
        flatten: bool,
        seed in 0u32..10_000,
        share in 0.1f32..0.95,
        multiple in 1usize..5,
        global: bool,
    ) {
        let graph = network(&steps, flatten, seed);
        let groups = ChannelGroups::of(&graph).unwrap();
        let scores = groups.scores(&graph, Importance::Random { seed: seed.into() }, &Evidence::default()).unwrap();
        let keep = Keep { multiple };
        let selection = match global {
            true => groups.select_globally(&scores, share, keep),
            false => groups.select_each(&scores, share, keep),
        }.unwrap();
        let removed = groups.remove(&graph, &selection).unwrap();
        let masked = groups.mask(&graph, &selection).unwrap();
        removed.validate().unwrap();
        masked.validate().unwrap();
        prop_assert!(has_no_empty_tensor(&removed));
        for (group, gone) in groups.groups().iter().zip(&selection.removed) {
            let left = group.len() - gone.len();
            prop_assert!(left >= 1);
            prop_assert!(gone.is_empty() || left.is_multiple_of(multiple));
            prop_assert!(group.is_free() || gone.is_empty());
        }
        let input = noise(seed + 77, INPUT.iter().product(), 1.0);
        let (a, b) = (run(&masked, &input), run(&removed, &input));
        prop_assert!(difference(&a, &b) < 1e-4, "{a:?} {b:?}");
        prop_assert!(a.iter().all(|value| value.is_finite()));
        // Something went, and the costs say so.
        if selection.count() > 0 {
            prop_assert!(removed.stats().unwrap().parameters < graph.stats().unwrap().parameters);
            // The bytes that were cut are gone, not kept beside.
            let bytes = |graph: &Graph| graph.buffers.iter().map(|buffer| buffer.data.len()).sum::<usize>();
            prop_assert!(bytes(&removed) < bytes(&graph) + 1024);
        }
    }
}

/// Nodes whose channels are followed leave layers free: only the head's scores and what feeds unfollowed nodes stay.
#[test]
fn a_plain_network_is_free_but_for_its_outputs() {
    use support::Step;
    let steps = [
        Step::BatchNorm { from: 0 },
        Step::Activate { from: 0, kind: 0 },
        Step::Depthwise {
            from: 0,
            multiplier: 1,
        },
        Step::Conv {
            from: 0,
            filters: 8,
            kernel: 1,
        },
        Step::Residual { from: 0, other: 0 },
    ];
    for flatten in [false, true] {
        let graph = network(&steps, flatten, 5);
        let groups = ChannelGroups::of(&graph).unwrap();
        let kept: Vec<_> = groups
            .groups()
            .iter()
            .filter(|group| !group.is_free())
            .collect();
        let names: Vec<_> = kept.iter().map(|group| &group.name).collect();
        assert_eq!(kept.len(), 1, "{names:?}");
        assert!(kept[0].blocker.as_ref().unwrap().place.contains("SOFTMAX"));
        // Half of the channels of every layer but the last: weights of inner layers shrink to a quarter.
        let scores = groups
            .scores(&graph, Importance::L1, &Evidence::default())
            .unwrap();
        let selection = groups.select_each(&scores, 0.5, Keep::default()).unwrap();
        let pruned = groups.remove(&graph, &selection).unwrap();
        let (before, after) = (graph.stats().unwrap(), pruned.stats().unwrap());
        assert!(
            after.macs * 5 < before.macs * 3,
            "{} {}",
            before.macs,
            after.macs
        );
    }
}

/// A node that cannot be followed is named, and the channels that it reads stay.
#[test]
fn a_node_that_blocks_is_named() {
    let mut graph = network(&[support::Step::Activate { from: 0, kind: 0 }], false, 3);
    let relu = graph
        .main()
        .unwrap()
        .nodes
        .iter()
        .position(|n| n.kind() == Some(OpKind::Relu))
        .unwrap();
    graph.subgraphs[0].nodes[relu].op =
        larun_graph::NodeOp::Known(Op::Softmax(SoftmaxOptions { beta: 1.0 }));
    let groups = ChannelGroups::of(&graph).unwrap();
    let stem = &groups.groups()[0];
    let blocker = stem.blocker.as_ref().unwrap();
    assert_eq!(blocker.node.map(larun_graph::NodeId::index), Some(relu));
    assert!(
        blocker.place.contains("SOFTMAX") && blocker.reason.contains("all channels"),
        "{blocker:?}"
    );
    let wrong = Selection {
        removed: vec![vec![0]],
    };
    assert!(groups.remove(&graph, &wrong).is_err());
}

#[test]
fn a_group_is_never_emptied_and_budgets_are_met() {
    let graph = network(
        &[support::Step::Conv {
            from: 0,
            filters: 8,
            kernel: 3,
        }],
        true,
        9,
    );
    let groups = ChannelGroups::of(&graph).unwrap();
    let all = groups
        .groups()
        .iter()
        .map(|g| (0..g.len()).collect())
        .collect();
    let message = groups
        .remove(&graph, &Selection { removed: all })
        .unwrap_err()
        .to_string();
    assert!(message.contains("keep at least one"), "{message}");

    let scores = groups
        .scores(&graph, Importance::L2, &Evidence::default())
        .unwrap();
    let macs = |graph: &Graph| Ok(graph.stats()?.macs);
    let whole = macs(&graph).unwrap();
    let mut last = whole;
    for budget in [whole, whole / 2, whole / 4] {
        let keep = Keep { multiple: 1 };
        let found = groups
            .select_within(&graph, &scores, keep, (budget, "MACs"), macs)
            .unwrap();
        let cost = macs(&groups.remove(&graph, &found).unwrap()).unwrap();
        assert!(cost <= budget && cost <= last);
        last = cost;
    }
    let keep = Keep { multiple: 1 };
    let error = groups
        .select_within(&graph, &scores, keep, (10, "MACs"), macs)
        .unwrap_err();
    assert!(error.to_string().contains("budget of 10 MACs"), "{error}");
}

#[test]
fn importance_that_lacks_its_data_says_so() {
    let graph = network(&[], true, 1);
    let groups = ChannelGroups::of(&graph).unwrap();
    let none = Evidence::default();
    for (importance, words) in [
        (Importance::Taylor, "gradients"),
        (Importance::Activation, "on samples"),
        (Importance::BatchNormScale, "batch normalisation"),
    ] {
        let error = groups
            .scores(&graph, importance, &none)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    let mut evidence = Evidence::default();
    for group in groups.groups() {
        for layer in &group.layers {
            let count = graph.values::<f32>(layer.weights).unwrap().len();
            evidence
                .gradients
                .insert(layer.weights, noise(4, count, 1.0));
            let channels = graph
                .main()
                .unwrap()
                .tensor(layer.weights)
                .unwrap()
                .shape
                .dims()[layer.axis];
            evidence
                .activations
                .insert(layer.output, (0..channels).map(|c| c as f64).collect());
        }
    }
    for importance in [
        Importance::Taylor,
        Importance::Activation,
        Importance::GeometricMedian,
    ] {
        let scores = groups.scores(&graph, importance, &evidence).unwrap();
        assert!(scores.iter().flatten().count() > 0);
    }
}
