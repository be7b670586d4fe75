//! What a program has to link for a model.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use larun_kernels::{ALL, Processor, Way, ways};
use larun_ops::OpKind;
use larun_ops::view::{Model, ViewError};

use crate::Options;
use crate::error::LoadError;
use crate::prepared::{Prepared, PreparedNode, PreparedSubgraph, PreparedTensor};

/// The operators of a model as [`ops!`](crate::ops!) takes them, with the fastest ways of those that have a choice on Armv7E-M, but
/// `without` some: with fewer ways a program is smaller.
///
/// The model's bytes must start at a multiple of 16, as for an interpreter.
///
/// ```
/// use larun_micro::host::{AlignedBytes, linked_ops};
/// use larun_micro::kernels::Way;
///
/// let model = AlignedBytes::copy_of(include_bytes!("../fixtures/transit.tflite"));
/// let ops = linked_ops(&model, &[]).map_err(|error| error.to_string())?;
/// assert_eq!(ops[0], "Conv2D<Narrow>");
/// let ops = linked_ops(&model, &[Way::Narrow]).map_err(|error| error.to_string())?;
/// assert_eq!(ops[0], "Conv2D<Patches>");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Errors
/// When the model cannot be loaded.
pub fn linked_ops<'m>(model: &'m [u8], without: &[Way]) -> Result<Vec<String>, LoadError<'m>> {
    let options = Options {
        processor: Processor::Armv7em,
        ..Options::default()
    };
    let prepared = Prepared::new(model, ALL, options)?;
    let kinds = kinds(&Model::new(model)?)?;
    Ok(kinds
        .into_iter()
        .map(|kind| match names(&prepared, kind, without) {
            Some(ways) => format!("{kind:?}<{}>", ways.join(", ")),
            None => format!("{kind:?}"),
        })
        .collect())
}

/// The operators that occur, each once, in the order of the operator table.
fn kinds(model: &Model<'_>) -> Result<Vec<OpKind>, ViewError> {
    let mut kinds = Vec::new();
    for number in 0..model.subgraph_count() {
        let subgraph = model.subgraph(number)?;
        for index in 0..subgraph.operator_count() {
            let code = subgraph.operator(index)?.code_index()?;
            kinds.extend(model.operator_code(code as usize)?.kind());
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

/// The names of the ways by which the layers of an operator are computed; `None` where one of them has no choice.
fn names(prepared: &Prepared<'_>, kind: OpKind, without: &[Way]) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for subgraph in prepared.subgraphs.iter().flatten() {
        for node in subgraph.nodes.iter().filter(|node| node.kind == kind) {
            all.extend(ways_of(subgraph, node, without)?);
        }
    }
    all.sort_unstable();
    all.dedup();
    (!all.is_empty()).then(|| all.iter().map(|way| format!("{way}")).collect())
}

fn ways_of(
    subgraph: &PreparedSubgraph<'_>,
    node: &PreparedNode,
    without: &[Way],
) -> Option<impl Iterator<Item = Way> + use<>> {
    let bias = match node.inputs.get(2).copied().flatten() {
        None => Some(None),
        Some(tensor) => match subgraph.tensors.get(tensor) {
            Some(PreparedTensor::Constant(bytes)) => bytemuck::try_cast_slice(bytes).ok().map(Some),
            _ => None,
        },
    };
    ways(node.kind, &node.plan, bias, without)
}
