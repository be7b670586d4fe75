//! Reading a dataset from a `.npz` file, every assumption checked.

use alloc::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::{Dataset, DatasetError, DatasetFault, Split, stratified_split};
use crate::npy::NpyArray;
use crate::npz::NpzReader;

type Archive = NpzReader<BufReader<File>>;

/// Which arrays of a file hold what.
///
/// | array | element type | shape | content |
/// |---|---|---|---|
/// | samples | floats, integers or booleans | `[N, ...]` | taken as they are, with no scaling |
/// | labels | integers or booleans | `[N]` | the class of each sample, from 0 |
/// | soft labels | floats | `[N, classes]` | optional: what each class has of a sample, each row summing to 1; for labels `y` called `y_soft` |
/// | class names | strings | `[classes]` | optional: else the classes are called `class 0`, `class 1` and so on |
/// | split | integers | `[N]` | 0 training, 1 validation, 2 test; optional: else [`stratified_split`] draws one |
///
/// ```no_run
/// use larun_data::dataset::LoadOptions;
///
/// // Stars by three classes instead of five, from the arrays `y3` and `class_names3`.
/// let options = LoadOptions { labels: "y3".into(), ..LoadOptions::default() };
/// let dataset = options.load("stars.npz".as_ref())?;
/// assert_eq!(dataset.class_names.len(), 3);
/// # Ok::<(), larun_data::dataset::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The array of samples.
    pub samples: String,
    /// The array of labels.
    pub labels: String,
    /// The array of class names, which must then be there. `None`: for labels `y` plus an ending, `class_names` plus that ending where
    /// the file has it.
    pub class_names: Option<String>,
    /// The array of splits, where the file has it.
    pub split: String,
    /// Seeds the split that is drawn where the file has none.
    pub seed: u64,
}

impl Default for LoadOptions {
    /// The arrays `x`, `y`, `class_names` and `split`, seed 0.
    fn default() -> Self {
        Self {
            samples: "x".into(),
            labels: "y".into(),
            class_names: None,
            split: "split".into(),
            seed: 0,
        }
    }
}

impl LoadOptions {
    /// Reads a file.
    ///
    /// # Errors
    /// [`DatasetError`], which names the file, the array and what was expected.
    pub fn load(&self, path: &Path) -> Result<Dataset, DatasetError> {
        self.open(path).map_err(|fault| DatasetError {
            file: path.to_owned(),
            fault: Box::new(fault),
        })
    }

    fn open(&self, path: &Path) -> Result<Dataset, DatasetFault> {
        let mut archive = NpzReader::open(path)?;
        // The small arrays first: a file that lacks one should not cost the time to read the samples.
        let labels = integers(&mut archive, &self.labels)?;
        let (y, class_names) = self.classes(&mut archive, &labels)?;
        let split = self.split(&mut archive, &y)?;
        let soft_labels = self.soft_labels(&mut archive, [y.len(), class_names.len()])?;
        let (x, sample_shape) = self.samples(&mut archive, y.len())?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Dataset {
            x,
            sample_shape,
            y,
            soft_labels,
            class_names,
            split,
            name,
        })
    }

    /// The labels as class indices, and the names of the classes.
    fn classes(
        &self,
        archive: &mut Archive,
        labels: &[i128],
    ) -> Result<(Vec<u32>, Vec<String>), DatasetFault> {
        let array = || self.labels.clone();
        let named = self
            .class_name_array(archive)
            .map(|name| archive.strings(&name))
            .transpose()?;
        // Without names a label could claim any number of classes; each has a sample, so there are no more than samples.
        let classes = named
            .as_ref()
            .map_or(labels.len(), Vec::len)
            .min(u32::MAX as usize);
        let mut y = Vec::with_capacity(labels.len());
        for (index, &label) in labels.iter().enumerate() {
            let in_range = u32::try_from(label)
                .ok()
                .filter(|&class| (class as usize) < classes);
            y.push(in_range.ok_or_else(|| DatasetFault::Label {
                array: array(),
                index,
                label,
                classes,
            })?);
        }
        let seen: BTreeSet<u32> = y.iter().copied().collect();
        let highest = seen.last().map_or(0, |&class| class as usize + 1);
        let class_names =
            named.unwrap_or_else(|| (0..highest).map(|class| format!("class {class}")).collect());
        if seen.len() < 2 {
            let class = seen
                .first()
                .and_then(|&class| class_names.get(class as usize).cloned());
            return Err(DatasetFault::OneClass {
                array: array(),
                class,
            });
        }
        Ok((y, class_names))
    }

    /// What each class has of each sample, where the file says it.
    fn soft_labels(
        &self,
        archive: &mut Archive,
        shape: [usize; 2],
    ) -> Result<Vec<f32>, DatasetFault> {
        let name = format!("{}_soft", self.labels);
        match archive.contains(&name) {
            true => shares(&name, &archive.array(&name)?, shape),
            false => Ok(Vec::new()),
        }
    }

    fn class_name_array(&self, archive: &Archive) -> Option<String> {
        self.class_names.clone().or_else(|| {
            let ending = self.labels.strip_prefix('y')?;
            Some(format!("class_names{ending}")).filter(|name| archive.contains(name))
        })
    }

    fn split(&self, archive: &mut Archive, y: &[u32]) -> Result<Vec<Split>, DatasetFault> {
        let given = archive.contains(&self.split);
        let split = if given {
            let values = integers(archive, &self.split)?;
            self.one_a_sample(&self.split, values.len(), y.len())?;
            parse_split(&self.split, &values)?
        } else {
            stratified_split(y, self.seed)
        };
        match Split::ALL
            .into_iter()
            .find(|wanted| !split.contains(wanted))
        {
            Some(empty) => Err(DatasetFault::EmptySplit {
                array: self.split.clone(),
                split: empty,
                given,
            }),
            None => Ok(split),
        }
    }

    /// The samples and the shape of one.
    fn samples(
        &self,
        archive: &mut Archive,
        labels: usize,
    ) -> Result<(Vec<f32>, Vec<usize>), DatasetFault> {
        let samples = archive.array(&self.samples)?;
        let [count, sample_shape @ ..] = samples.shape() else {
            return Err(shape_fault(&self.samples, &samples, SAMPLES));
        };
        if sample_shape.is_empty() || sample_shape.contains(&0) {
            return Err(shape_fault(&self.samples, &samples, SAMPLES));
        }
        self.one_a_sample(&self.labels, labels, *count)?;
        let x = samples.to_f32().ok_or_else(|| DatasetFault::ElementType {
            array: self.samples.clone(),
            found: samples.element_type(),
            expected: "floats, integers or booleans",
        })?;
        match x.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(DatasetFault::NotFinite {
                array: self.samples.clone(),
                index: unravel(at, samples.shape()),
                value: x.get(at).copied().unwrap_or(f32::NAN),
            }),
            None => Ok((x, sample_shape.to_vec())),
        }
    }

    fn one_a_sample(&self, array: &str, found: usize, expected: usize) -> Result<(), DatasetFault> {
        if found == expected {
            return Ok(());
        }
        Err(DatasetFault::Length {
            array: array.to_owned(),
            samples: self.samples.clone(),
            found,
            expected,
        })
    }
}

