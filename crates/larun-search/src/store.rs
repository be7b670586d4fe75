//! The store of trials: a file of JSON lines, one a trial, from which a stopped search goes on.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::SearchError;
use crate::trial::Trial;

/// Trials in memory and, where there is a file, in it.
#[derive(Debug)]
pub struct Store {
    trials: Vec<Trial>,
    file: Option<(PathBuf, File)>,
}

impl Store {
    /// A store in memory alone.
    #[must_use]
    pub const fn in_memory() -> Self {
        Self {
            trials: Vec::new(),
            file: None,
        }
    }

    /// Opens a file, made where there is none, for trials of this seed. A last line that was cut off is dropped: its trial is done anew.
    ///
    /// # Errors
    /// [`SearchError`]: the file cannot be read or written, a line is no trial, or one is of another seed.
    pub fn open(path: &Path, seed: u64) -> Result<Self, SearchError> {
        let io = |source| SearchError::Io {
            path: path.to_owned(),
            source,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io(error)),
        };
        // What is behind the last line's end was being written when the search stopped.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let trials = parse(path, text.get(..whole).unwrap_or_default())?;
        if let Some(line) = trials.iter().position(|trial| trial.seed != seed) {
            let other = trials.get(line).map_or(0, |trial| trial.seed);
            return Err(SearchError::Store {
                path: path.to_owned(),
                line: line + 1,
                problem: format!("a trial of seed {other}, this search has seed {seed}"),
            });
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|file| file.set_len(whole as u64).map(|()| file))
            .map_err(io)?;
        Ok(Self {
            trials,
            file: Some((path.to_owned(), file)),
        })
    }

    /// The trials of a file, of any seeds.
    ///
    /// # Errors
    /// [`SearchError`]: the file cannot be read, or a line is no trial.
    pub fn read(path: &Path) -> Result<Vec<Trial>, SearchError> {
        let text = std::fs::read_to_string(path).map_err(|source| SearchError::Io {
            path: path.to_owned(),
            source,
        })?;
        parse(path, &text)
    }

    /// The trials, in the order in which they were added.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The trial of that number and of so many epochs.
    #[must_use]
    pub fn find(&self, index: u64, epochs: usize) -> Option<&Trial> {
        let mut trials = self.trials.iter();
        trials.find(|trial| trial.index == index && trial.epochs == epochs)
    }

    /// Adds a trial, written at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, trial: Trial) -> Result<(), SearchError> {
        if let Some((path, file)) = &mut self.file {
            let line = line(&trial)? + "\n";
            file.write_all(line.as_bytes())
                .and_then(|()| file.flush())
                .map_err(|source| SearchError::Io {
                    path: path.clone(),
                    source,
                })?;
        }
        self.trials.push(trial);
        Ok(())
    }
}

/// The trials of some lines.
fn parse(path: &Path, text: &str) -> Result<Vec<Trial>, SearchError> {
    let trial = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| SearchError::Store {
            path: path.to_owned(),
            line: index + 1,
            problem: format!("no trial: {error}"),
        })
    };
    text.lines().enumerate().map(trial).collect()
}

/// A trial as a line of JSON.
///
/// # Errors
/// When it holds a number that JSON cannot.
pub fn line(trial: &Trial) -> Result<String, SearchError> {
    serde_json::to_string(trial)
        .map_err(|error| SearchError::Usage(format!("trial {}: {error}", trial.index)))
}
