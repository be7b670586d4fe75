//! Operators of a stream: slices are collected, and what comes after them waits.

mod support;

use larun_graph::ops::{ElementType, NoOptions, Op, Shape};
use larun_graph::{Graph, GraphBuilder, NodeOp, OpaqueOp, Quantization};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels;
use support::load;

/// `cycles_max` 2 as a flexbuffer.
const EVERY_SECOND: &[u8] = b"cycles_max\0\x01\x0c\x01\x01\x01\x02\x04\x02\x24\x01";

/// The last three slices of a stream, and their RELU after every second slice.
fn stream(variable: bool) -> Graph {
    let mut net = GraphBuilder::new("stream");
    let slice = net
        .input("slice", &[1, 1, 1, 2], ElementType::Int8)
        .unwrap();
    let last = net.node("last", Op::Relu(NoOptions {}), &[slice]);
    let last = last.unwrap();
    let rectified = net.node("rectified", Op::Relu(NoOptions {}), &[last]);
    net.output(rectified.unwrap());
    let mut graph = net.finish().unwrap();
    let main = graph.main_mut().unwrap();
    main.nodes[0].op = NodeOp::Opaque(Box::new(OpaqueOp {
        code: 32,
        custom_code: Some("CIRCULAR_BUFFER".into()),
        custom_options: Some(EVERY_SECOND.to_vec()),
        ..OpaqueOp::default()
    }));
    main.tensors[last.index()].is_variable = variable;
    for tensor in &mut main.tensors {
        tensor.quantization = Some(Quantization {
            scale: vec![0.5],
            zero_point: vec![0],
            ..Quantization::default()
        });
        if tensor.name != "slice" {
            tensor.shape = Shape::new(&[1, 3, 1, 2]).unwrap();
        }
    }
    graph
}

#[test]
fn what_follows_a_circular_buffer_waits_for_it() {
    for variable in [false, true] {
        let model = AlignedBytes::copy_of(&larun_tflite::write(&stream(variable)).unwrap());
        let mut arena = arena_for(&model, kernels::ALL).unwrap();
        let mut interpreter = load(&model, &mut arena).unwrap();
        for _ in 0..2 {
            for (slice, expected) in [
                ([1i8, -1], None),
                ([2, -2], Some([0, 0, 1, 0, 2, 0])),
                ([3, -3], None),
                ([4, 5], Some([2, 0, 3, 0, 4, 5])),
            ] {
                interpreter.set_input(0, &slice).unwrap();
                interpreter.invoke().unwrap();
                assert_eq!(interpreter.is_waiting(), expected.is_none());
                if let Some(expected) = expected {
                    assert_eq!(interpreter.output::<i8>(0).unwrap(), expected);
                }
            }
            interpreter.reset().unwrap();
        }
    }
}
