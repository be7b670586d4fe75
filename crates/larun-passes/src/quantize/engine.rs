//! Applies the decisions: rebuilds the nodes in order, with QUANTIZE and DEQUANTIZE exactly where neighbours differ.

use std::collections::HashMap;

use larun_graph::ops::{
    Op, OpKind, OutputQuantization, QuantizeOptions as QuantizeOpOptions, Role,
};
use larun_graph::{Graph, Node, NodeId, NodeOp, Quantization, Subgraph, Tensor, TensorId};
use larun_quant::{Affine, IntegerRange, QuantError};

use super::check::{is_real_constant, keeps_state, role, rule, value_inputs, weight_inputs};
use super::decide::Decision;
use super::layer::{Layer, StoredWeights, set_input};
use super::scheme::{Activations, LayerScheme};
use super::values::{Value, Values};
use super::weights::{add_with_bytes, dequantize};
use super::{Border, WeightRounder, at_tensor, state};
use crate::{Calibration, PassError, edit};

/// What is known while nodes are rebuilt.
pub(crate) struct Engine<'e> {
    graph: Graph,
    values: &'e Values,
    decisions: &'e [Decision],
    calibration: &'e Calibration,
    rounder: &'e dyn WeightRounder,
    /// The nodes rebuilt so far.
    nodes: Vec<Node>,
    /// Tensors that hold values other than the home of their tensor.
    integers: HashMap<usize, TensorId>,
    /// Constants by tensor, type and parameters.
    constants: HashMap<(TensorId, Activations, u32, i32), TensorId>,
    /// Real copies of tensors that are computed in integers.
    reals: HashMap<TensorId, TensorId>,
    stored: StoredWeights,
}

/// Applies the decisions to a float graph.
pub(crate) fn apply(
    graph: Graph,
    values: &Values,
    decisions: &[Decision],
    calibration: &Calibration,
    rounder: &dyn WeightRounder,
    border: Border,
) -> Result<Graph, PassError> {
    let mut engine = Engine {
        graph,
        values,
        decisions,
        calibration,
        rounder,
        nodes: Vec::new(),
        integers: HashMap::new(),
        constants: HashMap::new(),
        reals: HashMap::new(),
        stored: StoredWeights::default(),
    };
    let old = core::mem::take(&mut edit::main_mut(&mut engine.graph)?.nodes);
    for (id, node) in (0..).map(NodeId::new).zip(&old) {
        engine.rebuild(id, node)?;
    }
    engine.outputs(border)?;
    let Engine {
        mut graph, nodes, ..
    } = engine;
    let subgraph = edit::main_mut(&mut graph)?;
    subgraph.nodes = nodes;
    set_homes(subgraph, values);
    Ok(graph)
}

