//! When two values are close enough.

use larun_ops::ElementType;
use serde::Deserialize;

use crate::case::Tensor;

/// How far a real output may be from the expected one. Integers and booleans must be equal.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Tolerance {
    /// Equal to the bit.
    Exact,
    /// At most `abs` apart, or at most `ulp` units in the last place of the expected value.
    Float {
        /// Units in the last place.
        ulp: f64,
        /// Absolute difference.
        abs: f64,
    },
    /// At most `relative` times the largest magnitude that the tensor is expected to have.
    Relative {
        /// The factor.
        relative: f64,
    },
}

impl Tolerance {
    /// Compares an output with what is expected.
    ///
    /// # Errors
    /// A sentence that says where they differ and by how much.
    pub fn check(self, expected: &Tensor, found: &[u8]) -> Result<(), String> {
        if expected.bytes.len() != found.len() {
            let (expected, found) = (expected.bytes.len(), found.len());
            return Err(format!("{found} bytes, expected {expected}"));
        }
        match (expected.element_type, self) {
            (ElementType::Float32, Self::Float { .. } | Self::Relative { .. }) => {
                self.check_floats(&floats(&expected.bytes), &floats(found))
            }
            _ => check_bytes(&expected.bytes, found),
        }
    }

    fn check_floats(self, expected: &[f32], found: &[f32]) -> Result<(), String> {
        let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let far: Vec<_> = (0..)
            .zip(expected.iter().zip(found))
            .filter(|(_, (e, f))| !self.close(**e, **f, largest))
            .collect();
        match far.first() {
            None => Ok(()),
            Some((i, (e, f))) => {
                let (count, all) = (far.len(), expected.len());
                Err(format!(
                    "{count} of {all} differ, first at {i}: {f}, expected {e}"
                ))
            }
        }
    }

    fn close(self, expected: f32, found: f32, largest: f32) -> bool {
        if expected == found || (expected.is_nan() && found.is_nan()) {
            return true;
        }
        let apart = (f64::from(expected) - f64::from(found)).abs();
        match self {
            Self::Exact => false,
            _ if apart.is_infinite() => false,
            Self::Float { ulp, abs } => apart <= abs || apart <= ulp * unit_in_last_place(expected),
            Self::Relative { relative } => apart <= relative * f64::from(largest),
        }
    }
}

/// The distance from `x` to the next larger number of the same sign; for the largest, to the next smaller.
fn unit_in_last_place(x: f32) -> f64 {
    let x = x.abs();
    match x.next_up() {
        f32::INFINITY => f64::from(x) - f64::from(x.next_down()),
        next => f64::from(next) - f64::from(x),
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let word = |chunk: &[u8]| f32::from_le_bytes(chunk.try_into().unwrap_or_default());
    bytes.chunks_exact(4).map(word).collect()
}

fn check_bytes(expected: &[u8], found: &[u8]) -> Result<(), String> {
    let different = expected.iter().zip(found).filter(|(e, f)| e != f).count();
    match expected.iter().zip(found).position(|(e, f)| e != f) {
        None => Ok(()),
        Some(at) => {
            let (e, f, all) = (expected[at] as i8, found[at] as i8, expected.len());
            Err(format!(
                "{different} of {all} bytes differ, first at {at}: {f}, expected {e}"
            ))
        }
    }
}
