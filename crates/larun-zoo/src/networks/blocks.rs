//! The building blocks of networks: layers with their seeded first weights.
//!
//! A signal of W points and C channels is a tensor `[1, 1, W, C]`. Weights start as Keras starts them by default: Glorot uniform
//! (Glorot and Bengio 2010), biases and shifts zero, factors and variances one.
//!
//! ```
//! use larun_graph::ops::Activation;
//! use larun_zoo::networks::blocks::NetworkBuilder;
//!
//! let mut net = NetworkBuilder::new("tiny", 7);
//! let x = net.input(256, 1)?;
//! let x = net.separable_conv1d("features", x, 8, 5)?;
//! let x = net.global_average("average", x)?;
//! let x = net.dense("logits", x, 2, Activation::None)?;
//! let graph = net.finish(x)?;
//! assert_eq!(graph.stats()?.macs, 256 * (5 + 8) + 16);
//! # Ok::<(), larun_graph::GraphError>(())
//! ```

use larun_graph::ops::{
    Activation, BatchNormOptions, Conv2DOptions, DepthwiseConv2DOptions, ElementType,
    FullyConnectedOptions, Op, Padding, Pool2DOptions, ReducerOptions, Shape, SoftmaxOptions,
};
use larun_graph::{Graph, GraphBuilder, GraphError, TensorId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Builds a network layer by layer.
#[derive(Clone, Debug)]
pub struct NetworkBuilder {
    graph: GraphBuilder,
    seed: u64,
    layers: u64,
}

impl NetworkBuilder {
    /// An empty network whose weights will be drawn from `seed`.
    #[must_use]
    pub fn new(name: &str, seed: u64) -> Self {
        Self {
            graph: GraphBuilder::new(name),
            seed,
            layers: 0,
        }
    }

    /// The input: `points` samples of `channels` channels, `[1, 1, W, C]`.
    ///
    /// # Errors
    /// As [`GraphBuilder::input`].
    pub fn input(&mut self, points: usize, channels: usize) -> Result<TensorId, GraphError> {
        self.graph
            .input("input", &[1, 1, points, channels], ElementType::Float32)
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
        // No bias: batch normalisation would take it away again.
        let x = self.conv1d(name, input, filters, kernel, Padding::Same, None)?;
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
        self.conv1d(
            name,
            input,
            filters,
            kernel,
            Padding::Valid,
            Some(Activation::Relu),
        )
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
        let depthwise = format!("{name}/depthwise");
        let x = self.depthwise_conv1d(&depthwise, input, kernel)?;
        let x = self.bn_relu(&depthwise, x)?;
        self.conv1d_bn_relu(&format!("{name}/pointwise"), x, filters, 1)
    }

    /// The largest of every `size` points: `[1, 1, W, C]` to `[1, 1, W / size, C]`. Points left over at the end are dropped.
    ///
    /// # Errors
    /// When the input has not four dimensions or fewer than `size` points.
    pub fn max_pool1d(
        &mut self,
        name: &str,
        input: TensorId,
        size: i32,
    ) -> Result<TensorId, GraphError> {
        let options = Pool2DOptions {
            padding: Padding::Valid,
            stride_w: size,
            stride_h: 1,
            filter_w: size,
            filter_h: 1,
            activation: Activation::None,
        };
        self.graph.node(name, Op::MaxPool2D(options), &[input])
    }

    /// The mean of each channel: `[1, H, W, C]` to `[1, C]`.
    ///
    /// # Errors
    /// When the input has not four dimensions.
    pub fn global_average(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
        let axes = self
            .graph
            .constant(&format!("{name}/axes"), &[2], &[1, 2])?;
        self.graph.node(
            name,
            Op::Mean(ReducerOptions { keep_dims: false }),
            &[input, axes],
        )
    }

    /// A dense layer with bias: `[1, I]` to `[1, units]`.
    ///
    /// # Errors
    /// When a size overflows.
    pub fn dense(
        &mut self,
        name: &str,
        input: TensorId,
        units: usize,
        activation: Activation,
    ) -> Result<TensorId, GraphError> {
        let inputs = self.channels(input);
        let weights = self.glorot(
            &format!("{name}/weights"),
            &[units, inputs],
            [inputs, units],
        )?;
        let bias = self.filled(&format!("{name}/bias"), units, 0.0)?;
        let options = FullyConnectedOptions {
            activation,
            ..Default::default()
        };
        self.graph
            .node(name, Op::FullyConnected(options), &[input, weights, bias])
    }

    /// Probabilities from logits.
    ///
    /// # Errors
    /// When the input does not exist.
    pub fn softmax(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
        self.graph
            .node(name, Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[input])
    }

    /// The network, with one output.
    ///
    /// # Errors
    /// The first thing that is wrong with the graph.
    pub fn finish(mut self, output: TensorId) -> Result<Graph, GraphError> {
        self.graph.output(output);
        self.graph.finish()
    }

    /// A convolution; with bias where it has an activation of its own.
    fn conv1d(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        kernel: usize,
        padding: Padding,
        activation: Option<Activation>,
    ) -> Result<TensorId, GraphError> {
        let channels = self.channels(input);
        let fans = [
            kernel.saturating_mul(channels),
            kernel.saturating_mul(filters),
        ];
        let weights = self.glorot(
            &format!("{name}/weights"),
            &[filters, 1, kernel, channels],
            fans,
        )?;
        let mut inputs = vec![input, weights];
        if activation.is_some() {
            inputs.push(self.filled(&format!("{name}/bias"), filters, 0.0)?);
        }
        let activation = activation.unwrap_or(Activation::None);
        let options = Conv2DOptions {
            padding,
            stride_w: 1,
            stride_h: 1,
            activation,
            ..Default::default()
        };
        self.graph.node(name, Op::Conv2D(options), &inputs)
    }

    fn depthwise_conv1d(
        &mut self,
        name: &str,
        input: TensorId,
        kernel: usize,
    ) -> Result<TensorId, GraphError> {
        let channels = self.channels(input);
        // Keras counts the kernel `[W, C, 1]` as having one output channel.
        let fans = [kernel.saturating_mul(channels), kernel];
        let weights = self.glorot(&format!("{name}/weights"), &[1, 1, kernel, channels], fans)?;
        let options = DepthwiseConv2DOptions {
            stride_w: 1,
            stride_h: 1,
            depth_multiplier: 1,
            ..Default::default()
        };
        self.graph
            .node(name, Op::DepthwiseConv2D(options), &[input, weights])
    }

    fn bn_relu(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
        let channels = self.channels(input);
        let mut inputs = vec![input];
        for (statistic, start) in [
            ("gamma", 1.0),
            ("beta", 0.0),
            ("mean", 0.0),
            ("variance", 1.0),
        ] {
            inputs.push(self.filled(&format!("{name}/bn/{statistic}"), channels, start)?);
        }
        let x = self.graph.node(
            &format!("{name}/bn"),
            Op::BatchNorm(BatchNormOptions::default()),
            &inputs,
        )?;
        self.graph
            .node(&format!("{name}/relu"), Op::Relu(Default::default()), &[x])
    }

    /// Weights drawn from the interval `±sqrt(6 / (fan in + fan out))`, by a generator of their own: no layer's depend on another's.
    fn glorot(
        &mut self,
        name: &str,
        shape: &[usize],
        fans: [usize; 2],
    ) -> Result<TensorId, GraphError> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(self.layers);
        self.layers += 1;
        let limit = libm::sqrtf(6.0 / fans.iter().map(|&fan| fan as f32).sum::<f32>().max(1.0));
        // None for a shape beyond the address space: then the graph refuses the constant.
        let count = Shape::new(shape)
            .and_then(|shape| shape.elements())
            .unwrap_or(0);
        let values: Vec<f32> = (0..count)
            .map(|_| random.random_range(-limit..=limit))
            .collect();
        self.graph.constant(name, shape, &values)
    }

    fn filled(&mut self, name: &str, len: usize, value: f32) -> Result<TensorId, GraphError> {
        self.graph.constant(name, &[len], &vec![value; len])
    }

    /// The innermost dimension of a tensor made so far.
    fn channels(&self, tensor: TensorId) -> usize {
        self.graph.shape(tensor).map_or(0, |shape| shape.last())
    }
}
