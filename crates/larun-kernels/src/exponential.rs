//! EXP, ELU and GELU: real functions, of INT8 through the real numbers they stand for.

use larun_ops::{ElementType, GeluOptions, Op, op};
use larun_quant::{Affine, quantized_function};

use crate::byte_function::{self, ByteFunction, map_operands};
use crate::operand::{INT8_OR_FLOAT32, Operand, wrong_op};
use crate::plan::Record;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Refusal};

impl Kernel for op::Exp {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare::<Exp>(node, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke::<Exp>(plan, io)
    }
}

impl Kernel for op::Elu {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        prepare::<Elu>(node, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        invoke::<Elu>(plan, io)
    }
}

impl Kernel for op::Gelu {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::Gelu(GeluOptions { approximate }) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        approximate.write(plan);
        if *approximate {
            prepare::<GeluByTanh>(node, plan)
        } else {
            prepare::<Gelu>(node, plan)
        }
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        if bool::read(&mut plan)? {
            invoke::<GeluByTanh>(plan, io)
        } else {
            invoke::<Gelu>(plan, io)
        }
    }
}

/// A function of real numbers.
trait RealFunction {
    fn apply(x: f32) -> f32;
}

struct Exp;
struct Elu;
struct Gelu;
struct GeluByTanh;

impl RealFunction for Exp {
    fn apply(x: f32) -> f32 {
        libm::expf(x)
    }
}

impl RealFunction for Elu {
    fn apply(x: f32) -> f32 {
        if x < 0.0 { libm::expm1f(x) } else { x }
    }
}

impl RealFunction for Gelu {
    /// By the complementary error function, which keeps its precision where `1 + erf(x)` would lose it.
    fn apply(x: f32) -> f32 {
        0.5 * x * libm::erfcf(-x * core::f32::consts::FRAC_1_SQRT_2)
    }
}

impl RealFunction for GeluByTanh {
    fn apply(x: f32) -> f32 {
        /// `sqrt(2 / pi)`.
        const SQRT_2_OVER_PI: f32 = 0.797_884_6;
        let inner = SQRT_2_OVER_PI * (x + 0.044715 * x * x * x);
        0.5 * x * (1.0 + libm::tanhf(inner))
    }
}

fn prepare<F: RealFunction>(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
    let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
    let element_type = input.one_of(INT8_OR_FLOAT32)?;
    output.has_type(element_type)?;
    element_type.write(plan);
    if element_type == ElementType::Float32 {
        return Ok(());
    }
    let (from, to) = (input.affine()?, output.affine()?);
    byte_function::write(node, &OfByte::<F>::new(from, to), plan)
}

fn invoke<F: RealFunction>(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
    match ElementType::read(&mut plan)? {
        ElementType::Int8 => byte_function::invoke::<OfByte<F>>(plan, io),
        _ => map_operands(io, F::apply),
    }
}

/// A real function of an INT8, by way of the real numbers that input and output stand for.
struct OfByte<F> {
    from: Affine,
    to: Affine,
    function: core::marker::PhantomData<F>,
}

impl<F> OfByte<F> {
    const fn new(from: Affine, to: Affine) -> Self {
        let function = core::marker::PhantomData;
        Self { from, to, function }
    }
}

impl<F: RealFunction> ByteFunction for OfByte<F> {
    fn apply(&self, x: i8) -> i8 {
        quantized_function(self.from, self.to, F::apply, x)
    }
}

impl<F> Record for OfByte<F> {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.from.write(plan);
        self.to.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(Self::new(Record::read(plan)?, Record::read(plan)?))
    }
}
