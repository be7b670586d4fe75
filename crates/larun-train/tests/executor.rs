//! Whole graphs: gradients against differences and against candle's tape, batches against single samples.

mod networks;

use larun_graph::ops::{
    Activation, AddOptions, BatchNormOptions, ConcatenationOptions, Conv2DOptions,
    DepthwiseConv2DOptions, ElementType, FullyConnectedOptions, MulOptions, NoOptions, Op, Padding,
    Pool2DOptions, ReducerOptions, ReshapeOptions, SoftmaxOptions, SqueezeOptions,
};
use larun_graph::{Graph, GraphBuilder, TensorId};
use larun_train::{Executor, Mode, TrainError, initialise};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random(length: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..length)
        .map(|_| rng.random::<f32>() * 2.0 - 1.0)
        .collect()
}

/// Every operator once: branches, a tensor read twice, a missing bias, constants, fused activations.
fn everything() -> Graph {
    let mut net = GraphBuilder::new("everything");
    let x = net.input("x", &[1, 6, 6, 2], ElementType::Float32).unwrap();
    let floats = |net: &mut GraphBuilder, name: &str, shape: &[usize]| {
        net.constant(
            name,
            shape,
            &random(shape.iter().product(), name.len() as u64),
        )
        .unwrap()
    };
    let ints = |net: &mut GraphBuilder, name: &str, shape: &[usize], values: &[i32]| {
        net.constant(name, shape, values).unwrap()
    };
    let x = net
        .node("quantize", Op::Quantize(Default::default()), &[x])
        .unwrap();
    let paddings = ints(&mut net, "paddings", &[4, 2], &[0, 0, 1, 1, 1, 0, 0, 0]);
    let x = net
        .node("pad", Op::Pad(Default::default()), &[x, paddings])
        .unwrap();
    let conv = Conv2DOptions {
        stride_h: 1,
        stride_w: 1,
        ..Default::default()
    };
    let w = floats(&mut net, "conv/w", &[4, 3, 3, 2]);
    let b = floats(&mut net, "conv/b", &[4]);
    let y = net.node("conv", Op::Conv2D(conv), &[x, w, b]).unwrap();
    let norm: Vec<TensorId> = [0.9f32, 0.1, 0.2, 1.5]
        .iter()
        .enumerate()
        .map(|(i, &v)| {
            net.constant(&format!("norm/{i}"), &[4], &[v, v + 0.1, v + 0.2, v + 0.3])
                .unwrap()
        })
        .collect();
    let operands = [&[y], norm.as_slice()].concat();
    let y = net
        .node(
            "norm",
            Op::BatchNorm(BatchNormOptions::default()),
            &operands,
        )
        .unwrap();
    let y = net.node("relu6", Op::Relu6(NoOptions {}), &[y]).unwrap();
    let pool = Pool2DOptions {
        padding: Padding::Same,
        stride_h: 1,
        stride_w: 1,
        filter_h: 2,
        filter_w: 2,
        ..Default::default()
    };
    let a = net.node("max", Op::MaxPool2D(pool), &[y]).unwrap();
    let b = net.node("average", Op::AveragePool2D(pool), &[y]).unwrap();
    let y = net
        .node("add", Op::Add(AddOptions::default()), &[a, b])
        .unwrap();
    let w = floats(&mut net, "depthwise/w", &[1, 3, 3, 8]);
    let depthwise = DepthwiseConv2DOptions {
        stride_h: 2,
        stride_w: 2,
        depth_multiplier: 2,
        activation: Activation::ReluN1To1,
        ..Default::default()
    };
    let y = net
        .node("depthwise", Op::DepthwiseConv2D(depthwise), &[y, w])
        .unwrap();
    let c = floats(&mut net, "factor", &[8]);
    let y = net
        .node("mul", Op::Mul(MulOptions::default()), &[y, c])
        .unwrap();
    let y = net
        .node("square", Op::Mul(MulOptions::default()), &[y, y])
        .unwrap();
    let axes = ints(&mut net, "axes", &[2], &[1, -2]);
    let m = net
        .node(
            "mean",
            Op::Mean(ReducerOptions { keep_dims: true }),
            &[y, axes],
        )
        .unwrap();
    let s = net
        .node("logistic", Op::Logistic(NoOptions {}), &[m])
        .unwrap();
    let s = net
        .node(
            "squeeze",
            Op::Squeeze(SqueezeOptions {
                squeeze_dims: ints_of(&[1, 2]),
            }),
            &[s],
        )
        .unwrap();
    let r = net
        .node(
            "reshape",
            Op::Reshape(ReshapeOptions {
                new_shape: ints_of(&[1, -1]),
            }),
            &[m],
        )
        .unwrap();
    let r = net.node("relu", Op::Relu(NoOptions {}), &[r]).unwrap();
    let joined = Op::Concatenation(ConcatenationOptions {
        axis: -1,
        ..Default::default()
    });
    let j = net.node("join", joined, &[s, r, r, s]).unwrap();
    let axis = ints(&mut net, "axis", &[1], &[1]);
    let e = net
        .node("expand", Op::ExpandDims(Default::default()), &[j, axis])
        .unwrap();
    let w = floats(&mut net, "dense/w", &[5, 32]);
    let dense = FullyConnectedOptions {
        keep_num_dims: true,
        ..Default::default()
    };
    let d = net
        .node("dense", Op::FullyConnected(dense), &[e, w])
        .unwrap();
    let d = net
        .node("softmax", Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[d])
        .unwrap();
    let d = net
        .node("dequantize", Op::Dequantize(Default::default()), &[d])
        .unwrap();
    net.output(d);
    net.finish().unwrap()
}

