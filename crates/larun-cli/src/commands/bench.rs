//! `larun bench`: the time of an inference on this machine.

use std::path::PathBuf;

use larun::Model;
use larun::bench::{OperatorTime, Timing, bench, bench_operators};
use serde::Serialize;

use super::print_json;
use crate::failure::Failure;
use crate::render::{pairs, table};

/// Time inferences on this machine
///
/// One thread, inputs of zeros, after a warm-up. The time on a board is another: see `larun optimize`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun bench model.tflite
  larun bench --runs 1000 --per-op model.tflite")]
pub(crate) struct Args {
    /// The .tflite file
    model: PathBuf,

    /// Inferences to time
    #[arg(long, default_value_t = 100)]
    runs: usize,

    /// Inferences before that, not timed
    #[arg(long, default_value_t = 10)]
    warmup: usize,

    /// Time every operator as well
    #[arg(long)]
    per_op: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    timing: Timing,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The time of each operator, with --per-op.
    operators: Option<Vec<OperatorTime>>,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let model = Model::open(&self.model)?;
        let timing = bench(&model, self.runs, self.warmup)?;
        let operators = self
            .per_op
            .then(|| bench_operators(&model, self.runs))
            .transpose()?;
        let report = Report { timing, operators };
        if self.json {
            return print_json("larun.bench/1", &report);
        }
        let Timing {
            runs,
            mean_ms,
            std_ms,
            min_ms,
            max_ms,
            median_ms,
        } = report.timing;
        anstream::println!(
            "{}",
            pairs(&[
                ("runs", runs.to_string()),
                (
                    "mean",
                    format!("{mean_ms:.4} ms, standard deviation {std_ms:.4} ms")
                ),
                ("median", format!("{median_ms:.4} ms")),
                ("range", format!("{min_ms:.4} to {max_ms:.4} ms")),
            ])
        );
        if let Some(operators) = report.operators {
            let row = |op: &OperatorTime| {
                vec![
                    op.index.to_string(),
                    op.op.clone(),
                    format!("{:.4}", op.mean_ms),
                ]
            };
            let rows = operators.iter().map(row).collect();
            anstream::println!("\n{}", table(&["#", "operator", "mean ms"], rows, &[0, 2]));
        }
        Ok(())
    }
}
