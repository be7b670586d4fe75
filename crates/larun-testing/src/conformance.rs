//! Running cases through the interpreter, and counting.

use core::fmt;
use std::collections::BTreeMap;

use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, LoadError, Name, Registration};
use serde::{Serialize, Serializer};

use crate::case::{Case, Set};

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every output is as expected.
    Passed,
    /// An output is not, or a model that should run could not be run: why.
    Failed(String),
    /// The model is not one that LARUN runs yet.
    Skipped(Skip),
}

/// Why a case does not count: it is about what LARUN does not claim to run. Whatever else the interpreter refuses fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The operator table lacks the operator.
    NoOperator(String),
    /// A tensor is stored sparsely.
    Sparse,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOperator(name) => write!(f, "no operator {name}"),
            Self::Sparse => f.write_str("sparse tensors"),
        }
    }
}

impl Serialize for Skip {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Runs a case.
pub fn run(case: &Case, kernels: &[Registration]) -> Outcome {
    let model = AlignedBytes::copy_of(&case.model);
    match arena_for(&model, kernels) {
        Ok(arena) => match run_sets(case, &model, kernels, arena) {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        },
        Err(error) => match excuse(&error) {
            Some(skip) => Outcome::Skipped(skip),
            None => Outcome::Failed(error.to_string()),
        },
    }
}

fn excuse(error: &LoadError<'_>) -> Option<Skip> {
    match *error {
        LoadError::NoKernel { operator, .. } if operator.kind().is_none() => {
            let builtin = larun_tflite::builtin_name(operator.code);
            let name = match operator.custom_name {
                Some(name) => Name(name).to_string(),
                None => builtin.unwrap_or_default().to_owned(),
            };
            Some(Skip::NoOperator(name))
        }
        LoadError::Sparse { .. } => Some(Skip::Sparse),
        _ => None,
    }
}

fn run_sets(
    case: &Case,
    model: &[u8],
    kernels: &[Registration],
    mut arena: AlignedBytes,
) -> Result<(), String> {
    // State lives in the interpreter: a new one for every set clears it.
    let sets_a_run = if case.reset_each { 1 } else { case.sets.len() };
    for (run, sets) in case.sets.chunks(sets_a_run.max(1)).enumerate() {
        let mut interpreter =
            Interpreter::new(model, kernels, &mut arena).map_err(|error| error.to_string())?;
        for (number, set) in (run * sets_a_run..).zip(sets) {
            run_set(case, set, number, &mut interpreter)
                .map_err(|why| format!("set {number}: {why}"))?;
        }
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
        let info = interpreter.output_info(i).map_err(|e| e.to_string())?;
        if (info.element_type, info.shape.dims()) != (expected.element_type, &expected.shape) {
            let (found, shape) = (info.element_type, info.shape.dims());
            let (wanted, wanted_shape) = (expected.element_type, &expected.shape);
            return Err(format!(
                "output {i}: {found} {shape:?}, expected {wanted} {wanted_shape:?}"
            ));
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
    pub skips: Vec<(String, Skip)>,
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

    /// How many cases were skipped for each reason, most first.
    pub fn skip_counts(&self) -> Vec<(String, usize)> {
        let mut counts = BTreeMap::new();
        for (_, skip) in &self.skips {
            *counts.entry(skip.to_string()).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|&(_, count)| core::cmp::Reverse(count));
        counts
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
