//! Moves, constants and whole pools that quantise better otherwise, or not at all.

mod support;

use larun_graph::ops::{
    AbsOptions, Activation, AddOptions, BroadcastToOptions, DequantizeOptions, ElementType,
    ExpandDimsOptions, MulOptions, NegOptions, NoOptions, Op, OpKind,
    QuantizeOptions as QuantizeNode, ReshapeOptions, ShapeOptions, TransposeOptions,
};
use larun_graph::{Graph, Node, Quantization};
use larun_passes::{cancel_moves, fold_constants, global_pools_to_means, negations_to_products};
use larun_quant::Affine;
use proptest::prelude::*;
use support::uneven::uneven;
use support::{Net, noise, run};

fn kinds(graph: &Graph) -> Vec<OpKind> {
    graph
        .main()
        .unwrap()
        .nodes
        .iter()
        .filter_map(|node| node.kind())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn transposes_become_one_or_none(first in permutation(), second in permutation()) {
        let mut net = Net::new(1);
        let x = net.builder.input("x", &[2, 3, 4], ElementType::Float32).unwrap();
        let op = Op::Transpose(TransposeOptions {});
        let p = net.builder.constant("p", &[3], &first).unwrap();
        let y = net.builder.node("y", op, &[x, p]).unwrap();
        let q = net.builder.constant("q", &[3], &second).unwrap();
        let z = net.builder.node("z", op, &[y, q]).unwrap();
        let out = net.builder.node("out", Op::Abs(AbsOptions {}), &[z]).unwrap();
        net.builder.output(out);
        let graph = net.builder.finish().unwrap();
        let short = cancel_moves(graph.clone()).unwrap();
        let moves = kinds(&short).iter().filter(|&&kind| kind == OpKind::Transpose).count();
        let inverse = (0..3).all(|axis| first[second[axis] as usize] == axis as i32);
        prop_assert_eq!(moves, usize::from(!inverse));
        let x = noise(5, 24, 1.0);
        prop_assert_eq!(run(&short, &x), run(&graph, &x));
    }
}

fn permutation() -> impl Strategy<Value = Vec<i32>> {
    Just(vec![0i32, 1, 2]).prop_shuffle()
}

#[test]
fn constants_are_computed_and_shapes_fixed() {
    let mut net = Net::new(1);
    let x = net
        .builder
        .input("x", &[1, 2, 3], ElementType::Float32)
        .unwrap();
    let shape = net.builder.constant("shape", &[3], &[1i32, 2, 3]).unwrap();
    let a = net
        .builder
        .constant("a", &[3], &[1.0f32, 2.0, 3.0])
        .unwrap();
    let b = net
        .builder
        .constant("b", &[3], &[3.0f32, 2.0, 1.0])
        .unwrap();
    let sum = net
        .builder
        .node("sum", Op::Add(AddOptions::default()), &[a, b])
        .unwrap();
    let y = net
        .builder
        .node("y", Op::Mul(MulOptions::default()), &[x, sum])
        .unwrap();
    let reshape = Op::Reshape(ReshapeOptions::default());
    let y = net.builder.node("again", reshape, &[y, shape]).unwrap();
    net.builder.output(y);
    let mut graph = net.builder.finish().unwrap();
    // The shape is computed.
    let subgraph = graph.main_mut().unwrap();
    subgraph.tensor_mut(shape).unwrap().buffer = Default::default();
    let op = Op::Shape(ShapeOptions {
        out_type: ElementType::Int32,
    });
    subgraph.nodes.insert(0, Node::new(op, &[x], &[shape]));
    let folded = fold_constants(graph.clone()).unwrap();
    assert_eq!(kinds(&folded), [OpKind::Mul, OpKind::Reshape]);
    let x = noise(5, 6, 1.0);
    assert_eq!(run(&folded, &x), run(&graph, &x));
}

