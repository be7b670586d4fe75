//! Operator versions follow element types upwards only.

use larun_graph::GraphBuilder;
use larun_graph::ops::{ElementType, Op, SoftmaxOptions};

#[test]
fn int8_operands_raise_the_version_and_nothing_lowers_it() {
    let mut net = GraphBuilder::new("");
    let x = net.input("x", &[1, 4], ElementType::Float32).unwrap();
    let softmax = Op::Softmax(SoftmaxOptions { beta: 1.0 });
    let y = net.node("y", softmax, &[x]).unwrap();
    net.output(y);
    let mut graph = net.finish().unwrap();

    graph.raise_versions();
    assert_eq!(graph.subgraphs[0].nodes[0].version, 1);
    graph.subgraphs[0].tensors[x.index()].element_type = ElementType::Int8;
    graph.raise_versions();
    assert_eq!(graph.subgraphs[0].nodes[0].version, 2);
    graph.subgraphs[0].nodes[0].version = 5;
    graph.raise_versions();
    assert_eq!(graph.subgraphs[0].nodes[0].version, 5);
}
