//! The interpreter's persistent memory: where tensors are, and what each node needs to run.
//!
//! All of it is 32-bit words at the start of the arena:
//!
//! | words | what |
//! |---|---|
//! | 2 a subgraph of the file | where its table begins (0: never run) and how deep it runs others, bytes of its activations; nothing where the file has one subgraph |
//! | 4 a subgraph that runs | its table's header: how many tensors and nodes, where in the file its inputs and outputs are listed |
//! | 2 a tensor | its place |
//! | 1 a node | index of its record |
//! | a record a node | header, scratch memory and state where it has such, operands as 16-bit tensor numbers, the kernel's plan |
//! | 5 a resource variable | its place and size, between the records |

use larun_kernels::{Locate, Location, Subgraphs};

use crate::load::{STATE, SUBGRAPHS};

/// Words of a subgraph in the directory.
pub(crate) const DIRECTORY_WORDS: usize = 2;
/// Words of a table's header.
pub(crate) const TABLE_WORDS: usize = 4;
/// Words of a tensor's entry.
pub(crate) const TENSOR_WORDS: usize = 2;
/// Words of a place of scratch memory or state in a record.
pub(crate) const MEMORY_WORDS: usize = 2;
/// The operand that is absent. Tensors are numbered below it.
pub(crate) const ABSENT: u16 = u16::MAX;

const CONSTANT: u32 = 1 << 31;

/// Where a tensor's bytes are.
///
/// Bit 31 of the length marks a constant, which lies in the file. Other offsets are multiples of 8, and their low bits
/// say in which memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    at: u32,
    len: u32,
}

/// What a [`Place`] is a place in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// The file.
    File,
    /// The activations of the subgraph.
    Activations,
    /// The memory that is kept from one inference to the next.
    State,
    /// The entry itself, whose first word is a handle.
    Handle,
}

impl Place {
    const STATE: u32 = 1;
    const HANDLE: u32 = 2;
    const HOME: u32 = 3;

    /// A constant at an offset of the file; lengths are below 2 GiB.
    pub(crate) const fn constant(at: u32, len: u32) -> Self {
        Self {
            at,
            len: len | CONSTANT,
        }
    }

    /// A value at an offset of the activations.
    pub(crate) const fn value(at: u32, len: u32) -> Self {
        Self { at, len }
    }

    /// A variable at an offset of the memory that is kept.
    pub(crate) const fn state(at: u32, len: u32) -> Self {
        Self {
            at: at | Self::STATE,
            len,
        }
    }

    /// A handle of the resource variable with this number.
    pub(crate) const fn handle(number: u16) -> Self {
        Self {
            at: (number as u32) << 2 | Self::HANDLE,
            len: size_of::<u32>() as u32,
        }
    }

    pub(crate) const fn home(self) -> Home {
        if self.len & CONSTANT != 0 {
            return Home::File;
        }
        match self.at & Self::HOME {
            Self::STATE if STATE => Home::State,
            Self::HANDLE if SUBGRAPHS => Home::Handle,
            _ => Home::Activations,
        }
    }

    /// Bytes from the start of its memory.
    pub(crate) const fn offset(self) -> usize {
        match self.home() {
            Home::File => self.at as usize,
            _ => (self.at & !Self::HOME) as usize,
        }
    }

    /// Bytes.
    pub(crate) const fn len(self) -> usize {
        (self.len & !CONSTANT) as usize
    }

    /// The number of the resource variable that it is a handle of.
    #[cfg(feature = "alloc")]
    pub(crate) const fn handle_number(self) -> Option<u16> {
        match self.home() {
            Home::Handle => Some((self.at >> 2) as u16),
            _ => None,
        }
    }

    fn read(words: &[u32], at: usize) -> Option<Self> {
        match words.get(at..)? {
            &[at, len, ..] => Some(Self { at, len }),
            _ => None,
        }
    }

    pub(crate) const fn is_constant(self) -> bool {
        matches!(self.home(), Home::File)
    }

    /// Its entry in a table.
    pub(crate) const fn words(self) -> [u32; TENSOR_WORDS] {
        [self.at, self.len]
    }
}

/// The number of the resource variable that a handle names.
const fn handle_number(handle: u32) -> Option<u32> {
    match handle & Place::HOME {
        Place::HANDLE => Some(handle >> 2),
        _ => None,
    }
}

/// The part `[at, at + len)` of a memory.
pub(crate) fn part(memory: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    memory.get(at..)?.get(..len)
}

/// The first word of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The index of the kernel among those linked.
    pub(crate) kernel: u8,
    pub(crate) inputs: u16,
    pub(crate) outputs: u16,
    /// Whether the node has scratch memory, and whether it has state.
    pub(crate) scratch: bool,
    pub(crate) state: bool,
}

