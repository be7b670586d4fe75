//! `larun data inspect`: what is in a file of data.

use std::path::{Path, PathBuf};

use larun::data::clean::cadence;
use larun::data::csv::CsvTable;
use larun::data::dataset::{Dataset, Split};
use larun::data::fits::Fits;
use larun::data::light_curve::{LightCurve, ReadOptions};
use larun::data::npy::NpyArray;
use larun::data::npz::NpzReader;
use serde::Serialize;

use crate::commands::print_json;
use crate::failure::Failure;
use crate::render::{group, pairs, shape, table};

/// Show what is in a .npz, .npy, .csv or FITS file
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun data inspect curves.npz
  larun data inspect kplr011446443-2009131110544_slc.fits --json")]
pub(crate) struct Args {
    /// The file
    file: PathBuf,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What a file holds.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Content {
    /// Labelled samples.
    Dataset(DatasetContent),
    /// Arrays that are no dataset, and why.
    Arrays {
        /// The arrays.
        arrays: Vec<ArrayContent>,
        /// Why they are no dataset.
        reason: String,
    },
    /// One array.
    Array(ArrayContent),
    /// A table of text.
    Table {
        /// The names of the columns.
        columns: Vec<String>,
        /// Rows below the header.
        rows: usize,
    },
    /// A FITS file.
    Fits {
        /// Its header and data units.
        units: Vec<UnitContent>,
        /// The light curve in it, where there is one.
        light_curve: Option<CurveContent>,
    },
    /// A light curve in a CSV file.
    LightCurve(CurveContent),
}

/// Labelled samples.
#[derive(Serialize)]
struct DatasetContent {
    /// How many samples.
    samples: usize,
    /// The shape of one.
    sample_shape: Vec<usize>,
    /// The smallest value.
    smallest: f32,
    /// The largest value.
    largest: f32,
    /// The classes, by their labels.
    classes: Vec<ClassContent>,
}

#[derive(Serialize)]
struct ClassContent {
    /// Its name.
    name: String,
    /// Samples to train on.
    train: usize,
    /// Samples to stop by.
    validation: usize,
    /// Samples to measure on.
    test: usize,
}

#[derive(Serialize)]
struct ArrayContent {
    /// Its name.
    name: String,
    /// Its shape.
    shape: Vec<usize>,
    /// What its elements are.
    element_type: String,
}

#[derive(Serialize)]
struct UnitContent {
    /// Its number.
    index: usize,
    /// Its name.
    name: String,
    /// What it holds: an image, a table, nothing.
    kind: String,
    /// The columns of a table.
    columns: Vec<ColumnContent>,
    /// The axes of an image.
    axes: Vec<usize>,
}

#[derive(Serialize)]
struct ColumnContent {
    /// Its name.
    name: String,
    /// Its format, as the file gives it.
    form: String,
    /// Its unit.
    unit: Option<String>,
}

#[derive(Serialize)]
struct CurveContent {
    /// The star.
    object: Option<String>,
    /// The mission.
    mission: Option<String>,
    /// The column that the flux is from.
    flux_column: String,
    /// Rows of the file.
    rows: usize,
    /// Rows that are used.
    used: usize,
    /// Rows left out for their flags.
    flagged: usize,
    /// Rows without a time or a flux.
    missing: usize,
    /// Days from the first measurement to the last.
    days: f64,
    /// Minutes from one measurement to the next.
    cadence_minutes: Option<f64>,
    /// Half of the range that two thirds of the fluxes are in, over their median, in parts in a million.
    scatter_ppm: f64,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let content = content(&self.file)?;
        match self.json {
            true => print_json("larun.data-inspect/1", &content),
            false => {
                anstream::println!("{}", content.text());
                Ok(())
            }
        }
    }
}

fn content(file: &Path) -> Result<Content, Failure> {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str() {
        Some("npz") => npz(file),
        Some("npy") => {
            let array = NpyArray::read(file)?;
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            Ok(Content::Array(ArrayContent::new(&name, &array)))
        }
        Some("csv") => csv(file),
        _ => fits(file),
    }
}

