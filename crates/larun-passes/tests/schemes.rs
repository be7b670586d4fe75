//! Every scheme on a network with every quantisation rule, mixed types, states, and what is refused.

mod support;

use larun_graph::ops::{
    Activation, AddOptions, DivOptions, ElementType, FullyConnectedOptions, NoOptions, Op, OpKind,
    PackOptions, SelectOptions, SvdfOptions, UnidirectionalSequenceLstmOptions, UnpackOptions,
};
use larun_graph::{Graph, GraphBuilder, Node, NodeId, Tensor, TensorId};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};
use larun_passes::{
    Activations, Border, Calibration, Calibrator, DenseWeights, Granularity, LayerScheme,
    PassError, QuantizeOptions, QuantizedGraph, RoundToNearest, Scheme, Unsupported, Weights,
    constant_values, quantize,
};
use support::{Net, calibrate, noise, prepared, run};

fn quantized(
    float: &Graph,
    calibration: &Calibration,
    options: &QuantizeOptions,
) -> QuantizedGraph {
    quantize(float.clone(), calibration, options, &RoundToNearest).unwrap()
}

fn with_float_border(scheme: Scheme) -> QuantizeOptions {
    QuantizeOptions {
        scheme,
        border: Border::Float,
        ..QuantizeOptions::default()
    }
}

fn kinds(graph: &Graph) -> Vec<OpKind> {
    let nodes = &graph.main().unwrap().nodes;
    nodes.iter().filter_map(Node::kind).collect()
}

fn tensor<'g>(graph: &'g Graph, name: &str) -> &'g Tensor {
    let tensors = &graph.main().unwrap().tensors;
    let found = tensors.iter().find(|t| t.name == name);
    found.unwrap_or_else(|| panic!("no tensor {name}"))
}

fn sqnr(expected: &[f32], found: &[f32]) -> f64 {
    larun_quant::measure::sqnr_db(expected, found).unwrap()
}

/// Signal to noise in decibels over a few samples of the network of every rule.
fn quality(float: &Graph, graph: &Graph) -> f64 {
    let outputs = |graph: &Graph| -> Vec<f32> {
        (0..10)
            .flat_map(|i| run(graph, &noise(i + 99, 192, 1.0)))
            .collect()
    };
    sqnr(&outputs(float), &outputs(graph))
}

#[test]
fn schemes_are_as_good_as_their_bits() {
    let float = prepared(4);
    let calibration = calibrate(&float, 20);
    for (scheme, least) in [
        (Scheme::Int8, 25.0),
        (Scheme::Int16x8, 30.0),
        (Scheme::Int4, 12.0),
        (Scheme::Binary, 0.0),
        (Scheme::Dynamic, 30.0),
        (Scheme::WeightOnly8, 30.0),
        (Scheme::WeightOnly4, 12.0),
        (Scheme::Float16, 60.0),
    ] {
        let integer = quantized(&float, &calibration, &with_float_border(scheme));
        let found = quality(&float, &integer.graph);
        assert!(found > least, "{scheme}: {found} dB");
    }
}

