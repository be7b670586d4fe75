//! The layers that lose most are named, and what helps.

mod support;

use larun_graph::TensorId;
use larun_graph::ops::{Activation, ElementType, Op};
use larun_passes::{Advice, Calibrator, QuantizeOptions, diagnose, quantize_int8, simplify};
use support::uneven::{as_slices, samples, uneven};
use support::{Net, noise};

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
