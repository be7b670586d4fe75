//! EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER and GREATER_EQUAL.

use core::cmp::Ordering;

use larun_ops::{ElementType, op};
use larun_quant::Affine;
use larun_quant::fixed_point::FixedMultiplier;

use super::{Operands, Pairs};
use crate::plan::{Record, record};
use crate::{Element, InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

const ORDERED: &[ElementType] = &[
    ElementType::Int8,
    ElementType::Int32,
    ElementType::Int64,
    ElementType::Float32,
];

const WITH_EQUALITY: &[ElementType] = &[
    ElementType::Bool,
    ElementType::Int8,
    ElementType::Int32,
    ElementType::Int64,
    ElementType::Float32,
];

/// The orders of a pair for which a comparison is true.
#[derive(Clone, Copy)]
struct Accepted(u8);

impl Accepted {
    const LESS: u8 = 1;
    const EQUAL: u8 = 2;
    const GREATER: u8 = 4;
    /// One of the two is NaN.
    const UNORDERED: u8 = 8;

    fn includes(self, order: Option<Ordering>) -> u8 {
        let order = match order {
            Some(Ordering::Less) => Self::LESS,
            Some(Ordering::Equal) => Self::EQUAL,
            Some(Ordering::Greater) => Self::GREATER,
            None => Self::UNORDERED,
        };
        u8::from(self.0 & order != 0)
    }
}

macro_rules! comparison {
    ($($op:ident: $types:ident, $first:ident $(| $other:ident)*;)*) => {$(
        impl Kernel for op::$op {
            fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
                prepare(node, $types, plan)
            }

            fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
                invoke(plan, io, Accepted(Accepted::$first $(| Accepted::$other)*))
            }
        }
    )*};
}

comparison! {
    Equal: WITH_EQUALITY, EQUAL;
    NotEqual: WITH_EQUALITY, LESS | GREATER | UNORDERED;
    Less: ORDERED, LESS;
    LessEqual: ORDERED, LESS | EQUAL;
    Greater: ORDERED, GREATER;
    GreaterEqual: ORDERED, GREATER | EQUAL;
}

fn prepare(
    node: &dyn NodeView,
    supported: &'static [ElementType],
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    let operands = Operands::new(node, supported)?;
    operands.output.has_type(ElementType::Bool)?;
    operands.write(plan)?;
    if operands.element_type == ElementType::Int8 {
        for operand in [&operands.a, &operands.b] {
            Scaled::of(operand.affine()?).write(plan);
        }
    }
    Ok(())
}

fn invoke(mut plan: PlanReader<'_>, io: Io<'_>, accepted: Accepted) -> Result<(), InvokeError> {
    let pairs = Pairs::read(&mut plan)?;
    match pairs.element_type {
        ElementType::Int8 => {
            let (a, b) = (Scaled::read(&mut plan)?, Scaled::read(&mut plan)?);
            pairs.combine(io, |x: i8, y: i8| {
                accepted.includes(a.value(x).partial_cmp(&b.value(y)))
            })
        }
        ElementType::Bool => pairs.combine(io, |a: u8, b: u8| {
            accepted.includes((a != 0).partial_cmp(&(b != 0)))
        }),
        ElementType::Int32 => compare::<i32>(&pairs, io, accepted),
        ElementType::Int64 => compare::<i64>(&pairs, io, accepted),
        _ => compare::<f32>(&pairs, io, accepted),
    }
}

fn compare<T: Element + PartialOrd>(
    pairs: &Pairs,
    io: Io<'_>,
    accepted: Accepted,
) -> Result<(), InvokeError> {
    pairs.combine(io, |a: T, b| accepted.includes(a.partial_cmp(&b)))
}

record! {
    /// How an INT8 operand becomes a number that can be compared: its real value times 2^8.
    struct Scaled {
        zero_point: i32,
        scale: FixedMultiplier,
    }
}

impl Scaled {
    const LEFT_SHIFT: u32 = 8;

    fn of(affine: Affine) -> Self {
        Self {
            zero_point: affine.zero_point,
            scale: FixedMultiplier::from_real(f64::from(affine.scale)),
        }
    }

    #[inline]
    fn value(&self, stored: i8) -> i32 {
        let value = i32::from(stored).wrapping_sub(self.zero_point);
        // TFLM refuses operands whose scale is 1 or more. LiteRT, whose answer stands then, applies to them what is made
        // for smaller factors: of the value is left whether it is negative.
        self.scale
            .apply_smaller_than_one_modular(value << Self::LEFT_SHIFT)
    }
}
