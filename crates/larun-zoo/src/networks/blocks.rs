//! The building blocks of networks: layers with their seeded first weights.
//!
//! | block | shapes | made of |
//! |---|---|---|
//! | [`conv1d_bn_relu`](NetworkBuilder::conv1d_bn_relu), [`separable_conv1d`](NetworkBuilder::separable_conv1d) | `[1, 1, W, I]` to `[1, 1, W, filters]` | convolutions along a signal |
//! | [`conv2d_bn_relu`](NetworkBuilder::conv2d_bn_relu), [`separable_conv2d`](NetworkBuilder::separable_conv2d) | `[1, H, W, I]` to `[1, H / s, W / s, filters]` | convolutions over an image |
//! | [`residual`](NetworkBuilder::residual) | `[1, H, W, C]` to the same | a body added to its own input |
//! | [`squeeze_excite`](NetworkBuilder::squeeze_excite) | `[1, H, W, C]` to the same | channels weighted by what the whole shows |
//! | [`max_pool1d`](NetworkBuilder::max_pool1d), [`average_pool2d`](NetworkBuilder::average_pool2d), [`global_average`](NetworkBuilder::global_average), [`global_peak`](NetworkBuilder::global_peak) | fewer points, or none | pools |
//! | [`dense`](NetworkBuilder::dense), [`dense_bn_relu`](NetworkBuilder::dense_bn_relu) | `[1, I]` to `[1, units]` | dense layers |
//!
//! A signal of W points and C channels is a tensor `[1, 1, W, C]`, an image `[1, H, W, C]`. Weights start as Keras starts them by
//! default: Glorot uniform (Glorot and Bengio 2010), biases and shifts zero, factors and variances one.
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
//!
//! An image network of one's own, with a residual block whose channels are weighted:
//!
//! ```
//! use larun_graph::ops::Activation;
//! use larun_zoo::networks::blocks::NetworkBuilder;
//!
//! let mut net = NetworkBuilder::new("mine", 7);
//! let x = net.image_input(32, 32, 3)?;
//! let x = net.conv2d_bn_relu("stem", x, 16, [3, 3], [2, 2])?;
//! let x = net.residual("block", x, |net, x| {
//!     let x = net.separable_conv2d("block/features", x, 16, 3, 1)?;
//!     net.squeeze_excite("block/weights", x, 4)
//! })?;
//! let x = net.global_average("average", x)?;
//! let x = net.dense("logits", x, 4, Activation::None)?;
//! let graph = net.finish(x)?;
//! assert_eq!(graph.main().unwrap().nodes.len(), 17);
//! # Ok::<(), larun_graph::GraphError>(())
//! ```

mod compose;
mod image;
mod signal;

use larun_graph::ops::{
    Activation, BatchNormOptions, Conv2DOptions, DepthwiseConv2DOptions, ElementType,
    FullyConnectedOptions, Op, Padding, Pool2DOptions, ReducerOptions, ReshapeOptions, Shape,
    SoftmaxOptions,
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

/// How a window moves over height and width.
#[derive(Clone, Copy, Debug)]
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
}

impl Window {
    /// One pixel at a time.
    const POINT: Self = Self {
        kernel: [1, 1],
        stride: [1, 1],
        padding: Padding::Same,
    };
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

    /// An input of any shape, `[1, ...]`; a network may have several.
    ///
    /// # Errors
    /// When there are more dimensions than a shape holds.
    pub fn named_input(&mut self, name: &str, shape: &[usize]) -> Result<TensorId, GraphError> {
        self.graph.input(name, shape, ElementType::Float32)
    }

    /// The mean of each channel: `[1, H, W, C]` to `[1, C]`.
    ///
    /// # Errors
    /// When the input has not four dimensions.
    pub fn global_average(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
        self.mean(name, input, false)
    }

