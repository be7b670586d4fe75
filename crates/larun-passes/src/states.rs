//! Ranges of what operators keep in variable tensors, worked out from what goes in and comes out.
//!
//! An observer sees what nodes give, not what they keep. The cell state of an LSTM follows from its inputs and outputs: the gates of
//! a step depend on the output of the step before alone, which is seen. The state of an SVDF holds the products of its input and its
//! feature weights.

use larun_graph::ops::{Op, UnidirectionalSequenceLstmOptions};
use larun_graph::{Graph, Node, NodeId, TensorId};

use crate::PassError;
use crate::quantize::state::{LSTM_CELL, LSTM_GATES, SVDF_STATE, lstm_has_integer_form};

/// A node whose state is followed.
#[derive(Clone)]
pub(crate) struct Probe {
    /// The node.
    pub(crate) node: NodeId,
    /// Whose values it needs.
    pub(crate) input: TensorId,
    /// The state, whose range is noted.
    pub(crate) state: TensorId,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Lstm(Box<Lstm>),
    Svdf { feature: Vec<f32>, inputs: usize },
}

/// An LSTM's weights, those of the input gate first, then forget, cell, output; and what it remembers.
#[derive(Clone)]
struct Lstm {
    options: UnidirectionalSequenceLstmOptions,
    input: [Vec<f32>; 4],
    recurrent: [Vec<f32>; 4],
    bias: [Vec<f32>; 4],
    batch: usize,
    hidden: Vec<f32>,
    cell: Vec<f32>,
}

/// The nodes of a graph whose states can be followed.
pub(crate) fn probes(graph: &Graph) -> Result<Vec<Probe>, PassError> {
    let Some(subgraph) = graph.main() else {
        return Ok(Vec::new());
    };
    let mut probes = Vec::new();
    for (id, node) in subgraph.iter_nodes() {
        let (state, kind) = match node.known() {
            Some(Op::UnidirectionalSequenceLstm(options))
                if lstm_has_integer_form(node, options) =>
            {
                let shape = node.input(LSTM_CELL).and_then(|id| subgraph.tensor(id));
                let batch = shape.and_then(|t| t.shape.dims().first().copied());
                let lstm = Lstm::new(graph, node, *options, batch.unwrap_or(1))?;
                (LSTM_CELL, Kind::Lstm(Box::new(lstm)))
            }
            Some(Op::Svdf(_)) => {
                let Some(feature) = node.input(1) else {
                    continue;
                };
                let inputs = subgraph.tensor(feature).map_or(0, |t| t.shape.last());
                let feature = graph.values(feature)?;
                (SVDF_STATE, Kind::Svdf { feature, inputs })
            }
            _ => continue,
        };
        if let (Some(input), Some(state)) = (node.input(0), node.input(state)) {
            probes.push(Probe {
                node: id,
                input,
                state,
                kind,
            });
        }
    }
    Ok(probes)
}

impl Probe {
    /// Forgets what went before, as at the start of a sample.
    pub(crate) fn reset(&mut self) {
        if let Kind::Lstm(lstm) = &mut self.kind {
            lstm.hidden.fill(0.0);
            lstm.cell.fill(0.0);
        }
    }

    /// Every value that the state took while the node made `output` of `input`.
    pub(crate) fn follow(&mut self, input: &[f32], output: &[f32]) -> Vec<f32> {
        match &mut self.kind {
            Kind::Lstm(lstm) => lstm.follow(input, output),
            Kind::Svdf { feature, inputs } => {
                let rows = input.chunks_exact((*inputs).max(1));
                let products = |row| {
                    feature
                        .chunks_exact((*inputs).max(1))
                        .map(move |w| dot(w, row))
                };
                rows.flat_map(products).collect()
            }
        }
    }
}

impl Lstm {
    fn new(
        graph: &Graph,
        node: &Node,
        options: UnidirectionalSequenceLstmOptions,
        batch: usize,
    ) -> Result<Self, PassError> {
        let four = |first: usize| -> Result<[Vec<f32>; 4], PassError> {
            let mut values = [const { Vec::new() }; 4];
            for (slot, index) in values.iter_mut().zip(first..) {
                if let Some(id) = node.input(index) {
                    *slot = graph.values(id)?;
                }
            }
            Ok(values)
        };
        let [input, recurrent, bias] = LSTM_GATES;
        let (input, recurrent, bias) = (four(input)?, four(recurrent)?, four(bias)?);
        let states = batch.saturating_mul(bias[0].len());
        Ok(Self {
            options,
            input,
            recurrent,
            bias,
            batch,
            hidden: vec![0.0; states],
            cell: vec![0.0; states],
        })
    }

    fn follow(&mut self, input: &[f32], output: &[f32]) -> Vec<f32> {
        let units = self.bias[0].len().max(1);
        let inputs = self.input[0].len() / units;
        let rows = input.len() / inputs.max(1);
        let steps = rows / self.batch.max(1);
        let mut seen = Vec::with_capacity(rows.saturating_mul(units));
        for sequence in 0..self.batch {
            for step in 0..steps {
                let row = match self.options.time_major {
                    true => step * self.batch + sequence,
                    false => sequence * steps + step,
                };
                let x = input.chunks_exact(inputs.max(1)).nth(row);
                let h = output.chunks_exact(units).nth(row);
                if let (Some(x), Some(h)) = (x, h) {
                    self.step(sequence, x, h, &mut seen);
                }
            }
        }
        seen
    }

    /// One step of a sequence: `x` goes in, `h` comes out.
    fn step(&mut self, sequence: usize, x: &[f32], h: &[f32], seen: &mut Vec<f32>) {
        let units = h.len();
        let states = sequence * units..(sequence + 1) * units;
        let (Some(hidden), Some(cell)) = (
            self.hidden.get_mut(states.clone()),
            self.cell.get_mut(states),
        ) else {
            return;
        };
        let gate = |gate: usize, unit: usize| {
            let row = |weights: &[Vec<f32>; 4], with: &[f32]| {
                let rows = weights.get(gate).map_or(&[][..], Vec::as_slice);
                rows.chunks_exact(with.len().max(1))
                    .nth(unit)
                    .map_or(0.0, |w| dot(w, with))
            };
            let bias = self.bias.get(gate).and_then(|bias| bias.get(unit));
            row(&self.input, x) + row(&self.recurrent, hidden) + bias.copied().unwrap_or(0.0)
        };
        for (unit, cell) in cell.iter_mut().enumerate() {
            let (add, keep) = (sigmoid(gate(0, unit)), sigmoid(gate(1, unit)));
            *cell = keep * *cell + add * gate(2, unit).tanh();
            if self.options.cell_clip > 0.0 {
                *cell = cell.clamp(-self.options.cell_clip, self.options.cell_clip);
            }
            seen.push(*cell);
        }
        hidden.copy_from_slice(h);
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