#[test]
fn files_shrink_with_the_bits_of_weights() {
    let mut net = Net::new(1);
    let x = net
        .builder
        .input("x", &[1, 64], ElementType::Float32)
        .unwrap();
    let (w, b) = (
        net.constant("w", &[64, 64], 0.3),
        net.constant("b", &[64], 0.3),
    );
    let dense = Op::FullyConnected(FullyConnectedOptions::default());
    let mut y = net.builder.node("first", dense, &[x, w, b]).unwrap();
    for name in ["second", "third"] {
        let w = net.constant(name, &[64, 64], 0.3);
        y = net.builder.node(name, dense, &[y, w, b]).unwrap();
    }
    net.builder.output(y);
    let float = net.builder.finish().unwrap();
    let mut calibrator = Calibrator::new(&float).unwrap();
    calibrator
        .observe([vec![noise(3, 64, 1.0).as_slice()]])
        .unwrap();
    let calibration = calibrator.finish().unwrap();
    let size = |scheme| {
        // Scales for every output would be a good part of so small a file.
        let options = QuantizeOptions {
            dense: DenseWeights::PerTensor,
            ..with_float_border(scheme)
        };
        let graph = quantized(&float, &calibration, &options).graph;
        larun_tflite::write(&graph).unwrap().len()
    };
    let weights = 3 * 64 * 64;
    let sizes = [Scheme::Float16, Scheme::Int8, Scheme::Int4].map(size);
    for (found, bits) in sizes.into_iter().zip([16, 8, 4]) {
        let of_weights = weights * bits / 8;
        assert!(
            (of_weights..of_weights + 4096).contains(&found),
            "{bits} bits: {found}"
        );
    }
    // The first and the last layer keep eight bits.
    let binary = size(Scheme::Binary);
    let of_weights = weights / 3 * 17 / 8;
    assert!(
        (of_weights..of_weights + 4096).contains(&binary),
        "binary: {binary}"
    );
}

#[test]
fn int16_activations_are_symmetric_and_biases_wide() {
    let float = prepared(2);
    let calibration = calibrate(&float, 10);
    let options = QuantizeOptions {
        scheme: Scheme::Int16x8,
        ..QuantizeOptions::default()
    };
    let QuantizedGraph { graph, decisions } = quantized(&float, &calibration, &options);
    assert!(
        decisions
            .iter()
            .all(|d| d.scheme.activations == Activations::Int16)
    );
    let subgraph = graph.main().unwrap();
    for node in &subgraph.nodes {
        let output = subgraph.tensor(node.outputs[0]).unwrap();
        assert_eq!(output.element_type, ElementType::Int16);
        assert_eq!(output.quantization.as_ref().unwrap().zero_point, [0]);
        if node.kind() == Some(OpKind::Conv2D) {
            let bias = subgraph.tensor(node.input(2).unwrap()).unwrap();
            assert_eq!(bias.element_type, ElementType::Int64);
        }
        if let Some(Op::Add(options)) = node.known() {
            assert!(!options.pot_scale_int16);
        }
    }
    for name in ["gate", "out"] {
        let parameters = tensor(&graph, name).quantization.clone().unwrap();
        assert_eq!(parameters.scale, [1.0 / 32768.0], "{name}");
    }
}

#[test]
fn conversions_stand_exactly_where_neighbours_differ() {
    let float = prepared(5);
    let calibration = calibrate(&float, 10);
    let nodes = float.main().unwrap().nodes.len();
    for changed in 0..nodes {
        for activations in [Activations::Float32, Activations::Int16] {
            let mut layers = vec![None; nodes];
            layers[changed] = Some(LayerScheme {
                activations,
                weights: match activations {
                    Activations::Float32 => Weights::Float32,
                    _ => Weights::Int8,
                },
                ..LayerScheme::FLOAT
            });
            let options = QuantizeOptions {
                layers,
                ..with_float_border(Scheme::Int8)
            };
            let graph = quantized(&float, &calibration, &options).graph;
            let found = quality(&float, &graph);
            assert!(found > 20.0, "node {changed} {activations:?}: {found} dB");
            assert_eq!(conversions_that_do_nothing(&graph), 0);
        }
    }
}

/// QUANTIZE and DEQUANTIZE that undo another, or that give what is there already.
fn conversions_that_do_nothing(graph: &Graph) -> usize {
    let subgraph = graph.main().unwrap();
    let producers = subgraph.producers();
    let nodes = subgraph.nodes.iter();
    let conversions =
        nodes.filter(|node| matches!(node.kind(), Some(OpKind::Quantize | OpKind::Dequantize)));
    let useless = conversions.filter(|node| {
        let source = node.input(0).unwrap();
        let from = producers[source.index()].and_then(|id| subgraph.node(id));
        let (a, b) = (
            subgraph.tensor(source).unwrap(),
            subgraph.tensor(node.outputs[0]).unwrap(),
        );
        let undoes = from.and_then(Node::kind) == Some(OpKind::Dequantize);
        let same = a.element_type == b.element_type && a.quantization == b.quantization;
        undoes || same
    });
    useless.count()
}

