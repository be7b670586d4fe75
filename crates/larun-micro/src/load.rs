//! Loading: every tensor checked, every node prepared, the activations planned.
//!
//! While this goes on, the arena beyond the persistent words holds notes: when each tensor is first
//! and last alive, the planner's offsets and order. They are gone once the activations move in.

use larun_arena::{Buffer, PlanError, Problem, greedy_by_size};
use larun_kernels::{PlanWriter, Refusal, Registration, Site};
use larun_ops::ElementType;
use larun_tflite::view::{Model, Operator, OperatorCode, Subgraph};

use crate::error::{ArenaTooSmall, LoadError, Name};
use crate::layout::{ABSENT, Header, Place, RECORD_WORDS, TENSOR_WORDS};
use crate::node::{FileNode, describe};

/// Alignment of every tensor in the arena, in bytes.
pub(crate) const ALIGNMENT: usize = 16;

/// A gigabyte: no model in earnest comes near, and its offsets fit a word.
const MOST_PERSISTENT_WORDS: usize = 1 << 28;

/// What loading worked out, beside the words in the arena.
pub(crate) struct Loaded {
    /// Words of persistent memory.
    pub(crate) persistent_words: usize,
    /// Bytes of activations.
    pub(crate) activation_bytes: usize,
    /// Bytes of the smallest arena in which the model loads and runs.
    pub(crate) needed: usize,
}

/// Loads the main subgraph into `words`, an arena that is aligned.
pub(crate) fn load<'m>(
    model: Model<'m>,
    subgraph: Subgraph<'m>,
    kernels: &[Registration],
    words: &mut [u32],
) -> Result<Loaded, LoadError<'m>> {
    let source = Source::new(model, subgraph)?;
    let given = size_of_val(words);
    let persistent_words = match prepare(&source, kernels, words) {
        Ok(used) => used,
        Err(Stop::Refused(error)) => return Err(error),
        Err(Stop::OutOfMemory) => {
            return Err(source.too_small(measure(&source, kernels)?, given));
        }
    };
    let too_small = || source.too_small(persistent_words, given);
    let (persistent, notes) = words
        .split_at_mut_checked(persistent_words)
        .ok_or_else(too_small)?;
    let mut notes = Notes::new(notes, &source).ok_or_else(too_small)?;
    source.find_lifetimes(persistent, notes.spans)?;
    let activation_bytes = notes.plan(&source, persistent)?;
    let needed = source.needed(persistent_words, activation_bytes);
    if needed > given {
        return Err(LoadError::Arena(ArenaTooSmall {
            needed,
            given,
            exact: true,
        }));
    }
    Ok(Loaded {
        persistent_words,
        activation_bytes,
        needed,
    })
}

/// The buffers that loading plans for, with the tensor or node that each belongs to: what
/// [`host::memory_plan`](crate::host::memory_plan) shows.
#[cfg(feature = "alloc")]
pub(crate) fn planned_buffers<'m>(
    model: Model<'m>,
    subgraph: Subgraph<'m>,
    kernels: &[Registration],
    words: &mut [u32],
    mut each: impl FnMut(crate::host::Owner, Buffer, u32),
) -> Result<(), LoadError<'m>> {
    let loaded = load(model, subgraph, kernels, words)?;
    let source = Source::new(model, subgraph)?;
    let (persistent, notes) = words.split_at_mut(loaded.persistent_words.min(words.len()));
    let Some(notes) = Notes::new(notes, &source) else {
        return Ok(());
    };
    let problem = Activations {
        spans: notes.spans,
        persistent,
        source: &source,
    };
    for (i, &offset) in notes.offsets.iter().enumerate() {
        let buffer = problem.buffer(i);
        let owner = match i.checked_sub(source.tensors) {
            None => crate::host::Owner::Tensor(i),
            Some(node) => crate::host::Owner::Scratch(node),
        };
        if buffer.size > 0 {
            each(owner, buffer, offset);
        }
    }
    Ok(())
}

/// Why preparing ended early.
enum Stop<'m> {
    Refused(LoadError<'m>),
    OutOfMemory,
}

