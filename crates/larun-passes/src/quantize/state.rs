//! Operators that keep a state: LSTM and SVDF, quantised as their integer kernels run them.
//!
//! LSTM (TensorFlow's table of operator properties): INT8 input, output and hidden state, the last two with one scale; INT8 weights
//! with one scale a matrix; INT32 biases in units of input times input weights; INT16 cell state whose scale is a power of two.
//!
//! SVDF: INT8 input and feature weights, INT16 state, time weights of ten bits in INT16 (the other six are for the sum over time),
//! INT32 bias in units of state times time weights.

use larun_graph::ops::{
    Activation, ElementType, Op, OpKind, Shape, UnidirectionalSequenceLstmOptions,
};
use larun_graph::{Graph, Node, Place, Quantization, Subgraph, Tensor, TensorId};
use larun_quant::weights::{QuantizedWeights, ScaleMethod};
use larun_quant::{Affine, ChannelAxis, IntegerRange, bias};

use super::at_tensor;
use super::check::weight_inputs;
use super::layer::{Layer, set_input};
use super::weights::add_with_bytes;
use crate::{Calibration, PassError, edit};

/// Operands of an LSTM, by index.
const LSTM_INPUT_WEIGHTS: usize = 1;
const LSTM_BIASES: core::ops::Range<usize> = 12..16;
/// The first of the four input weights, recurrent weights and biases.
pub(crate) const LSTM_GATES: [usize; 3] = [LSTM_INPUT_WEIGHTS, 5, LSTM_BIASES.start];
const LSTM_HIDDEN: usize = 18;
pub(crate) const LSTM_CELL: usize = 19;
/// Operands of the variants that no integer kernel of TFLM runs: peepholes, projection, layer normalisation.
const LSTM_VARIANTS: [usize; 9] = [9, 10, 11, 16, 17, 20, 21, 22, 23];
/// Operands of an SVDF, by index.
const SVDF_TIME_WEIGHTS: usize = 2;
const SVDF_BIAS: usize = 3;
pub(crate) const SVDF_STATE: usize = 4;
/// Time weights leave six of their sixteen bits to the sum over time.
const TEN_BITS: IntegerRange = IntegerRange {
    min: -511,
    max: 511,
};

/// Whether a node has an integer form, or why it has none.
pub(crate) fn check(subgraph: &Subgraph, node: &Node) -> Result<(), &'static str> {
    match node.known() {
        Some(Op::UnidirectionalSequenceLstm(options)) => {
            check_lstm(node, options)?;
            is_variable(subgraph, node, &[LSTM_HIDDEN, LSTM_CELL])
        }
        Some(Op::Svdf(_)) => is_variable(subgraph, node, &[SVDF_STATE]),
        _ => Err("it keeps a state that has no integer form"),
    }
}

fn check_lstm(
    node: &Node,
    options: &UnidirectionalSequenceLstmOptions,
) -> Result<(), &'static str> {
    if LSTM_VARIANTS.iter().any(|&i| node.input(i).is_some()) {
        return Err("peepholes, projection and layer normalisation have no integer form");
    }
    let mut gates = LSTM_GATES.into_iter().flat_map(|first| first..first + 4);
    if gates.any(|index| node.input(index).is_none()) {
        return Err("a gate without weights or bias has no integer form");
    }
    if options.activation != Activation::Tanh || options.diagonal_recurrent_tensors {
        return Err("only TANH and full recurrent weights have an integer form");
    }
    Ok(())
}

/// Whether an LSTM is of the plain kind that integer kernels run.
pub(crate) fn lstm_has_integer_form(
    node: &Node,
    options: &UnidirectionalSequenceLstmOptions,
) -> bool {
    check_lstm(node, options).is_ok()
}

fn is_variable(subgraph: &Subgraph, node: &Node, states: &[usize]) -> Result<(), &'static str> {
    let variable = |&index: &usize| {
        let tensor = node.input(index).and_then(|id| subgraph.tensor(id));
        tensor.is_some_and(|tensor| tensor.is_variable)
    };
    match states.iter().all(variable) {
        true => Ok(()),
        false => Err("its state is no variable tensor"),
    }
}

/// What is known of a node before its weights and states are quantised.
pub(crate) struct Known<'k> {
    pub(crate) layer: &'k Layer<'k>,
    pub(crate) input: Affine,
    pub(crate) output: Affine,
    pub(crate) calibration: &'k Calibration,
}

