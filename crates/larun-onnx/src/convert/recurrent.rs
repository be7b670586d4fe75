//! Recurrent layers: LSTM as the format's own operator, GRU step by step.

use larun_graph::TensorId;
use larun_graph::ops::{
    Activation, AddOptions, ConcatenationOptions, FullyConnectedOptions, MulOptions, NoOptions, Op,
    PackOptions, ReverseV2Options, SplitOptions, SubOptions, UnidirectionalSequenceLstmOptions,
    UnpackOptions,
};

use super::Converter;
use crate::constant::Constant;
use crate::error::Refusal;
use crate::net::to_i32;
use crate::node::OnnxNode;
use crate::view::View;

/// The longest sequence that a GRU is written out for, which has no operator of its own.
const MAX_STEPS: usize = 256;

/// What LSTM and GRU have in common.
struct Layer {
    /// The input, `[T, N, I]` in the file.
    input: View,
    steps: usize,
    batch: usize,
    inputs: usize,
    hidden: usize,
    /// Whether the sequence is read forwards, for each direction.
    forwards: Vec<bool>,
    /// `[directions, gates * H, I]`.
    weights: Constant,
    /// `[directions, gates * H, H]`.
    recurrent: Constant,
    /// `[directions, 2 * gates * H]`: of the input, then of the state.
    bias: Constant,
}

impl Layer {
    fn read(
        converter: &mut Converter<'_>,
        node: OnnxNode<'_>,
        gates: usize,
        activations: &[&str],
    ) -> Result<Self, Refusal> {
        let mut input = converter.input(node, 0)?;
        if node.flag("layout") {
            input = input
                .permuted(&[1, 0, 2])
                .ok_or("its input has no three axes")?;
        }
        let &[steps, batch, inputs] = input.dims().as_slice() else {
            return Err(format!(
                "its input has the shape {:?}: [T, N, I] is expected",
                input.dims()
            ));
        };
        let forwards = match node.text("direction").unwrap_or("forward") {
            "forward" => vec![true],
            "reverse" => vec![false],
            "bidirectional" => vec![true, false],
            other => return Err(format!("its direction is '{other}'")),
        };
        let given = node.texts("activations");
        let usual = given.is_empty()
            || given
                .iter()
                .zip(activations.iter().cycle())
                .all(|(g, a)| g.eq_ignore_ascii_case(a));
        if !usual {
            return Err(format!(
                "its activations are {given:?}: {activations:?} have a counterpart"
            ));
        }
        if node.float("clip").is_some_and(|clip| clip > 0.0) || node.flag("input_forget") {
            return Err("clip and input_forget have no counterpart".to_owned());
        }
        for index in [5, 6] {
            let zero = |c: &Constant| c.to_floats().iter().all(|&v| v == 0.0);
            if !converter
                .constant(node, index, "first state")?
                .as_ref()
                .is_none_or(zero)
            {
                return Err(
                    "a first state other than zero has no counterpart: feed it as a first step"
                        .to_owned(),
                );
            }
        }
        let lengths = converter.constant(node, 4, "lengths of its sequences")?;
        if lengths.is_some_and(|c| {
            c.to_ints()
                .is_ok_and(|l| l.iter().any(|&l| l != steps as i64))
        }) {
            return Err("sequences of different lengths have no counterpart".to_owned());
        }
        let weights = converter
            .constant(node, 1, "weights")?
            .ok_or("it has no weights")?;
        let recurrent = converter
            .constant(node, 2, "recurrent weights")?
            .ok_or("it has no recurrent weights")?;
        let hidden = recurrent.dims().get(2).copied().unwrap_or_default();
        let directions = forwards.len();
        let rows = gates
            .checked_mul(hidden)
            .filter(|&r| r > 0)
            .ok_or("its recurrent weights have no size")?;
        let bias = match converter.constant(node, 3, "bias")? {
            Some(bias) => bias,
            None => Constant::floats(&[directions, 2 * rows], vec![0.0; directions * 2 * rows])
                .ok_or("its bias has no shape")?,
        };
        let fits = weights.dims() == [directions, rows, inputs]
            && recurrent.dims() == [directions, rows, hidden]
            && bias.dims() == [directions, 2 * rows];
        if !fits {
            return Err(format!(
                "weights {:?}, recurrent weights {:?} and bias {:?} do not go with {inputs} inputs",
                weights.dims(),
                recurrent.dims(),
                bias.dims()
            ));
        }
        Ok(Self {
            input,
            steps,
            batch,
            inputs,
            hidden,
            forwards,
            weights,
            recurrent,
            bias,
        })
    }

