//! What `prepare` says of nodes that it will not run: which operand, what is wrong, what was expected.

use larun_kernels::PlanWriter;
use larun_ops::{
    Conv2DOptions, ElementType, FullyConnectedOptions, Op, OpKind, Padding, Shape, WeightsFormat,
};

use crate::support::{Node, Tensor};

/// A sound INT8 convolution of one 3x3 image with two filters of 2x2.
fn conv() -> Node {
    Node {
        op: Op::Conv2D(Conv2DOptions {
            padding: Padding::Valid,
            stride_h: 1,
            stride_w: 1,
            ..Conv2DOptions::default()
        }),
        inputs: vec![
            Some(Tensor::int8(&[1, 3, 3, 1], &[1; 9], 0.5, 3)),
            Some(
                Tensor::int8(&[2, 2, 2, 1], &[1; 8], 1.0, 0)
                    .quantized(&[0.25, 0.5], &[0, 0])
                    .constant(),
            ),
            Some(Tensor::int32(&[2], &[5, 6]).constant()),
        ],
        outputs: vec![Tensor::int8(&[1, 2, 2, 2], &[], 0.5, -1)],
    }
}

fn input(node: &mut Node, index: usize) -> &mut Tensor {
    node.inputs[index].as_mut().unwrap()
}

fn refusal(change: impl FnOnce(&mut Node)) -> String {
    let mut node = conv();
    change(&mut node);
    node.prepare().unwrap_err().to_string()
}

#[test]
fn the_sound_node_runs() {
    // (4 * (1 - 3) + 5) * 0.25 - 1 and (4 * (1 - 3) + 6) * 0.5 - 1, ties away from zero.
    assert_eq!(conv().run_i8().unwrap()[..2], [-2, -2]);
}

#[test]
fn element_types() {
    let said = refusal(|node| input(node, 0).element_type = ElementType::UInt8);
    let expected = "element type UINT8 is not supported here (supported: INT8, INT16, FLOAT32)";
    assert_eq!(said, format!("input 0: {expected}"));
    let said = refusal(|node| input(node, 1).element_type = ElementType::UInt8);
    let expected = "element type UINT8 is not supported here (supported: INT8, INT4)";
    assert_eq!(said, format!("input 1: {expected}"));
    let said = refusal(|node| input(node, 2).element_type = ElementType::Float32);
    assert_eq!(said, "input 2: element type must be INT32, is FLOAT32");
    let said = refusal(|node| node.outputs[0].element_type = ElementType::UInt8);
    assert_eq!(said, "output 0: element type must be INT8, is UINT8");
    let said = refusal(|node| node.outputs[0].element_type = ElementType::String);
    assert_eq!(
        said,
        "output 0: is 2 GiB or more, or has elements of no fixed size"
    );
}

#[test]
fn quantisation() {
    let change = |index: usize, scales: &'static [f32], zero_points: &'static [i64]| {
        refusal(move |node| {
            let tensor = input(node, index).clone();
            *input(node, index) = tensor.quantized(scales, zero_points);
        })
    };
    let said = change(0, &[], &[]);
    assert_eq!(said, "input 0: has no quantisation parameters");
    let said = change(0, &[f32::NAN], &[0]);
    assert_eq!(said, "input 0: scale must be positive and finite, is NaN");
    let said = change(0, &[-1.0], &[0]);
    assert_eq!(said, "input 0: scale must be positive and finite, is -1");
    let said = change(0, &[1.0], &[128]);
    assert_eq!(said, "input 0: zero point 128 is outside the range of INT8");
    let said = change(0, &[1.0, 1.0], &[0, 0]);
    let expected = "input 0: is quantised per channel, which is not supported here";
    assert_eq!(said, expected);
    let said = change(1, &[0.5, 0.5], &[0, 3]);
    assert_eq!(said, "input 1: zero point must be 0, is 3");
    let said = change(1, &[0.5, 0.0], &[]);
    assert_eq!(said, "input 1: scale must be positive and finite, is 0");
    let said = change(1, &[0.5, 0.5, 0.5], &[]);
    assert_eq!(said, "input 1: has 3 scales, expected 1 or 2");
    let said = refusal(|node| input(node, 1).axis = 3);
    assert_eq!(said, "input 1: per-channel along axis 3, expected 0");
    let said = change(0, &[f32::MAX], &[0]);
    let expected = "the scales of inputs and output are too far apart for fixed-point arithmetic";
    assert_eq!(said, format!("options: {expected}"));
}

