//! Running cases through the interpreter, and counting.

use std::collections::BTreeMap;

use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, LoadError, Registration};
use serde::Serialize;

use crate::case::{Case, Set};

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every output is as expected.
    Passed,
    /// An output is not, or the model could not be run: why.
    Failed(String),
    /// The interpreter does not have the operator or the element type yet: which.
    Skipped(String),
}

/// Runs a case.
pub fn run(case: &Case, kernels: &[Registration]) -> Outcome {
    let model = AlignedBytes::copy_of(&case.model);
    let mut arena = match arena_for(&model, kernels) {
        Ok(arena) => arena,
        Err(
            error @ (LoadError::UnsupportedOperator { .. }
            | LoadError::NotLinked { .. }
            | LoadError::Refused { .. }
            | LoadError::Sparse { .. }),
        ) => return Outcome::Skipped(error.to_string()),
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    match Interpreter::new(&model, kernels, &mut arena) {
        Ok(mut interpreter) => match run_sets(case, &mut interpreter) {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        },
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn run_sets(case: &Case, interpreter: &mut Interpreter<'_, '_>) -> Result<(), String> {
    for (number, set) in case.sets.iter().enumerate() {
        run_set(case, set, number, interpreter).map_err(|why| format!("set {number}: {why}"))?;
    }
    Ok(())
}

fn run_set(
    case: &Case,
    set: &Set,
    number: usize,
    interpreter: &mut Interpreter<'_, '_>,
) -> Result<(), String> {
    for (i, input) in set.inputs.iter().enumerate() {
        let bytes = interpreter.input_bytes_mut(i).map_err(|e| e.to_string())?;
        if bytes.len() != input.bytes.len() {
            let (takes, has) = (bytes.len(), input.bytes.len());
            return Err(format!("input {i} takes {takes} bytes, the case has {has}"));
        }
        bytes.copy_from_slice(&input.bytes);
    }
    interpreter.invoke().map_err(|e| e.to_string())?;
    let unspecified = number < case.warmup
        || case
            .valid_output
            .is_some_and(|i| set.outputs.get(i).is_some_and(|valid| valid.bytes == [0]));
    for (i, expected) in set.outputs.iter().enumerate() {
        if unspecified && case.valid_output != Some(i) {
            continue;
        }
        let found = interpreter.output_bytes(i).map_err(|e| e.to_string())?;
        case.tolerance
            .check(expected, found)
            .map_err(|why| format!("output {i}: {why}"))?;
    }
    Ok(())
}

/// Counts of outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were skipped.
    pub skipped: usize,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Skipped(_) => self.skipped += 1,
        }
    }
}

/// The outcomes of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Counts by operator (or group of models) and element type.
    pub groups: BTreeMap<String, BTreeMap<String, Tally>>,
    /// Cases that failed, with the reason.
    pub failures: Vec<(String, String)>,
    /// Cases that were skipped, with the reason.
    pub skips: Vec<(String, String)>,
    /// All counts together.
    pub total: Tally,
}

impl Report {
    /// Runs cases and counts.
    pub fn of(cases: &[Case], kernels: &[Registration]) -> Self {
        let mut report = Self::default();
        for case in cases {
            report.add(case, run(case, kernels));
        }
        report
    }

    fn add(&mut self, case: &Case, outcome: Outcome) {
        let group = self.groups.entry(case.group.clone()).or_default();
        group.entry(case.dtype.clone()).or_default().add(&outcome);
        self.total.add(&outcome);
        match outcome {
            Outcome::Passed => {}
            Outcome::Failed(why) => self.failures.push((case.name.clone(), why)),
            Outcome::Skipped(why) => self.skips.push((case.name.clone(), why)),
        }
    }
}
