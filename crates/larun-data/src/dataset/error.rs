//! What can be wrong with a dataset's file.

use std::path::PathBuf;

use super::Split;
use crate::npz::NpzFault;

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct DatasetError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Box<DatasetFault>,
}

/// What is wrong with a dataset's file. The arrays are called by their names in the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetFault {
    /// The file or one of its arrays cannot be read.
    #[error(transparent)]
    Npz(#[from] NpzFault),
    /// An array has another number of axes than it must have, or an axis of no extent.
    #[error("array {array:?}: the shape is {shape:?}, expected {expected}")]
    Shape {
        /// The array.
        array: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The shapes that would do.
        expected: &'static str,
    },
    /// An array's elements are of a type that it cannot have.
    #[error("array {array:?}: the element type is {found}, expected {expected}")]
    ElementType {
        /// The array.
        array: String,
        /// Its element type.
        found: larun_ops::ElementType,
        /// The types that would do.
        expected: &'static str,
    },
    /// Labels or splits are more or fewer than the samples.
    #[error(
        "array {array:?}: {found} entries, expected {expected}, one for each sample of {samples:?}"
    )]
    Length {
        /// The array.
        array: String,
        /// The array of samples.
        samples: String,
        /// Its entries.
        found: usize,
        /// The samples.
        expected: usize,
    },
    /// A sample has a number that is not finite.
    #[error(
        "array {array:?}: {value} at index {index:?}, expected finite numbers (that a float32 can hold): clean the sample or leave it out"
    )]
    NotFinite {
        /// The array.
        array: String,
        /// Where the first such number is.
        index: Vec<usize>,
        /// The number.
        value: f32,
    },
    /// A label is no class.
    #[error("array {array:?}: label {label} at index {index}, expected 0 to {}", classes.saturating_sub(1))]
    Label {
        /// The array.
        array: String,
        /// Where the first such label is.
        index: usize,
        /// The label.
        label: i128,
        /// How many classes there are.
        classes: usize,
    },
    /// A soft label is no distribution over the classes.
    #[error(
        "array {array:?}: row {index} is no shares of the classes, which are at least 0 and sum to 1"
    )]
    Shares {
        /// The array.
        array: String,
        /// The sample.
        index: usize,
    },
    /// There is nothing to tell apart.
    #[error(
        "array {array:?}: {}, expected samples of two classes or more",
        only(class)
    )]
    OneClass {
        /// The array.
        array: String,
        /// The one class, or `None` where there is no sample at all.
        class: Option<String>,
    },
    /// An entry of the split is none of 0, 1, 2.
    #[error(
        "array {array:?}: {value} at index {index}, expected 0 (train), 1 (validation) or 2 (test)"
    )]
    SplitValue {
        /// The array.
        array: String,
        /// Where the first such entry is.
        index: usize,
        /// The entry.
        value: i128,
    },
    /// A split has no sample.
    #[error("array {array:?}: the {split} split is empty, expected samples for training, validation and test{}", hint(*given))]
    EmptySplit {
        /// The array that gives the splits.
        array: String,
        /// The split.
        split: Split,
        /// Whether the array is in the file; else the split was drawn here.
        given: bool,
    },
}

fn only(class: &Option<String>) -> String {
    match class {
        Some(name) => format!("every sample is of the class {name:?}"),
        None => "there are no samples".to_owned(),
    }
}

fn hint(given: bool) -> &'static str {
    if given {
        ""
    } else {
        " (the file has no such array, and the samples are too few to draw one: some class needs three)"
    }
}
