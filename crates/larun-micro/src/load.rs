//! Loading: every tensor checked, every node prepared, the activations planned.
//!
//! While this goes on, the arena beyond the persistent words holds the planner's notes. They are gone once the
//! activations move in.

use larun_arena::Buffer;
use larun_kernels::Registration;
use larun_tflite::view::{Model, Subgraph};

use crate::activations::{NoRoom, Notes, Owner, needed};
use crate::error::LoadError;
use crate::layout::{Place, RECORD_SCRATCH_LEN, RECORD_SCRATCH_OFFSET, TENSOR_WORDS, record_start};
use crate::measure::too_small;
use crate::source::Source;

/// What loading worked out, beside the words in the arena.
pub(crate) struct Loaded {
    /// Words of persistent memory.
    pub(crate) persistent_words: usize,
    /// Bytes of activations.
    pub(crate) activation_bytes: usize,
    /// Bytes of the smallest arena in which the model loads and runs.
    pub(crate) needed: usize,
}

/// Loads the main subgraph into `words`, an arena that is aligned. Calls `each` with every buffer of the activations
/// and its offset.
pub(crate) fn load<'m>(
    model: Model<'m>,
    subgraph: Subgraph<'m>,
    kernels: &[Registration],
    words: &mut [u32],
    each: impl FnMut(Owner, Buffer, u32),
) -> Result<Loaded, LoadError<'m>> {
    let source = Source::new(model, subgraph)?;
    match load_into(&source, kernels, words, each) {
        Ok(loaded) if loaded.needed <= size_of_val(words) => Ok(loaded),
        Ok(_) | Err(Stop::OutOfMemory) => Err(too_small(&source, kernels, words)),
        Err(Stop::Refused(error)) => Err(error),
    }
}

/// Why loading ended early.
pub(crate) enum Stop<'m> {
    Refused(LoadError<'m>),
    OutOfMemory,
}

impl<'m, E: Into<LoadError<'m>>> From<E> for Stop<'m> {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl From<NoRoom> for Stop<'_> {
    fn from(_: NoRoom) -> Self {
        Self::OutOfMemory
    }
}

fn load_into<'m>(
    source: &Source<'m>,
    kernels: &[Registration],
    words: &mut [u32],
    each: impl FnMut(Owner, Buffer, u32),
) -> Result<Loaded, Stop<'m>> {
    let persistent_words = prepare(source, kernels, words)?;
    let (persistent, rest) = words
        .split_at_mut_checked(persistent_words)
        .ok_or(Stop::OutOfMemory)?;
    let mut notes = Notes::new(rest, source.tensors).ok_or(Stop::OutOfMemory)?;
    let activation_bytes = plan(source, persistent, &mut notes, each)?;
    Ok(Loaded {
        persistent_words,
        activation_bytes,
        needed: needed(persistent_words, notes.words(), activation_bytes),
    })
}

/// Fills in the tensor table and the records of all nodes; returns the words used.
fn prepare<'m>(
    source: &Source<'m>,
    kernels: &[Registration],
    words: &mut [u32],
) -> Result<usize, Stop<'m>> {
    for tensor in 0..source.tensors {
        let place = source.place(tensor)?;
        place.write(words, tensor).ok_or(Stop::OutOfMemory)?;
    }
    let mut next = source.tensors * TENSOR_WORDS + source.nodes;
    for index in 0..source.nodes {
        let slot = words.get_mut(source.tensors * TENSOR_WORDS + index);
        *slot.ok_or(Stop::OutOfMemory)? = next as u32;
        let rest = words.get_mut(next..).ok_or(Stop::OutOfMemory)?;
        let used = source.prepare_node(kernels, index, rest)?.words;
        if used > rest.len() {
            return Err(Stop::OutOfMemory);
        }
        next = source.checked_words(next + used)?;
    }
    Ok(next)
}

/// Plans the activations and writes the offsets where they belong; returns the bytes they take.
fn plan<'m>(
    source: &Source<'m>,
    persistent: &mut [u32],
    notes: &mut Notes<'_>,
    mut each: impl FnMut(Owner, Buffer, u32),
) -> Result<usize, Stop<'m>> {
    for tensor in 0..source.tensors {
        if Place::read(persistent, tensor).is_some_and(Place::is_constant) {
            notes.set_constant(tensor);
        }
    }
    notes.find_lifetimes(source)?;
    for tensor in 0..source.tensors {
        match Place::read(persistent, tensor) {
            Some(place) if place.len() > 0 && notes.is_alive(tensor) => {
                notes.push(Owner::Tensor(tensor), place.len())?;
            }
            _ => {}
        }
    }
    for node in 0..source.nodes {
        match scratch_slot(source, persistent, node, RECORD_SCRATCH_LEN) {
            Some(&mut bytes) if bytes > 0 => notes.push(Owner::Scratch(node), bytes)?,
            _ => {}
        }
    }
    let peak = notes.plan().map_err(LoadError::Plan)?;
    for (owner, buffer, offset) in notes.planned() {
        each(owner, buffer, offset);
        let written = match owner {
            Owner::Tensor(tensor) => Place::value(offset, buffer.size).write(persistent, tensor),
            Owner::Scratch(node) => {
                scratch_slot(source, persistent, node, RECORD_SCRATCH_OFFSET).map(|at| *at = offset)
            }
        };
        written.ok_or(Stop::OutOfMemory)?;
    }
    Ok(peak)
}

/// A word of the record of a node.
fn scratch_slot<'w>(
    source: &Source<'_>,
    persistent: &'w mut [u32],
    node: usize,
    word: usize,
) -> Option<&'w mut u32> {
    let start = record_start(persistent, source.tensors, node)?;
    persistent.get_mut(start.checked_add(word)?)
}
