//! What is done for the quality of quantisation: the function stays, the error falls, the result is the same every time.

mod support;

use larun_graph::ops::{
    AbsOptions, Activation, AddOptions, BroadcastToOptions, Conv2DOptions, DepthwiseConv2DOptions,
    DequantizeOptions, ElementType, ExpandDimsOptions, FullyConnectedOptions, MulOptions,
    NegOptions, NoOptions, Op, OpKind, Padding, Pool2DOptions, QuantizeOptions as QuantizeNode,
    ReshapeOptions, ShapeOptions, TransposeOptions,
};
use larun_graph::{Graph, Node, NodeId, Quantization, TensorId};
use larun_passes::{
    Advice, Calibrator, ChannelStatistics, Effort, PassError, PostTraining, QuantizeOptions,
    Reconstruction, cancel_moves, correct_biases, diagnose, equalize_channels, equalize_weights,
    fold_constants, global_pools_to_means, negations_to_products, quantize_after_training,
    quantize_int8, reconstruct, simplify,
};
use larun_quant::rounding::{Descent, RoundingMethod};
use larun_quant::{Affine, IntegerRange, ObserverKind};
use proptest::prelude::*;
use support::{Net, branches, noise, prepared, run};

/// A residual network with depthwise filters, pads, pools and dense layers, channels of very different sizes.
fn uneven(seed: u32, activation: Activation) -> Graph {
    let mut net = Net::new(seed);
    let x = net
        .builder
        .input("x", &[1, 8, 8, 3], ElementType::Float32)
        .unwrap();
    let conv = Conv2DOptions {
        stride_h: 1,
        stride_w: 1,
        activation,
        ..Conv2DOptions::default()
    };
    let mut weights = noise(seed + 90, 8 * 27, 0.4);
    // Every channel has a size of its own.
    for (channel, filter) in weights.chunks_mut(27).enumerate() {
        filter
            .iter_mut()
            .for_each(|w| *w *= 1.0 / (1.0 + channel as f32));
    }
    let w = net.builder.constant("w1", &[8, 3, 3, 3], &weights).unwrap();
    let b = net.constant("b1", &[8], 0.3);
    let y = net
        .builder
        .node("conv1", Op::Conv2D(conv), &[x, w, b])
        .unwrap();
    let (w, b) = (
        net.constant("w2", &[1, 3, 3, 8], 0.5),
        net.constant("b2", &[8], 0.2),
    );
    let depthwise = DepthwiseConv2DOptions {
        stride_h: 1,
        stride_w: 1,
        depth_multiplier: 1,
        activation,
        ..DepthwiseConv2DOptions::default()
    };
    let z = net
        .builder
        .node("depthwise", Op::DepthwiseConv2D(depthwise), &[y, w, b])
        .unwrap();
    let w = net.constant("w3", &[8, 1, 1, 8], 0.5);
    let plain = Conv2DOptions {
        activation: Activation::None,
        ..conv
    };
    let z = net
        .builder
        .node("pointwise", Op::Conv2D(plain), &[z, w])
        .unwrap();
    let sum = AddOptions {
        activation,
        ..AddOptions::default()
    };
    let y = net.builder.node("sum", Op::Add(sum), &[y, z]).unwrap();
    let pool = Pool2DOptions {
        padding: Padding::Valid,
        stride_h: 8,
        stride_w: 8,
        filter_h: 8,
        filter_w: 8,
        activation: Activation::None,
    };
    let y = net
        .builder
        .node("pool", Op::AveragePool2D(pool), &[y])
        .unwrap();
    let shape = net.builder.constant("shape", &[2], &[1i32, 8]).unwrap();
    let y = net
        .builder
        .node("flat", Op::Reshape(ReshapeOptions::default()), &[y, shape])
        .unwrap();
    let (w, b) = (
        net.constant("w4", &[5, 8], 1.0),
        net.constant("b4", &[5], 0.2),
    );
    let y = net
        .builder
        .node(
            "dense",
            Op::FullyConnected(FullyConnectedOptions::default()),
            &[y, w, b],
        )
        .unwrap();
    net.builder.output(y);
    net.builder.finish().unwrap()
}

fn samples(seed: u32, count: u32) -> Vec<Vec<f32>> {
    (0..count)
        .map(|i| noise(seed * 1_000 + i, 8 * 8 * 3, 1.0))
        .collect()
}

