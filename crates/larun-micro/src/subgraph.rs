//! Loading one subgraph: its tensors' places, its nodes' records, when each value is alive, and the plan of its
//! activations.

use larun_kernels::{Reason, Refusal, Resource as Use};
use larun_ops::{InPlace, Role};

use crate::activations::{Owner, Span};
use crate::error::LoadError;
use crate::layout::{ABSENT, Header, Listed, MEMORY_WORDS, Place, TABLE_WORDS, TENSOR_WORDS};
use crate::load::{Each, LOOKS_AHEAD, Loader, MOST_DEPTH, STATE, STATE_ALIGNMENT, SUBGRAPHS, Stop};
use crate::node::Node;
use crate::source::Source;
use crate::workspace::put;

impl<'m> Loader<'_, 'm, '_> {
    /// Loads a subgraph; returns its entry in the directory.
    #[inline(never)]
    pub(crate) fn load_subgraph(
        &mut self,
        source: &Source<'_, 'm>,
        each: &mut Each<'_>,
    ) -> Result<Listed, Stop> {
        let start = self.work.kept();
        let entries = source.tensors * TENSOR_WORDS + source.nodes;
        self.work.take(TABLE_WORDS + entries)?;
        self.work.begin_notes(source.tensors)?;
        self.work.write_kept(start, &source.header()?);
        for tensor in 0..source.tensors {
            self.load_tensor(source, start, tensor)?;
        }
        for number in source.inputs()?.iter() {
            let tensor = source.tensor_number(None, number)?;
            self.touch(tensor, 0);
        }
        self.note_encoded(source)?;
        // The main subgraph is above any other.
        let most = MOST_DEPTH - usize::from(source.number != 0);
        let mut levels = 1;
        for index in 0..source.nodes {
            levels = levels.max(1 + self.load_node(source, start, index)?);
            if levels > most {
                return Err(source.too_deep(index));
            }
        }
        let end = source.nodes.saturating_sub(1);
        for number in source.outputs()?.iter() {
            let tensor = source.tensor_number(None, number)?;
            self.read(source, None, tensor, end)?;
        }
        let activations = self.plan(source, start, each)?;
        self.work.end_notes();
        Ok(Listed {
            start,
            levels,
            activations,
        })
    }

    fn load_tensor(
        &mut self,
        source: &Source<'_, 'm>,
        start: usize,
        tensor: usize,
    ) -> Result<(), Stop> {
        let (mut place, is_variable) = source.place(tensor)?;
        if is_variable {
            let at = self
                .keep_state(place.len())
                .ok_or_else(|| source.too_large())?;
            place = Place::state(at, place.len() as u32);
        }
        if is_variable || place.is_constant() {
            self.work.set_span(tensor, Span::Elsewhere);
        }
        self.write_place(start, tensor, place);
        Ok(())
    }

    fn write_place(&mut self, start: usize, tensor: usize, place: Place) {
        let at = start + TABLE_WORDS + tensor * TENSOR_WORDS;
        self.work.write_kept(at, &place.words());
    }

    /// Takes memory that is kept from one inference to the next; returns its offset.
    pub(crate) fn keep_state(&mut self, bytes: usize) -> Option<u32> {
        let at = self.state_bytes.checked_next_multiple_of(STATE_ALIGNMENT)?;
        let end = at.checked_add(bytes)?;
        i32::try_from(end).ok()?;
        self.state_bytes = end;
        Some(at as u32)
    }

