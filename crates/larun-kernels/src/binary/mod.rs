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

use larun_ops::ElementType;
use larun_quant::Affine;

use crate::operand::Operand;
use crate::plan::Record;
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
        let a = Operand::input(node, 0)?;
        let b = Operand::input(node, 1)?;
        let element_type = a.one_of(supported)?;
        b.has_type(element_type)?;
        Ok(Self {
            a,
            b,
            output: Operand::output(node, 0)?,
            element_type,
        })
    }

    /// As [`new`](Self::new), with an output of the same type.
    fn of_one_type(
        node: &'m dyn NodeView,
        supported: &'static [ElementType],
    ) -> Result<Self, Refusal> {
        let operands = Self::new(node, supported)?;
        operands.output.has_type(operands.element_type)?;
        Ok(operands)
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
        invoke(io, |a, b, output| self.broadcast.zip(a, b, output, combine))
    }
}

fn invoke<T: Element, U: Element>(
    mut io: Io<'_>,
    kernel: impl FnOnce(&[T], &[T], &mut [U]) -> Result<(), InvokeError>,
) -> Result<(), InvokeError> {
    let output = io.output(0)?;
    let io = io.freeze();
    kernel(io.input(0)?, io.input(1)?, output)
}
