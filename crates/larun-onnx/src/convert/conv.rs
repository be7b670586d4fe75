//! Convolutions, forwards and transposed, of signals and of images.

use larun_graph::TensorId;
use larun_graph::ops::{
    Activation, Conv2DOptions, DepthwiseConv2DOptions, ElementType, Op, Padding, SliceOptions,
    TransposeConvOptions,
};

use super::Converter;
use super::join::pad_stored;
use crate::constant::Constant;
use crate::error::Refusal;
use crate::net::to_i32;
use crate::node::OnnxNode;
use crate::view::{IMAGE, SIGNAL, Slot, View};

/// The sliding window of a convolution or pooling over height and width; a signal has a height of 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Elements added before and after, by axis.
    pub(super) pads: [[usize; 2]; 2],
}

impl Window {
    /// Reads the attributes of a node whose input is `[N, C, ...spatial]`.
    pub(super) fn read(
        node: OnnxNode<'_>,
        kernel: &[usize],
        input: &[usize],
    ) -> Result<Self, Refusal> {
        let count = kernel.len();
        if !(1..=2).contains(&count) {
            return Err(format!(
                "it works on {count} spatial axes: 1 and 2 are supported"
            ));
        }
        let each = |name: &str| -> Result<[usize; 2], Refusal> {
            let sizes = node.sizes(name)?.unwrap_or_else(|| vec![1; count]);
            match *sizes.as_slice() {
                _ if sizes.contains(&0) => Err(format!("its {name} hold a zero")),
                [w] if count == 1 => Ok([1, w]),
                [h, w] if count == 2 => Ok([h, w]),
                _ => Err(format!("its {name} are not one a spatial axis")),
            }
        };
        let (stride, dilation) = (each("strides")?, each("dilations")?);
        let kernel = match *kernel {
            [w] => [1, w],
            [h, w] => [h, w],
            _ => return Err("its kernel has no size".to_owned()),
        };
        let mut window = Self {
            kernel,
            stride,
            dilation,
            pads: [[0; 2]; 2],
        };
        window.pads = window.read_pads(node, count, input)?;
        if window.kernel.contains(&0) {
            return Err("its kernel has a size of zero".to_owned());
        }
        Ok(window)
    }

    fn read_pads(
        &self,
        node: OnnxNode<'_>,
        count: usize,
        input: &[usize],
    ) -> Result<[[usize; 2]; 2], Refusal> {
        match node.text("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" | "" => {}
            "VALID" => return Ok([[0; 2]; 2]),
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                let mut pads = [[0; 2]; 2];
                for (axis, (pads, &size)) in pads.iter_mut().zip(input).enumerate() {
                    let [before, after] = self.same(axis, size);
                    *pads = if same == "SAME_UPPER" {
                        [before, after]
                    } else {
                        [after, before]
                    };
                }
                return Ok(pads);
            }
            other => return Err(format!("auto_pad is '{other}'")),
        }
        let negative = "negative padding crops the input: slice it before".to_owned();
        let sizes = match node.ints("pads") {
            Some(pads) if pads.iter().any(|&p| p < 0) => return Err(negative),
            _ => node.sizes("pads")?.unwrap_or_else(|| vec![0; 2 * count]),
        };
        match *sizes.as_slice() {
            [left, right] if count == 1 => Ok([[0, 0], [left, right]]),
            [top, left, bottom, right] if count == 2 => Ok([[top, bottom], [left, right]]),
            _ => Err(format!("its pads {sizes:?} are not two a spatial axis")),
        }
    }

    /// The padding of the file format's SAME before and after, by which the output has `ceil(size / stride)` positions.
    fn same(&self, axis: usize, size: usize) -> [usize; 2] {
        let stride = *self.stride.get(axis).unwrap_or(&1);
        let total =
            ((size.div_ceil(stride).max(1) - 1) * stride + self.span(axis)).saturating_sub(size);
        [total / 2, total - total / 2]
    }

    /// How many positions the dilated kernel covers.
    pub(super) fn span(&self, axis: usize) -> usize {
        let of = |sizes: [usize; 2]| *sizes.get(axis).unwrap_or(&1);
        (of(self.kernel) - 1)
            .saturating_mul(of(self.dilation))
            .saturating_add(1)
    }

    /// SAME or VALID, where one of them pads an input of `[H, W]` as the node does.
    pub(super) fn padding(&self, input: [usize; 2]) -> Option<Padding> {
        if self.pads == [[0; 2]; 2] {
            return Some(Padding::Valid);
        }
        let [height, width] = input;
        (self.pads == [self.same(0, height), self.same(1, width)]).then_some(Padding::Same)
    }
}

/// The spatial sizes `[H, W]` of a view `[N, C, ...]`.
pub(super) fn spatial(view: &View) -> Result<[usize; 2], Refusal> {
    match *view.dims().as_slice() {
        [_, _, w] => Ok([1, w]),
        [_, _, h, w] => Ok([h, w]),
        ref dims => Err(format!(
            "its input has the shape {dims:?}: [N, C, W] or [N, C, H, W] is expected"
        )),
    }
}

