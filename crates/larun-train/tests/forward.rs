//! Forward passes against the interpreter: a node is run on two samples at once, and each sample alone by the kernel of the board.

use larun_graph::ops::*;
use larun_graph::{Graph, GraphBuilder, NodeId};
use larun_passes::run_alone;
use larun_train::{Executor, Mode, TrainError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An operand of the node.
#[derive(Clone)]
enum Given {
    /// Comes in with each sample, between these bounds.
    Input(&'static [usize], f32, f32),
    /// A constant of real numbers.
    Constant(&'static [usize]),
    /// A constant of whole numbers.
    Integers(&'static [usize], &'static [i32]),
}

use Given::{Constant, Input, Integers};

fn random(count: usize, seed: u64, low: f32, high: f32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| low + (high - low) * rng.random::<f32>())
        .collect()
}

/// The graph of one node with `outputs` outputs.
fn graph(op: Op, operands: &[Given], outputs: usize) -> Graph {
    let mut builder = GraphBuilder::new("one node");
    let mut inputs = Vec::new();
    for (index, operand) in operands.iter().enumerate() {
        let name = format!("operand {index}");
        inputs.push(match operand {
            Input(shape, ..) => builder.input(&name, shape, ElementType::Float32).unwrap(),
            Constant(shape) => {
                let values = random(shape.iter().product(), index as u64, -1.0, 1.0);
                builder.constant(&name, shape, &values).unwrap()
            }
            Integers(shape, values) => builder.constant(&name, shape, values).unwrap(),
        });
    }
    let found = match outputs {
        1 => vec![builder.node("node", op, &inputs).unwrap()],
        _ => builder
            .node_with_outputs("node", op, &inputs, outputs)
            .unwrap(),
    };
    for output in found {
        builder.output(output);
    }
    builder.finish().unwrap()
}

/// Runs a node both ways.
#[track_caller]
fn compare(op: Op, operands: &[Given], outputs: usize) {
    let what = format!("{op:?}");
    let graph = graph(op, operands, outputs);
    let samples: Vec<Vec<Vec<f32>>> = [1, 2]
        .iter()
        .map(|&sample| {
            let inputs = operands
                .iter()
                .enumerate()
                .filter_map(|(index, operand)| match operand {
                    Input(shape, low, high) => {
                        let seed = 10 * sample + index as u64;
                        Some(random(shape.iter().product(), seed, *low, *high))
                    }
                    _ => None,
                });
            inputs.collect()
        })
        .collect();
    let mut executor = Executor::new(&graph).unwrap_or_else(|error| panic!("{what}: {error}"));
    let joined: Vec<Vec<f32>> = (0..samples[0].len())
        .map(|input| samples.iter().flat_map(|s| s[input].clone()).collect())
        .collect();
    let views: Vec<&[f32]> = joined.iter().map(Vec::as_slice).collect();
    executor.forward(2, &views, Mode::Inference).unwrap();
    for (number, sample) in samples.iter().enumerate() {
        let bytes: Vec<Vec<u8>> = sample
            .iter()
            .map(|input| input.iter().flat_map(|x| x.to_le_bytes()).collect())
            .collect();
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let expected = run_alone(&graph, NodeId::new(0), &bytes).unwrap();
        for (output, expected) in expected.iter().enumerate() {
            let expected: Vec<f32> = expected
                .chunks_exact(4)
                .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
                .collect();
            let found = executor.output(output).unwrap();
            assert_eq!(found.len(), 2 * expected.len(), "{what}");
            let found = &found[number * expected.len()..][..expected.len()];
            for (index, (f, e)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    (f - e).abs() <= 2e-5 * (1.0 + e.abs()),
                    "{what}, sample {number}, output {output}, element {index}: {f}, the kernel has {e}"
                );
            }
        }
    }
}

const X: Given = Input(&[1, 4, 6, 2], -4.0, 4.0);
const POSITIVE: Given = Input(&[1, 4, 6, 2], 0.2, 4.0);

#[test]
fn functions() {
    for op in [
        Op::Abs(Default::default()),
        Op::Ceil(NoOptions {}),
        Op::Cos(Default::default()),
        Op::Elu(NoOptions {}),
        Op::Exp(Default::default()),
        Op::Floor(NoOptions {}),
        Op::Gelu(GeluOptions { approximate: true }),
        Op::Gelu(GeluOptions { approximate: false }),
        Op::HardSwish(Default::default()),
        Op::LeakyRelu(LeakyReluOptions { alpha: 0.2 }),
        Op::Neg(Default::default()),
        Op::Round(NoOptions {}),
        Op::Sin(NoOptions {}),
        Op::Square(Default::default()),
        Op::Tanh(NoOptions {}),
        Op::ZerosLike(Default::default()),
        Op::Relu(NoOptions {}),
        Op::Relu6(NoOptions {}),
        Op::Logistic(NoOptions {}),
        Op::Softmax(SoftmaxOptions { beta: 0.7 }),
        Op::LogSoftmax(Default::default()),
        Op::L2Normalization(Default::default()),
    ] {
        compare(op, &[X], 1);
    }
    for op in [
        Op::Log(NoOptions {}),
        Op::Sqrt(NoOptions {}),
        Op::Rsqrt(NoOptions {}),
    ] {
        compare(op, &[POSITIVE], 1);
    }
}

#[test]
fn arithmetic() {
    let other = Input(&[1, 1, 6, 2], 0.5, 2.0);
    for op in [
        Op::Add(AddOptions::default()),
        Op::Sub(SubOptions::default()),
        Op::Mul(MulOptions::default()),
        Op::Div(DivOptions::default()),
        Op::Maximum(Default::default()),
        Op::Minimum(Default::default()),
        Op::SquaredDifference(Default::default()),
        Op::FloorDiv(Default::default()),
        Op::FloorMod(Default::default()),
    ] {
        compare(op, &[X, other.clone()], 1);
        compare(op, &[Constant(&[6, 2]), other.clone()], 1);
    }
    compare(Op::Prelu(NoOptions {}), &[X, Constant(&[1, 1, 2])], 1);
    compare(Op::AddN(Default::default()), &[X, POSITIVE, X], 1);
    let tanh = AddOptions {
        activation: Activation::Relu6,
        ..AddOptions::default()
    };
    compare(Op::Add(tanh), &[X, POSITIVE], 1);
}

#[test]
fn windows_and_products() {
    let pool = Pool2DOptions {
        padding: Padding::Same,
        stride_w: 2,
        stride_h: 1,
        filter_w: 3,
        filter_h: 2,
        ..Default::default()
    };
    compare(Op::AveragePool2D(pool), &[X], 1);
    compare(Op::MaxPool2D(pool), &[X], 1);
    compare(Op::L2Pool2D(pool), &[X], 1);
    for (padding, output) in [
        (Padding::Same, &[1, 8, 12, 3]),
        (Padding::Valid, &[1, 9, 14, 3]),
    ] {
        let options = TransposeConvOptions {
            padding,
            stride_w: 2,
            stride_h: 2,
            ..Default::default()
        };
        let filter: &'static [usize] = match padding {
            Padding::Same => &[3, 3, 3, 2],
            Padding::Valid => &[3, 3, 4, 2],
        };
        let operands = [Integers(&[4], output), Constant(filter), X];
        compare(Op::TransposeConv(options), &operands, 1);
    }
    for (adj_x, a) in [(false, &[1, 3, 4][..]), (true, &[1, 4, 3])] {
        for (adj_y, b) in [(false, &[1, 4, 5][..]), (true, &[1, 5, 4])] {
            let options = BatchMatmulOptions {
                adj_x,
                adj_y,
                ..Default::default()
            };
            compare(
                Op::BatchMatmul(options),
                &[Input(a, -1.0, 1.0), Input(b, -1.0, 1.0)],
                1,
            );
            compare(
                Op::BatchMatmul(options),
                &[Input(a, -1.0, 1.0), Constant(b)],
                1,
            );
        }
    }
}

