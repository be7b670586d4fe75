//! What is done for the quality of quantisation: the function stays, the error falls, the result is the same every time.

mod support;

use larun_graph::ops::Activation;
use larun_graph::{Graph, NodeId};
use larun_passes::{
    Calibrator, ChannelStatistics, Effort, PassError, PostTraining, QuantizeOptions,
    Reconstruction, correct_biases, equalize_channels, equalize_weights, quantize_after_training,
    quantize_int8, reconstruct, simplify,
};
use larun_quant::rounding::{Descent, RoundingMethod};
use larun_quant::{IntegerRange, ObserverKind};
use proptest::prelude::*;
use support::uneven::{as_slices, assert_near, noise_of, samples, uneven};
use support::{branches, noise, prepared, run};

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
