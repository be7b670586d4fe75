//! DEPTHWISE_CONV_2D: every input channel has filters of its own.

use larun_ops::{DepthwiseConv2DOptions, ElementType, Op, op};

use crate::arch;
use crate::lanes::{Block, SMALL_DEFINITIONS, for_each_block, lanes, lanes_mut};
use crate::operand::{Operand, image_window, operands, wrong_op};
use crate::plan::Record;
use crate::requantize::{Clamp, WeightedQuantization};
use crate::types::{FLOAT32, MIXED};
use crate::ways::{self, ByWays, EVERY_WAY, every_way};
use crate::weighted::{self, Lens, Roles, Scheme, Sink, Walk, Weights};
use crate::window::{ImageWindow, Taps, nonzero};
use crate::{
    InvokeError, Io, Memory, NodeView, PlanReader, PlanWriter, Refusal, check_bias, check_len,
    check_scratch,
};

every_way!(op::DepthwiseConv2D);

impl ByWays for op::DepthwiseConv2D {
    fn prepare_by<const WAYS: u32>(
        node: &dyn NodeView,
        plan: &mut PlanWriter<'_>,
    ) -> Result<(), Refusal> {
        let Op::DepthwiseConv2D(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let window = window(options, node)?;
        let layer = weighted::Layer {
            node,
            roles: Roles::INPUT_FIRST,
            channel_axis: 3,
            channels: window.output_channels(),
            activation: options.activation,
            bias_type: ElementType::Int64,
            asymmetric: true,
            scales_first: true,
            dense: false,
        };
        let scheme = layer.scheme()?;
        scheme.write(plan);
        window.write(plan);
        if scheme == Scheme::Int8 {
            let processor = plan.processor();
            let scratch = processor.depthwise_conv2d_i8_scratch_len(&window, WAYS);
            plan.request_scratch(scratch.saturating_mul(size_of::<i16>()));
        }
        let start = plan.words_needed();
        layer.write_quantization(scheme, plan)?;
        ways::check::<WAYS>(scheme, node, plan, start, |quantization, bias| {
            arch::ways::of_depthwise(&window, quantization, bias, WAYS)
        })
    }

    fn invoke_by<const WAYS: u32>(
        mut plan: PlanReader<'_>,
        mut io: Io<'_>,
    ) -> Result<(), InvokeError> {
        let scheme = Scheme::read(&mut plan)?;
        let window = ImageWindow::read(&mut plan)?;
        match scheme {
            Scheme::Int8 => {
                let quantization = WeightedQuantization::read(&mut plan)?;
                let (output, scratch) = (io.output(0)?, io.optional_scratch()?);
                let io = io.freeze();
                let (input, filter, bias) = (io.input(0)?, io.input(1)?, io.optional_input(2)?);
                depthwise_conv2d_i8_by::<WAYS>(
                    &window,
                    &quantization,
                    input,
                    filter,
                    bias,
                    output,
                    scratch,
                )
            }
            Scheme::Float32 if FLOAT32 => {
                let clamp = Clamp::read(&mut plan)?;
                let output = io.output(0)?;
                let io = io.freeze();
                let (input, filter, bias) = (io.input(0)?, io.input(1)?, io.optional_input(2)?);
                depthwise_conv2d_f32(&window, &clamp, input, filter, bias, output)
            }
            Scheme::Mixed(mixed) if MIXED => {
                let lens = lens(&window)?;
                mixed.run(Roles::INPUT_FIRST, &lens, plan, io, &mut Mixed(&window))
            }
            // Of types that are left out: no such node is prepared.
            _ => Err(InvokeError::Plan),
        }
    }
}

fn window(options: &DepthwiseConv2DOptions, node: &dyn NodeView) -> Result<ImageWindow, Refusal> {
    operands! {
        input = Operand::input(node, 0);
        filter = Operand::input(node, 1);
    }
    let [_, filter_h, filter_w, outputs] = filter.nhwc()?;
    image_window(
        input.nhwc()?,
        [filter_h, filter_w],
        [options.stride_h, options.stride_w],
        [options.dilation_h, options.dilation_w],
        options.padding,
        outputs,
    )
}

/// Elements of scratch memory that [`depthwise_conv2d_i8`] needs: none, but on processors that have a faster way.
#[must_use]
pub const fn depthwise_conv2d_i8_scratch_len(window: &ImageWindow) -> usize {
    arch::depthwise_conv2d_i8_scratch_len(window, EVERY_WAY)
}

/// INT8 depthwise convolution: input `[N, H, W, C]`, filter `[1, KH, KW, C * M]`, bias `[C * M]`, output
/// `[N, H', W', C * M]`; output channel `c * M + m` comes from input channel `c`.
///
/// Accumulates in 32 bits that wrap, as TFLM's `reference_integer_ops::DepthwiseConvPerChannel`. `scratch` has
/// [`depthwise_conv2d_i8_scratch_len`] elements or more.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says, or the output channels are no
/// multiple of the input channels.
pub fn depthwise_conv2d_i8(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    depthwise_conv2d_i8_by::<EVERY_WAY>(window, quantization, input, filter, bias, output, scratch)
}

/// [`depthwise_conv2d_i8`] by the ways that are linked.
fn depthwise_conv2d_i8_by<const WAYS: u32>(
    window: &ImageWindow,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    check(window, input, filter, bias, output)?;
    let needed = arch::depthwise_conv2d_i8_scratch_len(window, WAYS);
    let scratch = check_scratch(scratch, needed)?;
    if quantization.rounds_as_tflm()
        && arch::depthwise_conv2d_i8_by::<WAYS>(
            window,
            quantization,
            input,
            filter,
            bias,
            output,
            scratch,
        )
    {
        return Ok(());
    }
    if !ways::links_definition(WAYS) {
        // Refused when the node was prepared.
        return Err(InvokeError::Plan);
    }
    portable::depthwise_conv2d_i8(window, quantization, input, filter, bias, output)
}

/// The definition.
pub(crate) mod portable {
    use super::*;

