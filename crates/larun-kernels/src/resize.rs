//! Images of another size: RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR.

use larun_ops::{ElementType, Op, op};
use larun_quant::fixed_point::Rounding;

use crate::integer::{QUANTIZED_OR_FLOAT32, Quantized};
use crate::layout::bytes::copy;
use crate::operand::{Operand, wrong_op};
use crate::plan::{Record, record};
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

record! {
    /// The geometry of a resize: images `[batch, height, width, channels]` in and out.
    struct ResizeGeometry {
        /// Images.
        pub batch: usize,
        /// Height and width of the input.
        pub input: [usize; 2],
        /// Height and width of the output.
        pub output: [usize; 2],
        /// Elements of a pixel.
        pub channels: usize,
        /// Whether the corner pixels of input and output meet.
        pub align_corners: bool,
        /// Whether pixels are points in the middle of their area.
        pub half_pixel_centers: bool,
    }
}

impl ResizeGeometry {
    fn new(
        node: &dyn NodeView,
        align_corners: bool,
        half_pixel_centers: bool,
    ) -> Result<Self, Refusal> {
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        output.takes_from(&input)?;
        // The shape rule has compared it with the output where it is a constant.
        Operand::input(node, 1)?.constant_ints()?;
        let [batch, in_h, in_w, channels] = input.nhwc()?;
        let [_, out_h, out_w, _] = output.nhwc()?;
        if in_h == 0 || in_w == 0 {
            return Err(input.refuse(Reason::Empty));
        }
        Ok(Self {
            batch,
            input: [in_h, in_w],
            output: [out_h, out_w],
            channels,
            align_corners,
            half_pixel_centers,
        })
    }

    /// Checks the lengths of input and output; whether there is anything to do.
    fn check(&self, input: usize, output: usize) -> Result<bool, InvokeError> {
        let elements = |[height, width]: [usize; 2]| {
            let mut factors = [height, width, self.batch, self.channels].into_iter();
            let product = factors.try_fold(1usize, usize::checked_mul);
            product.ok_or(InvokeError::Plan)
        };
        check_len(Memory::input(0), input, elements(self.input)?)?;
        check_len(Memory::output(0), output, elements(self.output)?)?;
        Ok(input > 0 && output > 0)
    }

    /// Sizes of input and output along an axis, one less each where corners meet.
    fn spans(&self, axis: usize) -> [usize; 2] {
        let of = |sizes: [usize; 2]| sizes.get(axis).copied().unwrap_or(1);
        let [input, output] = [of(self.input), of(self.output)];
        if self.align_corners && output > 1 {
            return [input.saturating_sub(1), output - 1];
        }
        [input, output]
    }

    /// The last position of an axis of the input.
    fn last(&self, axis: usize) -> usize {
        self.input.get(axis).map_or(0, |len| len.saturating_sub(1))
    }
}

impl Kernel for op::ResizeBilinear {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::ResizeBilinear(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let element_type = Operand::input(node, 0)?.one_of(QUANTIZED_OR_FLOAT32)?;
        if options.align_corners && options.half_pixel_centers {
            let what = "half-pixel centres together with aligned corners:";
            return Err(Refusal::options(Reason::Option { what, found: 1 }));
        }
        let geometry =
            ResizeGeometry::new(node, options.align_corners, options.half_pixel_centers)?;
        plan.push_i32(element_type.code().into());
        geometry.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let code = plan.read_i32()?;
        let rounding = plan.rounding();
        let geometry = ResizeGeometry::read(&mut plan)?;
        if code == i32::from(ElementType::Float32.code()) {
            let output = io.output(0)?;
            resize_bilinear_f32(&geometry, io.freeze().input(0)?, output)
        } else if code == i32::from(ElementType::Int16.code()) {
            let output = io.output::<i16>(0)?;
            resize_bilinear_integer(&geometry, rounding, io.freeze().input(0)?, output)
        } else {
            let output = io.output::<i8>(0)?;
            resize_bilinear_integer(&geometry, rounding, io.freeze().input(0)?, output)
        }
    }
}

/// The two pixels that an output pixel lies between, along one axis, and how far it is from the first.
#[derive(Clone, Copy)]
struct Between<W> {
    pixels: [usize; 2],
    weight: W,
}

/// Linear interpolation of real numbers, in the order of TFLM's `reference_ops::ResizeBilinear`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
fn resize_bilinear_f32(
    geometry: &ResizeGeometry,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    let between = |axis, at| {
        let [input, output] = geometry.spans(axis);
        let scale = input as f32 / output as f32;
        let at = if geometry.half_pixel_centers {
            (at as f32 + 0.5) * scale - 0.5
        } else {
            at as f32 * scale
        };
        let last = geometry.last(axis);
        // Casts saturate, at 0 below.
        let low = (libm::floorf(at) as usize).min(last);
        let high = (libm::ceilf(at) as usize).min(last);
        let weight = at - low as f32;
        Between {
            pixels: [low, high],
            weight,
        }
    };
    interpolate(geometry, between, input, output, |[a, b, c, d], y, x| {
        let (from_y, from_x) = (1.0 - y, 1.0 - x);
        a * from_y * from_x + b * y * from_x + c * from_y * x + d * y * x + 0.0
    })
}

