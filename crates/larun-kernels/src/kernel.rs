//! What a kernel is, and the table of all of them.

use larun_ops::{OpKind, Operator, Shape, ShapeError, op};

use crate::node::ShapeView;
use crate::{InvokeError, Io, NodeView, PlanReader, PlanWriter, Reason, Refusal, Step, TensorInfo};

/// The kernel of an operator, implemented for the marker types of [`larun_ops::op`].
pub trait Kernel: Operator {
    /// What takes the place of [`invoke`](Self::invoke) where the operator runs subgraphs.
    const CONTROL: Option<Step> = None;

    /// Checks types and quantisation, writes the node's plan (geometry, multipliers) and asks for scratch memory.
    ///
    /// [`Registration::prepare`] has checked the operator, the operands' presence, sizes and shapes before.
    ///
    /// # Errors
    /// When the kernel does not compute such a node.
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal>;

    /// Runs the node. The plan is what [`prepare`](Self::prepare) wrote.
    ///
    /// # Errors
    /// When the plan is of another node or the memory is not as planned.
    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError>;
}

/// A kernel as a row of function pointers: what an interpreter holds for each operator that it links.
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    /// The operator.
    pub kind: OpKind,
    /// Checks a node and writes its plan.
    pub prepare: fn(&dyn NodeView, &mut PlanWriter<'_>) -> Result<(), Refusal>,
    /// Runs a node from its plan.
    pub invoke: fn(PlanReader<'_>, Io<'_>) -> Result<(), InvokeError>,
    /// What runs a node in place of `invoke`, where the operator runs subgraphs.
    pub control: Option<Step>,
}

impl Registration {
    /// The row of a kernel.
    pub const fn of<K: Kernel>() -> Self {
        Self {
            kind: K::KIND,
            prepare: prepare::<K>,
            invoke: K::invoke,
            control: K::CONTROL,
        }
    }
}

macro_rules! register {
    (
        wire {$($(#[$meta:meta])* $name:ident { $($row:tt)* })*}
        custom {$($(#[$cmeta:meta])* $custom:ident { $($crow:tt)* })*}
        training {$($(#[$tmeta:meta])* $training:ident { $($trow:tt)* })*}
    ) => {
        /// Every kernel: one for each row of the operator table that a file can hold.
        ///
        /// A program that names its operators links those alone; naming this table links all.
        pub static ALL: &[Registration] = &[
            $(Registration::of::<op::$name>(),)*
            $(Registration::of::<op::$custom>(),)*
        ];
    };
}

larun_ops::for_each_op!(register);

/// What every kernel's `prepare` begins with, then the kernel's own.
fn prepare<K: Kernel>(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
    check_node(node, K::KIND)?;
    K::prepare(node, plan)
}

/// Checks that a node is of the kernel's operator, has its operands, and that their sizes and shapes fit.
fn check_node(node: &dyn NodeView, kind: OpKind) -> Result<(), Refusal> {
    let found = node.op().kind();
    if found != kind {
        let expected = kind;
        return Err(Refusal::options(Reason::Operator { expected, found }));
    }
    check_operands(node, kind)?;
    for index in 0..node.output_count() {
        let output = node.output(index);
        let output = output.ok_or(Refusal::output(index, Reason::Missing))?;
        match node.op().infer_shape(&ShapeView(node), index) {
            Ok(expected) => check_shape(&output.shape, &expected)
                .map_err(|reason| Refusal::output(index, reason))?,
            // A shape that depends on values: the file's is taken, and the kernel checks what it relies on.
            Err(ShapeError::Unknown { .. }) => {}
            Err(error) => return Err(Refusal::options(Reason::Shape(error))),
        }
    }
    Ok(())
}

fn check_operands(node: &dyn NodeView, kind: OpKind) -> Result<(), Refusal> {
    let info = kind.info();
    let (inputs, outputs) = (node.input_count(), node.output_count());
    if !info.accepts_inputs(inputs) {
        return Err(Refusal::options(Reason::Inputs { found: inputs }));
    }
    if !info.accepts_outputs(outputs) {
        return Err(Refusal::options(Reason::Outputs { found: outputs }));
    }
    for index in 0..inputs {
        match node.input(index) {
            Some(tensor) => check_size(&tensor).map_err(|r| Refusal::input(index, r))?,
            None if info.input(index).is_some_and(|operand| operand.optional) => {}
            None => return Err(Refusal::input(index, Reason::Missing)),
        }
    }
    for index in 0..outputs {
        let output = node.output(index);
        let tensor = output.ok_or(Refusal::output(index, Reason::Missing))?;
        check_size(&tensor).map_err(|reason| Refusal::output(index, reason))?;
    }
    Ok(())
}

/// Every tensor is below 2 GiB, so that any index into it fits an `i32`; constants are whole.
fn check_size(tensor: &TensorInfo<'_>) -> Result<(), Reason> {
    let expected = tensor
        .byte_len()
        .filter(|&len| i32::try_from(len).is_ok())
        .ok_or(Reason::TooLarge)?;
    match tensor.constant.map(<[u8]>::len) {
        Some(found) if found != expected => Err(Reason::ConstantSize { found, expected }),
        _ => Ok(()),
    }
}

fn check_shape(found: &Shape, expected: &Shape) -> Result<(), Reason> {
    if found.rank() != expected.rank() {
        return Err(Reason::Rank {
            found: found.rank(),
            expected: expected.rank(),
        });
    }
    for (axis, (&found, &expected)) in found.dims().iter().zip(expected.dims()).enumerate() {
        if found != expected {
            return Err(Reason::Dimension {
                axis,
                found,
                expected,
            });
        }
    }
    Ok(())
}
