//! Loading: subgraph after subgraph, each after those that it runs.
//!
//! The activations of the subgraphs that a node runs are its scratch memory, which the planner places like any other.
//! So they overlap nothing that is alive there. A model in which a subgraph leads back to itself is refused.

use core::cell::Cell;

use larun_arena::Buffer;
use larun_kernels::{Processor, Registration, Rounding};
use larun_ops::view::{Model, ViewError};

use crate::activations::{ALIGNMENT, Owner};
use crate::encoded::ENCODED;
use crate::error::LoadError;
use crate::layout::{DIRECTORY_WORDS, Listed};
use crate::measure::too_small;
use crate::options::Options;
use crate::source::{Source, Spared};
use crate::workspace::{NoRoom, Workspace};

/// Whether a model's own memory plan is followed: without a planner there is no other.
pub(crate) const OFFLINE_PLANS: bool =
    cfg!(any(feature = "offline-plans", not(feature = "planner")));
/// How deep subgraphs may run each other, the main one included.
pub(crate) const MOST_DEPTH: usize = 16;
/// Whether errors say what was found, and how much memory a model needs for which there is too little.
pub(crate) const EXPLAIN: bool = cfg!(feature = "explain");
/// Whether nodes may run subgraphs or use resource variables.
pub(crate) const SUBGRAPHS: bool = cfg!(feature = "subgraphs");
/// Whether anything is kept from one inference to the next.
pub(crate) const STATE: bool = cfg!(feature = "state");
/// Whether nodes are looked at before they are loaded.
pub(crate) const LOOKS_AHEAD: bool = SUBGRAPHS || ENCODED;
/// Words that are kept of a subgraph that waits for another.
pub(crate) const FRAME_WORDS: usize = 3;
/// Alignment of what is kept from one inference to the next: that of the largest elements.
pub(crate) const STATE_ALIGNMENT: usize = 8;

/// What to load, and with what.
pub(crate) struct Request<'m> {
    pub(crate) model: Model<'m>,
    pub(crate) kernels: &'m [Registration],
    pub(crate) rounding: Rounding,
    pub(crate) processor: Processor,
    /// Whether nodes may read values as an operator keeps them encoded.
    pub(crate) reads_encoded: bool,
    /// What was found wrong, where that stopped the loading.
    fault: Cell<LoadError<'m>>,
}

impl<'m> Request<'m> {
    pub(crate) fn new(
        model: &'m [u8],
        kernels: &'m [Registration],
        options: Options,
    ) -> Result<Self, ViewError> {
        Ok(Self {
            model: Model::new(model)?,
            kernels,
            rounding: options.rounding,
            processor: options.processor,
            reads_encoded: options.reads_encoded,
            fault: Cell::new(LoadError::NoSubgraph),
        })
    }

    /// Keeps what is wrong, and stops.
    #[cold]
    #[inline(never)]
    pub(crate) fn stop(&self, error: LoadError<'m>) -> Stop {
        self.fault.set(error);
        Stop::Refused
    }

    /// What was found wrong.
    pub(crate) fn fault(&self) -> LoadError<'m> {
        self.fault.get()
    }

    /// A part of the file, where it is not damaged.
    #[inline]
    pub(crate) fn view<T>(&self, part: Result<T, ViewError>) -> Result<T, Stop> {
        part.map_err(|error| self.damaged(error))
    }

    #[cold]
    #[inline(never)]
    fn damaged(&self, error: ViewError) -> Stop {
        self.stop(LoadError::View(error))
    }
}

/// What loading worked out, beside the words in the arena.
#[derive(Clone, Copy)]
pub(crate) struct Loaded {
    /// Words of tables and records.
    pub(crate) words: usize,
    /// Words behind them for subgraphs that wait for others.
    pub(crate) frame_words: usize,
    /// Bytes behind those that are kept from one inference to the next.
    pub(crate) state_bytes: usize,
    /// Bytes of activations.
    pub(crate) activation_bytes: usize,
    /// How many subgraphs the directory has.
    pub(crate) directory: usize,
    /// Where the table of the main subgraph begins.
    pub(crate) main: usize,
    /// The link to the first resource variable.
    pub(crate) resources: usize,
    /// Where the activations begin, in bytes.
    pub(crate) activations_start: usize,
    /// Bytes of the smallest arena in which the model loads and runs.
    pub(crate) needed: usize,
}

