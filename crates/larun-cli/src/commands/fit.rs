//! `larun fit`: whether a model fits a board, and what would help.

use std::path::PathBuf;

use larun::Model;
use larun::device::advice::Change;
use larun::device::cost::LayerCost;
use larun::device::{self, Board, Budget, Check, KB, Region, Storage};
use larun::fit::{ModelFit, fit_model};

use super::print_json;
use crate::failure::Failure;
use crate::render::{bytes, group, pairs, shape, table, verdict};

/// Say whether a model fits a board, where its bytes and cycles go, and which change would help most
///
/// Instructions, cycles, milliseconds and microjoules are estimates: from instructions of LARUN's kernels counted in an emulator, and
/// the documented timings of the core. A model that does not fit is a finding.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun fit model.tflite --device nano33ble
  larun fit --json model.tflite --device pico --ram-kb 128 --ms 100
  larun fit model.tflite --device my_board.toml
  larun fit --list-devices")]
pub(crate) struct Args {
    /// The .tflite file
    #[arg(required_unless_present = "list_devices", requires = "device")]
    model: Option<PathBuf>,

    /// The board: a name of --list-devices, or a .toml file that describes one
    #[arg(long, value_name = "BOARD|FILE.toml")]
    device: Option<String>,

    /// Print the boards that are known by name
    #[arg(long)]
    list_devices: bool,

    /// The most KB of flash for the model [default: 100]
    #[arg(long, value_name = "KB")]
    flash_kb: Option<u64>,

    /// The most KB of RAM for the arena [default: 50]
    #[arg(long, value_name = "KB")]
    ram_kb: Option<u64>,

    /// The most milliseconds of an inference [default: 10]
    #[arg(long, value_name = "MS")]
    ms: Option<f64>,

    /// Hold the model against the board alone, and what is given beside, not against LARUN's own budget
    #[arg(long)]
    board_only: bool,

    /// Show so many changes
    #[arg(long, value_name = "N", default_value_t = 8)]
    changes: usize,

    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.list_devices {
            return list(self.json);
        }
        let (Some(path), Some(name)) = (&self.model, &self.device) else {
            return Err(Failure::Error("give a model and --device BOARD".to_owned()));
        };
        let board = device::find_board(name)?;
        let fit = fit_model(&Model::open(path)?, &board, &self.budget())?;
        match self.json {
            true => print_json("larun.fit/1", &fit)?,
            false => print(&fit, self.changes),
        }
        match fit.exceeded.as_slice() {
            [] => Ok(()),
            exceeded => Err(Failure::Finding(format!(
                "does not fit: {}",
                exceeded.join("; ")
            ))),
        }
    }

    fn budget(&self) -> Budget {
        let base = match self.board_only {
            true => Budget {
                flash_bytes: u64::MAX,
                ram_bytes: u64::MAX,
                milliseconds: f64::MAX,
                parameters: u64::MAX,
                operations: u64::MAX,
            },
            false => Budget::LARUN,
        };
        let kb = |given: Option<u64>, base| given.map_or(base, |kb| kb.saturating_mul(KB));
        Budget {
            flash_bytes: kb(self.flash_kb, base.flash_bytes),
            ram_bytes: kb(self.ram_kb, base.ram_bytes),
            milliseconds: self.ms.unwrap_or(base.milliseconds),
            ..base
        }
    }
}

/// What `--list-devices --json` prints.
#[derive(serde::Serialize)]
struct Devices {
    /// The boards.
    boards: &'static [Board],
}

fn list(json: bool) -> Result<(), Failure> {
    if json {
        let devices = Devices {
            boards: device::boards(),
        };
        return print_json("larun.devices/1", &devices);
    }
    let row = |board: &Board| {
        let region = |region: &Region| format!("{} {}", region.name, bytes(region.bytes));
        let ram: Vec<String> = board.ram.iter().map(region).collect();
        vec![
            board.id.clone(),
            board.name.clone(),
            board.core.name().to_owned(),
            format!("{}", board.clock_hz as f64 / 1e6),
            match board.storage {
                Storage::Flash(size) => bytes(size),
                Storage::Card => "card".to_owned(),
            },
            ram.join(", "),
        ]
    };
    let rows = device::boards().iter().map(row).collect();
    let header = ["--device", "board", "core", "MHz", "flash", "RAM by region"];
    anstream::println!("{}", table(&header, rows, &[3, 4]));
    Ok(())
}

