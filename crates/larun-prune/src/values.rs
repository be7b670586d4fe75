//! The real values of a constant, whether it is FLOAT32 or INT8.

use larun_graph::ops::{ElementType, Role};
use larun_graph::{Graph, GraphError, Node, Place, Quantization, Subgraph, Tensor, TensorId};

use crate::PruneError;

/// The subgraph that is pruned: the one that an inference runs.
pub(crate) fn main(graph: &Graph) -> Result<&Subgraph, PruneError> {
    Ok(graph.main().ok_or(GraphError::NoSubgraph)?)
}

/// The same, to change.
pub(crate) fn main_mut(graph: &mut Graph) -> Result<&mut Subgraph, PruneError> {
    Ok(graph.main_mut().ok_or(GraphError::NoSubgraph)?)
}

pub(crate) fn tensor(graph: &Graph, id: TensorId) -> Result<&Tensor, PruneError> {
    let subgraph = main(graph)?;
    let place = || Place::tensor(subgraph, id);
    let found = subgraph.tensor(id);
    Ok(found.ok_or_else(|| GraphError::NoSuchTensor { place: place() })?)
}

pub(crate) fn tensor_mut(graph: &mut Graph, id: TensorId) -> Result<&mut Tensor, PruneError> {
    tensor(graph, id)?;
    let found = main_mut(graph)?.tensor_mut(id);
    Ok(found.ok_or(GraphError::NoSubgraph)?)
}

/// Whether a constant's values can be read as real numbers.
pub(crate) fn is_real(graph: &Graph, id: TensorId) -> bool {
    let tensor = main(graph).ok().and_then(|subgraph| subgraph.tensor(id));
    tensor.is_some_and(|tensor| {
        let known = matches!(
            tensor.element_type,
            ElementType::Float32 | ElementType::Int8
        );
        known && tensor.sparsity.is_none() && graph.is_constant(tensor)
    })
}

/// The values of a constant: those of FLOAT32 as they are, INT8 ones times their scales.
pub(crate) fn real_values(graph: &Graph, id: TensorId) -> Result<Vec<f32>, PruneError> {
    let tensor = tensor(graph, id)?;
    match tensor.element_type {
        ElementType::Float32 => Ok(graph.values::<f32>(id)?),
        ElementType::Int8 => {
            let integers = graph.values::<i8>(id)?;
            let channels = Channels::of(tensor);
            let real = |(index, value): (usize, i8)| {
                let (scale, zero_point) = channels.at(index);
                scale * (i64::from(value) - zero_point) as f32
            };
            Ok(integers.into_iter().enumerate().map(real).collect())
        }
        found => Err(PruneError::Element {
            place: Place::tensor(main(graph)?, id),
            found,
        }),
    }
}

/// Sets the elements that are not kept to zero, in a buffer of the tensor's own.
pub(crate) fn zero_out(graph: &mut Graph, id: TensorId, keep: &[bool]) -> Result<(), PruneError> {
    let found = tensor(graph, id)?.shape.elements().unwrap_or(0);
    if keep.len() != found {
        return Err(PruneError::Length {
            what: "a mask",
            expected: found,
            found: keep.len(),
        });
    }
    match tensor(graph, id)?.element_type {
        ElementType::Int8 => {
            let channels = Channels::of(tensor(graph, id)?);
            let mut values = graph.values::<i8>(id)?;
            for (index, (value, keep)) in values.iter_mut().zip(keep).enumerate() {
                if !keep {
                    *value = channels.at(index).1 as i8;
                }
            }
            graph.set_values(id, &values)?;
        }
        ElementType::Float32 => {
            let mut values = graph.values::<f32>(id)?;
            for (value, _) in values.iter_mut().zip(keep).filter(|(_, keep)| !**keep) {
                *value = 0.0;
            }
            graph.set_values(id, &values)?;
        }
        found => {
            return Err(PruneError::Element {
                place: Place::tensor(main(graph)?, id),
                found,
            });
        }
    }
    Ok(())
}

/// Scale and zero point of each element of a tensor.
pub(crate) struct Channels<'t> {
    quantization: Option<&'t Quantization>,
    /// Elements from one channel to the next, and channels.
    run: usize,
    count: usize,
}

impl<'t> Channels<'t> {
    pub(crate) fn of(tensor: &'t Tensor) -> Self {
        let quantization = tensor.quantization.as_ref().filter(|q| !q.is_trivial());
        let count = quantization.map_or(1, |q| q.scale.len()).max(1);
        let axis = quantization.and_then(|q| tensor.shape.axis(q.axis));
        let inner = axis.and_then(|axis| tensor.shape.dims().get(axis + 1..));
        Self {
            quantization,
            run: inner.map_or(1, |dims| dims.iter().product()).max(1),
            count,
        }
    }

    pub(crate) fn at(&self, element: usize) -> (f32, i64) {
        let channel = element / self.run % self.count;
        let quantization = self.quantization;
        let scale = quantization.and_then(|q| q.scale.get(channel));
        let zero_points = quantization.map_or(&[][..], |q| &q.zero_point);
        let zero_point = zero_points.get(channel).or(zero_points.first());
        (
            scale.copied().unwrap_or(1.0),
            zero_point.copied().unwrap_or(0),
        )
    }
}

/// The trained weights of a node: constants whose role in the operator table is that of weights.
pub(crate) fn weights_of<'g>(
    graph: &'g Graph,
    node: &'g Node,
) -> impl Iterator<Item = TensorId> + 'g {
    let info = node.kind().map(|kind| kind.info());
    let operands = node.inputs.iter().enumerate();
    operands.filter_map(move |(index, input)| {
        let (tensor, role) = ((*input)?, info?.input(index)?.role);
        let is_weights = matches!(role, Role::Weights { .. }) && is_real(graph, tensor);
        is_weights.then_some(tensor)
    })
}
