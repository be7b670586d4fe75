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
#[macro_export]
macro_rules! ops {
    ($($op:ident),* $(,)?) => {
        const {
            &[$($crate::Registration::of::<$crate::ops_named::$op>()),*] as &[$crate::Registration]
        }
    };
}