#[test]
fn reductions() {
    let keep = ReducerOptions { keep_dims: true };
    let axes = Integers(&[2], &[1, -2]);
    for op in [
        Op::Mean(keep),
        Op::Sum(keep),
        Op::ReduceMax(keep),
        Op::ReduceMin(keep),
        Op::Sum(ReducerOptions::default()),
    ] {
        compare(op, &[X, axes.clone()], 1);
    }
    for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
        let options = CumSumOptions { exclusive, reverse };
        compare(Op::CumSum(options), &[X, Integers(&[], &[2])], 1);
    }
}

#[test]
fn moves() {
    compare(
        Op::Transpose(Default::default()),
        &[X, Integers(&[4], &[0, 3, 1, 2])],
        1,
    );
    // Samples lie one behind the other, whatever becomes of their axis.
    compare(
        Op::Transpose(Default::default()),
        &[X, Integers(&[4], &[2, 0, 1, 3])],
        1,
    );
    compare(
        Op::Slice(Default::default()),
        &[
            X,
            Integers(&[4], &[0, 1, 2, 0]),
            Integers(&[4], &[1, 2, -1, 1]),
        ],
        1,
    );
    compare(
        Op::StridedSlice(StridedSliceOptions {
            shrink_axis_mask: 8,
            ..Default::default()
        }),
        &[
            X,
            Integers(&[4], &[0, 3, 0, 1]),
            Integers(&[4], &[1, 0, 6, 2]),
            Integers(&[4], &[1, -1, 2, 1]),
        ],
        1,
    );
    compare(
        Op::ReverseV2(Default::default()),
        &[X, Integers(&[1], &[2])],
        1,
    );
    let blocks = SpaceToDepthOptions { block_size: 2 };
    compare(Op::SpaceToDepth(blocks), &[X], 1);
    let channels = Input(&[1, 2, 3, 8], -1.0, 1.0);
    let blocks = DepthToSpaceOptions { block_size: 2 };
    compare(Op::DepthToSpace(blocks), &[channels], 1);
    compare(
        Op::SpaceToBatchNd(Default::default()),
        &[X, Integers(&[2], &[2, 3]), Integers(&[2, 2], &[1, 1, 0, 0])],
        1,
    );
    compare(
        Op::BatchToSpaceNd(Default::default()),
        &[
            Input(&[4, 2, 3, 1], -1.0, 1.0),
            Integers(&[2], &[2, 2]),
            Integers(&[2, 2], &[0, 1, 1, 0]),
        ],
        1,
    );
    compare(
        Op::Pad(Default::default()),
        &[X, Integers(&[4, 2], &[0, 0, 1, 2, 0, 1, 0, 0])],
        1,
    );
    compare(
        Op::PadV2(Default::default()),
        &[
            X,
            Integers(&[4, 2], &[0, 0, 1, 2, 0, 1, 0, 0]),
            Constant(&[1]),
        ],
        1,
    );
    compare(
        Op::MirrorPad(Default::default()),
        &[X, Integers(&[4, 2], &[0, 0, 1, 2, 2, 1, 0, 0])],
        1,
    );
    compare(
        Op::BroadcastTo(Default::default()),
        &[
            Input(&[1, 1, 6, 1], -1.0, 1.0),
            Integers(&[4], &[1, 4, 6, 2]),
        ],
        1,
    );
    let gather = GatherOptions {
        axis: 2,
        ..Default::default()
    };
    compare(Op::Gather(gather), &[X, Integers(&[3], &[5, 0, 5])], 1);
    compare(
        Op::GatherNd(Default::default()),
        &[X, Integers(&[2, 3], &[0, 1, 2, 0, 3, 5])],
        1,
    );
    compare(
        Op::ResizeNearestNeighbor(Default::default()),
        &[X, Integers(&[2], &[7, 3])],
        1,
    );
    for half_pixel_centers in [false, true] {
        let options = ResizeBilinearOptions {
            half_pixel_centers,
            ..Default::default()
        };
        compare(
            Op::ResizeBilinear(options),
            &[X, Integers(&[2], &[7, 5])],
            1,
        );
    }
    let options = ResizeBilinearOptions {
        align_corners: true,
        ..Default::default()
    };
    compare(
        Op::ResizeBilinear(options),
        &[X, Integers(&[2], &[7, 5])],
        1,
    );
}