#[test]
fn what_would_grow_the_file_is_not_computed() {
    let mut net = Net::new(1);
    let x = net
        .builder
        .input("x", &[100, 100], ElementType::Float32)
        .unwrap();
    let one = net.builder.constant("one", &[1, 1], &[1.0f32]).unwrap();
    let shape = net.builder.constant("large", &[2], &[100i32, 100]).unwrap();
    let many = net
        .builder
        .node(
            "many",
            Op::BroadcastTo(BroadcastToOptions {}),
            &[one, shape],
        )
        .unwrap();
    let y = net
        .builder
        .node("y", Op::Add(AddOptions::default()), &[x, many])
        .unwrap();
    net.builder.output(y);
    let graph = net.builder.finish().unwrap();
    assert_eq!(
        kinds(&fold_constants(graph.clone()).unwrap()),
        kinds(&graph)
    );
}

#[test]
fn shapes_that_change_back_and_forth_go() {
    let mut net = Net::new(1);
    let x = net
        .builder
        .input("x", &[1, 6], ElementType::Float32)
        .unwrap();
    let axis = net.builder.constant("axis", &[1], &[1i32]).unwrap();
    let y = net
        .builder
        .node("y", Op::ExpandDims(ExpandDimsOptions {}), &[x, axis])
        .unwrap();
    let shape = net.builder.constant("shape", &[2], &[1i32, 6]).unwrap();
    let y = net
        .builder
        .node("z", Op::Reshape(ReshapeOptions::default()), &[y, shape])
        .unwrap();
    let y = net
        .builder
        .node("out", Op::Abs(AbsOptions {}), &[y])
        .unwrap();
    net.builder.output(y);
    let short = cancel_moves(net.builder.finish().unwrap()).unwrap();
    assert_eq!(kinds(&short), [OpKind::Abs]);
}

#[test]
fn requantising_to_the_same_goes_and_to_another_scale_stays() {
    for (scale, left) in [
        (0.5, vec![OpKind::Relu]),
        (
            0.25,
            vec![OpKind::Dequantize, OpKind::Quantize, OpKind::Relu],
        ),
    ] {
        let mut net = Net::new(1);
        let x = net.builder.input("x", &[4], ElementType::Int8).unwrap();
        let real = net
            .builder
            .node("real", Op::Dequantize(DequantizeOptions {}), &[x])
            .unwrap();
        let q = net
            .builder
            .node("q", Op::Quantize(QuantizeNode {}), &[real])
            .unwrap();
        let y = net.builder.node("y", Op::Relu(NoOptions {}), &[q]).unwrap();
        net.builder.output(y);
        let mut graph = net.builder.finish().unwrap();
        let subgraph = graph.main_mut().unwrap();
        for (id, scale) in [(x, 0.5), (q, scale), (y, scale)] {
            let tensor = subgraph.tensor_mut(id).unwrap();
            tensor.element_type = ElementType::Int8;
            tensor.quantization = Some(Quantization::per_tensor(Affine::new(scale, 3)));
        }
        subgraph.tensor_mut(real).unwrap().element_type = ElementType::Float32;
        assert_eq!(kinds(&cancel_moves(graph).unwrap()), left);
    }
}

#[test]
fn a_pool_over_the_whole_image_gets_a_scale_of_its_own() {
    let graph = global_pools_to_means(uneven(1, Activation::Relu)).unwrap();
    assert!(kinds(&graph).contains(&OpKind::Mean));
    assert!(!kinds(&graph).contains(&OpKind::AveragePool2D));
}

#[test]
fn a_negation_becomes_a_product() {
    let mut net = Net::new(1);
    let x = net.builder.input("x", &[5], ElementType::Float32).unwrap();
    let y = net.builder.node("y", Op::Neg(NegOptions {}), &[x]).unwrap();
    net.builder.output(y);
    let graph = net.builder.finish().unwrap();
    let product = negations_to_products(graph.clone()).unwrap();
    assert_eq!(kinds(&product), [OpKind::Mul]);
    let x = noise(3, 5, 1.0);
    assert_eq!(run(&product, &x), run(&graph, &x));
}
