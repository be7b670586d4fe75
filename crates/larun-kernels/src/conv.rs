//! CONV_2D, grouped convolutions included.

use larun_ops::{Conv2DOptions, Op, op};

use crate::arch;
use crate::dot::{add_products, dot_2x2, dot_pairs, dot_row, dot_rows, four_rows};
use crate::lanes::{FEW_REGISTERS, SMALL_DEFINITIONS};
use crate::operand::{Operand, image_window, operands, wrong_op};
use crate::plan::Record;
use crate::requantize::{Clamp, WeightedQuantization};
use crate::types::{FLOAT32, MIXED};
use crate::ways::{self, ByWays, EVERY_WAY, every_way};
use crate::weighted::{self, Lens, Roles, Scheme, Sink, Walk, Weights};
use crate::window::{ImageWindow, Taps, nonzero};
use crate::{
    InvokeError, Io, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_bias,
    check_len, check_scratch,
};

every_way!(op::Conv2D);

impl ByWays for op::Conv2D {
    fn prepare_by<const WAYS: u32>(
        node: &dyn NodeView,
        plan: &mut PlanWriter<'_>,
    ) -> Result<(), Refusal> {
        let Op::Conv2D(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let geometry = geometry(options, node)?;
        // As LiteRT's kernel, which looks at values, not at how many there are.
        let asymmetric = FLOAT32 && weighted::scales_differ(node, 1);
        let layer = weighted::Layer {
            node,
            roles: Roles::INPUT_FIRST,
            channel_axis: 0,
            channels: geometry.output_channels(),
            activation: options.activation,
            bias_type: options.quantized_bias_type,
            asymmetric,
            scales_first: !asymmetric,
            dense: false,
        };
        let scheme = layer.scheme()?;
        scheme.write(plan);
        geometry.write(plan);
        let scratch = match scheme {
            Scheme::Int8 => plan.processor().conv2d_i8_scratch_len(&geometry, WAYS),
            Scheme::Mixed(_) => geometry.patch_len(),
            Scheme::Float32 => 0,
        };
        plan.request_scratch(scratch.saturating_mul(size_of::<i16>()));
        let start = plan.words_needed();
        layer.write_quantization(scheme, plan)?;
        ways::check::<WAYS>(scheme, node, plan, start, |quantization, bias| {
            arch::ways::of_conv(&geometry, quantization, bias, WAYS)
        })
    }

    fn invoke_by<const WAYS: u32>(
        mut plan: PlanReader<'_>,
        mut io: Io<'_>,
    ) -> Result<(), InvokeError> {
        let scheme = Scheme::read(&mut plan)?;
        let geometry = ConvGeometry::read(&mut plan)?;
        match scheme {
            Scheme::Int8 => {
                let quantization = WeightedQuantization::read(&mut plan)?;
                let (output, scratch) = (io.output(0)?, io.scratch()?);
                let io = io.freeze();
                let bias = io.optional_input(2)?;
                conv2d_i8_by::<WAYS>(
                    &geometry,
                    &quantization,
                    io.input(0)?,
                    io.input(1)?,
                    bias,
                    output,
                    scratch,
                )
            }
            Scheme::Float32 if FLOAT32 => {
                let clamp = Clamp::read(&mut plan)?;
                let output = io.output(0)?;
                let io = io.freeze();
                let bias = io.optional_input(2)?;
                conv2d_f32(&geometry, &clamp, io.input(0)?, io.input(1)?, bias, output)
            }
            Scheme::Mixed(mixed) if MIXED => {
                let patch = check_scratch(io.scratch()?, geometry.patch_len())?;
                let lens = geometry.lens();
                let mut walk = MixedConv {
                    geometry: &geometry,
                    patch,
                };
                mixed.run(Roles::INPUT_FIRST, &lens, plan, io, &mut walk)
            }
            // Of types that are left out: no such node is prepared.
            _ => Err(InvokeError::Plan),
        }
    }
}

/// The sizes of a convolution: input `[N, H, W, C]`, filter `[O, KH, KW, D]`, output `[N, H', W', O]`.
///
/// `C / D` groups of input channels go to as many groups of output channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    window: ImageWindow,
    filter_depth: usize,
}

