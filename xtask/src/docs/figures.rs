//! Charts of what pages hold, or of files that their commands left: drawn where a page says so.
//!
//! ```text
//! <!-- chart FILE.svg: TITLE; UNIT; labels 0; columns 1,2 -->   bars, of the next table in the page
//! <!-- chart FILE.svg: TITLE; UNIT; rows TEXT; columns 1 -->     of the rows that hold a text alone
//! <!-- chart FILE.svg of OTHER.md#heading: ... -->               of the first table below a heading of another page
//! ```

use std::path::Path;

use super::chart::{Bars, Series};
use super::{Error, Made, Page, read};

/// Draws what the lines of a page ask for.
///
/// # Errors
/// When a request cannot be read, or the table is not there.
pub(super) fn draw(page: &Page, root: &Path, made: &mut Made) -> Result<(), Error> {
    for (number, line) in page.lines.iter().enumerate() {
        let asked = line
            .trim()
            .strip_prefix("<!-- chart ")
            .and_then(|line| line.strip_suffix("-->"));
        let Some(asked) = asked else {
            continue;
        };
        let fault = |what: String| Error::page(page, number, what);
        let request = Request::read(asked).map_err(fault)?;
        let table = match &request.elsewhere {
            None => table(page.lines.get(number..).unwrap_or_default()),
            Some((other, heading)) => {
                let text = read(&root.join("docs").join(other))?;
                let lines: Vec<_> = text.lines().map(str::to_owned).collect();
                let below = lines
                    .iter()
                    .position(|line| line.starts_with('#') && line.contains(heading.as_str()));
                let below =
                    below.ok_or_else(|| fault(format!("{other} has no heading {heading:?}")))?;
                table(lines.get(below..).unwrap_or_default())
            }
        };
        let bars = request.bars(&table).map_err(fault)?;
        made.insert(format!("figures/{}", request.file), bars.svg());
    }
    Ok(())
}

/// What a line asks for.
struct Request {
    file: String,
    /// Another page, and a heading in it.
    elsewhere: Option<(String, String)>,
    title: String,
    unit: String,
    labels: Vec<usize>,
    columns: Vec<usize>,
    /// A text in the rows that are shown.
    rows: String,
}

impl Request {
    fn read(asked: &str) -> Result<Self, String> {
        let (place, rest) = asked.split_once(": ").ok_or("no colon behind the file")?;
        let (file, elsewhere) = match place.split_once(" of ") {
            None => (place, None),
            Some((file, other)) => {
                let (page, heading) = other.split_once('#').ok_or("no # behind the page")?;
                (file, Some((page.to_owned(), heading.to_owned())))
            }
        };
        let mut parts = rest.split(';').map(str::trim);
        let (title, unit) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let mut request = Self {
            file: file.trim().to_owned(),
            elsewhere,
            title: title.to_owned(),
            unit: unit.to_owned(),
            labels: vec![0],
            columns: Vec::new(),
            rows: String::new(),
        };
        for part in parts {
            let (key, list) = part
                .split_once(' ')
                .ok_or_else(|| format!("{part:?}: no list"))?;
            if key == "rows" {
                list.clone_into(&mut request.rows);
                continue;
            }
            let list = list.split(',').map(|number| number.trim().parse::<usize>());
            let list = list
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| format!("{part:?}: {error}"))?;
            match key {
                "labels" => request.labels = list,
                "columns" => request.columns = list,
                _ => return Err(format!("{key:?} is neither labels nor columns")),
            }
        }
        Ok(request)
    }

    fn bars(&self, table: &[Vec<String>]) -> Result<Bars, String> {
        let (header, rows) = table.split_first().ok_or("there is no table")?;
        let is_shown = |row: &&Vec<String>| row.iter().any(|cell| cell.contains(&self.rows));
        let rows: Vec<&Vec<String>> = rows.iter().filter(is_shown).collect();
        let mut above: Vec<String> = vec![String::new(); header.len()];
        let mut labels = Vec::new();
        for row in &rows {
            // A label that is left out is that of the row above.
            for (column, cell) in row.iter().enumerate() {
                if let Some(kept) = above.get_mut(column).filter(|_| !cell.is_empty()) {
                    kept.clone_from(cell);
                }
            }
            let parts = self.labels.iter().filter_map(|&column| above.get(column));
            labels.push(parts.map(String::as_str).collect::<Vec<_>>().join(", "));
        }
        let series = self.columns.iter().map(|&column| {
            let name = header
                .get(column)
                .ok_or_else(|| format!("there is no column {column}"))?;
            let values = rows
                .iter()
                .map(|row| row.get(column).and_then(|cell| number(cell)));
            Ok(Series {
                name: name.replace('`', ""),
                values: values.collect(),
            })
        });
        Ok(Bars {
            title: self.title.clone(),
            unit: self.unit.clone(),
            labels: labels
                .iter()
                .map(|label| label.replace(['`', '*'], ""))
                .collect(),
            series: series.collect::<Result<Vec<_>, String>>()?,
        })
    }
}

/// The first number of a cell.
fn number(cell: &str) -> Option<f64> {
    let cell = cell
        .trim_start_matches(['~', '<', '+', '*'])
        .replace(',', "");
    let end = cell.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-');
    cell.get(..end.unwrap_or(cell.len()))?.parse().ok()
}

/// The first table: its cells, header first.
fn table(lines: &[String]) -> Vec<Vec<String>> {
    let rows = lines
        .iter()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let cells = |line: &String| {
        let inside = line.trim().trim_start_matches('|').trim_end_matches('|');
        inside
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let is_rule = |cells: &Vec<String>| {
        cells
            .iter()
            .all(|cell| !cell.is_empty() && cell.chars().all(|c| c == '-' || c == ':'))
    };
    rows.map(cells).filter(|cells| !is_rule(cells)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Request, number, table};

    #[test]
    fn tables_become_bars() {
        let text = "x\n| a | b |\n|---|--:|\n| one | 1,234.5 B |\n|  | -2 |\n\n";
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let request = Request::read("f.svg: Title; bytes; labels 0; columns 1 ").unwrap();
        let bars = request.bars(&table(&lines)).unwrap();
        assert_eq!(bars.labels, ["one", "one"]);
        assert_eq!(bars.series[0].values, [Some(1234.5), Some(-2.0)]);
        assert_eq!(number("stays dense"), None);
    }
}