fn as_slices(samples: &[Vec<f32>]) -> Vec<Vec<&[f32]>> {
    samples
        .iter()
        .map(|sample| vec![sample.as_slice()])
        .collect()
}

fn assert_near(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= tolerance * largest, "{f}, expected {e}");
    }
}

/// Mean square of the difference of an INT8 graph's outputs from a float graph's.
fn noise_of(float: &Graph, integer: &Graph, samples: &[Vec<f32>]) -> f64 {
    let subgraph = integer.main().unwrap();
    let affine = |id: TensorId| {
        let tensor = subgraph.tensor(id).unwrap();
        tensor
            .quantization
            .as_ref()
            .unwrap()
            .as_per_tensor()
            .unwrap()
    };
    let (input, output) = (affine(subgraph.inputs[0]), affine(subgraph.outputs[0]));
    let mut sum = 0.0;
    for sample in samples {
        let expected = run(float, sample);
        let found = support::run_int8(integer, &input.quantize_to_vec_i8(sample).unwrap());
        for (e, f) in expected.iter().zip(output.dequantize_to_vec_i8(&found)) {
            sum += f64::from(e - f).powi(2);
        }
    }
    sum / samples.len() as f64
}

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
    fn equalised_weights_compute_the_same(seed in 0u32..1_000, relu: bool) {
        let activation = if relu { Activation::Relu } else { Activation::None };
        let graph = uneven(seed, activation);
        let equal = equalize_weights(graph.clone()).unwrap();
        prop_assert!(equal != graph);
        let x = noise(seed, 8 * 8 * 3, 1.0);
        assert_near(&run(&equal, &x), &run(&graph, &x), 1e-5);
    }

    #[test]
    fn equalised_channels_compute_the_same(seed in 0u32..1_000) {
        let graph = uneven(seed, Activation::Relu);
        let data = samples(seed, 8);
        let statistics = ChannelStatistics::of(&graph, as_slices(&data)).unwrap();
        let equal = equalize_channels(graph.clone(), &statistics).unwrap();
        // Beyond what was seen too.
        let x = noise(seed + 7, 8 * 8 * 3, 3.0);
        assert_near(&run(&equal, &x), &run(&graph, &x), 1e-5);
    }

    #[test]
    fn below_relu6_nothing_that_was_seen_changes(seed in 0u32..1_000) {
        let graph = uneven(seed, Activation::Relu6);
        let data = samples(seed, 8);
        let statistics = ChannelStatistics::of(&graph, as_slices(&data)).unwrap();
        let equal = equalize_channels(graph.clone(), &statistics).unwrap();
        for x in &data {
            assert_near(&run(&equal, x), &run(&graph, x), 1e-5);
        }
        // Weights alone do not say what is cut off.
        let x = noise(seed + 7, 8 * 8 * 3, 30.0);
        assert_near(&run(&equalize_weights(graph.clone()).unwrap(), &x), &run(&graph, &x), 1e-5);
    }

    #[test]
    fn simplified_graphs_compute_the_same(seed in 0u32..1_000) {
        for graph in [uneven(seed, Activation::Relu), branches(seed)] {
            let simple = simplify(graph.clone()).unwrap();
            let x = noise(seed, 8 * 8 * 3, 1.0);
            let before = run(&larun_passes::fold_batch_norm(graph).unwrap(), &x);
            assert_near(&run(&simple, &x), &before, 1e-5);
        }
    }

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
fn channels_that_share_a_scale_are_quantised_better_when_equalised() {
    let graph = uneven(3, Activation::Relu);
    let data = samples(3, 32);
    let statistics = ChannelStatistics::of(&graph, as_slices(&data)).unwrap();
    let equal = equalize_channels(graph.clone(), &statistics).unwrap();
    let quantized = |graph: &Graph| {
        let mut calibrator = Calibrator::new(graph).unwrap();
        calibrator.observe(as_slices(&data)).unwrap();
        let ranges = calibrator.finish().unwrap();
        quantize_int8(graph.clone(), &ranges, &QuantizeOptions::default()).unwrap()
    };
    let (plain, equalised) = (quantized(&graph), quantized(&equal));
    assert!(noise_of(&graph, &equalised, &data) < noise_of(&graph, &plain, &data));
}

