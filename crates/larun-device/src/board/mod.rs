//! Boards: their memory by region, their processor, their power.

mod error;
mod file;

use std::sync::LazyLock;

use serde::Serialize;

pub use error::{BoardError, BoardFileError};
pub use file::{read_board, read_boards};

use crate::Core;

/// Where a board keeps programs and models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// Flash memory of so many bytes.
    Flash(u64),
    /// A memory card, larger than any model here.
    Card,
}

/// A region of RAM: an arena lies in one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Region {
    /// What the data sheet calls it.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Cycles that an access takes beyond those of the fastest region, where that is published.
    pub wait_states: Option<f64>,
}

/// What a board takes while it computes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Power {
    /// Milliwatts at the board's clock.
    pub milliwatts: f64,
    /// Where the figure was published, and what it covers.
    pub source: String,
}

/// A board: its memory and its processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Board {
    /// What the board is called on a command line.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    /// RAM, the fastest region first: what the rest of the firmware needs is not subtracted.
    pub ram: Vec<Region>,
    /// Where programs and models are kept.
    pub storage: Storage,
    /// Cycles of the processor in a second.
    pub clock_hz: u64,
    /// The processor core.
    pub core: Core,
    /// What it takes while it computes, where that is published.
    pub power: Option<Power>,
    /// The command that puts a program on the board when the program's path follows, where one is known.
    pub flash: Option<String>,
    /// The fully qualified board name (FQBN) by which `arduino-cli` knows it, where it does.
    pub arduino: Option<String>,
}

impl Board {
    /// Bytes of RAM, all regions together.
    #[must_use]
    pub fn ram_bytes(&self) -> u64 {
        self.ram
            .iter()
            .fold(0, |sum, region| sum.saturating_add(region.bytes))
    }

    /// Bytes of the largest region: the most that one arena can have.
    #[must_use]
    pub fn largest_region(&self) -> u64 {
        self.ram
            .iter()
            .map(|region| region.bytes)
            .max()
            .unwrap_or(0)
    }

    /// The first region that an arena of so many bytes fits into.
    #[must_use]
    pub fn region_for(&self, arena_bytes: u64) -> Option<&Region> {
        self.ram.iter().find(|region| region.bytes >= arena_bytes)
    }

    /// Cycles that an access to an arena of so many bytes takes beyond those of the fastest memory, 0 where nothing is published.
    #[must_use]
    pub fn wait_states(&self, arena_bytes: u64) -> f64 {
        let region = self.region_for(arena_bytes);
        region.and_then(|region| region.wait_states).unwrap_or(0.0)
    }
}

/// The boards that are known by name, parsed once from the table in this crate; a test holds that it can be.
static BOARDS: LazyLock<Vec<Board>> =
    LazyLock::new(|| read_boards(include_str!("boards.toml")).unwrap_or_default());

/// Every board that is known by name.
#[must_use]
pub fn boards() -> &'static [Board] {
    &BOARDS
}

/// The board with that id.
///
/// # Errors
/// [`BoardError::Unknown`], which lists the ids there are.
pub fn board(id: &str) -> Result<&'static Board, BoardError> {
    let known = boards().iter().find(|board| board.id == id);
    known.ok_or_else(|| BoardError::Unknown { id: id.to_owned() })
}

/// The board with that id, or the one that a file with the ending `.toml` describes.
///
/// # Errors
/// [`BoardError`]: there is no such board, or the file is no description of one.
pub fn find_board(id_or_path: &str) -> Result<Board, BoardError> {
    let path = std::path::Path::new(id_or_path);
    match path.extension().is_some_and(|ending| ending == "toml") {
        true => read_board(path),
        false => board(id_or_path).cloned(),
    }
}
