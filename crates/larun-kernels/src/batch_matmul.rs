//! BATCH_MATMUL: products of matrices, batch by batch.

use larun_ops::{BatchMatmulOptions, ElementType, Op, Shape, op};
use larun_quant::DynamicInput;
use larun_quant::fixed_point::FixedMultiplier;

use crate::axes::{Axes, Axis, row_major};
use crate::operand::{Operand, scale_ratio, wrong_op};
use crate::plan::{Record, record};
use crate::requantize::{Multipliers, OutputStage, WeightedQuantization};
use crate::window::nonzero;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Reason, Refusal, check_len,
};

const TYPES: &[ElementType] = &[ElementType::Int8, ElementType::Int16, ElementType::Float32];

impl Kernel for op::BatchMatmul {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::BatchMatmul(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let (left, right) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
        let output = Operand::output(node, 0)?;
        let element_type = left.one_of(TYPES)?;
        output.has_type(element_type)?;
        let geometry = geometry(options, node)?;
        let integer_weights = right.info.element_type == ElementType::Int8;
        if element_type == ElementType::Float32 && integer_weights {
            return prepare_hybrid(options, &geometry, right, plan);
        }
        right.has_type(element_type)?;
        match element_type {
            ElementType::Int8 => {
                Arithmetic::Int8.write(plan);
                geometry.write(plan);
                let stage = OutputStage {
                    zero_point: output.affine()?.zero_point,
                    min: i8::MIN.into(),
                    max: i8::MAX.into(),
                };
                Quantization::of(left, right, output, stage)?.write(plan);
            }
            ElementType::Int16 => {
                for operand in [left, right, output] {
                    operand.has_zero_point(0, 0)?;
                }
                Arithmetic::Int16.write(plan);
                geometry.write(plan);
                let stage = OutputStage {
                    zero_point: 0,
                    min: i16::MIN.into(),
                    max: i16::MAX.into(),
                };
                let quantization = Quantization::of(left, right, output, stage)?;
                quantization.write(plan);
            }
            _ => {
                Arithmetic::Float32.write(plan);
                geometry.write(plan);
            }
        }
        Ok(())
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let arithmetic = Arithmetic::read(&mut plan)?;
        let geometry = Geometry::read(&mut plan)?;
        match arithmetic {
            Arithmetic::Int8 => {
                let quantization = Quantization::read(&mut plan)?;
                let output = io.output(0)?;
                let io = io.freeze();
                let (left, right) = (io.input(0)?, io.input(1)?);
                int8(&geometry, &quantization, plan, left, right, output)
            }
            Arithmetic::Int16 => {
                let quantization = Quantization::read(&mut plan)?;
                let output = io.output(0)?;
                let io = io.freeze();
                let (left, right) = (io.input(0)?, io.input(1)?);
                int16(&geometry, &quantization, plan, left, right, output)
            }
            Arithmetic::Float32 => {
                let output = io.output(0)?;
                let io = io.freeze();
                float32(&geometry, io.input(0)?, io.input(1)?, output)
            }
            Arithmetic::Symmetric | Arithmetic::Asymmetric => {
                let scales = plan.read_usize()?;
                let scales = bytemuck::cast_slice(plan.take_words(scales)?);
                let (output, row) = (io.output(0)?, io.scratch()?);
                let io = io.freeze();
                let (left, right) = (io.input(0)?, io.input(1)?);
                let quantize = match arithmetic {
                    Arithmetic::Asymmetric => DynamicInput::asymmetric,
                    _ => DynamicInput::symmetric,
                };
                hybrid(&geometry, quantize, scales, row, left, right, output)
            }
        }
    }
}

/// The types of the operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    Int8,
    Int16,
    Float32,
    /// Real left matrices, whose rows are quantised symmetrically while the node runs, times INT8.
    Symmetric,
    /// The same, quantised asymmetrically.
    Asymmetric,
}

impl Record for Arithmetic {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        plan.push_u32(*self as u32);
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        match plan.read_u32()? {
            0 => Ok(Self::Int8),
            1 => Ok(Self::Int16),
            2 => Ok(Self::Float32),
            3 => Ok(Self::Symmetric),
            4 => Ok(Self::Asymmetric),
            _ => Err(InvokeError::Plan),
        }
    }
}