    /// [`depthwise_conv2d_i8`](crate::depthwise_conv2d_i8) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn depthwise_conv2d_i8(
        window: &ImageWindow,
        quantization: &WeightedQuantization<'_>,
        input: &[i8],
        filter: &[i8],
        bias: Option<&[i32]>,
        output: &mut [i8],
    ) -> Result<(), InvokeError> {
        check(window, input, filter, bias, output)?;
        let arithmetic = Int8 {
            zero_point: quantization.input_zero_point as i16,
            quantization,
            bias: bias.unwrap_or(&[]),
        };
        depthwise(window, &arithmetic, input, filter, output);
        Ok(())
    }

    /// [`depthwise_conv2d_f32`](crate::depthwise_conv2d_f32) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn depthwise_conv2d_f32(
        window: &ImageWindow,
        clamp: &Clamp,
        input: &[f32],
        filter: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) -> Result<(), InvokeError> {
        check(window, input, filter, bias, output)?;
        let bias = bias.unwrap_or(&[]);
        depthwise(window, &Float32 { clamp, bias }, input, filter, output);
        Ok(())
    }
}

/// Real depthwise convolution, shapes as [`depthwise_conv2d_i8`].
///
/// Every output sums its products over height, then width, and adds the bias last, as TFLM's
/// `reference_ops::DepthwiseConv`.
///
/// # Errors
/// As [`depthwise_conv2d_i8`].
pub fn depthwise_conv2d_f32(
    window: &ImageWindow,
    clamp: &Clamp,
    input: &[f32],
    filter: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> Result<(), InvokeError> {
    check(window, input, filter, bias, output)?;
    if arch::depthwise_conv2d_f32(window, clamp, input, filter, bias, output) {
        return Ok(());
    }
    portable::depthwise_conv2d_f32(window, clamp, input, filter, bias, output)
}

fn check<T, B>(
    window: &ImageWindow,
    input: &[T],
    filter: &[T],
    bias: Option<&[B]>,
    output: &[T],
) -> Result<(), InvokeError> {
    window.check(input, output)?;
    let lens = lens(window)?;
    check_len(Memory::input(1), filter.len(), lens.weights)?;
    check_bias(bias, lens.channels)
}

/// The sizes of the operands, where the output channels are a multiple of the input channels.
fn lens(window: &ImageWindow) -> Result<Lens, InvokeError> {
    let (inputs, outputs) = (window.input_channels(), window.output_channels());
    check_len(
        Memory::output(0),
        outputs,
        inputs * (outputs / nonzero(inputs)),
    )?;
    let (batch, input, output) = window.images();
    Ok(Lens {
        batch,
        input,
        weights: window.rows().filter() * window.columns().filter() * outputs,
        channels: outputs,
        output,
    })
}

/// How products are added up and become an output.
trait Arithmetic {
    type Value: Copy + Default;
    type Sum: Copy + Default;

    fn add(&self, sum: Self::Sum, value: Self::Value, weight: Self::Value) -> Self::Sum;
    fn finish(&self, channel: usize, sum: Self::Sum) -> Self::Value;
}

struct Int8<'a> {
    zero_point: i16,
    quantization: &'a WeightedQuantization<'a>,
    bias: &'a [i32],
}

impl Arithmetic for Int8<'_> {
    type Value = i8;
    type Sum = i32;

    #[inline]
    fn add(&self, sum: i32, value: i8, weight: i8) -> i32 {
        let value = i16::from(value).wrapping_sub(self.zero_point);
        sum.wrapping_add(i32::from(value) * i32::from(weight))
    }

    #[inline]
    fn finish(&self, channel: usize, sum: i32) -> i8 {
        let bias = self.bias.get(channel).copied().unwrap_or(0);
        self.quantization.finish(channel, sum.wrapping_add(bias))
    }
}

