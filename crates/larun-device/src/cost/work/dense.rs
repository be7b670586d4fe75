//! Dense layers and products of matrices.

use larun_ops::{FullyConnectedOptions, Op};

use super::Term;
use super::view::{Finish, View, count};
use crate::cost::Kernels;

/// Values of the input that the kernel for DSP instructions widens at a time, and units whose sums it keeps.
const CHUNK: usize = 128;
const BLOCK: usize = 64;

pub(super) fn fully_connected(
    view: &View<'_>,
    options: &FullyConnectedOptions,
    kernels: Kernels,
) -> Option<(&'static str, Vec<Term>)> {
    let &[units, inputs] = view.input(1)?.shape.dims() else {
        return None;
    };
    let batch = (count(view.input(0)?) / inputs.max(1) as f64).floor();
    let outputs = batch * units as f64;
    let terms = match kernels {
        Kernels::Dsp if view.is_int8() => {
            let finish = view.finish(options.activation);
            let scales = view
                .input(1)?
                .quantization
                .as_ref()
                .map_or(1, |q| q.scale.len());
            let pairs = batch * units.div_ceil(2) as f64;
            let blocks = batch * units.div_ceil(BLOCK) as f64;
            let words = (inputs / 4) as f64;
            let odd = if inputs.is_multiple_of(4) { 0.0 } else { 1.0 };
            let chunks = inputs.div_ceil(CHUNK) as f64;
            vec![
                ("words of weights, two units", pairs * words),
                ("words of weights, odd rows", pairs * words * odd),
                ("two units by chunk", pairs * chunks),
                ("odd weights", outputs * (inputs % 4) as f64),
                ("words of values", blocks * words),
                ("chunks of values", blocks * chunks),
                ("outputs", outputs),
                ("clamped outputs", outputs * finish.is(Finish::Clamped)),
                (
                    "outputs with scales of their own",
                    if scales > 1 { outputs } else { 0.0 },
                ),
                ("blocks of units", blocks),
            ]
        }
        Kernels::Portable if view.is_int8() => {
            let fours = batch * units.div_ceil(4) as f64;
            let quads = fours * (inputs / 4) as f64;
            // Behind a ReLU there is no zero point to subtract.
            let lowest = if view.input_zero_point() == Some(-128) {
                1.0
            } else {
                0.0
            };
            vec![
                ("quads of weights, four units", quads),
                ("quads of weights, zero point", quads * (1.0 - lowest)),
                ("odd weights, four units", fours * (inputs % 4) as f64),
                (
                    "odd weights of four units",
                    if inputs.is_multiple_of(4) { 0.0 } else { fours },
                ),
                ("four units", fours),
                ("outputs", outputs),
                ("rows", batch),
            ]
        }
        _ => {
            let fours = batch * units.div_ceil(4) as f64;
            vec![
                ("weights, four units", fours * inputs as f64),
                ("four units", fours),
                ("outputs", outputs),
                ("values", batch * inputs as f64),
                ("rows", batch),
            ]
        }
    };
    Some(("", terms))
}

pub(super) fn batch_matmul(view: &View<'_>, op: &Op) -> (&'static str, Vec<Term>) {
    let outputs = count(view.output);
    let left = view.input(0).map_or(0.0, count);
    let right = view.input(1).map_or(0.0, count);
    let Op::BatchMatmul(options) = op else {
        return ("", Vec::new());
    };
    let dims = view.input(0).map(|tensor| tensor.shape);
    let dims = dims.as_ref().map_or(&[][..], |shape| shape.dims());
    let depth = match (dims, options.adj_x) {
        ([.., depth], false) | ([.., depth, _], true) => *depth as f64,
        _ => 0.0,
    };
    let terms = vec![
        ("multiplications", outputs * depth),
        ("outputs", outputs),
        ("values of the left", left),
        ("values of the right", right),
    ];
    ("", terms)
}
