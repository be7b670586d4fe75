//! How operators that run subgraphs take part: step by step, so that an interpreter needs no recursion.
//!
//! Such an operator has a [`Step`] beside its `prepare`. The interpreter calls it with step 0, runs the subgraph that it
//! asks for, calls it with step 1, and so on until it is done. The memory of the subgraph lies in the operator's scratch
//! memory, so the ports of both are places in one arena.

use crate::{InvokeError, Locate, Location, Memory, PlanReader, Site, check_len};

/// What an operator that runs subgraphs does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It has the subgraph of this number run, and is asked again.
    Call(u32),
    /// It has its results.
    Done,
}

/// The next step of an operator that runs subgraphs: its number, from 0 on, the node's plan, and the memory.
pub type Step = fn(u32, PlanReader<'_>, &mut ControlIo<'_>) -> Result<Next, InvokeError>;

/// Says where the inputs and outputs of subgraphs lie.
pub trait Subgraphs {
    /// Input `index` of a subgraph.
    fn input(&self, subgraph: u32, index: usize) -> Location<'_>;

    /// Output `index` of a subgraph.
    fn output(&self, subgraph: u32, index: usize) -> Location<'_>;
}

/// An input or output of an operator or of a subgraph that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// An input of the operator.
    Input(usize),
    /// An output of the operator.
    Output(usize),
    /// An input of a subgraph: its number, and that of the input.
    SubgraphInput(u32, usize),
    /// An output of a subgraph: its number, and that of the output.
    SubgraphOutput(u32, usize),
}

impl Port {
    const fn memory(self) -> Memory {
        Memory::Operand(match self {
            Self::Input(index) | Self::SubgraphOutput(_, index) => Site::input(index),
            Self::Output(index) | Self::SubgraphInput(_, index) => Site::output(index),
        })
    }
}

/// The memory of an operator that runs subgraphs, and theirs.
pub struct ControlIo<'a> {
    arena: &'a mut [u8],
    state: &'a mut [u8],
    node: &'a dyn Locate,
    subgraphs: &'a dyn Subgraphs,
}

impl<'a> ControlIo<'a> {
    /// The arena, the memory that is kept from one inference to the next, and where in them the operands of the node
    /// and the ports of subgraphs lie.
    pub fn new(
        arena: &'a mut [u8],
        state: &'a mut [u8],
        node: &'a dyn Locate,
        subgraphs: &'a dyn Subgraphs,
    ) -> Self {
        Self {
            arena,
            state,
            node,
            subgraphs,
        }
    }

    /// Whether the first byte of a port, a BOOL, is other than 0.
    ///
    /// # Errors
    /// When the port is absent, empty or outside the memory.
    pub fn is_true(&self, port: Port) -> Result<bool, InvokeError> {
        let memory = port.memory();
        let (offset, bytes) = match self.locate(port) {
            Location::Absent => return Err(InvokeError::Missing(memory)),
            Location::Constant(bytes) => (0, bytes),
            Location::Arena { offset, .. } => (offset, &*self.arena),
            Location::State { offset, .. } => (offset, &*self.state),
        };
        let first = bytes.get(offset).ok_or(InvokeError::OutOfArena(memory))?;
        Ok(*first != 0)
    }

    /// Copies the value of a port to another.
    ///
    /// # Errors
    /// When they differ in size, one is absent or outside the memory, or `to` is a constant.
    pub fn copy(&mut self, from: Port, to: Port) -> Result<(), InvokeError> {
        let (source, target) = (self.locate(from), self.locate(to));
        let (memory, other, at, expected) = match target {
            Location::Arena { offset, len } => (&mut *self.arena, &*self.state, offset, len),
            Location::State { offset, len } => (&mut *self.state, &*self.arena, offset, len),
            _ => return Err(InvokeError::Missing(to.memory())),
        };
        let (found, copied) = match (source, target) {
            (Location::Absent, _) => return Err(InvokeError::Missing(from.memory())),
            (Location::Constant(bytes), _) => (bytes.len(), put(memory, at, bytes)),
            (Location::Arena { offset, len }, Location::Arena { .. })
            | (Location::State { offset, len }, Location::State { .. }) => {
                (len, copy_within(memory, offset, at, len))
            }
            (Location::Arena { offset, len } | Location::State { offset, len }, _) => {
                let bytes = other.get(offset..).and_then(|bytes| bytes.get(..len));
                (len, bytes.and_then(|bytes| put(memory, at, bytes)))
            }
        };
        check_len(to.memory(), found, expected)?;
        copied.ok_or(InvokeError::OutOfArena(to.memory()))
    }

    /// The first byte of the memory that the node keeps from one inference to the next.
    ///
    /// # Errors
    /// When it is outside the memory, or the node's `prepare` did not ask for it.
    pub fn flag(&mut self) -> Result<&mut u8, InvokeError> {
        match self.node.node_state() {
            Location::State { offset, .. } => {
                let byte = self.state.get_mut(offset);
                byte.ok_or(InvokeError::OutOfArena(Memory::State))
            }
            _ => Err(InvokeError::Missing(Memory::State)),
        }
    }

    fn locate(&self, port: Port) -> Location<'a> {
        match port {
            Port::Input(index) => self.node.input(index),
            Port::Output(index) => self.node.output(index),
            Port::SubgraphInput(subgraph, index) => self.subgraphs.input(subgraph, index),
            Port::SubgraphOutput(subgraph, index) => self.subgraphs.output(subgraph, index),
        }
    }
}

fn put(memory: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    let place = memory.get_mut(at..)?.get_mut(..bytes.len())?;
    place.copy_from_slice(bytes);
    Some(())
}

/// Copies between two places that do not overlap, unless they are one.
fn copy_within(memory: &mut [u8], from: usize, to: usize, len: usize) -> Option<()> {
    if from == to {
        return Some(());
    }
    let (before, behind) = memory.split_at_mut_checked(from.max(to))?;
    let behind = behind.get_mut(..len)?;
    let before = before.get_mut(from.min(to)..)?.get_mut(..len)?;
    match from < to {
        true => behind.copy_from_slice(before),
        false => before.copy_from_slice(behind),
    }
    Some(())
}