fn print(fit: &ModelFit, changes: usize) {
    let board = &fit.report.board;
    let region = board.region_for(fit.usage.ram_bytes);
    let energy = fit.cost.microjoules.map_or_else(
        || "no current is published for this board".to_owned(),
        |energy| format!("about {energy:.1} µJ an inference (estimate)"),
    );
    let ram = match fit.ram_is_measured {
        true => format!("{} of arena", bytes(fit.usage.ram_bytes)),
        false => format!(
            "at least {}: the interpreter does not run this model",
            bytes(fit.usage.ram_bytes)
        ),
    };
    anstream::println!(
        "{}\n",
        pairs(&[
            (
                "board",
                format!(
                    "{} ({}, {} MHz)",
                    board.name,
                    board.core.name(),
                    board.clock_hz as f64 / 1e6
                )
            ),
            ("verdict", verdict(fit.fits, "fits", "does not fit")),
            (
                "flash",
                format!("{} of model", bytes(fit.usage.flash_bytes))
            ),
            (
                "RAM",
                region.map_or_else(
                    || ram.clone(),
                    |region| format!("{ram}, in {}", region.name)
                )
            ),
            (
                "time",
                format!(
                    "{:.2} ms (estimate): {} instructions, {} cycles",
                    fit.cost.milliseconds,
                    whole(fit.cost.instructions),
                    whole(fit.cost.cycles)
                )
            ),
            ("energy", energy),
        ])
    );
    let rows = fit
        .report
        .checks
        .iter()
        .filter(|check| check.maximum < 1e18)
        .map(check_row)
        .collect();
    let header = ["limit", "of", "used", "allowed", "over by"];
    anstream::println!("{}\n", table(&header, rows, &[2, 3, 4]));
    let rows = fit
        .cost
        .layers
        .iter()
        .map(|layer| layer_row(layer, fit))
        .collect();
    let header = [
        "#",
        "operator",
        "output",
        "MACs",
        "instructions",
        "cycles",
        "ms",
        "share",
        "weights B",
        "alive B",
    ];
    anstream::println!("{}", table(&header, rows, &[0, 3, 4, 5, 6, 7, 8, 9]));
    if fit.cost.layers.iter().any(|layer| !layer.counted) {
        anstream::println!("~ a guess: no kernel of this kind and type was counted");
    }
    let best: Vec<_> = fit.changes.iter().take(changes).map(change_row).collect();
    if !best.is_empty() {
        let header = ["what would help most", "flash", "RAM", "ms", "scarcest"];
        anstream::println!("\n{}", table(&header, best, &[1, 2, 3, 4]));
    }
}

fn whole(number: f64) -> String {
    group(number.round().max(0.0) as u64)
}

fn check_row(check: &Check) -> Vec<String> {
    let number = |value: f64| match check.limit.unit() {
        "ms" => format!("{value:.2} ms"),
        "bytes" => format!("{} B", whole(value)),
        _ => whole(value),
    };
    vec![
        check.limit.name().to_owned(),
        check.limit.source().to_owned(),
        number(check.value),
        number(check.maximum),
        check.over().map_or_else(|| "-".to_owned(), number),
    ]
}

fn layer_row(layer: &LayerCost, fit: &ModelFit) -> Vec<String> {
    let guess = if layer.counted { "" } else { "~" };
    vec![
        layer.index.to_string(),
        layer.op.clone(),
        shape(&layer.output_shape),
        group(layer.macs),
        format!("{guess}{}", whole(layer.instructions)),
        whole(layer.cycles),
        format!("{:.3}", layer.milliseconds),
        format!("{:.1} %", 100.0 * layer.cycles / fit.cost.cycles.max(1.0)),
        group(layer.weight_bytes),
        group(layer.live_bytes),
    ]
}

fn change_row(change: &Change) -> Vec<String> {
    let saved = |bytes: i64| match bytes {
        0 => "-".to_owned(),
        bytes => format!(
            "{}{} B",
            if bytes > 0 { "-" } else { "+" },
            group(bytes.unsigned_abs())
        ),
    };
    vec![
        change.what.clone(),
        saved(change.flash_saved),
        saved(change.ram_saved),
        match change.milliseconds_saved.abs() < 0.005 {
            true => "-".to_owned(),
            false => format!("{:+.2}", -change.milliseconds_saved),
        },
        format!("{:.0} %", 100.0 * change.worst_share),
    ]
}
