//! Naming the operators to link.

/// The kernels of the named operators, for [`Interpreter::new`](crate::Interpreter::new).
///
/// A program holds the code of the operators that it names and of no other. The names are those of
/// the operator table, `larun inspect MODEL` prints them for a model.
///
/// ```
/// use larun_micro::{OpKind, ops};
///
/// let kernels = ops![Conv2D, MaxPool2D, FullyConnected, Softmax];
/// assert_eq!(kernels[3].kind, OpKind::Softmax);
/// ```
///
/// On Armv7E-M, convolutions, pools and sums have several [ways](crate::kernels::Way) to be computed. A name alone
/// links all of them; with ways named, as `larun inspect --ops MODEL` does, the program holds those. A layer takes the fastest
/// of them; striking out one that another can stand in for spares its flash and takes time. Where none computes a layer, it is
/// refused when the model is loaded; `Definition` computes any.
///
/// ```
/// use larun_micro::ops;
///
/// let kernels = ops![Conv2D<Narrow, Patches>, MaxPool2D<FourChannels>, FullyConnected, Softmax];
/// # assert_eq!(kernels.len(), 4);
/// ```
#[macro_export]
macro_rules! ops {
    (@row $op:ident) => {
        $crate::Registration::of::<$crate::ops_named::$op>()
    };
    (@row $op:ident $($way:ident)+) => {
        $crate::Registration::of::<
            $crate::kernels::Only<$crate::ops_named::$op, { $($crate::kernels::Way::$way.bit())|+ }>,
        >()
    };
    ($($op:ident $(<$($way:ident),+ $(,)?>)?),* $(,)?) => {
        const {
            &[$($crate::ops!(@row $op $($($way)+)?)),*] as &[$crate::Registration]
        }
    };
}
