//! From nodes of the file to nodes of the graph: one function an operator, a file a family.

mod branch;
mod conv;
mod dense;
mod elementwise;
mod join;
mod normalize;
mod pool;
mod recurrent;
mod reduce;
mod resize;
mod shape;
mod table;

pub use table::operators;

pub(crate) mod shapes {
    //! Shapes that both the importer and the arithmetic of constants compute.
    pub(crate) use super::shape::{flat, squeezed, target, unsqueezed};
}

use std::collections::{HashMap, HashSet};
use std::path::Path;

use larun_graph::TensorId;
use larun_graph::ops::{GeluOptions, HardSwishOptions, Op};

use crate::constant::{self, Constant};
use crate::error::Refusal;
use crate::fold;
use crate::net::Net;
use crate::node::OnnxNode;
use crate::patterns::Pattern;
use crate::proto::GraphProto;
use crate::view::{Slot, View};

/// A value of the file.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Constant(Constant),
    View(View),
}

/// The graph as it grows, and the values known by their names in the file.
pub(crate) struct Converter<'m> {
    pub(crate) net: Net,
    values: HashMap<String, Value>,
    readers: HashSet<String>,
    folder: Option<&'m Path>,
}

pub(crate) type Handler = fn(&mut Converter<'_>, OnnxNode<'_>) -> Result<(), Refusal>;

/// What converts an operator, `None` for one without a counterpart.
fn handler(op: &str) -> Option<Handler> {
    let row = table::ROWS.iter().find(|row| row.names.contains(&op));
    row.map(|row| row.convert)
}

/// Whether an operator has a counterpart.
pub(crate) fn knows(op: &str) -> bool {
    handler(op).is_some()
}