#[test]
fn one_conversion_serves_every_reader() {
    let mut net = Net::new(9);
    let x = net
        .builder
        .input("x", &[1, 8], ElementType::Float32)
        .unwrap();
    let add = Op::Add(AddOptions::default());
    let a = net.builder.node("a", add, &[x, x]).unwrap();
    let b = net.builder.node("b", Op::Relu(NoOptions {}), &[x]).unwrap();
    let c = net.builder.node("c", add, &[a, b]).unwrap();
    net.builder.output(c);
    let float = net.builder.finish().unwrap();
    let calibration = calibrated(&float, 8);
    let graph = quantized(&float, &calibration, &with_float_border(Scheme::Int8)).graph;
    let found = kinds(&graph);
    assert_eq!(
        found,
        [
            OpKind::Quantize,
            OpKind::Add,
            OpKind::Relu,
            OpKind::Add,
            OpKind::Dequantize
        ]
    );
}

fn calibrated(float: &Graph, len: usize) -> Calibration {
    let mut calibrator = Calibrator::new(float).unwrap();
    let samples: Vec<_> = (0..20).map(|i| noise(i + 5, len, 1.0)).collect();
    calibrator
        .observe(samples.iter().map(|sample| vec![sample.as_slice()]))
        .unwrap();
    calibrator.finish().unwrap()
}

/// A division between two sums.
fn with_division() -> Graph {
    let mut net = Net::new(11);
    let x = net
        .builder
        .input("x", &[1, 8], ElementType::Float32)
        .unwrap();
    let two = net.builder.constant("two", &[1], &[2.0f32]).unwrap();
    let add = Op::Add(AddOptions::default());
    let a = net.builder.node("a", add, &[x, two]).unwrap();
    let divide = Op::Div(DivOptions {
        activation: Activation::None,
    });
    let b = net.builder.node("b", divide, &[x, a]).unwrap();
    let c = net.builder.node("c", add, &[a, b]).unwrap();
    net.builder.output(c);
    net.builder.finish().unwrap()
}

#[test]
fn what_has_no_integer_form_is_refused_by_name_or_left_float() {
    let float = with_division();
    let calibration = calibrated(&float, 8);
    let options = with_float_border(Scheme::Int8);
    let error = quantize(float.clone(), &calibration, &options, &RoundToNearest).unwrap_err();
    assert!(
        error.to_string().contains("operator 1 (DIV, output `b`)"),
        "{error}"
    );

    let options = QuantizeOptions {
        unsupported: Unsupported::LeaveFloat,
        ..options
    };
    let QuantizedGraph { graph, decisions } = quantized(&float, &calibration, &options);
    assert_eq!(
        kinds(&graph),
        [
            OpKind::Quantize,
            OpKind::Add,
            OpKind::Dequantize,
            OpKind::Div,
            OpKind::Quantize,
            OpKind::Add,
            OpKind::Dequantize
        ]
    );
    assert!(decisions[1].left_float.is_some() && decisions[0].left_float.is_none());
    let input = noise(5, 8, 1.0);
    assert!(sqnr(&run(&float, &input), &run(&graph, &input)) > 30.0);
}