/// Linear interpolation of integers with weights of ten bits, as TFLM's `reference_ops::ResizeBilinearInteger`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
fn resize_bilinear_integer<T: Quantized>(
    geometry: &ResizeGeometry,
    rounding: Rounding,
    input: &[T],
    output: &mut [T],
) -> Result<(), InvokeError> {
    let between = |axis, at: usize| {
        let [input, output] = geometry.spans(axis).map(|span| span as i64);
        let scale = ((input << 10) + output / 2) / output.max(1);
        let at = (at as i64).wrapping_mul(scale);
        let at = if geometry.half_pixel_centers {
            at + scale / 2 - (1 << 9)
        } else {
            at
        };
        let last = geometry.last(axis);
        let pixel = |at: i64| usize::try_from(at / (1 << 10)).unwrap_or(0).min(last);
        let low = pixel(at);
        Between {
            pixels: [low, pixel(at + (1 << 10) - 1)],
            weight: at.wrapping_sub((low as i64) << 10) as i32,
        }
    };
    let rounded: fn(i64) -> i64 = match rounding {
        Rounding::Single => |sum| (sum + (1 << 19)) >> 20,
        _ => |sum| (sum + if sum > 0 { 1 << 19 } else { -(1 << 19) }) / (1 << 20),
    };
    interpolate(geometry, between, input, output, |pixels, y, x| {
        let [from_y, from_x] = [y, x].map(|weight| 1024i32.wrapping_sub(weight));
        let [a, b, c, d] = pixels.map(T::into);
        let term = |value: i32, y, x| i64::from(value.wrapping_mul(y)) * i64::from(x);
        let upper = term(a, from_y, from_x).wrapping_add(term(c, from_y, x));
        let lower = term(b, y, from_x).wrapping_add(term(d, y, x));
        T::narrow(rounded(upper.wrapping_add(lower)) as i32)
    })
}

/// Makes every output pixel of four input pixels: `mix` gets those at (low, low), (high, low), (low, high) and
/// (high, high) row and column, and the weights of the high row and column.
fn interpolate<T: Copy, W: Copy>(
    geometry: &ResizeGeometry,
    between: impl Fn(usize, usize) -> Between<W>,
    input: &[T],
    output: &mut [T],
    mix: impl Fn([T; 4], W, W) -> T,
) -> Result<(), InvokeError> {
    if !geometry.check(input.len(), output.len())? {
        return Ok(());
    }
    let [out_h, out_w] = geometry.output;
    let channels = geometry.channels;
    let in_row = geometry.input[1] * channels;
    let images = input.chunks_exact(geometry.input[0] * in_row);
    for (image, resized) in images.zip(output.chunks_exact_mut(out_h * out_w * channels)) {
        for (y, row) in resized.chunks_exact_mut(out_w * channels).enumerate() {
            let y = between(0, y);
            let [low, high] = y.pixels.map(|row| image.get(row * in_row..).unwrap_or(&[]));
            for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
                let x = between(1, x);
                let [left, right] = x.pixels.map(|column| column * channels);
                let lefts = from(low, left).zip(from(high, left));
                let rights = from(low, right).zip(from(high, right));
                for (place, ((a, b), (c, d))) in pixel.iter_mut().zip(lefts.zip(rights)) {
                    *place = mix([a, b, c, d], y.weight, x.weight);
                }
            }
        }
    }
    Ok(())
}

/// The elements of a row from one on.
fn from<T: Copy>(row: &[T], start: usize) -> impl Iterator<Item = T> {
    row.get(start..).unwrap_or(&[]).iter().copied()
}

impl Kernel for op::ResizeNearestNeighbor {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::ResizeNearestNeighbor(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let mut geometry =
            ResizeGeometry::new(node, options.align_corners, options.half_pixel_centers)?;
        let bytes = geometry
            .channels
            .checked_mul(Operand::input(node, 0)?.element_len()?);
        geometry.channels = bytes.ok_or(Refusal::options(Reason::TooLarge))?;
        geometry.write(plan);
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let geometry = ResizeGeometry::read(&mut plan)?;
        let output = io.output(0)?;
        resize_nearest(&geometry, io.freeze().input(0)?, output)
    }
}

/// Copies the nearest pixels, whose `channels` are bytes, as TFLM's `reference_ops::ResizeNearestNeighbor`.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says.
fn resize_nearest(
    geometry: &ResizeGeometry,
    input: &[u8],
    output: &mut [u8],
) -> Result<(), InvokeError> {
    if !geometry.check(input.len(), output.len())? {
        return Ok(());
    }
    let [out_h, out_w] = geometry.output;
    let pixel = geometry.channels;
    let in_row = geometry.input[1] * pixel;
    let images = input.chunks_exact(geometry.input[0] * in_row);
    for (image, resized) in images.zip(output.chunks_exact_mut(out_h * out_w * pixel)) {
        let mut done: Option<(usize, &[u8])> = None;
        for (y, row) in resized.chunks_exact_mut(out_w * pixel).enumerate() {
            let from = geometry.nearest(0, y);
            match done {
                // A row that comes again is copied as a whole.
                Some((same, before)) if same == from => copy(row, before),
                _ => {
                    let image_row = image.get(from * in_row..).unwrap_or(&[]);
                    for (x, place) in row.chunks_exact_mut(pixel).enumerate() {
                        let column = geometry.nearest(1, x) * pixel;
                        copy(place, image_row.get(column..).unwrap_or(&[]));
                    }
                }
            }
            done = Some((from, row));
        }
    }
    Ok(())
}

impl ResizeGeometry {
    /// The input's position nearest to one of the output.
    fn nearest(&self, axis: usize, at: usize) -> usize {
        let [input, output] = self.spans(axis);
        let scale = input as f32 / output as f32;
        let offset = if self.half_pixel_centers { 0.5 } else { 0.0 };
        let at = (at as f32 + offset) * scale;
        let at = if self.align_corners {
            libm::roundf(at)
        } else {
            at
        };
        // Casts cut fractions off and saturate.
        (at as usize).min(self.last(axis))
    }
}