impl ConvGeometry {
    /// The convolution with windows `window` and filters of `filter_depth` input channels; `None` when that does not
    /// divide the input channels into groups, nor the output channels into as many, or the filter would have 2^31
    /// elements or more.
    #[must_use]
    pub fn new(window: ImageWindow, filter_depth: usize) -> Option<Self> {
        let groups = window.input_channels().checked_div(filter_depth)?;
        let whole = groups * filter_depth == window.input_channels();
        let geometry = Self {
            window,
            filter_depth,
        };
        let filter = geometry
            .patch_len()
            .checked_mul(window.output_channels())
            .and_then(|len| i32::try_from(len).ok());
        let fits = filter.is_some() && window.output_channels().checked_rem(groups) == Some(0);
        (whole && fits).then_some(geometry)
    }

    /// Channels of the output.
    #[must_use]
    pub const fn output_channels(&self) -> usize {
        self.window.output_channels()
    }

    /// The windows.
    #[cfg_attr(not(larun_arch = "armv7em"), allow(dead_code))]
    pub(crate) const fn window(&self) -> &ImageWindow {
        &self.window
    }

    /// Input channels of one filter, `D`.
    #[cfg_attr(not(larun_arch = "armv7em"), allow(dead_code))]
    pub(crate) const fn filter_depth(&self) -> usize {
        self.filter_depth
    }

    /// Elements of one filter: `KH * KW * D`, saturating.
    pub(crate) const fn patch_len(&self) -> usize {
        let taps = self.window.rows().filter() * self.window.columns().filter();
        nonzero(taps.saturating_mul(self.filter_depth))
    }

    pub(crate) const fn filters_in_group(&self) -> usize {
        let groups = self.window.input_channels() / nonzero(self.filter_depth);
        nonzero(self.output_channels() / nonzero(groups))
    }

    /// Calls `body` with each run of neighbouring elements that the window sees of a group's channels: where the run is
    /// in the image and in a filter, and its length.
    #[inline]
    pub(crate) fn for_each_run(
        &self,
        rows: Taps,
        columns: Taps,
        group: usize,
        mut body: impl FnMut(usize, usize, usize),
    ) {
        let depth = self.filter_depth;
        let filter_w = self.window.columns().filter();
        // Where taps and channels are dense, a whole row of the window is one run.
        let dense = columns.step == 1 && depth == self.window.input_channels();
        let (runs, len) = match dense {
            true => (usize::from(columns.count > 0), columns.count * depth),
            false => (columns.count, depth),
        };
        for (tap_y, y) in rows.iter() {
            let mut source = self.window.pixel(y, columns.input) + group * depth;
            let mut place = (tap_y * filter_w + columns.first) * depth;
            for _ in 0..runs {
                body(source, place, len);
                source += columns.step * self.window.input_channels();
                place += depth;
            }
        }
    }

    /// Copies what the window sees of a group's channels, each value converted, to every `STEP`th element of the patch;
    /// the border is 0.
    #[inline]
    fn gather<T: Copy, const STEP: usize>(
        &self,
        image: &[T],
        (rows, columns): (Taps, Taps),
        group: usize,
        patch: &mut [i16],
        convert: impl Fn(T) -> i16,
    ) {
        let window = &self.window;
        if rows.count < window.rows().filter() || columns.count < window.columns().filter() {
            match STEP {
                1 => patch.fill(0),
                _ => patch.iter_mut().step_by(STEP).for_each(|place| *place = 0),
            }
        }
        self.for_each_run(rows, columns, group, |from, to, len| {
            let source = image.get(from..from + len).unwrap_or(&[]);
            let place = patch.get_mut(to * STEP..).unwrap_or_default().iter_mut();
            match STEP {
                1 => place
                    .zip(source)
                    .for_each(|(place, &value)| *place = convert(value)),
                _ => place
                    .step_by(STEP)
                    .zip(source)
                    .for_each(|(place, &value)| *place = convert(value)),
            }
        });
    }

    fn lens(&self) -> Lens {
        let (batch, input, output) = self.window.images();
        Lens {
            batch,
            input,
            weights: self.patch_len() * self.output_channels(),
            channels: self.output_channels(),
            output,
        }
    }

    fn check<T, B>(
        &self,
        input: &[T],
        filter: &[T],
        bias: Option<&[B]>,
        output: &[T],
    ) -> Result<(), InvokeError> {
        self.window.check(input, output)?;
        let filters = self.patch_len() * self.output_channels();
        check_len(Memory::input(1), filter.len(), filters)?;
        check_bias(bias, self.output_channels())
    }
}

