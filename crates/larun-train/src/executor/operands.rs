//! What the options and the constant operands of a node say: windows, axes, paddings, shapes.

use larun_graph::ops::{ElementType, Padding, Pool2DOptions};

use super::lower::Lowering;
use crate::TrainError;
use crate::ops::Window2d;

impl Lowering<'_> {
    pub(super) fn pool_window(&self, options: &Pool2DOptions) -> Result<Window2d, TrainError> {
        let size = self.sizes([options.filter_h, options.filter_w])?;
        self.window(
            size,
            [options.stride_h, options.stride_w],
            [1, 1],
            options.padding,
        )
    }

    /// The window of a convolution, whose weights have the shape `[_, KH, KW, _]`.
    pub(super) fn kernel_window(
        &self,
        stride: [i32; 2],
        dilation: [i32; 2],
        padding: Padding,
    ) -> Result<Window2d, TrainError> {
        let weights = self
            .node
            .input(1)
            .and_then(|weights| self.subgraph.tensor(weights));
        match weights.map(|weights| weights.shape.dims()) {
            Some(&[_, height, width, _]) => self.window([height, width], stride, dilation, padding),
            _ => Err(self.refuse("its weights must have rank 4")),
        }
    }

    pub(super) fn window(
        &self,
        size: [usize; 2],
        stride: [i32; 2],
        dilation: [i32; 2],
        padding: Padding,
    ) -> Result<Window2d, TrainError> {
        Ok(Window2d {
            size,
            stride: self.sizes(stride)?,
            dilation: self.sizes(dilation)?,
            padding,
        })
    }

    pub(super) fn sizes(&self, sizes: [i32; 2]) -> Result<[usize; 2], TrainError> {
        match sizes.map(usize::try_from) {
            [Ok(height), Ok(width)] => Ok([height, width]),
            _ => Err(self.refuse("its window, stride or dilation is negative")),
        }
    }

    /// An axis of the first input, counted from the end where negative; never the one of the samples.
    pub(super) fn axis(&self, axis: i32) -> Result<usize, TrainError> {
        let first = self
            .node
            .input(0)
            .and_then(|input| self.subgraph.tensor(input));
        match first.and_then(|input| input.shape.axis(axis)) {
            Some(0) => {
                Err(self.refuse("it works across axis 0, which is that of the samples in training"))
            }
            Some(axis) => Ok(axis),
            None => Err(self.refuse(&format!("its input has no axis {axis}"))),
        }
    }

    /// The integers of a constant operand.
    pub(super) fn integers(&self, index: usize) -> Result<Vec<i32>, TrainError> {
        let Some(tensor) = self.node.input(index) else {
            return Err(self.refuse(&format!("input {index} is absent")));
        };
        let element_type = self.subgraph.tensor(tensor).map(|t| t.element_type);
        if element_type == Some(ElementType::Int64) {
            let values = self.graph.values::<i64>(tensor)?;
            let narrow = values
                .into_iter()
                .map(i32::try_from)
                .collect::<Result<_, _>>();
            return narrow.map_err(|_| self.refuse(&format!("input {index} does not fit 32 bits")));
        }
        Ok(self.graph.values(tensor)?)
    }

    pub(super) fn axes(&self) -> Result<Vec<usize>, TrainError> {
        self.integers(1)?
            .into_iter()
            .map(|axis| self.axis(axis))
            .collect()
    }

    /// The padding of each axis, `None` where samples themselves are padded.
    pub(super) fn padding(&self) -> Result<Option<Vec<[usize; 2]>>, TrainError> {
        let integers = self.integers(1)?;
        let pairs = integers
            .chunks_exact(2)
            .map(|pair| self.sizes([pair[0], pair[1]]));
        let padding: Vec<[usize; 2]> = pairs.collect::<Result<_, _>>()?;
        Ok(Some(padding).filter(|padding| padding.first().is_none_or(|&first| first == [0, 0])))
    }

    /// The shape of an operand for one sample.
    pub(super) fn shape(&self, index: usize) -> &[usize] {
        let tensor = self
            .node
            .input(index)
            .and_then(|id| self.subgraph.tensor(id));
        tensor.map_or(&[][..], |tensor| tensor.shape.dims())
    }

    /// The shape of the output for one sample.
    pub(super) fn output_shape(&self) -> &[usize] {
        let output = self.node.outputs.first();
        let tensor = output.and_then(|&id| self.subgraph.tensor(id));
        tensor.map_or(&[][..], |tensor| tensor.shape.dims())
    }

    /// Whether an operand is a constant.
    pub(super) fn is_constant(&self, index: usize) -> bool {
        let tensor = self
            .node
            .input(index)
            .and_then(|id| self.subgraph.tensor(id));
        tensor.is_some_and(|tensor| self.graph.is_constant(tensor))
    }
}
