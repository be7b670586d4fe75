//! SignalRfft and SignalIrfft: the spectrum of a real signal, and back.
//!
//! A real signal of `2n` samples is transformed as `n` complex values, whose spectrum is then untangled into the first
//! `n + 1` values of its own; the others mirror them.

use core::f64::consts::PI;

use larun_ops::{ElementType, Op, op};

use super::fft::{self, Fft};
use super::sample::{Complex, Sample, add, conjugate, multiply, scale_down, subtract};
use crate::operand::{Operand, wrong_op};
use crate::plan::Record;
use crate::{InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal};

impl Kernel for op::SignalRfft {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalRfft(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let length = fft_length(options.fft_length)?;
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        let samples = input.info.shape.last();
        if samples == 0 || samples > length {
            let (axis, expected) = (input.info.shape.rank().saturating_sub(1), length);
            let found = samples;
            return Err(input.refuse(Reason::Dimension {
                axis,
                found,
                expected,
            }));
        }
        output.has_last(length + 2)?;
        prepare(&input, &output, samples, length, false, plan)
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int16 => invoke_rfft::<i16>(plan, io),
            ElementType::Int32 => invoke_rfft::<i32>(plan, io),
            _ => invoke_rfft::<f32>(plan, io),
        }
    }
}

impl Kernel for op::SignalIrfft {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::SignalIrfft(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let length = fft_length(options.fft_length)?;
        let (input, output) = (Operand::input(node, 0)?, Operand::output(node, 0)?);
        input.has_last(length + 2)?;
        output.has_last(length)?;
        prepare(&input, &output, length + 2, length, true, plan)
    }

    fn invoke(mut plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        match ElementType::read(&mut plan)? {
            ElementType::Int16 => invoke_irfft::<i16>(plan, io),
            ElementType::Int32 => invoke_irfft::<i32>(plan, io),
            _ => invoke_irfft::<f32>(plan, io),
        }
    }
}

/// A length whose half is a product of 2, 3 and 5, and at least 2.
fn fft_length(found: i32) -> Result<usize, Refusal> {
    let length = usize::try_from(found).ok();
    let length = length.filter(|length| length % 2 == 0 && fft::has_length(length / 2));
    let what = "fft_length";
    length.ok_or(Refusal::options(Reason::Option { what, found }))
}

fn prepare(
    input: &Operand<'_>,
    output: &Operand<'_>,
    row: usize,
    length: usize,
    inverse: bool,
    plan: &mut PlanWriter<'_>,
) -> Result<(), Refusal> {
    use ElementType::{Float32, Int16, Int32};
    let element_type = input.one_of(&[Int16, Int32, Float32])?;
    output.has_type(element_type)?;
    let rows = input.elements()? / row.max(1);
    // As TFLM, which goes through both row by row.
    output.has_elements(rows.saturating_mul(output.info.shape.last()))?;
    element_type.write(plan);
    row.write(plan);
    length.write(plan);
    match element_type {
        Int16 => write::<i16>(length / 2, inverse, plan),
        Int32 => write::<i32>(length / 2, inverse, plan),
        _ => write::<f32>(length / 2, inverse, plan),
    }
    Ok(())
}

fn write<T: Sample>(n: usize, inverse: bool, plan: &mut PlanWriter<'_>) {
    fft::write::<T>(n, inverse, plan);
    plan.push_table(n / 2, |k| {
        let phase = -PI * ((k + 1) as f64 / n as f64 + 0.5);
        T::on_unit_circle(if inverse { -phase } else { phase })
    });
}

/// A real transform as it stands in a plan.
struct RealFft<'p, T> {
    complex: Fft<'p, T>,
    /// `-i e^(-i pi k / n)` for `k` from 1 to `n / 2`; its conjugate for the inverse.
    turns: &'p [Complex<T>],
}

impl<'p, T: Sample> RealFft<'p, T> {
    fn read(n: usize, inverse: bool, plan: &mut PlanReader<'p>) -> Result<Self, InvokeError> {
        Ok(Self {
            complex: Fft::read(n, inverse, plan)?,
            turns: plan.take_table(n / 2)?,
        })
    }

