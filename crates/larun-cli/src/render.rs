//! How results look: tables, sizes, colour where the terminal has it.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

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
    table.trim_fmt()
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
        .map(|(name, value)| format!("{name:width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Bytes in units of 1024.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{} B", group(bytes)),
        _ => format!("{:.1} KB", bytes as f64 / 1024.0),
    }
}

/// A whole number with a comma before every three digits.
pub(crate) fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share of 1 in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A shape in brackets.
pub(crate) fn shape(dims: &[usize]) -> String {
    let dims: Vec<_> = dims.iter().map(usize::to_string).collect();
    format!("[{}]", dims.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{bytes, group};

    #[test]
    fn numbers_are_readable() {
        assert_eq!(group(1), "1");
        assert_eq!(group(1_234_567), "1,234,567");
        assert_eq!(group(123_456), "123,456");
        assert_eq!(bytes(9_999), "9,999 B");
        assert_eq!(bytes(102_400), "100.0 KB");
    }
}
