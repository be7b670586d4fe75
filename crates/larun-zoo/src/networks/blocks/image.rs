//! Blocks over an image `[1, H, W, C]`.

use larun_graph::ops::{Op, Padding};
use larun_graph::{GraphError, TensorId};

use super::{NetworkBuilder, Window, pool};

impl NetworkBuilder {
    /// The input: an image of `channels` values a pixel, `[1, H, W, C]`.
    ///
    /// # Errors
    /// As [`larun_graph::GraphBuilder::input`].
    pub fn image_input(
        &mut self,
        height: usize,
        width: usize,
        channels: usize,
    ) -> Result<TensorId, GraphError> {
        self.named_input("input", &[1, height, width, channels])
    }

    /// A convolution (zeros at the borders), batch normalisation and ReLU: `[1, H, W, I]` to
    /// `[1, ceil(H / stride), ceil(W / stride), filters]`. Kernel and stride are height and width.
    ///
    /// # Errors
    /// When the input has not four dimensions or a size overflows.
    pub fn conv2d_bn_relu(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        kernel: [usize; 2],
        stride: [usize; 2],
    ) -> Result<TensorId, GraphError> {
        let x = self.conv2d_bn(name, input, filters, kernel, stride)?;
        self.relu(name, x)
    }

    /// As [`Self::conv2d_bn_relu`], without the ReLU: what a residual block ends with.
    ///
    /// # Errors
    /// When the input has not four dimensions or a size overflows.
    pub fn conv2d_bn(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        kernel: [usize; 2],
        stride: [usize; 2],
    ) -> Result<TensorId, GraphError> {
        let window = Window {
            kernel,
            stride,
            padding: Padding::Same,
        };
        let x = self.convolution(name, input, filters, window, None)?;
        self.batch_norm(name, x)
    }

    /// A depthwise-separable convolution with a square kernel, both halves with batch normalisation and ReLU: `[1, H, W, I]` to
    /// `[1, ceil(H / stride), ceil(W / stride), filters]`.
    ///
    /// # Errors
    /// When the input has not four dimensions or a size overflows.
    pub fn separable_conv2d(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        kernel: usize,
        stride: usize,
    ) -> Result<TensorId, GraphError> {
        let window = Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: Padding::Same,
        };
        self.separable(name, input, filters, window)
    }

    /// The largest of every `size` by `size` pixels: `[1, H, W, C]` to `[1, H / size, W / size, C]`. Pixels left over are dropped.
    ///
    /// # Errors
    /// When the input has not four dimensions or is smaller than `size`.
    pub fn max_pool2d(
        &mut self,
        name: &str,
        input: TensorId,
        size: usize,
    ) -> Result<TensorId, GraphError> {
        let options = pool([size; 2], [size; 2]);
        self.graph.node(name, Op::MaxPool2D(options), &[input])
    }

    /// The mean of every `size[0]` by `size[1]` pixels: `[1, H, W, C]` to `[1, H / size[0], W / size[1], C]`. Pixels left over are
    /// dropped.
    ///
    /// # Errors
    /// When the input has not four dimensions or is smaller than `size`.
    pub fn average_pool2d(
        &mut self,
        name: &str,
        input: TensorId,
        size: [usize; 2],
    ) -> Result<TensorId, GraphError> {
        self.graph
            .node(name, Op::AveragePool2D(pool(size, size)), &[input])
    }

    /// The mean of each channel by a pool over the whole image and a reshape, as Keras's `AveragePooling2D` and `Flatten` give it:
    /// `[1, H, W, C]` to `[1, C]`.
    ///
    /// # Errors
    /// When the input has not four dimensions.
    pub fn flat_average(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
        let x = self.average_pool2d(name, input, self.area(input))?;
        self.flatten(&format!("{name}/flat"), x)
    }

    /// The largest value of each channel: `[1, H, W, C]` to `[1, C]`. What happens once, such as a single transit, shows here and drowns
    /// in a mean.
    ///
    /// # Errors
    /// When the input has not four dimensions.
    pub fn global_peak(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
        let size = self.area(input);
        let x = self
            .graph
            .node(name, Op::MaxPool2D(pool(size, size)), &[input])?;
        self.flatten(&format!("{name}/flat"), x)
    }

    /// Height and width of a tensor made so far; 1 where it has none.
    fn area(&self, tensor: TensorId) -> [usize; 2] {
        let shape = self.graph.shape(tensor);
        [1, 2].map(|axis| {
            let dim = shape.and_then(|shape| shape.dims().get(axis).copied());
            dim.unwrap_or(1)
        })
    }
}
