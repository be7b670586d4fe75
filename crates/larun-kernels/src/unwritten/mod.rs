//! Operators of the table whose kernels are still to be written: each is refused when a model is loaded.

mod arithmetic;

/// Kernels that refuse every node.
macro_rules! unwritten {
    ($($name:ident)*) => {$(
        impl $crate::Kernel for larun_ops::op::$name {
            fn prepare(_: &dyn $crate::NodeView, _: &mut $crate::PlanWriter<'_>) -> Result<(), $crate::Refusal> {
                Err($crate::Refusal::options($crate::Reason::Unwritten))
            }

            fn invoke(_: $crate::PlanReader<'_>, _: $crate::Io<'_>) -> Result<(), $crate::InvokeError> {
                Err($crate::InvokeError::Plan)
            }
        }
    )*};
}

use unwritten;