#[test]
fn operands_that_must_agree_share_one_scale() {
    let mut net = Net::new(12);
    let x = net
        .builder
        .input("x", &[2, 8], ElementType::Float32)
        .unwrap();
    let unpack = Op::Unpack(UnpackOptions { num: 2, axis: 0 });
    let parts = net
        .builder
        .node_with_outputs("parts", unpack, &[x], 2)
        .unwrap();
    let small = net
        .builder
        .node("small", Op::Logistic(NoOptions {}), &[parts[0]])
        .unwrap();
    let pack = Op::Pack(PackOptions {
        values_count: 2,
        axis: 0,
    });
    let both = net.builder.node("both", pack, &[small, parts[1]]).unwrap();
    net.builder.output(both);
    let float = net.builder.finish().unwrap();
    let calibration = calibrated(&float, 16);
    let graph = quantized(&float, &calibration, &QuantizeOptions::default()).graph;
    let parameters = |name: &str| tensor(&graph, name).quantization.clone();
    assert_eq!(parameters("x"), parameters("parts:0"));
    assert_eq!(parameters("both"), parameters("parts:1"));
    assert_eq!(parameters("both"), parameters("small/requantized"));
    assert_eq!(parameters("small").unwrap().scale, [1.0 / 256.0]);
}

#[test]
fn values_of_one_fixed_scale_are_joined_without_a_conversion() {
    let mut net = Net::new(13);
    let x = net
        .builder
        .input("x", &[1, 8], ElementType::Float32)
        .unwrap();
    let a = net
        .builder
        .node("a", Op::Logistic(NoOptions {}), &[x])
        .unwrap();
    let b = net
        .builder
        .node("b", Op::Logistic(NoOptions {}), &[a])
        .unwrap();
    let maximum = Op::Maximum(Default::default());
    let c = net.builder.node("c", maximum, &[a, b]).unwrap();
    net.builder.output(c);
    let float = net.builder.finish().unwrap();
    let calibration = calibrated(&float, 8);
    let graph = quantized(&float, &calibration, &QuantizeOptions::default()).graph;
    assert_eq!(
        kinds(&graph),
        [OpKind::Logistic, OpKind::Logistic, OpKind::Maximum]
    );
    assert_eq!(
        tensor(&graph, "c").quantization.clone().unwrap().scale,
        [1.0 / 256.0]
    );
}

#[test]
fn a_range_of_zero_costs_its_neighbours_nothing() {
    let mut net = Net::new(14);
    let x = net
        .builder
        .input("x", &[1, 8], ElementType::Float32)
        .unwrap();
    let nothing = net.builder.constant("nothing", &[8], &[0.0f32; 8]).unwrap();
    let small = net.builder.constant("small", &[1], &[1.0e-5f32]).unwrap();
    let scaled = Op::Mul(Default::default());
    let scaled = net.builder.node("scaled", scaled, &[x, small]).unwrap();
    let subtract = Op::Sub(Default::default());
    let y = net.builder.node("y", subtract, &[nothing, scaled]).unwrap();
    net.builder.output(y);
    let float = net.builder.finish().unwrap();
    let calibration = calibrated(&float, 8);
    for (scheme, least) in [(Scheme::Int8, 35.0), (Scheme::Int16x8, 75.0)] {
        let graph = quantized(&float, &calibration, &with_float_border(scheme)).graph;
        let input = noise(5, 8, 1.0);
        let found = sqnr(&run(&float, &input), &run(&graph, &input));
        assert!(found > least, "{scheme}: {found} dB");
    }
}

