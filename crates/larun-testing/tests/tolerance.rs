//! What passes, and what does not.

use larun_micro::ElementType;
use larun_testing::{Tensor, Tolerance};

fn tensor(values: &[f32]) -> Tensor {
    Tensor {
        element_type: ElementType::Float32,
        shape: vec![values.len()],
        bytes: bytes(values),
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn passes(tolerance: Tolerance, expected: f32, found: f32) -> bool {
    tolerance
        .check(&tensor(&[expected]), &bytes(&[found]))
        .is_ok()
}

#[test]
fn units_in_the_last_place_count() {
    let tolerance = Tolerance::Float { ulp: 2.0, abs: 0.0 };
    let one_off = 1.0f32.next_up();
    assert!(passes(tolerance, 1.0, one_off.next_up()));
    assert!(!passes(tolerance, 1.0, one_off.next_up().next_up()));
    assert!(passes(tolerance, -0.0, 0.0));
    assert!(passes(tolerance, f32::NAN, f32::NAN));
    assert!(!passes(tolerance, 1.0, f32::NAN));
    assert!(!passes(tolerance, f32::NAN, 1.0));
    assert!(passes(tolerance, f32::INFINITY, f32::INFINITY));
    assert!(!passes(tolerance, f32::MAX, f32::INFINITY));
    assert!(!passes(tolerance, f32::INFINITY, f32::MAX));
}

#[test]
fn absolute_differences_count() {
    let tolerance = Tolerance::Float {
        ulp: 0.0,
        abs: 0.25,
    };
    assert!(passes(tolerance, 0.0, 0.25));
    assert!(!passes(tolerance, 0.0, 0.26));
}

#[test]
fn relative_differences_are_of_the_whole_tensor() {
    let tolerance = Tolerance::Relative { relative: 1e-5 };
    let expected = tensor(&[1000.0, 0.0]);
    assert!(tolerance.check(&expected, &bytes(&[1000.0, 0.009])).is_ok());
    let error = tolerance.check(&expected, &bytes(&[1000.0, 0.011]));
    assert_eq!(
        error.unwrap_err(),
        "1 of 2 differ, first at 1: 0.011, expected 0"
    );
}

#[test]
fn integers_are_equal_whatever_the_tolerance() {
    let expected = Tensor {
        element_type: ElementType::Int8,
        shape: vec![3],
        bytes: vec![1, 2, 255],
    };
    let generous = Tolerance::Float {
        ulp: 100.0,
        abs: 100.0,
    };
    for tolerance in [Tolerance::Exact, generous] {
        assert!(tolerance.check(&expected, &[1, 2, 255]).is_ok());
        let error = tolerance.check(&expected, &[1, 3, 254]).unwrap_err();
        assert_eq!(error, "2 of 3 bytes differ, first at 1: 3, expected 2");
    }
}

#[test]
fn a_missing_element_fails() {
    let expected = tensor(&[1.0, 2.0]);
    let error = Tolerance::Exact.check(&expected, &bytes(&[1.0]));
    assert_eq!(error.unwrap_err(), "4 bytes, expected 8");
}
