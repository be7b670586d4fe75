//! Groups of nodes that are one operator of the graph: exporters write them out because ONNX had no such operator.

use std::collections::HashMap;

use crate::constant::Constant;
use crate::node::OnnxNode;
use crate::proto::{GraphProto, NodeProto};

/// One operator in place of several nodes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pattern {
    /// `x Φ(x)`, written with the error function.
    Gelu { input: String },
    /// `x` times its hard sigmoid.
    HardSwish { input: String },
    /// A product with constant weights, and a bias.
    Dense {
        input: String,
        weights: String,
        bias: String,
    },
}

/// What becomes of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rewritten {
    /// It is part of a pattern that a later node stands for.
    Dropped,
    /// It stands for the pattern.
    To(Pattern),
}

/// The nodes that are parts of patterns, by their positions.
pub(crate) fn find(
    graph: &GraphProto,
    constants: &HashMap<String, Constant>,
) -> HashMap<usize, Rewritten> {
    let finder = Finder::new(graph, constants);
    let mut found = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        let pattern = match node.op_type.as_deref() {
            Some("Erf") => finder.gelu(index),
            Some("HardSigmoid") => finder.hard_swish(index),
            Some("MatMul") => finder.dense(index),
            _ => None,
        };
        if let Some((last, dropped, pattern)) = pattern {
            found.extend(dropped.into_iter().map(|i| (i, Rewritten::Dropped)));
            found.insert(last, Rewritten::To(pattern));
        }
    }
    found
}

type Found = (usize, Vec<usize>, Pattern);

struct Finder<'m> {
    nodes: &'m [NodeProto],
    constants: &'m HashMap<String, Constant>,
    producers: HashMap<&'m str, usize>,
    /// Readers of a value; an output of the model counts as one, `usize::MAX`.
    readers: HashMap<&'m str, Vec<usize>>,
}

impl<'m> Finder<'m> {
    fn new(graph: &'m GraphProto, constants: &'m HashMap<String, Constant>) -> Self {
        let (mut producers, mut readers) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        for (index, node) in graph.node.iter().enumerate() {
            producers.extend(node.output.iter().map(|name| (name.as_str(), index)));
            for name in node.reads() {
                readers.entry(name).or_default().push(index);
            }
        }
        for output in &graph.output {
            readers
                .entry(output.name.as_deref().unwrap_or(""))
                .or_default()
                .push(usize::MAX);
        }
        Self {
            nodes: &graph.node,
            constants,
            producers,
            readers,
        }
    }

