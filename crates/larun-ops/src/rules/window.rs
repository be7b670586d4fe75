//! Convolutions, pools and dense layers.

use super::{Operands, ShapeError, ints, nhwc, shape, shaped};
use crate::options::{Conv2DOptions, DepthwiseConv2DOptions, FullyConnectedOptions, Pool2DOptions};
use crate::shape::product;
use crate::{Padding, Shape, Window};

/// `[N, H, W, C]` and `[O, KH, KW, C / groups]` to `[N, H', W', O]`.
pub(crate) fn conv2d(
    options: &Conv2DOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let [batch, height, width, channels] = nhwc(operands, 0)?;
    let [outputs, filter_h, filter_w, depth] = nhwc(operands, 1)?;
    let groups = channels.checked_div(depth).unwrap_or(0);
    if groups == 0 || groups * depth != channels || outputs % groups != 0 {
        return Err(ShapeError::Mismatch {
            what: "channels of the filter, which must divide those of the input",
            expected: channels,
            found: depth,
        });
    }
    bias(operands, 2, outputs)?;
    let windows = Windows {
        filter: [filter_h, filter_w],
        strides: [options.stride_h, options.stride_w],
        dilations: [options.dilation_h, options.dilation_w],
        padding: options.padding,
    };
    windows.over([batch, height, width], outputs)
}

/// `[N, H, W, C]` and `[1, KH, KW, C * multiplier]` to `[N, H', W', C * multiplier]`.
pub(crate) fn depthwise_conv2d(
    options: &DepthwiseConv2DOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let [batch, height, width, channels] = nhwc(operands, 0)?;
    let [one, filter_h, filter_w, outputs] = nhwc(operands, 1)?;
    if one != 1 || outputs.checked_rem(channels) != Some(0) || outputs == 0 {
        return Err(ShapeError::Mismatch {
            what: "channels of the filter, which must be a multiple of those of the input",
            expected: channels,
            found: outputs,
        });
    }
    bias(operands, 2, outputs)?;
    let windows = Windows {
        filter: [filter_h, filter_w],
        strides: [options.stride_h, options.stride_w],
        dilations: [options.dilation_h, options.dilation_w],
        padding: options.padding,
    };
    windows.over([batch, height, width], outputs)
}

/// `[N, H, W, C]` and `[O, KH, KW, C]` to the shape in input 0, `[N, H', W', O]`.
pub(crate) fn transpose_conv<O>(
    _: &O,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let [outputs, _, _, depth] = nhwc(operands, 1)?;
    let [batch, _, _, channels] = nhwc(operands, 2)?;
    let agree = |what, expected, found| match expected == found {
        true => Ok(()),
        false => Err(ShapeError::Mismatch {
            what,
            expected,
            found,
        }),
    };
    agree("channels of the filter", channels, depth)?;
    bias(operands, 3, outputs)?;
    let asked = ints(operands, 0)?;
    let mut output = Shape::SCALAR;
    for &dim in asked.iter() {
        let dim = usize::try_from(dim).map_err(|_| ShapeError::Option {
            what: "a dimension of the output is negative",
            value: dim,
        })?;
        output.push(dim).ok_or(ShapeError::TooManyDimensions)?;
    }
    let found = output.rank();
    let [images, _, _, filters] = output.nhwc().ok_or(ShapeError::Rank {
        index: 0,
        expected: 4,
        found,
    })?;
    agree("images of the output", batch, images)?;
    agree("channels of the output", outputs, filters)?;
    Ok(output)
}

/// `[N, H, W, C]` to `[N, H', W', C]`.
pub(crate) fn pool2d(
    options: &Pool2DOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let [batch, height, width, channels] = nhwc(operands, 0)?;
    let size = |value: i32| usize::try_from(value).map_err(|_| ShapeError::Window);
    let (filter_h, filter_w) = (size(options.filter_h)?, size(options.filter_w)?);
    let windows = Windows {
        filter: [filter_h, filter_w],
        strides: [options.stride_h, options.stride_w],
        dilations: [1, 1],
        padding: options.padding,
    };
    windows.over([batch, height, width], channels)
}

/// Windows over images: of both axes the first is the height.
struct Windows {
    filter: [usize; 2],
    strides: [i32; 2],
    dilations: [i32; 2],
    padding: Padding,
}

impl Windows {
    /// The shape of the outputs. What convolutions and pools have in common, linked once.
    #[inline(never)]
    fn over(
        &self,
        [batch, height, width]: [usize; 3],
        channels: usize,
    ) -> Result<Shape, ShapeError> {
        let axis = |axis: usize, input| {
            let size = |sizes: [i32; 2]| usize::try_from(sizes[axis]).ok();
            let (stride, dilation) = (size(self.strides)?, size(self.dilations)?);
            Window::new(input, self.filter[axis], stride, dilation, self.padding)
        };
        let (rows, columns) = axis(0, height)
            .zip(axis(1, width))
            .ok_or(ShapeError::Window)?;
        shaped(&[batch, rows.output, columns.output, channels])
    }
}

/// `[..., I]` and `[O, I]` to `[N, O]`, or to `[..., O]` with `keep_num_dims`.
pub(crate) fn fully_connected(
    options: &FullyConnectedOptions,
    operands: &dyn Operands,
    _output: usize,
) -> Result<Shape, ShapeError> {
    let (mut input, weights) = (shape(operands, 0)?, shape(operands, 1)?);
    let &[units, depth] = weights.dims() else {
        return Err(ShapeError::Rank {
            index: 1,
            expected: 2,
            found: weights.rank(),
        });
    };
    bias(operands, 2, units)?;
    let mismatch = ShapeError::Mismatch {
        what: "inputs of the dense layer, a row of its weights",
        expected: depth,
        found: input.last(),
    };
    if options.keep_num_dims {
        let last = input.dims_mut().last_mut().filter(|last| **last == depth);
        *last.ok_or(mismatch)? = units;
        return Ok(input);
    }
    let elements = product(input.dims()).ok_or(ShapeError::Overflow)?;
    match (elements.checked_div(depth), elements.checked_rem(depth)) {
        (Some(batch), Some(0)) => shaped(&[batch, units]),
        _ => Err(mismatch),
    }
}

/// A bias, where there is one, has a value for each output channel.
fn bias(operands: &dyn Operands, index: usize, channels: usize) -> Result<(), ShapeError> {
    match operands.shape(index).map(|shape| shape.elements()) {
        Some(found) if found != Some(channels) => Err(ShapeError::Mismatch {
            what: "values of the bias",
            expected: channels,
            found: found.unwrap_or(usize::MAX),
        }),
        _ => Ok(()),
    }
}
