//! Whole models of operators that no single node shows, against what TensorFlow Lite Micro computes (`golden/make.py`).

use std::collections::BTreeSet;

use larun_graph::ops::OpKind;
use larun_graph::{Node, NodeOp};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{ElementType, Interpreter, kernels};
use serde_json::Value;

/// Units in the last place by which real outputs may differ: the mathematical libraries' exponentials do.
const ULPS: i64 = 4;
/// The absolute difference that is none: where small results are differences of larger numbers.
const SLACK: f32 = 1e-6;

/// Operators that run subgraphs, keep state or use resource variables, and those that only LiteRT has.
const SHOWN: &[OpKind] = &[
    OpKind::Svdf,
    OpKind::UnidirectionalSequenceLstm,
    OpKind::Select,
    OpKind::If,
    OpKind::While,
    OpKind::CallOnce,
    OpKind::VarHandle,
    OpKind::ReadVariable,
    OpKind::AssignVariable,
    OpKind::Gelu,
];

#[test]
fn outputs_are_those_of_the_real_runtimes() {
    let file: Value = serde_json::from_str(include_str!("golden/models.json")).unwrap();
    let mut seen = BTreeSet::new();
    for case in file["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let model = AlignedBytes::copy_of(&hex(&case["model"]));
        let graph = larun_tflite::read(&model).unwrap();
        let nodes = graph.subgraphs.iter().flat_map(|subgraph| &subgraph.nodes);
        seen.extend(nodes.filter_map(kind));
        let mut arena = arena_for(&model, kernels::ALL).unwrap();
        let mut interpreter = Interpreter::new(&model, kernels::ALL, &mut arena)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for (number, set) in case["sets"].as_array().unwrap().iter().enumerate() {
            check_set(&format!("{name}, set {number}"), &mut interpreter, set);
        }
    }
    for kind in SHOWN {
        assert!(seen.contains(kind), "no model with {kind}");
    }
}

/// The operator of a node, which a graph may keep as it is in the file.
fn kind(node: &Node) -> Option<OpKind> {
    match &node.op {
        NodeOp::Known(op) => Some(op.kind()),
        NodeOp::Opaque(op) => OpKind::from_code(op.code),
    }
}

/// Runs a set of inputs and compares the outputs.
fn check_set(name: &str, interpreter: &mut Interpreter<'_, '_>, set: &Value) {
    for (index, input) in set["inputs"].as_array().unwrap().iter().enumerate() {
        let place = interpreter.input_bytes_mut(index).unwrap();
        place.copy_from_slice(&hex(input));
    }
    interpreter.invoke().unwrap();
    let outputs = set["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), interpreter.output_count(), "{name}");
    for (index, output) in outputs.iter().enumerate() {
        let (expected, found) = (hex(output), interpreter.output_bytes(index).unwrap());
        if interpreter.output_info(index).unwrap().element_type == ElementType::Float32 {
            check_real(name, &expected, found);
        } else {
            assert_eq!(found, expected, "{name}");
        }
    }
}

fn check_real(name: &str, expected: &[u8], found: &[u8]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let float = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
    for (found, expected) in found.chunks(4).zip(expected.chunks(4)) {
        let (found, expected) = (float(found), float(expected));
        // Bits of floats of one sign count in units of the last place.
        let ulps = i64::from(found.to_bits()) - i64::from(expected.to_bits());
        assert!(
            found == expected || ulps.abs() <= ULPS || (found - expected).abs() <= SLACK,
            "{name}: {found}, expected {expected}"
        );
    }
}

fn hex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}