    fn output(&self, index: usize) -> Option<&'m str> {
        self.nodes.get(index)?.output.first().map(String::as_str)
    }

    fn is(&self, index: usize, op: &str) -> bool {
        self.nodes
            .get(index)
            .is_some_and(|n| n.op_type.as_deref() == Some(op))
    }

    /// The only reader of a node's output, where it is of that operator.
    fn only_reader(&self, index: usize, op: &str) -> Option<usize> {
        match self.readers.get(self.output(index)?)?.as_slice() {
            &[reader] if self.is(reader, op) => Some(reader),
            _ => None,
        }
    }

    /// A single constant value: an initialiser, or the output of a node `Constant`.
    fn scalar(&self, name: &str) -> Option<f32> {
        if let Some(constant) = self.constants.get(name) {
            return constant.scalar();
        }
        let index = *self.producers.get(name)?;
        let node = OnnxNode {
            proto: self.nodes.get(index)?,
            index,
            opset: 0,
        };
        if node.op() != "Constant" {
            return None;
        }
        match node.tensor("value") {
            Some(tensor) => crate::constant::read(tensor, None).ok()?.scalar(),
            None => node.float("value_float"),
        }
    }

    /// The input of a node that is not `name`.
    fn other_input(&self, index: usize, name: &str) -> Option<&'m str> {
        match self.nodes.get(index)?.input.as_slice() {
            [a, b] if a == name => Some(b),
            [a, b] if b == name => Some(a),
            _ => None,
        }
    }

    /// The other operand of a node of two, where this one is the constant `value`.
    fn with_constant(&self, index: usize, value: f32) -> Option<&'m str> {
        let near = |name: &String| {
            self.scalar(name)
                .is_some_and(|v| (v - value).abs() <= 1e-3 * value.abs())
        };
        match self.nodes.get(index)?.input.as_slice() {
            [a, b] if near(b) => Some(a),
            [a, b] if near(a) => Some(b),
            _ => None,
        }
    }

    /// `0.5 x (1 + erf(x / √2))`, with the halving of `x`, of the sum or of the product.
    fn gelu(&self, erf: usize) -> Option<Found> {
        let scaled = *self
            .producers
            .get(self.nodes.get(erf)?.input.first()?.as_str())?;
        let x = match self.nodes.get(scaled)?.op_type.as_deref()? {
            "Div" => self
                .nodes
                .get(scaled)
                .filter(|n| {
                    n.input
                        .get(1)
                        .and_then(|c| self.scalar(c))
                        .is_some_and(|c| (c - core::f32::consts::SQRT_2).abs() < 1e-3)
                })?
                .input
                .first()?,
            "Mul" => self.with_constant(scaled, core::f32::consts::FRAC_1_SQRT_2)?,
            _ => return None,
        };
        self.only_reader(scaled, "Erf")?;
        let sum = self.only_reader(erf, "Add")?;
        self.with_constant(sum, 1.0)
            .filter(|&e| Some(e) == self.output(erf))?;
        let product = self.only_reader(sum, "Mul")?;
        let other = self.other_input(product, self.output(sum)?)?;
        let input = x.to_owned();
        if other == x || self.scalar(other).is_some() {
            // What is left to multiply with: the half, or `x`.
            let last = self.only_reader(product, "Mul")?;
            let rest = self.other_input(last, self.output(product)?)?;
            let half = if other == x { rest } else { other };
            let whole = other == x || rest == x;
            (whole && self.scalar(half).is_some_and(|h| (h - 0.5).abs() < 1e-3)).then_some(())?;
            let dropped = vec![scaled, erf, sum, product];
            return Some((last, dropped, Pattern::Gelu { input }));
        }
        let half = *self.producers.get(other)?;
        (self.is(half, "Mul") && self.with_constant(half, 0.5) == Some(x)).then_some(())?;
        let mut dropped = vec![scaled, erf, sum];
        dropped.extend(self.only_reader(half, "Mul").map(|_| half));
        Some((product, dropped, Pattern::Gelu { input }))
    }

    fn hard_swish(&self, sigmoid: usize) -> Option<Found> {
        let node = OnnxNode {
            proto: self.nodes.get(sigmoid)?,
            index: sigmoid,
            opset: 0,
        };
        let near = |value: f32, to: f32| (value - to).abs() < 1e-4;
        let usual = near(node.float("alpha").unwrap_or(0.2), 1.0 / 6.0)
            && near(node.float("beta").unwrap_or(0.5), 0.5);
        let x = node.input(0).filter(|_| usual)?;
        let product = self.only_reader(sigmoid, "Mul")?;
        let other = self.other_input(product, self.output(sigmoid)?)?;
        (other == x).then(|| {
            (
                product,
                vec![sigmoid],
                Pattern::HardSwish {
                    input: x.to_owned(),
                },
            )
        })
    }

    fn dense(&self, product: usize) -> Option<Found> {
        let node = OnnxNode {
            proto: self.nodes.get(product)?,
            index: product,
            opset: 0,
        };
        let (input, weights) = (node.input(0)?, node.input(1)?);
        let matrix = self.constants.get(weights)?.dims();
        let sum = self.only_reader(product, "Add")?;
        let bias = self.other_input(sum, self.output(product)?)?;
        let fits = matrix.len() == 2
            && self
                .constants
                .get(bias)
                .is_some_and(|b| Some(b.dims()) == matrix.get(1..));
        let owned = |name: &str| name.to_owned();
        fits.then(|| {
            let pattern = Pattern::Dense {
                input: owned(input),
                weights: owned(weights),
                bias: owned(bias),
            };
            (sum, vec![product], pattern)
        })
    }
}