/// Whether an input of the file is an image or signal, channels before positions: whether a convolution, a pooling or
/// a normalisation of channels reads it, directly or through operators that work on each element.
pub(crate) fn is_image(graph: &GraphProto, input: &str) -> bool {
    let mut reached = vec![input];
    let mut next = 0;
    while let Some(&name) = reached.get(next) {
        next += 1;
        for node in graph
            .node
            .iter()
            .filter(|n| n.input.iter().any(|i| i == name))
        {
            match node.op_type.as_deref().unwrap_or("") {
                "Conv"
                | "ConvTranspose"
                | "MaxPool"
                | "AveragePool"
                | "GlobalAveragePool"
                | "GlobalMaxPool"
                | "BatchNormalization"
                | "InstanceNormalization"
                | "Resize"
                | "DepthToSpace"
                | "SpaceToDepth" => return true,
                "Add" | "Sub" | "Mul" | "Div" | "Relu" | "Clip" | "Pad" | "Identity"
                | "Dropout" | "Cast" | "Slice" | "Concat" => {
                    for output in &node.output {
                        if !reached.contains(&output.as_str()) {
                            reached.push(output);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    false
}

impl<'m> Converter<'m> {
    pub(crate) fn new(net: Net, folder: Option<&'m Path>) -> Self {
        Self {
            net,
            values: HashMap::new(),
            readers: HashSet::new(),
            folder,
        }
    }

    pub(crate) fn note_readers(&mut self, graph: &GraphProto) {
        let names = graph.reads().into_iter();
        self.readers.extend(names.map(str::to_owned));
    }

    /// Whether any node reads a value, or the model gives it out.
    pub(crate) fn is_read(&self, name: &str) -> bool {
        self.readers.contains(name)
    }

    pub(crate) fn set_constant(&mut self, name: &str, value: Constant) {
        self.values.insert(name.to_owned(), Value::Constant(value));
    }

    pub(crate) fn set_view(&mut self, name: &str, view: View) {
        self.values.insert(name.to_owned(), Value::View(view));
    }

    /// Gives a value a second name.
    pub(crate) fn set_same(&mut self, name: &str, as_value: &str) -> Result<(), Refusal> {
        let value = self.value(as_value)?.clone();
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    pub(crate) fn value(&self, name: &str) -> Result<&Value, Refusal> {
        let known = self.values.get(name);
        known.ok_or_else(|| format!("nothing computes '{name}' before it is read"))
    }

    /// A value as a tensor of the graph: a constant becomes one.
    pub(crate) fn view(&mut self, name: &str) -> Result<View, Refusal> {
        match self.value(name)?.clone() {
            Value::View(view) => Ok(view),
            Value::Constant(constant) => {
                let tensor = self.net.constant(name, &constant)?;
                let view = View::plain(tensor, constant.dims());
                self.set_view(name, view.clone());
                Ok(view)
            }
        }
    }

    /// Input `index` as a tensor.
    pub(crate) fn input(&mut self, node: OnnxNode<'_>, index: usize) -> Result<View, Refusal> {
        let name = node
            .input(index)
            .ok_or_else(|| format!("input {index} is missing"))?;
        self.view(name)
    }

    /// Input `index` where it is a constant, `None` where it is left out.
    pub(crate) fn constant(
        &self,
        node: OnnxNode<'_>,
        index: usize,
        what: &str,
    ) -> Result<Option<Constant>, Refusal> {
        let Some(name) = node.input(index) else {
            return Ok(None);
        };
        match self.value(name)? {
            Value::Constant(constant) => Ok(Some(constant.clone())),
            Value::View(_) => Err(format!(
                "its {what} ('{name}') are computed by the network: they must be constants; fold them when exporting"
            )),
        }
    }

    /// Input `index`, a list of integers: the constant, or the attribute of older versions.
    pub(crate) fn int_list(
        &self,
        node: OnnxNode<'_>,
        index: usize,
        attribute: &str,
    ) -> Result<Option<Vec<i64>>, Refusal> {
        match self.constant(node, index, attribute)? {
            Some(constant) => constant.to_ints().map(Some),
            None => Ok(node.ints(attribute).map(<[i64]>::to_vec)),
        }
    }

    /// Names the output of a node.
    pub(crate) fn set_output(&mut self, node: OnnxNode<'_>, view: View) {
        self.set_view(node.output(0), view);
    }

    /// Converts one node.
    pub(crate) fn node(&mut self, node: OnnxNode<'_>) -> Result<(), Refusal> {
        self.net.enter(node.output(0));
        if node.op() == "Constant" {
            return shape::constant(self, node);
        }
        if let Some(inputs) = self.constants(node)
            && let Some(outputs) = fold::evaluate(node, &inputs)?
        {
            for (name, value) in node.outputs().zip(outputs) {
                self.set_constant(name, value);
            }
            return Ok(());
        }
        let handler = handler(node.op()).ok_or_else(|| "it has no counterpart".to_owned())?;
        handler(self, node)
    }

    /// All inputs of a node, where all are constants and there is one.
    fn constants(&self, node: OnnxNode<'_>) -> Option<Vec<Option<Constant>>> {
        let inputs = node
            .inputs()
            .map(|name| match (name, self.values.get(name)) {
                ("", _) => Some(None),
                (_, Some(Value::Constant(constant))) => Some(Some(constant.clone())),
                _ => None,
            });
        let inputs: Option<Vec<_>> = inputs.collect();
        inputs.filter(|inputs| !inputs.is_empty())
    }

    /// Converts several nodes that are one operator here.
    pub(crate) fn pattern(&mut self, node: OnnxNode<'_>, pattern: &Pattern) -> Result<(), Refusal> {
        self.net.enter(node.output(0));
        match pattern {
            Pattern::Gelu { input } => {
                self.map(node, input, Op::Gelu(GeluOptions { approximate: false }))
            }
            Pattern::HardSwish { input } => {
                self.map(node, input, Op::HardSwish(HardSwishOptions {}))
            }
            Pattern::Dense {
                input,
                weights,
                bias,
            } => dense::with_bias(self, node, input, weights, bias),
        }
    }

    /// An operator on each element.
    pub(crate) fn map(&mut self, node: OnnxNode<'_>, input: &str, op: Op) -> Result<(), Refusal> {
        let view = self.view(input)?;
        let output = self.net.node(op, &[view.tensor])?;
        self.set_output(node, view.of(output));
        Ok(())
    }

    /// A value stored with one slot for every axis of the file, in the order in which it lies best.
    pub(crate) fn settled(&mut self, view: &View) -> Result<(TensorId, Vec<Slot>), Refusal> {
        let slots = self.net.slots_of(view);
        Ok((self.net.arrange(view, &slots)?, slots))
    }

    /// Reads a constant of an attribute.
    pub(crate) fn attribute_constant(
        &self,
        tensor: &crate::proto::TensorProto,
    ) -> Result<Constant, Refusal> {
        constant::read(tensor, self.folder).map_err(|e| e.to_string())
    }
}

/// The slot in which an axis of the file is stored.
pub(crate) fn place(slots: &[Slot], axis: usize) -> Result<usize, Refusal> {
    let place = slots.iter().position(|&slot| slot == Some(axis));
    place.ok_or_else(|| format!("axis {axis} has no place in the tensor"))
}
