#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod channels;
mod cluster;
mod error;
mod importance;
mod magnitude;
mod pattern;
mod schedule;
mod sensitivity;
mod storage;
mod strip;
mod values;

pub use channels::{Blocker, ChannelGroup, ChannelGroups, Evidence, GroupLayer, Keep, Selection};
pub use cluster::{CentroidGradient, ClusterOptions, Clusters, Start};
pub use error::PruneError;
pub use importance::{Filters, Importance, ascending, most_important};
pub use magnitude::{LayerSparsity, MagnitudePruning, Scope, WeightMask, apply_masks, sparsities};
pub use pattern::{Pattern, Pool};
pub use schedule::{Curve, Schedule};
pub use sensitivity::{Sensitivity, weight_sensitivity};
pub use storage::{Encoded, Encoding, Storage, Stored, WeightSizes, expand, store, weigh};
pub use strip::{Stripped, strip};