impl<'m, E: Into<LoadError<'m>>> From<E> for Stop<'m> {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// The file.
struct Source<'m> {
    model: Model<'m>,
    subgraph: Subgraph<'m>,
    tensors: usize,
    nodes: usize,
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
        let used = source.prepare_node(kernels, index, rest)?;
        if used > rest.len() {
            return Err(Stop::OutOfMemory);
        }
        next += used;
        if next > MOST_PERSISTENT_WORDS {
            return Err(source.too_large().into());
        }
    }
    Ok(next)
}

/// The words that [`prepare`] would use, without any memory to write them to.
fn measure<'m>(source: &Source<'m>, kernels: &[Registration]) -> Result<usize, LoadError<'m>> {
    let mut words = source.tensors * TENSOR_WORDS + source.nodes;
    for tensor in 0..source.tensors {
        source.place(tensor)?;
    }
    for index in 0..source.nodes {
        let used = source.prepare_node(kernels, index, &mut [])?;
        words = words.saturating_add(used);
        if words > MOST_PERSISTENT_WORDS {
            return Err(source.too_large());
        }
    }
    Ok(words)
}

impl<'m> Source<'m> {
    fn new(model: Model<'m>, subgraph: Subgraph<'m>) -> Result<Self, LoadError<'m>> {
        let (tensors, nodes) = (subgraph.tensor_count(), subgraph.operator_count());
        let source = Self {
            model,
            subgraph,
            tensors,
            nodes,
        };
        if tensors >= usize::from(ABSENT) || nodes >= usize::from(ABSENT) {
            return Err(source.too_large());
        }
        source.check_operands()?;
        Ok(source)
    }

    /// Sees to it that no operand lists share their bytes: a small file could otherwise hold enough
    /// of them to keep the loader busy for hours.
    fn check_operands(&self) -> Result<(), LoadError<'m>> {
        let mut room = self.model.file().len() / size_of::<i32>();
        for index in 0..self.nodes {
            let operator = self.subgraph.operator(index)?;
            let operands = operator.inputs()?.len() + operator.outputs()?.len();
            room = room
                .checked_sub(operands)
                .ok_or(LoadError::TooManyOperands { index })?;
        }
        Ok(())
    }

    /// Checks a tensor and says where it is; the offset of a value is not known yet.
    fn place(&self, index: usize) -> Result<Place, LoadError<'m>> {
        let tensor = self.subgraph.tensor(index)?;
        let info = describe(&self.model, &tensor)?;
        if tensor.sparsity()?.is_some() {
            let name = self.name(index);
            return Err(LoadError::Sparse {
                tensor: index,
                name,
            });
        }
        let size = || LoadError::TensorSize {
            tensor: index,
            name: self.name(index),
        };
        let len = match info.byte_len() {
            Some(len) => len,
            // A handle or a string: no kernel computes with it, so it takes no memory.
            None if info.element_type.bits().is_none() => 0,
            None => return Err(size()),
        };
        let len = i32::try_from(len).map_err(|_| size())? as u32;
        let Some(data) = info.constant else {
            return Ok(Place::value(0, len));
        };
        if data.len() != len as usize {
            return Err(size());
        }
        self.check_alignment(index, data, info.element_type)?;
        // The view hands out parts of the file only.
        let at = (data.as_ptr() as usize).wrapping_sub(self.model.file().as_ptr() as usize);
        let at = u32::try_from(if data.is_empty() { 0 } else { at }).map_err(|_| size())?;
        Ok(Place::constant(at, len))
    }

    fn check_alignment(
        &self,
        index: usize,
        data: &[u8],
        element_type: ElementType,
    ) -> Result<(), LoadError<'m>> {
        // Files in the wild align 64-bit constants to 4 only; kernels read those as pairs of words.
        let align = element_type.bits().map_or(1, |bits| (bits / 8).clamp(1, 4));
        if data.is_empty() || (data.as_ptr() as usize).is_multiple_of(align) {
            return Ok(());
        }
        Err(LoadError::Misaligned {
            tensor: index,
            name: self.name(index),
            element_type,
        })
    }

    /// Writes the record of a node; returns the words that it takes, which may be more than there are.
    fn prepare_node(
        &self,
        kernels: &[Registration],
        index: usize,
        words: &mut [u32],
    ) -> Result<usize, LoadError<'m>> {
        let operator = self.subgraph.operator(index)?;
        let (number, kernel) = self.kernel(kernels, index, &operator)?;
        let node = FileNode::new(self.model, self.subgraph, &operator, kernel.kind)?;
        let refused = |refusal| self.refused(index, kernel, &node, refusal);
        let (Ok(inputs), Ok(outputs)) = (
            u16::try_from(node.inputs.len()),
            u8::try_from(node.outputs.len()),
        ) else {
            return Err(refused(Refusal::options(larun_kernels::Reason::TooLarge)));
        };
        let header = Header {
            kernel: number,
            inputs,
            outputs,
        };
        let before_plan = RECORD_WORDS + header.operand_words();
        let (record, plan) = words
            .split_at_mut_checked(before_plan)
            .unwrap_or((&mut [], &mut []));
        let mut plan = PlanWriter::new(plan);
        (kernel.prepare)(&node, &mut plan).map_err(refused)?;
        let too_large = || refused(Refusal::options(larun_kernels::Reason::TooLarge));
        let scratch = u32::try_from(plan.scratch_bytes()).map_err(|_| too_large())?;
        if let [head, at, len, operands @ ..] = record {
            (*head, *at, *len) = (header.pack(), 0, scratch);
            self.write_operands(index, &node, operands)?;
        }
        Ok(before_plan + plan.words_needed())
    }

    /// The kernel that runs an operator, and its number among those linked.
    fn kernel<'k>(
        &self,
        kernels: &'k [Registration],
        index: usize,
        operator: &Operator<'m>,
    ) -> Result<(u8, &'k Registration), LoadError<'m>> {
        let code = self.model.operator_code(operator.code_index()? as usize)?;
        let OperatorCode {
            code: number,
            custom_name,
            ..
        } = code;
        let kind = code.kind().ok_or(LoadError::UnsupportedOperator {
            index,
            code: number,
            name: Name(custom_name.unwrap_or_default()),
        })?;
        let mut linked = (0..=u8::MAX).zip(kernels);
        linked
            .find(|(_, kernel)| kernel.kind == kind)
            .ok_or(LoadError::NotLinked { index, kind })
    }

    fn write_operands(
        &self,
        index: usize,
        node: &FileNode<'m>,
        words: &mut [u32],
    ) -> Result<(), LoadError<'m>> {
        let numbers = node.inputs.iter().chain(node.outputs.iter());
        let slots: &mut [u16] = bytemuck::try_cast_slice_mut(words).unwrap_or_default();
        for (slot, number) in slots.iter_mut().zip(numbers) {
            *slot = match number {
                -1 => ABSENT,
                number => self.tensor_number(Some(index), number)? as u16,
            };
        }
        Ok(())
    }

    fn tensor_number(&self, index: Option<usize>, number: i32) -> Result<usize, LoadError<'m>> {
        let count = self.tensors;
        let tensor = usize::try_from(number).ok().filter(|&t| t < count);
        tensor.ok_or(LoadError::NoSuchTensor {
            index,
            tensor: number,
            count,
        })
    }

    #[cold]
    const fn too_large(&self) -> LoadError<'m> {
        LoadError::TooLarge {
            tensors: self.tensors,
            operators: self.nodes,
        }
    }

    #[cold]
    fn refused(
        &self,
        index: usize,
        kernel: &Registration,
        node: &FileNode<'m>,
        refusal: Refusal,
    ) -> LoadError<'m> {
        let number = match refusal.at {
            Site::Input(i) => node.inputs.get(i),
            Site::Output(i) => node.outputs.get(i),
            Site::Options => None,
        };
        let tensor = number.and_then(|number| self.tensor_number(None, number).ok());
        LoadError::Refused {
            index,
            kind: kernel.kind,
            refusal,
            tensor,
            name: tensor.map_or(Name(&[]), |tensor| self.name(tensor)),
        }
    }

    #[cold]
    fn name(&self, tensor: usize) -> Name<'m> {
        let tensor = self.subgraph.tensor(tensor);
        let name = tensor.and_then(|tensor| tensor.name()).ok().flatten();
        Name(name.unwrap_or_default())
    }

    /// Notes when each value is first and last alive, and checks that it is computed once, before
    /// it is read. A value that was never alive keeps [`Span::NEVER`].
    fn find_lifetimes(&self, places: &[u32], spans: &mut [Span]) -> Result<(), LoadError<'m>> {
        spans.fill(NEVER);
        let end = self.nodes.saturating_sub(1) as u32;
        for (tensor, span) in spans.iter_mut().enumerate() {
            if self.subgraph.tensor(tensor)?.is_variable()? {
                *span = [0, end];
            }
        }
        for number in self.subgraph.inputs()?.iter() {
            let tensor = self.tensor_number(None, number)?;
            touch(spans, tensor, 0);
        }
        for index in 0..self.nodes {
            let operator = self.subgraph.operator(index)?;
            for number in operator.inputs()?.iter().filter(|&number| number != -1) {
                let tensor = self.tensor_number(Some(index), number)?;
                self.read(places, spans, Some(index), tensor, index as u32)?;
            }
            for number in operator.outputs()?.iter() {
                let tensor = self.tensor_number(Some(index), number)?;
                self.write(places, spans, index, tensor)?;
            }
        }
        for number in self.subgraph.outputs()?.iter() {
            let tensor = self.tensor_number(None, number)?;
            self.read(places, spans, None, tensor, end)?;
        }
        Ok(())
    }

    fn read(
        &self,
        places: &[u32],
        spans: &mut [Span],
        index: Option<usize>,
        tensor: usize,
        at: u32,
    ) -> Result<(), LoadError<'m>> {
        if is_constant(places, tensor) {
            return Ok(());
        }
        if spans.get(tensor) == Some(&NEVER) {
            let name = self.name(tensor);
            return Err(LoadError::NotComputed {
                index,
                tensor,
                name,
            });
        }
        touch(spans, tensor, at);
        Ok(())
    }

    fn write(
        &self,
        places: &[u32],
        spans: &mut [Span],
        index: usize,
        tensor: usize,
    ) -> Result<(), LoadError<'m>> {
        let known = spans.get(tensor) != Some(&NEVER) || is_constant(places, tensor);
        if known && !self.subgraph.tensor(tensor)?.is_variable()? {
            let name = self.name(tensor);
            return Err(LoadError::WrittenTwice {
                index,
                tensor,
                name,
            });
        }
        touch(spans, tensor, index as u32);
        Ok(())
    }

    /// Bytes of an arena for so many persistent words and bytes of activations. The planner's notes
    /// share memory with the activations.
    fn needed(&self, persistent_words: usize, activation_bytes: usize) -> usize {
        let persistent = persistent_words.saturating_mul(size_of::<u32>());
        let notes = persistent.saturating_add(Notes::words(self) * size_of::<u32>());
        let activations = persistent
            .checked_next_multiple_of(ALIGNMENT)
            .unwrap_or(usize::MAX)
            .saturating_add(activation_bytes);
        notes.max(activations)
    }

    /// The error for an arena in which nothing can be planned: as much as is alive at once, at least.
    #[cold]
    fn too_small(&self, persistent_words: usize, given: usize) -> LoadError<'m> {
        let most = (0..self.nodes).map(|node| self.alive_at(node)).max();
        LoadError::Arena(ArenaTooSmall {
            needed: self.needed(persistent_words, most.unwrap_or(0)),
            given,
            exact: false,
        })
    }

    /// Bytes of the operands of a node: a lower bound of what is alive there.
    fn alive_at(&self, node: usize) -> usize {
        let Ok(operator) = self.subgraph.operator(node) else {
            return 0;
        };
        let operands = [operator.inputs(), operator.outputs()];
        let numbers = operands.into_iter().flatten().flat_map(|list| list.iter());
        numbers
            .filter_map(|number| self.place(usize::try_from(number).ok()?).ok())
            .filter(|place| !place.is_constant())
            .fold(0, |bytes, place| {
                bytes.saturating_add((place.len() as usize).next_multiple_of(ALIGNMENT))
            })
    }
}

