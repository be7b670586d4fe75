//! Nodes whose plan and operands' places are constants of the program: what generated code runs.

use crate::{
    ControlIo, Element, InvokeError, Io, Locate, Location, Next, PlanReader, Step, Subgraphs,
};

/// A node of a model that was prepared on another machine.
#[derive(Clone, Copy, Debug)]
pub struct FixedNode {
    /// What the kernel's `prepare` wrote.
    pub plan: &'static [u32],
    /// Where the inputs lie.
    pub inputs: &'static [Location<'static>],
    /// Where the outputs lie.
    pub outputs: &'static [Location<'static>],
    /// The scratch memory that `prepare` asked for.
    pub scratch: Location<'static>,
    /// The memory that it asked to keep.
    pub state: Location<'static>,
    /// All resource variables of the model, in the order of their numbers.
    pub resources: &'static [Location<'static>],
}

impl FixedNode {
    /// A node with these operands, without scratch memory or state.
    #[must_use]
    pub const fn new(
        plan: &'static [u32],
        inputs: &'static [Location<'static>],
        outputs: &'static [Location<'static>],
    ) -> Self {
        Self {
            plan,
            inputs,
            outputs,
            scratch: Location::Arena { offset: 0, len: 0 },
            state: Location::Absent,
            resources: &[],
        }
    }

    /// Runs the node with the `invoke` of its kernel, on the activations and on what is kept between inferences.
    ///
    /// # Errors
    /// As the kernel's.
    #[inline(always)]
    pub fn run(
        &self,
        invoke: impl FnOnce(PlanReader<'_>, Io<'_>) -> Result<(), InvokeError>,
        activations: &mut [u8],
        state: &mut [u8],
    ) -> Result<(), InvokeError> {
        invoke(
            PlanReader::new(self.plan),
            Io::with_state(activations, state, self),
        )
    }
}

impl FixedNode {
    /// Runs one step of a node that runs subgraphs.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn step(
        &self,
        step: Step,
        number: u32,
        subgraphs: &FixedSubgraphs,
        activations: &mut [u8],
        state: &mut [u8],
    ) -> Result<Next, InvokeError> {
        let mut io = ControlIo::new(activations, state, self, subgraphs);
        step(number, PlanReader::new(self.plan), &mut io)
    }
}

impl Locate for FixedNode {
    fn input(&self, index: usize) -> Location<'_> {
        self.inputs.get(index).copied().unwrap_or(Location::Absent)
    }

    fn output(&self, index: usize) -> Location<'_> {
        self.outputs.get(index).copied().unwrap_or(Location::Absent)
    }

    fn scratch(&self) -> Location<'_> {
        self.scratch
    }

    fn node_state(&self) -> Location<'_> {
        self.state
    }

    fn resource(&self, handle: u32) -> Location<'_> {
        let number = handle_number(handle).and_then(|number| usize::try_from(number).ok());
        let place = number.and_then(|number| self.resources.get(number));
        place.copied().unwrap_or(Location::Absent)
    }
}

/// What the low bits of a handle are, so that a zero is none.
const MARK: u32 = 2;

/// The bytes of a handle of the resource variable with a number.
#[must_use]
pub const fn handle_bytes(number: u16) -> [u8; 4] {
    ((number as u32) << 2 | MARK).to_le_bytes()
}

const fn handle_number(handle: u32) -> Option<u32> {
    match handle & 3 {
        MARK => Some(handle >> 2),
        _ => None,
    }
}

/// Where the inputs and outputs of a model's subgraphs lie, by their numbers.
#[derive(Clone, Copy, Debug)]
pub struct FixedSubgraphs {
    /// Where in the caller's activations those of the subgraphs begin.
    pub base: usize,
    /// The inputs of each.
    pub inputs: &'static [&'static [Location<'static>]],
    /// The outputs of each.
    pub outputs: &'static [&'static [Location<'static>]],
}

impl FixedSubgraphs {
    fn locate(
        &self,
        ports: &'static [&'static [Location<'static>]],
        subgraph: u32,
        index: usize,
    ) -> Location<'static> {
        let subgraph = usize::try_from(subgraph).ok().and_then(|at| ports.get(at));
        match subgraph.and_then(|ports| ports.get(index)) {
            Some(&Location::Arena { offset, len }) => Location::Arena {
                offset: offset.saturating_add(self.base),
                len,
            },
            Some(&other) => other,
            None => Location::Absent,
        }
    }
}

impl Subgraphs for FixedSubgraphs {
    fn input(&self, subgraph: u32, index: usize) -> Location<'_> {
        self.locate(self.inputs, subgraph, index)
    }

    fn output(&self, subgraph: u32, index: usize) -> Location<'_> {
        self.locate(self.outputs, subgraph, index)
    }
}

/// The elements of a piece of memory; none where it is not aligned to them or holds no whole number.
#[must_use]
pub fn elements<T: Element>(bytes: &[u8]) -> &[T] {
    bytemuck::try_cast_slice(bytes).unwrap_or_default()
}

/// Writes elements to a piece of memory of the same length.
pub fn set_elements<T: Element>(bytes: &mut [u8], values: &[T]) {
    let values: &[u8] = bytemuck::cast_slice(values);
    if bytes.len() == values.len() {
        bytes.copy_from_slice(values);
    }
}