impl Known<'_> {
    /// Quantises weights, biases and states.
    pub(crate) fn quantize(&self, graph: &mut Graph, new: &mut Node) -> Result<(), PassError> {
        match self.layer.node.kind() {
            Some(OpKind::Svdf) => self.svdf(graph, new),
            _ => self.lstm(graph, new),
        }
    }

    fn lstm(&self, graph: &mut Graph, new: &mut Node) -> Result<(), PassError> {
        let node = self.layer.node;
        for (operand, axis, weights) in weight_inputs(node) {
            let biases = match biases_of(node, operand) {
                Some(bias) => graph.values::<f32>(bias)?,
                None => Vec::new(),
            };
            let Some(request) = self.layer.request(operand, axis, weights) else {
                continue;
            };
            let quantized = request.quantize(graph, &least_scales(&biases, self.input.scale))?;
            let scales = quantized.scales.clone();
            let mut unpacking = Vec::new();
            let id = request.store(graph, quantized, &mut unpacking)?;
            set_input(new, operand, id);
            if let Some(real) = biases_of(node, operand) {
                let at = operand - LSTM_INPUT_WEIGHTS + LSTM_BIASES.start;
                let bias = add_bias(graph, real, &biases, self.input.scale, &scales)?;
                set_input(new, at, bias);
            }
        }
        let cell = self.state_range(graph, node, LSTM_CELL)?;
        let (hidden, cell) = (self.output, Affine::new(power_of_two(cell) / 32768.0, 0));
        self.variable(graph, new, LSTM_HIDDEN, (ElementType::Int8, hidden))?;
        self.variable(graph, new, LSTM_CELL, (ElementType::Int16, cell))?;
        self.intermediates(graph, new)
    }

    /// Four placeholders that layer normalisation would use, and the quantisation of the hidden state.
    fn intermediates(&self, graph: &mut Graph, new: &mut Node) -> Result<(), PassError> {
        let subgraph = edit::main_mut(graph)?;
        let output = new.outputs.first().and_then(|&id| subgraph.tensor(id));
        let name = output.map_or_else(String::new, |tensor| tensor.name.clone());
        let mut intermediates = Vec::new();
        let empty = Shape::new(&[0]).unwrap_or_default();
        for gate in ["input", "forget", "cell", "output"] {
            intermediates.push(Some(subgraph.add_tensor(Tensor {
                name: format!("{name}/{gate}_intermediate"),
                shape: empty,
                ..Tensor::default()
            })));
        }
        intermediates.push(Some(subgraph.add_tensor(Tensor {
            name: format!("{name}/hidden_intermediate"),
            shape: empty,
            element_type: ElementType::Int8,
            quantization: Some(Quantization::per_tensor(self.output)),
            ..Tensor::default()
        })));
        new.intermediates = intermediates;
        Ok(())
    }

    fn svdf(&self, graph: &mut Graph, new: &mut Node) -> Result<(), PassError> {
        let node = self.layer.node;
        let state = self.state_range(graph, node, SVDF_STATE)?;
        let subgraph = edit::main(graph)?;
        let state = Affine::symmetric(-state, state, IntegerRange::INT16);
        let place = node.input(SVDF_STATE).unwrap_or_default();
        let state = state.map_err(|source| at_tensor(subgraph, place, source))?;
        if let Some((operand, axis, weights)) = weight_inputs(node).next()
            && let Some(request) = self.layer.request(operand, axis, weights)
        {
            let quantized = request.quantize(graph, &[])?;
            let id = request.store(graph, quantized, &mut Vec::new())?;
            set_input(new, operand, id);
        }
        if let Some(time) = node.input(SVDF_TIME_WEIGHTS) {
            let (id, scale) = time_weights(graph, time)?;
            set_input(new, SVDF_TIME_WEIGHTS, id);
            let (real, values) = self.svdf_bias(graph)?;
            let bias = add_bias(graph, real, &values, state.scale, &[scale])?;
            set_input(new, SVDF_BIAS, bias);
        }
        self.variable(graph, new, SVDF_STATE, (ElementType::Int16, state))
    }

    /// The bias of an SVDF and the tensor that gives its name; zeros where there is none, without which TFLM reads what is not there.
    fn svdf_bias(&self, graph: &Graph) -> Result<(TensorId, Vec<f32>), PassError> {
        let node = self.layer.node;
        if let Some(bias) = node.input(SVDF_BIAS) {
            return Ok((bias, graph.values(bias)?));
        }
        let output = node.outputs.first().copied().unwrap_or_default();
        let shape = edit::tensor(edit::main(graph)?, output)?.shape;
        Ok((output, vec![0.0; shape.last()]))
    }

    /// The largest magnitude that calibration saw in a state.
    fn state_range(&self, graph: &Graph, node: &Node, operand: usize) -> Result<f32, PassError> {
        let subgraph = edit::main(graph)?;
        let state = node.input(operand).unwrap_or_default();
        let (min, max) = self
            .calibration
            .range(state)
            .ok_or_else(|| PassError::NotCalibrated {
                place: Place::tensor(subgraph, state),
            })?;
        Ok(min.abs().max(max.abs()))
    }

    /// Gives the node an integer state.
    fn variable(
        &self,
        graph: &mut Graph,
        new: &mut Node,
        operand: usize,
        (element_type, affine): (ElementType, Affine),
    ) -> Result<(), PassError> {
        let Some(real) = self.layer.node.input(operand) else {
            return Ok(());
        };
        let subgraph = edit::main_mut(graph)?;
        let tensor = Tensor {
            element_type,
            quantization: Some(Quantization::per_tensor(affine)),
            buffer: Default::default(),
            ..edit::tensor(subgraph, real)?.clone()
        };
        let id = subgraph.add_tensor(tensor);
        set_input(new, operand, id);
        Ok(())
    }
}

