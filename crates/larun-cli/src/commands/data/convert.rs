//! `larun data convert`: from files of a telescope to samples for a network.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use larun::data::DataError;
use larun::data::clean::{Detrend, GapFill, Normalisation, Quality, SigmaClip};
use larun::data::dataset::list::{self, ImageRecipe};
use larun::data::dataset::{Dataset, LoadOptions};
use larun::data::light_curve::{LightCurve, ReadOptions};
use larun::data::npy::NpyArray;
use larun::data::recipe::{Ephemeris, Form, Recipe};

use super::simulate::{Written, save};
use crate::commands::print_json;
use crate::failure::Failure;

/// Read, clean and convert light curves, images and datasets
///
/// One light curve (FITS or .csv) becomes an .npy array of its samples. A list of files with their labels (--list: a
/// CSV file with the columns file and label, and if you like split, period and epoch) becomes a dataset. A dataset
/// (.npz or .csv) becomes another one, its classes merged and its values scaled.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun data convert curve.fits --sigma-clip 5 --detrend median --window 2 -o curve.npy
  larun data convert curve.fits --form views --period 3.52 --epoch 134.2 --normalise depth -o candidate.npy
  larun data convert --list stars.csv --form folded --points 1024 -o stars.npz
  larun data convert --list galaxies.csv --images --size 64 -o galaxies.npz
  larun data convert triage.npz --samples x_global,x_local --labels y_binary --limits=-2,3 -o views.npz
  larun data convert zoo.npz --merge cigar=edge_on --scale 0.00392157 -o four.npz")]
pub(crate) struct Args {
    /// A light curve (FITS or .csv) or a dataset (.npz, or .csv with a column label)
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    input: Option<PathBuf>,

    /// A list of labelled files
    #[arg(long, value_name = "LIST.csv")]
    list: Option<PathBuf>,

    /// The file to write: .npy for one light curve; .npz or .csv for a dataset
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    curve: CurveArgs,

    #[command(flatten)]
    image: ImageArgs,

    #[command(flatten)]
    dataset: DatasetArgs,

    /// Seed of the split that is drawn where the data have none
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Light curves")]
struct CurveArgs {
    /// The column of the flux [default: PDCSAP_FLUX, KSPSAP_FLUX, SAP_FLUX or FLUX, the first that is there]
    #[arg(long, value_name = "COLUMN")]
    flux: Option<String>,

    /// Which flagged measurements to leave out: none, default, hard, hardest, or a bit mask
    #[arg(long, value_name = "WHICH", default_value = "default", value_parser = quality)]
    quality: Quality,

    /// Leave out measurements this many standard deviations from the median, again and again
    #[arg(long, value_name = "SIGMA")]
    sigma_clip: Option<f64>,

    /// The same for measurements below the median alone; inf keeps them all, and transits with them
    #[arg(long, value_name = "SIGMA", requires = "sigma_clip")]
    sigma_lower: Option<f64>,

    /// How slow variation is found and divided out
    #[arg(long, value_enum, value_name = "HOW", default_value = "none")]
    detrend: DetrendBy,

    /// The width of the window for that, in days: three times the longest transit
    #[arg(long, value_name = "DAYS", default_value_t = 1.5)]
    window: f64,

    /// The form of a sample
    #[arg(long, value_enum, default_value = "windows")]
    form: FormName,

    /// Points of a sample [default: 1024, for views 201]
    #[arg(long, value_name = "N")]
    points: Option<usize>,

    /// The share of the turn that the second of two views shows
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    local_width: f64,

    /// Days from one event to the next, to fold one light curve at
    #[arg(long, value_name = "DAYS")]
    period: Option<f64>,

    /// The time of an event, in the file's days
    #[arg(
        long,
        value_name = "DAY",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    epoch: f64,

    /// What fills gaps and empty bins
    #[arg(long, value_enum, value_name = "HOW", default_value = "linear")]
    fill: FillBy,

    /// How samples are scaled
    #[arg(long, value_enum, value_name = "HOW", default_value = "deviation")]
    normalise: NormaliseBy,

    /// The most that a value may be from 0 after that; inf for no limit
    #[arg(long, value_name = "VALUE", default_value_t = 8.0)]
    limit: f64,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Images")]
struct ImageArgs {
    /// The list is one of FITS images
    #[arg(long, requires = "list")]
    images: bool,

    /// Pixels of the middle to cut out [default: all]
    #[arg(long, value_name = "PIXELS")]
    crop: Option<usize>,