impl Record for ConvGeometry {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.window.write(plan);
        self.filter_depth.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        let window = Record::read(plan)?;
        Self::new(window, Record::read(plan)?).ok_or(InvokeError::Plan)
    }
}

fn geometry(options: &Conv2DOptions, node: &dyn NodeView) -> Result<ConvGeometry, Refusal> {
    operands! {
        input = Operand::input(node, 0);
        filter = Operand::input(node, 1);
    }
    let [outputs, filter_h, filter_w, depth] = filter.nhwc()?;
    let window = image_window(
        input.nhwc()?,
        [filter_h, filter_w],
        [options.stride_h, options.stride_w],
        [options.dilation_h, options.dilation_w],
        options.padding,
        outputs,
    )?;
    ConvGeometry::new(window, depth).ok_or(filter.refuse(Reason::TooLarge))
}

/// Elements of scratch memory that [`conv2d_i8`] needs: two patches of the input, `2 * KH * KW * D`, or more on
/// processors that have a faster way.
#[must_use]
pub const fn conv2d_i8_scratch_len(geometry: &ConvGeometry) -> usize {
    scratch_len_by(geometry, EVERY_WAY)
}

/// [`conv2d_i8_scratch_len`] by the ways that are linked.
const fn scratch_len_by(geometry: &ConvGeometry, ways: u32) -> usize {
    let faster = arch::conv2d_i8_scratch_len(geometry, ways);
    let definition = 2 * geometry.patch_len();
    if faster > definition {
        faster
    } else {
        definition
    }
}

/// INT8 convolution: input `[N, H, W, C]`, filter `[O, KH, KW, D]`, bias `[O]`, output `[N, H', W', O]`.
///
/// Accumulates in 32 bits that wrap, as TFLM's `reference_integer_ops::ConvPerChannel`. `scratch` has
/// [`conv2d_i8_scratch_len`] elements or more.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn conv2d_i8(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    conv2d_i8_by::<EVERY_WAY>(geometry, quantization, input, filter, bias, output, scratch)
}

/// [`conv2d_i8`] by the ways that are linked.
fn conv2d_i8_by<const WAYS: u32>(
    geometry: &ConvGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    filter: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> Result<(), InvokeError> {
    geometry.check(input, filter, bias, output)?;
    let scratch = check_scratch(scratch, scratch_len_by(geometry, WAYS))?;
    if quantization.rounds_as_tflm()
        && arch::conv2d_i8_by::<WAYS>(geometry, quantization, input, filter, bias, output, scratch)
    {
        return Ok(());
    }
    if !ways::links_definition(WAYS) {
        // Refused when the node was prepared.
        return Err(InvokeError::Plan);
    }
    portable::conv2d_i8(geometry, quantization, input, filter, bias, output, scratch)
}

/// The definition.
pub(crate) mod portable {
    use super::*;

    /// [`conv2d_i8`](crate::conv2d_i8) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn conv2d_i8(
        geometry: &ConvGeometry,
        quantization: &WeightedQuantization<'_>,
        input: &[i8],
        filter: &[i8],
        bias: Option<&[i32]>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> Result<(), InvokeError> {
        geometry.check(input, filter, bias, output)?;
        let scratch = check_scratch(scratch, 2 * geometry.patch_len())?;
        let layer = Layer {
            geometry,
            quantization,
            bias: bias.unwrap_or(&[]),
        };
        layer.run(input, filter, output, scratch);
        Ok(())
    }

    /// [`conv2d_f32`](crate::conv2d_f32) as any processor computes it.
    ///
    /// # Errors
    /// As that.
    pub fn conv2d_f32(
        geometry: &ConvGeometry,
        clamp: &Clamp,
        input: &[f32],
        filter: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) -> Result<(), InvokeError> {
        geometry.check(input, filter, bias, output)?;
        let window = &geometry.window;
        let patch_len = geometry.patch_len();
        let in_group = geometry.filters_in_group();
        let bias = bias.unwrap_or(&[]);
        window.for_each_pixel(input, output, |image, rows, columns, pixel| {
            let groups = pixel.chunks_exact_mut(in_group);
            let filters = filter.chunks_exact(nonzero(in_group * patch_len));
            for (group, (outputs, filters)) in groups.zip(filters).enumerate() {
                let patch = Patch {
                    geometry,
                    image,
                    rows,
                    columns,
                    group,
                };
                // Four filters at a time: the sums of each are a chain, but four chains run side by side.
                let blocks = outputs
                    .chunks_mut(4)
                    .zip(filters.chunks(nonzero(4 * patch_len)));
                for (block, (outputs, filters)) in blocks.enumerate() {
                    let first = group * in_group + 4 * block;
                    for ((lane, output), sum) in
                        outputs.iter_mut().enumerate().zip(patch.sums(filters))
                    {
                        let bias = bias.get(first + lane).copied().unwrap_or(0.0);
                        *output = clamp.apply(sum + bias);
                    }
                }
            }
        });
        Ok(())
    }
}

/// What stays the same over a whole INT8 convolution.
struct Layer<'a> {
    geometry: &'a ConvGeometry,
    quantization: &'a WeightedQuantization<'a>,
    bias: &'a [i32],
}

