//! A node's plan: what `prepare` works out once, kept as 32-bit words for every `invoke`.

use larun_ops::ElementType;
use larun_quant::fixed_point::{FixedMultiplier, Rounding};

use crate::{Element, InvokeError, Processor};

/// Writes a plan into memory of the caller.
///
/// When the memory runs out the writer only counts on, so that the caller can say how much is needed. With no memory
/// at all it measures.
#[derive(Debug)]
pub struct PlanWriter<'m> {
    words: &'m mut [u32],
    written: usize,
    scratch: usize,
    rounding: Rounding,
    processor: Processor,
    state: usize,
    calls: [Option<u32>; MAX_CALLS],
    resource: Option<Resource>,
}

/// The most subgraphs that one node may run.
pub const MAX_CALLS: usize = 2;

/// What a node has to do with a resource variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Its first output names one, which the node's own options identify. The interpreter sets that output when it
    /// loads the model.
    Named,
    /// Its first input names one, which must have this size.
    Used {
        /// Bytes.
        bytes: usize,
        /// Four bytes that are repeated while nothing is assigned ([`TensorInfo::zeros`](crate::TensorInfo::zeros)).
        zeros: u32,
    },
}

impl<'m> PlanWriter<'m> {
    /// A plan at the start of `words`.
    pub const fn new(words: &'m mut [u32]) -> Self {
        Self {
            words,
            written: 0,
            scratch: 0,
            rounding: Rounding::TflmDouble,
            processor: Processor::Own,
            state: 0,
            calls: [None; MAX_CALLS],
            resource: None,
        }
    }

    /// The same plan for another rounding.
    #[must_use]
    pub fn with_rounding(self, rounding: Rounding) -> Self {
        Self { rounding, ..self }
    }

    /// How requantised values are rounded.
    pub fn rounding(&self) -> Rounding {
        linked(self.rounding)
    }

    /// The same plan for the kernels of another processor. Only with the feature `processors` has a choice effect.
    #[must_use]
    pub fn with_processor(self, processor: Processor) -> Self {
        Self { processor, ..self }
    }

    /// The processor that is to run the node.
    pub(crate) const fn processor(&self) -> Processor {
        self.processor.linked()
    }

    /// The words that the plan takes, whether or not they fit.
    pub const fn words_needed(&self) -> usize {
        self.written
    }

    /// Whether all words so far fit the memory.
    pub const fn fits(&self) -> bool {
        self.written <= self.words.len()
    }

