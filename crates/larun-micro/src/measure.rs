//! What a model needs, found out in an arena that is too small for it.

use crate::error::LoadError;
use crate::load::{Loader, Request, Stop};
use crate::workspace::Workspace;

/// Words of stack to work in where the arena has fewer: enough for some eighty values and scratch buffers.
const STACK_WORDS: usize = 384;

/// The error that names the size needed: exact, unless neither the arena nor a small piece of stack holds the
/// planner's notes.
#[cold]
#[inline(never)]
pub(crate) fn too_small<'m>(request: &Request<'m>, words: &mut [u32]) -> LoadError<'m> {
    let given = size_of_val(words);
    let mut stack = [0; STACK_WORDS];
    let words = match words.len() < STACK_WORDS {
        true => &mut stack[..],
        false => words,
    };
    let mut loader = Loader::new(request, Workspace::new(words, false));
    match loader.load(&mut |_, _, _| {}) {
        Ok(loaded) => LoadError::too_small(loaded.needed, given, true),
        Err(Stop::Refused) => request.fault(),
        Err(Stop::OutOfMemory) => {
            let needed = loader.work.needed().saturating_mul(size_of::<u32>());
            LoadError::too_small(needed, given, false)
        }
    }
}