impl Header {
    /// The most inputs of a node.
    pub(crate) const MOST_INPUTS: u16 = (1 << 12) - 1;
    /// The most outputs.
    pub(crate) const MOST_OUTPUTS: u16 = (1 << 10) - 1;

    pub(crate) const fn pack(self) -> u32 {
        self.kernel as u32
            | (self.outputs as u32) << 8
            | (self.inputs as u32) << 18
            | (self.scratch as u32) << 30
            | (self.state as u32) << 31
    }

    const fn unpack(word: u32) -> Self {
        Self {
            kernel: word as u8,
            outputs: (word >> 8) as u16 & Self::MOST_OUTPUTS,
            inputs: (word >> 18) as u16 & Self::MOST_INPUTS,
            scratch: word & (1 << 30) != 0,
            state: word & (1 << 31) != 0,
        }
    }

    /// Words that the operands take.
    pub(crate) const fn operand_words(self) -> usize {
        (self.inputs as usize + self.outputs as usize).div_ceil(2)
    }

    /// Words that the places of scratch memory and state take.
    pub(crate) const fn memory_words(self) -> usize {
        MEMORY_WORDS * (self.scratch as usize + self.state as usize)
    }
}

/// A subgraph in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Where its table begins: below [`MOST_WORDS`].
    pub(crate) start: usize,
    /// How many levels of subgraphs it is, itself included: below 16.
    pub(crate) levels: usize,
    /// Bytes of its activations.
    pub(crate) activations: u32,
}

/// A gigabyte. More words of persistent memory are not indexed.
pub(crate) const MOST_WORDS: usize = 1 << 28;

impl Listed {
    /// The entry of a subgraph, `None` where it was not loaded.
    pub(crate) fn read(words: &[u32], subgraph: usize) -> Option<Self> {
        let &[at, activations, ..] = words.get(subgraph.checked_mul(DIRECTORY_WORDS)?..)? else {
            return None;
        };
        let at = at as usize;
        (at > 0).then_some(Self {
            start: at % MOST_WORDS,
            levels: at / MOST_WORDS,
            activations,
        })
    }

    pub(crate) const fn words(&self) -> [u32; DIRECTORY_WORDS] {
        let at = self.start as u32 | (self.levels as u32) << MOST_WORDS.ilog2();
        [at, self.activations]
    }
}

/// The tables of all subgraphs.
#[derive(Clone, Copy)]
pub(crate) struct Tables<'a> {
    pub(crate) words: &'a [u32],
    pub(crate) file: &'a [u8],
    /// How many subgraphs the directory has; 0 where there is no directory.
    pub(crate) directory: usize,
    /// Where the table of the main subgraph begins.
    pub(crate) main: usize,
    /// The link to the first resource variable.
    pub(crate) resources: usize,
}

impl<'a> Tables<'a> {
    /// The table of a subgraph that was loaded.
    pub(crate) fn get(&self, subgraph: usize) -> Option<Table<'a>> {
        let start = self.start(subgraph)?;
        let words = self.words.get(start..)?;
        let &[counts, inputs, outputs, ports, ref entries @ ..] = words else {
            return None;
        };
        Some(Table {
            tables: *self,
            tensors: usize::from(counts as u16),
            nodes: (counts >> 16) as usize,
            inputs: PortList {
                at: inputs,
                len: ports as u16,
            },
            outputs: PortList {
                at: outputs,
                len: (ports >> 16) as u16,
            },
            entries,
        })
    }

    /// Where a subgraph's table begins, for one that was loaded.
    fn start(&self, subgraph: usize) -> Option<usize> {
        match subgraph {
            0 => Some(self.main),
            _ if SUBGRAPHS && subgraph < self.directory => {
                Some(Listed::read(self.words, subgraph)?.start)
            }
            _ => None,
        }
    }

    /// Bytes of the activations of a subgraph other than the main one.
    #[cfg(feature = "alloc")]
    pub(crate) fn activation_bytes(&self, subgraph: usize) -> Option<usize> {
        let listed = Listed::read(self.words, subgraph).filter(|_| subgraph < self.directory)?;
        Some(listed.activations as usize)
    }

    /// Where tables, records and resource variables begin, in order: each ends where the next begins.
    #[cfg(feature = "alloc")]
    pub(crate) fn starts(&self) -> alloc::vec::Vec<usize> {
        let mut starts = alloc::vec![self.words.len()];
        for subgraph in 0..self.directory.max(1) {
            starts.extend(self.start(subgraph));
            if let Some(table) = self.get(subgraph) {
                starts.extend((0..table.nodes).filter_map(|node| table.record_start(node)));
            }
        }
        let mut link = self.resources;
        while let Some(resource) = Resource::read(self.words, link) {
            starts.push(link - 1);
            link = resource.link;
        }
        starts.sort_unstable();
        starts
    }

    /// The resource variable with this number.
    fn resource(&self, number: u32) -> Option<Resource> {
        let mut resources = self.resources();
        resources.nth(usize::try_from(number).ok()?)
    }

    /// All resource variables.
    pub(crate) fn resources(&self) -> impl Iterator<Item = Resource> + use<'a> {
        let words = self.words;
        let mut next = self.resources;
        core::iter::from_fn(move || {
            let resource = Resource::read(words, next)?;
            next = resource.link;
            Some(resource)
        })
    }
}