fn is_constant(places: &[u32], tensor: usize) -> bool {
    Place::read(places, tensor).is_some_and(Place::is_constant)
}

/// The first and last node at which a value is alive.
type Span = [u32; 2];

/// A value that no node has touched.
const NEVER: Span = [u32::MAX; 2];

fn touch(spans: &mut [Span], tensor: usize, at: u32) {
    if let Some(span) = spans.get_mut(tensor) {
        let [first, last] = if *span == NEVER { [at; 2] } else { *span };
        *span = [first.min(at), last.max(at)];
    }
}

/// What planning needs in passing. Buffer `i` is tensor `i`, buffer `tensors + i` the scratch of node `i`.
struct Notes<'w> {
    spans: &'w mut [Span],
    offsets: &'w mut [u32],
    order: &'w mut [u32],
}

impl<'w> Notes<'w> {
    fn new(words: &'w mut [u32], source: &Source<'_>) -> Option<Self> {
        let buffers = source.tensors + source.nodes;
        let (spans, words) = words.split_at_mut_checked(2 * source.tensors)?;
        let (offsets, words) = words.split_at_mut_checked(buffers)?;
        Some(Self {
            spans: bytemuck::try_cast_slice_mut(spans).ok()?,
            offsets,
            order: words.get_mut(..buffers)?,
        })
    }