#[test]
fn small_differences_of_large_numbers_run() {
    let mut net = Net::new(16);
    let x = net
        .builder
        .input("x", &[1, 8], ElementType::Float32)
        .unwrap();
    let constant =
        |net: &mut Net, name: &str, value: f32| net.builder.constant(name, &[1], &[value]).unwrap();
    let far = constant(&mut net, "far", 1.0e6);
    let near = constant(&mut net, "near", 1.0e6 - 1.0);
    let nothing = constant(&mut net, "tiny", 1.0e-6);
    let subtract = Op::Sub(Default::default());
    let one = net.builder.node("one", subtract, &[far, near]).unwrap();
    let squared = Op::SquaredDifference(Default::default());
    let one_too = net.builder.node("one too", squared, &[far, near]).unwrap();
    let add = Op::Add(AddOptions::default());
    let sum = net.builder.node("sum", add, &[one, one_too]).unwrap();
    let scaled = Op::Mul(Default::default());
    let scaled = net.builder.node("scaled", scaled, &[x, nothing]).unwrap();
    let y = net.builder.node("y", add, &[sum, scaled]).unwrap();
    net.builder.output(y);
    let float = net.builder.finish().unwrap();
    let calibration = calibrated(&float, 8);
    // What is left of the values is nothing, but kernels take it.
    let graph = quantized(&float, &calibration, &with_float_border(Scheme::Int8)).graph;
    assert!(run(&graph, &noise(5, 8, 1.0)).iter().all(|y| y.is_finite()));
    let options = QuantizeOptions {
        unsupported: Unsupported::LeaveFloat,
        ..with_float_border(Scheme::Int16x8)
    };
    let graph = quantized(&float, &calibration, &options).graph;
    assert!(run(&graph, &noise(5, 8, 1.0)).iter().all(|y| y.is_finite()));
}

#[test]
fn values_that_never_change_are_named() {
    let mut net = Net::new(15);
    let x = net
        .builder
        .input("x", &[1, 8], ElementType::Float32)
        .unwrap();
    let relu = Op::Relu(NoOptions {});
    let y = net.builder.node("y", relu, &[x]).unwrap();
    net.builder.output(y);
    let float = net.builder.finish().unwrap();
    let mut calibrator = Calibrator::new(&float).unwrap();
    calibrator.observe([vec![&[-1.5f32; 8][..]]]).unwrap();
    let calibration = calibrator.finish().unwrap();
    let named: Vec<_> = constant_values(&float, &calibration)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(named, ["tensor 0 (`x`)", "tensor 1 (`y`)"]);
    // It works all the same.
    let graph = quantized(&float, &calibration, &with_float_border(Scheme::Int8)).graph;
    assert_eq!(run(&graph, &[-1.5; 8]), [0.0; 8]);
    let infinite = [f32::INFINITY; 8];
    let mut calibrator = Calibrator::new(&float).unwrap();
    let error = calibrator.observe([vec![infinite.as_slice()]]).unwrap_err();
    assert!(error.to_string().contains("`x`"), "{error}");
}

#[test]
fn weights_that_would_not_get_smaller_stay_real() {
    let float = prepared(6);
    let graph = quantized(
        &float,
        &Calibration::default(),
        &with_float_border(Scheme::Dynamic),
    );
    let layers = graph
        .decisions
        .iter()
        .filter(|d| d.scheme.weights == Weights::Int8);
    // Of three layers with weights, that with 8 filters of 8 weights is not worth its scales.
    assert_eq!(layers.count(), 2);
}

#[test]
fn dense_layers_have_as_many_scales_as_asked_for() {
    let float = prepared(6);
    let calibration = calibrate(&float, 4);
    for (dense, scales) in [(DenseWeights::PerTensor, 1), (DenseWeights::PerChannel, 5)] {
        let options = QuantizeOptions {
            dense,
            ..QuantizeOptions::default()
        };
        let graph = quantized(&float, &calibration, &options).graph;
        assert_eq!(
            tensor(&graph, "w3")
                .quantization
                .clone()
                .unwrap()
                .scale
                .len(),
            scales
        );
    }
    let nodes = float.main().unwrap().nodes.len();
    let per_tensor = LayerScheme {
        activations: Activations::Int8,
        weights: Weights::Int8,
        granularity: Some(Granularity::PerTensor),
        ..LayerScheme::FLOAT
    };
    let options = QuantizeOptions {
        layers: vec![Some(per_tensor); nodes],
        ..QuantizeOptions::default()
    };
    let graph = quantized(&float, &calibration, &options).graph;
    assert_eq!(
        tensor(&graph, "w1")
            .quantization
            .clone()
            .unwrap()
            .scale
            .len(),
        1
    );
}