struct Float32<'a> {
    clamp: &'a Clamp,
    bias: &'a [f32],
}

impl Arithmetic for Float32<'_> {
    type Value = f32;
    type Sum = f32;

    #[inline]
    fn add(&self, sum: f32, value: f32, weight: f32) -> f32 {
        sum + value * weight
    }

    #[inline]
    fn finish(&self, channel: usize, sum: f32) -> f32 {
        let bias = self.bias.get(channel).copied().unwrap_or(0.0);
        self.clamp.apply(sum + bias)
    }
}

/// The last weights, and zeros behind them.
#[cold]
fn padded<T: Copy + Default>(weights: &[T]) -> [T; FEW] {
    let mut four = [T::default(); FEW];
    for (place, &weight) in four.iter_mut().zip(weights) {
        *place = weight;
    }
    four
}

/// Outputs that are computed side by side where the definition is to be small.
const FEW: usize = 4;

fn depthwise<A: Arithmetic>(
    window: &ImageWindow,
    arithmetic: &A,
    input: &[A::Value],
    filter: &[A::Value],
    output: &mut [A::Value],
) {
    let (inputs, outputs) = (window.input_channels(), window.output_channels());
    let multiplier = outputs / nonzero(inputs);
    window.for_each_pixel(input, output, |image, rows, columns, pixel| {
        let mut view = View {
            window,
            arithmetic,
            image,
            filter,
            rows,
            columns,
            pixel,
        };
        if SMALL_DEFINITIONS {
            for first in (0..outputs).step_by(FEW) {
                view.few(first, nonzero(multiplier));
            }
            return;
        }
        if multiplier == 1 {
            return for_each_block(0..outputs, &mut OneToOne(view));
        }
        for channel in 0..inputs {
            let first = channel * multiplier;
            let mut block = OneToMany(&mut view, channel);
            for_each_block(first..first + multiplier, &mut block);
        }
    });
}

/// What the window sees at one output position, and the pixel to compute.
struct View<'a, A: Arithmetic> {
    window: &'a ImageWindow,
    arithmetic: &'a A,
    image: &'a [A::Value],
    filter: &'a [A::Value],
    rows: Taps,
    columns: Taps,
    pixel: &'a mut [A::Value],
}

impl<A: Arithmetic> View<'_, A> {
    /// Computes the outputs from `channel` on; `values` gives the input of each for a pixel of the image.
    #[inline]
    fn compute<const L: usize>(
        &mut self,
        channel: usize,
        values: impl Fn(&[A::Value], usize) -> Option<[A::Value; L]>,
    ) {
        let filter_w = self.window.columns().filter();
        let mut sums = [A::Sum::default(); L];
        for (tap_y, y) in self.rows.iter() {
            for (tap_x, x) in self.columns.iter() {
                let tap = (tap_y * filter_w + tap_x) * self.window.output_channels();
                let weights = lanes::<_, L>(self.filter, tap + channel);
                let values = values(self.image, self.window.pixel(y, x));
                if let Some((values, weights)) = values.zip(weights) {
                    for ((sum, value), &weight) in sums.iter_mut().zip(values).zip(weights) {
                        *sum = self.arithmetic.add(*sum, value, weight);
                    }
                }
            }
        }
        self.finish(channel, sums);
    }

    /// Computes up to [`FEW`] outputs from `first` on, wherever the input of each is: one body for all, small rather
    /// than fast.
    fn few(&mut self, first: usize, multiplier: usize) {
        let filter_w = self.window.columns().filter();
        let source = |lane: usize| (first + lane) / multiplier;
        let [from0, from1, from2, from3] = [source(0), source(1), source(2), source(3)];
        let mut sums = [A::Sum::default(); FEW];
        for (tap_y, y) in self.rows.iter() {
            for (tap_x, x) in self.columns.iter() {
                let tap = (tap_y * filter_w + tap_x) * self.window.output_channels();
                let weights = self.filter.get(tap + first..).unwrap_or(&[]);
                let values = self.image.get(self.window.pixel(y, x)..).unwrap_or(&[]);
                let value = |source: usize| values.get(source).copied().unwrap_or_default();
                let [x0, x1, x2, x3] = match from0 == from3 {
                    true => [value(from0); FEW],
                    false => [value(from0), value(from1), value(from2), value(from3)],
                };
                // Written out, as a compiler that is told to keep code small does not unroll.
                let four = weights.first_chunk().copied();
                let [w0, w1, w2, w3] = four.unwrap_or_else(|| padded(weights));
                let add = |sum, value, weight| self.arithmetic.add(sum, value, weight);
                let [s0, s1, s2, s3] = sums;
                sums = [
                    add(s0, x0, w0),
                    add(s1, x1, w1),
                    add(s2, x2, w2),
                    add(s3, x3, w3),
                ];
            }
        }
        let outputs = self.pixel.iter_mut().enumerate().skip(first);
        for ((channel, output), sum) in outputs.zip(sums) {
            *output = self.arithmetic.finish(channel, sum);
        }
    }

    #[inline]
    fn finish<const L: usize>(&mut self, channel: usize, sums: [A::Sum; L]) {
        if let Some(outputs) = lanes_mut::<_, L>(self.pixel, channel) {
            for (lane, (output, sum)) in outputs.iter_mut().zip(sums).enumerate() {
                *output = self.arithmetic.finish(channel + lane, sum);
            }
        }
    }
}