impl Engine<'_> {
    fn rebuild(&mut self, id: NodeId, node: &Node) -> Result<(), PassError> {
        let scheme = self
            .decisions
            .get(id.index())
            .map_or(LayerScheme::FLOAT, |decision| decision.scheme);
        let mut new = node.clone();
        if scheme.activations.is_integer() {
            self.integer_inputs(id, node, &mut new)?;
            self.integer_layer(id, node, scheme, &mut new)?;
            adapt(&mut new, scheme.activations);
        } else {
            self.real_inputs(node, &mut new)?;
            if !scheme.is_float() {
                let layer = Layer {
                    node,
                    scheme,
                    rounder: self.rounder,
                };
                layer.real(&mut self.graph, &mut self.stored, &mut new, &mut self.nodes)?;
            }
        }
        self.nodes.push(new);
        Ok(())
    }

    fn integer_inputs(&mut self, id: NodeId, node: &Node, new: &mut Node) -> Result<(), PassError> {
        let inputs: Vec<_> = value_inputs(edit::main(&self.graph)?, node).collect();
        for (index, _) in inputs {
            if let Some((at, value)) = self.values.input(id, index) {
                let tensor = self.integer(at, value)?;
                set_input(new, index, tensor);
            }
        }
        Ok(())
    }

    /// The weights, biases and states of an integer node.
    fn integer_layer(
        &mut self,
        id: NodeId,
        node: &Node,
        scheme: LayerScheme,
        new: &mut Node,
    ) -> Result<(), PassError> {
        let layer = Layer {
            node,
            scheme,
            rounder: self.rounder,
        };
        let first = |values: &Values| Some(values.input(id, first_value(node)?)?.1.affine);
        let output = node.outputs.first().and_then(|&id| self.values.home(id));
        let (Some(input), Some((_, output))) = (first(self.values), output) else {
            return Ok(());
        };
        if keeps_state(node) {
            let known = state::Known {
                layer: &layer,
                input,
                output: output.affine,
                calibration: self.calibration,
            };
            return known.quantize(&mut self.graph, new);
        }
        let is_layer = weight_inputs(node).next().is_some() && !gives_rows(node);
        match is_layer {
            true => layer.integer(&mut self.graph, input, new, &mut self.nodes),
            false => Ok(()),
        }
    }

    /// Lets a node read real numbers where its operands are computed in integers.
    fn real_inputs(&mut self, node: &Node, new: &mut Node) -> Result<(), PassError> {
        for (index, input) in node.inputs.iter().enumerate() {
            if let Some(input) = *input
                && let Some(real) = self.real(input)?
            {
                set_input(new, index, real);
            }
        }
        Ok(())
    }

    /// The tensor with the real form of one that is computed in integers, `None` for any other.
    fn real(&mut self, tensor: TensorId) -> Result<Option<TensorId>, PassError> {
        let Some((_, home)) = self.values.home(tensor) else {
            return Ok(None);
        };
        if let Some(&real) = self.reals.get(&tensor) {
            return Ok(Some(real));
        }
        let real = dequantize(&mut self.graph, tensor, &mut self.nodes)?;
        if let Some(node) = self.nodes.last_mut() {
            node.version = match home.activations {
                Activations::Int16 => 3,
                _ => 2,
            };
        }
        self.reals.insert(tensor, real);
        Ok(Some(real))
    }

    /// The tensor that holds a value, made by a QUANTIZE where there is none yet.
    fn integer(&mut self, at: usize, value: Value) -> Result<TensorId, PassError> {
        if let Some(&tensor) = self.integers.get(&at) {
            return Ok(tensor);
        }
        let home = self.values.home(value.tensor);
        let is_home = home.is_some_and(|(_, home)| {
            home.activations == value.activations && home.affine == value.affine
        });
        if is_home {
            return Ok(value.tensor);
        }
        let subgraph = edit::main(&self.graph)?;
        let tensor = match is_real_constant(&self.graph, subgraph, value.tensor) {
            true => self.constant(value)?,
            false => self.converted(value, home.is_some())?,
        };
        self.integers.insert(at, tensor);
        Ok(tensor)
    }

    fn converted(&mut self, value: Value, from_integer: bool) -> Result<TensorId, PassError> {
        let subgraph = edit::main_mut(&mut self.graph)?;
        let source = edit::tensor(subgraph, value.tensor)?;
        let what = match from_integer {
            true => "requantized",
            false => value.activations.suffix(),
        };
        let tensor = integer_tensor(source, value, format!("{}/{what}", source.name));
        let to = subgraph.add_tensor(tensor);
        let mut quantize = Node::new(Op::Quantize(QuantizeOpOptions {}), &[value.tensor], &[to]);
        if value.activations == Activations::Int16 {
            quantize.version = 2;
        }
        self.nodes.push(quantize);
        Ok(to)
    }

    fn constant(&mut self, value: Value) -> Result<TensorId, PassError> {
        let Affine { scale, zero_point } = value.affine;
        let key = (value.tensor, value.activations, scale.to_bits(), zero_point);
        if let Some(&tensor) = self.constants.get(&key) {
            return Ok(tensor);
        }
        let reals = self.graph.values::<f32>(value.tensor)?;
        let subgraph = edit::main(&self.graph)?;
        let source = edit::tensor(subgraph, value.tensor)?;
        let tensor = integer_tensor(source, value, source.name.clone());
        let bytes = constant_bytes(&reals, value);
        let bytes = bytes.map_err(|source| at_tensor(subgraph, value.tensor, source))?;
        let id = add_with_bytes(&mut self.graph, tensor, bytes)?;
        self.constants.insert(key, id);
        Ok(id)
    }

    /// Puts a DEQUANTIZE before outputs that are computed in integers, where the border is real. The real tensor takes over the
    /// name.
    fn outputs(&mut self, border: Border) -> Result<(), PassError> {
        if border == Border::Integer {
            return Ok(());
        }
        let ports = edit::main(&self.graph)?.outputs.clone();
        let mut moved = HashMap::new();
        for tensor in ports {
            if let Some(real) = self.real(tensor)? {
                moved.insert(tensor, real);
            }
        }
        let subgraph = edit::main_mut(&mut self.graph)?;
        for port in &mut subgraph.outputs {
            *port = moved.get(port).copied().unwrap_or(*port);
        }
        for (&inner, &outer) in &moved {
            let name = edit::tensor(subgraph, inner)?.name.clone();
            let home = self.values.home(inner);
            let suffix = home.map_or("", |(_, value)| value.activations.suffix());
            if let Some(tensor) = subgraph.tensor_mut(inner) {
                tensor.name = format!("{name}/{suffix}");
            }
            if let Some(tensor) = subgraph.tensor_mut(outer) {
                tensor.name = name;
            }
        }
        let signatures = self.graph.signatures.iter_mut();
        let of_main = signatures.filter(|s| s.subgraph.index() == 0);
        for port in of_main.flat_map(|signature| &mut signature.outputs) {
            port.tensor = moved.get(&port.tensor).copied().unwrap_or(port.tensor);
        }
        Ok(())
    }
}

