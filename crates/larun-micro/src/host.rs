//! For programs with an allocator: aligned copies of models, and arenas of the size that a model needs.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use larun_arena::Buffer;
use larun_kernels::Registration;

use crate::Interpreter;
use crate::Options;
pub use crate::activations::Owner;
use crate::error::LoadError;
#[cfg(feature = "processors")]
pub use crate::linked::linked_ops;
use crate::load::{Request, load};
pub use crate::prepared::{Prepared, PreparedNode, PreparedSubgraph, PreparedTensor};

/// Bytes on the heap at an address that is a multiple of 16.
#[derive(Clone, Debug, Default)]
pub struct AlignedBytes {
    /// The memory, in units whose alignment it takes over.
    blocks: Vec<Block>,
    len: usize,
}

type Block = u128;

impl AlignedBytes {
    /// So many zeros.
    pub fn zeroed(len: usize) -> Self {
        Self {
            blocks: alloc::vec![0; len.div_ceil(size_of::<Block>())],
            len,
        }
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.blocks);
        bytes.get(..self.len).unwrap_or_default()
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.blocks);
        bytes.get_mut(..self.len).unwrap_or_default()
    }
}

/// Bytes of the largest arena that [`arena_for`] makes: a few damaged bytes in a file can ask for any.
pub const MAX_ARENA: usize = 256 << 20;

/// The smallest arena in which a model loads and runs.
///
/// # Errors
/// When the model cannot be loaded whatever the arena, or needs one of more than [`MAX_ARENA`] bytes.
pub fn arena_for<'m>(
    model: &'m [u8],
    kernels: &'m [Registration],
) -> Result<AlignedBytes, LoadError<'m>> {
    arena_with(model, kernels, Options::default())
}

/// As [`arena_for`], with other options than the default ones.
///
/// # Errors
/// As [`arena_for`].
pub fn arena_with<'m>(
    model: &'m [u8],
    kernels: &'m [Registration],
    options: Options,
) -> Result<AlignedBytes, LoadError<'m>> {
    let mut arena = AlignedBytes::zeroed(0);
    loop {
        let needed = match Interpreter::with_options(model, kernels, &mut arena, options) {
            Ok(interpreter) => interpreter.arena_bytes(),
            // A lower bound at first, then the exact size: each turn asks for more than the last.
            Err(LoadError::Arena(error))
                if error.needed > error.given && error.needed <= MAX_ARENA =>
            {
                match error.exact {
                    true => error.needed,
                    false => error.needed.saturating_mul(2).min(MAX_ARENA),
                }
            }
            Err(error) => return Err(error),
        };
        if needed == arena.len() {
            return Ok(arena);
        }
        arena = AlignedBytes::zeroed(needed);
    }
}

/// A buffer of the activations, with the place that the interpreter gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedBuffer {
    /// What it is for.
    pub owner: Owner,
    /// Its size in bytes, and the first and last node at which it is alive.
    pub buffer: Buffer,
    /// Its offset in the activations, in bytes.
    pub offset: u32,
}

/// Where the interpreter puts each value and scratch buffer of a model's main subgraph. The other subgraphs lie in the
/// scratch memory of the nodes that run them.
///
/// # Errors
/// When the model cannot be loaded.
pub fn memory_plan<'m>(
    model: &'m [u8],
    kernels: &'m [Registration],
) -> Result<Vec<PlannedBuffer>, LoadError<'m>> {
    let mut arena = arena_for(model, kernels)?;
    let request = Request::new(model, kernels, Options::default())?;
    let words = bytemuck::try_cast_slice_mut(&mut arena).unwrap_or_default();
    let mut plan = Vec::new();
    load(&request, words, &mut |owner, buffer, offset| {
        plan.push(PlannedBuffer {
            owner,
            buffer,
            offset,
        });
    })?;
    Ok(plan)
}