fn npz(file: &Path) -> Result<Content, Failure> {
    let reason = match Dataset::load(file, 0) {
        Ok(dataset) => return Ok(Content::Dataset(DatasetContent::new(&dataset))),
        Err(error) => error.to_string(),
    };
    // No dataset: still an archive, or the error says what it is.
    let Ok(mut archive) = NpzReader::open(file) else {
        return Err(Failure::Error(reason));
    };
    let names = archive.names().to_vec();
    let array = |name: &String| match archive.array(name) {
        Ok(array) => ArrayContent::new(name, &array),
        Err(_) => ArrayContent {
            name: name.clone(),
            shape: Vec::new(),
            element_type: "not numbers".to_owned(),
        },
    };
    let arrays = names.iter().map(array).collect();
    Ok(Content::Arrays { arrays, reason })
}

fn csv(file: &Path) -> Result<Content, Failure> {
    let table = CsvTable::open(file)?;
    if let Ok(curve) = LightCurve::read_csv(file, &ReadOptions::default()) {
        return Ok(Content::LightCurve(CurveContent::new(&curve)));
    }
    if let Ok(dataset) = Dataset::load(file, 0) {
        return Ok(Content::Dataset(DatasetContent::new(&dataset)));
    }
    Ok(Content::Table {
        rows: table.len(),
        columns: table.columns,
    })
}

fn fits(path: &Path) -> Result<Content, Failure> {
    let file = Fits::open(path)?;
    let mut units = Vec::new();
    for (index, unit) in file.units().iter().enumerate() {
        let columns = match unit.kind() {
            "BINTABLE" => columns(&file, unit.name()),
            _ => Vec::new(),
        };
        let is_image = matches!(unit.kind(), "PRIMARY" | "IMAGE");
        let image = is_image.then(|| file.image(Some(index)).ok()).flatten();
        units.push(UnitContent {
            index,
            name: unit.name().to_owned(),
            kind: unit.kind().to_owned(),
            columns,
            axes: image.map_or_else(Vec::new, |image| image.axes),
        });
    }
    let has_table = units.iter().any(|unit| !unit.columns.is_empty());
    let light_curve = match LightCurve::read_fits(&file, &ReadOptions::default()) {
        Ok(curve) => Some(CurveContent::new(&curve)),
        // A table of something else is no error; a light curve that cannot be used is.
        Err(error) if has_table && is_curve(&units) => return Err(error.into()),
        Err(_) => None,
    };
    Ok(Content::Fits { units, light_curve })
}

fn is_curve(units: &[UnitContent]) -> bool {
    let mut columns = units.iter().flat_map(|unit| &unit.columns);
    columns.any(|column| column.name.eq_ignore_ascii_case("TIME"))
}

fn columns(file: &Fits, extension: &str) -> Vec<ColumnContent> {
    let Ok(table) = file.table(extension) else {
        return Vec::new();
    };
    let column = |column: &larun::data::fits::Column<'_>| ColumnContent {
        name: column.name.clone(),
        form: column.form.clone(),
        unit: column.unit.clone(),
    };
    table.columns().iter().map(column).collect()
}

impl DatasetContent {
    fn new(dataset: &Dataset) -> Self {
        let [train, validation, test] = Split::ALL.map(|split| dataset.class_counts(split));
        let class = |(index, name): (usize, &String)| ClassContent {
            name: name.clone(),
            train: train[index],
            validation: validation[index],
            test: test[index],
        };
        Self {
            samples: dataset.len(),
            sample_shape: dataset.sample_shape.clone(),
            smallest: dataset.x.iter().copied().fold(f32::INFINITY, f32::min),
            largest: dataset.x.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            classes: dataset.class_names.iter().enumerate().map(class).collect(),
        }
    }
}

impl ArrayContent {
    fn new(name: &str, array: &NpyArray) -> Self {
        Self {
            name: name.to_owned(),
            shape: array.shape().to_vec(),
            element_type: array.element_type().to_string(),
        }
    }
}

