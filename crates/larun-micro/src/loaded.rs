//! A loaded model without its activations, so that several models can share those.

use larun_kernels::Registration;
use larun_ops::view::{Model, ViewError};

use crate::activations::ALIGNMENT;
use crate::error::{ArenaTooSmall, LoadError};
use crate::interpreter::Interpreter;
use crate::layout::{Home, Tables};
use crate::load::{Loaded as Extent, Request, STATE, SUBGRAPHS, load};
use crate::node::{UNKNOWN, describe};
use crate::options::Options;

/// A loaded model without memory for its activations.
///
/// Several models can so share one arena: each keeps its own tables, variables and other state, and all use the same
/// activations, one at a time.
///
/// ```
/// use larun_micro::{Arena, Loaded, include_model, ops};
///
/// static MODEL: &[u8] = include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/transit.tflite"));
/// let kernels = ops![Conv2D, MaxPool2D, Reshape, FullyConnected, Softmax];
///
/// let mut arena = Arena::<2048>::new();
/// let (mut first, rest) = Loaded::new(MODEL, kernels, &mut arena)?;
/// let (mut second, activations) = Loaded::new(MODEL, kernels, rest)?;
///
/// for model in [&mut first, &mut second] {
///     let mut interpreter = model.with(activations)?;
///     interpreter.set_input(0, &[0i8; 32])?;
///     interpreter.invoke()?;
///     assert_eq!(interpreter.output::<i8>(0)?.len(), 2);
/// }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Loaded<'m, 'a> {
    /// The file. Views of it are larger, and made again where one is needed.
    pub(crate) file: &'m [u8],
    pub(crate) kernels: &'m [Registration],
    pub(crate) options: Options,
    pub(crate) extent: Extent,
    /// Tables and records.
    pub(crate) words: &'a [u32],
    /// Subgraphs that wait for others.
    pub(crate) frames: &'a mut [u32],
    /// What is kept from one inference to the next.
    pub(crate) state: &'a mut [u8],
    /// Bytes of the smallest arena of this alignment in which the model loads and runs.
    pub(crate) arena_bytes: usize,
}

impl<'m, 'a> Loaded<'m, 'a> {
    /// Loads a model; also gives the rest of the arena, for other models and for activations.
    ///
    /// # Errors
    /// As [`Interpreter::new`]: an arena that cannot hold the activations as well is too small.
    pub fn new(
        model: &'m [u8],
        kernels: &'m [Registration],
        arena: &'a mut [u8],
    ) -> Result<(Self, &'a mut [u8]), LoadError<'m>> {
        Self::with_options(model, kernels, arena, Options::default())
    }

    /// Loads a model with other [`Options`] than the default ones.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(
        model: &'m [u8],
        kernels: &'m [Registration],
        arena: &'a mut [u8],
        options: Options,
    ) -> Result<(Self, &'a mut [u8]), LoadError<'m>> {
        let request = Request::new(model, kernels, options)?;
        let (skipped, arena) = skip_to_aligned(arena);
        let given = arena.len();
        let whole_words = given / size_of::<u32>() * size_of::<u32>();
        let words = arena.get_mut(..whole_words).unwrap_or_default();
        let words = bytemuck::try_cast_slice_mut(words).unwrap_or_default();
        let extent = load(&request, words, &mut |_, _, _| {});
        let extent = extent.map_err(|error| with_skipped(error, skipped))?;

        let corrupt = LoadError::too_small(extent.needed, given, true);
        let parts = split(arena, &extent).ok_or(corrupt)?;
        let mut loaded = Self {
            file: model,
            kernels,
            options,
            extent,
            words: parts.words,
            frames: parts.frames,
            state: parts.state,
            arena_bytes: skipped.saturating_add(extent.needed),
        };
        loaded.reset()?;
        Ok((loaded, parts.rest))
    }

    /// The model with memory for its activations, [`activation_bytes`](Self::activation_bytes) from a multiple of 16 on.
    ///
    /// What the memory held before shows in inputs that are not set.
    ///
    /// # Errors
    /// When there is too little memory.
    pub fn with<'s>(
        &'s mut self,
        activations: &'s mut [u8],
    ) -> Result<Interpreter<'m, 's>, ArenaTooSmall> {
        let given = activations.len();
        let (skipped, activations) = skip_to_aligned(activations);
        let needed = self.extent.activation_bytes;
        let activations = activations.get_mut(..needed).ok_or(ArenaTooSmall {
            needed: needed.saturating_add(skipped),
            given,
            exact: true,
        })?;
        let loaded = Loaded {
            words: self.words,
            frames: &mut *self.frames,
            state: &mut *self.state,
            ..*self
        };
        Ok(Interpreter {
            loaded,
            activations,
            waiting: false,
        })
    }

