//! Where the elements of operators that only move them come from: asked of the interpreter's own kernel, which is run on the
//! numbers of the elements in the place of their values.

use std::sync::Arc;

use larun_graph::ops::ElementType;
use larun_graph::{Graph, GraphError, Node, NodeId, Subgraph, TensorId};
use larun_passes::run_alone;

use crate::TrainError;
use crate::ops::Moves;

/// Floats count exactly up to here.
const MOST_ELEMENTS: usize = 1 << 24;

/// One operator for each output of a node whose operands `moved` are moved; all others must be constants.
pub(super) fn moves(
    graph: &Graph,
    subgraph: &Subgraph,
    node: &Node,
    moved: &[usize],
) -> Result<Vec<Moves>, TrainError> {
    let mut alone = Alone::new(graph, subgraph);
    let mut own = node.clone();
    let mut lengths = Vec::new();
    let mut numbers = Vec::new();
    let mut next = 1;
    for (index, input) in own.inputs.iter_mut().enumerate() {
        let Some(id) = *input else { continue };
        let is_moved = moved.contains(&index);
        *input = Some(alone.tensor(id, is_moved)?);
        if is_moved {
            let length = alone.length(id)?;
            let of_input = (next..next + length).flat_map(|number| (number as f32).to_le_bytes());
            numbers.push(of_input.collect::<Vec<u8>>());
            lengths.push(length);
            next += length;
        }
    }
    if next > MOST_ELEMENTS {
        return Err(TrainError::Data(format!(
            "{} moves {next} elements, more than {MOST_ELEMENTS}",
            node.op_name()
        )));
    }
    let outputs = own.outputs.clone();
    for output in &mut own.outputs {
        *output = alone.tensor(*output, false)?;
    }
    let name = node.kind().map_or("?", |kind| kind.info().name);
    let own_outputs = own.outputs.clone();
    let single = alone.finish(own, own_outputs);
    let numbers: Vec<&[u8]> = numbers.iter().map(Vec::as_slice).collect();
    let found = run_alone(&single, NodeId::new(0), &numbers)?;
    let operators = found.iter().zip(outputs).map(|(bytes, output)| {
        let floats = bytes
            .chunks_exact(4)
            .filter_map(|word| word.try_into().ok());
        let from = floats.map(|word| match f32::from_le_bytes(word) as u32 {
            0 => Moves::NOTHING,
            number => number - 1,
        });
        Ok(Moves {
            name,
            inputs: lengths.clone(),
            shape: subgraph
                .tensor(output)
                .map_or_else(Vec::new, |tensor| tensor.shape.dims().to_vec()),
            from: from.collect::<Arc<[u32]>>(),
        })
    });
    operators.collect()
}

/// A graph of one node in the making.
struct Alone<'g> {
    graph: &'g Graph,
    subgraph: &'g Subgraph,
    alone: Graph,
    only: Subgraph,
}

impl<'g> Alone<'g> {
    fn new(graph: &'g Graph, subgraph: &'g Subgraph) -> Self {
        let mut alone = Graph::default();
        alone.add_buffer(Vec::new());
        Self {
            graph,
            subgraph,
            alone,
            only: Subgraph {
                debug_metadata: -1,
                ..Subgraph::default()
            },
        }
    }

    /// A copy of a tensor, without its values where it is an input.
    fn tensor(&mut self, id: TensorId, is_input: bool) -> Result<TensorId, TrainError> {
        let found = self.subgraph.tensor(id);
        let mut tensor = found.ok_or(GraphError::NoSubgraph)?.clone();
        tensor.shape_signature = Vec::new();
        tensor.buffer = match self.graph.data(&tensor) {
            data if !data.is_empty() && !is_input => self.alone.add_buffer(data.to_vec()),
            _ => Default::default(),
        };
        if is_input {
            tensor.element_type = ElementType::Float32;
        }
        let copy = self.only.add_tensor(tensor);
        if is_input {
            self.only.inputs.push(copy);
        }
        Ok(copy)
    }

    fn length(&self, id: TensorId) -> Result<usize, TrainError> {
        let found = self.subgraph.tensor(id).and_then(|t| t.shape.elements());
        Ok(found.ok_or(GraphError::NoSubgraph)?)
    }

    fn finish(self, mut node: Node, outputs: Vec<TensorId>) -> Graph {
        let Self {
            mut alone,
            mut only,
            ..
        } = self;
        node.debug_metadata = -1;
        only.outputs = outputs;
        only.nodes.push(node);
        alone.subgraphs.push(only);
        alone
    }
}
