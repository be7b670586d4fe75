//! What a kernel is, and the table of all of them.

use core::convert::Infallible;

use larun_ops::{Op, OpInfo, OpKind, Operator, Options, OptionsSource, Shape, ShapeError, op};

use crate::node::ShapeView;
use crate::operand::of_another;
use crate::types::left_out;
use crate::{
    InvokeError, Io, NodeView, PlanReader, PlanWriter, Reason, Refusal, Site, Step, TensorInfo,
};

/// The kernel of an operator, implemented for the marker types of [`larun_ops::op`].
pub trait Kernel: Operator {
    /// What takes the place of [`invoke`](Self::invoke) where the operator runs subgraphs.
    const CONTROL: Option<Step> = None;

    /// How the operator takes over nodes that read its outputs, where it can.
    const TAKE_OVER: Option<TakeOver> = None;

    /// Whether outputs have the shapes that the file gives them, with which [`prepare`](Self::prepare) does what there is to check: no shape
    /// is inferred then.
    const SHAPES_ARE_GIVEN: bool = false;

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

/// Says whether an operator, of whose outputs one is input `input` of a node, can run the node in its place, from
/// constants alone: then that output needs no memory.
///
/// Writes what that takes to a plan, which goes on with what the node's own [`Kernel::prepare`] writes; the operator's
/// [`Kernel::invoke`] runs it. To the node's inputs two are added, those that the output is made of: inputs
/// `2 * output` and `2 * output + 1` of the operator. Scratch memory and state that the node asks for it does not get.
pub type TakeOver = fn(
    operator: &dyn NodeView,
    output: usize,
    node: &dyn NodeView,
    input: usize,
    plan: &mut PlanWriter<'_>,
) -> bool;

/// A kernel as a row of function pointers: what an interpreter holds for each operator that it links.
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    /// The operator.
    pub kind: OpKind,
    /// Its row of the operator table.
    pub info: &'static OpInfo,
    /// Reads its options. The source remembers what was wrong.
    pub read: fn(&dyn OptionsSource<Error = Infallible>) -> Op,
    /// Checks the shape of an output against the one that follows from the inputs.
    check_shape: fn(&dyn NodeView, &Shape, usize) -> Result<(), Refusal>,
    /// What is the kernel's own of preparing a node.
    prepare: fn(&dyn NodeView, &mut PlanWriter<'_>) -> Result<(), Refusal>,
    /// Runs a node from its plan.
    pub invoke: fn(PlanReader<'_>, Io<'_>) -> Result<(), InvokeError>,
    /// What runs a node in place of `invoke`, where the operator runs subgraphs.
    pub control: Option<Step>,
    /// How the operator takes over nodes that read its outputs, where it can.
    pub take_over: Option<TakeOver>,
}

impl Registration {
    /// The row of a kernel.
    pub const fn of<K: Kernel>() -> Self {
        Self {
            kind: K::KIND,
            info: K::INFO,
            read: read::<K>,
            check_shape: check_output_shape::<K>,
            prepare: K::prepare,
            invoke: K::invoke,
            control: K::CONTROL,
            take_over: K::TAKE_OVER,
        }
    }

    /// Checks a node and writes its plan.
    ///
    /// # Errors
    /// When the kernel does not compute such a node.
    #[inline(never)]
    pub fn prepare(&self, node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let found = node.op().kind();
        if found != self.kind {
            return Err(of_another(self.kind, found));
        }
        check_operands(node, self.info)?;
        self.check_shapes(node)?;
        (self.prepare)(node, plan)
    }

    /// Checks that the outputs have the shapes that follow from the inputs.
    fn check_shapes(&self, node: &dyn NodeView) -> Result<(), Refusal> {
        for index in 0..node.output_count() {
            // Looked at where it lies: a tensor's description is large.
            let output = &node.output(index);
            let Some(output) = output else {
                return Err(Refusal::output(index, Reason::Missing));
            };
            (self.check_shape)(node, &output.shape, index)?;
        }
        Ok(())
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

fn read<K: Kernel>(source: &dyn OptionsSource<Error = Infallible>) -> Op {
    let Ok(options) = K::Options::read(source);
    K::with_options(options)
}

/// Checks the shape of output `index` where that of the inputs is known: a shape never leaves this function.
fn check_output_shape<K: Kernel>(
    node: &dyn NodeView,
    found: &Shape,
    index: usize,
) -> Result<(), Refusal> {
    if K::SHAPES_ARE_GIVEN {
        return Ok(());
    }
    let inferred = match K::options(node.op()) {
        Some(options) => K::infer_shape(options, &ShapeView(node), index),
        None => Err(ShapeError::NoSuchOutput { output: index }),
    };
    match inferred {
        Ok(expected) => check_shape(Site::output(index), found, &expected),
        // A shape that depends on values: the file's is taken, and the kernel checks what it relies on.
        Err(ShapeError::Unknown { .. }) => Ok(()),
        Err(error) => Err(Refusal::options(Reason::Shape(error))),
    }
}

/// Checks that a node has its operands, and their sizes.
fn check_operands(node: &dyn NodeView, info: &OpInfo) -> Result<(), Refusal> {
    let (inputs, outputs) = (node.input_count(), node.output_count());
    if !info.accepts_inputs(inputs) {
        return Err(Refusal::options(Reason::Inputs { found: inputs }));
    }
    if !info.accepts_outputs(outputs) {
        return Err(Refusal::options(Reason::Outputs { found: outputs }));
    }
    for slot in 0..inputs.saturating_add(outputs) {
        let (operand, at) = match slot.checked_sub(inputs) {
            None => (node.input(slot), Site::input(slot)),
            Some(index) => (node.output(index), Site::output(index)),
        };
        let optional = slot < inputs && info.input(slot).is_some_and(|input| input.optional);
        match &operand {
            Some(tensor) => check_tensor(at, tensor)?,
            None if optional => {}
            None => return Err(Refusal::new(at, Reason::Missing)),
        }
    }
    Ok(())
}

/// Every tensor is of a type that is linked, and below 2 GiB, so that any index into it fits an `i32`; constants are
/// whole.
fn check_tensor(at: Site, tensor: &TensorInfo<'_>) -> Result<(), Refusal> {
    if let Some(feature) = left_out(tensor.element_type) {
        return Err(Refusal::new(at, Reason::LeftOut { feature }));
    }
    let expected = tensor
        .byte_len()
        .filter(|&len| i32::try_from(len).is_ok())
        .ok_or(Refusal::new(at, Reason::TooLarge))?;
    match tensor.constant.map(<[u8]>::len) {
        Some(found) if found != expected => {
            Err(Refusal::new(at, Reason::ConstantSize { found, expected }))
        }
        _ => Ok(()),
    }
}

/// Checks the shape of an operand against the one expected.
#[inline(never)]
pub(crate) fn check_shape(at: Site, found: &Shape, expected: &Shape) -> Result<(), Refusal> {
    if found.rank() != expected.rank() {
        let (found, expected) = (found.rank(), expected.rank());
        return Err(Refusal::new(at, Reason::Rank { found, expected }));
    }
    for (axis, (&found, &expected)) in found.dims().iter().zip(expected.dims()).enumerate() {
        if found != expected {
            let wrong = Reason::Dimension {
                axis,
                found,
                expected,
            };
            return Err(Refusal::new(at, wrong));
        }
    }
    Ok(())
}