record! {
    /// Zero points, and what becomes of the sums.
    struct Quantization {
        left: i32,
        right: i32,
        multiplier: FixedMultiplier,
        stage: OutputStage,
    }
}

impl Quantization {
    fn of(
        left: Operand<'_>,
        right: Operand<'_>,
        output: Operand<'_>,
        stage: OutputStage,
    ) -> Result<Self, Refusal> {
        let (left, right, output) = (left.affine()?, right.affine()?, output.affine()?);
        Ok(Self {
            left: left.zero_point,
            right: right.zero_point,
            multiplier: scale_ratio([left.scale, right.scale], output.scale)?,
            stage,
        })
    }

    /// Calls `body` with the end of the computation, for the rounding that is asked for.
    fn with_stage<R>(
        &self,
        plan: PlanReader<'_>,
        body: impl FnOnce(&WeightedQuantization<'_>) -> R,
    ) -> R {
        let multipliers = [self.multiplier.multiplier];
        // A multiplier that was made of a ratio of scales has a shift in -31..=30.
        let shifts = [self.multiplier.shift as i8];
        body(&WeightedQuantization {
            input_zero_point: self.left,
            rounding: plan.rounding(),
            multipliers: Multipliers::new(&multipliers, &shifts),
            output: self.stage,
        })
    }
}

record! {
    /// Left matrices of `rows * depth` elements times right ones of `depth * columns`.
    struct Geometry {
        rows: usize,
        columns: usize,
        depth: usize,
        /// Whether the left matrices are stored column by column.
        left_transposed: bool,
        /// Whether the right matrices are stored column by column.
        right_transposed: bool,
        /// Where the matrices of each batch begin, left and right.
        batches: Axes<2>,
    }
}

impl Geometry {
    fn check<L, R, O>(&self, left: &[L], right: &[R], output: &[O]) -> Result<(), InvokeError> {
        let product = |sizes: [usize; 2]| {
            let [a, b] = sizes;
            a.checked_mul(b).filter(|&n| n > 0).ok_or(InvokeError::Plan)
        };
        let batches = self.batches.points().ok_or(InvokeError::Plan)?;
        let outputs = product([batches, product([self.rows, self.columns])?])?;
        check_len(Memory::output(0), output.len(), outputs)?;
        // The batches' offsets stay inside: a smaller operand would give wrong results, but is refused by `prepare`.
        let matrix = product([self.rows, self.depth])?;
        check_len(Memory::input(0), left.len() % matrix, 0)?;
        check_len(Memory::input(0), left.len().min(matrix), matrix)?;
        let matrix = product([self.depth, self.columns])?;
        check_len(Memory::input(1), right.len() % matrix, 0)?;
        check_len(Memory::input(1), right.len().min(matrix), matrix)
    }

    /// How far apart a left matrix has the elements of a column, and those of a row.
    const fn left_strides(&self) -> (usize, usize) {
        match self.left_transposed {
            false => (self.depth, 1),
            true => (1, self.rows),
        }
    }

    /// Calls `body` for each row of the output with the row of the left matrix and the right matrix, by their first
    /// elements.
    fn for_each_row(&self, mut body: impl FnMut(usize, usize)) {
        let (stride, _) = self.left_strides();
        for [left, right] in self.batches.walk() {
            for row in 0..self.rows {
                body(left.wrapping_add(row.wrapping_mul(stride)), right);
            }
        }
    }