    /// The words from `start` on, to read back; `None` where not all of them fit the memory.
    pub(crate) fn written_from(&self, start: usize) -> Option<PlanReader<'_>> {
        self.words.get(start..self.written).map(PlanReader::new)
    }

    /// The bytes of scratch memory that the node asks for, 0 for none.
    pub const fn scratch_bytes(&self) -> usize {
        self.scratch
    }

    /// Asks for scratch memory, aligned to 16 bytes, for the time of an `invoke`. The largest request counts.
    pub fn request_scratch(&mut self, bytes: usize) {
        self.scratch = self.scratch.max(bytes);
    }

    /// The bytes that the node keeps from one inference to the next, 0 for none.
    pub const fn state_bytes(&self) -> usize {
        self.state
    }

    /// Asks for memory, aligned to 8 bytes, that the node keeps from one inference to the next
    /// ([`Io::node_state`](crate::Io::node_state)): zeros at first, and after a reset. The largest request counts.
    pub fn request_state(&mut self, bytes: usize) {
        self.state = self.state.max(bytes);
    }

    /// The subgraphs that the node runs.
    pub const fn calls(&self) -> [Option<u32>; MAX_CALLS] {
        self.calls
    }

    /// Says that the node runs a subgraph, which must not lead back to the node. Only an operator with a
    /// [`Step`](crate::Step) may; its scratch memory is the subgraph's.
    pub fn request_call(&mut self, subgraph: u32) {
        if let Some(free) = self.calls.iter_mut().find(|call| call.is_none()) {
            *free = Some(subgraph);
        }
    }

    /// The resource variable that the node names or uses.
    pub const fn resource(&self) -> Option<Resource> {
        self.resource
    }

    /// Says that the node names or uses a resource variable.
    pub fn request_resource(&mut self, resource: Resource) {
        self.resource = Some(resource);
    }

    /// Writes a word.
    #[inline(never)]
    pub fn push_u32(&mut self, value: u32) {
        if let Some(word) = self.words.get_mut(self.written) {
            *word = value;
        }
        self.written = self.written.saturating_add(1);
    }

    /// Writes an integer.
    pub fn push_i32(&mut self, value: i32) {
        self.push_u32(value as u32);
    }

    /// Writes a real number.
    pub fn push_f32(&mut self, value: f32) {
        self.push_u32(value.to_bits());
    }

    /// Writes a size. `prepare` has seen to it that every tensor is below 2 GiB; a larger size saturates.
    pub fn push_usize(&mut self, value: usize) {
        self.push_u32(u32::try_from(value).unwrap_or(u32::MAX));
    }

    /// Writes a fixed-point multiplier: two words.
    pub fn push_multiplier(&mut self, value: FixedMultiplier) {
        self.push_i32(value.multiplier);
        self.push_i32(value.shift);
    }

    /// Writes bytes, packed four a word, the last word filled up with zeros.
    pub fn push_i8s(&mut self, bytes: impl IntoIterator<Item = i8>) {
        let mut bytes = bytes.into_iter().map(|byte| byte as u8);
        while let Some(first) = bytes.next() {
            let [b, c, d] = core::array::from_fn(|_| bytes.next().unwrap_or(0));
            self.push_u32(u32::from_ne_bytes([first, b, c, d]));
        }
    }

    /// Writes a table of multipliers: `count` words, then `count` shifts packed four a word. `multiplier` is asked once
    /// a channel.
    ///
    /// # Errors
    /// The first error of `multiplier`.
    pub fn push_multipliers<E>(
        &mut self,
        count: usize,
        mut multiplier: impl FnMut(usize) -> Result<FixedMultiplier, E>,
    ) -> Result<(), E> {
        let start = self.written;
        self.written = start
            .saturating_add(count)
            .saturating_add(count.div_ceil(4));
        let table = self.words.get_mut(start..self.written).unwrap_or_default();
        table.fill(0);
        let (words, packed) = table.split_at_mut_checked(count).unwrap_or_default();
        let shifts: &mut [i8] = bytemuck::cast_slice_mut(packed);
        for channel in 0..count {
            let fixed = multiplier(channel)?;
            if let (Some(word), Some(shift)) = (words.get_mut(channel), shifts.get_mut(channel)) {
                *word = fixed.multiplier as u32;
                // `FixedMultiplier::from_real` gives shifts in -31..=30.
                *shift = fixed.shift as i8;
            }
        }
        Ok(())
    }
}

impl PlanWriter<'_> {
    /// Writes a table of `count` entries of whole words, each asked for once. Nothing is asked for where there is no
    /// room.
    pub(crate) fn push_table<T: Element>(
        &mut self,
        count: usize,
        mut entry: impl FnMut(usize) -> T,
    ) {
        let start = self.written;
        let words = count.saturating_mul(size_of::<T>() / size_of::<u32>());
        self.written = start.saturating_add(words);
        let table = self.words.get_mut(start..self.written).unwrap_or_default();
        let table: &mut [T] = bytemuck::try_cast_slice_mut(table).unwrap_or_default();
        for (index, slot) in table.iter_mut().enumerate() {
            *slot = entry(index);
        }
    }
}

/// Reads a plan back in the order in which it was written.
#[derive(Clone, Copy, Debug)]
pub struct PlanReader<'m> {
    words: &'m [u32],
    rounding: Rounding,
}

impl<'m> PlanReader<'m> {
    /// The plan in `words`.
    pub const fn new(words: &'m [u32]) -> Self {
        Self {
            words,
            rounding: Rounding::TflmDouble,
        }
    }

    /// The same plan for another rounding.
    #[must_use]
    pub fn with_rounding(self, rounding: Rounding) -> Self {
        Self { rounding, ..self }
    }

    /// How requantised values are rounded.
    #[inline]
    pub fn rounding(&self) -> Rounding {
        linked(self.rounding)
    }

