//! A model as source code.

use std::collections::BTreeSet;

use crate::{Error, Model};

/// The model as a C header in the form that Arduino sketches include: `NAME_data[]` and `NAME_data_len`.
///
/// # Errors
/// When the model cannot be read or is too large for C's `int`.
pub fn c_header(model: &Model, name: &str) -> Result<String, Error> {
    let graph = model.graph()?;
    let nodes = graph.main().map_or(&[][..], |subgraph| &subgraph.nodes);
    let operators: BTreeSet<String> = nodes.iter().map(larun_graph::Node::op_name).collect();
    let options = larun_codegen::HeaderOptions {
        description: graph.description.clone().unwrap_or_default(),
        operators: operators.into_iter().collect(),
        arena_bytes: model.arena().ok().map(|arena| arena.len() as u64),
    };
    Ok(larun_codegen::c_header(name, model.bytes(), &options)?)
}
