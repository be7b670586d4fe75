//! A loaded model taken apart, for code generators: what each node's kernel wrote, and where everything lies.

use alloc::vec::Vec;

use larun_arena::Buffer;
use larun_kernels::{Locate, Location, Registration};
use larun_ops::{InPlace, OpKind};

use crate::Options;
use crate::error::LoadError;
use crate::host::{AlignedBytes, Owner, PlannedBuffer, arena_with};
use crate::layout::{Home, Table};
use crate::load::{Request, load};
use crate::loaded::Loaded;

/// A model as the interpreter has prepared it.
///
/// ```
/// use larun_micro::host::{AlignedBytes, Prepared};
/// use larun_micro::{OpKind, Options, kernels::ALL};
///
/// let model = AlignedBytes::copy_of(include_bytes!("../fixtures/transit.tflite"));
/// let prepared = Prepared::new(&model, ALL, Options::default()).map_err(|error| error.to_string())?;
/// let main = prepared.main().ok_or("no subgraph")?;
/// assert_eq!(main.nodes[0].kind, OpKind::Conv2D);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prepared<'m> {
    /// The subgraphs of the file, `None` for those that are never run.
    pub subgraphs: Vec<Option<PreparedSubgraph<'m>>>,
    /// What is kept from one inference to the next, as it is before the first.
    pub state: Vec<u8>,
    /// Where in the state each resource variable lies, offset and length; `None` for one that is never used.
    pub resources: Vec<Option<(usize, usize)>>,
    /// The buffers of the main subgraph's activations.
    pub buffers: Vec<PlannedBuffer>,
}

/// A subgraph.
#[derive(Clone, Debug)]
pub struct PreparedSubgraph<'m> {
    /// All tensors of the file's subgraph.
    pub tensors: Vec<PreparedTensor<'m>>,
    /// The nodes in the order in which they run.
    pub nodes: Vec<PreparedNode>,
    /// The tensors that are inputs.
    pub inputs: Vec<usize>,
    /// The tensors that are outputs.
    pub outputs: Vec<usize>,
    /// Bytes of the activations.
    pub activation_bytes: usize,
}

/// Where a tensor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparedTensor<'m> {
    /// In the subgraph's activations.
    Activations {
        /// Bytes from their start.
        offset: usize,
        /// Bytes.
        len: usize,
    },
    /// In what is kept from one inference to the next.
    State {
        /// Bytes from its start.
        offset: usize,
        /// Bytes.
        len: usize,
    },
    /// In the file.
    Constant(&'m [u8]),
    /// It is a handle of the resource variable with this number.
    Handle(u16),
}

/// A node.
#[derive(Clone, Debug)]
pub struct PreparedNode {
    /// The operator whose kernel runs it.
    pub kind: OpKind,
    /// The tensors that are inputs, `None` for absent ones.
    pub inputs: Vec<Option<usize>>,
    /// The tensors that are outputs.
    pub outputs: Vec<Option<usize>>,
    /// What the kernel's `prepare` wrote.
    pub plan: Vec<u32>,
    /// Its scratch memory in the activations, offset and length. That of a node that runs subgraphs holds their
    /// activations.
    pub scratch: Option<(usize, usize)>,
    /// Its memory in the state, offset and length.
    pub state: Option<(usize, usize)>,
}

impl<'m> Prepared<'m> {
    /// Loads a model and takes it apart.
    ///
    /// # Errors
    /// As [`Interpreter::new`](crate::Interpreter::new), whatever the arena.
    pub fn new(
        model: &'m [u8],
        kernels: &'m [Registration],
        options: Options,
    ) -> Result<Self, LoadError<'m>> {
        let mut arena = arena_with(model, kernels, options)?;
        Self::in_arena(model, kernels, &mut arena, options)
    }

    fn in_arena(
        model: &'m [u8],
        kernels: &'m [Registration],
        arena: &mut AlignedBytes,
        options: Options,
    ) -> Result<Self, LoadError<'m>> {
        let mut buffers = Vec::new();
        let request = Request::new(model, kernels, options)?;
        let words = bytemuck::try_cast_slice_mut(arena).unwrap_or_default();
        load(&request, words, &mut |owner, buffer, offset| {
            buffers.push(PlannedBuffer {
                owner,
                buffer,
                offset,
            });
        })?;
        let (loaded, _) = Loaded::with_options(model, kernels, arena, options)?;
        let tables = loaded.tables();
        let count = loaded.extent.directory.max(1);
        let starts = tables.starts();
        let resources = tables.resources();
        let resources = resources.map(|it| Some((it.offset? as usize, it.len as usize)));
        Ok(Self {
            subgraphs: (0..count)
                .map(|number| {
                    let activation_bytes = match number {
                        0 => loaded.activation_bytes(),
                        _ => tables.activation_bytes(number)?,
                    };
                    subgraph(
                        &tables.get(number)?,
                        &starts,
                        activation_bytes,
                        model,
                        kernels,
                    )
                })
                .collect(),
            state: loaded.state.to_vec(),
            resources: resources.collect(),
            buffers,
        })
    }

    /// Moves the main subgraph's activations to where a plan puts them: the offset of each of the
    /// [`buffers`](Self::buffers), and the bytes that all take.
    ///
    /// A plan of another number of buffers changes nothing.
    pub fn place(&mut self, offsets: &[u32], peak: usize) {
        let Some(Some(main)) = self.subgraphs.first_mut() else {
            return;
        };
        if offsets.len() != self.buffers.len() {
            return;
        }
        for (planned, &offset) in self.buffers.iter_mut().zip(offsets) {
            planned.offset = offset;
            let at = offset as usize;
            match planned.owner {
                Owner::Tensor(tensor) => main.place(tensor, at),
                Owner::Scratch(node) => {
                    let node = main.nodes.get_mut(node);
                    if let Some((place, _)) = node.and_then(|node| node.scratch.as_mut()) {
                        *place = at;
                    }
                }
            }
        }
        for tensor in 0..main.tensors.len() {
            let viewed = main.viewed(tensor);
            if viewed != tensor
                && let Some(&PreparedTensor::Activations { offset, .. }) = main.tensors.get(viewed)
            {
                main.place(tensor, offset);
            }
        }
        main.activation_bytes = peak;
    }

    /// The main subgraph's buffers as a problem for a planner.
    #[must_use]
    pub fn problem(&self) -> Vec<Buffer> {
        self.buffers.iter().map(|planned| planned.buffer).collect()
    }

    /// The main subgraph.
    #[must_use]
    pub fn main(&self) -> Option<&PreparedSubgraph<'m>> {
        self.subgraphs.first()?.as_ref()
    }
}

