//! Scales and zero points that follow from the extremes of the values, on the corpus: TensorFlow's rule, not its defects.

use larun_graph::ops::OutputQuantization;
use larun_graph::{Node, TensorId};
use larun_passes::{PostTraining, quantize_after_training};
use larun_quant::Affine;
use larun_testing::{corpus_dir, quant_models};
use serde::Deserialize;

#[derive(Deserialize)]
struct Range {
    name: String,
    min: f32,
    max: f32,
}

/// Exact scales where the corpus records one that is more than a unit in the last place off: model, tensor and scale, as
/// `exact_scales.py` beside this file computes it in float64.
const EXACT: [(&str, &str, f64); 1] = [(
    "lstm_small",
    "model/dense/MatMul;model/dense/BiasAdd",
    0.022_425_138_515_841_07,
)];

/// Units in the last place of float32 between a scale and an exact one.
fn units_off(scale: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    let unit = f64::from(f32::from_bits(rounded.to_bits() + 1)) - f64::from(rounded);
    (f64::from(scale) - exact).abs() / unit
}

#[test]
fn scales_follow_the_extremes_of_the_float_values() {
    let Some(corpus) = corpus_dir("scales_follow_the_extremes_of_the_float_values") else {
        return;
    };
    let (mut checked, mut off) = (0, Vec::new());
    for model in quant_models(&corpus).unwrap() {
        let ranges = std::fs::read(model.dir.join("fp32_ranges.json")).unwrap();
        let ranges: Vec<Range> = serde_json::from_slice(&ranges).unwrap();
        let samples: Vec<_> = model
            .calibration
            .iter()
            .map(|s| vec![s.as_slice()])
            .collect();
        let graph = larun_tflite::read(&model.float).unwrap();
        let done = quantize_after_training(graph, &samples, &PostTraining::default(), |_, _| ());
        let graph = done.unwrap().quantized.graph;
        let subgraph = graph.main().unwrap();
        for node in &subgraph.nodes {
            let Some(&output) = node.outputs.first().filter(|_| is_free(node)) else {
                continue;
            };
            let shares = |node: &&Node| {
                let rule = node.kind().map(|kind| kind.info().quantization);
                rule == Some(OutputQuantization::SharedWithInputs)
                    && node.inputs.contains(&Some(output))
            };
            let tensor = subgraph.tensor(output).unwrap();
            let range = ranges.iter().find(|range| range.name == tensor.name);
            let (Some(range), None) = (range, subgraph.nodes.iter().find(shares)) else {
                continue;
            };
            let Some(found) = tensor.quantization.as_ref().and_then(|q| q.as_per_tensor()) else {
                continue;
            };
            let expected = Affine::from_range(range.min, range.max).unwrap();
            let apart = found.scale.to_bits().abs_diff(expected.scale.to_bits());
            let place = format!("{} {}", model.name, tensor.name);
            let known =
                |(of, name, _): &&(&str, &str, f64)| *of == model.name && *name == tensor.name;
            let exact = EXACT.iter().find(known).map(|(_, _, exact)| *exact);
            let right = match exact {
                None => apart <= 1,
                // The recorded one is not to be copied.
                Some(exact) => {
                    units_off(found.scale, exact) <= 1.0 && units_off(expected.scale, exact) > 1.0
                }
            };
            if !right {
                let message = format!("{place}: {apart} apart, {found:?}, expected {expected:?}");
                off.push(message);
            }
            assert_eq!(found.zero_point, expected.zero_point, "{place}");
            checked += 1;
        }
        let input = subgraph
            .tensor(TensorId::new(subgraph.inputs[0].index()))
            .unwrap();
        assert!(input.quantization.is_some(), "{}", model.name);
    }
    assert!(off.is_empty(), "{} of {checked}: {off:#?}", off.len());
    assert!(checked > 100, "only {checked} scales were compared");
}

/// Whether the table leaves the scale of a node's output to calibration.
fn is_free(node: &Node) -> bool {
    node.kind().map(|kind| kind.info().quantization) == Some(OutputQuantization::Calibrated)
}