/// A resource variable: what VAR_HANDLE names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The link to the next one: one more than its index, 0 behind the last.
    pub(crate) link: usize,
    /// Where in the state it is, `None` while no operator has said how large it is.
    pub(crate) offset: Option<u32>,
    pub(crate) len: u32,
    /// Four bytes that are repeated while nothing is assigned.
    pub(crate) zeros: u32,
    /// The subgraph and the operator that names it.
    pub(crate) named_by: [u16; 2],
}

impl Resource {
    pub(crate) const WORDS: usize = 5;
    const NOWHERE: u32 = u32::MAX;

    /// The variable that a link leads to.
    pub(crate) fn read(words: &[u32], link: usize) -> Option<Self> {
        let at = link.checked_sub(1)?;
        let &[link, offset, len, zeros, named_by, ..] = words.get(at..)? else {
            return None;
        };
        Some(Self {
            link: link as usize,
            offset: (offset != Self::NOWHERE).then_some(offset),
            len,
            zeros,
            named_by: [named_by as u16, (named_by >> 16) as u16],
        })
    }

    pub(crate) fn words(&self) -> [u32; Self::WORDS] {
        let [subgraph, node] = self.named_by.map(u32::from);
        [
            self.link as u32,
            self.offset.unwrap_or(Self::NOWHERE),
            self.len,
            self.zeros,
            subgraph | node << 16,
        ]
    }
}

/// A list of tensor numbers in the file: the inputs or the outputs of a subgraph.
#[derive(Clone, Copy)]
pub(crate) struct PortList {
    /// Where in the file it begins.
    at: u32,
    pub(crate) len: u16,
}

/// What is kept of a subgraph.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    tables: Tables<'a>,
    pub(crate) tensors: usize,
    pub(crate) nodes: usize,
    pub(crate) inputs: PortList,
    pub(crate) outputs: PortList,
    /// The words behind the header.
    entries: &'a [u32],
}

impl<'a> Table<'a> {
    /// The place of a tensor.
    pub(crate) fn place(&self, tensor: usize) -> Option<Place> {
        if tensor >= self.tensors {
            return None;
        }
        Place::read(self.entries, tensor.checked_mul(TENSOR_WORDS)?)
    }

    /// Where the record of a node begins.
    pub(crate) fn record_start(&self, node: usize) -> Option<usize> {
        let index = self.tensors.checked_mul(TENSOR_WORDS)?.checked_add(node)?;
        Some(*self.entries.get(index)? as usize)
    }

    /// The record of a node.
    pub(crate) fn record(&self, node: usize) -> Option<Record<'a>> {
        let start = self.record_start(node)?;
        let &[header, ref rest @ ..] = self.tables.words.get(start..)? else {
            return None;
        };
        let header = Header::unpack(header);
        let (memory, rest) = rest.split_at_checked(header.memory_words())?;
        let (operands, plan) = rest.split_at_checked(header.operand_words())?;
        Some(Record {
            header,
            memory,
            operands: bytemuck::try_cast_slice(operands).ok()?,
            plan,
            table: *self,
        })
    }

    fn locate(&self, tensor: usize) -> Location<'a> {
        let entry: Option<&[u32; TENSOR_WORDS]> = tensor
            .checked_mul(TENSOR_WORDS)
            .and_then(|at| self.entries.get(at..)?.first_chunk());
        let (Some(place), Some([handle, _])) = (self.place(tensor), entry) else {
            return Location::Absent;
        };
        let (offset, len) = (place.offset(), place.len());
        match place.home() {
            Home::Activations => Location::Arena { offset, len },
            Home::State => Location::State { offset, len },
            Home::Handle => Location::Constant(bytemuck::bytes_of::<u32>(handle)),
            Home::File => {
                let bytes = part(self.tables.file, offset, len);
                bytes.map_or(Location::Absent, Location::Constant)
            }
        }
    }

    /// The tensor of a port.
    pub(crate) fn port(&self, list: PortList, index: usize) -> Option<usize> {
        if index >= usize::from(list.len) {
            return None;
        }
        let at = (list.at as usize).checked_add(index.checked_mul(size_of::<i32>())?)?;
        let bytes = self.tables.file.get(at..)?.first_chunk()?;
        usize::try_from(i32::from_le_bytes(*bytes)).ok()
    }
}

