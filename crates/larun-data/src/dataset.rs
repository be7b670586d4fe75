//! Labelled samples: the data that networks are trained, calibrated and measured on.

mod csv;
mod error;
pub mod list;
mod load;
mod split;
mod transform;

use std::path::Path;

pub use error::{DatasetError, DatasetFault};
pub use load::LoadOptions;
pub use split::{Split, stratified_split};

use crate::npy::NpyArray;
use crate::npz::{self, NpzError};

/// Samples with their labels, held in memory.
///
/// A dataset that was loaded is sound: every sample is finite, every label names a class, there are at least two classes, and no split is
/// empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// The samples one after another, `[N, sample_shape...]`, the last axis varying fastest.
    pub x: Vec<f32>,
    /// The shape of one sample, such as `[1024, 1]` for a light curve or `[H, W, C]` for an image.
    pub sample_shape: Vec<usize>,
    /// The class of each sample, an index into `class_names`.
    pub y: Vec<u32>,
    /// What each class has of each sample, `[N, classes]`, where classes pass into one another: votes of several people, or how near a
    /// sample is to the border. Each row sums to 1. Empty where a sample is all of its class.
    pub soft_labels: Vec<f32>,
    /// The names of the classes.
    pub class_names: Vec<String>,
    /// What each sample is for.
    pub split: Vec<Split>,
    /// What the dataset is called: the file's name without its extension.
    pub name: String,
}

impl Dataset {
    /// Reads a `.npz` file with the arrays that [`LoadOptions::default`] names.
    ///
    /// # Errors
    /// [`DatasetError`], which names the file, the array and what was expected.
    pub fn load_npz(path: impl AsRef<Path>) -> Result<Self, DatasetError> {
        LoadOptions::default().load(path.as_ref())
    }

    /// Reads a `.npz` file, or a `.csv` file by its extension; `seed` draws the split where the file has none.
    ///
    /// # Errors
    /// [`DataError`](crate::DataError), which names the file and what in it is wrong.
    pub fn load(path: &Path, seed: u64) -> Result<Self, crate::DataError> {
        let extension = path.extension().unwrap_or_default();
        if extension.eq_ignore_ascii_case("csv") {
            return Self::load_csv(path, seed);
        }
        let options = LoadOptions {
            seed,
            ..LoadOptions::default()
        };
        Ok(options.load(path)?)
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.y.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.y.is_empty()
    }

    /// How many numbers a sample has.
    #[must_use]
    pub fn sample_len(&self) -> usize {
        self.sample_shape.iter().product()
    }

    /// The sample with index `i`; empty where there is none.
    #[must_use]
    pub fn sample(&self, i: usize) -> &[f32] {
        let len = self.sample_len();
        let start = i.checked_mul(len);
        start
            .and_then(|start| self.x.get(start..start.checked_add(len)?))
            .unwrap_or_default()
    }

    /// The indices of the samples of one split, ascending.
    #[must_use]
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.len())
            .filter(|&i| self.split.get(i) == Some(&split))
            .collect()
    }

    /// How many samples of one split each class has.
    #[must_use]
    pub fn class_counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.class_names.len()];
        for i in self.indices(split) {
            let class = self.y.get(i).map_or(usize::MAX, |&class| class as usize);
            if let Some(count) = counts.get_mut(class) {
                *count += 1;
            }
        }
        counts
    }

    /// Writes a `.npz` file that [`Dataset::load_npz`] reads back: `x` as float32, `y` as uint32, `y_soft` as
    /// float32 where there are soft labels, `class_names`, `split` as uint8.
    ///
    /// Equal datasets give equal bytes. The file is written beside its name and renamed when complete.
    ///
    /// # Errors
    /// [`NpzError`] naming the file.
    pub fn save_npz(&self, path: impl AsRef<Path>) -> Result<(), NpzError> {
        let shape: Vec<usize> = [self.len()]
            .into_iter()
            .chain(self.sample_shape.iter().copied())
            .collect();
        let split: Vec<u8> = self.split.iter().map(|&split| split.into()).collect();
        npz::write(path.as_ref(), |file| {
            let fault = std::io::Error::other;
            file.array("x", &NpyArray::from_values(&shape, &self.x).map_err(fault)?)?;
            file.array(
                "y",
                &NpyArray::from_values(&[self.len()], &self.y).map_err(fault)?,
            )?;
            if !self.soft_labels.is_empty() {
                let shape = [self.len(), self.class_names.len()];
                let shares = NpyArray::from_values(&shape, &self.soft_labels).map_err(fault)?;
                file.array("y_soft", &shares)?;
            }
            file.strings("class_names", &self.class_names)?;
            file.array(
                "split",
                &NpyArray::from_values(&[self.len()], &split).map_err(fault)?,
            )
        })
    }
}
