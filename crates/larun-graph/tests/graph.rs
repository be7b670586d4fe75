//! Building, inferring, ordering, validating and measuring graphs.

use larun_graph::ops::{
    AddOptions, Conv2DOptions, ElementType, FullyConnectedOptions, NoOptions, Op, Pool2DOptions,
    ReducerOptions, ReshapeOptions, Shape, SplitOptions, SplitVOptions, UnpackOptions,
};
use larun_graph::{
    BufferId, Graph, GraphBuilder, GraphError, NodeId, Quantization, TensorId, lifetimes,
};
use proptest::prelude::*;

/// conv -> relu -> (conv, identity) -> add -> mean -> dense
fn residual() -> Graph {
    let mut net = GraphBuilder::new("residual");
    let x = net.input("x", &[1, 8, 8, 2], ElementType::Float32).unwrap();
    let conv = Op::Conv2D(Conv2DOptions {
        stride_h: 1,
        stride_w: 1,
        ..Conv2DOptions::default()
    });
    let w1 = net.constant("w1", &[4, 3, 3, 2], &[0.1f32; 72]).unwrap();
    let b1 = net.constant("b1", &[4], &[0.0f32; 4]).unwrap();
    let y = net.node("conv1", conv, &[x, w1, b1]).unwrap();
    let y = net.node("relu", Op::Relu(NoOptions {}), &[y]).unwrap();
    let w2 = net.constant("w2", &[4, 3, 3, 4], &[0.1f32; 144]).unwrap();
    let z = net.node("conv2", conv, &[y, w2]).unwrap();
    let s = net
        .node("add", Op::Add(AddOptions::default()), &[y, z])
        .unwrap();
    let axes = net.constant("axes", &[2], &[1i32, 2]).unwrap();
    let mean = Op::Mean(ReducerOptions { keep_dims: false });
    let m = net.node("mean", mean, &[s, axes]).unwrap();
    let w3 = net.constant("w3", &[3, 4], &[0.1f32; 12]).unwrap();
    let dense = Op::FullyConnected(FullyConnectedOptions::default());
    let out = net.node("dense", dense, &[m, w3]).unwrap();
    net.output(out);
    net.finish().unwrap()
}

#[test]
fn statistics_count_constants_once() {
    let stats = residual().stats().unwrap();
    assert_eq!(stats.macs, 64 * 4 * 18 + 64 * 4 * 36 + 12);
    assert_eq!(stats.parameters, 72 + 4 + 144 + 12);
    assert_eq!(stats.constant_bytes, 4 * (72 + 4 + 144 + 12) + 8);
}

#[test]
fn lifetimes_cover_the_residual() {
    let graph = residual();
    let lifetimes = lifetimes(&graph, graph.main().unwrap()).unwrap();
    let of = |name: &str| {
        let subgraph = graph.main().unwrap();
        let span = lifetimes
            .iter()
            .find(|l| subgraph.tensor(l.tensor).unwrap().name == name);
        span.map(|l| (l.first, l.last, l.bytes))
    };
    assert_eq!(of("x"), Some((0, 0, 512)));
    assert_eq!(of("relu"), Some((1, 3, 1024)));
    assert_eq!(of("dense"), Some((5, 5, 12)));
    assert_eq!(of("w1"), None);
}

#[test]
fn nodes_are_put_into_order() {
    let mut graph = residual();
    let sorted = graph.clone();
    graph.subgraphs[0].nodes.reverse();
    assert!(matches!(
        graph.validate(),
        Err(GraphError::ReadBeforeWritten { .. })
    ));
    graph.subgraphs[0].sort_topologically().unwrap();
    assert_eq!(graph, sorted);
}

#[test]
fn a_circle_is_named() {
    let mut graph = residual();
    let last = graph.subgraphs[0].nodes.last().unwrap().outputs[0];
    graph.subgraphs[0].nodes[1].inputs[0] = Some(last);
    let error = graph.subgraphs[0].topological_order().unwrap_err();
    assert!(matches!(error, GraphError::Cycle { .. }), "{error}");
}

#[test]
fn errors_name_the_place() {
    let mut graph = residual();
    graph.subgraphs[0].nodes[2].inputs[0] = Some(TensorId(99));
    let message = graph.validate().unwrap_err().to_string();
    assert_eq!(
        message,
        "operator 2 (CONV_2D, output `conv2`) names tensor 99, but the subgraph has 12 tensors"
    );
}

#[test]
fn wrong_constants_and_scales_are_refused() {
    let mut graph = residual();
    graph.buffers[1].data.pop();
    assert!(matches!(
        graph.validate(),
        Err(GraphError::ConstantSize { .. })
    ));

    let mut graph = residual();
    graph.subgraphs[0].tensors[0].buffer = BufferId(50);
    assert!(matches!(
        graph.validate(),
        Err(GraphError::DanglingBuffer { .. })
    ));

    let mut graph = residual();
    graph.subgraphs[0].tensors[1].quantization = Some(Quantization::per_channel(vec![0.1; 3], 0));
    assert!(matches!(
        graph.validate(),
        Err(GraphError::Quantization { .. })
    ));
}

#[test]
fn setting_values_keeps_shared_buffers_apart() {
    let mut graph = residual();
    let shared = graph.subgraphs[0].tensors[1].clone();
    let twin = graph.subgraphs[0].add_tensor(shared);
    let original = TensorId(1);
    graph.set_values(twin, &[2.0f32; 72]).unwrap();
    assert_eq!(graph.values::<f32>(original).unwrap(), [0.1f32; 72]);
    assert_eq!(graph.values::<f32>(twin).unwrap(), [2.0f32; 72]);
    assert!(graph.set_values(twin, &[2.0f32; 71]).is_err());
    assert!(graph.values::<i8>(twin).is_err());
}

