//! The boards that are known by name.

use core::fmt;

use serde::Serialize;

use crate::{Core, KB, MB};

/// Where a board keeps programs and models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// Flash memory of so many bytes.
    Flash(u64),
    /// A memory card, larger than any model here.
    Card,
}

/// A board: its memory and its processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Board {
    /// What the board is called on a command line.
    pub id: &'static str,
    /// What its maker calls it.
    pub name: &'static str,
    /// RAM in bytes, all of it: what the rest of the firmware needs is not subtracted.
    pub ram_bytes: u64,
    /// Where programs and models are kept.
    pub storage: Storage,
    /// Cycles of the processor in a second.
    pub clock_hz: u64,
    /// The processor core.
    pub core: Core,
}

/// Every board.
pub const BOARDS: &[Board] = &[
    Board {
        id: "nano33ble",
        name: "Arduino Nano 33 BLE",
        ram_bytes: 256 * KB,
        storage: Storage::Flash(MB),
        clock_hz: 64_000_000,
        core: Core::CortexM4F,
    },
    Board {
        id: "esp32",
        name: "ESP32",
        ram_bytes: 520 * KB,
        storage: Storage::Flash(4 * MB),
        clock_hz: 240_000_000,
        core: Core::XtensaLx6,
    },
    Board {
        id: "pico",
        name: "Raspberry Pi Pico",
        ram_bytes: 264 * KB,
        storage: Storage::Flash(2 * MB),
        clock_hz: 133_000_000,
        core: Core::CortexM0Plus,
    },
    Board {
        id: "stm32f4",
        name: "STM32F4",
        ram_bytes: 192 * KB,
        storage: Storage::Flash(MB),
        clock_hz: 168_000_000,
        core: Core::CortexM4F,
    },
    Board {
        id: "pizero",
        name: "Raspberry Pi Zero",
        ram_bytes: 512 * MB,
        storage: Storage::Card,
        clock_hz: 1_000_000_000,
        core: Core::Arm1176,
    },
];

/// The board with that id.
///
/// # Errors
/// [`UnknownBoard`], which lists the ids there are.
pub fn board(id: &str) -> Result<&'static Board, UnknownBoard> {
    BOARDS
        .iter()
        .find(|board| board.id == id)
        .ok_or_else(|| UnknownBoard { id: id.to_owned() })
}

/// There is no board with that id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBoard {
    /// The id asked for.
    pub id: String,
}

impl fmt::Display for UnknownBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = BOARDS.iter().map(|board| board.id).collect();
        write!(
            f,
            "no device is called {:?}: there are {}",
            self.id,
            known.join(", ")
        )
    }
}

impl core::error::Error for UnknownBoard {}
