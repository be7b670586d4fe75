//! Operators that go over elements: sums and products, activations, moves, reductions.

use larun_ops::{Op, OpKind, Shape};

use super::Term;
use super::view::{Finish, View};
use crate::cost::Kernels;

/// Two operands of one shape, or spread over each other.
pub(super) fn binary(view: &View<'_>, op: &Op, kernels: Kernels) -> (&'static str, Vec<Term>) {
    let outputs = view.output_elements();
    let shape = |index| view.input(index).map(|tensor| tensor.shape);
    let same = shape(0) == shape(1);
    let finish = view.finish(op.activation().unwrap_or(larun_ops::Activation::None));
    let clamped = finish == Finish::Clamped;
    if !same {
        let runs = match [shape(0), shape(1)] {
            [Some(a), Some(b)] => runs(&view.output.shape, &a, &b),
            _ => outputs,
        };
        return ("broadcast", vec![("elements", outputs), ("runs", runs)]);
    }
    let fast = kernels == Kernels::Dsp && op.kind() == OpKind::Add && view.is_int8() && !clamped;
    if fast {
        let signed = outputs * finish.is(Finish::Signed);
        let terms = vec![
            ("elements by fours", (outputs / 4.0).floor() * 4.0),
            ("signed elements", signed),
            ("elements left", outputs % 4.0),
        ];
        return ("", terms);
    }
    ("elementwise", vec![("elements", outputs)])
}

/// Stretches of the output along which both operands go on, or stay, together.
fn runs(output: &Shape, a: &Shape, b: &Shape) -> f64 {
    let dim = |shape: &Shape, from_end: usize| {
        let at = shape.rank().checked_sub(from_end + 1);
        at.and_then(|at| shape.dims().get(at).copied()).unwrap_or(1)
    };
    let mut inner = 1.0;
    let mut kind = None;
    for from_end in 0..output.rank() {
        let (whole, own) = (dim(output, from_end), [dim(a, from_end), dim(b, from_end)]);
        let moves = own.map(|dim| dim == whole || whole == 1);
        match kind {
            Some(seen) if seen != moves && whole != 1 => break,
            _ => {}
        }
        if whole != 1 {
            kind = Some(moves);
        }
        inner *= whole as f64;
    }
    output.elements().unwrap_or(0) as f64 / f64::max(inner, 1.0)
}

/// Whatever else: elements read and written, and the stretches that are moved whole.
pub(super) fn other(view: &View<'_>, kind: OpKind, kernels: Kernels) -> (&'static str, Vec<Term>) {
    let (inputs, outputs) = (view.input_elements(), view.output_elements());
    let last = |shape: &Shape| shape.last().max(1) as f64;
    let rows = outputs / last(&view.output.shape);
    let terms = match kind {
        OpKind::Softmax | OpKind::LogSoftmax | OpKind::L2Normalization => {
            vec![("elements", outputs), ("rows", rows)]
        }
        OpKind::Mean | OpKind::Sum | OpKind::ReduceMax | OpKind::ReduceMin => {
            let depth = view.input(0).map_or(1.0, |tensor| last(&tensor.shape));
            let (groups, pixels) = ((depth / 4.0).ceil(), inputs / depth);
            let summed = matches!(kind, OpKind::Mean | OpKind::Sum);
            let fast = kernels == Kernels::Dsp && view.is_int8() && summed;
            if fast && outputs == depth && depth >= 4.0 && pixels <= 255.0 {
                let terms = vec![
                    ("pixels of four channels", pixels * groups),
                    ("groups of four channels", groups),
                ];
                return ("four channels", terms);
            }
            // Over the pixels of an image channels stay; over anything else the walk is another.
            let way = if outputs == depth { "over pixels" } else { "" };
            return (way, vec![("values", inputs), ("outputs", outputs)]);
        }
        OpKind::Reshape | OpKind::Squeeze | OpKind::ExpandDims => {
            let bytes = view.output.element_type.bits().unwrap_or(8) as f64 / 8.0;
            vec![("bytes", outputs * bytes)]
        }
        OpKind::Concatenation => {
            let bytes = view.output.element_type.bits().unwrap_or(8) as f64 / 8.0;
            let pieces = view.node.inputs.len() as f64;
            let axis = match view.node.known() {
                Some(Op::Concatenation(options)) => view.output.shape.axis(options.axis),
                _ => None,
            };
            let outer: usize = view
                .output
                .shape
                .dims()
                .iter()
                .take(axis.unwrap_or(0))
                .product();
            vec![
                ("bytes", outputs * bytes),
                ("pieces", pieces * outer as f64),
                ("operands", pieces),
            ]
        }
        OpKind::Pad
        | OpKind::PadV2
        | OpKind::MirrorPad
        | OpKind::StridedSlice
        | OpKind::Slice
        | OpKind::Split
        | OpKind::SplitV => {
            let bytes = view.output.element_type.bits().unwrap_or(8) as f64 / 8.0;
            vec![("bytes", outputs * bytes), ("rows", rows)]
        }
        OpKind::ResizeBilinear | OpKind::ResizeNearestNeighbor => {
            vec![("elements", outputs), ("pixels", rows)]
        }
        _ => vec![("elements", outputs.max(inputs))],
    };
    ("", terms)
}