#[test]
fn reshape_fills_its_wildcard() {
    let mut net = GraphBuilder::new("reshape");
    let x = net.input("x", &[1, 4, 6], ElementType::Float32).unwrap();
    let shape = net.constant("shape", &[3], &[2i32, -1, 3]).unwrap();
    let y = net
        .node("y", Op::Reshape(ReshapeOptions::default()), &[x, shape])
        .unwrap();
    assert_eq!(net.shape(y).unwrap().dims(), [2, 4, 3]);
    let bad = net.constant("bad", &[1], &[7i32]).unwrap();
    assert!(
        net.node("z", Op::Reshape(ReshapeOptions::default()), &[x, bad])
            .is_err()
    );
}

/// x -> split along the channels -> unpack the second part along the batch
fn parts() -> Graph {
    let mut net = GraphBuilder::new("parts");
    let x = net.input("x", &[2, 3, 8], ElementType::Int8).unwrap();
    let axis = net.constant("axis", &[], &[-1i32]).unwrap();
    let split = Op::Split(SplitOptions { num_splits: 2 });
    let halves = net
        .node_with_outputs("split", split, &[axis, x], 2)
        .unwrap();
    let unpack = Op::Unpack(UnpackOptions { num: 2, axis: 0 });
    let rows = net
        .node_with_outputs("unpack", unpack, &halves[1..], 2)
        .unwrap();
    let sizes = net.constant("sizes", &[3], &[1i32, -1, 1]).unwrap();
    let by_size = Op::SplitV(SplitVOptions { num_splits: 3 });
    let inputs = [halves[0], sizes, axis];
    let parts = net
        .node_with_outputs("by size", by_size, &inputs, 3)
        .unwrap();
    rows.into_iter()
        .chain(parts)
        .for_each(|part| net.output(part));
    net.finish().unwrap()
}

#[test]
fn every_output_has_its_own_shape() {
    let shapes = |graph: &Graph| {
        let subgraph = graph.main().unwrap();
        let shape = |output: &TensorId| subgraph.tensor(*output).unwrap().shape.dims().to_vec();
        subgraph.outputs.iter().map(shape).collect::<Vec<_>>()
    };
    let mut graph = parts();
    let x = graph
        .main()
        .unwrap()
        .tensor(TensorId(0))
        .unwrap()
        .element_type;
    assert!(
        graph
            .main()
            .unwrap()
            .outputs
            .iter()
            .all(|&output| { graph.main().unwrap().tensor(output).unwrap().element_type == x })
    );
    let part = |len| vec![2, 3, len];
    assert_eq!(
        shapes(&graph),
        [vec![3, 4], vec![3, 4], part(1), part(2), part(1)]
    );

    graph.subgraphs[0].tensors[0].shape = Shape::new(&[2, 5, 12]).unwrap();
    graph.infer_shapes().unwrap();
    graph.validate().unwrap();
    let part = |len| vec![2, 5, len];
    assert_eq!(
        shapes(&graph),
        [vec![5, 6], vec![5, 6], part(1), part(4), part(1)]
    );

    graph.subgraphs[0].tensors[0].shape = Shape::new(&[2, 5, 9]).unwrap();
    assert!(matches!(
        graph.infer_shapes(),
        Err(GraphError::Shape { .. })
    ));
}

#[test]
fn a_node_with_more_outputs_than_parts_is_refused() {
    let mut graph = parts();
    let more = graph.subgraphs[0].tensors[0].clone();
    let more = graph.subgraphs[0].add_tensor(more);
    graph.subgraphs[0].nodes[1].outputs.push(more);
    let message = graph.validate().unwrap_err().to_string();
    assert!(message.ends_with("there is no output 2"), "{message}");
}

#[test]
fn shapes_follow_a_change_upstream() {
    let mut graph = residual();
    graph.subgraphs[0].tensors[0].shape = Shape::new(&[1, 16, 8, 2]).unwrap();
    graph.infer_shapes().unwrap();
    graph.validate().unwrap();
    let relu = graph.main().unwrap().node(NodeId(1)).unwrap().outputs[0];
    assert_eq!(
        graph.main().unwrap().tensor(relu).unwrap().shape.dims(),
        [1, 16, 8, 4]
    );
}

proptest! {
    /// No options, shapes or ids make validation panic.
    #[test]
    fn nonsense_is_an_error_not_a_panic(
        dims in prop::collection::vec(0usize..5, 0..6),
        options in prop::array::uniform4(-3i32..5),
        node in 0usize..6, operand in 0usize..3, tensor in 0u32..16
    ) {
        let mut net = GraphBuilder::new("nonsense");
        if let Ok(x) = net.input("x", &dims, ElementType::Float32) {
            let pool = Op::MaxPool2D(Pool2DOptions {
                stride_h: options[0], stride_w: options[1], filter_h: options[2], filter_w: options[3],
                ..Pool2DOptions::default()
            });
            let _ = net.node("pool", pool, &[x]);
            let _ = net.finish();
        }
        let mut graph = residual();
        if let Some(slot) = graph.subgraphs[0].nodes[node].inputs.get_mut(operand) {
            *slot = Some(TensorId(tensor));
        }
        let _ = graph.validate();
        let _ = graph.stats();
        let _ = lifetimes(&graph, graph.main().unwrap());
        let _ = graph.subgraphs[0].sort_topologically();
    }
}
