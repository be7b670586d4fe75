//! TRANSPOSE_CONV: every input pixel spreads over the outputs that a window at its place covers.
//!
//! Computed output by output: those taps are added that reach it. Unlike TFLM, no sums of the whole output are kept.

use larun_ops::{Op, Padding, TransposeConvOptions, Window, op};

use crate::dot::add_products;
use crate::operand::{Operand, wrong_op};
use crate::plan::{Record, record};
use crate::requantize::Clamp;
use crate::weighted::{self, Lens, Roles, Scheme, Sink, Walk, Weights};
use crate::window::nonzero;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
    check_scratch,
};

const ROLES: Roles = Roles {
    input: 2,
    weights: 1,
    bias: 3,
};

impl Kernel for op::TransposeConv {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::TransposeConv(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let geometry = geometry(options, node)?;
        let layer = weighted::Layer {
            node,
            roles: ROLES,
            channel_axis: 0,
            channels: geometry.output_channels,
            activation: options.activation,
            bias_type: options.quantized_bias_type,
            asymmetric: true,
            scales_first: false,
            dense: false,
        };
        let scheme = layer.scheme()?;
        scheme.write(plan);
        geometry.write(plan);
        if scheme != Scheme::Float32 {
            plan.request_scratch(geometry.patch_len().saturating_mul(size_of::<i16>()));
        }
        layer.write_quantization(scheme, plan)
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let scheme = Scheme::read(&mut plan)?;
        let geometry = Geometry::read(&mut plan)?;
        let geometry = geometry.checked().ok_or(InvokeError::Plan)?;
        let Some(mixed) = scheme.integer_weights() else {
            let clamp = Clamp::read(&mut plan)?;
            let output = io.output(0)?;
            let io = io.freeze();
            let (input, filter) = (io.input(ROLES.input)?, io.input(ROLES.weights)?);
            let bias = io.optional_input(ROLES.bias)?;
            return transpose_conv_f32(&geometry, &clamp, input, filter, bias, output);
        };
        let patch = check_scratch(io.scratch()?, geometry.patch_len())?;
        let mut walk = Gather {
            geometry: &geometry,
            patch,
        };
        mixed.run(ROLES, &geometry.lens(), plan, io, &mut walk)
    }
}

record! {
    /// An axis along which windows of `filter` taps lie `stride` apart, the first one `pad` before the output.
    struct Axis {
        input: usize,
        output: usize,
        filter: usize,
        stride: usize,
        pad: usize,
    }
}

impl Axis {
    fn new(
        input: usize,
        output: usize,
        filter: usize,
        stride: i32,
        padding: Padding,
    ) -> Option<Self> {
        let stride = usize::try_from(stride).ok()?;
        // The padding is that of the convolution which goes from this output to this input.
        let window = Window::new(output, filter, stride, 1, padding)?;
        let axis = Self {
            input,
            output,
            filter,
            stride,
            pad: window.pad_before,
        };
        axis.checked()
    }

    /// The axis where nothing below can overflow.
    fn checked(self) -> Option<Self> {
        let sizes = [self.input, self.output, self.filter, self.stride];
        let covered = self.input.checked_mul(self.stride)?;
        let reach = covered
            .checked_add(self.output)?
            .checked_add(self.filter)?
            .checked_add(self.pad)?;
        (!sizes.contains(&0) && i32::try_from(reach).is_ok()).then_some(self)
    }

    /// The most windows that reach one output.
    fn most(&self) -> usize {
        let overlap = self.filter.div_ceil(nonzero(self.stride));
        overlap.min(self.input)
    }

    /// Each input element whose window reaches the output at `at`, with the tap that does, in the input's order.
    fn reaching(&self, at: usize) -> impl Iterator<Item = (usize, usize)> + Clone + use<> {
        let (at, stride, filter) = (at + self.pad, nonzero(self.stride), self.filter);
        let first = at.saturating_sub(filter.saturating_sub(1)).div_ceil(stride);
        let end = (at / stride + 1).min(self.input);
        (first..end).map(move |input| (input, at - input * stride))
    }
}

record! {
    /// The sizes of a transposed convolution: input `[N, H, W, C]`, filter `[O, KH, KW, C]`, output `[N, H', W', O]`.
    struct Geometry {
        batch: usize,
        rows: Axis,
        columns: Axis,
        input_channels: usize,
        output_channels: usize,
    }
}

impl Geometry {
    /// The geometry where no tensor is empty or has 2^31 elements.
    fn checked(self) -> Option<Self> {
        let (rows, columns) = (self.rows.checked()?, self.columns.checked()?);
        let tensors = [
            [self.batch, rows.input, columns.input, self.input_channels],
            [
                self.batch,
                rows.output,
                columns.output,
                self.output_channels,
            ],
            [
                self.output_channels,
                rows.filter,
                columns.filter,
                self.input_channels,
            ],
        ];
        let fits = tensors.iter().all(|dims| {
            let elements = dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
            elements.is_some_and(|n| n > 0 && i32::try_from(n).is_ok())
        });
        fits.then_some(self)
    }

    /// Values that reach one output pixel at most.
    fn patch_len(&self) -> usize {
        let pixels = self.rows.most() * self.columns.most();
        pixels.saturating_mul(self.input_channels)
    }

    fn filter_len(&self) -> usize {
        self.rows.filter * self.columns.filter * self.input_channels
    }

    fn lens(&self) -> Lens {
        Lens {
            batch: self.batch,
            input: self.rows.input * self.columns.input * self.input_channels,
            weights: self.output_channels * self.filter_len(),
            channels: self.output_channels,
            output: self.rows.output * self.columns.output * self.output_channels,
        }
    }

