//! Operators that pick slices by their numbers: GATHER, GATHER_ND and EMBEDDING_LOOKUP.

use larun_ops::{ElementType, MAX_RANK, Op, op};

use super::bytes::{Integers, are_wide, copy};
use super::transfer::moved;
use crate::operand::{Operand, wrong_op};
use crate::plan::{Record, record};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

record! {
    /// Slices of an axis, picked by as many lists of numbers as there are batches.
    struct Gather {
        /// Whether the numbers have 8 bytes.
        is_wide: bool,
        /// Batches.
        batch: usize,
        /// Elements of the axes between the batch's and the one picked from.
        outer: usize,
        /// Slices to pick from.
        len: usize,
        /// Numbers in a list.
        picked: usize,
        /// Bytes of a slice.
        run: usize,
    }
}

impl Kernel for op::Gather {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Gather(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, _, element) = moved(node, 0)?;
        let indices = Operand::input(node, 1)?;
        let (shape, listed) = (input.info.shape, indices.info.shape);
        let refusal = |error| Refusal::options(Reason::Shape(error));
        let (axis, shared) = options.axes(&shape, &listed).map_err(refusal)?;
        let too_large = input.refuse(Reason::TooLarge);
        let product = |dims: &[usize]| {
            let product = dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
            product.ok_or(too_large)
        };
        let dims = shape.dims();
        let (batch, rest) = dims.split_at_checked(shared).unwrap_or_default();
        let outer = rest.get(..axis.saturating_sub(shared)).unwrap_or(&[]);
        let inner = input.inner_len(axis + 1)?.checked_mul(element);
        Gather {
            is_wide: are_wide(&indices)?,
            batch: product(batch)?,
            outer: product(outer)?,
            len: dims.get(axis).copied().unwrap_or(0),
            picked: indices.inner_len(shared)?,
            run: inner.ok_or(too_large)?,
        }
        .write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let gather = Gather::read(&mut plan)?;
        let output = io.output::<u8>(0)?;
        let io = io.freeze();
        let indices = Integers::new(io.input(1)?, gather.is_wide);
        gather.run(io.input(0)?, &indices, Memory::input(1), output)
    }
}

impl Gather {
    fn run(
        &self,
        input: &[u8],
        indices: &Integers<'_>,
        at: Memory,
        output: &mut [u8],
    ) -> Result<(), InvokeError> {
        let mut factors = [self.batch, self.outer, self.picked, self.run].into_iter();
        let bytes = factors.try_fold(1usize, usize::checked_mul);
        let bytes = bytes.ok_or(InvokeError::Plan)?;
        check_len(Memory::output(0), output.len(), bytes)?;
        if bytes == 0 {
            return Ok(());
        }
        let lists = self.picked.wrapping_mul(self.batch);
        check_len(at, indices.len(), lists)?;
        let rows = output.chunks_exact_mut(self.picked.wrapping_mul(self.run));
        for (number, row) in rows.enumerate() {
            let axis = input.get(number.wrapping_mul(self.len).wrapping_mul(self.run)..);
            let axis = axis.ok_or(InvokeError::Plan)?;
            let list = number / self.outer.max(1) * self.picked;
            for (i, place) in row.chunks_exact_mut(self.run).enumerate() {
                let index = indices.below(list + i, self.len);
                let index = index.ok_or(InvokeError::OutOfRange(at))?;
                let slice = axis.get(index.wrapping_mul(self.run)..);
                let slice = slice.and_then(|slice| slice.get(..self.run));
                copy(place, slice.ok_or(InvokeError::Plan)?);
            }
        }
        Ok(())
    }
}