    /// Gives `put` the sums of one row of the output, four side by side: the products of `row`, whose elements are
    /// `stride` apart, with each column of the matrix at `start` of `right`.
    #[inline]
    fn sums<L: Copy, R: Copy, S: Copy + Default>(
        &self,
        (row, stride): (&[L], usize),
        (right, start): (&[R], usize),
        add: impl Fn(S, L, R) -> S,
        mut put: impl FnMut(usize, S),
    ) {
        let (column_stride, depth_stride) = match self.right_transposed {
            false => (1, self.columns),
            true => (self.depth, 1),
        };
        let right = right.get(start..).unwrap_or(&[]);
        for first in (0..self.columns).step_by(4) {
            let mut sums = [S::default(); 4];
            let mut at = first.wrapping_mul(column_stride);
            for &value in row.iter().step_by(nonzero(stride)).take(self.depth) {
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let at = at.wrapping_add(lane.wrapping_mul(column_stride));
                    // Beyond the last column lies another, or nothing.
                    if let Some(&weight) = right.get(at) {
                        *sum = add(*sum, value, weight);
                    }
                }
                at = at.wrapping_add(depth_stride);
            }
            for (column, sum) in (first..self.columns).zip(sums) {
                put(column, sum);
            }
        }
    }
}

fn geometry(options: &BatchMatmulOptions, node: &dyn NodeView) -> Result<Geometry, Refusal> {
    let (left, right) = (Operand::input(node, 0)?, Operand::input(node, 1)?);
    let output = Operand::output(node, 0)?;
    for operand in [left, right] {
        if operand.elements()? == 0 {
            return Err(operand.refuse(Reason::Empty));
        }
    }
    let rank = |operand: Operand<'_>| {
        let found = operand.info.shape.rank();
        operand.refuse(Reason::Rank { found, expected: 2 })
    };
    let matrix = |operand: Operand<'_>| {
        let (_, matrix) = operand.info.shape.dims().split_last_chunk::<2>()?;
        Some(*matrix)
    };
    let [rows, columns] = matrix(output).ok_or(rank(output))?;
    let [across, down] = matrix(left).ok_or(rank(left))?;
    let depth = if options.adj_x { across } else { down };
    let shapes = [&left.info.shape, &right.info.shape];
    Ok(Geometry {
        rows,
        columns,
        depth,
        left_transposed: options.adj_x,
        right_transposed: options.adj_y,
        batches: batches(shapes, &output.info.shape).ok_or(output.refuse(Reason::TooLarge))?,
    })
}

/// The axes of the batches. An operand of size 1 along one stays where it is.
fn batches(operands: [&Shape; 2], output: &Shape) -> Option<Axes<2>> {
    let mut strides = [[0; larun_ops::MAX_RANK]; 2];
    for (place, shape) in strides.iter_mut().zip(operands) {
        *place = row_major(shape.dims())?;
    }
    let mut axes = Axes::POINT;
    let (outer, _) = output.dims().split_last_chunk::<2>()?;
    for (i, &len) in outer.iter().enumerate() {
        let mut axis = Axis {
            len,
            strides: [0; 2],
        };
        for ((step, shape), strides) in axis.strides.iter_mut().zip(operands).zip(&strides) {
            let at = (i + shape.rank()).checked_sub(output.rank());
            let dim = at.and_then(|at| shape.dims().get(at).zip(strides.get(at)));
            *step = match dim {
                Some((1, _)) | None => 0,
                Some((_, &stride)) => stride,
            };
        }
        axes.push(axis)?;
    }
    Some(axes)
}

fn prepare_hybrid(
    options: &BatchMatmulOptions,
    geometry: &Geometry,
    right: Operand<'_>,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    let from_end = if options.adj_y { 2 } else { 1 };
    let axis = right.info.shape.rank().saturating_sub(from_end);
    let count = right.weight_scales(axis, geometry.columns)?;
    match options.asymmetric_quantize_inputs {
        true => Arithmetic::Asymmetric.write(plan),
        false => Arithmetic::Symmetric.write(plan),
    }
    geometry.write(plan);
    plan.push_usize(count);
    for channel in 0..count {
        plan.push_f32(right.scale(channel)?);
    }
    plan.request_scratch(geometry.depth.saturating_mul(size_of::<f32>()));
    Ok(())
}

