//! Blocks that join several layers: residual connections, squeeze-excite, concatenation.

use larun_graph::ops::{Activation, AddOptions, ConcatenationOptions, MulOptions, NoOptions, Op};
use larun_graph::{GraphError, TensorId};

use super::{NetworkBuilder, Window};

impl NetworkBuilder {
    /// A body added to its own input, then ReLU: `[1, H, W, C]` to the same (He et al. 2016).
    ///
    /// # Errors
    /// What `body` gives, or when its output has another shape than its input.
    pub fn residual(
        &mut self,
        name: &str,
        input: TensorId,
        body: impl FnOnce(&mut Self, TensorId) -> Result<TensorId, GraphError>,
    ) -> Result<TensorId, GraphError> {
        let branch = body(self, input)?;
        self.add_relu(name, branch, input)
    }

    /// The sum of two tensors, then ReLU: the end of a residual block whose shortcut is a layer itself.
    ///
    /// # Errors
    /// When the shapes do not broadcast.
    pub fn add_relu(
        &mut self,
        name: &str,
        a: TensorId,
        b: TensorId,
    ) -> Result<TensorId, GraphError> {
        let options = AddOptions {
            activation: Activation::Relu,
            ..Default::default()
        };
        self.graph.node(name, Op::Add(options), &[a, b])
    }

    /// A strided pointwise convolution with bias: the shortcut of a residual block that halves the image, `[1, H, W, I]` to
    /// `[1, ceil(H / stride), ceil(W / stride), filters]`.
    ///
    /// # Errors
    /// When the input has not four dimensions or a size overflows.
    pub fn shortcut(
        &mut self,
        name: &str,
        input: TensorId,
        filters: usize,
        stride: usize,
    ) -> Result<TensorId, GraphError> {
        let window = Window {
            stride: [stride; 2],
            ..Window::POINT
        };
        self.convolution(name, input, filters, window, Some(Activation::None))
    }

    /// Channels weighted by what the whole input shows: mean, `C / reduction` units with ReLU, `C` with the logistic function, product:
    /// `[1, H, W, C]` to the same (Hu et al. 2018).
    ///
    /// # Errors
    /// When the input has not four dimensions.
    pub fn squeeze_excite(
        &mut self,
        name: &str,
        input: TensorId,
        reduction: usize,
    ) -> Result<TensorId, GraphError> {
        let channels = self.channels(input);
        let fewer = (channels / reduction.max(1)).max(1);
        let x = self.mean(&format!("{name}/squeeze"), input, true)?;
        let reduce = format!("{name}/reduce");
        let x = self.convolution(&reduce, x, fewer, Window::POINT, Some(Activation::Relu))?;
        let expand = format!("{name}/expand");
        let x = self.convolution(&expand, x, channels, Window::POINT, Some(Activation::None))?;
        let gate = format!("{name}/gate");
        let x = self.graph.node(&gate, Op::Logistic(NoOptions {}), &[x])?;
        self.graph
            .node(name, Op::Mul(MulOptions::default()), &[input, x])
    }

    /// Tensors side by side along their channels: `[..., A]` and `[..., B]` to `[..., A + B]`.
    ///
    /// # Errors
    /// When the other dimensions differ.
    pub fn concatenate(&mut self, name: &str, inputs: &[TensorId]) -> Result<TensorId, GraphError> {
        let options = ConcatenationOptions {
            axis: -1,
            ..Default::default()
        };
        self.graph.node(name, Op::Concatenation(options), inputs)
    }
}
