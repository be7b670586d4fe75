//! AVERAGE_POOL_2D and MAX_POOL_2D.

use larun_ops::{ElementType, Op, Pool2DOptions, ShapeError, op};

use crate::arch;
use crate::divide::RoundedDivision;
use crate::integer::{QUANTIZED_OR_FLOAT32, Quantized};
use crate::lanes::{Block, for_each_block, lanes, lanes_mut};
use crate::operand::{Operand, clamp, image_window, operands, output_stage_of, wrong_op};
use crate::plan::Record;
use crate::requantize::{Clamp, OutputStage};
use crate::types::FLOAT32;
use crate::ways::{self, ByWays, EVERY_WAY, Way, every_way};
use crate::window::{ImageWindow, Taps};
use crate::{
    InvokeError, Io, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

every_way!(op::AveragePool2D, op::MaxPool2D);

impl ByWays for op::AveragePool2D {
    fn prepare_by<const WAYS: u32>(
        node: &dyn NodeView,
        plan: &mut PlanWriter<'_>,
    ) -> Result<(), Refusal> {
        match node.op() {
            Op::AveragePool2D(options) => prepare::<WAYS>(options, node, plan, true),
            _ => Err(wrong_op::<Self>(node)),
        }
    }

    fn invoke_by<const WAYS: u32>(
        mut plan: PlanReader<'_>,
        mut io: Io<'_>,
    ) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => {
                let (window, stage) = (Record::read(&mut plan)?, Record::read(&mut plan)?);
                let output = io.output(0)?;
                average_pool_i8_by::<WAYS>(&window, &stage, io.freeze().input(0)?, output)
            }
            ElementType::Int16 => {
                let (window, stage) = (Record::read(&mut plan)?, Record::read(&mut plan)?);
                let output = io.output(0)?;
                average_pool_i16(&window, &stage, io.freeze().input(0)?, output)
            }
            _ => {
                let (window, clamp) = (Record::read(&mut plan)?, Record::read(&mut plan)?);
                let output = io.output(0)?;
                average_pool_f32(&window, &clamp, io.freeze().input(0)?, output)
            }
        }
    }
}

impl ByWays for op::MaxPool2D {
    fn prepare_by<const WAYS: u32>(
        node: &dyn NodeView,
        plan: &mut PlanWriter<'_>,
    ) -> Result<(), Refusal> {
        match node.op() {
            Op::MaxPool2D(options) => prepare::<WAYS>(options, node, plan, false),
            _ => Err(wrong_op::<Self>(node)),
        }
    }

    fn invoke_by<const WAYS: u32>(
        mut plan: PlanReader<'_>,
        mut io: Io<'_>,
    ) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => {
                let (window, stage) = (Record::read(&mut plan)?, Record::read(&mut plan)?);
                let output = io.output(0)?;
                max_pool_i8_by::<WAYS>(&window, &stage, io.freeze().input(0)?, output)
            }
            ElementType::Int16 => {
                let (window, stage) = (Record::read(&mut plan)?, Record::read(&mut plan)?);
                let output = io.output(0)?;
                max_pool_i16(&window, &stage, io.freeze().input(0)?, output)
            }
            _ => {
                let (window, clamp) = (Record::read(&mut plan)?, Record::read(&mut plan)?);
                let output = io.output(0)?;
                max_pool_f32(&window, &clamp, io.freeze().input(0)?, output)
            }
        }
    }
}

fn prepare<const WAYS: u32>(
    options: &Pool2DOptions,
    node: &dyn NodeView,
    plan: &mut PlanWriter<'_>,
    averages: bool,
) -> Result<(), Refusal> {
    operands! {
        input = Operand::input(node, 0);
        output = Operand::output(node, 0);
    }
    let element_type = input.one_of(QUANTIZED_OR_FLOAT32)?;
    output.has_type(element_type)?;
    element_type.write(plan);
    let window = window(options, input)?;
    if element_type == ElementType::Int8 && !ways::links_definition(WAYS) {
        ways::linked(WAYS, arch::ways::of_pool(&window, averages))?;
    }
    window.write(plan);
    match element_type {
        ElementType::Float32 if FLOAT32 => clamp(options.activation)?.write(plan),
        _ => {
            // TFLM's tolerance.
            output.has_affine(input.affine()?, 1e-6)?;
            output_stage_of(options.activation, output)?.write(plan);
        }
    }
    Ok(())
}

