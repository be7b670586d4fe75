//! Rows whose kernels are being written.
use crate::*;
macro_rules! pending {
    ($($name:ident)*) => {$(
        impl Kernel for larun_ops::op::$name {
            fn prepare(_: &dyn NodeView, _: &mut PlanWriter<'_>) -> Result<(), Refusal> {
                Err(Refusal::options(Reason::Missing))
            }
            fn invoke(_: PlanReader<'_>, _: Io<'_>) -> Result<(), InvokeError> {
                Err(InvokeError::Plan)
            }
        }
    )*};
}
pending!(Add AveragePool2D Concatenation Dequantize Logistic MaxPool2D Mul Relu Relu6 Reshape Softmax Pad Mean Squeeze ExpandDims Quantize);