/// How a value of the network lies for operators on images and signals.
pub(super) fn image_slots(rank: usize) -> Result<&'static [Slot], Refusal> {
    match rank {
        3 => Ok(&SIGNAL),
        4 => Ok(&IMAGE),
        _ => Err(format!("its input has {rank} axes: 3 or 4 are expected")),
    }
}

/// The view of an image `[N, H, W, C]`, or of a signal of height 1, with the file's axes.
pub(super) fn image_view(
    converter: &Converter<'_>,
    tensor: TensorId,
    rank: usize,
) -> Result<View, Refusal> {
    let stored = converter.net.dims(tensor);
    let dims = match (stored.as_slice(), rank) {
        (&[n, _, w, c], 3) => vec![n, c, w],
        (&[n, h, w, c], 4) => vec![n, c, h, w],
        _ => return Err(format!("a tensor of shape {stored:?} is no image")),
    };
    Ok(View::stored(tensor, &dims, image_slots(rank)?))
}

/// Weights `[O, I, ...]` and their kernel's sizes.
fn weights(
    converter: &Converter<'_>,
    node: OnnxNode<'_>,
) -> Result<(Constant, Vec<usize>), Refusal> {
    let weights = converter
        .constant(node, 1, "weights")?
        .ok_or("it has no weights")?;
    let kernel = weights.dims().get(2..).unwrap_or(&[]).to_vec();
    if !(1..=2).contains(&kernel.len()) {
        return Err(format!(
            "its weights have the shape {:?}: kernels of 1 and 2 axes are supported",
            weights.dims()
        ));
    }
    // A signal's kernel has a height of 1.
    let mut dims = weights.dims().to_vec();
    if kernel.len() == 1 {
        dims.insert(2, 1);
    }
    Ok((weights.reshaped(&dims)?, kernel))
}

fn bias(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
    count: usize,
) -> Result<TensorId, Refusal> {
    let values = match converter.constant(node, 2, "bias")? {
        Some(bias) if bias.len() == count => bias.to_floats().iter().copied().collect(),
        Some(bias) => {
            return Err(format!(
                "its bias has {} values for {count} channels",
                bias.len()
            ));
        }
        None => vec![0.0; count],
    };
    converter.net.floats("bias", &[count], &values)
}

pub(super) fn conv(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let input = converter.input(node, 0)?;
    let (weights, kernel) = weights(converter, node)?;
    let size = spatial(&input)?;
    let window = Window::read(node, &kernel, &size)?;
    let mut tensor = converter.net.arrange(&input, image_slots(input.rank())?)?;
    let padding = match window.padding(size) {
        Some(padding) => padding,
        None => {
            tensor = pad_stored(
                converter,
                tensor,
                &[[0; 2], window.pads[0], window.pads[1], [0; 2]],
            )?;
            Padding::Valid
        }
    };
    let &[outputs, inputs_of_group, kh, kw] = weights.dims() else {
        return Err("its weights are no kernel".to_owned());
    };
    let (groups, channels) = (node.int("group").unwrap_or(1), input.dim(1));
    let groups = usize::try_from(groups)
        .ok()
        .filter(|&g| g > 0)
        .ok_or("its groups are not positive")?;
    if inputs_of_group.checked_mul(groups) != Some(channels) || outputs % groups != 0 {
        return Err(format!(
            "weights of shape {:?} in {groups} groups do not go with {channels} channels",
            weights.dims()
        ));
    }
    let ([stride_h, stride_w], [dilation_h, dilation_w]) =
        (sizes(window.stride)?, sizes(window.dilation)?);
    let depthwise = groups == channels && groups > 1;
    let (order, dims, op) = if depthwise {
        let options = DepthwiseConv2DOptions {
            padding,
            stride_w,
            stride_h,
            depth_multiplier: to_i32(outputs / channels)?,
            activation: Activation::None,
            dilation_w,
            dilation_h,
        };
        (
            [1, 2, 3, 0],
            [1, kh, kw, outputs],
            Op::DepthwiseConv2D(options),
        )
    } else {
        let options = Conv2DOptions {
            padding,
            stride_w,
            stride_h,
            activation: Activation::None,
            dilation_w,
            dilation_h,
            quantized_bias_type: ElementType::Float32,
        };
        (
            [0, 2, 3, 1],
            [outputs, kh, kw, inputs_of_group],
            Op::Conv2D(options),
        )
    };
    let values: Vec<f32> = weights
        .transposed(&order)?
        .to_floats()
        .iter()
        .copied()
        .collect();
    let filter = converter.net.floats("weights", &dims, &values)?;
    let bias = bias(converter, node, outputs)?;
    let output = converter.net.node(op, &[tensor, filter, bias])?;
    let view = image_view(converter, output, input.rank())?;
    converter.set_output(node, view);
    Ok(())
}

