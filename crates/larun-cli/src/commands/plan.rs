//! `larun plan`: where everything goes in memory.

use core::time::Duration;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use larun::plan::{
    PlacedBuffer, PlanReport, PlanRequest, PlannerKind, plan_csv, plan_generated, plan_model, svg,
};
use larun::{Model, files};

use super::print_json;
use super::rows::RowsArgs;
use crate::failure::Failure;
use crate::render::{bytes, group, pairs, table};

/// Show the memory plan of a model, its lower bound, and whether it is optimal
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun plan model.tflite
  larun plan --planner optimal model.tflite -o planned.tflite --svg plan.svg
  larun plan --planner optimal --in-place --reorder --json model.tflite
  larun plan --generated --in-place --stream model.tflite
  larun plan --csv buffers.csv --capacity 1048576 --planner optimal -o placed.csv")]
pub(crate) struct Args {
    /// The .tflite file
    #[arg(required_unless_present = "csv", conflicts_with = "csv")]
    model: Option<PathBuf>,

    /// Plan the buffers of a CSV file instead: id,lower,upper,size; a buffer lives in [lower, upper)
    #[arg(long, value_name = "P.csv")]
    csv: Option<PathBuf>,

    /// Bytes that there are: an optimal planner stops at a plan that fits, one that does not is a finding
    #[arg(long, value_name = "BYTES")]
    capacity: Option<u64>,

    /// How to plan
    #[arg(long, value_enum, default_value_t = PlannerName::Greedy)]
    planner: PlannerName,

    /// Let element-wise operators write over an operand that nothing reads after them. TensorFlow Lite Micro follows
    /// such a plan; LARUN's interpreter refuses it. With --generated: as `larun export --format rust --in-place`
    #[arg(long, conflicts_with = "csv")]
    in_place: bool,

    /// Show the plan of generated Rust, with the layers that run row by row
    #[arg(long, conflicts_with_all = ["csv", "planner", "reorder"])]
    generated: bool,

    #[command(flatten)]
    rows: RowsArgs,

    /// Put operators into the order that needs the least memory
    #[arg(long, conflicts_with = "csv")]
    reorder: bool,

    /// Seconds that a search may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    time_limit: u32,

    /// Write the model with the plan in it (.tflite), or the buffers with their offsets (.csv)
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// Draw the plan: lifetimes against offsets
    #[arg(long, value_name = "OUT.svg")]
    svg: Option<PathBuf>,

    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum PlannerName {
    /// The largest buffer first, each at the lowest free offset
    Greedy,
    /// The best of several orders: by size, breadth, conflicts, area and start
    Portfolio,
    /// Orders improved by swaps, as Vela does
    HillClimb,
    /// A search that proves the optimum, or says how far it may be from it
    Optimal,
}

impl PlannerName {
    const fn kind(self) -> PlannerKind {
        match self {
            Self::Greedy => PlannerKind::Greedy,
            Self::Portfolio => PlannerKind::Portfolio,
            Self::HillClimb => PlannerKind::HillClimb,
            Self::Optimal => PlannerKind::Optimal,
        }
    }
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let request = PlanRequest {
            planner: self.planner.kind(),
            in_place: self.in_place,
            reorder: self.reorder,
            goal: self
                .capacity
                .map_or(0, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX)),
            time_limit: Duration::from_secs(self.time_limit.into()),
        };
        let wants_model = self.output.as_deref().is_some_and(is_model);
        if self.rows.is_given() && !self.generated {
            let only = "--target and --stream are of generated Rust: give --generated as well";
            return Err(Failure::Error(only.to_owned()));
        }
        let (report, planned) = match (&self.model, &self.csv) {
            (Some(_), None) if self.generated && wants_model => {
                let only =
                    "the plan of generated Rust does not travel in a model: it is written as .csv";
                return Err(Failure::Error(only.to_owned()));
            }
            (Some(model), None) if self.generated => {
                let options = self.rows.options(self.in_place);
                (plan_generated(&Model::open(model)?, &options)?, None)
            }
            (_, Some(_)) if wants_model => {
                return Err(Failure::Error(
                    "a plan of bare buffers is written as .csv".to_owned(),
                ));
            }
            (_, Some(csv)) => (plan_csv(csv, &request)?, None),
            (Some(model), None) => {
                let planned = plan_model(&Model::open(model)?, &request)?;
                (planned.report.clone(), Some(planned))
            }
            (None, None) => return Err(Failure::Error("give a model or --csv FILE".to_owned())),
        };
        match (&self.output, planned) {
            (Some(output), Some(planned)) if wants_model => {
                files::write(output, &planned.to_tflite()?)?;
            }
            (Some(output), _) => files::write(output, report.to_csv().as_bytes())?,
            (None, _) => {}
        }
        if let Some(output) = &self.svg {
            files::write(output, svg(&report).as_bytes())?;
        }
        match self.json {
            true => print_json("larun.plan/1", &report)?,
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

/// Whether a file is to be a model, by its name.
fn is_model(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("tflite"))
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
    if report.in_place > 0 {
        lines.push(("in place", format!("{} results", report.in_place)));
    }
    for stretch in &report.by_rows {
        let operators = match stretch.first == stretch.last {
            true => format!("operator {}", stretch.first),
            false => format!("operators {} to {}", stretch.first, stretch.last),
        };
        let place = stretch.in_place_of.as_deref();
        let place = place.map_or(String::new(), |it| format!(", in the memory of {it}"));
        let rows = stretch.rows;
        lines.push((
            "row by row",
            format!("{operators}, {rows} at a time{place}"),
        ));
    }
    if let Some(before) = report.live_bytes_before_reordering {
        let all = match report.order_is_optimal {
            Some(true) => ", none needs less",
            _ => "",
        };
        lines.push((
            "order",
            format!("{} alive at most in the file's order{all}", bytes(before)),
        ));
    }
    if let Some(persistent) = report.persistent_bytes {
        lines.push(("prepared operators", bytes(persistent)));
    }
    if let Some(arena) = report.arena_bytes {
        lines.push(("whole arena", bytes(arena)));
    }
    lines.push(("planned in", format!("{:.1} ms", report.planning_ms)));
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
