//! Passes keep what a graph computes: exactly for folding and fusing, closely for quantisation.

mod support;

use larun_graph::ops::{
    DepthwiseConv2DOptions, ElementType, FullyConnectedOptions, NoOptions, Op, OpKind,
    TransposeConvOptions,
};
use larun_graph::{Graph, TensorId};
use larun_passes::{
    Border, Calibrator, DenseWeights, PassError, QuantizeOptions, RealWeights, WeightRounder,
    fold_batch_norm, fuse_activations, quantize, quantize_int8,
};
use proptest::prelude::*;
use support::{Net, branches, calibrate, noise, prepared, run, stride_one};

/// Batch normalisation as its definition has it, for the comparison.
fn normalized(graph: &Graph, x: &[f32]) -> Vec<f32> {
    let value = |name: &str| {
        let subgraph = graph.main().unwrap();
        let at = subgraph
            .tensors
            .iter()
            .position(|t| t.name == name)
            .unwrap();
        graph.values::<f32>(TensorId::new(at)).unwrap()
    };
    let (gamma, beta, mean, variance) = (
        value("gamma"),
        value("beta"),
        value("mean"),
        value("variance"),
    );
    let channels = gamma.len();
    let one = |(i, x): (usize, &f32)| {
        let c = i % channels;
        (x - mean[c]) / (variance[c] + 1e-3).sqrt() * gamma[c] + beta[c]
    };
    x.iter().enumerate().map(one).collect()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    let largest = expected.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= 2e-6 * largest,
            "value {i}: {f}, expected {e}"
        );
    }
    assert_eq!(found.len(), expected.len());
}

#[derive(Clone, Copy, Debug)]
enum Layer {
    Conv,
    Depthwise,
    Dense,
    Transposed,
    /// Nothing that could take the factors.
    None,
}

/// A layer without and with batch normalisation behind it.
fn layers(layer: Layer, seed: u32, bias: bool) -> (Graph, Graph) {
    let build = |with_norm: bool| {
        let mut net = Net::new(seed);
        let shape: &[usize] = if matches!(layer, Layer::Dense) {
            &[1, 12]
        } else {
            &[1, 4, 5, 3]
        };
        let x = net.builder.input("x", shape, ElementType::Float32).unwrap();
        let (op, weights): (_, &[usize]) = match layer {
            Layer::Conv => (Some(Op::Conv2D(stride_one())), &[6, 3, 3, 3]),
            Layer::Depthwise => {
                let options = DepthwiseConv2DOptions {
                    stride_h: 1,
                    stride_w: 1,
                    ..DepthwiseConv2DOptions::default()
                };
                (Some(Op::DepthwiseConv2D(options)), &[1, 3, 3, 6])
            }
            Layer::Dense => (
                Some(Op::FullyConnected(FullyConnectedOptions::default())),
                &[6, 12],
            ),
            Layer::Transposed => {
                let options = TransposeConvOptions {
                    stride_h: 1,
                    stride_w: 1,
                    ..TransposeConvOptions::default()
                };
                (Some(Op::TransposeConv(options)), &[6, 3, 3, 3])
            }
            Layer::None => (None, &[]),
        };
        let mut y = x;
        if let Some(op) = op {
            let mut inputs = vec![x, net.constant("weights", weights, 0.5)];
            if matches!(layer, Layer::Transposed) {
                // The shape of the output comes first, the input behind the weights.
                let shape = net.builder.constant("shape", &[4], &[1i32, 4, 5, 6]);
                inputs = vec![shape.unwrap(), inputs[1], x];
            }
            if bias {
                inputs.push(net.constant("bias", &[6], 0.5));
            }
            y = net.builder.node("layer", op, &inputs).unwrap();
        }
        if with_norm {
            let channels = net.builder.shape(y).unwrap().last();
            y = net.batch_norm(y, channels);
        } else if matches!(layer, Layer::None) {
            y = net
                .builder
                .node("same", Op::Relu6(NoOptions {}), &[y])
                .unwrap();
        }
        net.builder.output(y);
        net.builder.finish().unwrap()
    };
    (build(false), build(true))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn folding_keeps_the_function(
        seed in 0u32..1000, bias in any::<bool>(),
        layer in prop::sample::select(vec![Layer::Conv, Layer::Depthwise, Layer::Dense, Layer::Transposed])
    ) {
        let (bare, with_norm) = layers(layer, seed, bias);
        let input = noise(seed + 7, bare.main().unwrap().tensors[0].shape.elements().unwrap(), 2.0);
        let expected = normalized(&with_norm, &run(&bare, &input));
        let folded = fold_batch_norm(with_norm).unwrap();
        assert_close(&run(&folded, &input), &expected);
        prop_assert_eq!(folded.main().unwrap().nodes.len(), 1);
        let tensors = if matches!(layer, Layer::Transposed) { 5 } else { 4 };
        prop_assert_eq!(folded.main().unwrap().tensors.len(), tensors);
    }
}

