//! Rows whose kernels are being written.
use crate::*;
macro_rules! pending {
    ( wire {$($(#[$meta:meta])* $name:ident { $($row:tt)* })*} training {$($rest:tt)*} ) => {$(
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
larun_ops::for_each_op!(pending);