impl Layer<'_> {
    fn run(&self, input: &[i8], filter: &[i8], output: &mut [i8], scratch: &mut [i16]) {
        let geometry = self.geometry;
        let patch_len = geometry.patch_len();
        let group_len = nonzero(patch_len * geometry.filters_in_group());
        let window = &geometry.window;
        let channels = geometry.output_channels();
        if SMALL_DEFINITIONS {
            return window.for_each_pixel(input, output, |image, rows, columns, pixel| {
                self.without_patch(image, (rows, columns), filter, pixel);
            });
        }
        window.for_each_row(input, output, |image, rows, row| {
            for (step, pixels) in row.chunks_mut(nonzero(2 * channels)).enumerate() {
                let (left, right) = pixels.split_at_mut_checked(channels).unwrap_or_default();
                for (group, filters) in filter.chunks_exact(group_len).enumerate() {
                    let x = 2 * step;
                    if right.is_empty() {
                        let patch = scratch.get_mut(..patch_len).unwrap_or_default();
                        self.gather::<1>(image, rows, x, group, patch);
                        self.one_pixel(group, filters, patch, left);
                    } else if FEW_REGISTERS {
                        let second = scratch.get_mut(1..).unwrap_or_default();
                        self.gather::<2>(image, rows, x + 1, group, second);
                        self.gather::<2>(image, rows, x, group, scratch);
                        let products = |w0: &[i8], w1: &[i8]| dot_pairs(scratch, w0, w1);
                        self.two_pixels(group, filters, products, (left, right));
                    } else {
                        let patches = scratch.split_at_mut_checked(patch_len);
                        let (first, second) = patches.unwrap_or_default();
                        self.gather::<1>(image, rows, x, group, first);
                        self.gather::<1>(image, rows, x + 1, group, second);
                        let products = |w0: &[i8], w1: &[i8]| dot_2x2(first, second, w0, w1);
                        self.two_pixels(group, filters, products, (left, right));
                    }
                }
            }
        });
    }

    /// Computes a pixel output by output from the image as it lies there: small rather than fast.
    fn without_patch(
        &self,
        image: &[i8],
        (rows, columns): (Taps, Taps),
        filter: &[i8],
        pixel: &mut [i8],
    ) {
        let (len, in_group) = (self.geometry.patch_len(), self.geometry.filters_in_group());
        let zero_point = self.quantization.input_zero_point as i16;
        for (channel, output) in pixel.iter_mut().enumerate() {
            let weights = filter.get(channel * len..).unwrap_or(&[]);
            let mut sum = 0i32;
            self.geometry
                .for_each_run(rows, columns, channel / in_group, |from, at, len| {
                    let values = image.get(from..from + len).unwrap_or(&[]);
                    let weights = weights.get(at..).unwrap_or(&[]);
                    sum = sum.wrapping_add(dot_row(values, zero_point, weights));
                });
            *output = self.finish(channel, sum);
        }
    }

    /// What the window at column `x` sees of a group's channels, less the zero point, to every `STEP`th element.
    fn gather<const STEP: usize>(
        &self,
        image: &[i8],
        rows: Taps,
        x: usize,
        group: usize,
        patch: &mut [i16],
    ) {
        let columns = self.geometry.window.columns().taps(x);
        let zero_point = self.quantization.input_zero_point as i16;
        let convert = |value: i8| i16::from(value).wrapping_sub(zero_point);
        self.geometry
            .gather::<i8, STEP>(image, (rows, columns), group, patch, convert);
    }

    /// `products` gives the products of both pixels' patches with two filters, as [`dot_2x2`].
    fn two_pixels(
        &self,
        group: usize,
        filters: &[i8],
        products: impl Fn(&[i8], &[i8]) -> [i32; 4],
        (left, right): (&mut [i8], &mut [i8]),
    ) {
        let patch_len = self.geometry.patch_len();
        let start = group * self.geometry.filters_in_group();
        let outputs = left.iter_mut().zip(right).enumerate().skip(start);
        let mut outputs = outputs.take(self.geometry.filters_in_group());
        let mut pairs = filters.chunks_exact(nonzero(2 * patch_len));
        for pair in &mut pairs {
            let (w0, w1) = pair.split_at_checked(patch_len).unwrap_or_default();
            let [a, b, c, d] = products(w0, w1);
            for sums in [[a, b], [c, d]] {
                if let Some((channel, (left, right))) = outputs.next() {
                    *left = self.finish(channel, sums[0]);
                    *right = self.finish(channel, sums[1]);
                }
            }
        }
        for (weights, (channel, (left, right))) in
            pairs.remainder().chunks_exact(patch_len).zip(outputs)
        {
            let [a, b, ..] = products(weights, weights);
            *left = self.finish(channel, a);
            *right = self.finish(channel, b);
        }
    }

    fn one_pixel(&self, group: usize, filters: &[i8], patch: &[i16], pixel: &mut [i8]) {
        let start = group * self.geometry.filters_in_group();
        let mut outputs = pixel.iter_mut().enumerate().skip(start);
        for filters in filters.chunks(nonzero(4 * patch.len())) {
            let sums = dot_rows(patch, four_rows(filters, patch.len()), |value| value);
            let count = filters.len() / nonzero(patch.len());
            for (sum, (channel, output)) in sums.into_iter().zip(outputs.by_ref().take(count)) {
                *output = self.finish(channel, sum);
            }
        }
    }

    #[inline]
    fn finish(&self, channel: usize, sum: i32) -> i8 {
        let bias = self.bias.get(channel).copied().unwrap_or(0);
        self.quantization.finish(channel, sum.wrapping_add(bias))
    }
}

