//! Timing inferences on this machine.

use core::time::Duration;
use std::time::Instant;

use larun_micro::{NodeId, NodeOutputs, Observer};
use serde::{Deserialize, Serialize};

use crate::{Error, Model};

/// The time of an inference, over many runs after warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// How many runs were timed.
    pub runs: usize,
    /// Mean, in milliseconds.
    pub mean_ms: f64,
    /// Standard deviation, in milliseconds.
    pub std_ms: f64,
    /// The shortest run, in milliseconds.
    pub min_ms: f64,
    /// The longest run, in milliseconds.
    pub max_ms: f64,
    /// The run in the middle, in milliseconds.
    pub median_ms: f64,
}

impl Timing {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let count = times.len().max(1) as f64;
        let mean = times.iter().sum::<f64>() / count;
        let variance = times.iter().map(|t| (t - mean) * (t - mean)).sum::<f64>() / count;
        let at = |index: usize| times.get(index).copied().unwrap_or(0.0);
        let middle = times.len() / 2;
        Self {
            runs: times.len(),
            mean_ms: mean,
            std_ms: variance.sqrt(),
            min_ms: at(0),
            max_ms: at(times.len().saturating_sub(1)),
            median_ms: if times.len() % 2 == 1 {
                at(middle)
            } else {
                f64::midpoint(at(middle.saturating_sub(1)), at(middle))
            },
        }
    }
}

/// The mean time of one operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorTime {
    /// Its index.
    pub index: usize,
    /// The operator.
    pub op: String,
    /// Mean over the runs, in milliseconds.
    pub mean_ms: f64,
}

/// Times `runs` inferences with inputs of zeros, after `warmup` that are not counted.
///
/// # Errors
/// When the model cannot be run, or no runs are asked for.
pub fn bench(model: &Model, runs: usize, warmup: usize) -> Result<Timing, Error> {
    if runs == 0 {
        return Err(Error::Usage("give at least one run to time".to_owned()));
    }
    let mut arena = model.arena()?;
    let mut interpreter = model.interpreter(&mut arena)?;
    let mut times = Vec::with_capacity(runs);
    for run in 0..warmup + runs {
        let start = Instant::now();
        interpreter.invoke().map_err(|e| model.run_error(e))?;
        if run >= warmup {
            times.push(milliseconds(start.elapsed()));
        }
    }
    Ok(Timing::of(times))
}

/// Times every operator over `runs` inferences.
///
/// # Errors
/// When the model cannot be run.
pub fn bench_operators(model: &Model, runs: usize) -> Result<Vec<OperatorTime>, Error> {
    let mut arena = model.arena()?;
    let mut interpreter = model.interpreter(&mut arena)?;
    let mut clock = Clock {
        started: Instant::now(),
        operators: Vec::new(),
    };
    for _ in 0..runs {
        interpreter
            .invoke_observed(&mut clock)
            .map_err(|e| model.run_error(e))?;
    }
    let mut operators = clock.operators;
    for operator in &mut operators {
        operator.mean_ms /= runs.max(1) as f64;
    }
    Ok(operators)
}

/// Adds up the time of each operator of the main subgraph; the subgraphs that one runs are its time.
struct Clock {
    started: Instant,
    operators: Vec<OperatorTime>,
}

impl Observer for Clock {
    fn before(&mut self, node: NodeId) {
        if node.subgraph == 0 {
            self.started = Instant::now();
        }
    }

    fn after(&mut self, node: NodeId, _: NodeOutputs<'_>) {
        if node.subgraph != 0 {
            return;
        }
        let elapsed = milliseconds(self.started.elapsed());
        let NodeId { index, kind, .. } = node;
        match self.operators.get_mut(index) {
            Some(operator) => operator.mean_ms += elapsed,
            None => self.operators.push(OperatorTime {
                index,
                op: kind.info().name.to_owned(),
                mean_ms: elapsed,
            }),
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::Timing;

    #[test]
    fn statistics_of_known_times() {
        let timing = Timing::of(vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!(
            (
                timing.min_ms,
                timing.max_ms,
                timing.mean_ms,
                timing.median_ms
            ),
            (1.0, 4.0, 2.5, 2.5)
        );
        assert!((timing.std_ms - 1.25f64.sqrt()).abs() < 1e-12);
        assert_eq!(Timing::of(vec![5.0]).median_ms, 5.0);
    }
}
