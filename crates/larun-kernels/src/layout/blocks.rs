//! Operators that move blocks of space into channels or batches, and back.

use larun_ops::{ElementType, Op, op};

use super::bytes::repeat;
use super::pad::zeros;
use super::transfer::{Transfer, axes, invoke_transfer, moved};
use crate::axes::{Axes, Axis};
use crate::operand::{Operand, wrong_op};
use crate::plan::{Record, record};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

impl Kernel for op::SpaceToDepth {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SpaceToDepth(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output, _) = moved(node, 0)?;
        depth_blocks(node, &output, &input, options.block_size, [1, 0])?.write(plan);
        Ok(())
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_transfer(plan, io, 0)
    }
}

impl Kernel for op::DepthToSpace {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::DepthToSpace(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (input, output, _) = moved(node, 0)?;
        depth_blocks(node, &input, &output, options.block_size, [0, 1])?.write(plan);
        Ok(())
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke_transfer(plan, io, 0)
    }
}

/// Channels of the `deep` tensor as blocks of the `wide` one; `order` says which of `[wide, deep]` is output and input.
fn depth_blocks(
    node: &dyn NodeView,
    deep: &Operand<'_>,
    wide: &Operand<'_>,
    block: i32,
    [to, from]: [usize; 2],
) -> Result<Transfer, Refusal> {
    let (_, _, element) = moved(node, 0)?;
    let [batch, height, width, depth] = deep.nhwc()?;
    let [_, _, wide_width, channels] = wide.nhwc()?;
    let block = usize::try_from(block).unwrap_or(0);
    let (row, deep_row) = (wide_width.wrapping_mul(channels), width.wrapping_mul(depth));
    // A row of a block has its pixels' channels one after the other in both.
    let run = block.wrapping_mul(channels);
    let image = height.wrapping_mul(deep_row);
    let parts = [
        (batch, [image, image]),
        (height, [row.wrapping_mul(block), deep_row]),
        (block, [row, run]),
        (width, [run, depth]),
        (run, [1, 1]),
    ];
    let ordered = parts.map(|(len, steps)| {
        let step = |which| steps.get::<usize>(which).copied().unwrap_or(0);
        (len, [step(to), step(from)])
    });
    Ok(Transfer::new(axes(ordered)?, [0, 0], element))
}

record! {
    /// Images taken apart into blocks: pixel `(i, j)` of every block makes an image of the `cells` tensor.
    struct Blocks {
        /// Four bytes of elements that stand for 0.
        zeros: u32,
        /// Images.
        batch: usize,
        /// Height and width of a block.
        block: [usize; 2],
        /// Border above and to the left of the images, part of the blocks.
        border: [usize; 2],
        /// Height and width of the images.
        space: [usize; 2],
        /// Height and width in blocks.
        cells: [usize; 2],
        /// Bytes of a pixel.
        pixel: usize,
    }
}

impl Kernel for op::SpaceToBatchNd {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, output, _) = moved(node, 0)?;
        Blocks::new(node, &input, &output)?.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let blocks = Blocks::read(&mut plan)?;
        let output = io.output::<u8>(0)?;
        let input = io.freeze().input::<u8>(0)?;
        blocks.check((Memory::input(0), input), (Memory::output(0), output))?;
        repeat(output, &blocks.zeros.to_le_bytes());
        blocks.for_each(|part| part.run(output, input))
    }
}

impl Kernel for op::BatchToSpaceNd {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, output, _) = moved(node, 0)?;
        Blocks::new(node, &output, &input)?.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let blocks = Blocks::read(&mut plan)?;
        let output = io.output::<u8>(0)?;
        let input = io.freeze().input::<u8>(0)?;
        blocks.check((Memory::output(0), output), (Memory::input(0), input))?;
        blocks.for_each(|part| part.swapped().run(output, input))
    }
}

impl Blocks {
    /// The blocks of `space`, whose pixels `cells` has, as the node's second and third input say.
    fn new(node: &dyn NodeView, space: &Operand<'_>, cells: &Operand<'_>) -> Result<Self, Refusal> {
        let (sizes, borders) = (Operand::input(node, 1)?, Operand::input(node, 2)?);
        sizes.has_type(ElementType::Int32)?;
        let (sizes, borders) = (sizes.constant_ints()?, borders.constant_ints()?);
        let size = |value: Option<&i32>| value.and_then(|&value| usize::try_from(value).ok());
        let [batch, space_h, space_w, channels] = image(space)?;
        let [_, cells_h, cells_w, _] = image(cells)?;
        let pixel = channels.checked_mul(space.element_len()?);
        Ok(Self {
            zeros: zeros(&Operand::output(node, 0)?)?,
            batch,
            block: [
                size(sizes.first()).unwrap_or(1),
                size(sizes.get(1)).unwrap_or(1),
            ],
            border: [
                size(borders.first()).unwrap_or(0),
                size(borders.get(2)).unwrap_or(0),
            ],
            space: [space_h, space_w],
            cells: [cells_h, cells_w],
            pixel: pixel.ok_or(space.refuse(Reason::TooLarge))?,
        })
    }

