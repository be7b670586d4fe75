#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod builder;
mod constant;
mod error;
mod graph;
mod ids;
mod infer;
mod lifetime;
mod order;
mod quantization;
mod sharing;
mod stats;
mod validate;

pub use builder::GraphBuilder;
pub use constant::Element;
pub use error::{GraphError, Place};
pub use graph::{
    Buffer, ExternalBuffer, Graph, Metadata, Node, NodeOp, OpaqueOp, OpaqueOptions, OptionsUnion,
    Signature, SignatureTensor, Subgraph, Tensor, VariantType,
};
pub use ids::{BufferId, NodeId, SubgraphId, TensorId};
pub use larun_ops as ops;
pub use lifetime::{Lifetime, lifetimes};
pub use quantization::{
    DimensionFormat, DimensionMetadata, Quantization, QuantizationDetails, Sparsity,
};
pub use sharing::shared_memory;
pub use stats::{GraphStats, NodeStats};
