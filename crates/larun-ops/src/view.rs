//! A `.tflite` file read where it lies: no copy, no allocator, no panic.
//!
//! Nothing is checked up front but the header. Every getter checks what it touches and gives a
//! [`ViewError`] where the file is damaged, so the cost of a look is the cost of what is looked at.
//! Strings are given as bytes: the format says UTF-8, files do not always.

mod error;
#[rustfmt::skip]
pub mod fields;
mod flatbuffer;
#[cfg(feature = "custom-options")]
mod flexbuffer;
mod model;
mod offline_plan;
mod operator;
mod quantization;
mod sparsity;
mod subgraph;
mod tensor;

pub use error::{Field, ViewError, ViewErrorKind};
pub use flatbuffer::{List, Scalar, Table, Tables};
#[cfg(feature = "custom-options")]
pub use flexbuffer::CustomOptions;
pub use model::{
    ExternalBuffer, IDENTIFIER, Metadata, Model, OperatorCode, Signature, TensorName, VERSION,
};
pub use offline_plan::{OFFLINE_PLAN, OfflinePlan};
pub use operator::{Operator, OptionsTable, OptionsUnion};
pub use quantization::{Quantization, QuantizationDetails};
pub use sparsity::{DimensionFormat, DimensionMetadata, IndexVector, Sparsity};
pub use subgraph::Subgraph;
pub use tensor::{Tensor, VariantType};