    /// The rows of one gate in a constant of rows.
    fn gate(&self, constant: &Constant, direction: usize, gate: usize, columns: usize) -> Vec<f32> {
        let values = constant.to_floats();
        let rows = constant.dims().get(1).copied().unwrap_or_default();
        let start = (direction * rows + gate * self.hidden) * columns;
        values
            .iter()
            .skip(start)
            .take(self.hidden * columns)
            .copied()
            .collect()
    }

    /// The sum of both biases of a gate.
    fn bias_of(&self, direction: usize, gate: usize, gates: usize) -> Vec<f32> {
        let (input, state) = (
            self.gate(&self.bias, direction, gate, 1),
            self.gate(&self.bias, direction, gates + gate, 1),
        );
        input.iter().zip(&state).map(|(a, b)| a + b).collect()
    }

    /// The outputs `Y` and `Y_h` from the states after each step, `[T, N, H]` or `[N, T, H]` as `batch_first` says, one a
    /// direction.
    fn finish(
        &self,
        converter: &mut Converter<'_>,
        node: OnnxNode<'_>,
        all: &[TensorId],
        batch_first: bool,
    ) -> Result<(), Refusal> {
        let (t, n, h) = (self.steps, self.batch, self.hidden);
        let slots = if batch_first {
            [Some(1), Some(0), Some(2)]
        } else {
            [Some(0), Some(1), Some(2)]
        };
        let joined = match all {
            [one] => *one,
            several => converter.net.node(
                Op::Concatenation(ConcatenationOptions {
                    axis: 2,
                    ..ConcatenationOptions::default()
                }),
                several,
            )?,
        };
        let directions = all.len();
        if !node.output(0).is_empty() {
            let view = View::stored(joined, &[t, n, directions * h], &slots);
            let view = view
                .reshaped(&[t, n, directions, h])
                .ok_or("its directions cannot be told apart")?;
            let order: &[usize] = if node.flag("layout") {
                &[1, 0, 2, 3]
            } else {
                &[0, 2, 1, 3]
            };
            let view = view.permuted(order).ok_or("its output has no four axes")?;
            converter.set_view(node.output(0), view);
        }
        if !node.output(1).is_empty() && converter.is_read(node.output(1)) {
            let mut last = Vec::with_capacity(directions);
            for (&states, &forwards) in all.iter().zip(&self.forwards) {
                let at = if forwards { t - 1 } else { 0 };
                last.push(step_of(converter, states, at, usize::from(batch_first))?);
            }
            let joined = match last.as_slice() {
                [one] => *one,
                several => converter.net.node(
                    Op::Concatenation(ConcatenationOptions {
                        axis: 1,
                        ..ConcatenationOptions::default()
                    }),
                    several,
                )?,
            };
            let view = View::plain(joined, &[n, directions * h]).reshaped(&[n, directions, h]);
            let view = view.ok_or("its directions cannot be told apart")?;
            let order: &[usize] = if node.flag("layout") {
                &[0, 1, 2]
            } else {
                &[1, 0, 2]
            };
            converter.set_view(
                node.output(1),
                view.permuted(order).ok_or("its state has no three axes")?,
            );
        }
        if !node.output(2).is_empty() && converter.is_read(node.output(2)) {
            return Err(
                "the last state of its cells has no counterpart: leave that output out".to_owned(),
            );
        }
        Ok(())
    }
}

/// One step `[N, H]` of states whose axis `axis` is time.
fn step_of(
    converter: &mut Converter<'_>,
    states: TensorId,
    step: usize,
    axis: usize,
) -> Result<TensorId, Refusal> {
    let mut begin = [0; 3];
    let mut size = converter.net.dims(states);
    if let (Some(begin), Some(size)) = (begin.get_mut(axis), size.get_mut(axis)) {
        (*begin, *size) = (step, 1);
    }
    let (begin, sizes) = (
        converter.net.ints("begin", &begin)?,
        converter.net.ints("size", &size)?,
    );
    let one = converter.net.node(
        Op::Slice(larun_graph::ops::SliceOptions {}),
        &[states, begin, sizes],
    )?;
    size.remove(axis);
    converter.net.reshape(one, &size)
}

/// A sequence backwards along an axis.
fn reversed(
    converter: &mut Converter<'_>,
    sequence: TensorId,
    axis: i32,
) -> Result<TensorId, Refusal> {
    let axis = converter.net.signed("axis", &[1], &[axis])?;
    converter
        .net
        .node(Op::ReverseV2(ReverseV2Options {}), &[sequence, axis])
}