fn ints_of(values: &[i32]) -> larun_graph::ops::IntList {
    larun_graph::ops::IntList::new(values).unwrap()
}

/// The loss of a batch, `sum(output * weights)`, and with `backward` the gradients.
fn loss(executor: &mut Executor, x: &[f32], batch: usize, mode: Mode) -> f64 {
    executor.forward(batch, &[x], mode).unwrap();
    let output = executor.output(0).unwrap();
    let weights = random(output.len(), 77);
    output
        .iter()
        .zip(&weights)
        .map(|(&y, &w)| f64::from(y) * f64::from(w))
        .sum()
}

#[test]
fn gradients_against_differences() {
    let graph = everything();
    let output = graph.main().unwrap().outputs[0];
    for mode in [Mode::Training, Mode::Inference] {
        let mut executor = Executor::new(&graph).unwrap();
        let batch = 3;
        let x = random(batch * executor.input_len(0).unwrap(), 1);
        loss(&mut executor, &x, batch, mode);
        let seed = random(executor.output(0).unwrap().len(), 77);
        let gradients = executor.backward(&[(output, &seed)]).unwrap().to_vec();
        assert_eq!(gradients.len(), 6, "weights, biases, gamma and beta");
        for (index, gradient) in gradients.iter().enumerate() {
            assert!(
                gradient.iter().any(|&g| g != 0.0),
                "parameter {index} has no gradient"
            );
            for element in (0..gradient.len()).step_by(1 + gradient.len() / 12) {
                let mut moved = |step: f32| {
                    executor.parameters()[index]
                        .update(|values| values[element] += step)
                        .unwrap();
                    loss(&mut executor, &x, batch, mode)
                };
                let above = moved(2e-3);
                let below = moved(-4e-3);
                moved(2e-3);
                let numeric = (above - below) / 4e-3;
                let analytic = f64::from(gradient[element]);
                assert!(
                    (analytic - numeric).abs() < 2e-3 + 0.03 * numeric.abs(),
                    "{mode:?}, parameter {index}, element {element}: {analytic}, {numeric}"
                );
            }
        }
    }
}