/// What each class has of each sample: one row for each, of numbers that are at least 0 and sum to 1.
pub(super) fn shares(
    name: &str,
    array: &NpyArray,
    shape: [usize; 2],
) -> Result<Vec<f32>, DatasetFault> {
    if array.shape() != shape {
        return Err(shape_fault(
            name,
            array,
            "[N, classes], a row for each sample",
        ));
    }
    let shares = array.to_f32().ok_or_else(|| DatasetFault::ElementType {
        array: name.to_owned(),
        found: array.element_type(),
        expected: "floats",
    })?;
    let is_sound = |row: &[f32]| {
        let sum: f32 = row.iter().sum();
        row.iter().all(|&share| share >= 0.0) && (sum - 1.0).abs() < 1e-3
    };
    let mut rows = shares.chunks(shape[1].max(1));
    match rows.position(|row| !is_sound(row)) {
        Some(index) => Err(DatasetFault::Shares {
            array: name.to_owned(),
            index,
        }),
        None => Ok(shares),
    }
}

const SAMPLES: &str = "[N, ...] with two axes or more, none of them 0";

/// The entries of an array of integers with one axis.
fn integers(archive: &mut Archive, name: &str) -> Result<Vec<i128>, DatasetFault> {
    let array = archive.array(name)?;
    if array.shape().len() != 1 {
        return Err(shape_fault(name, &array, "[N], one axis"));
    }
    array
        .to_integers()
        .ok_or_else(|| DatasetFault::ElementType {
            array: name.to_owned(),
            found: array.element_type(),
            expected: "integers or booleans",
        })
}

fn shape_fault(name: &str, array: &NpyArray, expected: &'static str) -> DatasetFault {
    DatasetFault::Shape {
        array: name.to_owned(),
        shape: array.shape().to_vec(),
        expected,
    }
}

fn parse_split(array: &str, values: &[i128]) -> Result<Vec<Split>, DatasetFault> {
    let parse = |(index, &value)| match value {
        0 => Ok(Split::Train),
        1 => Ok(Split::Validation),
        2 => Ok(Split::Test),
        _ => Err(DatasetFault::SplitValue {
            array: array.to_owned(),
            index,
            value,
        }),
    };
    values.iter().enumerate().map(parse).collect()
}

/// The index along each axis of the element at `at`, the last axis varying fastest.
fn unravel(at: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = at;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&dim| {
            let i = rest % dim.max(1);
            rest /= dim.max(1);
            i
        })
        .collect();
    index.reverse();
    index
}