    /// Checks the lengths of both tensors.
    fn check(&self, space: (Memory, &[u8]), cells: (Memory, &[u8])) -> Result<(), InvokeError> {
        let [space_h, space_w] = self.space;
        let [cells_h, cells_w] = self.cells;
        let [block_h, block_w] = self.block;
        for ((memory, bytes), factors) in [
            (space, [space_h, space_w, 1, 1]),
            (cells, [cells_h, cells_w, block_h, block_w]),
        ] {
            let mut factors = [self.batch, self.pixel].into_iter().chain(factors);
            let expected = factors.try_fold(1usize, usize::checked_mul);
            check_len(memory, bytes.len(), expected.ok_or(InvokeError::Plan)?)?;
        }
        Ok(())
    }

    /// The transfers from space to cells, one for each pixel of a block.
    fn for_each(
        &self,
        mut run: impl FnMut(Transfer) -> Result<(), InvokeError>,
    ) -> Result<(), InvokeError> {
        let [cells_h, cells_w] = self.cells;
        let image = cells_h.wrapping_mul(cells_w).wrapping_mul(self.pixel);
        if self.batch.wrapping_mul(image) == 0 {
            return Ok(());
        }
        let [block_h, block_w] = self.block;
        let mut start = 0usize;
        for i in 0..block_h {
            for j in 0..block_w {
                run(self.part([i, j])?.offset([start, 0]))?;
                start = start.wrapping_add(self.batch.wrapping_mul(image));
            }
        }
        Ok(())
    }

    /// The transfer of one pixel of every block.
    fn part(&self, at: [usize; 2]) -> Result<Transfer, InvokeError> {
        let [rows, columns] = [self.visible(0, at[0]), self.visible(1, at[1])];
        let [block_h, block_w] = self.block;
        let (space_row, cells_row) = (
            self.space[1].wrapping_mul(self.pixel),
            self.cells[1].wrapping_mul(self.pixel),
        );
        let parts = [
            (
                self.batch,
                [
                    self.cells[0].wrapping_mul(cells_row),
                    self.space[0].wrapping_mul(space_row),
                ],
            ),
            (rows.len, [cells_row, space_row.wrapping_mul(block_h)]),
            (columns.len, [self.pixel, self.pixel.wrapping_mul(block_w)]),
            (self.pixel, [1, 1]),
        ];
        let mut axes = Axes::POINT;
        for (len, strides) in parts {
            let axis = Axis { len, strides };
            axes.push(axis).ok_or(InvokeError::Plan)?;
        }
        let starts = [
            (rows.cell.wrapping_mul(cells_row)).wrapping_add(columns.cell.wrapping_mul(self.pixel)),
            (rows.space.wrapping_mul(space_row))
                .wrapping_add(columns.space.wrapping_mul(self.pixel)),
        ];
        Ok(Transfer::new(axes, starts, 1))
    }

    /// The blocks along an axis whose element `at` lies inside the image.
    fn visible(&self, axis: usize, at: usize) -> Visible {
        let of = |sizes: [usize; 2]| sizes.get(axis).copied().unwrap_or(0);
        let (block, border) = (of(self.block).max(1), of(self.border));
        let hidden = border.saturating_sub(at);
        let end = of(self.space).saturating_add(border).saturating_sub(at);
        let cell = hidden.div_ceil(block);
        let cells = end.div_ceil(block).min(of(self.cells));
        let space = cell.saturating_mul(block).saturating_add(at);
        Visible {
            cell,
            space: space.saturating_sub(border),
            len: cells.saturating_sub(cell),
        }
    }
}

/// Blocks along an axis: the first, where its element lies in the image, and how many.
struct Visible {
    cell: usize,
    space: usize,
    len: usize,
}

/// The dimensions of a batch of images, or of rows, which are one pixel wide.
fn image(operand: &Operand<'_>) -> Result<[usize; 4], Refusal> {
    match *operand.info.shape.dims() {
        [batch, len, channels] => Ok([batch, len, 1, channels]),
        _ => operand.nhwc(),
    }
}
