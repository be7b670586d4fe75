//! What a model may use, and what it uses.

use serde::{Deserialize, Serialize};

/// Bytes in a kilobyte, as memory is sold: 1024.
pub const KB: u64 = 1024;
/// Bytes in a megabyte: 1024 KB.
pub const MB: u64 = 1024 * KB;

/// What an application allows its model, whatever the board has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Bytes of flash for the model's file.
    pub flash_bytes: u64,
    /// Bytes of RAM for the tensor arena.
    pub ram_bytes: u64,
    /// Milliseconds of one inference.
    pub milliseconds: f64,
    /// Trained values.
    pub parameters: u64,
    /// Multiply-accumulates of one inference.
    pub operations: u64,
}

impl Budget {
    /// LARUN's own: 100 KB of flash, 50 KB of RAM, 10 ms, 100,000 parameters, 10 million operations.
    pub const LARUN: Self = Self {
        flash_bytes: 100 * KB,
        ram_bytes: 50 * KB,
        milliseconds: 10.0,
        parameters: 100_000,
        operations: 10_000_000,
    };
}

impl Default for Budget {
    /// [`Budget::LARUN`].
    fn default() -> Self {
        Self::LARUN
    }
}

/// What a model uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes of the model's file.
    pub flash_bytes: u64,
    /// Bytes of the tensor arena.
    pub ram_bytes: u64,
    /// Trained values.
    pub parameters: u64,
    /// Multiply-accumulates of one inference.
    pub operations: u64,
}