    /// Pixels of a side afterwards
    #[arg(long, value_name = "PIXELS", default_value_t = 64)]
    size: usize,

    /// Softening of the asinh stretch; 0 for none
    #[arg(long, value_name = "Q", default_value_t = 8.0)]
    stretch: f64,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Datasets")]
struct DatasetArgs {
    /// The arrays of samples in a .npz; several become channels of one
    #[arg(
        long,
        value_name = "ARRAYS",
        value_delimiter = ',',
        default_value = "x"
    )]
    samples: Vec<String>,

    /// The array of labels in a .npz
    #[arg(long, value_name = "ARRAY", default_value = "y")]
    labels: String,

    /// Names of the classes, where the file has none for these labels
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    class_names: Vec<String>,

    /// What each class has of each sample, [samples, classes], where classes pass into one another: training then asks for these shares
    #[arg(long, value_name = "SHARES.npy")]
    soft_labels: Option<PathBuf>,

    /// Give the samples of one class to another
    #[arg(long, value_name = "FROM=INTO")]
    merge: Vec<String>,

    /// Subtract this from every value
    #[arg(
        long,
        value_name = "VALUE",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    offset: f32,

    /// Then multiply by this
    #[arg(
        long,
        value_name = "FACTOR",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    scale: f32,

    /// Then limit to these, lowest and highest
    #[arg(
        long,
        value_name = "LOW,HIGH",
        value_delimiter = ',',
        num_args = 1,
        allow_negative_numbers = true
    )]
    limits: Vec<f32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum DetrendBy {
    /// Not at all
    None,
    /// A running median
    Median,
    /// A running polynomial of degree 2
    SavitzkyGolay,
    /// A running biweight location
    Biweight,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// The whole curve, binned to the points
    Whole,
    /// Stretches of that many measurements, a sample each
    Windows,
    /// Folded at the period
    Folded,
    /// Folded, as two channels: the whole turn and the event
    Views,
}

#[derive(Clone, Copy, ValueEnum)]
enum FillBy {
    /// A straight line
    Linear,
    /// The median
    Median,
}

#[derive(Clone, Copy, ValueEnum)]
enum NormaliseBy {
    /// Not at all
    None,
    /// Divided by the median, minus 1
    Median,
    /// Median 0, standard deviation 1
    Deviation,
    /// Median 0, lowest -1
    Depth,
}