/// The bias of the gate whose input weights are operand `index`.
fn biases_of(node: &Node, index: usize) -> Option<TensorId> {
    let gate = index
        .checked_sub(LSTM_INPUT_WEIGHTS)
        .filter(|&gate| gate < 4)?;
    node.input(LSTM_BIASES.start + gate)
}

/// The smallest weight scales at which biases fit INT32.
fn least_scales(biases: &[f32], input_scale: f32) -> Vec<f32> {
    let least = |&bias| bias::smallest_weight_scale(bias, input_scale);
    biases.iter().map(least).collect()
}

/// Adds an INT32 bias with the name of `real`.
fn add_bias(
    graph: &mut Graph,
    real: TensorId,
    values: &[f32],
    input_scale: f32,
    scales: &[f32],
) -> Result<TensorId, PassError> {
    let subgraph = edit::main(graph)?;
    let name = edit::tensor(subgraph, real)?.name.clone();
    let integers = bias::quantize_to_vec(values, input_scale, scales)
        .map_err(|source| at_tensor(subgraph, real, source))?;
    let id = edit::add_constant(graph, &name, &[values.len()], &integers)?;
    let scales = scales.iter().map(|&scale| bias::scale(input_scale, scale));
    let quantization = Quantization::per_channel(scales.collect(), 0);
    if let Some(tensor) = edit::main_mut(graph)?.tensor_mut(id) {
        tensor.quantization = Some(quantization);
    }
    Ok(id)
}

/// Adds the time weights of an SVDF in INT16; their id and scale.
fn time_weights(graph: &mut Graph, real: TensorId) -> Result<(TensorId, f32), PassError> {
    let values = graph.values::<f32>(real)?;
    let subgraph = edit::main(graph)?;
    let whole = ChannelAxis::whole(values.len());
    let quantized = QuantizedWeights::<i16>::quantize(&values, whole, TEN_BITS, ScaleMethod::Max)
        .map_err(|source| at_tensor(subgraph, real, source))?;
    let scale = quantized.scales.first().copied().unwrap_or(1.0);
    let tensor = Tensor {
        element_type: ElementType::Int16,
        quantization: Some(Quantization::per_tensor(Affine::new(scale, 0))),
        ..edit::tensor(subgraph, real)?.clone()
    };
    let bytes = quantized.values.iter().flat_map(|w| w.to_le_bytes());
    Ok((add_with_bytes(graph, tensor, bytes.collect())?, scale))
}

/// The smallest power of two that is not below `magnitude`; 1 for 0.
fn power_of_two(magnitude: f32) -> f32 {
    match magnitude {
        0.0 => 1.0,
        _ => magnitude.log2().ceil().exp2(),
    }
}