    /// Returns how many levels of subgraphs the node runs.
    #[inline(never)]
    fn load_node(
        &mut self,
        source: &Source<'_, 'm>,
        start: usize,
        index: usize,
    ) -> Result<usize, Stop> {
        let mut node = source.node(index)?;
        if !LOOKS_AHEAD {
            let operands = node.file.inputs.len() + node.file.outputs.len();
            self.spared.spend_node(source, index, operands)?;
        }
        let taker = self.taker(source, &node)?;
        if let Some(taker) = &taker {
            let (kernel, added) = taker.kernel();
            (node.number, node.added) = (kernel, Some(added));
        }
        let mut header = node.header()?;
        let before_plan = 1 + header.operand_words();
        let free = self.work.free();
        let plan = free.get_mut(before_plan..).unwrap_or_default();
        let plan = node.prepare(plan, taker.as_ref())?;
        let plan_words = plan.words_needed();
        let (scratch, state) = match taker {
            Some(_) => (0, 0),
            None => (plan.scratch_bytes(), plan.state_bytes()),
        };
        let (calls, resource) = (plan.calls(), plan.resource());

        if !SUBGRAPHS && (node.kernel.control.is_some() || resource.is_some()) {
            let feature = "subgraphs";
            return Err(node.refused(Refusal::options(Reason::LeftOut { feature })));
        }
        if !STATE && state > 0 {
            let feature = "state";
            return Err(node.refused(Refusal::options(Reason::LeftOut { feature })));
        }
        let too_large = || node.refused(Refusal::options(Reason::TooLarge));
        let mut scratch = u32::try_from(scratch).map_err(|_| too_large())?;
        let mut levels = 0;
        for callee in calls.into_iter().flatten().filter(|_| SUBGRAPHS) {
            let callee = self.listed(callee as usize).ok_or_else(too_large)?;
            scratch = scratch.max(callee.activations);
            levels = levels.max(callee.levels);
        }
        let state_at = match STATE {
            true => self.keep_state(state).ok_or_else(too_large)?,
            false => 0,
        };
        (header.scratch, header.state) = (scratch > 0, STATE && state > 0);
        let memory = [[0, scratch], [state_at, state as u32]];

        self.note_lifetimes(source, start, &node)?;
        let record = self.work.kept();
        let entry = start + TABLE_WORDS + source.tensors * TENSOR_WORDS + index;
        self.work.write_kept(entry, &[record as u32]);
        self.write_record(&node, header, memory, before_plan, plan_words)?;
        let words = before_plan
            .saturating_add(header.memory_words())
            .saturating_add(plan_words);
        self.work.taken(words)?;
        self.spared.check_words(source, self.work.kept())?;
        if scratch > 0 {
            self.work.push_buffer(Owner::Scratch(index), scratch)?;
        }
        match resource.filter(|_| SUBGRAPHS) {
            Some(Use::Named) => self.name_resource(source, start, &node)?,
            Some(Use::Used { bytes, zeros }) => self.use_resource(&node, bytes, zeros)?,
            None => {}
        }
        Ok(levels)
    }

    /// Writes what comes before a plan, and moves the plan behind it.
    fn write_record(
        &mut self,
        node: &Node<'_, '_, 'm>,
        header: Header,
        memory: [[u32; 2]; 2],
        before_plan: usize,
        plan_words: usize,
    ) -> Result<(), Stop> {
        let free = self.work.free();
        let shift = header.memory_words();
        // The last word first, since the plan moves by less than its length.
        for at in (before_plan..before_plan.saturating_add(plan_words)).rev() {
            let word = free.get(at).copied().unwrap_or_default();
            put(free, at + shift, &[word]);
        }
        put(free, 0, &[header.pack()]);
        let [scratch, state] = memory;
        if header.state {
            put(free, 1 + shift - MEMORY_WORDS, &state);
        }
        if header.scratch {
            put(free, 1, &scratch);
        }
        let operands = free.get_mut(1 + shift..1 + shift + header.operand_words());
        let operands = operands.and_then(|words| bytemuck::try_cast_slice_mut(words).ok());
        let slots: &mut [u16] = operands.unwrap_or_default();
        node.operands(|slot, tensor| {
            if let Some(slot) = slots.get_mut(slot) {
                *slot = tensor.map_or(ABSENT, |tensor| tensor as u16);
            }
        })
    }