/// The ports of the subgraphs that a node runs, whose activations begin at `base`.
pub(crate) struct Ports<'a> {
    pub(crate) tables: Tables<'a>,
    pub(crate) base: usize,
}

impl Ports<'_> {
    fn locate(&self, subgraph: u32, index: usize, inputs: bool) -> Location<'_> {
        let table = usize::try_from(subgraph)
            .ok()
            .and_then(|s| self.tables.get(s));
        let Some(table) = table else {
            return Location::Absent;
        };
        let list = if inputs { table.inputs } else { table.outputs };
        let tensor = table.port(list, index);
        match tensor.map_or(Location::Absent, |tensor| table.locate(tensor)) {
            Location::Arena { offset, len } => Location::Arena {
                offset: offset.saturating_add(self.base),
                len,
            },
            other => other,
        }
    }
}

impl Subgraphs for Ports<'_> {
    fn input(&self, subgraph: u32, index: usize) -> Location<'_> {
        self.locate(subgraph, index, true)
    }

    fn output(&self, subgraph: u32, index: usize) -> Location<'_> {
        self.locate(subgraph, index, false)
    }
}

/// A node's record, and the tables to resolve its operands with.
pub(crate) struct Record<'a> {
    pub(crate) header: Header,
    memory: &'a [u32],
    operands: &'a [u16],
    /// The kernel's plan.
    pub(crate) plan: &'a [u32],
    table: Table<'a>,
}

impl<'a> Record<'a> {
    /// Words from the record's start to its plan.
    #[cfg(feature = "alloc")]
    pub(crate) fn words_before_plan(&self) -> usize {
        1 + self.header.memory_words() + self.header.operand_words()
    }

    /// The tensor numbers of all inputs and outputs, absent ones included.
    #[cfg(feature = "alloc")]
    pub(crate) fn operand_tensors(&self) -> impl Iterator<Item = Option<usize>> + use<'a> {
        let all = usize::from(self.header.inputs) + usize::from(self.header.outputs);
        let tensor = |&tensor: &u16| (tensor != ABSENT).then(|| usize::from(tensor));
        self.operands.iter().take(all).map(tensor)
    }

    fn operand(&self, index: usize) -> Location<'a> {
        match self.operands.get(index) {
            None | Some(&ABSENT) => Location::Absent,
            Some(&tensor) => self.table.locate(usize::from(tensor)),
        }
    }

    /// The tensor number of output `index`.
    pub(crate) fn output_tensor(&self, index: usize) -> Option<usize> {
        if index >= usize::from(self.header.outputs) {
            return None;
        }
        let at = usize::from(self.header.inputs) + index;
        self.operands.get(at).map(|&tensor| usize::from(tensor))
    }

    /// The scratch memory of the node: offset and length in the activations.
    fn scratch_memory(&self) -> Option<(usize, usize)> {
        match self.memory {
            &[at, len, ..] if self.header.scratch => Some((at as usize, len as usize)),
            _ => None,
        }
    }

    /// Where the activations of the subgraphs begin that the node runs.
    pub(crate) fn subgraph_base(&self) -> usize {
        self.scratch_memory().map_or(0, |(at, _)| at)
    }
}

impl Locate for Record<'_> {
    fn input(&self, index: usize) -> Location<'_> {
        match index < usize::from(self.header.inputs) {
            true => self.operand(index),
            false => Location::Absent,
        }
    }

    fn output(&self, index: usize) -> Location<'_> {
        match index < usize::from(self.header.outputs) {
            true => self.operand(usize::from(self.header.inputs) + index),
            false => Location::Absent,
        }
    }

    fn scratch(&self) -> Location<'_> {
        match self.scratch_memory() {
            Some((offset, len)) => Location::Arena { offset, len },
            None => Location::Arena { offset: 0, len: 0 },
        }
    }

    fn node_state(&self) -> Location<'_> {
        match self.memory {
            &[.., at, len] if self.header.state => Location::State {
                offset: at as usize,
                len: len as usize,
            },
            _ => Location::Absent,
        }
    }

    fn resource(&self, handle: u32) -> Location<'_> {
        let number = handle_number(handle);
        let number = number.filter(|_| SUBGRAPHS);
        let resource = number.and_then(|number| self.table.tables.resource(number));
        match resource.and_then(|r| Some((r.offset?, r.len))) {
            Some((offset, len)) => Location::State {
                offset: offset as usize,
                len: len as usize,
            },
            None => Location::Absent,
        }
    }
}