/// An LSTM of six steps with four inputs and five units.
fn lstm() -> Graph {
    let (steps, inputs, units) = (6, 4, 5);
    let mut net = Net::new(21);
    let x = net
        .builder
        .input("x", &[1, steps, inputs], ElementType::Float32)
        .unwrap();
    let mut operands = vec![Some(x)];
    for gate in 0..4 {
        operands.push(Some(net.constant(
            &format!("w{gate}"),
            &[units, inputs],
            1.0,
        )));
    }
    for gate in 0..4 {
        operands.push(Some(net.constant(
            &format!("r{gate}"),
            &[units, units],
            0.7,
        )));
    }
    operands.extend([None; 3]);
    for gate in 0..4 {
        operands.push(Some(net.constant(&format!("b{gate}"), &[units], 0.5)));
    }
    operands.extend([None; 2]);
    net.builder.output(x);
    let mut graph = net.builder.finish().unwrap();
    let subgraph = graph.main_mut().unwrap();
    let mut add = |name: &str, shape: &[usize], is_variable| {
        subgraph.add_tensor(Tensor {
            name: name.to_owned(),
            shape: larun_graph::ops::Shape::new(shape).unwrap(),
            is_variable,
            ..Tensor::default()
        })
    };
    operands.extend([
        Some(add("h", &[1, units], true)),
        Some(add("c", &[1, units], true)),
    ]);
    operands.extend([None; 4]);
    let y = add("y", &[1, steps, units], false);
    let options = UnidirectionalSequenceLstmOptions {
        activation: Activation::Tanh,
        ..UnidirectionalSequenceLstmOptions::default()
    };
    subgraph.nodes.push(Node {
        inputs: operands,
        ..Node::new(Op::UnidirectionalSequenceLstm(options), &[], &[y])
    });
    subgraph.outputs = vec![y];
    graph.validate().unwrap();
    graph
}

/// A run of each sample from a cleared state.
fn run_reset(graph: &Graph, inputs: &[Vec<f32>]) -> Vec<f32> {
    let model = AlignedBytes::copy_of(&larun_tflite::write(graph).unwrap());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = Interpreter::new(&model, kernels::ALL, &mut arena).unwrap();
    let mut outputs = Vec::new();
    for input in inputs {
        interpreter.reset().unwrap();
        interpreter.set_input(0, input).unwrap();
        interpreter.invoke().unwrap();
        outputs.extend_from_slice(interpreter.output::<f32>(0).unwrap());
    }
    outputs
}

#[test]
fn an_lstm_is_quantised_with_its_states() {
    let float = lstm();
    let calibration = calibrated(&float, 24);
    let id = |name: &str| {
        let tensors = &float.main().unwrap().tensors;
        TensorId::new(tensors.iter().position(|t| t.name == name).unwrap())
    };
    // With gates in (0, 1) a cell of six steps stays within (-6, 6); with these weights it comes past 0.5.
    let (min, max) = calibration.range(id("c")).unwrap();
    assert!(min > -6.0 && max < 6.0 && max - min > 0.5, "{min} to {max}");

    let graph = quantized(&float, &calibration, &with_float_border(Scheme::Int8)).graph;
    let cell = tensor(&graph, "c");
    assert_eq!(cell.element_type, ElementType::Int16);
    let scale = cell.quantization.as_ref().unwrap().scale[0];
    assert_eq!(scale.log2().fract(), 0.0);
    assert!(scale * 32768.0 >= max.max(-min) && scale * 16384.0 < max.max(-min));
    assert_eq!(
        tensor(&graph, "h").quantization,
        tensor(&graph, "y/int8").quantization
    );
    let inputs: Vec<_> = (0..8).map(|i| noise(i + 5, 24, 1.0)).collect();
    let found = sqnr(&run_reset(&float, &inputs), &run_reset(&graph, &inputs));
    assert!(found > 25.0, "{found} dB");
}