    /// Notes when the operands of a node are alive, and checks that each is computed once, before it is read.
    fn note_lifetimes(
        &mut self,
        source: &Source<'_, 'm>,
        start: usize,
        node: &Node<'_, '_, 'm>,
    ) -> Result<(), Stop> {
        let index = node.index;
        node.check_state()?;
        for number in node.file.inputs.iter().filter(|&number| number != -1) {
            let tensor = source.tensor_number(Some(index), number)?;
            self.read(source, Some(index), tensor, index)?;
        }
        let viewed = self.viewed(source, node)?;
        for (output, number) in node.file.outputs.iter().enumerate() {
            let tensor = source.tensor_number(Some(index), number)?;
            if self.work.span(tensor) == Span::Encoded(index as u16) {
                self.write_place(start, tensor, Place::value(0, 0));
                continue;
            }
            if self.work.span(tensor) != Span::NEVER {
                let role = node.kernel.info.output(output).map(|output| output.role);
                if STATE && role == Some(Role::State) && source.is_variable(tensor)? {
                    continue;
                }
                return Err(source.written_twice(index, tensor));
            }
            match viewed {
                Some(viewed) => self.work.set_span(tensor, Span::View(viewed)),
                None => self.touch(tensor, index),
            }
        }
        Ok(())
    }

    /// The tensor whose memory the output of a node shares, which holds the same bytes for good.
    fn viewed(
        &self,
        source: &Source<'_, 'm>,
        node: &Node<'_, '_, 'm>,
    ) -> Result<Option<u16>, Stop> {
        if node.kernel.info.in_place != InPlace::View {
            return Ok(None);
        }
        let Some(number) = node.file.inputs.get(0) else {
            return Ok(None);
        };
        let tensor = source.tensor_number(Some(node.index), number)?;
        Ok(match self.work.span(tensor) {
            Span::Alive { .. } => Some(tensor as u16),
            Span::View(viewed) => Some(viewed),
            Span::Elsewhere | Span::Handle(_) | Span::Encoded(_) => None,
        })
    }

    fn read(
        &mut self,
        source: &Source<'_, 'm>,
        index: Option<usize>,
        tensor: usize,
        at: usize,
    ) -> Result<(), Stop> {
        let is_computed = match self.work.span(tensor) {
            Span::NEVER => false,
            Span::Encoded(node) => usize::from(node) < at,
            _ => true,
        };
        if !is_computed {
            return Err(source.not_computed(index, tensor));
        }
        self.touch(tensor, at);
        Ok(())
    }

    fn touch(&mut self, tensor: usize, at: usize) {
        let tensor = match self.work.span(tensor) {
            Span::View(viewed) => usize::from(viewed),
            _ => tensor,
        };
        let span = self.work.span(tensor);
        self.work.set_span(tensor, span.with(at as u16));
    }

    /// Plans the activations and writes the offsets where they belong; returns the bytes they take.
    #[inline(never)]
    fn plan(
        &mut self,
        source: &Source<'_, 'm>,
        start: usize,
        each: &mut Each<'_>,
    ) -> Result<u32, Stop> {
        for tensor in 0..source.tensors {
            if self.work.span(tensor).alive().is_some() {
                let (place, _) = source.place(tensor)?;
                if place.len() > 0 {
                    self.work
                        .push_buffer(Owner::Tensor(tensor), place.len() as u32)?;
                }
            }
        }
        let bytes = self.work.plan(source.offline_plan()?)?;
        let bytes = bytes.map_err(|error| source.request.stop(LoadError::Plan(error)))?;
        let mut next = 0;
        while let Some((owner, buffer, offset)) = self.work.planned(next) {
            next += 1;
            if source.number == 0 {
                each(owner, buffer, offset);
            }
            match owner {
                Owner::Tensor(tensor) => {
                    self.write_place(start, tensor, Place::value(offset, buffer.size));
                }
                Owner::Scratch(node) => {
                    let entry = start + TABLE_WORDS + source.tensors * TENSOR_WORDS + node;
                    if let Some(&record) = self.work.kept_words().get(entry) {
                        self.work.write_kept(record as usize + 1, &[offset]);
                    }
                }
            }
        }
        self.place_views(source, start);
        Ok(bytes)
    }

    /// A view lies where the viewed tensor does.
    fn place_views(&mut self, source: &Source<'_, 'm>, start: usize) {
        for tensor in 0..source.tensors {
            if let Span::View(viewed) = self.work.span(tensor) {
                let at = |tensor: usize| start + TABLE_WORDS + tensor * TENSOR_WORDS;
                if let Some(&offset) = self.work.kept_words().get(at(viewed.into())) {
                    self.work.write_kept(at(tensor), &[offset]);
                }
            }
        }
    }
}
