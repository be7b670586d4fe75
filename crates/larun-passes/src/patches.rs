//! What a layer multiplies its weights with, row by row: the inputs of one output position.

use larun_graph::ops::{Conv2DOptions, DepthwiseConv2DOptions, Op, Padding};
use larun_graph::{Node, Subgraph};

/// How the rows of a layer come from its input.
#[derive(Clone, Debug)]
pub(crate) enum Patches {
    /// The input's innermost axis is a row.
    Dense {
        /// Values of a row.
        inputs: usize,
    },
    /// A window over an image is a row, `[KH, KW, C]`.
    Conv(Window),
    /// A window over one channel is a row of that channel, `[KH, KW]`; each channel has `filters` of them.
    Depthwise {
        /// The window.
        window: Window,
        /// Output channels of an input channel.
        filters: usize,
    },
}

/// A window that moves over an image `[H, W, C]`.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    height: Axis,
    width: Axis,
    channels: usize,
}

/// One axis of a moving window.
#[derive(Clone, Copy, Debug)]
struct Axis {
    input: usize,
    output: usize,
    taps: usize,
    stride: usize,
    dilation: usize,
    /// Positions before the image.
    before: usize,
}

impl Axis {
    fn new(
        input: usize,
        output: usize,
        taps: usize,
        stride: i32,
        dilation: i32,
        padding: Padding,
    ) -> Option<Self> {
        let stride = usize::try_from(stride).ok()?.max(1);
        let dilation = usize::try_from(dilation).ok()?.max(1);
        let extent = taps.checked_sub(1)?.checked_mul(dilation)? + 1;
        let needed = output
            .checked_sub(1)?
            .checked_mul(stride)?
            .checked_add(extent)?;
        let before = match padding {
            Padding::Same => needed.saturating_sub(input) / 2,
            _ => 0,
        };
        Some(Self {
            input,
            output,
            taps,
            stride,
            dilation,
            before,
        })
    }

    /// Where tap `tap` of output `at` lies in the image, `None` on its border.
    fn source(&self, at: usize, tap: usize) -> Option<usize> {
        let from_start = at * self.stride + tap * self.dilation;
        from_start
            .checked_sub(self.before)
            .filter(|&place| place < self.input)
    }
}

impl Patches {
    /// The rows of a node, `None` for one whose weights are used in another way.
    pub(crate) fn of(subgraph: &Subgraph, node: &Node) -> Option<Self> {
        let shape = |id| Some(subgraph.tensor(id)?.shape);
        let (input, weights) = (shape(node.input(0)?)?, shape(node.input(1)?)?);
        let output = shape(*node.outputs.first()?)?;
        match *node.known()? {
            Op::FullyConnected(_) => Some(Self::Dense {
                inputs: weights.last(),
            }),
            Op::Conv2D(Conv2DOptions {
                padding,
                stride_h,
                stride_w,
                dilation_h,
                dilation_w,
                ..
            }) => {
                let &[_, taps_h, taps_w, depth] = weights.dims() else {
                    return None;
                };
                let sizes = [
                    (taps_h, stride_h, dilation_h),
                    (taps_w, stride_w, dilation_w),
                ];
                let window = Window::new(input.dims(), output.dims(), sizes, padding)?;
                (depth == window.channels).then_some(Self::Conv(window))
            }
            Op::DepthwiseConv2D(DepthwiseConv2DOptions {
                padding,
                stride_h,
                stride_w,
                dilation_h,
                dilation_w,
                ..
            }) => {
                let &[_, taps_h, taps_w, outputs] = weights.dims() else {
                    return None;
                };
                let sizes = [
                    (taps_h, stride_h, dilation_h),
                    (taps_w, stride_w, dilation_w),
                ];
                let window = Window::new(input.dims(), output.dims(), sizes, padding)?;
                let filters = outputs.checked_div(window.channels)?;
                Some(Self::Depthwise { window, filters })
            }
            _ => None,
        }
    }

    /// How many rows one sample has.
    pub(crate) fn rows(&self, values: usize) -> usize {
        match self {
            Self::Dense { inputs } => values.checked_div(*inputs).unwrap_or(0),
            Self::Conv(window) | Self::Depthwise { window, .. } => window.positions(),
        }
    }

    /// How many values a row has.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Dense { inputs } => *inputs,
            Self::Conv(window) => window.taps() * window.channels,
            Self::Depthwise { window, .. } => window.taps(),
        }
    }

    /// How many matrices of rows there are: one, or one for each input channel.
    pub(crate) fn matrices(&self) -> usize {
        match self {
            Self::Dense { .. } | Self::Conv(_) => 1,
            Self::Depthwise { window, .. } => window.channels,
        }
    }

    /// How many output channels share a matrix in turn.
    pub(crate) fn filters(&self) -> usize {
        match self {
            Self::Depthwise { filters, .. } => *filters,
            Self::Dense { .. } | Self::Conv(_) => 1,
        }
    }

    /// Appends to `rows` row `row` of matrix `matrix`. The border of an image is 0.
    pub(crate) fn gather(&self, values: &[f32], matrix: usize, row: usize, rows: &mut Vec<f32>) {
        match self {
            Self::Dense { inputs } => {
                let start = row * inputs;
                rows.extend_from_slice(values.get(start..start + inputs).unwrap_or_default());
            }
            Self::Conv(window) => window.gather(values, row, 0, window.channels, rows),
            Self::Depthwise { window, .. } => window.gather(values, row, matrix, 1, rows),
        }
    }
}

impl Window {
    fn new(
        input: &[usize],
        output: &[usize],
        [height, width]: [(usize, i32, i32); 2],
        padding: Padding,
    ) -> Option<Self> {
        let (&[_, input_h, input_w, channels], &[_, output_h, output_w, _]) = (input, output)
        else {
            return None;
        };
        let axis = |input, output, (taps, stride, dilation)| {
            Axis::new(input, output, taps, stride, dilation, padding)
        };
        Some(Self {
            height: axis(input_h, output_h, height)?,
            width: axis(input_w, output_w, width)?,
            channels,
        })
    }

    /// Output positions of one sample of one image.
    fn positions(&self) -> usize {
        self.height.output * self.width.output
    }

    fn taps(&self) -> usize {
        self.height.taps * self.width.taps
    }

    /// Appends the window at output position `at`: of each tap, `count` channels from `first` on.
    fn gather(&self, values: &[f32], at: usize, first: usize, count: usize, rows: &mut Vec<f32>) {
        let (y, x) = (at / self.width.output.max(1), at % self.width.output.max(1));
        for tap_y in 0..self.height.taps {
            let row = self.height.source(y, tap_y);
            for tap_x in 0..self.width.taps {
                let pixel = row.zip(self.width.source(x, tap_x));
                let start = pixel.map(|(y, x)| (y * self.width.input + x) * self.channels + first);
                match start.and_then(|start| values.get(start..start + count)) {
                    Some(channels) => rows.extend_from_slice(channels),
                    None => rows.resize(rows.len() + count, 0.0),
                }
            }
        }
    }
}