    /// Clears what the model remembers of earlier inferences: the elements of variables become zero, quantised ones
    /// their zero point, and CALL_ONCE runs again.
    ///
    /// # Errors
    /// Never on a model that loaded.
    pub fn reset(&mut self) -> Result<(), ViewError> {
        if !STATE {
            return Ok(());
        }
        self.state.fill(0);
        for number in 0..self.extent.directory.max(1) {
            self.reset_variables(number)?;
        }
        for resource in self.tables().resources().filter(|_| SUBGRAPHS) {
            if let Some(offset) = resource.offset {
                let place = (offset as usize, resource.len as usize);
                fill(self.state, place, resource.zeros);
            }
        }
        Ok(())
    }

    /// Clears the variable tensors of a subgraph, if it was loaded.
    fn reset_variables(&mut self, number: usize) -> Result<(), ViewError> {
        let Some(table) = self.tables().get(number) else {
            return Ok(());
        };
        let mut tensor = 0;
        while let Some(place) = table.place(tensor) {
            if place.home() == Home::State {
                let zeros = self.zeros(number, tensor)?;
                fill(self.state, (place.offset(), place.len()), zeros);
            }
            tensor += 1;
        }
        Ok(())
    }

    /// What a variable tensor begins with.
    fn zeros(&self, subgraph: usize, tensor: usize) -> Result<u32, ViewError> {
        let model = Model::new(self.file)?;
        let tensor = model.subgraph(subgraph)?.tensor(tensor)?;
        let mut info = UNKNOWN;
        describe(&model, &tensor, &mut info)?;
        Ok(info.zeros())
    }

    /// Bytes of the arena that the model keeps for itself: tables, prepared operators, and state.
    pub fn persistent_bytes(&self) -> usize {
        self.extent.activations_start
    }

    /// Bytes of memory that operators share for their values.
    pub const fn activation_bytes(&self) -> usize {
        self.extent.activation_bytes
    }

    /// Bytes of the smallest arena of this alignment in which the model loads and runs.
    pub const fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    pub(crate) fn tables(&self) -> Tables<'a>
    where
        'm: 'a,
    {
        Tables {
            words: self.words,
            file: self.file,
            directory: self.extent.directory,
            main: self.extent.main,
            resources: self.extent.resources,
        }
    }
}

/// The parts of an arena.
struct Parts<'a> {
    words: &'a [u32],
    frames: &'a mut [u32],
    state: &'a mut [u8],
    rest: &'a mut [u8],
}

fn split<'a>(arena: &'a mut [u8], extent: &Extent) -> Option<Parts<'a>> {
    let (start, end) = (extent.state_start(), extent.activations_start);
    let (kept, rest) = arena.split_at_mut_checked(end)?;
    let (words, state) = kept.split_at_mut_checked(start)?;
    let words: &mut [u32] = bytemuck::try_cast_slice_mut(words).ok()?;
    let (words, frames) = words.split_at_mut_checked(extent.words)?;
    Some(Parts {
        words,
        frames,
        state: state.get_mut(..extent.state_bytes)?,
        rest,
    })
}

/// Memory from the first multiple of 16 on, and how many bytes come before.
fn skip_to_aligned(memory: &mut [u8]) -> (usize, &mut [u8]) {
    let skipped = memory.as_ptr().align_offset(ALIGNMENT).min(memory.len());
    (skipped, memory.get_mut(skipped..).unwrap_or_default())
}

/// The error in terms of the whole arena, whose first bytes were skipped for alignment.
fn with_skipped(error: LoadError<'_>, skipped: usize) -> LoadError<'_> {
    match error {
        LoadError::Arena(arena) => LoadError::too_small(
            arena.needed.saturating_add(skipped),
            arena.given.saturating_add(skipped),
            arena.exact,
        ),
        error => error,
    }
}

/// Fills a part of memory with four bytes again and again.
fn fill(memory: &mut [u8], (at, len): (usize, usize), zeros: u32) {
    let region = memory.get_mut(at..).and_then(|rest| rest.get_mut(..len));
    let zeros = zeros.to_le_bytes().into_iter().cycle();
    for (byte, zero) in region.unwrap_or_default().iter_mut().zip(zeros) {
        *byte = zero;
    }
}