#[test]
fn joins_and_splits() {
    let join = |axis| ConcatenationOptions {
        axis,
        ..Default::default()
    };
    compare(Op::Concatenation(join(-1)), &[X, POSITIVE], 1);
    compare(Op::Concatenation(join(0)), &[X, Constant(&[2, 4, 6, 2])], 1);
    for axis in [0, 1, -1] {
        let options = PackOptions {
            values_count: 3,
            axis,
        };
        compare(
            Op::Pack(options),
            &[X, POSITIVE, Constant(&[1, 4, 6, 2])],
            1,
        );
    }
    compare(
        Op::Split(SplitOptions { num_splits: 3 }),
        &[Integers(&[], &[2]), X],
        3,
    );
    compare(
        Op::SplitV(SplitVOptions { num_splits: 2 }),
        &[X, Integers(&[2], &[1, 3]), Integers(&[], &[1])],
        2,
    );
    compare(Op::Unpack(UnpackOptions { num: 4, axis: 1 }), &[X], 4);
}

/// What has no gradient, or is computed in another way than the interpreter would, is refused by name.
#[test]
fn refusals() {
    let arg_max = Op::ArgMax(ArgMaxOptions {
        output_type: ElementType::Int32,
    });
    let refused = |graph: &Graph| match Executor::new(graph) {
        Err(TrainError::Unsupported { place, reason }) => format!("{place}: {reason}"),
        other => panic!("{other:?}"),
    };
    let message = refused(&graph(arg_max, &[X, Integers(&[], &[1])], 1));
    assert!(
        message.contains("ARG_MAX") && message.contains("smoothly"),
        "{message}"
    );
}