#[test]
fn corrected_biases_and_rounded_weights_leave_less_error() {
    let (mut plain, mut corrected, mut rounded) = (0.0, 0.0, 0.0);
    for seed in 0..6 {
        let graph = simplify(uneven(seed, Activation::Relu)).unwrap();
        let data = samples(seed, 32);
        let mut calibrator = Calibrator::new(&graph).unwrap();
        calibrator.observe(as_slices(&data)).unwrap();
        let ranges = calibrator.finish().unwrap();
        let integer = quantize_int8(graph.clone(), &ranges, &QuantizeOptions::default()).unwrap();
        let slices = as_slices(&data);
        plain += noise_of(&graph, &integer, &data);
        let with_bias = correct_biases(&graph, integer.clone(), &slices, |_, _| ()).unwrap();
        corrected += noise_of(&graph, &with_bias, &data);
        let options = Reconstruction {
            rounding: Some(RoundingMethod::Descent(Descent::default())),
            ..Reconstruction::default()
        };
        let both = reconstruct(&graph, integer, &slices, &options, |_, _| ()).unwrap();
        both.validate().unwrap();
        rounded += noise_of(&graph, &both, &data);
    }
    assert!(corrected < plain, "{corrected}, {plain} without");
    assert!(rounded < corrected, "{rounded}, {corrected} without");
}

#[test]
fn a_bias_takes_back_the_mean_error_of_its_layer() {
    let graph = simplify(uneven(11, Activation::None)).unwrap();
    let data = samples(11, 32);
    let mut calibrator = Calibrator::new(&graph).unwrap();
    calibrator.observe(as_slices(&data)).unwrap();
    let ranges = calibrator.finish().unwrap();
    let mut integer = quantize_int8(graph.clone(), &ranges, &QuantizeOptions::default()).unwrap();
    // The bias of the last layer is spoilt.
    let node = integer.main().unwrap().nodes.last().unwrap().clone();
    let bias = node.input(2).unwrap();
    let good = integer.values::<i32>(bias).unwrap();
    let bad: Vec<i32> = good.iter().map(|b| b + 500).collect();
    integer.set_values(bias, &bad).unwrap();
    let corrected = correct_biases(&graph, integer, &as_slices(&data), |_, _| ()).unwrap();
    for (found, expected) in corrected.values::<i32>(bias).unwrap().iter().zip(&good) {
        assert!(
            (found - expected).abs() < 100,
            "{found}, expected {expected}"
        );
    }
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

#[test]
fn more_effort_leaves_no_more_noise_on_the_samples() {
    let graph = uneven(5, Activation::Relu);
    let data = samples(5, 24);
    let noise = |effort| {
        let options = PostTraining {
            effort,
            ..PostTraining::default()
        };
        let mut last = 0;
        let progress = |done: usize, total: usize| {
            assert!(done >= last && done <= total);
            last = done;
        };
        let slices = as_slices(&data);
        let done = quantize_after_training(graph.clone(), &slices, &options, progress).unwrap();
        noise_of(&graph, &done.quantized.graph, &data)
    };
    let [plain, default, best] = [Effort::Plain, Effort::Default, Effort::Best].map(noise);
    assert!(
        default <= plain && best <= default,
        "{plain}, {default}, {best}"
    );
}

#[test]
fn the_result_is_the_same_at_any_number_of_threads() {
    let graph = branches(2);
    let data = samples(2, 40);
    let quantised = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let options = PostTraining {
            effort: Effort::Best,
            ..PostTraining::default()
        };
        pool.install(|| {
            let slices = as_slices(&data);
            let done = quantize_after_training(graph.clone(), &slices, &options, |_, _| ());
            larun_tflite::write(&done.unwrap().quantized.graph).unwrap()
        })
    };
    assert!(quantised(1) == quantised(3));
}

#[test]
fn observers_choose_ranges() {
    let graph = prepared(4);
    let mut data = samples(4, 20);
    data[7][0] = 40.0;
    let range = |kind| {
        let mut calibrator = Calibrator::with_observer(&graph, kind, IntegerRange::INT8).unwrap();
        calibrator.observe(as_slices(&data)).unwrap();
        let calibration = calibrator.finish().unwrap();
        calibration.range(graph.main().unwrap().inputs[0]).unwrap()
    };
    assert_eq!(range(ObserverKind::MinMax).1, 40.0);
    for kind in ObserverKind::ALL.into_iter().skip(1) {
        let kind = match kind {
            // Of 3,840 values, one is more than a ten-thousandth.
            ObserverKind::Percentile(_) => ObserverKind::Percentile(99.0),
            other => other,
        };
        let (min, max) = range(kind);
        assert!(min >= -1.0 && max < 40.0, "{kind}: {min} to {max}");
    }
}

