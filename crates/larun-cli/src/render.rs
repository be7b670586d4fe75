//! How results look: tables, sizes, colour where the terminal has it.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};

pub(crate) use larun::numbers::{bytes, group, percent};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
/// The header of a table, and the names of values.
const NAMES: Style = AnsiColor::Cyan.on_default();

/// The word before an error.
pub(crate) fn error_label() -> String {
    format!("{BAD}error:{BAD:#}")
}

/// A finding, its first word in colour.
pub(crate) fn finding(message: &str) -> String {
    format!("{BAD}{message}{BAD:#}")
}

/// A word for a test that passed or did not.
pub(crate) fn verdict(passed: bool, yes: &str, no: &str) -> String {
    match passed {
        true => format!("{GOOD}{yes}{GOOD:#}"),
        false => format!("{BAD}{no}{BAD:#}"),
    }
}

/// A table with a header and aligned columns; `numbers` are the columns that align right.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>, numbers: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for &column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.trim_fmt();
    match text.split_once('\n') {
        Some((names, values)) => format!("{NAMES}{names}{NAMES:#}\n{values}"),
        None => format!("{NAMES}{text}{NAMES:#}"),
    }
}

/// Lines of a name and a value, the values aligned.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let lines = pairs
        .iter()
        .map(|(name, value)| format!("{NAMES}{name:width$}{NAMES:#}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A shape in brackets.
pub(crate) fn shape(dims: &[usize]) -> String {
    let dims: Vec<_> = dims.iter().map(usize::to_string).collect();
    format!("[{}]", dims.join(", "))
}