    /// All values in one row: `[1, H, W, C]` to `[1, H * W * C]`.
    ///
    /// # Errors
    /// When the input does not exist, or has more values than a shape counts.
    pub fn flatten(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
        let shape = self
            .graph
            .constant(&format!("{name}/shape"), &[2], &[1, -1])?;
        self.graph.node(
            name,
            Op::Reshape(ReshapeOptions::default()),
            &[input, shape],
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

    /// A dense layer, batch normalisation and ReLU: `[1, I]` to `[1, units]`.
    ///
    /// # Errors
    /// When a size overflows.
    pub fn dense_bn_relu(
        &mut self,
        name: &str,
        input: TensorId,
        units: usize,
    ) -> Result<TensorId, GraphError> {
        let x = self.dense(name, input, units, Activation::None)?;
        self.bn_relu(name, x)
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

    /// A convolution; with bias where it has an activation of its own, for batch normalisation would take it away again.
    fn convolution(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        window: Window,
        activation: Option<Activation>,
    ) -> Result<TensorId, GraphError> {
        let channels = self.channels(input);
        let [height, width] = window.kernel;
        let area = height.saturating_mul(width);
        let fans = [area.saturating_mul(channels), area.saturating_mul(filters)];
        let weights = self.glorot(
            &format!("{name}/weights"),
            &[filters, height, width, channels],
            fans,
        )?;
        let mut inputs = vec![input, weights];
        if activation.is_some() {
            inputs.push(self.filled(&format!("{name}/bias"), filters, 0.0)?);
        }
        let [stride_h, stride_w] = strides(window);
        let options = Conv2DOptions {
            padding: window.padding,
            stride_w,
            stride_h,
            activation: activation.unwrap_or(Activation::None),
            ..Default::default()
        };
        self.graph.node(name, Op::Conv2D(options), &inputs)
    }

    /// A depthwise convolution without bias.
    fn depthwise(
        &mut self,
        name: &str,
        input: TensorId,
        window: Window,
    ) -> Result<TensorId, GraphError> {
        let channels = self.channels(input);
        let [height, width] = window.kernel;
        let area = height.saturating_mul(width);
        // Keras counts the kernel `[H, W, C, 1]` as having one output channel.
        let fans = [area.saturating_mul(channels), area];
        let weights = self.glorot(
            &format!("{name}/weights"),
            &[1, height, width, channels],
            fans,
        )?;
        let [stride_h, stride_w] = strides(window);
        let options = DepthwiseConv2DOptions {
            padding: window.padding,
            stride_w,
            stride_h,
            depth_multiplier: 1,
            ..Default::default()
        };
        self.graph
            .node(name, Op::DepthwiseConv2D(options), &[input, weights])
    }

    /// Depthwise over the points, then pointwise over the channels, each with batch normalisation and ReLU.
    fn separable(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        window: Window,
    ) -> Result<TensorId, GraphError> {
        let depthwise = format!("{name}/depthwise");
        let x = self.depthwise(&depthwise, input, window)?;
        let x = self.bn_relu(&depthwise, x)?;
        let pointwise = format!("{name}/pointwise");
        let x = self.convolution(&pointwise, x, filters, Window::POINT, None)?;
        self.bn_relu(&pointwise, x)
    }

    fn batch_norm(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
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
        self.graph.node(
            &format!("{name}/bn"),
            Op::BatchNorm(BatchNormOptions::default()),
            &inputs,
        )
    }

    fn relu(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
        self.graph.node(
            &format!("{name}/relu"),
            Op::Relu(Default::default()),
            &[input],
        )
    }

    fn bn_relu(&mut self, name: &str, input: TensorId) -> Result<TensorId, GraphError> {
        let x = self.batch_norm(name, input)?;
        self.relu(name, x)
    }

    fn mean(
        &mut self,
        name: &str,
        input: TensorId,
        keep_dims: bool,
    ) -> Result<TensorId, GraphError> {
        let axes = self
            .graph
            .constant(&format!("{name}/axes"), &[2], &[1, 2])?;
        self.graph
            .node(name, Op::Mean(ReducerOptions { keep_dims }), &[input, axes])
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

/// The options of a pool that keeps no border.
fn pool(size: [usize; 2], stride: [usize; 2]) -> Pool2DOptions {
    let [filter_h, filter_w] = size.map(to_i32);
    let [stride_h, stride_w] = stride.map(to_i32);
    Pool2DOptions {
        padding: Padding::Valid,
        stride_w,
        stride_h,
        filter_w,
        filter_h,
        activation: Activation::None,
    }
}

fn strides(window: Window) -> [i32; 2] {
    window.stride.map(to_i32)
}

/// Sizes beyond 31 bits have no place in a file; the shape rule refuses what they saturate to.
fn to_i32(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}