pub(crate) fn window(options: &Pool2DOptions, input: &Operand<'_>) -> Result<ImageWindow, Refusal> {
    let size = |value: i32| {
        usize::try_from(value).map_err(|_| Refusal::options(Reason::Shape(ShapeError::Window)))
    };
    let shape = input.nhwc()?;
    image_window(
        shape,
        [size(options.filter_h)?, size(options.filter_w)?],
        [options.stride_h, options.stride_w],
        [1, 1],
        options.padding,
        shape[3],
    )
}

/// Whether a processor's own pools are linked.
const fn links_faster(ways: u32) -> bool {
    !ways::CHOOSES || Way::FourChannels.is_in(ways)
}

/// INT8 mean of each window, rounded, ties away from zero: input `[N, H, W, C]`, output `[N, H', W', C]`.
///
/// Input and output have the same scale and zero point. The border does not count. As TFLM's
/// `reference_integer_ops::AveragePool`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn average_pool_i8(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    average_pool_i8_by::<EVERY_WAY>(window, stage, input, output)
}

/// [`average_pool_i8`] by the ways that are linked.
fn average_pool_i8_by<const WAYS: u32>(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    check(window, input, output)?;
    if links_faster(WAYS) && arch::average_pool_i8(window, stage, input, output) {
        return Ok(());
    }
    if !ways::links_definition(WAYS) {
        // Refused when the node was prepared.
        return Err(InvokeError::Plan);
    }
    portable::average_pool_i8(window, stage, input, output)
}

/// INT8 largest value of each window: input `[N, H, W, C]`, output `[N, H', W', C]`.
///
/// Input and output have the same scale and zero point. As TFLM's `reference_integer_ops::MaxPool`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn max_pool_i8(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    max_pool_i8_by::<EVERY_WAY>(window, stage, input, output)
}

/// [`max_pool_i8`] by the ways that are linked.
fn max_pool_i8_by<const WAYS: u32>(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    check(window, input, output)?;
    if links_faster(WAYS) && arch::max_pool_i8(window, stage, input, output) {
        return Ok(());
    }
    if !ways::links_definition(WAYS) {
        // Refused when the node was prepared.
        return Err(InvokeError::Plan);
    }
    portable::max_pool_i8(window, stage, input, output)
}

/// The definitions.
pub(crate) mod portable {
    use super::*;

    /// [`average_pool_i8`](crate::average_pool_i8) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn average_pool_i8(
        window: &ImageWindow,
        stage: &OutputStage,
        input: &[i8],
        output: &mut [i8],
    ) -> Result<(), InvokeError> {
        let add = |sum: i32, value: i8| sum.wrapping_add(i32::from(value));
        pool(window, input, output, 0, add, |count| {
            let division = RoundedDivision::new(count);
            move |sum| division.divide(sum).max(stage.min).min(stage.max) as i8
        })
    }

    /// [`max_pool_i8`](crate::max_pool_i8) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn max_pool_i8(
        window: &ImageWindow,
        stage: &OutputStage,
        input: &[i8],
        output: &mut [i8],
    ) -> Result<(), InvokeError> {
        max_pool(window, stage, input, output)
    }

    /// [`average_pool_f32`](crate::average_pool_f32) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn average_pool_f32(
        window: &ImageWindow,
        clamp: &Clamp,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<(), InvokeError> {
        let add = |sum: f32, value: f32| sum + value;
        pool(window, input, output, 0.0, add, |count| {
            move |sum| clamp.apply(sum / count as f32)
        })
    }

    /// [`max_pool_f32`](crate::max_pool_f32) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn max_pool_f32(
        window: &ImageWindow,
        clamp: &Clamp,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<(), InvokeError> {
        let larger = |largest: f32, value: f32| if largest < value { value } else { largest };
        pool(window, input, output, f32::MIN, larger, |_| {
            move |largest| clamp.apply(largest)
        })
    }
}

/// As [`average_pool_i8`] of INT16.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn average_pool_i16(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[i16],
    output: &mut [i16],
) -> Result<(), InvokeError> {
    let add = |sum: i32, value: i16| sum.wrapping_add(i32::from(value));
    pool(window, input, output, 0, add, |count| {
        let division = RoundedDivision::of_int16(count);
        move |sum| division.divide(sum).max(stage.min).min(stage.max) as i16
    })
}