    /// The spectrum of `samples`, behind which zeros are thought: `n + 1` values.
    fn forward(&self, samples: &[T], spectrum: &mut [Complex<T>]) {
        let Some((highest, values)) = spectrum.split_last_mut() else {
            return;
        };
        let (pairs, single) = samples.as_chunks();
        let single = single.first().map(|&sample| [sample, T::default()]);
        self.complex.place(values, |index| {
            let pair = pairs.get(index).copied();
            pair.or(single.filter(|_| index == pairs.len()))
                .unwrap_or_default()
        });
        self.complex.join(values);
        let Some((lowest, mut rest)) = values.split_first_mut() else {
            return;
        };
        let [even, odd] = scale_down(*lowest, 2);
        *lowest = [even.plus(odd), T::default()];
        *highest = [even.minus(odd), T::default()];
        for &turn in self.turns {
            rest = match rest {
                [low, inner @ .., high] => {
                    (*low, *high) = untangle(*low, *high, turn);
                    inner
                }
                [middle] => {
                    *middle = untangle(*middle, *middle, turn).1;
                    return;
                }
                [] => return,
            };
        }
    }

    /// The signal of a spectrum of `n + 1` values.
    fn backward(&self, spectrum: &[Complex<T>], samples: &mut [T]) {
        let len = samples.len() as f32;
        let (values, _) = samples.as_chunks_mut();
        let n = values.len();
        let at = |k: usize| spectrum.get(k).copied().unwrap_or_default();
        self.complex.place(values, |index| {
            let Some(before) = index.checked_sub(1) else {
                let ([low, _], [high, _]) = (at(0), at(n));
                return scale_down([low.plus(high), low.minus(high)], 2);
            };
            let mirrored = n.saturating_sub(index);
            let is_low = index < mirrored;
            let turn = if is_low {
                before
            } else {
                mirrored.saturating_sub(1)
            };
            let turn = self.turns.get(turn).copied().unwrap_or_default();
            let (low, high) = (at(index.min(mirrored)), at(index.max(mirrored)));
            let (low, high) = (scale_down(low, 2), scale_down(conjugate(high), 2));
            let (even, odd) = (add(low, high), multiply(subtract(low, high), turn));
            match is_low {
                true => add(even, odd),
                false => conjugate(subtract(even, odd)),
            }
        });
        self.complex.join(values);
        for sample in samples {
            *sample = sample.normalized(len);
        }
    }
}

/// Values `k` and `n - k` of the spectrum of a real signal, from those of its pairs.
fn untangle<T: Sample>(
    low: Complex<T>,
    high: Complex<T>,
    turn: Complex<T>,
) -> (Complex<T>, Complex<T>) {
    let (low, high) = (scale_down(low, 2), scale_down(conjugate(high), 2));
    let even = add(low, high);
    let odd = multiply(subtract(low, high), turn);
    (
        [even[0].half_sum(odd[0]), even[1].half_sum(odd[1])],
        [
            even[0].half_difference(odd[0]),
            odd[1].half_difference(even[1]),
        ],
    )
}

fn invoke_rfft<T: Sample>(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
    let (row, length) = (plan.read_usize()?, plan.read_usize()?);
    let transform = RealFft::<T>::read(length / 2, false, &mut plan)?;
    let output = io.output::<T>(0)?;
    let input = io.freeze().input::<T>(0)?;
    let spectra = output.chunks_exact_mut(length.saturating_add(2));
    for (samples, spectrum) in input.chunks_exact(row.max(1)).zip(spectra) {
        transform.forward(samples, spectrum.as_chunks_mut().0);
    }
    Ok(())
}

fn invoke_irfft<T: Sample>(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
    let (row, length) = (plan.read_usize()?, plan.read_usize()?);
    let transform = RealFft::<T>::read(length / 2, true, &mut plan)?;
    let output = io.output::<T>(0)?;
    let input = io.freeze().input::<T>(0)?;
    let signals = output.chunks_exact_mut(length.max(1));
    for (spectrum, samples) in input.chunks_exact(row.max(1)).zip(signals) {
        transform.backward(spectrum.as_chunks().0, samples);
    }
    Ok(())
}