/// Sums in 32 bits that wrap, as TFLM's `reference_ops::BatchMatMul`.
fn int8(
    geometry: &Geometry,
    quantization: &Quantization,
    plan: PlanReader<'_>,
    left: &[i8],
    right: &[i8],
    output: &mut [i8],
) -> Result<(), InvokeError> {
    geometry.check(left, right, output)?;
    let (_, stride) = geometry.left_strides();
    let (left_zero, right_zero) = (quantization.left, quantization.right);
    let add = |sum: i32, a: i8, b: i8| {
        let a = i32::from(a).wrapping_sub(left_zero);
        let b = i32::from(b).wrapping_sub(right_zero);
        sum.wrapping_add(a.wrapping_mul(b))
    };
    quantization.with_stage(plan, |stage| {
        let mut outputs = output.iter_mut();
        geometry.for_each_row(|row, matrix| {
            let row = (left.get(row..).unwrap_or(&[]), stride);
            geometry.sums(row, (right, matrix), add, |_, sum| {
                if let Some(output) = outputs.next() {
                    *output = stage.finish(0, sum);
                }
            });
        });
    });
    Ok(())
}

/// Sums in 64 bits, as TFLM's `reference_ops::BatchMatMul`.
fn int16(
    geometry: &Geometry,
    quantization: &Quantization,
    plan: PlanReader<'_>,
    left: &[i16],
    right: &[i16],
    output: &mut [i16],
) -> Result<(), InvokeError> {
    geometry.check(left, right, output)?;
    let (_, stride) = geometry.left_strides();
    let add = |sum: i64, a: i16, b: i16| {
        let product = i32::from(a) * i32::from(b);
        sum.wrapping_add(i64::from(product))
    };
    quantization.with_stage(plan, |stage| {
        let mut outputs = output.iter_mut();
        geometry.for_each_row(|row, matrix| {
            let row = (left.get(row..).unwrap_or(&[]), stride);
            geometry.sums(row, (right, matrix), add, |_, sum| {
                if let Some(output) = outputs.next() {
                    *output = stage.bound_i64(0, sum) as i16;
                }
            });
        });
    });
    Ok(())
}

/// Every output sums its products in order, as TFLM's `reference_ops::BatchMatMul`.
fn float32(
    geometry: &Geometry,
    left: &[f32],
    right: &[f32],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    geometry.check(left, right, output)?;
    let (_, stride) = geometry.left_strides();
    let mut outputs = output.iter_mut();
    geometry.for_each_row(|row, matrix| {
        let row = (left.get(row..).unwrap_or(&[]), stride);
        let add = |sum: f32, a: f32, b: f32| sum + a * b;
        geometry.sums(row, (right, matrix), add, |_, sum| {
            if let Some(output) = outputs.next() {
                *output = sum;
            }
        });
    });
    Ok(())
}

/// Rows of real numbers, each quantised with a scale of its own, times INT8, as LiteRT's hybrid kernel.
fn hybrid(
    geometry: &Geometry,
    quantize: fn(&[f32]) -> DynamicInput,
    scales: &[f32],
    row: &mut [f32],
    left: &[f32],
    right: &[i8],
    output: &mut [f32],
) -> Result<(), InvokeError> {
    geometry.check(left, right, output)?;
    let (depth, found) = (geometry.depth, row.len());
    let row = row
        .get_mut(..depth)
        .ok_or(InvokeError::length(Memory::Scratch, depth, found))?;
    let (_, stride) = geometry.left_strides();
    let mut outputs = output.iter_mut();
    geometry.for_each_row(|at, matrix| {
        let values = left.get(at..).unwrap_or(&[]).iter();
        for (place, &value) in row.iter_mut().zip(values.step_by(nonzero(stride))) {
            *place = value;
        }
        let input = quantize(row);
        for value in row.iter_mut() {
            *value = input.centred(*value).into();
        }
        // Small integers: real arithmetic is exact.
        let add = |sum: i32, a: f32, b: i8| sum.wrapping_add(a as i32 * i32::from(b));
        geometry.sums((row, 1), (right, matrix), add, |column, sum| {
            let scale = scales.get(if scales.len() == 1 { 0 } else { column });
            if let Some(output) = outputs.next() {
                *output = sum as f32 * (input.affine.scale * scale.copied().unwrap_or(0.0));
            }
        });
    });
    Ok(())
}
