#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod board;
mod budget;
mod core_speed;
mod fit;

pub use board::{BOARDS, Board, Storage, UnknownBoard, board};
pub use budget::{Budget, KB, MB, Usage};
pub use core_speed::{Core, LatencyEstimate};
pub use fit::{Check, FitReport, Limit, fit};