impl CurveContent {
    fn new(curve: &LightCurve) -> Self {
        let mut sorted = curve.flux.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
        let middle = at(0.5);
        Self {
            object: curve.object.clone(),
            mission: curve.mission.map(|mission| format!("{mission:?}")),
            flux_column: curve.flux_column.clone(),
            rows: curve.rows,
            used: curve.time.len(),
            flagged: curve.flagged,
            missing: curve.missing,
            days: match (curve.time.first(), curve.time.last()) {
                (Some(first), Some(last)) => last - first,
                _ => 0.0,
            },
            cadence_minutes: cadence(&curve.time).map(|days| days * 1440.0),
            scatter_ppm: (at(0.8413) - at(0.1587)) / 2.0 / middle.abs() * 1e6,
        }
    }

    fn text(&self) -> String {
        let cadence = self.cadence_minutes.map_or_else(
            || "unknown".to_owned(),
            |minutes| format!("{minutes:.2} minutes"),
        );
        pairs(&[
            (
                "object",
                self.object.clone().unwrap_or_else(|| "unknown".to_owned()),
            ),
            (
                "mission",
                self.mission.clone().unwrap_or_else(|| "unknown".to_owned()),
            ),
            ("flux", self.flux_column.clone()),
            (
                "measurements",
                format!(
                    "{} of {} rows; {} left out for their flags, {} missing",
                    group(self.used as u64),
                    group(self.rows as u64),
                    group(self.flagged as u64),
                    group(self.missing as u64)
                ),
            ),
            (
                "span",
                format!("{:.3} days, one every {cadence}", self.days),
            ),
            (
                "scatter",
                format!("{:.0} parts in a million", self.scatter_ppm),
            ),
        ])
    }
}

impl Content {
    fn text(&self) -> String {
        match self {
            Self::Dataset(dataset) => dataset.text(),
            Self::Arrays { arrays, reason } => {
                format!("{}\nnot a dataset: {reason}", array_table(arrays))
            }
            Self::Array(array) => array_table(core::slice::from_ref(array)),
            Self::Table { columns, rows } => {
                format!("{} rows of {}", group(*rows as u64), columns.join(", "))
            }
            Self::Fits { units, light_curve } => {
                let mut parts: Vec<String> = vec![unit_table(units)];
                parts.extend(light_curve.as_ref().map(CurveContent::text));
                parts.join("\n\n")
            }
            Self::LightCurve(curve) => curve.text(),
        }
    }
}

impl DatasetContent {
    fn text(&self) -> String {
        let rows = self.classes.iter().map(|class| {
            let counts = [class.train, class.validation, class.test];
            let mut row = vec![class.name.clone()];
            row.extend(counts.map(|count| group(count as u64)));
            row
        });
        format!(
            "{} samples of shape {}, values {} to {}\n\n{}",
            group(self.samples as u64),
            shape(&self.sample_shape),
            self.smallest,
            self.largest,
            table(
                &["class", "train", "validation", "test"],
                rows.collect(),
                &[1, 2, 3]
            )
        )
    }
}

fn array_table(arrays: &[ArrayContent]) -> String {
    let rows = arrays.iter().map(|array| {
        vec![
            array.name.clone(),
            array.element_type.clone(),
            shape(&array.shape),
        ]
    });
    table(&["array", "type", "shape"], rows.collect(), &[])
}

fn unit_table(units: &[UnitContent]) -> String {
    let rows = units.iter().map(|unit| {
        let content = match (unit.columns.is_empty(), unit.axes.is_empty()) {
            (false, _) => {
                let column = |column: &ColumnContent| match &column.unit {
                    Some(unit) => format!("{} [{unit}]", column.name),
                    None => column.name.clone(),
                };
                let columns: Vec<String> = unit.columns.iter().map(column).collect();
                columns.join(", ")
            }
            (true, false) => format!("image {}", shape(&unit.axes)),
            (true, true) => String::new(),
        };
        vec![
            unit.index.to_string(),
            unit.name.clone(),
            unit.kind.clone(),
            content,
        ]
    });
    table(&["unit", "name", "kind", "content"], rows.collect(), &[0])
}