pub(super) fn lstm(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    if node.input(7).is_some() {
        return Err("peephole weights have no counterpart on microcontrollers".to_owned());
    }
    let layer = Layer::read(converter, node, 4, &["Sigmoid", "Tanh", "Tanh"])?;
    // Batch first, as runtimes for microcontrollers like it.
    let input = converter
        .net
        .arrange(&layer.input, &[Some(1), Some(0), Some(2)])?;
    let mut all = Vec::new();
    for (direction, &forwards) in layer.forwards.iter().enumerate() {
        let sequence = if forwards {
            input
        } else {
            reversed(converter, input, 1)?
        };
        let states = one_lstm(converter, &layer, direction, sequence)?;
        all.push(if forwards {
            states
        } else {
            reversed(converter, states, 1)?
        });
    }
    layer.finish(converter, node, &all, true)
}

/// Gates in the order of the file format, by their places in ONNX's input, output, forget, cell.
const LSTM_GATES: [(&str, usize); 4] = [("input", 0), ("forget", 2), ("cell", 3), ("output", 1)];

fn one_lstm(
    converter: &mut Converter<'_>,
    layer: &Layer,
    direction: usize,
    sequence: TensorId,
) -> Result<TensorId, Refusal> {
    let (h, net) = (layer.hidden, &mut converter.net);
    let mut operands: Vec<Option<TensorId>> = vec![Some(sequence)];
    for (name, gate) in LSTM_GATES {
        let values = layer.gate(&layer.weights, direction, gate, layer.inputs);
        operands.push(Some(net.floats(
            &format!("input to {name} weights"),
            &[h, layer.inputs],
            &values,
        )?));
    }
    for (name, gate) in LSTM_GATES {
        let values = layer.gate(&layer.recurrent, direction, gate, h);
        operands.push(Some(net.floats(
            &format!("recurrent to {name} weights"),
            &[h, h],
            &values,
        )?));
    }
    operands.extend([None; 3]);
    for (name, gate) in LSTM_GATES {
        let values = layer.bias_of(direction, gate, 4);
        operands.push(Some(net.floats(
            &format!("{name} gate bias"),
            &[h],
            &values,
        )?));
    }
    operands.extend([None; 2]);
    operands.push(Some(net.state("output state", &[layer.batch, h])?));
    operands.push(Some(net.state("cell state", &[layer.batch, h])?));
    operands.extend([None; 4]);
    let options = UnidirectionalSequenceLstmOptions {
        activation: Activation::Tanh,
        ..UnidirectionalSequenceLstmOptions::default()
    };
    net.node_of_shape(
        Op::UnidirectionalSequenceLstm(options),
        operands,
        &[layer.batch, layer.steps, h],
    )
}

pub(super) fn gru(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let layer = Layer::read(converter, node, 3, &["Sigmoid", "Tanh"])?;
    if layer.steps > MAX_STEPS {
        return Err(format!(
            "a GRU is written out step by step, and {} steps are more than {MAX_STEPS}",
            layer.steps
        ));
    }
    let input = converter.net.as_in_file(&layer.input)?;
    let mut all = Vec::new();
    for (direction, &forwards) in layer.forwards.iter().enumerate() {
        all.push(one_gru(
            converter,
            &layer,
            direction,
            forwards,
            input,
            node.flag("linear_before_reset"),
        )?);
    }
    layer.finish(converter, node, &all, false)
}

/// Weights of a GRU in one direction: gates update, reset, candidate.
struct GruWeights {
    state: TensorId,
    state_bias: TensorId,
    /// Those of the candidate alone, where the reset comes before the product.
    candidate: TensorId,
    zero: TensorId,
}

