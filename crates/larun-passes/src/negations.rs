//! NEG as a product with -1, which has an INT8 form.

use larun_graph::ops::{ElementType, MulOptions, Op, OpKind};
use larun_graph::{Graph, Node, NodeId};

use crate::{PassError, edit};

/// Replaces NEG of real numbers by MUL with -1: the same to the last bit. No runtime has an integer form of NEG, which Keras
/// writes into layer normalisations.
///
/// # Errors
/// When the graph is not valid.
pub fn negations_to_products(mut graph: Graph) -> Result<Graph, PassError> {
    graph.validate()?;
    let mut minus_one = None;
    for index in 0..edit::main(&graph)?.nodes.len() {
        let id = NodeId::new(index);
        let subgraph = edit::main(&graph)?;
        let node = edit::node(subgraph, id)?;
        let (Some(OpKind::Neg), Some(input)) = (node.kind(), node.input(0)) else {
            continue;
        };
        if edit::tensor(subgraph, input)?.element_type != ElementType::Float32 {
            continue;
        }
        let output = edit::output(subgraph, id)?;
        let factor = match minus_one {
            Some(known) => known,
            None => edit::add_constant(&mut graph, "minus_one", &[1], &[-1.0f32])?,
        };
        minus_one = Some(factor);
        let product = Node::new(Op::Mul(MulOptions::default()), &[input, factor], &[output]);
        *edit::node_mut(edit::main_mut(&mut graph)?, id)? = product;
    }
    graph.validate()?;
    Ok(graph)
}
