#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod advise;
pub mod bench;
pub mod card;
pub mod compare;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod fit;
pub mod inspect;
pub mod numbers;
pub mod optimize;
pub mod picture;
pub mod plan;
pub mod prune;
pub mod quantize;
pub mod report;
pub mod runtime;
pub mod sizes;
pub mod training;

pub use error::Error;
pub use optimize::{OptimizeRequest, Source, optimize};
pub use runtime::Model;

pub use larun_arena as arena;
pub use larun_codegen as codegen;
pub use larun_data as data;
pub use larun_device as device;
pub use larun_distill as distill;
pub use larun_graph as graph;
pub use larun_kernels as kernels;
pub use larun_micro as micro;
pub use larun_onnx as onnx;
pub use larun_ops as ops;
pub use larun_passes as passes;
pub use larun_prune as pruning;
pub use larun_quant as quant;
pub use larun_tflite as tflite;
pub use larun_train as train;
pub use larun_zoo as zoo;