#[test]
fn candle_tape_agrees() {
    use candle_core::{Device, Tensor};
    let graph = everything();
    let output = graph.main().unwrap().outputs[0];
    let mut executor = Executor::new(&graph).unwrap();
    let batch = 4;
    let x = random(batch * 72, 1);
    for mode in [Mode::Training, Mode::Inference] {
        // The tape first: a training pass moves the running averages.
        let input = Tensor::from_slice(&x, (batch, 6, 6, 2), &Device::Cpu).unwrap();
        let y = executor.on_tape(batch, &[input], mode).unwrap().remove(0);
        let seed = random(y.elem_count(), 77);
        let weights = Tensor::from_slice(&seed, y.shape(), &Device::Cpu).unwrap();
        let tape = (&y * weights)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();

        executor.forward(batch, &[&x], mode).unwrap();
        assert_eq!(
            executor.output(0).unwrap(),
            y.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
        let gradients = executor.backward(&[(output, &seed)]).unwrap().to_vec();
        for (parameter, gradient) in executor.parameters().iter().zip(&gradients) {
            let expected = tape.get(parameter.var()).expect("a gradient on the tape");
            let expected = expected.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (found, expected) in gradient.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{}: {found}, {expected}",
                    parameter.name()
                );
            }
        }
    }
}

#[test]
fn a_batch_is_its_samples() {
    let graph = everything();
    let mut executor = Executor::new(&graph).unwrap();
    let x = random(5 * 72, 3);
    executor.forward(5, &[&x], Mode::Inference).unwrap();
    let together = executor.output(0).unwrap().to_vec();
    let mut apart = Vec::new();
    for sample in x.chunks_exact(72) {
        executor.forward(1, &[sample], Mode::Inference).unwrap();
        apart.extend_from_slice(executor.output(0).unwrap());
    }
    assert_eq!(together, apart);
}

#[test]
fn weights_and_averages_return_to_the_graph() {
    let mut graph = everything();
    let before = graph.clone();
    let mut executor = Executor::new(&graph).unwrap();
    executor.write_to(&mut graph).unwrap();
    assert_eq!(graph, before);

    let x = random(2 * 72, 3);
    executor.forward(2, &[&x], Mode::Training).unwrap();
    for parameter in executor.parameters() {
        parameter
            .update(|values| values.iter_mut().for_each(|v| *v += 1.0))
            .unwrap();
    }
    executor.write_to(&mut graph).unwrap();
    for parameter in executor.parameters() {
        let (old, new) = (
            before.values::<f32>(parameter.tensor()),
            graph.values::<f32>(parameter.tensor()),
        );
        for (old, new) in old.unwrap().iter().zip(new.unwrap()) {
            assert_eq!(old + 1.0, new);
        }
    }
    let again = Executor::new(&graph).unwrap();
    assert_eq!(again.statistics(), executor.statistics());
    assert_ne!(
        executor.statistics(),
        Executor::new(&before).unwrap().statistics()
    );
}

/// Running averages move by the momentum, towards the moments of the batch.
#[test]
fn running_averages() {
    let mut net = GraphBuilder::new("norm");
    let x = net.input("x", &[1, 1], ElementType::Float32).unwrap();
    let one = |net: &mut GraphBuilder, name: &str, v: f32| net.constant(name, &[1], &[v]).unwrap();
    let operands = [
        x,
        one(&mut net, "gamma", 1.0),
        one(&mut net, "beta", 0.0),
        one(&mut net, "mean", 10.0),
        one(&mut net, "variance", 1.0),
    ];
    let y = net
        .node(
            "norm",
            Op::BatchNorm(BatchNormOptions::default()),
            &operands,
        )
        .unwrap();
    net.output(y);
    let mut executor = Executor::new(&net.finish().unwrap()).unwrap();
    executor
        .forward(2, &[&[1.0, 3.0]], Mode::Inference)
        .unwrap();
    assert_eq!(executor.statistics()[0].values, [10.0]);
    executor.forward(2, &[&[1.0, 3.0]], Mode::Training).unwrap();
    assert!((executor.statistics()[0].values[0] - (9.9 + 0.02)).abs() < 1e-5);
    assert!((executor.statistics()[1].values[0] - (0.99 + 0.01)).abs() < 1e-5);
}