#[test]
fn batch_norm_that_nothing_can_take_becomes_a_product_and_a_sum() {
    let (_, with_norm) = layers(Layer::None, 3, false);
    let input = noise(5, 60, 2.0);
    let expected = normalized(&with_norm, &input);
    let lowered = fold_batch_norm(with_norm).unwrap();
    assert_close(&run(&lowered, &input), &expected);
    let kinds: Vec<_> = lowered
        .main()
        .unwrap()
        .nodes
        .iter()
        .filter_map(|n| n.kind())
        .collect();
    assert_eq!(kinds, [OpKind::Mul, OpKind::Add]);
}

#[test]
fn fusing_keeps_the_function() {
    let folded = fold_batch_norm(branches(1)).unwrap();
    let fused = fuse_activations(folded.clone()).unwrap();
    let input = noise(4, 192, 1.0);
    assert_eq!(run(&fused, &input), run(&folded, &input));
    assert_eq!(
        fused.main().unwrap().nodes.len() + 1,
        folded.main().unwrap().nodes.len()
    );
    assert!(
        fused
            .main()
            .unwrap()
            .nodes
            .iter()
            .all(|n| n.kind() != Some(OpKind::Relu))
    );
}

#[test]
fn an_integer_model_is_close_to_its_float_model() {
    for seed in 0..8 {
        let float = prepared(seed * 31);
        let calibration = calibrate(&float, 20);
        let options = QuantizeOptions {
            border: Border::Float,
            ..QuantizeOptions::default()
        };
        let integer = quantize_int8(float.clone(), &calibration, &options).unwrap();
        for sample in 0..10 {
            let input = noise(sample + 99, 192, 1.0);
            let (expected, found) = (run(&float, &input), run(&integer, &input));
            let error = expected
                .iter()
                .zip(&found)
                .fold(0.0f32, |most, (e, f)| most.max((e - f).abs()));
            assert!(
                error < 0.03,
                "seed {seed}: probabilities {found:?}, expected {expected:?}"
            );
        }
    }
}

#[test]
fn parameters_follow_the_specification() {
    let float = prepared(2);
    let calibration = calibrate(&float, 10);
    let graph = quantize_int8(float, &calibration, &QuantizeOptions::default()).unwrap();
    let subgraph = graph.main().unwrap();
    let parameters = |name: &str| {
        let tensor = subgraph.tensors.iter().find(|t| t.name == name).unwrap();
        tensor
            .quantization
            .clone()
            .unwrap()
            .as_per_tensor()
            .unwrap()
    };
    assert_eq!(
        (parameters("gate").scale, parameters("gate").zero_point),
        (1.0 / 256.0, -128)
    );
    assert_eq!(
        (parameters("out").scale, parameters("out").zero_point),
        (1.0 / 256.0, -128)
    );
    assert_eq!(parameters("joined"), parameters("sum"));
    assert_eq!(parameters("joined"), parameters("gate/requantized"));
    assert_eq!(parameters("joined"), parameters("pooled"));
    for node in &subgraph.nodes {
        let kind = node.kind().unwrap();
        assert_eq!(
            Some(node.version),
            kind.info().int8_version.or(Some(1)),
            "{kind}"
        );
        if matches!(kind, OpKind::Conv2D) {
            let weights = subgraph.tensor(node.input(1).unwrap()).unwrap();
            assert_eq!(weights.quantization.as_ref().unwrap().scale.len(), 8);
            let bias = subgraph.tensor(node.input(2).unwrap()).unwrap();
            assert_eq!(bias.element_type, ElementType::Int32);
        }
    }
    let is_integer = |t: &larun_graph::Tensor| t.element_type != ElementType::Float32;
    assert!(subgraph.tensors.iter().all(is_integer));
}

