//! Networks of `fixtures/onnx`, imported and run by the interpreter, against onnxruntime's outputs: those that are written node by
//! node, and those that PyTorch's exporters wrote.

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
    .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A network against the outputs of its own name.
fn agrees(name: &str) -> Imported {
    agrees_with(name, name)
}

/// Runs a network on stored inputs, and compares each output within `1e-4` of the largest value.
fn agrees_with(name: &str, stored: &str) -> Imported {
    let model = imported(name);
    let graph = larun_passes::simplify(model.graph.clone()).unwrap();
    let bytes = AlignedBytes::copy_of(&larun_tflite::write(&graph).unwrap());
    let mut arena = arena_for(&bytes, kernels::ALL).unwrap();
    let mut interpreter = Interpreter::new(&bytes, kernels::ALL, &mut arena).unwrap();
    let stored = std::fs::read(folder().join(format!("{stored}.safetensors"))).unwrap();
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
    for name in CONVOLUTIONAL {
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

/// The networks that PyTorch's exporters wrote, as `(NAME, EXPORTER-OPSET)`.
fn of_pytorch() -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder().join("pytorch"))
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let (network, export) = name.strip_suffix(".onnx")?.split_once('-')?;
            Some((network.to_owned(), export.to_owned()))
        })
        .collect();
    files.sort();
    files
}

/// The networks in which nothing needs to be transposed.
const CONVOLUTIONAL: [&str; 6] = ["cnn1d", "cnn2d", "mobilenet_v2", "resnet8", "dscnn", "unet"];

#[test]
fn networks_of_both_exporters_of_pytorch_agree() {
    let files = of_pytorch();
    for (network, export) in &files {
        let name = format!("pytorch/{network}-{export}");
        let model = agrees_with(&name, &format!("pytorch/{network}"));
        if CONVOLUTIONAL.contains(&network.as_str()) {
            assert_eq!(count(&model, OpKind::Transpose), 0, "{name}");
        }
    }
    for exporter in ["script", "program"] {
        let of_it = files.iter().filter(|(_, e)| e.starts_with(exporter));
        assert_eq!(of_it.count(), 9, "{exporter}");
    }
}

/// But for pads: one exporter puts those of a layer of their own into the convolution that follows, the other does not.
#[test]
fn what_one_exporter_writes_becomes_what_the_other_s_does() {
    let mut files = of_pytorch();
    files.retain(|(network, _)| CONVOLUTIONAL.contains(&network.as_str()));
    for pair in files.chunk_by(|a, b| a.0 == b.0) {
        let operators: Vec<_> = pair
            .iter()
            .map(|(network, export)| {
                let model = imported(&format!("pytorch/{network}-{export}"));
                let graph = larun_passes::simplify(model.graph).unwrap();
                let nodes = &graph.main().unwrap().nodes;
                let mut kinds: Vec<_> = nodes.iter().filter_map(|n| n.kind()).collect();
                kinds.retain(|&kind| kind != OpKind::Pad);
                kinds.sort_unstable();
                kinds
            })
            .collect();
        let [first, others @ ..] = operators.as_slice() else {
            continue;
        };
        for other in others {
            assert_eq!(first, other, "{}", pair[0].0);
        }
    }
}
