#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod advice;
mod board;
mod budget;
pub mod cost;
mod fit;
mod latency;
mod processor;

pub use board::{
    Board, BoardError, BoardFileError, Power, Region, Storage, board, boards, find_board,
    read_board, read_boards,
};
pub use budget::{Budget, KB, MB, Usage};
pub use fit::{Check, FitReport, Limit, fit};
pub use latency::LatencyEstimate;
pub use processor::Core;
