//! The order of operators: as good as the best of all orders, and the same network.

use larun_graph::ops::{Activation, ConcatenationOptions, ElementType, Op, Padding, Pool2DOptions};
use larun_graph::{Graph, GraphBuilder, Subgraph, TensorId, lifetimes};
use larun_passes::reorder_for_memory;
use proptest::prelude::*;

/// Each node joins two earlier values, or pools one by the factor.
fn network(choices: &[(usize, usize, u8)]) -> Graph {
    let mut net = GraphBuilder::new("random");
    let mut values = vec![net.input("x", &[1, 1, 64, 1], ElementType::Int8).unwrap()];
    let mut read = vec![false];
    for (i, &(a, b, factor)) in choices.iter().enumerate() {
        let (a, b) = (a % values.len(), b % values.len());
        let name = format!("n{i}");
        let value = match factor {
            0 => {
                let join = ConcatenationOptions {
                    axis: 2,
                    ..ConcatenationOptions::default()
                };
                read[b] = true;
                net.node(&name, Op::Concatenation(join), &[values[a], values[b]])
            }
            factor => {
                let stride = i32::from(factor);
                let pool = Pool2DOptions {
                    padding: Padding::Same,
                    stride_w: stride,
                    stride_h: 1,
                    filter_h: 1,
                    filter_w: stride,
                    activation: Activation::None,
                };
                net.node(&name, Op::MaxPool2D(pool), &[values[a]])
            }
        };
        read[a] = true;
        values.push(value.unwrap());
        read.push(false);
    }
    for (&value, read) in values.iter().zip(read) {
        if !read {
            net.output(value);
        }
    }
    net.finish().unwrap()
}

/// The most bytes that live at once, from the graph's own lifetimes.
fn live_bytes(graph: &Graph) -> u64 {
    let main = graph.main().unwrap();
    let lifetimes = lifetimes(graph, main).unwrap();
    let live = |step| {
        lifetimes
            .iter()
            .filter(|l| l.first <= step && step <= l.last)
            .map(|l| l.bytes as u64)
            .sum()
    };
    (0..main.nodes.len()).map(live).max().unwrap_or(0)
}

/// The fewest over all orders in which every value is computed before it is read.
fn brute_force(graph: &Graph) -> u64 {
    fn go(graph: &Graph, order: &mut Vec<usize>, known: &mut Vec<TensorId>, best: &mut u64) {
        let main = graph.main().unwrap();
        if order.len() == main.nodes.len() {
            let mut ordered = graph.clone();
            ordered.main_mut().unwrap().nodes =
                order.iter().map(|&i| main.nodes[i].clone()).collect();
            *best = live_bytes(&ordered).min(*best);
            return;
        }
        for node in 0..main.nodes.len() {
            let inputs = &main.nodes[node].inputs;
            if !order.contains(&node) && inputs.iter().flatten().all(|input| known.contains(input))
            {
                order.push(node);
                known.extend(&main.nodes[node].outputs);
                go(graph, order, known, best);
                known.truncate(known.len() - main.nodes[node].outputs.len());
                order.pop();
            }
        }
    }
    let mut best = u64::MAX;
    go(
        graph,
        &mut Vec::new(),
        &mut graph.main().unwrap().inputs.clone(),
        &mut best,
    );
    best
}

fn sorted_nodes(subgraph: &Subgraph) -> Vec<String> {
    let mut nodes: Vec<String> = subgraph
        .nodes
        .iter()
        .map(|node| format!("{node:?}"))
        .collect();
    nodes.sort();
    nodes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_order_found_is_the_best_of_all(choices in prop::collection::vec((0usize..8, 0usize..8, 0u8..5), 1..7)) {
        let graph = network(&choices);
        let (ordered, done) = reorder_for_memory(graph.clone()).unwrap();
        prop_assert!(done.exact);
        prop_assert_eq!(done.before, live_bytes(&graph));
        prop_assert_eq!(done.after, live_bytes(&ordered));
        prop_assert_eq!(done.after, brute_force(&graph));
        prop_assert_eq!(sorted_nodes(ordered.main().unwrap()), sorted_nodes(graph.main().unwrap()));
    }
}

/// Two branches that first grow and then shrink: one after the other they take less than side by side.
#[test]
fn branches_are_run_one_after_the_other() {
    // x -> wide (x, x) -> narrow, twice, in an order that keeps both wide values.
    let graph = network(&[(0, 0, 0), (0, 0, 0), (1, 0, 4), (2, 0, 4), (3, 4, 0)]);
    let (ordered, done) = reorder_for_memory(graph.clone()).unwrap();
    assert!(done.after < done.before, "{done:?}");
    assert_eq!(live_bytes(&ordered), done.after);
    // What is best already stays as it is.
    assert_eq!(reorder_for_memory(ordered.clone()).unwrap().0, ordered);
}
