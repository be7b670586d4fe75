//! Networks that tests and the example train.

use larun_graph::ops::{
    BatchNormOptions, Conv2DOptions, DepthwiseConv2DOptions, ElementType, FullyConnectedOptions,
    NoOptions, Op, Padding, Pool2DOptions, ReducerOptions, SoftmaxOptions,
};
use larun_graph::{Graph, GraphBuilder, GraphError, TensorId};

/// A network of 1-D layers in the making: values are `[1, 1, W, C]`.
pub(crate) struct Net {
    builder: GraphBuilder,
    at: TensorId,
    layers: usize,
}

impl Net {
    /// A network for signals of `width` samples.
    pub(crate) fn new(width: usize) -> Result<Self, GraphError> {
        let mut builder = GraphBuilder::new("network");
        let at = builder.input("signal", &[1, 1, width, 1], ElementType::Float32)?;
        Ok(Self {
            builder,
            at,
            layers: 0,
        })
    }

    fn channels(&self) -> usize {
        self.builder.shape(self.at).map_or(0, |shape| shape.last())
    }

    fn name(&mut self, kind: &str) -> String {
        self.layers += 1;
        format!("{}_{kind}", self.layers)
    }

    fn constant(&mut self, name: &str, shape: &[usize]) -> Result<TensorId, GraphError> {
        self.builder
            .constant(name, shape, &vec![0.0f32; shape.iter().product()])
    }

    fn push(mut self, name: &str, op: Op, operands: &[TensorId]) -> Result<Self, GraphError> {
        let inputs = [&[self.at], operands].concat();
        self.at = self.builder.node(name, op, &inputs)?;
        Ok(self)
    }

    /// Convolution over the width.
    pub(crate) fn conv(mut self, filters: usize, kernel: usize) -> Result<Self, GraphError> {
        let name = self.name("conv");
        let channels = self.channels();
        let weights = self.constant(&format!("{name}/weights"), &[filters, 1, kernel, channels])?;
        let bias = self.constant(&format!("{name}/bias"), &[filters])?;
        let options = Conv2DOptions {
            stride_w: 1,
            stride_h: 1,
            ..Conv2DOptions::default()
        };
        self.push(&name, Op::Conv2D(options), &[weights, bias])
    }

    /// Depthwise convolution over the width.
    pub(crate) fn depthwise(mut self, kernel: usize) -> Result<Self, GraphError> {
        let name = self.name("depthwise");
        let channels = self.channels();
        let weights = self.constant(&format!("{name}/weights"), &[1, 1, kernel, channels])?;
        let bias = self.constant(&format!("{name}/bias"), &[channels])?;
        let options = DepthwiseConv2DOptions {
            stride_w: 1,
            stride_h: 1,
            depth_multiplier: 1,
            ..DepthwiseConv2DOptions::default()
        };
        self.push(&name, Op::DepthwiseConv2D(options), &[weights, bias])
    }

    /// Batch normalisation and RELU.
    pub(crate) fn norm_relu(mut self) -> Result<Self, GraphError> {
        let name = self.name("norm");
        let shape = [self.channels()];
        let operands = ["gamma", "beta", "mean", "variance"]
            .iter()
            .map(|operand| self.constant(&format!("{name}/{operand}"), &shape))
            .collect::<Result<Vec<_>, _>>()?;
        let mut net = self.push(&name, Op::BatchNorm(BatchNormOptions::default()), &operands)?;
        let name = net.name("relu");
        net.push(&name, Op::Relu(NoOptions {}), &[])
    }

    /// Maximum over each `size` samples.
    pub(crate) fn pool(mut self, size: i32) -> Result<Self, GraphError> {
        let name = self.name("pool");
        let options = Pool2DOptions {
            padding: Padding::Valid,
            stride_w: size,
            stride_h: 1,
            filter_w: size,
            filter_h: 1,
            ..Pool2DOptions::default()
        };
        self.push(&name, Op::MaxPool2D(options), &[])
    }

    /// Mean over the width.
    pub(crate) fn average(mut self) -> Result<Self, GraphError> {
        let name = self.name("average");
        let axes = self
            .builder
            .constant(&format!("{name}/axes"), &[2], &[1i32, 2])?;
        self.push(
            &name,
            Op::Mean(ReducerOptions { keep_dims: false }),
            &[axes],
        )
    }

    /// Fully connected layer.
    pub(crate) fn dense(
        mut self,
        units: usize,
        activation: larun_graph::ops::Activation,
    ) -> Result<Self, GraphError> {
        let name = self.name("dense");
        let depth = self.channels();
        let weights = self.constant(&format!("{name}/weights"), &[units, depth])?;
        let bias = self.constant(&format!("{name}/bias"), &[units])?;
        let options = FullyConnectedOptions {
            activation,
            ..FullyConnectedOptions::default()
        };
        self.push(&name, Op::FullyConnected(options), &[weights, bias])
    }

    /// SOFTMAX, and the end.
    pub(crate) fn softmax(mut self) -> Result<Graph, GraphError> {
        let name = self.name("softmax");
        let mut net = self.push(&name, Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[])?;
        net.builder.output(net.at);
        net.builder.finish()
    }
}

/// The depthwise-separable network for light curves, with weights still to be drawn.
pub(crate) fn spectral(width: usize, classes: usize) -> Result<Graph, GraphError> {
    use larun_graph::ops::Activation::{None, Relu};
    Net::new(width)?
        .conv(8, 7)?
        .norm_relu()?
        .pool(4)?
        .depthwise(5)?
        .norm_relu()?
        .conv(16, 1)?
        .norm_relu()?
        .pool(4)?
        .depthwise(3)?
        .norm_relu()?
        .conv(32, 1)?
        .norm_relu()?
        .pool(4)?
        .average()?
        .dense(16, Relu)?
        .dense(classes, None)?
        .softmax()
}