/// The operand whose scale an integer layer multiplies with that of its weights.
fn first_value(node: &Node) -> Option<usize> {
    let inputs = node.inputs.iter().enumerate();
    let is_activation = |index| role(node, index) == Some(Role::Activation);
    let mut given = inputs.filter(|(_, input)| input.is_some());
    given.find_map(|(index, _)| is_activation(index).then_some(index))
}

/// Whether outputs are rows of the weights, whose parameters they then have.
fn gives_rows(node: &Node) -> bool {
    matches!(rule(node), Some(OutputQuantization::SameAs(_)))
}

/// An integer form of a tensor.
fn integer_tensor(source: &Tensor, value: Value, name: String) -> Tensor {
    Tensor {
        name,
        element_type: value.activations.element_type(),
        quantization: Some(Quantization::per_tensor(value.affine)),
        buffer: Default::default(),
        is_variable: false,
        ..source.clone()
    }
}

/// The integers of a constant, in the bytes of its tensor.
fn constant_bytes(reals: &[f32], value: Value) -> Result<Vec<u8>, QuantError> {
    if value.activations == Activations::Int16 {
        let mut integers = vec![0i16; reals.len()];
        let range = IntegerRange::INT16;
        value.affine.quantize_slice(reals, range, &mut integers)?;
        return Ok(integers.iter().flat_map(|i| i.to_le_bytes()).collect());
    }
    let integers = value.affine.quantize_to_vec_i8(reals)?;
    Ok(integers.iter().map(|&i| i as u8).collect())
}

/// Sets the type and the parameters of every tensor that is computed in integers.
fn set_homes(subgraph: &mut Subgraph, values: &Values) {
    for value in values.homes() {
        if let Some(tensor) = subgraph.tensor_mut(value.tensor) {
            tensor.element_type = value.activations.element_type();
            tensor.quantization = Some(Quantization::per_tensor(value.affine));
        }
    }
}

/// The version and the options of a node on integers.
fn adapt(node: &mut Node, activations: Activations) {
    let info = node.kind().map(OpKind::info);
    let version = info.and_then(|info| match activations {
        Activations::Int16 => info.int16_version,
        _ => info.int8_version,
    });
    node.version = node.version.max(version.unwrap_or(1));
    if activations == Activations::Int16
        && let NodeOp::Known(op) = &mut node.op
    {
        // Any scale, not powers of two alone.
        match op {
            Op::Add(options) => options.pot_scale_int16 = false,
            Op::Sub(options) => options.pot_scale_int16 = false,
            _ => {}
        }
    }
}