#[test]
fn shapes_and_operands() {
    let said = refusal(|node| node.outputs[0].shape = Shape::new(&[1, 2, 3, 2]).unwrap());
    assert_eq!(said, "output 0: dimension 2 must be 2, is 3");
    let said = refusal(|node| node.outputs[0].shape = Shape::new(&[2, 2, 2]).unwrap());
    assert_eq!(said, "output 0: must have 4 dimensions, has 3");
    let said = refusal(|node| node.inputs[1] = None);
    assert_eq!(said, "input 1: it is required but absent");
    let said = refusal(|node| node.inputs.truncate(1));
    assert_eq!(
        said,
        "options: the node has 1 inputs, which the operator does not take"
    );
    let said = refusal(|node| node.outputs.clear());
    assert_eq!(
        said,
        "options: the node has 0 outputs, which the operator does not give"
    );
    let said = refusal(|node| input(node, 2).bytes.push(0));
    assert_eq!(said, "input 2: the constant must have 8 bytes, has 9");
    let said =
        refusal(|node| input(node, 0).shape = Shape::new(&[1, 1 << 20, 1 << 20, 1]).unwrap());
    assert_eq!(
        said,
        "input 0: is 2 GiB or more, or has elements of no fixed size"
    );
}

#[test]
fn options() {
    let said = refusal(|node| {
        if let Op::Conv2D(options) = &mut node.op {
            options.stride_w = 0;
        }
    });
    assert!(said.starts_with("options: the window does not fit its input"));
    let weights = Tensor::float(&[1, 1], &[1.0]);
    let node = Node {
        op: Op::FullyConnected(FullyConnectedOptions {
            weights_format: WeightsFormat::Shuffled4x16Int8,
            ..Default::default()
        }),
        inputs: vec![Some(weights.clone()), Some(weights.clone())],
        outputs: vec![weights],
    };
    let said = node.prepare().unwrap_err().to_string();
    assert_eq!(said, "options: weights format 1 is not supported");
}

#[test]
fn fixed_output_parameters() {
    let node = |kind: OpKind, scale: f32, zero_point: i64| Node {
        op: match kind.with_default_options() {
            Op::Softmax(mut options) => {
                options.beta = 1.0;
                Op::Softmax(options)
            }
            op => op,
        },
        inputs: vec![Some(Tensor::int8(&[1, 2], &[1, 2], 0.1, 0))],
        outputs: vec![Tensor::int8(&[1, 2], &[], scale, zero_point)],
    };
    for kind in [OpKind::Softmax, OpKind::Logistic] {
        assert!(node(kind, 1.0 / 256.0, -128).run().is_ok());
        let said = node(kind, 0.5, -128).prepare().unwrap_err().to_string();
        assert_eq!(said, "output 0: scale must be 0.00390625, is 0.5");
        let said = node(kind, 1.0 / 256.0, 0)
            .prepare()
            .unwrap_err()
            .to_string();
        assert_eq!(said, "output 0: zero point must be -128, is 0");
    }
}

#[test]
fn a_kernel_of_another_operator() {
    let node = conv();
    let other = larun_kernels::ALL
        .iter()
        .find(|row| row.kind == OpKind::Mean);
    let refusal = other
        .unwrap()
        .prepare(&node, &mut PlanWriter::new(&mut []))
        .unwrap_err();
    let expected = "options: the node is a CONV_2D, but the kernel computes MEAN";
    assert_eq!(refusal.to_string(), expected);
}

#[test]
fn the_types_stay_small() {
    assert!(size_of::<larun_kernels::Refusal>() <= 64);
    assert!(size_of::<larun_kernels::InvokeError>() <= 40);
}
