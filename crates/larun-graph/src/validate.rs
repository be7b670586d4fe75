//! Validation: a graph that passes can be executed, planned and written.

use crate::error::{GraphError, Place};
use crate::graph::{Graph, Node, Subgraph, Tensor};
use crate::ids::{NodeId, TensorId};

impl Graph {
    /// Checks that every id exists, constants have the size of their shapes, operands fit their
    /// operators, declared shapes follow, and every value is computed once, before it is read.
    ///
    /// # Errors
    /// The first thing that is wrong, by index and name.
    pub fn validate(&self) -> Result<(), GraphError> {
        if self.subgraphs.is_empty() {
            return Err(GraphError::NoSubgraph);
        }
        for subgraph in &self.subgraphs {
            self.validate_tensors(subgraph)?;
            validate_ids(subgraph)?;
            self.validate_nodes(subgraph)?;
            self.validate_data_flow(subgraph)?;
        }
        Ok(())
    }

    fn validate_tensors(&self, subgraph: &Subgraph) -> Result<(), GraphError> {
        for (i, tensor) in subgraph.tensors.iter().enumerate() {
            let place = || Place::tensor(subgraph, TensorId::new(i));
            if tensor.buffer.index() >= self.buffers.len().max(1) {
                return Err(GraphError::DanglingBuffer {
                    place: place(),
                    buffer: tensor.buffer.0,
                    count: self.buffers.len(),
                });
            }
            let found = self.data(tensor).len();
            let dense = tensor.sparsity.is_none() && tensor.element_type.bits().is_some();
            if found > 0 && dense && tensor.byte_len() != Some(found) {
                return Err(GraphError::ConstantSize {
                    place: place(),
                    expected: tensor.byte_len(),
                    found,
                });
            }
            if let Err(reason) = check_quantization(tensor) {
                return Err(GraphError::Quantization {
                    place: place(),
                    reason,
                });
            }
        }
        Ok(())
    }

    fn validate_nodes(&self, subgraph: &Subgraph) -> Result<(), GraphError> {
        for (id, node) in subgraph.iter_nodes() {
            validate_operand_count(subgraph, id, node)?;
            for (i, output) in node.outputs.iter().enumerate() {
                let declared = subgraph.tensor(*output).map(|t| t.shape);
                match (self.inferred_shape(subgraph, id, i)?, declared) {
                    (Some(inferred), Some(declared)) if inferred != declared => {
                        return Err(GraphError::DeclaredShape {
                            place: Place::node(subgraph, id),
                            inferred,
                            declared,
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn validate_data_flow(&self, subgraph: &Subgraph) -> Result<(), GraphError> {
        let mut known: Vec<bool> = subgraph
            .tensors
            .iter()
            .map(|t| t.is_variable || self.is_constant(t) || t.shape.elements() == Some(0))
            .collect();
        for input in &subgraph.inputs {
            known[input.index()] = true;
        }
        for (id, node) in subgraph.iter_nodes() {
            let place = || Place::node(subgraph, id);
            if let Some(input) = node.inputs.iter().flatten().find(|t| !known[t.index()]) {
                return Err(GraphError::ReadBeforeWritten {
                    place: place(),
                    tensor: Place::tensor(subgraph, *input),
                });
            }
            for output in &node.outputs {
                if core::mem::replace(&mut known[output.index()], true)
                    && !subgraph.tensors[output.index()].is_variable
                    && subgraph.tensors[output.index()].shape.elements() != Some(0)
                {
                    return Err(GraphError::WrittenTwice {
                        place: place(),
                        tensor: Place::tensor(subgraph, *output),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Every tensor id of ports and nodes exists. What follows may then index by them.
fn validate_ids(subgraph: &Subgraph) -> Result<(), GraphError> {
    let count = subgraph.tensors.len();
    let ports = [("input", &subgraph.inputs), ("output", &subgraph.outputs)];
    for (what, tensors) in ports {
        if let Some(tensor) = tensors.iter().find(|t| t.index() >= count) {
            return Err(GraphError::DanglingPort {
                what,
                tensor: tensor.0,
                count,
            });
        }
    }
    for (id, node) in subgraph.iter_nodes() {
        let inputs = node.inputs.iter().chain(&node.intermediates).flatten();
        if let Some(tensor) = inputs.chain(&node.outputs).find(|t| t.index() >= count) {
            return Err(GraphError::DanglingTensor {
                place: Place::node(subgraph, id),
                tensor: tensor.0,
                count,
            });
        }
    }
    Ok(())
}

fn validate_operand_count(subgraph: &Subgraph, id: NodeId, node: &Node) -> Result<(), GraphError> {
    let Some(kind) = node.kind() else {
        return Ok(());
    };
    let info = kind.info();
    let given = node.inputs.iter().enumerate();
    let missing = given
        .filter(|(i, input)| input.is_none() && info.input(*i).is_some_and(|o| !o.optional))
        .count();
    let (what, found) = match info.accepts_outputs(node.outputs.len()) {
        false => ("outputs", node.outputs.len()),
        true if missing == 0 && info.accepts_inputs(node.inputs.len()) => return Ok(()),
        true => ("inputs", node.inputs.len() - missing),
    };
    Err(GraphError::OperandCount {
        place: Place::node(subgraph, id),
        what,
        found,
    })
}

fn check_quantization(tensor: &Tensor) -> Result<(), &'static str> {
    let Some(quantization) = tensor.quantization.as_ref().filter(|q| !q.is_trivial()) else {
        return Ok(());
    };
    if quantization
        .scale
        .iter()
        .any(|s| !s.is_finite() || *s < 0.0)
    {
        return Err("a scale is negative or not finite");
    }
    let (scales, zero_points) = (quantization.scale.len(), quantization.zero_point.len());
    if zero_points > 1 && zero_points != scales {
        return Err("there are not as many zero points as scales");
    }
    if scales > 1 {
        // Files exist whose one-dimensional biases name the axis of their filter: any axis is
        // taken where the tensor has only one.
        let axis = match tensor.shape.rank() {
            1 => Some(0),
            _ => tensor.shape.axis(quantization.axis),
        };
        let channels = axis.and_then(|axis| tensor.shape.dims().get(axis));
        if channels != Some(&scales) {
            return Err("there are not as many scales as channels along the axis");
        }
    }
    Ok(())
}
