//! Archives are read, and a case that should fail does.

use larun_micro::{ElementType, kernels};
use larun_testing::conformance::{Outcome, Report, Skip, run};
use larun_testing::{Case, Set, Tensor, Tolerance, read_archive};

const MODEL: &[u8] = include_bytes!("../../larun-micro/fixtures/transit.tflite");

fn tensor(shape: &[usize], bytes: &[i8]) -> Tensor {
    Tensor {
        element_type: ElementType::Int8,
        shape: shape.to_vec(),
        bytes: bytes.iter().map(|&byte| byte as u8).collect(),
    }
}

/// A light curve with a shallow dip. [`RIGHT`] is what TensorFlow Lite Micro makes of it.
fn case(output: [i8; 2]) -> Case {
    let curve: [i8; 32] = core::array::from_fn(|i| match (i, i % 4) {
        (12..17, _) => -14,
        (_, remainder) => [0, 2, -1, 1][remainder],
    });
    Case {
        name: "transit_14".to_owned(),
        group: "TRANSIT".to_owned(),
        dtype: "int8".to_owned(),
        model: MODEL.to_vec(),
        sets: vec![Set {
            inputs: vec![tensor(&[1, 1, 32, 1], &curve)],
            outputs: vec![tensor(&[1, 2], &output)],
        }],
        tolerance: Tolerance::Exact,
        stateful: false,
        reset_each: false,
        warmup: 0,
        valid_output: None,
    }
}

/// What TensorFlow Lite Micro gives (the wheel `tflite-micro` 0.dev20261023182759).
const RIGHT: [i8; 2] = [13, -13];

/// A case as an archive of one.
fn archive(case: &Case) -> Vec<u8> {
    let meta = format!(
        r#"{{"name":"{}","op":"{}","dtype":"{}","tolerance":{{"kind":"exact"}},"tflm":{{"status":"match"}}}}"#,
        case.name, case.group, case.dtype
    );
    let mut bytes = b"TFOC0001".to_vec();
    let words = |words: &[usize], bytes: &mut Vec<u8>| {
        for &word in words {
            bytes.extend((word as u32).to_le_bytes());
        }
    };
    words(&[1, 0], &mut bytes);
    words(
        &[meta.len(), case.model.len(), case.sets.len(), 1, 1, 0, 0, 0],
        &mut bytes,
    );
    bytes.extend(meta.bytes());
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    bytes.extend(&case.model);
    for set in &case.sets {
        for tensor in set.inputs.iter().chain(&set.outputs) {
            bytes.extend([9, tensor.shape.len() as u8, 0, 0]);
            words(&tensor.shape, &mut bytes);
            words(&[tensor.bytes.len()], &mut bytes);
            bytes.extend(&tensor.bytes);
        }
    }
    bytes
}

#[test]
fn an_archive_gives_the_case() {
    let written = case(RIGHT);
    let cases = read_archive(&archive(&written)).unwrap();
    let [read] = &cases[..] else {
        panic!("{} cases", cases.len())
    };
    assert_eq!((&read.name, &read.group), (&written.name, &written.group));
    assert_eq!(read.model, written.model);
    assert_eq!(read.sets[0].inputs, written.sets[0].inputs);
    assert_eq!(read.sets[0].outputs, written.sets[0].outputs);
    assert_eq!(run(read, kernels::ALL), Outcome::Passed);
}

#[test]
fn an_archive_that_is_cut_short_is_an_error() {
    let archive = archive(&case(RIGHT));
    for len in 0..archive.len() {
        assert!(read_archive(&archive[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_wrong_byte_fails() {
    let outcome = run(&case([13, -12]), kernels::ALL);
    let why = "set 0: output 0: 1 of 2 bytes differ, first at 1: -13, expected -12";
    assert_eq!(outcome, Outcome::Failed(why.to_owned()));
}

#[test]
fn a_wrong_shape_or_size_fails() {
    let mut wrong = case(RIGHT);
    wrong.sets[0].outputs[0].shape = vec![2];
    let why = "set 0: output 0: INT8 [1, 2], expected INT8 [2]";
    assert_eq!(run(&wrong, kernels::ALL), Outcome::Failed(why.to_owned()));
    wrong.sets[0].inputs[0].bytes.pop();
    let why = "set 0: input 0 takes 32 bytes, the case has 31";
    assert_eq!(run(&wrong, kernels::ALL), Outcome::Failed(why.to_owned()));
}

#[test]
fn a_damaged_model_fails_and_is_not_skipped() {
    let mut damaged = case(RIGHT);
    damaged.model.truncate(100);
    assert!(matches!(run(&damaged, kernels::ALL), Outcome::Failed(_)));
}

#[test]
fn an_operator_that_is_not_linked_fails() {
    let outcome = run(&case(RIGHT), larun_micro::ops![Conv2D]);
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
}

#[test]
fn a_report_counts() {
    let cases = [case(RIGHT), case([0, 0]), case(RIGHT)];
    let report = Report::of(&cases, kernels::ALL);
    let tally = report.groups["TRANSIT"]["int8"];
    assert_eq!((tally.passed, tally.failed, tally.skipped), (2, 1, 0));
    assert_eq!(report.total, tally);
    assert_eq!(report.failures[0].0, "transit_14");
    assert_eq!(report.skip_counts(), []);
}

#[test]
fn skips_say_why() {
    let skip = Skip::NoOperator("TANH".to_owned());
    assert_eq!(skip.to_string(), "no operator TANH");
}
