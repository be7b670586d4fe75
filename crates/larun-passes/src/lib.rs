#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bias_correction;
mod calibrate;
mod cancel;
mod channel_statistics;
mod channels;
mod cleanup;
mod constants;
mod diagnose;
mod edit;
mod equalize;
mod error;
mod evaluate;
mod float_run;
mod fold;
mod fuse;
mod groups;
mod integers;
mod layer_rounding;
mod lockstep;
mod mixed;
mod negations;
mod patches;
mod pool_to_mean;
mod post_training;
mod quantize;
mod recipe;
mod reconstruct;
mod reorder;
mod stage;
mod states;

pub use calibrate::{Calibration, Calibrator};
pub use cancel::cancel_moves;
pub use channel_statistics::{ChannelStatistic, ChannelStatistics};
pub use cleanup::remove_unused;
pub use constants::fold_constants;
pub use diagnose::{Advice, Diagnosis, LayerDiagnosis, diagnose};
pub use equalize::{equalize_channels, equalize_weights};
pub use error::PassError;
pub use fold::fold_batch_norm;
pub use fuse::fuse_activations;
pub use mixed::{
    Agreement, Budget, LayerOption, LayerSensitivity, Mixed, Search, mixed, sensitivity,
};
pub use negations::negations_to_products;
pub use pool_to_mean::global_pools_to_means;
pub use post_training::{Effort, PostTrained, PostTraining, quantize_after_training, simplify};
pub use quantize::{
    Activations, Algorithm, Border, Decision, DenseWeights, Granularity, LayerScheme, PlacedValue,
    PlacedWeights, Placement, QuantizeOptions, QuantizedGraph, RealWeights, RoundToNearest, Scheme,
    Unsupported, WeightRounder, Weights, constant_values, quantize, quantize_int8,
};
pub use recipe::{Recipe, RecipeError};
pub use reconstruct::{Reconstruction, correct_biases, reconstruct};
pub use reorder::{Reordered, reorder_for_memory};
pub use stage::run_alone;