/// As [`max_pool_i8`] of INT16.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn max_pool_i16(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[i16],
    output: &mut [i16],
) -> Result<(), InvokeError> {
    max_pool(window, stage, input, output)
}

fn max_pool<T: Quantized>(
    window: &ImageWindow,
    stage: &OutputStage,
    input: &[T],
    output: &mut [T],
) -> Result<(), InvokeError> {
    let least = T::narrow(T::RANGE.min);
    pool(window, input, output, least, T::max, |_| {
        move |largest: T| T::narrow(largest.into().max(stage.min).min(stage.max))
    })
}

/// Real mean of each window, summed over height, then width: input `[N, H, W, C]`, output `[N, H', W', C]`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn average_pool_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    check(window, input, output)?;
    if arch::average_pool_f32(window, clamp, input, output) {
        return Ok(());
    }
    portable::average_pool_f32(window, clamp, input, output)
}

/// Real largest value of each window: input `[N, H, W, C]`, output `[N, H', W', C]`. NaN never is the largest.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn max_pool_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    check(window, input, output)?;
    if arch::max_pool_f32(window, clamp, input, output) {
        return Ok(());
    }
    portable::max_pool_f32(window, clamp, input, output)
}

fn check<T>(window: &ImageWindow, input: &[T], output: &[T]) -> Result<(), InvokeError> {
    window.check(input, output)?;
    let channels = window.output_channels();
    check_len(Memory::output(0), channels, window.input_channels())
}

/// Folds each window with `add` from `start` on; `finish` is made for each number of elements in a window.
pub(crate) fn pool<T: Copy, S: Copy, F: Fn(S) -> T>(
    window: &ImageWindow,
    input: &[T],
    output: &mut [T],
    start: S,
    add: impl Fn(S, T) -> S,
    finish: impl Fn(usize) -> F,
) -> Result<(), InvokeError> {
    check(window, input, output)?;
    let channels = window.output_channels();
    window.for_each_pixel(input, output, |image, rows, columns, pixel| {
        let mut block = PoolBlock {
            window,
            image,
            rows,
            columns,
            pixel,
            start,
            add: &add,
            finish: finish(rows.count * columns.count),
        };
        for_each_block(0..channels, &mut block);
    });
    Ok(())
}

/// Adds a value to each sum.
#[inline(always)]
fn fold_lanes<S: Copy, T: Copy, const L: usize>(
    sums: &mut [S; L],
    values: &[T; L],
    add: &impl Fn(S, T) -> S,
) {
    // Four at a time, as a compiler that is told to keep code small does not unroll.
    let sums = sums.as_chunks_mut::<4>();
    let values = values.as_chunks::<4>();
    for ([a, b, c, d], &[w, x, y, z]) in sums.0.iter_mut().zip(values.0) {
        (*a, *b, *c, *d) = (add(*a, w), add(*b, x), add(*c, y), add(*d, z));
    }
    for (sum, &value) in sums.1.iter_mut().zip(values.1) {
        *sum = add(*sum, value);
    }
}

/// One output pixel of a pool.
struct PoolBlock<'a, T, S, A, F> {
    window: &'a ImageWindow,
    image: &'a [T],
    rows: Taps,
    columns: Taps,
    pixel: &'a mut [T],
    start: S,
    add: &'a A,
    finish: F,
}

impl<T: Copy, S: Copy, A: Fn(S, T) -> S, F: Fn(S) -> T> Block for PoolBlock<'_, T, S, A, F> {
    #[inline]
    fn run<const L: usize>(&mut self, channel: usize) {
        let mut sums = [self.start; L];
        for (_, y) in self.rows.iter() {
            for (_, x) in self.columns.iter() {
                let at = self.window.pixel(y, x) + channel;
                if let Some(values) = lanes::<_, L>(self.image, at) {
                    fold_lanes(&mut sums, values, self.add);
                }
            }
        }
        if let Some(outputs) = lanes_mut::<_, L>(self.pixel, channel) {
            for (output, sum) in outputs.iter_mut().zip(sums) {
                *output = (self.finish)(sum);
            }
        }
    }
}