impl PreparedSubgraph<'_> {
    /// Moves a value.
    fn place(&mut self, tensor: usize, at: usize) {
        if let Some(PreparedTensor::Activations { offset, .. }) = self.tensors.get_mut(tensor) {
            *offset = at;
        }
    }

    /// The tensor whose memory a tensor shares because it is a view of it, itself where it is none.
    ///
    /// `nodes` of an operator that leaves the bytes of its first input as they are write nothing.
    #[must_use]
    pub fn viewed(&self, tensor: usize) -> usize {
        let is_value = |tensor: usize| {
            matches!(
                self.tensors.get(tensor),
                Some(PreparedTensor::Activations { .. })
            )
        };
        let mut viewed = tensor;
        // Nodes only read what earlier ones have written.
        for node in self.nodes.iter().rev() {
            if node.outputs.first() == Some(&Some(viewed))
                && node.kind.info().in_place == InPlace::View
                && let Some(&Some(input)) = node.inputs.first()
                && is_value(input)
            {
                viewed = input;
            }
        }
        viewed
    }
}

fn subgraph<'m>(
    table: &Table<'_>,
    starts: &[usize],
    activation_bytes: usize,
    model: &'m [u8],
    kernels: &[Registration],
) -> Option<PreparedSubgraph<'m>> {
    let ports = |list: crate::layout::PortList| {
        let tensors = (0..usize::from(list.len)).map(|index| table.port(list, index));
        tensors.collect::<Option<Vec<_>>>()
    };
    let tensors = (0..table.tensors).map(|tensor| place(table, tensor, model));
    let nodes = (0..table.nodes).map(|index| node(table, index, starts, kernels));
    Some(PreparedSubgraph {
        tensors: tensors.collect::<Option<_>>()?,
        nodes: nodes.collect::<Option<_>>()?,
        inputs: ports(table.inputs)?,
        outputs: ports(table.outputs)?,
        activation_bytes,
    })
}

fn place<'m>(table: &Table<'_>, tensor: usize, model: &'m [u8]) -> Option<PreparedTensor<'m>> {
    let place = table.place(tensor)?;
    let (offset, len) = (place.offset(), place.len());
    Some(match place.home() {
        Home::File => PreparedTensor::Constant(model.get(offset..)?.get(..len)?),
        Home::Activations => PreparedTensor::Activations { offset, len },
        Home::State => PreparedTensor::State { offset, len },
        Home::Handle => PreparedTensor::Handle(place.handle_number()?),
    })
}

fn node(
    table: &Table<'_>,
    index: usize,
    starts: &[usize],
    kernels: &[Registration],
) -> Option<PreparedNode> {
    let record = table.record(index)?;
    let mut operands: Vec<_> = record.operand_tensors().collect();
    let outputs = operands.split_off(usize::from(record.header.inputs).min(operands.len()));
    let region = |location: Location<'_>| match location {
        Location::Arena { offset, len } | Location::State { offset, len } if len > 0 => {
            Some((offset, len))
        }
        _ => None,
    };
    let start = table.record_start(index)?;
    let end = starts.get(starts.partition_point(|&other| other <= start))?;
    let plan_words = (end - start).checked_sub(record.words_before_plan())?;
    Some(PreparedNode {
        kind: kernels.get(usize::from(record.header.kernel))?.kind,
        inputs: operands,
        outputs,
        plan: record.plan.get(..plan_words)?.to_vec(),
        scratch: region(record.scratch()),
        state: region(record.node_state()),
    })
}
