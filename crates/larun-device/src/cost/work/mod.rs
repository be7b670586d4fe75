//! What a node has to do, counted as its kernel loops: the terms that instructions are a sum over.

mod convolution;
mod dense;
mod elements;
mod recurrent;
mod view;
mod window;

use larun_graph::{Node, Subgraph};
use larun_ops::{Op, OpKind};

use super::Kernels;
use view::View;

/// A term: what is counted, and how often it occurs.
pub type Term = (&'static str, f64);

/// The work of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Which of the fitted kernels does it: the operator, the way that the kernel takes, and the types of elements.
    pub family: String,
    /// What it does, and how often.
    pub terms: Vec<Term>,
}

/// The work of a node, for a set of kernels. `None` for an operator that the table lacks, or one without outputs.
#[must_use]
pub fn work(subgraph: &Subgraph, node: &Node, kernels: Kernels) -> Option<Work> {
    let op = node.known()?;
    let view = View::new(subgraph, node)?;
    let (way, mut terms) = match op {
        Op::Conv2D(options) => convolution::conv2d(&view, options, kernels)?,
        Op::DepthwiseConv2D(options) => convolution::depthwise(&view, options, kernels)?,
        Op::TransposeConv(options) => convolution::transpose_conv(&view, options)?,
        Op::FullyConnected(options) => dense::fully_connected(&view, options, kernels)?,
        Op::BatchMatmul(_) => dense::batch_matmul(&view, op),
        Op::AveragePool2D(options) => convolution::pool(&view, options, kernels, 255)?,
        Op::MaxPool2D(options) | Op::L2Pool2D(options) => {
            convolution::pool(&view, options, kernels, usize::MAX)?
        }
        Op::UnidirectionalSequenceLstm(_) => recurrent::lstm(&view)?,
        Op::Svdf(_) => recurrent::svdf(&view)?,
        op if is_binary(op.kind()) => elements::binary(&view, op, kernels),
        op => elements::other(&view, op.kind(), kernels),
    };
    terms.push(("call", 1.0));
    let kind = match way {
        // One kernel for both, whose weights are the same to it.
        convolution::FEW_CHANNELS => OpKind::Conv2D,
        _ => op.kind(),
    };
    let name = kind.info().name;
    let types = view.types();
    let family = match way {
        "" => format!("{name} {types}"),
        way => format!("{name} {way} {types}"),
    };
    Some(Work { family, terms })
}

/// Element by element of two operands, which may be spread over each other.
const fn is_binary(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Add
            | OpKind::Sub
            | OpKind::Mul
            | OpKind::Div
            | OpKind::Maximum
            | OpKind::Minimum
            | OpKind::SquaredDifference
    )
}
