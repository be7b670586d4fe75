//! HARD_SWISH: `x min(max(x + 3, 0), 6) / 6`.

use larun_ops::{ElementType, op};
use larun_quant::fixed_point::HardSwishInput;

use crate::byte_function::{self, ByteFunction, map_operands};
use crate::operand::{INT8_OR_FLOAT32, Operand};
use crate::plan::Record;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

impl Kernel for op::HardSwish {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = input.one_of(INT8_OR_FLOAT32)?;
        output.has_type(element_type)?;
        element_type.write(plan);
        if element_type == ElementType::Float32 {
            return Ok(());
        }
        let function = HardSwishInput::new(input.affine()?, output.affine()?);
        let function = function.ok_or(Refusal::options(Reason::ScaleRatio))?;
        byte_function::write(node, &function, plan)
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int8 => byte_function::invoke::<HardSwishInput>(plan, io),
            _ => map_operands(io, |x: f32| {
                let shifted = x + 3.0;
                let raised = if shifted < 0.0 { 0.0 } else { shifted };
                x * if raised > 6.0 { 6.0 } else { raised } / 6.0
            }),
        }
    }
}

impl ByteFunction for HardSwishInput {
    fn apply(&self, x: i8) -> i8 {
        self.apply_i8(x)
    }
}

impl Record for HardSwishInput {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        self.input_zero_point.write(plan);
        self.output_zero_point.write(plan);
        self.output.write(plan);
        self.factor.write(plan);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        Ok(Self {
            input_zero_point: Record::read(plan)?,
            output_zero_point: Record::read(plan)?,
            output: Record::read(plan)?,
            factor: Record::read(plan)?,
        })
    }
}