fn one_gru(
    converter: &mut Converter<'_>,
    layer: &Layer,
    direction: usize,
    forwards: bool,
    input: TensorId,
    linear_before_reset: bool,
) -> Result<TensorId, Refusal> {
    let (h, rows) = (layer.hidden, 3 * layer.hidden);
    let of = |constant: &Constant, first: usize, count: usize, columns: usize| -> Vec<f32> {
        (first..first + count)
            .flat_map(|gate| layer.gate(constant, direction, gate, columns))
            .collect()
    };
    // The part of the input, for all steps at once. Biases of the state join it where they are only added.
    let mut bias = of(&layer.bias, 0, 3, 1);
    let mut state_bias = of(&layer.bias, 3, 3, 1);
    let moved = if linear_before_reset { 2 * h } else { rows };
    for (a, b) in bias.iter_mut().zip(&mut state_bias).take(moved) {
        *a += *b;
        *b = 0.0;
    }
    let net = &mut converter.net;
    let dense = Op::FullyConnected(FullyConnectedOptions {
        keep_num_dims: true,
        ..FullyConnectedOptions::default()
    });
    let w = net.floats(
        "input weights",
        &[rows, layer.inputs],
        &of(&layer.weights, 0, 3, layer.inputs),
    )?;
    let b = net.floats("input bias", &[rows], &bias)?;
    let projected = net.node(dense, &[input, w, b])?;
    let steps = net.node_with_outputs(
        Op::Unpack(UnpackOptions {
            num: to_i32(layer.steps)?,
            axis: 0,
        }),
        &[projected],
        layer.steps,
        larun_graph::ops::ElementType::Float32,
    )?;
    let count = if linear_before_reset { 3 } else { 2 };
    let weights = GruWeights {
        state: net.floats(
            "state weights",
            &[count * h, h],
            &of(&layer.recurrent, 0, count, h),
        )?,
        state_bias: net.floats(
            "state bias",
            &[count * h],
            state_bias.get(..count * h).unwrap_or(&[]),
        )?,
        candidate: net.floats("candidate weights", &[h, h], &of(&layer.recurrent, 2, 1, h))?,
        zero: net.floats("candidate bias", &[h], &vec![0.0; h])?,
    };
    let mut state: Option<TensorId> = None;
    let mut states = vec![None; layer.steps];
    let order: Vec<usize> = if forwards {
        (0..layer.steps).collect()
    } else {
        (0..layer.steps).rev().collect()
    };
    for at in order {
        let input = steps.get(at).copied().ok_or("a step is missing")?;
        let next = gru_step(
            converter,
            layer,
            &weights,
            input,
            state,
            linear_before_reset,
        )?;
        if let Some(slot) = states.get_mut(at) {
            *slot = Some(next);
        }
        state = Some(next);
    }
    let states: Vec<TensorId> = states.into_iter().flatten().collect();
    converter.net.node(
        Op::Pack(PackOptions {
            values_count: to_i32(layer.steps)?,
            axis: 0,
        }),
        &states,
    )
}

/// `h' = n + z (h - n)`; without a state, which is zero, `n - z n`.
fn gru_step(
    converter: &mut Converter<'_>,
    layer: &Layer,
    weights: &GruWeights,
    input: TensorId,
    state: Option<TensorId>,
    linear_before_reset: bool,
) -> Result<TensorId, Refusal> {
    let net = &mut converter.net;
    let (add, sub, mul) = (
        Op::Add(AddOptions::default()),
        Op::Sub(SubOptions::default()),
        Op::Mul(MulOptions::default()),
    );
    let (logistic, tanh) = (Op::Logistic(NoOptions {}), Op::Tanh(NoOptions {}));
    let dense = Op::FullyConnected(FullyConnectedOptions::default());
    let float = larun_graph::ops::ElementType::Float32;
    let along = net.signed("axis", &[], &[1])?;
    let parts = |net: &mut crate::net::Net, value, count: i32| {
        net.node_with_outputs(
            Op::Split(SplitOptions { num_splits: count }),
            &[along, value],
            count as usize,
            float,
        )
    };
    let &[update, reset, candidate] = parts(net, input, 3)?.as_slice() else {
        return Err("a step has not three gates".to_owned());
    };
    let state = match state {
        Some(state) => state,
        None => net.floats(
            "first state",
            &[layer.batch, layer.hidden],
            &vec![0.0; layer.batch * layer.hidden],
        )?,
    };
    let from_state = net.node(dense, &[state, weights.state, weights.state_bias])?;
    let gates = parts(net, from_state, if linear_before_reset { 3 } else { 2 })?;
    let gate = |i: usize| {
        gates
            .get(i)
            .copied()
            .ok_or_else(|| "a gate is missing".to_owned())
    };
    let update = net.node(add, &[update, gate(0)?])?;
    let update = net.node(logistic, &[update])?;
    let reset = net.node(add, &[reset, gate(1)?])?;
    let reset = net.node(logistic, &[reset])?;
    let recalled = match linear_before_reset {
        true => net.node(mul, &[reset, gate(2)?])?,
        false => {
            let kept = net.node(mul, &[reset, state])?;
            net.node(dense, &[kept, weights.candidate, weights.zero])?
        }
    };
    let candidate = net.node(add, &[candidate, recalled])?;
    let candidate = net.node(tanh, &[candidate])?;
    let change = net.node(sub, &[state, candidate])?;
    let change = net.node(mul, &[update, change])?;
    net.node(add, &[candidate, change])
}