impl Loaded {
    /// Where what is kept begins, in bytes.
    pub(crate) fn state_start(&self) -> usize {
        let words = self.words.saturating_add(self.frame_words);
        aligned(words.saturating_mul(size_of::<u32>()), STATE_ALIGNMENT)
    }

    /// The same with what follows from the rest, given the words that loading needs, notes included.
    fn completed(self, loading_words: usize) -> Self {
        let state_end = self.state_start().saturating_add(self.state_bytes);
        let activations_start = aligned(state_end, ALIGNMENT);
        let needed = activations_start.saturating_add(self.activation_bytes);
        Self {
            activations_start,
            needed: needed.max(loading_words.saturating_mul(size_of::<u32>())),
            ..self
        }
    }
}

fn aligned(bytes: usize, alignment: usize) -> usize {
    let next = bytes.checked_next_multiple_of(alignment);
    next.unwrap_or(usize::MAX)
}

/// Loads a model into `words`, an arena that is aligned. Calls `each` with every buffer of the main subgraph's
/// activations and its offset.
pub(crate) fn load<'m>(
    request: &Request<'m>,
    words: &mut [u32],
    each: &mut Each<'_>,
) -> Result<Loaded, LoadError<'m>> {
    let room = size_of_val(words);
    let mut loader = Loader::new(request, Workspace::new(&mut *words, true));
    match loader.load(each) {
        Ok(loaded) if loaded.needed <= room => Ok(loaded),
        Ok(loaded) => Err(LoadError::too_small(loaded.needed, room, true)),
        Err(Stop::OutOfMemory) if EXPLAIN => Err(too_small(request, words)),
        Err(Stop::OutOfMemory) => {
            let needed = loader.work.needed().saturating_mul(size_of::<u32>());
            Err(LoadError::too_small(needed, room, false))
        }
        Err(Stop::Refused) => Err(request.fault()),
    }
}

/// Why loading ended early: small, so that results travel in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Something is wrong; the [`Request`] keeps what.
    Refused,
    OutOfMemory,
}

impl From<NoRoom> for Stop {
    fn from(_: NoRoom) -> Self {
        Self::OutOfMemory
    }
}

/// Told of every buffer of the main subgraph's activations.
pub(crate) type Each<'e> = dyn FnMut(Owner, Buffer, u32) + 'e;

/// A model half loaded.
pub(crate) struct Loader<'r, 'm, 'w> {
    pub(crate) request: &'r Request<'m>,
    pub(crate) work: Workspace<'w>,
    pub(crate) spared: Spared,
    /// How many subgraphs the directory has.
    directory: usize,
    /// Bytes that are kept from one inference to the next, so far.
    pub(crate) state_bytes: usize,
    pub(crate) resources: Resources,
}

/// The resource variables so far: links to the first and the last, and their number.
#[derive(Clone, Copy, Default)]
pub(crate) struct Resources {
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) count: u16,
}

impl<'r, 'm, 'w> Loader<'r, 'm, 'w> {
    pub(crate) fn new(request: &'r Request<'m>, work: Workspace<'w>) -> Self {
        Self {
            request,
            work,
            spared: Spared::of(&request.model),
            directory: 0,
            state_bytes: 0,
            resources: Resources::default(),
        }
    }

