//! Changes and what they gain.

use larun_device::advice::{Change, Subject, changes};
use larun_device::cost::estimate;
use larun_device::{Budget, Usage, board};
use larun_graph::{Graph, GraphBuilder};
use larun_ops::{
    Activation, Conv2DOptions, ElementType, FullyConnectedOptions, Op, OpKind, Padding,
    ReducerOptions,
};

/// Two convolutions, a mean and a dense layer.
fn network(element_type: ElementType) -> Graph {
    let mut b = GraphBuilder::new("network");
    let x = b.input("x", &[1, 32, 32, 4], element_type).unwrap();
    let weights = |b: &mut GraphBuilder, name: &str, shape: &[usize]| {
        let count = shape.iter().product();
        match element_type {
            ElementType::Float32 => b.constant(name, shape, &vec![0.5f32; count]).unwrap(),
            _ => b.constant(name, shape, &vec![1i8; count]).unwrap(),
        }
    };
    let conv = Op::Conv2D(Conv2DOptions {
        padding: Padding::Same,
        stride_h: 1,
        stride_w: 1,
        activation: Activation::Relu,
        ..Conv2DOptions::default()
    });
    let first = weights(&mut b, "w1", &[16, 3, 3, 4]);
    let y = b.node("y1", conv, &[x, first]).unwrap();
    let second = weights(&mut b, "w2", &[32, 3, 3, 16]);
    let y = b.node("y2", conv, &[y, second]).unwrap();
    let axes = b.constant("axes", &[2], &[1i32, 2]).unwrap();
    let y = b
        .node(
            "mean",
            Op::Mean(ReducerOptions { keep_dims: false }),
            &[y, axes],
        )
        .unwrap();
    let dense = weights(&mut b, "w3", &[10, 32]);
    let op = Op::FullyConnected(FullyConnectedOptions::default());
    let y = b.node("scores", op, &[y, dense]).unwrap();
    let y = b
        .node(
            "probabilities",
            OpKind::Softmax.with_default_options(),
            &[y],
        )
        .unwrap();
    b.output(y);
    b.finish().unwrap()
}

fn changes_of(graph: &Graph) -> (Usage, Vec<Change>) {
    let nano = board("nano33ble").unwrap();
    let cost = estimate(graph, nano, None).unwrap();
    let usage = Usage {
        flash_bytes: cost.weight_bytes + 2_000,
        ram_bytes: cost.live_bytes + 1_000,
        parameters: cost.parameters,
        operations: cost.macs,
    };
    let subject = Subject {
        graph,
        usage: &usage,
        cost: &cost,
        board: nano,
        budget: &Budget::LARUN,
    };
    (usage, changes(&subject).unwrap())
}

fn find<'c>(changes: &'c [Change], part: &str) -> &'c Change {
    let found = changes.iter().find(|change| change.what.contains(part));
    found.unwrap_or_else(|| panic!("no {part:?} in {changes:?}"))
}

#[test]
fn each_change_gains_what_the_model_says() {
    let float = network(ElementType::Float32);
    let (usage, of_float) = changes_of(&float);
    let int8 = find(&of_float, "INT8");
    let weights = 16 * 36 + 32 * 144 + 320;
    assert_eq!(int8.flash_saved, 3 * weights, "a byte for four");
    assert!(int8.ram_saved as u64 > usage.ram_bytes / 2 && int8.milliseconds_saved > 0.0);

    let (_, of_int8) = changes_of(&network(ElementType::Int8));
    assert!(
        !of_int8.iter().any(|change| change.what.contains("to INT8")),
        "it is INT8"
    );
    assert_eq!(find(&of_int8, "INT4").flash_saved, weights / 2);
    let half = find(&of_int8, "50 % of the channels");
    assert_eq!(half.usage.operations, 1024 * (8 * 36 + 16 * 72) + 10 * 16);
    assert!(half.ram_saved > 0 && half.milliseconds_saved > 0.0);
    let smaller = find(&of_int8, "an input of 50 %");
    assert_eq!(smaller.usage.operations, 256 * (16 * 36 + 32 * 144) + 320);
    let separable = find(&of_int8, "in place of layer 1");
    assert_eq!(
        separable.usage.operations,
        1024 * (16 * 36 + 16 * 9 + 32 * 16) + 320
    );
    assert_eq!(separable.flash_saved, 32 * 144 - (16 * 9 + 32 * 16));
    let rows = find(&of_int8, "row by row");
    // The input and the last output whole, three rows of what is between them; or the second convolution without the first.
    assert!(rows.ram_saved > 0 && rows.flash_saved == 0, "{rows:?}");
    find(&of_int8, "the board");
}

#[test]
fn the_most_helpful_comes_first() {
    for element_type in [ElementType::Float32, ElementType::Int8] {
        let (_, changes) = changes_of(&network(element_type));
        assert!(changes.is_sorted_by(|a, b| a.worst_share <= b.worst_share));
        for change in &changes {
            assert!(
                change.flash_saved > 0 || change.ram_saved > 0 || change.milliseconds_saved > 0.0,
                "{change:?}"
            );
        }
    }
}
