//! ADD_N: the sum of any number of tensors of one shape.

use larun_ops::{Activation, ElementType, op};

use crate::binary::AddQuantization;
use crate::operand::Operand;
use crate::plan::Record;
use crate::{
    Element, FrozenIo, InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Refusal,
    check_len,
};

impl Kernel for op::AddN {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        use ElementType::{Float32, Int8, Int32};
        let (first, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let element_type = first.one_of(&[Int8, Int32, Float32])?;
        Operand::all_have_type(node, element_type)?;
        for index in 1..node.input_count() {
            let input = Operand::input(node, index)?;
            input.has_dims(first.info.shape.dims())?;
            if element_type == Int8 {
                input.has_affine(first.affine()?, 0.0)?;
            }
        }
        element_type.write(plan);
        plan.push_usize(node.input_count());
        if element_type == Int8 {
            let of_any = first.affine()?;
            AddQuantization::of::<i8>([of_any; 2], &output, Activation::None)?.write(plan);
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let element_type = ElementType::read(&mut plan)?;
        let count = plan.read_usize()?;
        match element_type {
            ElementType::Int8 => {
                let quantization = AddQuantization::read(&mut plan)?;
                let output = io.output(0)?;
                add_n_i8(&quantization, count, &io.freeze(), output)
            }
            ElementType::Int32 => add_up(count, io, 0, i32::wrapping_add),
            _ => add_up(count, io, 0.0, |sum: f32, x| sum + x),
        }
    }
}

fn add_up<T: Element>(
    count: usize,
    mut io: Io<'_>,
    zero: T,
    add: impl Fn(T, T) -> T,
) -> Result<(), InvokeError> {
    let output = io.output(0)?;
    let io = io.freeze();
    output.fill(zero);
    for index in 0..count {
        let input = io.input(index)?;
        check_len(Memory::input(index), input.len(), output.len())?;
        for (sum, &x) in output.iter_mut().zip(input) {
            *sum = add(*sum, x);
        }
    }
    Ok(())
}

/// Elements that are summed at a time.
const BLOCK: usize = 32;

fn add_n_i8(
    quantization: &AddQuantization,
    count: usize,
    io: &FrozenIo<'_>,
    output: &mut [i8],
) -> Result<(), InvokeError> {
    for index in 0..count {
        check_len(
            Memory::input(index),
            io.input::<i8>(index)?.len(),
            output.len(),
        )?;
    }
    for (number, output) in output.chunks_mut(BLOCK).enumerate() {
        // TFLM starts from a stored 0, which stands for 0 only where the zero point is 0.
        let mut sums = [quantization.scaled::<i8, 0>(0); BLOCK];
        for index in 0..count {
            let input: &[i8] = io.input(index)?;
            let block = input.get(number * BLOCK..).unwrap_or(&[]);
            for (sum, &x) in sums.iter_mut().zip(block) {
                *sum = sum.wrapping_add(quantization.scaled::<i8, 0>(x));
            }
        }
        for (output, sum) in output.iter_mut().zip(sums) {
            *output = quantization.finish(sum);
        }
    }
    Ok(())
}
