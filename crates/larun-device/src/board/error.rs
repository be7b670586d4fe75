//! What can be wrong with the name or the file of a board.

use std::path::PathBuf;

/// Why there is no such board.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// There is no board with that id.
    #[error(
        "no device is called {id:?}: there are {}, or give the path of a .toml file",
        known()
    )]
    Unknown {
        /// The id asked for.
        id: String,
    },
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no description of a board.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: Box<BoardFileError>,
    },
}

/// What is wrong with a description of a board.
#[derive(Debug, thiserror::Error)]
pub enum BoardFileError {
    /// It is no TOML, lacks a key, has one too many, or a value of another type; the message names line, key and what is expected.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A value is out of range.
    #[error("key `{key}` is {found}: expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// What it is.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
}

fn known() -> String {
    let ids: Vec<_> = super::boards()
        .iter()
        .map(|board| board.id.as_str())
        .collect();
    ids.join(", ")
}