fn refusal(graph: &Graph) -> String {
    let error = Executor::new(graph).unwrap_err();
    assert!(matches!(error, TrainError::Unsupported { .. }), "{error}");
    error.to_string()
}

#[test]
fn refusals_name_node_and_reason() {
    let mut graph = everything();
    graph.subgraphs[0].nodes[2].op = larun_graph::NodeOp::default();
    assert!(
        refusal(&graph).contains("operator 2 (BUILTIN 0, output `conv`)"),
        "{}",
        refusal(&graph)
    );

    let across = |op: Op, shape: &[usize], axes: Option<&[i32]>| {
        let mut net = GraphBuilder::new("across");
        let x = net.input("x", shape, ElementType::Float32).unwrap();
        let mut inputs = vec![x];
        if let Some(axes) = axes {
            inputs.push(net.constant("axes", &[axes.len()], axes).unwrap());
        }
        let y = net.node("y", op, &inputs).unwrap();
        net.output(y);
        net.finish().unwrap()
    };
    let mean = across(
        Op::Mean(ReducerOptions { keep_dims: false }),
        &[1, 4],
        Some(&[0]),
    );
    assert!(refusal(&mean).contains("axis 0"));
    // Joined along the axis of the samples, each sample is joined on its own.
    let join = Op::Concatenation(ConcatenationOptions {
        axis: 0,
        ..Default::default()
    });
    assert!(Executor::new(&across(join, &[1, 4], None)).is_ok());
    let sign = Op::Add(AddOptions {
        activation: Activation::SignBit,
        ..Default::default()
    });
    let mut net = GraphBuilder::new("sign");
    let x = net.input("x", &[1, 4], ElementType::Float32).unwrap();
    let y = net.node("sum", sign, &[x, x]).unwrap();
    net.output(y);
    let message = refusal(&net.finish().unwrap());
    assert!(
        message.contains("operator 0 (ADD, output `sum`)") && message.contains("SIGN_BIT"),
        "{message}"
    );
}

#[test]
fn wrong_lengths_are_named() {
    let mut executor = Executor::new(&everything()).unwrap();
    let error = executor
        .forward(2, &[&[0.0; 72]], Mode::Inference)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "input 0 of the graph: expected 144 values, got 72"
    );
    assert!(executor.forward(0, &[&[]], Mode::Inference).is_err());
    assert!(executor.backward(&[(TensorId(0), &[1.0])]).is_err());
    assert!(executor.backward(&[(TensorId(9999), &[1.0])]).is_err());
}

/// Each tensor draws from its own stream, within the limits of its fans.
#[test]
fn start_values() {
    let mut graph = networks::spectral(64, 6).unwrap();
    initialise(&mut graph, 1).unwrap();
    let executor = Executor::new(&graph).unwrap();
    let of = |name: &str| {
        executor
            .parameters()
            .iter()
            .find(|p| p.name() == name)
            .map(|p| p.values())
            .unwrap()
    };
    let weights = of("1_conv/weights");
    let limit = (6.0f32 / (7.0 * (1.0 + 8.0))).sqrt();
    assert!(weights.iter().all(|w| w.abs() <= limit));
    assert!(weights.iter().any(|w| w.abs() > 0.8 * limit));
    assert!(of("1_conv/bias").iter().all(|&b| b == 0.0));
    assert!(of("2_norm/gamma").iter().all(|&g| g == 1.0));
    assert!(executor.statistics()[1].values.iter().all(|&v| v == 1.0));
    let mut other = networks::spectral(64, 6).unwrap();
    initialise(&mut other, 2).unwrap();
    assert_ne!(graph, other);
}
