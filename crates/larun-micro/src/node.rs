//! A node of a file as a kernel sees it while preparing.

use larun_kernels::{NodeView, QuantizationView, Registration, TensorInfo};
use larun_ops::Op;
use larun_tflite::view::{List, Model, Operator, Subgraph, Tensor, ViewError};

/// One operator of a file.
pub(crate) struct FileNode<'m> {
    model: Model<'m>,
    subgraph: Subgraph<'m>,
    op: Op,
    pub(crate) inputs: List<'m, i32>,
    pub(crate) outputs: List<'m, i32>,
    intermediates: List<'m, i32>,
}

impl<'m> FileNode<'m> {
    pub(crate) fn new(
        model: Model<'m>,
        subgraph: Subgraph<'m>,
        operator: &Operator<'m>,
        kernel: &Registration,
    ) -> Result<Self, ViewError> {
        Ok(Self {
            model,
            subgraph,
            op: operator.op_by(kernel.info, kernel.read)?,
            inputs: operator.inputs()?,
            outputs: operator.outputs()?,
            intermediates: operator.intermediates()?,
        })
    }

    /// The tensor with a number. The loader has read every tensor once before: what fails here is
    /// a number without a tensor.
    fn tensor(&self, number: Option<i32>) -> Option<TensorInfo<'m>> {
        let index = usize::try_from(number?).ok()?;
        let tensor = self.subgraph.tensor(index).ok()?;
        describe(&self.model, &tensor).ok()
    }
}

/// What kernels and callers want to know of a tensor.
pub(crate) fn describe<'m>(
    model: &Model<'m>,
    tensor: &Tensor<'m>,
) -> Result<TensorInfo<'m>, ViewError> {
    let data = model.buffer(tensor.buffer()? as usize)?;
    let quantization = match tensor.quantization()? {
        None => QuantizationView::NONE,
        Some(quantization) => QuantizationView::new(
            quantization.scales()?.bytes(),
            quantization.zero_points()?.bytes(),
            usize::try_from(quantization.axis()?).unwrap_or(usize::MAX),
        ),
    };
    let (shape, element_type) = (tensor.shape()?, tensor.element_type()?);
    let is_constant = !data.is_empty() || shape.elements() == Some(0);
    Ok(TensorInfo {
        element_type,
        shape,
        quantization,
        constant: is_constant.then_some(data),
        is_variable: tensor.is_variable()?,
    })
}

impl NodeView for FileNode<'_> {
    fn op(&self) -> Op {
        self.op
    }

    fn input_count(&self) -> usize {
        self.inputs.len()
    }

    fn output_count(&self) -> usize {
        self.outputs.len()
    }

    fn input(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.tensor(self.inputs.get(index))
    }

    fn output(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.tensor(self.outputs.get(index))
    }

    fn intermediate(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.tensor(self.intermediates.get(index))
    }
}