/// Any other convolution with integer weights: for every position and group, one patch and all its filters.
struct MixedConv<'a> {
    geometry: &'a ConvGeometry,
    patch: &'a mut [i16],
}

impl Walk for MixedConv<'_> {
    fn sums<T: Copy>(
        &mut self,
        values: &[T],
        convert: impl Fn(T) -> i16,
        weights: &Weights<'_>,
        sink: &mut Sink<'_, '_>,
    ) {
        let Self { geometry, patch } = self;
        let in_group = geometry.filters_in_group();
        let groups = geometry.output_channels() / nonzero(in_group);
        let window = &geometry.window;
        window.for_each_position(values, |image, rows, columns| {
            for group in 0..groups {
                geometry.gather::<T, 1>(image, (rows, columns), group, patch, &convert);
                weights.put_rows(patch, group * in_group, in_group, sink);
            }
        });
    }
}

/// Real convolution: input `[N, H, W, C]`, filter `[O, KH, KW, D]`, bias `[O]`, output `[N, H', W', O]`.
///
/// Every output sums its products one after the other, over height, width, then depth, and adds the bias last, as
/// TFLM's `reference_ops::Conv`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
pub fn conv2d_f32(
    geometry: &ConvGeometry,
    clamp: &Clamp,
    input: &[f32],
    filter: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> Result<(), InvokeError> {
    geometry.check(input, filter, bias, output)?;
    if arch::conv2d_f32(geometry, clamp, input, filter, bias, output) {
        return Ok(());
    }
    portable::conv2d_f32(geometry, clamp, input, filter, bias, output)
}

/// What the window sees at one output position of a real convolution.
struct Patch<'a> {
    geometry: &'a ConvGeometry,
    image: &'a [f32],
    rows: Taps,
    columns: Taps,
    group: usize,
}

impl Patch<'_> {
    /// The products with up to four filters, each `KH * KW * D` long. Missing ones count as the first.
    fn sums(&self, filters: &[f32]) -> [f32; 4] {
        let filters = four_rows(filters, self.geometry.patch_len());
        let mut sums = [0.0; 4];
        let (rows, columns) = (self.rows, self.columns);
        self.geometry
            .for_each_run(rows, columns, self.group, |from, at, len| {
                let values = self.image.get(from..from + len).unwrap_or(&[]);
                let weights = filters.map(|f| f.get(at..at + len).unwrap_or(&[]));
                add_products(&mut sums, values, weights);
            });
        sums
    }
}
