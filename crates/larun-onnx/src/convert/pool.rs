//! Pooling over windows and over whole images.

use larun_graph::TensorId;
use larun_graph::ops::{
    Activation, MirrorPadMode, MulOptions, Op, Padding, Pool2DOptions, ReducerOptions,
};

use super::Converter;
use super::conv::{Window, image_slots, image_view, spatial};
use super::join::{mirror, pad_stored};
use crate::error::Refusal;
use crate::net::to_i32;
use crate::node::OnnxNode;

fn window(node: OnnxNode<'_>, size: [usize; 2]) -> Result<Window, Refusal> {
    let kernel = node
        .sizes("kernel_shape")?
        .ok_or("it has no kernel_shape")?;
    let mut window = Window::read(node, &kernel, &size)?;
    if window.dilation != [1, 1] {
        return Err("dilated pooling has no counterpart".to_owned());
    }
    if node.flag("ceil_mode") {
        for (axis, pads) in window.pads.iter_mut().enumerate() {
            let of = |pair: [usize; 2]| pair.get(axis).copied().unwrap_or(1);
            let (size, kernel, stride) = (of(size), of(window.kernel), of(window.stride));
            let covered = (size + pads[0] + pads[1])
                .checked_sub(kernel)
                .ok_or("its window is larger than its input")?;
            let last = covered.div_ceil(stride) * stride;
            // A window that would begin in the padding behind the input is left out.
            if last < size + pads[0] {
                pads[1] += last - covered;
            }
        }
    }
    Ok(window)
}

fn options(window: &Window, padding: Padding) -> Result<Pool2DOptions, Refusal> {
    let ([stride_h, stride_w], [filter_h, filter_w]) = (window.stride, window.kernel);
    Ok(Pool2DOptions {
        padding,
        stride_w: to_i32(stride_w)?,
        stride_h: to_i32(stride_h)?,
        filter_w: to_i32(filter_w)?,
        filter_h: to_i32(filter_h)?,
        activation: Activation::None,
    })
}

fn finish(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
    output: TensorId,
    rank: usize,
) -> Result<(), Refusal> {
    let view = image_view(converter, output, rank)?;
    converter.set_output(node, view);
    Ok(())
}

pub(super) fn max_pool(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    if !node.output(1).is_empty() && converter.is_read(node.output(1)) {
        return Err("the positions of maxima have no counterpart".to_owned());
    }
    let input = converter.input(node, 0)?;
    let size = spatial(&input)?;
    let window = window(node, size)?;
    let mut tensor = converter.net.arrange(&input, image_slots(input.rank())?)?;
    let padding = match window.padding(size) {
        Some(padding) => padding,
        None => {
            // Elements of the border repeated change no maximum as long as every window that reaches one reaches its
            // original too, and unlike a very negative constant they do not widen the range of an integer tensor.
            let [rows, columns] = window.pads;
            let harmless = window.pads.iter().zip(window.kernel).zip(size).all(
                |((&[before, after], kernel), size)| {
                    2 * before.max(after) <= kernel && before.max(after) <= size
                },
            );
            if !harmless {
                return Err(format!(
                    "pads {:?} are more than half of its window {:?}",
                    window.pads, window.kernel
                ));
            }
            tensor = mirror(
                converter,
                tensor,
                &[[0; 2], rows, columns, [0; 2]],
                MirrorPadMode::Symmetric,
            )?;
            Padding::Valid
        }
    };
    let output = converter
        .net
        .node(Op::MaxPool2D(options(&window, padding)?), &[tensor])?;
    finish(converter, node, output, input.rank())
}

pub(super) fn average_pool(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
) -> Result<(), Refusal> {
    let input = converter.input(node, 0)?;
    let size = spatial(&input)?;
    let window = window(node, size)?;
    let counts_padding = node.flag("count_include_pad") && !node.flag("ceil_mode");
    let mut tensor = converter.net.arrange(&input, image_slots(input.rank())?)?;
    let padding = window.padding(size);
    let in_format = match padding {
        Some(Padding::Valid) => true,
        // SAME of the file format divides by the positions inside.
        Some(Padding::Same) => !counts_padding,
        None => false,
    };
    if let (true, Some(padding)) = (in_format, padding) {
        let output = converter
            .net
            .node(Op::AveragePool2D(options(&window, padding)?), &[tensor])?;
        return finish(converter, node, output, input.rank());
    }
    let [rows, columns] = window.pads;
    tensor = pad_stored(converter, tensor, &[[0; 2], rows, columns, [0; 2]])?;
    let mut output = converter.net.node(
        Op::AveragePool2D(options(&window, Padding::Valid)?),
        &[tensor],
    )?;
    if !counts_padding {
        let &[_, height, width, _] = converter.net.dims(output).as_slice() else {
            return Err("its output is no image".to_owned());
        };
        let factors = corrections(&window, size, [height, width]);
        let factors = converter
            .net
            .floats("corrections", &[height, width, 1], &factors)?;
        output = converter
            .net
            .node(Op::Mul(MulOptions::default()), &[output, factors])?;
    }
    finish(converter, node, output, input.rank())
}

/// For each position of the output the window's size through the number of its positions that are inside the input.
fn corrections(window: &Window, size: [usize; 2], output: [usize; 2]) -> Vec<f32> {
    let inside = |axis: usize, at: usize| {
        let of = |pair: [usize; 2]| pair.get(axis).copied().unwrap_or(1);
        let before = window.pads.get(axis).map_or(0, |pads| pads[0]);
        let start = at * of(window.stride);
        let (low, high) = (
            start.max(before),
            (start + of(window.kernel)).min(before + of(size)),
        );
        high.saturating_sub(low).max(1)
    };
    let [height, width] = output;
    let [kh, kw] = window.kernel;
    let positions = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    positions
        .map(|(y, x)| (kh * kw) as f32 / (inside(0, y) * inside(1, x)) as f32)
        .collect()
}

pub(super) fn global_average(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
) -> Result<(), Refusal> {
    global(
        converter,
        node,
        Op::Mean(ReducerOptions { keep_dims: true }),
    )
}

pub(super) fn global_max(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    global(
        converter,
        node,
        Op::ReduceMax(ReducerOptions { keep_dims: true }),
    )
}

fn global(converter: &mut Converter<'_>, node: OnnxNode<'_>, op: Op) -> Result<(), Refusal> {
    let input = converter.input(node, 0)?;
    let tensor = converter.net.arrange(&input, image_slots(input.rank())?)?;
    let axes = converter.net.ints("axes", &[1, 2])?;
    let output = converter.net.node(op, &[tensor, axes])?;
    finish(converter, node, output, input.rank())
}
