//! Lists of labelled files: which light curve or image is of which class.

use std::path::{Path, PathBuf};

use super::csv::splits;
use super::{Dataset, Split, stratified_split};
use crate::DataError;
use crate::clean::CleanError;
use crate::csv::CsvTable;
use crate::fits::{Fits, FitsError, FitsFault};
use crate::image::Picture;
use crate::light_curve::{LightCurve, ReadOptions};
use crate::recipe::{Ephemeris, Recipe};

/// A file with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The file.
    pub file: PathBuf,
    /// The name of its class.
    pub label: String,
    /// What it is for, where the list says.
    pub split: Option<Split>,
    /// When what it shows repeats, where the list says.
    pub ephemeris: Option<Ephemeris>,
}

/// How an image becomes a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageRecipe {
    /// Pixels of the middle that are cut out; `None` takes all.
    pub crop: Option<usize>,
    /// Pixels of a side afterwards.
    pub size: usize,
    /// The stretch's softening; `None` leaves values as they are.
    pub stretch: Option<f64>,
}

/// Reads a list: a CSV file with the columns `file` and `label`, and if you like `split`, `period` and `epoch` (days). Files are found
/// from the list's own folder.
///
/// # Errors
/// [`DataError::Csv`], naming list, line and column.
pub fn read_list(path: &Path) -> Result<Vec<Entry>, DataError> {
    let table = CsvTable::open(path)?;
    let file = table.column(&["file", "path"])?;
    let label = table.column(&["label", "class"])?;
    let split = match table.find(&["split"]) {
        Some(column) => Some(splits(&table, column)?),
        None => None,
    };
    let numbers = |name| table.find(&[name]).map(|column| table.numbers(column));
    let period = numbers("period").transpose()?;
    let epoch = numbers("epoch").transpose()?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let value = |column: &Option<Vec<f64>>, row: usize| {
        let value = column.as_ref()?.get(row).copied()?;
        value.is_finite().then_some(value)
    };
    let rows = table.text(file).zip(table.text(label)).enumerate();
    let entry = |(row, (file, label)): (usize, (&str, &str))| Entry {
        file: folder.join(file),
        label: label.to_owned(),
        split: split.as_ref().and_then(|split| split.get(row).copied()),
        ephemeris: value(&period, row).map(|period| Ephemeris {
            period,
            epoch: value(&epoch, row).unwrap_or(0.0),
        }),
    };
    Ok(rows.map(entry).collect())
}

/// The light curves of a list, cleaned: as many samples of each file as the recipe makes, all in the file's split.
///
/// # Errors
/// [`DataError`], naming the first file that cannot be read or cleaned.
pub fn light_curves(
    entries: &[Entry],
    options: &ReadOptions,
    recipe: &Recipe,
    seed: u64,
) -> Result<Dataset, DataError> {
    let shape = recipe.form.shape().to_vec();
    collect(entries, shape, seed, |entry| {
        let curve = LightCurve::open(&entry.file, options)?;
        recipe
            .apply(&curve, entry.ephemeris)
            .map_err(|source| cleaning(&entry.file, source))
    })
}

/// The images of a list.
///
/// # Errors
/// [`DataError`], naming the first file that cannot be read, or that has other channels than the first.
pub fn images(entries: &[Entry], recipe: &ImageRecipe, seed: u64) -> Result<Dataset, DataError> {
    let channels = match entries.first() {
        Some(entry) => image(&entry.file, recipe)?.channels,
        None => 1,
    };
    let shape = vec![recipe.size, recipe.size, channels];
    collect(entries, shape, seed, |entry| {
        let picture = image(&entry.file, recipe)?;
        if picture.channels == channels {
            return Ok(vec![picture.values]);
        }
        Err(DataError::Usage(format!(
            "{}: the image has {} planes, the first of the list has {channels}",
            entry.file.display(),
            picture.channels
        )))
    })
}

/// An image by its recipe.
///
/// # Errors
/// [`FitsError`]: it cannot be read, has other than two or three axes, or no pixel that is a number.
pub fn image(path: &Path, recipe: &ImageRecipe) -> Result<Picture, FitsError> {
    let image = Fits::open(path)?.image(None)?;
    let of_file = |fault| FitsError::new(path, fault);
    if !image.values.iter().any(|value| value.is_finite()) {
        return Err(of_file(FitsFault::BlankImage));
    }
    let picture = Picture::from_fits(&image).ok_or_else(|| {
        of_file(FitsFault::ImageAxes {
            unit: 0,
            axes: image.axes.clone(),
            expected: "two axes, or three with up to four planes".to_owned(),
        })
    })?;
    let cut = match recipe.crop {
        Some(crop) => picture.cut_out(crop),
        None => picture,
    };
    let sized = cut.resize(recipe.size);
    Ok(match recipe.stretch {
        Some(softening) => sized.stretch(softening),
        None => sized,
    })
}

fn cleaning(file: &Path, source: CleanError) -> DataError {
    DataError::Clean {
        file: file.display().to_string(),
        source,
    }
}

/// Samples of all entries as a dataset.
fn collect(
    entries: &[Entry],
    sample_shape: Vec<usize>,
    seed: u64,
    samples: impl Fn(&Entry) -> Result<Vec<Vec<f32>>, DataError>,
) -> Result<Dataset, DataError> {
    let mut class_names: Vec<String> = entries.iter().map(|entry| entry.label.clone()).collect();
    class_names.sort_unstable();
    class_names.dedup();
    if class_names.len() < 2 {
        return Err(DataError::Usage(format!(
            "the list has the classes {class_names:?}: a dataset needs two or more"
        )));
    }
    let class = |label: &String| class_names.binary_search(label).unwrap_or(0) as u32;
    let labels: Vec<u32> = entries.iter().map(|entry| class(&entry.label)).collect();
    // Drawn by files, not by samples: two windows of one star must not stand on both sides.
    let drawn = stratified_split(&labels, seed);
    let mut dataset = Dataset {
        sample_shape,
        name: "light curves".to_owned(),
        ..Dataset::default()
    };
    for ((entry, &label), drawn) in entries.iter().zip(&labels).zip(drawn) {
        for sample in samples(entry)? {
            dataset.x.extend_from_slice(&sample);
            dataset.y.push(label);
            dataset.split.push(entry.split.unwrap_or(drawn));
        }
    }
    dataset.class_names = class_names;
    Ok(dataset)
}