impl Kernel for op::GatherNd {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, _, element) = moved(node, 0)?;
        let indices = Operand::input(node, 1)?;
        are_wide(&indices)?.write(plan);
        let named = indices.info.shape.last();
        let run = input.inner_len(named)?.checked_mul(element);
        plan.push_usize(run.ok_or(input.refuse(Reason::TooLarge))?);
        plan.push_usize(named);
        let dims = input.info.shape.dims().iter().zip(input.strides()?);
        for (&dim, step) in dims.take(named) {
            [dim, step.wrapping_mul(element)].write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let is_wide = bool::read(&mut plan)?;
        let (run, named) = (plan.read_usize()?, plan.read_usize()?);
        let mut places = [[0; 2]; MAX_RANK];
        let axes = places.get_mut(..named).ok_or(InvokeError::Plan)?;
        for axis in axes.iter_mut() {
            *axis = Record::read(&mut plan)?;
        }
        let output = io.output::<u8>(0)?;
        let io = io.freeze();
        let input = io.input::<u8>(0)?;
        let indices = Integers::new(io.input(1)?, is_wide);
        if run == 0 {
            return check_len(Memory::output(0), output.len(), 0);
        }
        let out_of_range = InvokeError::OutOfRange(Memory::input(1));
        check_len(Memory::input(1), indices.len(), output.len() / run * named)?;
        for (number, place) in output.chunks_exact_mut(run).enumerate() {
            let mut from = 0usize;
            for (i, &[dim, step]) in axes.iter().enumerate() {
                let index = indices.below(number * named + i, dim);
                from = from.wrapping_add(index.ok_or(out_of_range)?.wrapping_mul(step));
            }
            let slice = input.get(from..).and_then(|slice| slice.get(..run));
            copy(place, slice.ok_or(InvokeError::Plan)?);
        }
        Ok(())
    }
}

impl Kernel for op::EmbeddingLookup {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (ids, table) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
        let output = Operand::output(node, 0)?;
        let is_wide = are_wide(&ids)?;
        let rows = table.info.shape.dims().first().copied().unwrap_or(0);
        let is_hybrid = table.info.element_type == ElementType::Int8
            && output.info.element_type == ElementType::Float32;
        if !is_hybrid {
            output.takes_from(&table)?;
        }
        let run = table.inner_len(1)?.checked_mul(table.element_len()?);
        Gather {
            is_wide,
            batch: 1,
            outer: 1,
            len: rows,
            picked: ids.elements()?,
            run: run.ok_or(table.refuse(Reason::TooLarge))?,
        }
        .write(plan);
        is_hybrid.write(plan);
        if is_hybrid {
            let scales = table.weight_scales(0, rows)?.max(1);
            plan.push_usize(scales);
            for row in 0..scales {
                plan.push_f32(table.scale(row)?);
            }
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let gather = Gather::read(&mut plan)?;
        let at = Memory::input(0);
        if !bool::read(&mut plan)? {
            let output = io.output::<u8>(0)?;
            let io = io.freeze();
            let ids = Integers::new(io.input(0)?, gather.is_wide);
            return gather.run(io.input(1)?, &ids, at, output);
        }
        let count = plan.read_usize()?;
        let scales = plan.take_words(count)?;
        let output = io.output::<f32>(0)?;
        let io = io.freeze();
        let ids = Integers::new(io.input(0)?, gather.is_wide);
        embed(&gather, scales, io.input(1)?, &ids, output)
    }
}

/// Rows of an INT8 table as real numbers; one scale, or one for every row, as the bits of an `f32`.
fn embed(
    gather: &Gather,
    scales: &[u32],
    table: &[i8],
    ids: &Integers<'_>,
    output: &mut [f32],
) -> Result<(), InvokeError> {
    let expected = gather.picked.checked_mul(gather.run);
    let expected = expected.ok_or(InvokeError::Plan)?;
    check_len(Memory::output(0), output.len(), expected)?;
    check_len(Memory::input(0), ids.len(), gather.picked)?;
    for (i, place) in output.chunks_exact_mut(gather.run.max(1)).enumerate() {
        let row = ids.below(i, gather.len);
        let row = row.ok_or(InvokeError::OutOfRange(Memory::input(0)))?;
        let values = table.get(row.wrapping_mul(gather.run)..);
        let values = values.ok_or(InvokeError::Plan)?;
        let scale = scales.get(row).or(scales.first());
        let scale = f32::from_bits(*scale.ok_or(InvokeError::Plan)?);
        for (place, &value) in place.iter_mut().zip(values) {
            *place = f32::from(value) * scale;
        }
    }
    Ok(())
}