fn quality(text: &str) -> Result<Quality, String> {
    Ok(match text {
        "none" => Quality::None,
        "default" => Quality::Default,
        "hard" => Quality::Hard,
        "hardest" => Quality::Hardest,
        mask => Quality::Mask(
            mask.parse()
                .map_err(|_| "give none, default, hard, hardest or a number".to_owned())?,
        ),
    })
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let dataset = match (&self.list, &self.input) {
            (Some(file), _) => self.read_list(file)?,
            (None, Some(input)) if is_dataset(input) => self.read_dataset(input)?,
            (None, Some(input)) => return self.one_curve(input),
            (None, None) => return Err(Failure::Error("give a file or --list".to_owned())),
        };
        save(&dataset, &self.output)?;
        Written::new(&dataset, self.output).print(self.json)
    }

    fn read_list(&self, file: &Path) -> Result<Dataset, Failure> {
        let entries = list::read_list(file)?;
        if self.image.images {
            let recipe = ImageRecipe {
                crop: self.image.crop,
                size: self.image.size,
                stretch: (self.image.stretch > 0.0).then_some(self.image.stretch),
            };
            return Ok(list::images(&entries, &recipe, self.seed)?);
        }
        let options = self.curve.options();
        Ok(list::light_curves(
            &entries,
            &options,
            &self.curve.recipe(),
            self.seed,
        )?)
    }

    fn read_dataset(&self, input: &Path) -> Result<Dataset, Failure> {
        let is_npz = input
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
        let mut dataset = match is_npz {
            true => self.stacked(input)?,
            false => Dataset::load(input, self.seed)?,
        };
        let names = &self.dataset.class_names;
        if !names.is_empty() {
            if names.len() != dataset.class_names.len() {
                return Err(Failure::Error(format!(
                    "{} names for {} classes",
                    names.len(),
                    dataset.class_names.len()
                )));
            }
            dataset.class_names.clone_from(names);
        }
        if let Some(path) = &self.dataset.soft_labels {
            dataset.set_soft_labels(&NpyArray::read(path)?)?;
        }
        for merge in &self.dataset.merge {
            let (from, into) = merge
                .split_once('=')
                .ok_or_else(|| Failure::Error(format!("--merge {merge}: give FROM=INTO")))?;
            dataset.merge_classes(from, into)?;
        }
        let limits = match self.dataset.limits[..] {
            [] => [f32::MIN, f32::MAX],
            [low, high] => [low, high],
            _ => return Err(Failure::Error("--limits: give LOW,HIGH".to_owned())),
        };
        dataset.rescale(self.dataset.offset, self.dataset.scale, limits);
        Ok(dataset)
    }

    /// The arrays of samples of a `.npz`, as channels where they are several.
    fn stacked(&self, input: &Path) -> Result<Dataset, DataError> {
        let load = |samples: &String| {
            let options = LoadOptions {
                samples: samples.clone(),
                labels: self.dataset.labels.clone(),
                seed: self.seed,
                ..LoadOptions::default()
            };
            options.load(input)
        };
        let mut parts = Vec::new();
        for samples in &self.dataset.samples {
            parts.push(load(samples)?);
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => Dataset::stack(parts),
        }
    }

    fn one_curve(&self, input: &Path) -> Result<(), Failure> {
        let curve = LightCurve::open(input, &self.curve.options())?;
        let recipe = self.curve.recipe();
        let ephemeris = self.curve.period.map(|period| Ephemeris {
            period,
            epoch: self.curve.epoch,
        });
        let samples = recipe
            .apply(&curve, ephemeris)
            .map_err(|error| Failure::Error(format!("{}: {error}", input.display())))?;
        let [points, channels] = recipe.form.shape();
        let shape = [samples.len(), points, channels];
        let is_npy = self
            .output
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
        if !is_npy {
            return Err(Failure::Error(format!(
                "{}: one light curve is written as .npy; use --list for a dataset",
                self.output.display()
            )));
        }
        NpyArray::from_values(&shape, &samples.concat())?.write(&self.output)?;
        if self.json {
            let written = serde_json::json!({
                "file": self.output,
                "shape": shape,
                "measurements": curve.time.len(),
                "flagged": curve.flagged,
                "missing": curve.missing,
            });
            return print_json("larun.data-curve/1", &written);
        }
        anstream::println!(
            "{}: {} of shape {}",
            self.output.display(),
            match samples.len() {
                1 => "1 sample".to_owned(),
                count => format!("{count} samples"),
            },
            crate::render::shape(&[points, channels])
        );
        Ok(())
    }
}

/// Whether a file holds labelled samples, not one light curve: by its extension, and for CSV by its columns.
fn is_dataset(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str() {
        Some("npz") => true,
        Some("csv") => larun::data::csv::CsvTable::open(file)
            .is_ok_and(|table| table.find(&["label", "class"]).is_some()),
        _ => false,
    }
}

impl CurveArgs {
    fn options(&self) -> ReadOptions {
        ReadOptions {
            flux_column: self.flux.clone(),
            quality: self.quality,
        }
    }

    fn recipe(&self) -> Recipe {
        let window = self.window;
        let points = self.points.unwrap_or(match self.form {
            FormName::Views => 201,
            _ => 1024,
        });
        Recipe {
            clip: self.sigma_clip.map(|sigma| SigmaClip {
                lower: self.sigma_lower.unwrap_or(sigma),
                upper: sigma,
                ..SigmaClip::default()
            }),
            detrend: match self.detrend {
                DetrendBy::None => Detrend::None,
                DetrendBy::Median => Detrend::Median { window },
                DetrendBy::SavitzkyGolay => Detrend::SavitzkyGolay { window, degree: 2 },
                DetrendBy::Biweight => Detrend::Biweight { window },
            },
            form: match self.form {
                FormName::Whole => Form::Whole { points },
                FormName::Windows => Form::Windows { points },
                FormName::Folded => Form::Folded { points },
                FormName::Views => Form::Views {
                    points,
                    local_width: (self.local_width * 1000.0) as u16,
                },
            },
            fill: match self.fill {
                FillBy::Linear => GapFill::Linear,
                FillBy::Median => GapFill::Median,
            },
            normalisation: match self.normalise {
                NormaliseBy::None => Normalisation::None,
                NormaliseBy::Median => Normalisation::Median,
                NormaliseBy::Deviation => Normalisation::Deviation,
                NormaliseBy::Depth => Normalisation::Depth,
            },
            limit: self.limit.is_finite().then_some(self.limit),
        }
    }
}