    /// Calls `body` for each pixel of the output, in order.
    fn for_each_pixel(&self, mut body: impl FnMut(usize, usize)) {
        for y in 0..self.rows.output {
            for x in 0..self.columns.output {
                body(y, x);
            }
        }
    }

    /// Where each input pixel that reaches the output pixel `(y, x)` begins in the image, and where its weights begin
    /// in a filter.
    fn reaching(&self, y: usize, x: usize) -> impl Iterator<Item = (usize, usize)> {
        let depth = self.input_channels;
        let (width, taps) = (self.columns.input, self.columns.filter);
        let columns = self.columns.reaching(x);
        self.rows.reaching(y).flat_map(move |(in_y, tap_y)| {
            columns.clone().map(move |(in_x, tap_x)| {
                let pixel = (in_y * width + in_x) * depth;
                (pixel, (tap_y * taps + tap_x) * depth)
            })
        })
    }
}

fn geometry(options: &TransposeConvOptions, node: &dyn NodeView) -> Result<Geometry, Refusal> {
    let (input, filter) = (Operand::input(node, 2)?, Operand::input(node, 1)?);
    let output = Operand::output(node, 0)?;
    let [batch, in_h, in_w, input_channels] = input.nhwc()?;
    let [output_channels, filter_h, filter_w, _] = filter.nhwc()?;
    let [images, out_h, out_w, filters] = output.nhwc()?;
    // Where the output's shape is no constant, the file's is taken.
    for (axis, found, expected) in [(0, images, batch), (3, filters, output_channels)] {
        if found != expected {
            return Err(output.refuse(Reason::Dimension {
                axis,
                found,
                expected,
            }));
        }
    }
    let padding = options.padding;
    let rows = Axis::new(in_h, out_h, filter_h, options.stride_h, padding);
    let columns = Axis::new(in_w, out_w, filter_w, options.stride_w, padding);
    let (rows, columns) = rows.zip(columns).ok_or(Refusal::options(Reason::Shape(
        larun_ops::ShapeError::Window,
    )))?;
    let geometry = Geometry {
        batch,
        rows,
        columns,
        input_channels,
        output_channels,
    };
    geometry.checked().ok_or(Refusal::options(Reason::TooLarge))
}

/// Integer weights: for every output pixel, the input pixels that reach it side by side, then all filters.
struct Gather<'a> {
    geometry: &'a Geometry,
    patch: &'a mut [i16],
}

impl Walk for Gather<'_> {
    fn sums<T: Copy>(
        &mut self,
        values: &[T],
        convert: impl Fn(T) -> i16,
        weights: &Weights<'_>,
        sink: &mut Sink<'_, '_>,
    ) {
        let Self { geometry, patch } = self;
        let depth = nonzero(geometry.input_channels);
        let filter_len = geometry.filter_len();
        for image in values.chunks_exact(nonzero(geometry.lens().input)) {
            geometry.for_each_pixel(|y, x| {
                let pixels = patch.chunks_exact_mut(depth);
                for (place, (from, _)) in pixels.zip(geometry.reaching(y, x)) {
                    let pixel = image.get(from..from + depth).unwrap_or(&[]);
                    for (place, &value) in place.iter_mut().zip(pixel) {
                        *place = convert(value);
                    }
                }
                for channel in 0..geometry.output_channels {
                    let filter = channel * filter_len;
                    let pixels = patch.chunks_exact(depth).zip(geometry.reaching(y, x));
                    let sum = pixels.fold(0i64, |sum, (pixel, (_, tap))| {
                        sum.wrapping_add(weights.dot(filter + tap, pixel))
                    });
                    sink.put(channel, sum);
                }
            });
        }
    }
}

/// Real numbers. Every output sums its products in the order in which input pixels reach it, channel by channel, and
/// adds the bias last, as TFLM's `reference_ops::TransposeConv`.
fn transpose_conv_f32(
    geometry: &Geometry,
    clamp: &Clamp,
    input: &[f32],
    filter: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> Result<(), InvokeError> {
    let lens = geometry.lens();
    check_len(
        Memory::input(ROLES.input),
        input.len(),
        lens.batch * lens.input,
    )?;
    check_len(Memory::input(ROLES.weights), filter.len(), lens.weights)?;
    check_len(Memory::output(0), output.len(), lens.batch * lens.output)?;
    if let Some(bias) = bias {
        check_len(Memory::input(ROLES.bias), bias.len(), lens.channels)?;
    }
    let bias = bias.unwrap_or(&[]);
    let (depth, filter_len) = (geometry.input_channels, geometry.filter_len());
    let mut outputs = output.chunks_exact_mut(nonzero(lens.channels));
    for image in input.chunks_exact(nonzero(lens.input)) {
        geometry.for_each_pixel(|y, x| {
            let outputs = outputs.next().unwrap_or_default();
            // Four filters at a time: the sums of each are a chain, but four chains run side by side.
            for (block, outputs) in outputs.chunks_mut(4).enumerate() {
                let mut sums = [0.0; 4];
                for (from, tap) in geometry.reaching(y, x) {
                    let values = image.get(from..from + depth).unwrap_or(&[]);
                    let weights = [0, 1, 2, 3].map(|lane| {
                        let lane = if lane < outputs.len() { lane } else { 0 };
                        let at = (4 * block + lane) * filter_len + tap;
                        filter.get(at..at + depth).unwrap_or(&[])
                    });
                    add_products(&mut sums, values, weights);
                }
                for (lane, (output, sum)) in outputs.iter_mut().zip(sums).enumerate() {
                    let bias = bias.get(4 * block + lane).copied().unwrap_or(0.0);
                    *output = clamp.apply(sum + bias);
                }
            }
        });
    }
    Ok(())
}
