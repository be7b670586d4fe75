//! Boards as TOML: the table in this crate, and files that add one.

use std::path::Path;

use serde::Deserialize;

use super::error::BoardFileError;
use super::{Board, BoardError, Power, Region, Storage};
use crate::{Core, KB};

/// What a file says of a board.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardFile {
    id: String,
    name: String,
    core: Core,
    clock_mhz: f64,
    /// Absent where programs lie on a memory card.
    flash_kb: Option<u64>,
    ram: Vec<RegionFile>,
    power: Option<PowerFile>,
    flash: Option<String>,
    arduino: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionFile {
    name: String,
    kb: u64,
    wait_states: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerFile {
    milliwatts: f64,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardsFile {
    board: Vec<BoardFile>,
}

/// Reads a file that describes one board.
///
/// ```toml
/// id = "mine"
/// name = "My board"
/// core = "cortex-m4f"      # cortex-m0-plus, cortex-m4f, cortex-m7, cortex-m33, cortex-m55, cortex-m85, risc-v32, ...
/// clock_mhz = 80
/// flash_kb = 1024          # leave out where programs lie on a memory card
/// flash = "probe-rs run --chip nRF52840_xxAA"     # puts a program on the board; may be left out
/// arduino = "arduino:mbed_nano:nano33ble"         # its name for arduino-cli; may be left out
///
/// [[ram]]                  # the fastest region first
/// name = "SRAM"
/// kb = 128
/// wait_states = 0          # cycles more than the fastest region; may be left out
///
/// [power]                  # may be left out
/// milliwatts = 30
/// source = "measured at 3.3 V"
/// ```
///
/// # Errors
/// [`BoardError`] with the file, and the key that is missing or wrong.
pub fn read_board(path: &Path) -> Result<Board, BoardError> {
    let text = std::fs::read_to_string(path).map_err(|source| BoardError::Io {
        path: path.to_owned(),
        source,
    })?;
    let parse = || toml::from_str::<BoardFile>(&text)?.into_board();
    parse().map_err(|what: BoardFileError| BoardError::File {
        path: path.to_owned(),
        what: Box::new(what),
    })
}

/// Reads a table of boards, each a `[[board]]` as [`read_board`] has it.
///
/// # Errors
/// [`BoardFileError`] with the key that is missing or wrong.
pub fn read_boards(text: &str) -> Result<Vec<Board>, BoardFileError> {
    let file: BoardsFile = toml::from_str(text)?;
    file.board.into_iter().map(BoardFile::into_board).collect()
}

impl BoardFile {
    fn into_board(self) -> Result<Board, BoardFileError> {
        let regions = self.ram.into_iter().enumerate();
        let ram = regions
            .map(|(index, region)| region.into_region(index))
            .collect::<Result<Vec<_>, _>>()?;
        if ram.is_empty() {
            return Err(wrong("ram", &"empty", "at least one region"));
        }
        let clock_hz = in_range("clock_mhz", self.clock_mhz, 0.001..=100_000.0)? * 1e6;
        let storage = match self.flash_kb {
            Some(kb) => Storage::Flash(bytes("flash_kb", kb)?),
            None => Storage::Card,
        };
        let power = self.power.map(PowerFile::into_power).transpose()?;
        Ok(Board {
            id: self.id,
            name: self.name,
            ram,
            storage,
            clock_hz: clock_hz as u64,
            core: self.core,
            power,
            flash: self.flash,
            arduino: self.arduino,
        })
    }
}

impl RegionFile {
    fn into_region(self, index: usize) -> Result<Region, BoardFileError> {
        let key = |name| format!("ram[{index}].{name}");
        let wait_states = self
            .wait_states
            .map(|cycles| in_range(&key("wait_states"), cycles, 0.0..=1_000.0))
            .transpose()?;
        Ok(Region {
            name: self.name,
            bytes: bytes(&key("kb"), self.kb)?,
            wait_states,
        })
    }
}

impl PowerFile {
    fn into_power(self) -> Result<Power, BoardFileError> {
        Ok(Power {
            milliwatts: in_range("power.milliwatts", self.milliwatts, 0.0..=1e6)?,
            source: self.source,
        })
    }
}

/// KB as bytes: between 1 KB and a terabyte.
fn bytes(key: &str, kb: u64) -> Result<u64, BoardFileError> {
    match kb {
        1..=0x4000_0000 => Ok(kb * KB),
        _ => Err(wrong(key, &kb, "a number of KB from 1 to 1073741824")),
    }
}

fn in_range(
    key: &str,
    value: f64,
    range: core::ops::RangeInclusive<f64>,
) -> Result<f64, BoardFileError> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(wrong(key, &value, "a finite number that is possible")),
    }
}

fn wrong(key: &str, found: &dyn core::fmt::Display, expected: &'static str) -> BoardFileError {
    BoardFileError::Value {
        key: key.to_owned(),
        found: found.to_string(),
        expected,
    }
}