fn sizes(pair: [usize; 2]) -> Result<[i32; 2], Refusal> {
    let [h, w] = pair;
    Ok([to_i32(h)?, to_i32(w)?])
}

pub(super) fn conv_transpose(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
) -> Result<(), Refusal> {
    let input = converter.input(node, 0)?;
    let (weights, kernel) = weights(converter, node)?;
    let size = spatial(&input)?;
    if node.int("group").unwrap_or(1) != 1 {
        return Err(
            "transposed convolutions in groups have no counterpart: use resizing and a convolution"
                .to_owned(),
        );
    }
    if node.ints("output_shape").is_some()
        || !matches!(
            node.text("auto_pad").unwrap_or("NOTSET"),
            "NOTSET" | "VALID"
        )
    {
        return Err("a transposed convolution is read with explicit pads: export it without output_shape and auto_pad".to_owned());
    }
    let window = Window::read(node, &kernel, &size)?;
    if window.dilation != [1, 1] {
        return Err("dilated transposed convolutions have no counterpart".to_owned());
    }
    let extra = node.sizes("output_padding")?.unwrap_or_default();
    let extra = match *extra.as_slice() {
        [] => [0, 0],
        [w] => [0, w],
        [h, w] => [h, w],
        _ => return Err("its output_padding is not one a spatial axis".to_owned()),
    };
    let &[channels, outputs, kh, kw] = weights.dims() else {
        return Err("its weights are no kernel".to_owned());
    };
    if channels != input.dim(1) {
        return Err(format!(
            "weights of shape {:?} do not go with {} channels",
            weights.dims(),
            input.dim(1)
        ));
    }
    let plan = [0, 1].map(|axis| TransposedAxis::new(&window, axis, size, extra));
    let [height, width] = plan;
    let (height, width) = (height?, width?);
    let same = height.is_same && width.is_same;
    let (padding, full) = match same {
        true => (Padding::Same, [height.wanted, width.wanted]),
        false => (Padding::Valid, [height.full, width.full]),
    };
    let values: Vec<f32> = weights
        .transposed(&[1, 2, 3, 0])?
        .to_floats()
        .iter()
        .copied()
        .collect();
    let filter = converter
        .net
        .floats("weights", &[outputs, kh, kw, channels], &values)?;
    let bias = bias(converter, node, outputs)?;
    let [stride_h, stride_w] = sizes(window.stride)?;
    let shape = converter
        .net
        .ints("output shape", &[input.dim(0), full[0], full[1], outputs])?;
    let options = TransposeConvOptions {
        padding,
        stride_w,
        stride_h,
        activation: Activation::None,
        quantized_bias_type: ElementType::Float32,
    };
    let tensor = converter.net.arrange(&input, image_slots(input.rank())?)?;
    let op = Op::TransposeConv(options);
    let mut output =
        converter
            .net
            .node_of(op, &[shape, filter, tensor, bias], ElementType::Float32)?;
    if !same && [height.wanted, width.wanted] != full {
        let begin = converter
            .net
            .ints("begin", &[0, height.before, width.before, 0])?;
        let wanted = [input.dim(0), height.wanted, width.wanted, outputs];
        let count = converter.net.ints("size", &wanted)?;
        output = converter
            .net
            .node(Op::Slice(SliceOptions {}), &[output, begin, count])?;
    }
    let view = image_view(converter, output, input.rank())?;
    converter.set_output(node, view);
    Ok(())
}

/// One spatial axis of a transposed convolution.
#[derive(Clone, Copy)]
struct TransposedAxis {
    /// Positions that all taps of the kernel reach.
    full: usize,
    /// Positions of the output.
    wanted: usize,
    /// Positions cut off before them.
    before: usize,
    /// Whether the file format's SAME cuts as the node does.
    is_same: bool,
}

impl TransposedAxis {
    fn new(
        window: &Window,
        axis: usize,
        size: [usize; 2],
        extra: [usize; 2],
    ) -> Result<Self, Refusal> {
        let of = |pair: [usize; 2]| pair.get(axis).copied().unwrap_or(1);
        let (size, kernel, stride, extra) =
            (of(size), of(window.kernel), of(window.stride), of(extra));
        let [before, after] = window.pads.get(axis).copied().unwrap_or_default();
        let too_large = || "its output is too large".to_owned();
        let full = stride
            .checked_mul(size - 1)
            .and_then(|n| n.checked_add(kernel))
            .ok_or_else(too_large)?;
        let wanted = (full + extra)
            .checked_sub(before + after)
            .filter(|&n| n > 0);
        let wanted = wanted.ok_or_else(|| format!("its pads cut away all {full} positions"))?;
        if before + wanted > full {
            return Err(
                "its output_padding asks for positions that the kernel does not reach".to_owned(),
            );
        }
        let cut = (stride * (size - 1) + kernel).saturating_sub(wanted);
        let is_same = wanted.div_ceil(stride) == size && before == cut / 2;
        Ok(Self {
            full,
            wanted,
            before,
            is_same,
        })
    }
}