    const fn words(source: &Source<'_>) -> usize {
        2 * source.tensors + 2 * (source.tensors + source.nodes)
    }

    /// Plans the activations and writes the offsets where they belong; returns the bytes they take.
    fn plan<'m>(
        &mut self,
        source: &Source<'m>,
        persistent: &mut [u32],
    ) -> Result<usize, LoadError<'m>> {
        let problem = Activations {
            spans: self.spans,
            persistent,
            source,
        };
        let peak = greedy_by_size(&problem, ALIGNMENT as u32, self.offsets, self.order)
            .map_err(LoadError::Plan)?;
        let (tensors, scratch) = self
            .offsets
            .split_at_checked(source.tensors)
            .unwrap_or_default();
        for (tensor, &offset) in tensors.iter().enumerate() {
            match Place::read(persistent, tensor) {
                Some(place) if !place.is_constant() => {
                    Place::value(offset, place.len()).write(persistent, tensor);
                }
                _ => {}
            }
        }
        for (node, &offset) in scratch.iter().enumerate() {
            if let Some(at) = source
                .record(persistent, node)
                .and_then(|at| persistent.get_mut(at + 1))
            {
                *at = offset;
            }
        }
        usize::try_from(peak).map_err(|_| LoadError::Plan(PlanError::Overflow { buffer: 0 }))
    }
}