/// Adds the products of `count` taps, whose values and whose weights are `steps` apart.
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn add_taps<A: Arithmetic, const L: usize>(
    arithmetic: &A,
    sums: &mut [A::Sum; L],
    mut values: &[A::Value],
    mut weights: &[A::Value],
    steps: [usize; 2],
    count: usize,
) {
    let mut added = *sums;
    for _ in 0..count {
        let (Some(x), Some(w)) = (values.first_chunk::<L>(), weights.first_chunk::<L>()) else {
            break;
        };
        for ((sum, &value), &weight) in added.iter_mut().zip(x).zip(w) {
            *sum = arithmetic.add(*sum, value, weight);
        }
        // Past the last tap there may be nothing.
        values = values.get(steps[0]..).unwrap_or(&[]);
        weights = weights.get(steps[1]..).unwrap_or(&[]);
    }
    *sums = added;
}

/// Neighbouring channels, each with one filter.
struct OneToOne<'a, A: Arithmetic>(View<'a, A>);

impl<A: Arithmetic> Block for OneToOne<'_, A> {
    #[inline]
    fn run<const L: usize>(&mut self, channel: usize) {
        let Self(view) = self;
        let (rows, columns) = (view.rows, view.columns);
        let (window, filter_w) = (view.window, view.window.columns().filter());
        let outputs = window.output_channels();
        let steps = [columns.step * window.input_channels(), outputs];
        let mut sums = [A::Sum::default(); L];
        for (tap_y, y) in rows.iter() {
            let pixel = window.pixel(y, columns.input) + channel;
            let tap = (tap_y * filter_w + columns.first) * outputs + channel;
            let values = view.image.get(pixel..).unwrap_or(&[]);
            let weights = view.filter.get(tap..).unwrap_or(&[]);
            add_taps(
                view.arithmetic,
                &mut sums,
                values,
                weights,
                steps,
                columns.count,
            );
        }
        view.finish(channel, sums);
    }
}

/// Several filters of one input channel.
struct OneToMany<'v, 'a, A: Arithmetic>(&'v mut View<'a, A>, usize);

impl<A: Arithmetic> Block for OneToMany<'_, '_, A> {
    #[inline]
    fn run<const L: usize>(&mut self, channel: usize) {
        let from = self.1;
        let values = |image: &[A::Value], pixel| Some([*image.get(pixel + from)?; L]);
        self.0.compute::<L>(channel, values);
    }
}

/// Any other depthwise convolution with integer weights: at every position, four channels at a time.
struct Mixed<'a>(&'a ImageWindow);

impl Walk for Mixed<'_> {
    fn sums<T: Copy>(
        &mut self,
        values: &[T],
        convert: impl Fn(T) -> i16,
        weights: &Weights<'_>,
        sink: &mut Sink<'_, '_>,
    ) {
        let window = self.0;
        let outputs = window.output_channels();
        let multiplier = nonzero(outputs / nonzero(window.input_channels()));
        let filter_w = window.columns().filter();
        window.for_each_position(values, |image, rows, columns| {
            for first in (0..outputs).step_by(4) {
                let sources = [first, first + 1, first + 2, first + 3].map(|c| c / multiplier);
                let mut sums = [0i64; 4];
                for (tap_y, y) in rows.iter() {
                    for (tap_x, x) in columns.iter() {
                        let tap = (tap_y * filter_w + tap_x) * outputs;
                        let pixel = window.pixel(y, x);
                        let weights = weights.four(tap + first);
                        for ((sum, source), weight) in sums.iter_mut().zip(sources).zip(weights) {
                            // Beyond the last channel lies the next pixel, or nothing.
                            if let Some(&value) = image.get(pixel + source) {
                                *sum += i64::from(i32::from(convert(value)) * weight);
                            }
                        }
                    }
                }
                for (channel, sum) in (first..outputs).zip(sums) {
                    sink.put(channel, sum);
                }
            }
        });
    }
}
