//! Networks of `fixtures/onnx`, imported and run by the interpreter, against onnxruntime's outputs.

use std::path::{Path, PathBuf};

use larun_graph::ops::OpKind;
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};
use larun_onnx::{ImportOptions, Imported, import_file};
use safetensors::SafeTensors;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/onnx")
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Option<Vec<f32>> {
    let tensor = file.tensor(name).ok()?;
    Some(
        tensor
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect(),
    )
}

fn imported(name: &str) -> Imported {
    import_file(
        &folder().join(format!("{name}.onnx")),
        &ImportOptions::default(),
    )
    .unwrap()
}

/// Runs a network on its inputs, and compares each output within `1e-4` of the largest value.
fn agrees(name: &str) -> Imported {
    let model = imported(name);
    let graph = larun_passes::simplify(model.graph.clone()).unwrap();
    let bytes = AlignedBytes::copy_of(&larun_tflite::write(&graph).unwrap());
    let mut arena = arena_for(&bytes, kernels::ALL).unwrap();
    let mut interpreter = Interpreter::new(&bytes, kernels::ALL, &mut arena).unwrap();
    let stored = std::fs::read(folder().join(format!("{name}.safetensors"))).unwrap();
    let stored = SafeTensors::deserialize(&stored).unwrap();
    for (i, port) in model.inputs.iter().enumerate() {
        let values = floats(&stored, &format!("in{i}")).unwrap();
        interpreter
            .set_input(i, &port.to_graph(&values).unwrap())
            .unwrap();
    }
    interpreter.invoke().unwrap();
    for (i, port) in model.outputs.iter().enumerate() {
        let expected = port
            .to_graph(&floats(&stored, &format!("out{i}")).unwrap())
            .unwrap();
        let found = interpreter.output::<f32>(i).unwrap();
        let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let worst = expected
            .iter()
            .zip(found)
            .map(|(e, f)| (e - f).abs())
            .fold(0.0f32, f32::max);
        assert_eq!(expected.len(), found.len());
        assert!(
            worst <= 1e-4 * largest,
            "{name}, output {i}: {worst} off, the largest value is {largest}"
        );
    }
    model
}

fn count(model: &Imported, kind: OpKind) -> usize {
    model
        .graph
        .main()
        .unwrap()
        .nodes
        .iter()
        .filter(|n| n.kind() == Some(kind))
        .count()
}

#[test]
fn convolutional_networks_agree_and_transpose_nothing() {
    for name in ["cnn1d", "cnn2d", "mobilenet_v2", "resnet8", "dscnn", "unet"] {
        let model = agrees(name);
        assert_eq!(count(&model, OpKind::Transpose), 0, "{name}");
    }
}

#[test]
fn a_mobile_network_has_no_operator_that_tensorflow_would_not_have() {
    let model = imported("mobilenet_v2");
    let kinds: Vec<_> = model
        .graph
        .main()
        .unwrap()
        .nodes
        .iter()
        .filter_map(|n| n.kind())
        .collect();
    assert_eq!(count(&model, OpKind::Reshape), 0, "{kinds:?}");
    assert_eq!(kinds.last(), Some(&OpKind::FullyConnected));
    // Only the layers of stride 2 pad by an operator of their own: PyTorch pads them on both sides.
    assert_eq!(count(&model, OpKind::Pad), 3);
}

#[test]
fn shuffled_channels_and_gates_agree() {
    let model = agrees("squeeze_excite");
    assert!(
        count(&model, OpKind::Transpose) <= 1,
        "the shuffle moves data once"
    );
}

#[test]
fn transformers_agree() {
    let model = agrees("transformer");
    assert_eq!(count(&model, OpKind::Gelu), 1);
    assert_eq!(count(&model, OpKind::FullyConnected), 7);
}

#[test]
fn recurrent_networks_agree() {
    let model = agrees("lstm");
    assert_eq!(count(&model, OpKind::UnidirectionalSequenceLstm), 3);
    agrees("gru");
}

#[test]
fn activations_and_stretched_operands_agree() {
    agrees("elementwise");
}