    /// The words that were not read.
    #[cfg(feature = "processors")]
    pub(crate) const fn rest(&self) -> &'m [u32] {
        self.words
    }

    /// Borrows the next `len` words.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub fn take_words(&mut self, len: usize) -> Result<&'m [u32], InvokeError> {
        let (taken, rest) = self.words.split_at_checked(len).ok_or(InvokeError::Plan)?;
        self.words = rest;
        Ok(taken)
    }

    /// The next `N` words as sizes.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub(crate) fn take_sizes<const N: usize>(&mut self) -> Result<[usize; N], InvokeError> {
        let (sizes, rest) = self.words.split_first_chunk().ok_or(InvokeError::Plan)?;
        self.words = rest;
        Ok(sizes.map(|size| size as usize))
    }

    /// Borrows a table of `count` entries of whole words.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub(crate) fn take_table<T: Element>(&mut self, count: usize) -> Result<&'m [T], InvokeError> {
        let words = count.checked_mul(size_of::<T>() / size_of::<u32>());
        let words = self.take_words(words.ok_or(InvokeError::Plan)?)?;
        bytemuck::try_cast_slice(words).map_err(|_| InvokeError::Plan)
    }

    /// Borrows the next `len` integers.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub fn take_i32s(&mut self, len: usize) -> Result<&'m [i32], InvokeError> {
        self.take_words(len).map(bytemuck::cast_slice)
    }

    /// Borrows the next `len` packed bytes.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub fn take_i8s(&mut self, len: usize) -> Result<&'m [i8], InvokeError> {
        let bytes: &[i8] = bytemuck::cast_slice(self.take_words(len.div_ceil(4))?);
        bytes.get(..len).ok_or(InvokeError::Plan)
    }

    /// Reads a word.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub fn read_u32(&mut self) -> Result<u32, InvokeError> {
        let (&word, rest) = self.words.split_first().ok_or(InvokeError::Plan)?;
        self.words = rest;
        Ok(word)
    }

    /// Reads an integer.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub fn read_i32(&mut self) -> Result<i32, InvokeError> {
        self.read_u32().map(|word| word as i32)
    }

    /// Reads a real number.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub fn read_f32(&mut self) -> Result<f32, InvokeError> {
        self.read_u32().map(f32::from_bits)
    }

    /// Reads a size.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub fn read_usize(&mut self) -> Result<usize, InvokeError> {
        usize::try_from(self.read_u32()?).map_err(|_| InvokeError::Plan)
    }

    /// Reads a fixed-point multiplier.
    ///
    /// # Errors
    /// [`InvokeError::Plan`] when the plan is shorter.
    pub fn read_multiplier(&mut self) -> Result<FixedMultiplier, InvokeError> {
        Ok(FixedMultiplier {
            multiplier: self.read_i32()?,
            shift: self.read_i32()?,
        })
    }
}

/// The rounding asked for. Without the feature `roundings` it is known when the program is built, and no other is linked.
#[inline]
pub(crate) const fn linked(rounding: Rounding) -> Rounding {
    if cfg!(feature = "roundings") {
        rounding
    } else {
        Rounding::TflmDouble
    }
}

/// What can be written to a plan and read back.
pub(crate) trait Record: Sized {
    fn write(&self, plan: &mut PlanWriter<'_>);
    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError>;
}

macro_rules! primitive_record {
    ($($type:ty: $push:ident, $read:ident;)*) => {$(
        impl Record for $type {
            fn write(&self, plan: &mut PlanWriter<'_>) {
                plan.$push(*self);
            }

            fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
                plan.$read()
            }
        }
    )*};
}

primitive_record! {
    u32: push_u32, read_u32;
    i32: push_i32, read_i32;
    f32: push_f32, read_f32;
    usize: push_usize, read_usize;
    FixedMultiplier: push_multiplier, read_multiplier;
}

/// The rounding is the whole plan's and takes no word of it.
impl Record for Rounding {
    fn write(&self, _: &mut PlanWriter<'_>) {}

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(plan.rounding())
    }
}

impl Record for bool {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        plan.push_u32(u32::from(*self));
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        plan.read_u32().map(|word| word != 0)
    }
}

impl Record for ElementType {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        plan.push_u32(self.code() as u32);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        let code = i8::try_from(plan.read_u32()?).ok();
        code.and_then(Self::from_code).ok_or(InvokeError::Plan)
    }
}

impl<T: Record + Copy + Default, const N: usize> Record for [T; N] {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.iter().for_each(|item| item.write(plan));
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        let mut items = [T::default(); N];
        for item in &mut items {
            *item = T::read(plan)?;
        }
        Ok(items)
    }
}

/// Declares a struct whose fields go to a plan one after the other.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$fmeta:meta])* $fvis:vis $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        $vis struct $name {
            $($(#[$fmeta])* $fvis $field: $type,)*
        }

        impl $crate::plan::Record for $name {
            fn write(&self, plan: &mut $crate::PlanWriter<'_>) {
                $($crate::plan::Record::write(&self.$field, plan);)*
            }

            fn read(plan: &mut $crate::PlanReader<'_>) -> Result<Self, $crate::InvokeError> {
                Ok(Self { $($field: $crate::plan::Record::read(plan)?,)* })
            }
        }
    };
}

pub(crate) use record;
