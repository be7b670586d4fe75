//! What a model needs, found out in an arena that is too small for it.

use larun_kernels::Registration;

use crate::activations::{ALIGNMENT, Notes, Owner, needed};
use crate::error::{ArenaTooSmall, LoadError};
use crate::layout::TENSOR_WORDS;
use crate::load::Stop;
use crate::source::Source;

/// Words of stack to work in where the arena has fewer: enough for some eighty values and scratch buffers.
const STACK_WORDS: usize = 384;

/// The error that names the size needed: exact, unless neither the arena nor a small piece of stack holds the
/// planner's notes.
#[cold]
#[inline(never)]
pub(crate) fn too_small<'m>(
    source: &Source<'m>,
    kernels: &[Registration],
    words: &mut [u32],
) -> LoadError<'m> {
    let given = size_of_val(words);
    let mut stack = [0; STACK_WORDS];
    let notes = match words.len() < STACK_WORDS {
        true => &mut stack[..],
        false => words,
    };
    let (needed, exact) = match measure(source, kernels, notes) {
        Ok(needed) => (needed, true),
        Err(Stop::Refused(error)) => return error,
        Err(Stop::OutOfMemory) => match at_least(source, kernels) {
            Ok(needed) => (needed, false),
            Err(error) => return error,
        },
    };
    LoadError::Arena(ArenaTooSmall {
        needed,
        given,
        exact,
    })
}

/// Bytes of the smallest arena in which the model loads and runs.
fn measure<'m>(
    source: &Source<'m>,
    kernels: &[Registration],
    words: &mut [u32],
) -> Result<usize, Stop<'m>> {
    let mut notes = Notes::new(words, source.tensors).ok_or(Stop::OutOfMemory)?;
    for tensor in 0..source.tensors {
        if source.place(tensor)?.is_constant() {
            notes.set_constant(tensor);
        }
    }
    notes.find_lifetimes(source)?;
    for tensor in 0..source.tensors {
        let len = source.place(tensor)?.len();
        if len > 0 && notes.is_alive(tensor) {
            notes.push(Owner::Tensor(tensor), len)?;
        }
    }
    let persistent_words = prepare_all(source, kernels, |node, scratch| {
        notes
            .push(Owner::Scratch(node), scratch)
            .map_err(Stop::from)
    })?;
    let activation_bytes = notes.plan().map_err(LoadError::Plan)?;
    Ok(needed(persistent_words, notes.words(), activation_bytes))
}

/// Bytes without which the model cannot load: what is persistent, and what one node needs at once.
fn at_least<'m>(source: &Source<'m>, kernels: &[Registration]) -> Result<usize, LoadError<'m>> {
    let persistent_words = prepare_all(source, kernels, |_, _| Ok::<_, LoadError<'m>>(()))?;
    let most = (0..source.nodes).map(|node| alive_at(source, node)).max();
    Ok(needed(persistent_words, source.tensors, most.unwrap_or(0)))
}

/// Prepares every node without memory, and tells `each` of every scratch buffer; returns the persistent words.
fn prepare_all<'m, E: From<LoadError<'m>>>(
    source: &Source<'m>,
    kernels: &[Registration],
    mut each: impl FnMut(usize, u32) -> Result<(), E>,
) -> Result<usize, E> {
    let mut words = source.tensors * TENSOR_WORDS + source.nodes;
    for node in 0..source.nodes {
        let needs = source.prepare_node(kernels, node, &mut [])?;
        words = source.checked_words(words.saturating_add(needs.words))?;
        if needs.scratch > 0 {
            each(node, needs.scratch)?;
        }
    }
    Ok(words)
}

/// Bytes of the operands of a node: a lower bound of what is alive there.
fn alive_at(source: &Source<'_>, node: usize) -> usize {
    let Ok(operator) = source.subgraph.operator(node) else {
        return 0;
    };
    let lists = [operator.inputs(), operator.outputs()];
    let numbers = lists.into_iter().flatten().flat_map(|list| list.iter());
    let places = numbers.filter_map(|number| source.place(usize::try_from(number).ok()?).ok());
    places
        .filter(|place| !place.is_constant())
        .fold(0, |bytes, place| {
            bytes.saturating_add((place.len() as usize).next_multiple_of(ALIGNMENT))
        })
}
