#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod calibrate;
mod cleanup;
mod edit;
mod error;
mod fold;
mod fuse;
mod groups;
mod mixed;
mod quantize;
mod recipe;
mod states;

pub use calibrate::{Calibration, Calibrator};
pub use cleanup::remove_unused;
pub use error::PassError;
pub use fold::fold_batch_norm;
pub use fuse::fuse_activations;
pub use mixed::{
    Agreement, Budget, LayerOption, LayerSensitivity, Mixed, Search, mixed, sensitivity,
};
pub use quantize::{
    Activations, Algorithm, Border, Decision, DenseWeights, Granularity, LayerScheme,
    QuantizeOptions, QuantizedGraph, RealWeights, RoundToNearest, Scheme, Unsupported,
    WeightRounder, Weights, constant_values, quantize, quantize_int8,
};
pub use recipe::{Recipe, RecipeError};
