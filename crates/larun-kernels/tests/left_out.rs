//! Tensors of a type whose feature is left out are refused, by the feature's name. `.ci/run features` runs this with each
//! feature left out.

use larun_kernels::ALL;
use larun_ops::{ElementType, OpKind};
use support::{Node, Tensor};

#[path = "suite/support.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

/// The types that can be left out, whether they are linked, and an operator that is asked for them.
const TYPES: [(ElementType, &str, bool, OpKind); 4] = [
    (
        ElementType::Float32,
        "float32",
        cfg!(feature = "float32"),
        OpKind::Abs,
    ),
    (
        ElementType::Int32,
        "int32",
        cfg!(feature = "int32"),
        OpKind::Add,
    ),
    (
        ElementType::Int16,
        "int16",
        cfg!(feature = "int16"),
        OpKind::Abs,
    ),
    (
        ElementType::Int4,
        "int4",
        cfg!(feature = "int4"),
        OpKind::Abs,
    ),
];

#[test]
fn what_is_left_out_is_refused_by_name() {
    assert!(!ALL.is_empty());
    for (element_type, feature, is_linked, kind) in TYPES {
        let tensor = || Tensor::new(element_type, &[4], vec![0; 16]).quantized(&[1.0], &[0]);
        let node = Node {
            op: kind.with_default_options(),
            inputs: vec![Some(tensor()); kind.info().inputs.len()],
            outputs: vec![tensor()],
        };
        let refused = node.prepare().map(|_| ()).map_err(|why| why.to_string());
        // Without `explain` an error is a few bytes that say what, not which.
        let told = if cfg!(feature = "explain") {
            feature
        } else {
            "LeftOut"
        };
        let is_told = refused.as_ref().is_err_and(|why| why.contains(told));
        assert_eq!(is_told, !is_linked, "{feature}: {refused:?}");
    }
}