#[test]
fn an_svdf_is_quantised_with_its_state() {
    let (inputs, units, rank, memory) = (6, 4, 2, 5);
    let filters = units * rank;
    let mut net = Net::new(31);
    let x = net
        .builder
        .input("x", &[1, inputs], ElementType::Float32)
        .unwrap();
    let feature = net.constant("feature", &[filters, inputs], 0.8);
    let time = net.constant("time", &[filters, memory], 0.8);
    net.builder.output(x);
    let mut float = net.builder.finish().unwrap();
    let subgraph = float.main_mut().unwrap();
    let mut add = |name: &str, shape: &[usize], is_variable| {
        subgraph.add_tensor(Tensor {
            name: name.to_owned(),
            shape: larun_graph::ops::Shape::new(shape).unwrap(),
            is_variable,
            ..Tensor::default()
        })
    };
    let state = add("state", &[1, filters * memory], true);
    let y = add("y", &[1, units], false);
    let options = SvdfOptions {
        rank: rank as i32,
        ..SvdfOptions::default()
    };
    subgraph.nodes.push(Node {
        inputs: vec![Some(x), Some(feature), Some(time), None, Some(state)],
        ..Node::new(Op::Svdf(options), &[], &[y])
    });
    subgraph.outputs = vec![y];
    float.validate().unwrap();

    let calibration = calibrated(&float, inputs);
    let graph = quantized(&float, &calibration, &with_float_border(Scheme::Int8)).graph;
    assert_eq!(tensor(&graph, "state").element_type, ElementType::Int16);
    assert_eq!(tensor(&graph, "time").element_type, ElementType::Int16);
    // A stream: the state is kept.
    let stream = |graph: &Graph| -> Vec<f32> {
        let model = AlignedBytes::copy_of(&larun_tflite::write(graph).unwrap());
        let mut arena = arena_for(&model, kernels::ALL).unwrap();
        let mut interpreter = Interpreter::new(&model, kernels::ALL, &mut arena).unwrap();
        let frame = |i: u32| {
            interpreter
                .set_input(0, &noise(i + 5, inputs, 1.0))
                .unwrap();
            interpreter.invoke().unwrap();
            interpreter.output::<f32>(0).unwrap().to_vec()
        };
        (0..12).flat_map(frame).collect()
    };
    let found = sqnr(&stream(&float), &stream(&graph));
    assert!(found > 25.0, "{found} dB");
}

#[test]
fn integer_tensors_are_not_touched() {
    let mut builder = GraphBuilder::new("select");
    let x = builder.input("x", &[1, 4], ElementType::Float32).unwrap();
    let condition = builder
        .input("condition", &[1, 4], ElementType::Bool)
        .unwrap();
    let zero = builder.constant("zero", &[1, 4], &[0.0f32; 4]).unwrap();
    let select = Op::Select(SelectOptions {});
    let y = builder.node("y", select, &[condition, x, zero]).unwrap();
    builder.output(y);
    let mut float = builder.finish().unwrap();
    float.main_mut().unwrap().tensors[y.index()].element_type = ElementType::Float32;
    // No sample: ranges come from elsewhere. The interpreter calibrates models of real inputs only.
    let error = quantize(
        float.clone(),
        &Calibration::default(),
        &QuantizeOptions::default(),
        &RoundToNearest,
    );
    assert!(matches!(error, Err(PassError::NotCalibrated { .. })));
    let half = quantized(
        &float,
        &Calibration::default(),
        &with_float_border(Scheme::Float16),
    );
    assert_eq!(
        tensor(&half.graph, "condition").element_type,
        ElementType::Bool
    );
    assert_eq!(
        tensor(&half.graph, "zero").element_type,
        ElementType::Float16
    );
    assert_eq!(half.decisions.len(), float.main().unwrap().nodes.len());
    assert_eq!(NodeId::new(0).index(), 0);
}