    /// Loads the main subgraph and all that it leads to.
    pub(crate) fn load(&mut self, each: &mut Each<'_>) -> Result<Loaded, Stop> {
        let count = self.request.model.subgraph_count();
        if count == 0 {
            return Err(self.request.stop(LoadError::NoSubgraph));
        }
        if count > 1 && SUBGRAPHS {
            self.work.store(count.saturating_mul(DIRECTORY_WORDS))?;
            self.directory = count;
        }
        if !SUBGRAPHS {
            let source = Source::new(self.request, 0)?;
            self.spared.spend(&source)?;
            let listed = self.load_subgraph(&source, each)?;
            return Ok(self.loaded(&listed));
        }
        let mut path = Path::default();
        path.push(0);
        loop {
            let (number, node) = path.last();
            let source = Source::new(self.request, number)?;
            if path.is_new() {
                self.spared.spend(&source)?;
            }
            if let Some((node, callee)) = self.next_call(&source, node)? {
                path.wait_at(node);
                if path.contains(callee) {
                    return Err(source.recursion(node, callee));
                }
                if path.len == MOST_DEPTH {
                    return Err(source.too_deep(node));
                }
                path.push(callee);
                continue;
            }
            let listed = self.load_subgraph(&source, each)?;
            path.pop();
            if path.len == 0 {
                return Ok(self.loaded(&listed));
            }
            self.work.write(number * DIRECTORY_WORDS, &listed.words());
        }
    }

    fn loaded(&self, main: &Listed) -> Loaded {
        Loaded {
            words: self.work.kept(),
            frame_words: main.levels.saturating_sub(1) * FRAME_WORDS,
            state_bytes: self.state_bytes,
            activation_bytes: main.activations as usize,
            directory: self.directory,
            main: main.start,
            resources: self.resources.first,
            activations_start: 0,
            needed: 0,
        }
        .completed(self.work.needed())
    }

    /// The next node, from `first` on, that runs a subgraph which is not loaded yet, and that subgraph.
    fn next_call(
        &self,
        source: &Source<'_, 'm>,
        first: usize,
    ) -> Result<Option<(usize, usize)>, Stop> {
        for index in first..source.nodes {
            let node = source.node(index)?;
            if node.kernel.control.is_none() {
                continue;
            }
            let plan = node.prepare(&mut [], None)?;
            for callee in plan.calls().into_iter().flatten() {
                let callee = callee as usize;
                if self.listed(callee).is_none() {
                    return Ok(Some((index, callee)));
                }
            }
        }
        Ok(None)
    }

    /// A subgraph, other than the main one, that was loaded.
    pub(crate) fn listed(&self, subgraph: usize) -> Option<Listed> {
        match subgraph < self.directory {
            true => Listed::read(self.work.words(), subgraph),
            false => None,
        }
    }
}

/// The subgraphs from the main one to the one that is being loaded, each with the node that runs the next.
#[derive(Default)]
struct Path {
    steps: [(u16, u16); MOST_DEPTH],
    len: usize,
    /// Whether nothing was looked at of the last one.
    new: bool,
}

impl Path {
    fn steps(&mut self) -> &mut [(u16, u16)] {
        self.steps.get_mut(..self.len).unwrap_or_default()
    }

    /// Adds a subgraph. Their numbers, and those of nodes, fit 16 bits.
    fn push(&mut self, subgraph: usize) {
        if let Some(step) = self.steps.get_mut(self.len) {
            *step = (subgraph as u16, 0);
            self.len += 1;
            self.new = true;
        }
    }

    /// Whether the last subgraph is looked at for the first time; from then on it is not new.
    fn is_new(&mut self) -> bool {
        core::mem::take(&mut self.new)
    }

    fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    fn last(&mut self) -> (usize, usize) {
        let last = self.steps().last().copied().unwrap_or_default();
        (last.0.into(), last.1.into())
    }

    fn wait_at(&mut self, node: usize) {
        if let Some(last) = self.steps().last_mut() {
            last.1 = node as u16;
        }
    }

    fn contains(&mut self, subgraph: usize) -> bool {
        let mut numbers = self.steps().iter().map(|&(number, _)| number);
        numbers.any(|number| usize::from(number) == subgraph)
    }
}
