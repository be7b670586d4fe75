//! The tables of docs/devices.md.

use core::fmt::Write;
use std::path::Path;

use larun_device::cost::{CostEstimate, Fit, InstructionSet, estimate, instructions};
use larun_device::{Board, Storage, board, boards};
use larun_graph::Graph;
use serde::{Deserialize, Serialize};

use super::fit::CountedModel;
use super::published::PUBLISHED;

/// What was counted of the models that the fit has not seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldOut {
    /// The instruction set.
    pub set: InstructionSet,
    /// The models; a name is a folder in the corpus's `models`.
    pub models: Vec<CountedModel>,
}

/// The models of MLPerf Tiny in the order of the published times.
const MLPERF: [&str; 4] = ["kws_int8", "vww_int8", "ic_resnet8_int8", "ad01_int8"];

type Fault = Box<dyn core::error::Error>;

/// Puts the tables between their marks in a page.
///
/// # Errors
/// When the page or a model cannot be read, or a mark is missing.
pub fn write_page(page: &Path, held_out: &[HeldOut], corpus: &Path) -> Result<(), Fault> {
    let mut text = std::fs::read_to_string(page)?;
    let tables = [
        ("boards", boards_table()),
        ("predicted", predicted_table(held_out, corpus)?),
        ("published", published_table(corpus)?),
        ("families", families_table()),
    ];
    for (name, table) in tables {
        let (begin, end) = (
            format!("<!-- begin {name} -->\n"),
            format!("<!-- end {name} -->"),
        );
        let missing = || format!("{}: no {begin:?} and {end:?}", page.display());
        let first = text.find(&begin).ok_or_else(missing)? + begin.len();
        let last = text.find(&end).ok_or_else(missing)?;
        let inside = text.get(first..last).ok_or_else(missing)?.len();
        text.replace_range(first..first + inside, &table);
    }
    std::fs::write(page, text)?;
    Ok(())
}

fn model(corpus: &Path, name: &str) -> Result<Graph, Fault> {
    let path = corpus.join("models").join(name).join("model.tflite");
    Ok(larun_tflite::read(&std::fs::read(path)?)?)
}

/// The boards, as the documentation shows them.
pub fn boards_table() -> String {
    let mut table = "| `--device` | board | core | MHz | flash | RAM by region | power |\n|---|---|---|--:|--:|---|---|\n".to_owned();
    for board in boards() {
        let _ = writeln!(table, "{}", board_row(board));
    }
    table
}

fn board_row(board: &Board) -> String {
    let flash = match board.storage {
        Storage::Flash(bytes) => format!("{} KB", bytes / 1024),
        Storage::Card => "card".to_owned(),
    };
    let region =
        |region: &larun_device::Region| format!("{} {} KB", region.name, region.bytes / 1024);
    let ram: Vec<String> = board.ram.iter().map(region).collect();
    let power = board.power.as_ref().map_or_else(
        || "-".to_owned(),
        |power| format!("{} mW ({})", power.milliwatts, power.source),
    );
    format!(
        "| `{}` | {} | {} | {} | {flash} | {} | {power} |",
        board.id,
        board.name,
        board.core.name(),
        board.clock_hz as f64 / 1e6,
        ram.join(", ")
    )
}

fn predicted_table(held_out: &[HeldOut], corpus: &Path) -> Result<String, Fault> {
    let mut table =
        "| model | instruction set | counted | predicted | error |\n|---|---|--:|--:|--:|\n"
            .to_owned();
    for HeldOut { set, models } in held_out {
        for counted in models {
            let predicted = instructions(&model(corpus, &counted.name)?, *set);
            let error = 100.0 * (predicted / counted.invoke as f64 - 1.0);
            let _ = writeln!(
                table,
                "| {} | {} | {} | {predicted:.0} | {error:+.1} % |",
                counted.name,
                set.name(),
                counted.invoke
            );
        }
    }
    Ok(table)
}

fn published_table(corpus: &Path) -> Result<String, Fault> {
    let graphs = MLPERF
        .iter()
        .map(|name| model(corpus, &format!("mlperf_tiny/{name}")))
        .collect::<Result<Vec<_>, _>>()?;
    let mut table = "| board | system | key words | wake words | images | anomalies |\n|---|---|--:|--:|--:|--:|\n".to_owned();
    let mut last = "";
    for row in PUBLISHED {
        let board = board(row.board)?;
        let costs = graphs
            .iter()
            .map(|graph| estimate(graph, board, None))
            .collect::<Result<Vec<CostEstimate>, _>>()?;
        if last != row.board {
            let cells: Vec<String> = costs
                .iter()
                .map(|cost| {
                    format!(
                        "**{:.2}** ({:.2} cycles/MAC)",
                        cost.milliseconds,
                        cost.cycles / cost.macs as f64
                    )
                })
                .collect();
            let _ = writeln!(
                table,
                "| {} | **LARUN, predicted** | {} |",
                board.name,
                cells.join(" | ")
            );
            last = row.board;
        }
        let cells: Vec<String> = costs
            .iter()
            .zip(row.milliseconds)
            .map(|(cost, published)| {
                format!(
                    "{published:.2} ({:+.0} %)",
                    100.0 * (cost.milliseconds / published - 1.0)
                )
            })
            .collect();
        let _ = writeln!(
            table,
            "| {} | {} | {} |",
            board.name,
            row.system,
            cells.join(" | ")
        );
    }
    Ok(table)
}

fn families_table() -> String {
    let mut table = "| instruction set | kernels | instructions |\n|---|---|---|\n".to_owned();
    for fit in Fit::all() {
        let terms: Vec<String> = fit
            .terms
            .iter()
            .map(|(name, each)| format!("{each:.2} x {name}"))
            .collect();
        let _ = writeln!(
            table,
            "| {} | {} | {} |",
            fit.set.name(),
            fit.family,
            terms.join(" + ")
        );
    }
    table
}
