//! Operators of two operands, element by element, stretched where one of them has size 1.

mod add;
mod broadcast;
mod compare;
mod divide;
mod extremes;
mod logical;
mod multiply;
mod squared_difference;

pub use add::{AddQuantization, add_f32, add_i8};
pub use broadcast::Broadcast;
pub use multiply::{MulQuantization, mul_f32, mul_i8};

pub(crate) use add::portable;
#[cfg(feature = "processors")]
pub(crate) use add::way as way_of_add;

use add::Summand;

use larun_ops::ElementType;
use larun_quant::Affine;

use crate::operand::{Operand, operands};
use crate::plan::Record;
use crate::requantize::{Clamp, ClampI32};
use crate::types::INT32;
use crate::{Element, InvokeError, Io, NodeView, PlanReader, PlanWriter, Reason, Refusal};

/// The types of sums and products.
const ARITHMETIC: &[ElementType] = &[
    ElementType::Int8,
    ElementType::Int16,
    ElementType::Int32,
    ElementType::Float32,
];

/// A node of two inputs of one element type, while it is prepared.
struct Operands<'m> {
    a: Operand<'m>,
    b: Operand<'m>,
    output: Operand<'m>,
    element_type: ElementType,
}

impl<'m> Operands<'m> {
    /// Checks that the inputs are of one of the `supported` types.
    fn new(node: &'m dyn NodeView, supported: &'static [ElementType]) -> Result<Self, Refusal> {
        operands! {
            a = Operand::input(node, 0);
            b = Operand::input(node, 1);
            output = Operand::output(node, 0);
        }
        let element_type = a.one_of(supported)?;
        if element_type == ElementType::Int32 && !INT32 {
            return Err(a.refuse(Reason::LeftOut { feature: "int32" }));
        }
        b.has_type(element_type)?;
        Ok(Self {
            a: *a,
            b: *b,
            output: *output,
            element_type,
        })
    }

    /// As [`new`](Self::new), with an output of the same type.
    fn of_one_type(
        node: &'m dyn NodeView,
        supported: &'static [ElementType],
    ) -> Result<Self, Refusal> {
        let operands = Self::new(node, supported);
        if let Ok(operands) = &operands {
            operands.output.has_type(operands.element_type)?;
        }
        operands
    }

    /// The parameters of the inputs.
    fn affines(&self) -> Result<[Affine; 2], Refusal> {
        Ok([self.a.affine()?, self.b.affine()?])
    }

    /// Writes what [`Pairs`] reads.
    fn write(&self, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let broadcast = Broadcast::new(&self.a.info.shape, &self.b.info.shape);
        self.element_type.write(plan);
        broadcast
            .ok_or(Refusal::options(Reason::TooLarge))?
            .write(plan);
        Ok(())
    }
}

/// A node of two inputs of one element type, while it runs.
struct Pairs {
    element_type: ElementType,
    broadcast: Broadcast,
}

impl Pairs {
    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(Self {
            element_type: ElementType::read(plan)?,
            broadcast: Broadcast::read(plan)?,
        })
    }

    /// Computes the output of each pair of elements.
    fn combine<T: Element, U: Element>(
        &self,
        io: Io<'_>,
        combine: impl Fn(T, T) -> U,
    ) -> Result<(), InvokeError> {
        self.broadcast.combine(io, combine)
    }
}

/// How operators of [`ARITHMETIC`] types combine two elements.
trait Arithmetic {
    /// What quantised ones are computed with.
    type Quantization: Record;

    fn quantized<T: Summand>(quantization: &Self::Quantization, a: T, b: T) -> T;
    fn int32(a: i32, b: i32) -> i32;
    fn float32(a: f32, b: f32) -> f32;

    /// INT8 tensors.
    fn int8(
        broadcast: &Broadcast,
        quantization: &Self::Quantization,
        a: &[i8],
        b: &[i8],
        output: &mut [i8],
    ) -> Result<(), InvokeError> {
        broadcast.zip(a, b, output, |a, b| Self::quantized(quantization, a, b))
    }
}

/// Runs a node of such an operator: behind what [`Pairs`] reads, its plan has the quantisation, or else a clamp.
fn run<A: Arithmetic>(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
    let pairs = Pairs::read(&mut plan)?;
    match pairs.element_type {
        ElementType::Int8 => {
            let quantization = A::Quantization::read(&mut plan)?;
            invoke(io, |a, b, output| {
                A::int8(&pairs.broadcast, &quantization, a, b, output)
            })
        }
        ElementType::Int16 => {
            let quantization = A::Quantization::read(&mut plan)?;
            pairs.combine(io, |a: i16, b| A::quantized(&quantization, a, b))
        }
        ElementType::Int32 if INT32 => {
            let clamp = ClampI32::read(&mut plan)?;
            pairs.combine(io, |a, b| clamp.apply(A::int32(a, b)))
        }
        ElementType::Float32 => {
            let clamp = Clamp::read(&mut plan)?;
            pairs.combine(io, |a, b| clamp.apply(A::float32(a, b)))
        }
        // Of types that are left out: no such node is prepared.
        _ => Err(InvokeError::Plan),
    }
}

impl Broadcast {
    /// Computes the output of each pair of elements of a node's inputs.
    pub(crate) fn combine<A: Element, B: Element, U: Element>(
        &self,
        io: Io<'_>,
        combine: impl Fn(A, B) -> U,
    ) -> Result<(), InvokeError> {
        invoke(io, |a, b, output| self.zip(a, b, output, combine))
    }
}

fn invoke<A: Element, B: Element, U: Element>(
    mut io: Io<'_>,
    kernel: impl FnOnce(&[A], &[B], &mut [U]) -> Result<(), InvokeError>,
) -> Result<(), InvokeError> {
    let output = io.output(0)?;
    let io = io.freeze();
    kernel(io.input(0)?, io.input(1)?, output)
}