#[test]
fn no_samples_are_an_error() {
    let done = quantize_after_training(prepared(1), &[], &PostTraining::default(), |_, _| ());
    assert!(matches!(done, Err(PassError::NoSamples)));
}

#[test]
fn a_spoilt_layer_is_not_named_by_another_id() {
    // Bias correction finds layers by name: a graph that shares none with the float graph stays as it is.
    let graph = simplify(uneven(1, Activation::Relu)).unwrap();
    let data = samples(1, 8);
    let mut calibrator = Calibrator::new(&graph).unwrap();
    calibrator.observe(as_slices(&data)).unwrap();
    let ranges = calibrator.finish().unwrap();
    let mut integer = quantize_int8(graph.clone(), &ranges, &QuantizeOptions::default()).unwrap();
    for tensor in &mut integer.main_mut().unwrap().tensors {
        tensor.name.push_str("/other");
    }
    let same = correct_biases(&graph, integer.clone(), &as_slices(&data), |_, _| ()).unwrap();
    assert!(same == integer);
    assert!(integer.main().unwrap().node(NodeId::new(0)).is_some());
}

#[test]
fn a_diagnosis_names_the_layer_that_collapses_and_what_helps() {
    let graph = simplify(uneven(8, Activation::None)).unwrap();
    let data = samples(8, 16);
    let slices = as_slices(&data);
    let mut calibrator = Calibrator::new(&graph).unwrap();
    calibrator.observe(slices.iter().cloned()).unwrap();
    let mut ranges = calibrator.finish().unwrap();
    let find = |name: &str| {
        let tensors = &graph.main().unwrap().tensors;
        TensorId::new(tensors.iter().position(|t| t.name == name).unwrap())
    };
    let quantised = |ranges: &larun_passes::Calibration| {
        let integer = quantize_int8(graph.clone(), ranges, &QuantizeOptions::default()).unwrap();
        diagnose(&graph, &integer, &slices).unwrap()
    };
    let sound = quantised(&ranges);
    assert_eq!(sound.collapse, None);
    assert!(
        sound.layers.iter().all(|layer| layer.sqnr_db > 20.0),
        "{sound:?}"
    );

    let (min, max) = ranges.range(find("depthwise")).unwrap();
    ranges
        .set_range(find("depthwise"), min / 50.0, max / 50.0)
        .unwrap();
    let narrow = quantised(&ranges);
    let collapsed = &narrow.layers[narrow.collapse.unwrap()];
    assert_eq!(collapsed.name, "depthwise");
    assert!(matches!(collapsed.advice, Some(Advice::RangeTooNarrow { part }) if part > 0.5));

    ranges
        .set_range(find("depthwise"), min * 100.0, max * 100.0)
        .unwrap();
    let wide = quantised(&ranges);
    let depthwise = wide
        .layers
        .iter()
        .find(|layer| layer.name == "depthwise")
        .unwrap();
    assert!(matches!(depthwise.advice, Some(Advice::RangeTooWide { times }) if times > 100.0));
}

#[test]
fn a_diagnosis_names_an_outlier_channel() {
    let mut net = Net::new(2);
    let x = net
        .builder
        .input("x", &[1, 4, 4, 8], ElementType::Float32)
        .unwrap();
    let mut weights = noise(3, 64, 0.5);
    weights[5 * 8..6 * 8].iter_mut().for_each(|w| *w *= 40.0);
    let w = net.builder.constant("w", &[8, 1, 1, 8], &weights).unwrap();
    let y = net
        .builder
        .node("y", Op::Conv2D(support::stride_one()), &[x, w])
        .unwrap();
    net.builder.output(y);
    let graph = net.builder.finish().unwrap();
    let data: Vec<_> = (0..8).map(|i| noise(i, 128, 1.0)).collect();
    let mut calibrator = Calibrator::new(&graph).unwrap();
    calibrator.observe(as_slices(&data)).unwrap();
    let ranges = calibrator.finish().unwrap();
    let integer = quantize_int8(graph.clone(), &ranges, &QuantizeOptions::default()).unwrap();
    let found = diagnose(&graph, &integer, &as_slices(&data)).unwrap();
    let advice = found.layers[0].advice;
    assert!(
        matches!(advice, Some(Advice::OutlierChannel { channel: 5, .. })),
        "{advice:?}"
    );
}