impl Source<'_> {
    /// Where the record of a node begins.
    fn record(&self, persistent: &[u32], node: usize) -> Option<usize> {
        let index = self.tensors * TENSOR_WORDS + node;
        persistent.get(index).map(|&at| at as usize)
    }
}

/// The values and scratch buffers as a planning problem.
struct Activations<'n, 'm> {
    spans: &'n [Span],
    persistent: &'n [u32],
    source: &'n Source<'m>,
}

impl Problem for Activations<'_, '_> {
    fn len(&self) -> usize {
        self.source.tensors + self.source.nodes
    }

    fn buffer(&self, i: usize) -> Buffer {
        match i.checked_sub(self.source.tensors) {
            None => self.tensor(i),
            Some(node) => self.scratch(node),
        }
        .unwrap_or_default()
    }
}

impl Activations<'_, '_> {
    fn tensor(&self, tensor: usize) -> Option<Buffer> {
        let place = Place::read(self.persistent, tensor)?;
        let &[first, last] = self.spans.get(tensor).filter(|&&span| span != NEVER)?;
        (!place.is_constant()).then(|| Buffer::new(place.len(), first, last))
    }

    fn scratch(&self, node: usize) -> Option<Buffer> {
        let record = self.source.record(self.persistent, node)?;
        let bytes = *self.persistent.get(record + 2)?;
        Some(Buffer::new(bytes, node as u32, node as u32))
    }
}
