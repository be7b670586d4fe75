//! Datasets as CSV files: a line a sample.

use alloc::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::{Dataset, Split, stratified_split};
use crate::DataError;
use crate::csv::{CsvError, CsvFault, CsvTable, quoted};
use crate::files::write_beside;

impl Dataset {
    /// Reads labelled samples: a column `label` (or `class`, or `y`) with the name or the number of the class, perhaps a column `split`
    /// (`train`, `validation` or `test`, or 0, 1, 2), and the values of the sample in all other columns from left to right. Classes are
    /// numbered in the order of their names, those that are all whole numbers by their value. Where there is no split, `seed` draws one.
    ///
    /// # Errors
    /// [`DataError`], naming file, line and column.
    pub fn load_csv(path: &Path, seed: u64) -> Result<Self, DataError> {
        let table = CsvTable::open(path)?;
        let label = table.column(&["label", "class", "y"])?;
        let (y, class_names) = labels(&table, label)?;
        let split_column = table.find(&["split"]);
        let split = match split_column {
            Some(column) => splits(&table, column)?,
            None => stratified_split(&y, seed),
        };
        let is_value = |column: &usize| *column != label && Some(*column) != split_column;
        let columns: Vec<usize> = (0..table.columns.len()).filter(is_value).collect();
        let mut x = vec![0.0; table.len() * columns.len()];
        for (place, &column) in columns.iter().enumerate() {
            for (row, value) in table.numbers(column)?.into_iter().enumerate() {
                if !(value as f32).is_finite() {
                    let expected = "a finite number that a float32 can hold".to_owned();
                    return Err(table.wrong(column, row, expected).into());
                }
                if let Some(x) = x.get_mut(row * columns.len() + place) {
                    *x = value as f32;
                }
            }
        }
        if columns.is_empty() {
            let fault = CsvFault::NoColumn {
                column: "of values".to_owned(),
                found: table.columns.clone(),
            };
            return Err(table.error(fault).into());
        }
        let stem = path.file_stem().unwrap_or_default();
        Ok(Self {
            soft_labels: Vec::new(),
            x,
            sample_shape: vec![columns.len(), 1],
            y,
            class_names,
            split,
            name: stem.to_string_lossy().into_owned(),
        })
    }

    /// Writes what [`Dataset::load_csv`] reads: `label`, `split`, and the values as `v0`, `v1` and so on. Samples of more than one axis
    /// are written flat, soft labels not at all.
    ///
    /// # Errors
    /// [`CsvError`] naming the file.
    pub fn save_csv(&self, path: &Path) -> Result<(), CsvError> {
        let written = write_beside(path, |file| self.write_csv(file));
        written.map_err(|error| CsvError {
            file: path.to_owned(),
            fault: Box::new(CsvFault::Io(error)),
        })
    }

    fn write_csv(&self, file: &mut dyn Write) -> io::Result<()> {
        write!(file, "label,split")?;
        for value in 0..self.sample_len() {
            write!(file, ",v{value}")?;
        }
        writeln!(file)?;
        for (index, (&label, split)) in self.y.iter().zip(&self.split).enumerate() {
            let name = self.class_names.get(label as usize);
            let name = name.cloned().unwrap_or_else(|| label.to_string());
            let split = match split {
                Split::Train => "train",
                Split::Validation => "validation",
                Split::Test => "test",
            };
            write!(file, "{},{split}", quoted(&name))?;
            for value in self.sample(index) {
                write!(file, ",{value}")?;
            }
            writeln!(file)?;
        }
        Ok(())
    }
}

/// The class of each row, and the names of the classes.
fn labels(table: &CsvTable, column: usize) -> Result<(Vec<u32>, Vec<String>), CsvError> {
    let mut names: Vec<&str> = table.text(column).collect();
    names.sort_unstable();
    names.dedup();
    if let Some(row) = table.text(column).position(str::is_empty) {
        return Err(table.wrong(column, row, "the name of a class".to_owned()));
    }
    if names.len() < 2 {
        return Err(table.wrong(column, 0, "labels of two classes or more".to_owned()));
    }
    let numbers: Option<Vec<u32>> = names.iter().map(|name| name.parse().ok()).collect();
    if let Some(mut numbers) = numbers {
        numbers.sort_unstable();
        // 0, 1, 2 and so on name themselves; anything else in order of value.
        names.sort_by_key(|name| name.parse::<u32>().unwrap_or(u32::MAX));
    }
    let index: BTreeMap<&str, u32> = names.iter().copied().zip(0..).collect();
    let y = table
        .text(column)
        .map(|name| index.get(name).copied().unwrap_or(0))
        .collect();
    Ok((y, names.into_iter().map(str::to_owned).collect()))
}

/// The split of each row.
pub(super) fn splits(table: &CsvTable, column: usize) -> Result<Vec<Split>, CsvError> {
    let split = |(row, text): (usize, &str)| {
        parse_split(text).ok_or_else(|| {
            let expected = "train, validation or test (or 0, 1, 2)".to_owned();
            table.wrong(column, row, expected)
        })
    };
    table.text(column).enumerate().map(split).collect()
}

fn parse_split(text: &str) -> Option<Split> {
    Some(match text.to_ascii_lowercase().as_str() {
        "0" | "train" | "training" => Split::Train,
        "1" | "val" | "valid" | "validation" => Split::Validation,
        "2" | "test" => Split::Test,
        _ => return None,
    })
}
