//! `larun plan`: where everything goes in memory.

use std::path::PathBuf;

use clap::ValueEnum;
use larun::plan::{PlacedBuffer, PlanReport, plan_csv, plan_model};
use larun::{Model, files};

use super::print_json;
use crate::failure::Failure;
use crate::render::{bytes, group, pairs, table};

/// Show the memory plan of a model, its lower bound, and whether it is optimal
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun plan model.tflite
  larun plan --json model.tflite
  larun plan --csv buffers.csv --capacity 1048576 -o placed.csv")]
pub(crate) struct Args {
    /// The .tflite file
    #[arg(required_unless_present = "csv", conflicts_with = "csv")]
    model: Option<PathBuf>,

    /// Plan the buffers of a CSV file instead: id,lower,upper,size; a buffer lives in [lower, upper)
    #[arg(long, value_name = "P.csv")]
    csv: Option<PathBuf>,

    /// Bytes that there are; a plan that takes more is a finding
    #[arg(long, value_name = "BYTES")]
    capacity: Option<u64>,

    /// How to plan
    #[arg(long, value_enum, default_value_t = PlannerName::Greedy)]
    planner: PlannerName,

    /// Write the buffers with their offsets to a CSV file
    #[arg(short, long, value_name = "OUT.csv")]
    output: Option<PathBuf>,

    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum PlannerName {
    /// The largest buffer first, each at the lowest free offset
    Greedy,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let PlannerName::Greedy = self.planner;
        let (report, csv) = match (&self.model, &self.csv) {
            (_, Some(csv)) => plan_csv(csv)?,
            (Some(model), None) => {
                let report = plan_model(&Model::open(model)?)?;
                let csv = report.to_csv();
                (report, csv)
            }
            (None, None) => return Err(Failure::Error("give a model or --csv FILE".to_owned())),
        };
        if let Some(output) = &self.output {
            files::write(output, csv.as_bytes())?;
        }
        match self.json {
            true => print_json(&report)?,
            false => print(&report),
        }
        match self.capacity {
            Some(capacity) if report.peak_bytes > capacity => Err(Failure::Finding(format!(
                "does not fit: the plan takes {} bytes, {} more than the capacity of {}",
                report.peak_bytes,
                report.peak_bytes - capacity,
                capacity
            ))),
            _ => Ok(()),
        }
    }
}

fn print(report: &PlanReport) {
    let peak = match report.optimal {
        true => format!("{}, optimal", bytes(report.peak_bytes)),
        false => format!(
            "{}, at most {:.1} % above the best possible",
            bytes(report.peak_bytes),
            100.0 * (report.peak_bytes as f64 / report.lower_bound_bytes.max(1) as f64 - 1.0)
        ),
    };
    let mut lines = vec![
        ("planner", report.planner.clone()),
        ("peak", peak),
        ("lower bound", bytes(report.lower_bound_bytes)),
    ];
    if let (Some(persistent), Some(arena)) = (report.persistent_bytes, report.arena_bytes) {
        lines.push(("prepared operators", bytes(persistent)));
        lines.push(("whole arena", bytes(arena)));
    }
    anstream::println!("{}\n", pairs(&lines));
    let row = |buffer: &PlacedBuffer| {
        vec![
            buffer.name.clone(),
            group(buffer.size.into()),
            format!("{}-{}", buffer.first, buffer.last),
            group(buffer.offset.into()),
        ]
    };
    let rows = report.buffers.iter().map(row).collect();
    anstream::println!(
        "{}",
        table(&["buffer", "bytes", "alive", "offset"], rows, &[1, 2, 3])
    );
}
