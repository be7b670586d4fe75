//! Blocks along a signal `[1, 1, W, C]`.

use larun_graph::ops::{Activation, Op, Padding};
use larun_graph::{GraphError, TensorId};

use super::{NetworkBuilder, Window, pool};

impl NetworkBuilder {
    /// The input: `points` samples of `channels` channels, `[1, 1, W, C]`.
    ///
    /// # Errors
    /// As [`larun_graph::GraphBuilder::input`].
    pub fn input(&mut self, points: usize, channels: usize) -> Result<TensorId, GraphError> {
        self.named_input("input", &[1, 1, points, channels])
    }

    /// A convolution that keeps the length (zeros at the borders), batch normalisation and ReLU: `[1, 1, W, I]` to `[1, 1, W, filters]`.
    ///
    /// # Errors
    /// When the input has not four dimensions or a size overflows.
    pub fn conv1d_bn_relu(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        kernel: usize,
    ) -> Result<TensorId, GraphError> {
        self.strided_conv1d_bn_relu(name, input, filters, kernel, 1)
    }

    /// A convolution at every `stride`th point, batch normalisation and ReLU: `[1, 1, W, I]` to `[1, 1, ceil(W / stride), filters]`.
    ///
    /// # Errors
    /// When the input has not four dimensions or a size overflows.
    pub fn strided_conv1d_bn_relu(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        kernel: usize,
        stride: usize,
    ) -> Result<TensorId, GraphError> {
        let x = self.convolution(name, input, filters, along(kernel, stride), None)?;
        self.bn_relu(name, x)
    }

    /// A convolution within the input's borders with bias and ReLU: `[1, 1, W, I]` to `[1, 1, W - kernel + 1, filters]`.
    ///
    /// # Errors
    /// When the input has not four dimensions or is shorter than the kernel, or a size overflows.
    pub fn conv1d_relu(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        kernel: usize,
    ) -> Result<TensorId, GraphError> {
        let window = Window {
            padding: Padding::Valid,
            ..along(kernel, 1)
        };
        self.convolution(name, input, filters, window, Some(Activation::Relu))
    }

    /// A depthwise-separable convolution: depthwise over the points, then pointwise over the channels, each with batch normalisation and
    /// ReLU: `[1, 1, W, I]` to `[1, 1, W, filters]`.
    ///
    /// Takes `kernel * I + I * filters` multiplications a point where a full convolution takes `kernel * I * filters`
    /// (Howard et al. 2017).
    ///
    /// # Errors
    /// When the input has not four dimensions or a size overflows.
    pub fn separable_conv1d(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        kernel: usize,
    ) -> Result<TensorId, GraphError> {
        self.strided_separable_conv1d(name, input, filters, kernel, 1)
    }

    /// As [`Self::separable_conv1d`] at every `stride`th point: `[1, 1, W, I]` to `[1, 1, ceil(W / stride), filters]`.
    ///
    /// # Errors
    /// When the input has not four dimensions or a size overflows.
    pub fn strided_separable_conv1d(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        kernel: usize,
        stride: usize,
    ) -> Result<TensorId, GraphError> {
        self.separable(name, input, filters, along(kernel, stride))
    }

    /// The largest of every `size` points: `[1, 1, W, C]` to `[1, 1, W / size, C]`. Points left over at the end are dropped.
    ///
    /// # Errors
    /// When the input has not four dimensions or fewer than `size` points.
    pub fn max_pool1d(
        &mut self,
        name: &str,
        input: TensorId,
        size: usize,
    ) -> Result<TensorId, GraphError> {
        let options = pool([1, size], [1, size]);
        self.graph.node(name, Op::MaxPool2D(options), &[input])
    }

    /// The mean of every `size` points: `[1, 1, W, C]` to `[1, 1, W / size, C]`. Points left over at the end are dropped.
    ///
    /// # Errors
    /// When the input has not four dimensions or fewer than `size` points.
    pub fn average_pool1d(
        &mut self,
        name: &str,
        input: TensorId,
        size: usize,
    ) -> Result<TensorId, GraphError> {
        let options = pool([1, size], [1, size]);
        self.graph.node(name, Op::AveragePool2D(options), &[input])
    }
}

/// A window along the points.
fn along(kernel: usize, stride: usize) -> Window {
    Window {
        kernel: [1, kernel],
        stride: [1, stride],
        padding: Padding::Same,
    }
}