/// Rounds towards zero, and only the layer `logits`.
struct TowardsZero(TensorId);

impl WeightRounder for TowardsZero {
    fn round(&self, weights: &RealWeights<'_>) -> Result<Option<Vec<i8>>, PassError> {
        assert_eq!(weights.values.len() % weights.axis.channels(), 0);
        assert_eq!(weights.scales.len(), weights.axis.channels());
        let scale = weights.scales[0];
        let towards_zero = || weights.values.iter().map(|w| (w / scale) as i8).collect();
        Ok((weights.output == self.0).then(towards_zero))
    }
}

#[test]
fn a_rounder_chooses_the_integers_of_weights() {
    let float = prepared(3);
    let id = |graph: &Graph, name: &str| {
        let tensors = &graph.main().unwrap().tensors;
        TensorId::new(tensors.iter().position(|t| t.name == name).unwrap())
    };
    let calibration = calibrate(&float, 4);
    let real = float.values::<f32>(id(&float, "w3")).unwrap();
    let rounder = TowardsZero(id(&float, "logits"));
    let options = QuantizeOptions {
        dense: DenseWeights::PerTensor,
        ..QuantizeOptions::default()
    };
    let nearest = quantize_int8(float.clone(), &calibration, &options).unwrap();
    let rounded = quantize(float, &calibration, &options, &rounder)
        .unwrap()
        .graph;
    let values = |graph: &Graph, name: &str| graph.values::<i8>(id(graph, name)).unwrap();
    assert_eq!(values(&nearest, "w1"), values(&rounded, "w1"));
    let of_nearest = values(&nearest, "w3");
    let of_rounded = values(&rounded, "w3");
    assert_ne!(of_nearest, of_rounded);
    for ((real, nearest), rounded) in real.iter().zip(of_nearest).zip(of_rounded) {
        assert!(
            rounded.abs() <= nearest.abs() && nearest.abs() - rounded.abs() <= 1,
            "{real}"
        );
    }
}

#[test]
fn ranges_do_not_depend_on_how_samples_are_handed_over() {
    let graph = prepared(5);
    let samples: Vec<_> = (0..6).map(|i| noise(i, 192, 1.0)).collect();
    let mut one_by_one = Calibrator::new(&graph).unwrap();
    for sample in &samples {
        one_by_one.observe([vec![sample.as_slice()]]).unwrap();
    }
    let mut at_once = Calibrator::new(&graph).unwrap();
    at_once
        .observe(samples.iter().map(|s| vec![s.as_slice()]))
        .unwrap();
    assert_eq!(one_by_one.finish().unwrap(), at_once.finish().unwrap());
}

#[test]
fn what_cannot_be_done_is_said() {
    let graph = prepared(1);
    assert!(matches!(
        Calibrator::new(&graph).unwrap().finish(),
        Err(PassError::NoSamples)
    ));

    let mut calibrator = Calibrator::new(&graph).unwrap();
    let error = calibrator
        .observe([vec![[0.0f32; 3].as_slice()]])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "calibration sample 0 has 3 values for input `x`, expected 192"
    );

    let mut bad = noise(1, 192, 1.0);
    bad[17] = f32::NAN;
    let error = calibrator.observe([vec![bad.as_slice()]]).unwrap_err();
    assert!(error.to_string().contains("`x`"), "{error}");

    let calibration = calibrate(&graph, 2);
    let integer = quantize_int8(graph, &calibration, &QuantizeOptions::default()).unwrap();
    let again = quantize_int8(integer, &calibration, &QuantizeOptions::default());
    assert!(matches!(again, Err(PassError::AlreadyQuantized { .. })));

    let unfolded = branches(1);
    let error = quantize_int8(unfolded, &calibration, &QuantizeOptions::default()).unwrap_err();
    assert!(error.to_string().contains("fold it first"), "{error}");
}
