//! Single nodes against what TensorFlow Lite Micro computes of them (`golden/*.py`).

use larun_ops::OptionsSource;
use larun_ops::{ElementType, IntList, Op, OpKind};
use serde_json::Value;

use crate::support::{Node, Tensor};

/// Units in the last place by which real outputs may differ: the mathematical libraries' exponentials do.
const ULPS: i64 = 4;
/// The absolute difference that is none: where small results are differences of larger numbers.
const SLACK: f32 = 1e-6;

#[test]
fn outputs_are_those_of_tflm() {
    let mut seen = check_all(include_str!("../golden/vectors.json"));
    seen.extend(check_all(include_str!("../golden/functions.json")));
    seen.extend(check_all(include_str!("../golden/pairs.json")));
    seen.extend(check_all(include_str!("../golden/weighted.json")));
    for kind in OpKind::ALL.iter().filter(|kind| kind.info().code.is_some()) {
        let excused = WITHOUT_VECTOR.contains(kind);
        assert!(
            seen.contains(kind) != excused,
            "no vector for {kind}, or one that is excused"
        );
    }
}

/// Checks the cases of a file; returns their operators.
fn check_all(file: &str) -> Vec<OpKind> {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let mut seen = Vec::new();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let node = node(case);
        seen.push(node.op.kind());
        let outputs = node.run().unwrap_or_else(|why| panic!("{name}: {why}"));
        for (found, expected) in outputs.iter().zip(&node.outputs) {
            check(name, expected, found);
        }
    }
    seen
}

/// Operators without a vector of a single node: those with subgraphs or what lasts between inferences, and two that
/// TensorFlow Lite Micro does not have. The interpreter's tests hold them to the real runtimes by whole models
/// (`larun-micro/tests/golden`).
const WITHOUT_VECTOR: &[OpKind] = &[
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

fn check(name: &str, expected: &Tensor, found: &[u8]) {
    assert_eq!(found.len(), expected.bytes.len(), "{name}");
    if expected.element_type != ElementType::Float32 {
        assert_eq!(found, expected.bytes, "{name}");
        return;
    }
    for (found, expected) in found.chunks(4).zip(expected.bytes.chunks(4)) {
        let (found, expected) = (float(found), float(expected));
        // Bits of floats of one sign count in units of the last place.
        let ulps = i64::from(found.to_bits()) - i64::from(expected.to_bits());
        assert!(
            found == expected || ulps.abs() <= ULPS || (found - expected).abs() <= SLACK,
            "{name}: {found}, expected {expected}"
        );
    }
}

fn float(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().unwrap())
}

fn node(case: &Value) -> Node {
    let name = case["op"].as_str().unwrap();
    let kind = OpKind::ALL.iter().find(|kind| kind.info().name == name);
    let tensors = |field: &str| {
        let listed = case[field].as_array().unwrap();
        listed.iter().map(tensor).collect::<Vec<_>>()
    };
    Node {
        op: Op::read(*kind.unwrap(), &Fields(&case["options"])).unwrap(),
        inputs: tensors("inputs"),
        outputs: tensors("outputs").into_iter().flatten().collect(),
    }
}

fn tensor(value: &Value) -> Option<Tensor> {
    let list = |field: &str| value[field].as_array().unwrap().iter();
    let name = value["type"].as_str()?;
    let element_type = ElementType::ALL.iter().find(|t| t.name() == name).unwrap();
    let dims: Vec<_> = list("shape")
        .map(|v| v.as_u64().unwrap() as usize)
        .collect();
    let scales: Vec<_> = list("scales").map(|v| v.as_f64().unwrap() as f32).collect();
    let zero_points: Vec<_> = list("zero_points").map(|v| v.as_i64().unwrap()).collect();
    let mut tensor = Tensor::new(*element_type, &dims, bytes(value["data"].as_str().unwrap()))
        .quantized(&scales, &zero_points)
        .along(value["axis"].as_u64().unwrap() as usize);
    tensor.constant = value["constant"].as_bool().unwrap();
    Some(tensor)
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

/// Options by field id.
struct Fields<'v>(&'v Value);

impl Fields<'_> {
    fn get(&self, id: u16) -> Option<&Value> {
        self.0.get(id.to_string())
    }
}

impl OptionsSource for Fields<'_> {
    type Error = String;

    fn byte(&self, id: u16) -> Result<Option<i8>, String> {
        let value = self.get(id);
        let number = value.and_then(|v| v.as_i64().or(v.as_bool().map(i64::from)));
        Ok(number.map(|v| v as i8))
    }

    fn int(&self, id: u16) -> Result<Option<i32>, String> {
        Ok(self.get(id).and_then(Value::as_i64).map(|v| v as i32))
    }

    fn float(&self, id: u16) -> Result<Option<f32>, String> {
        Ok(self.get(id).and_then(Value::as_f64).map(|v| v as f32))
    }

    fn ints(&self, id: u16) -> Result<Option<IntList>, String> {
        let Some(values) = self.get(id).and_then(Value::as_array) else {
            return Ok(None);
        };
        let values: Vec<i32> = values.iter().map(|v| v.as_i64().unwrap() as i32).collect();
        Ok(IntList::new(&values))
    }

    fn unknown_value(&self, id: u16, value: i8) -> Result<(), String> {
        Err(format!("field {id} is {value}"))
    }
}
