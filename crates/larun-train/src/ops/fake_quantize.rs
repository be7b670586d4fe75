//! Fake quantisation as layers: what integers will make of activations and weights, by the arithmetic of `larun-quant`.

use larun_quant::fake_quant::{LearnedStep, quantize_dequantize, straight_through};
use larun_quant::weights::{QuantizedWeights, ScaleMethod};
use larun_quant::{Affine, ChannelAxis, IntegerRange};
use rayon::prelude::*;

use super::parallel::TASK;
use super::{Differentiable, ShapeError, Tape, View, not_empty};

/// An activation as its integers. Inputs: the values, and PACT's threshold `[1]` where it is learnt; the gradient of the values is
/// that of the output within the range, that of the threshold the sum over all values above it (Choi et al. 2018).
#[derive(Clone, Copy, Debug)]
pub struct FakeQuantize {
    /// Scale and zero point.
    pub affine: Affine,
    /// The integers.
    pub integers: IntegerRange,
}

impl Differentiable for FakeQuantize {
    fn name(&self) -> &'static str {
        "fake quantisation"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        not_empty(self.name(), inputs)?;
        match inputs {
            [x] => Ok(x.to_vec()),
            [x, threshold] if threshold.iter().product::<usize>() == 1 => Ok(x.to_vec()),
            _ => Err(ShapeError::new(
                self.name(),
                format!("takes values and a threshold, got {inputs:?}"),
            )),
        }
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x, ..] = inputs else { return };
        output
            .par_chunks_mut(TASK)
            .zip(x.data.par_chunks(TASK))
            .for_each(|(output, x)| {
                // The lengths are equal: there is nothing to refuse.
                quantize_dequantize(self.affine, self.integers, x, output).unwrap_or_default();
            });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let [x, ..] = tape.inputs else { return };
        let (of_x, of_threshold) = match gradients {
            [of_x] => (of_x, None),
            [of_x, of_threshold] => (of_x, of_threshold.as_deref_mut()),
            _ => return,
        };
        if let Some(dx) = of_x {
            dx.par_chunks_mut(TASK)
                .zip(x.data.par_chunks(TASK))
                .zip(tape.gradient.par_chunks(TASK))
                .for_each(|((dx, x), gradient)| {
                    straight_through(self.affine, self.integers, x, gradient, dx)
                        .unwrap_or_default();
                });
        }
        if let Some([gradient]) = of_threshold {
            let top = self.affine.dequantize(self.integers.max);
            let above = x.data.iter().zip(tape.gradient).filter(|(x, _)| **x > top);
            *gradient = above.map(|(_, g)| f64::from(*g)).sum::<f64>() as f32;
        }
    }
}

/// Weights as their integers. Inputs: the weights, and the scales where they are learnt (LSQ), one a channel or one for all.
///
/// The gradient of the weights is that of the output, within the range where scales are learnt; that of the scales is LSQ's.
#[derive(Clone, Debug)]
pub struct FakeQuantizeWeights {
    /// The axis of the channels that have a scale each; `None` for one scale.
    pub axis: Option<usize>,
    /// The integers.
    pub integers: IntegerRange,
    /// How scales follow from the weights where they are not learnt.
    pub method: ScaleMethod,
    /// What each channel, along the axis of the given number, is multiplied with before its weights become integers, as where batch
    /// normalisation is folded; empty for nothing. With a scale for each channel it makes no difference.
    pub factors: (usize, Vec<f32>),
}

impl FakeQuantizeWeights {
    fn channels(&self, shape: &[usize]) -> ChannelAxis {
        let whole = ChannelAxis::whole(shape.iter().product());
        match self.axis {
            Some(axis) => ChannelAxis::new(shape, axis).unwrap_or(whole),
            None => whole,
        }
    }

    /// The weights as the integer layer will have them, and for each what it was multiplied with.
    fn folded(&self, w: &View<'_>) -> (Vec<f32>, Vec<f32>) {
        let (axis, factors) = &self.factors;
        let inner: usize = w.shape.iter().skip(axis + 1).product();
        let count = factors.len().max(1);
        let each: Vec<f32> = (0..w.data.len())
            .map(|i| {
                factors
                    .get(i / inner.max(1) % count)
                    .copied()
                    .unwrap_or(1.0)
            })
            .collect();
        (w.data.iter().zip(&each).map(|(w, f)| w * f).collect(), each)
    }

    /// Calls `f` with the step of each channel and its weights, gathered.
    fn for_channels(
        &self,
        w: &View<'_>,
        scales: &View<'_>,
        mut f: impl FnMut(usize, LearnedStep, &[usize]),
    ) {
        let inner: usize = match self.axis {
            Some(axis) => w.shape.iter().skip(axis + 1).product(),
            None => 1,
        };
        let count = scales.data.len().max(1);
        for (channel, &scale) in scales.data.iter().enumerate() {
            let members: Vec<usize> = (0..w.data.len())
                .filter(|i| count == 1 || i / inner.max(1) % count == channel)
                .collect();
            let step = LearnedStep {
                scale: learnt(scale),
                offset: 0.0,
                integers: self.integers,
            };
            f(channel, step, &members);
        }
    }
}

/// A learnt scale kept above nought: a step too far must not turn the weights around.
pub(crate) fn learnt(scale: f32) -> f32 {
    scale.max(1e-8)
}

impl Differentiable for FakeQuantizeWeights {
    fn name(&self) -> &'static str {
        "fake quantisation of weights"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        not_empty(self.name(), inputs)?;
        let wrong = |problem| Err(ShapeError::new(self.name(), problem));
        match inputs {
            [w] => Ok(w.to_vec()),
            [w, scales] => {
                let channels = match self.axis {
                    Some(axis) => w.get(axis).copied().unwrap_or(1),
                    None => 1,
                };
                match scales.iter().product::<usize>() == channels {
                    true => Ok(w.to_vec()),
                    false => wrong(format!("scales {scales:?} for {channels} channels")),
                }
            }
            _ => wrong(format!("takes weights and scales, got {inputs:?}")),
        }
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        match inputs {
            [w, scales] => self.for_channels(w, scales, |_, step, members| {
                let gathered: Vec<f32> = members.iter().map(|&i| w.data[i]).collect();
                let mut quantized = vec![0.0; gathered.len()];
                step.forward(&gathered, &mut quantized).unwrap_or_default();
                for (&i, q) in members.iter().zip(quantized) {
                    output[i] = q;
                }
            }),
            [w] => {
                let (folded, factors) = self.folded(w);
                let axis = self.channels(w.shape);
                let found =
                    QuantizedWeights::<i8>::quantize(&folded, axis, self.integers, self.method);
                let Ok(found) = found else {
                    // Weights that are no numbers stay so: the loss will say it.
                    return output.copy_from_slice(w.data);
                };
                let mut real = vec![0.0; folded.len()];
                dequantize(&found, self.axis, w.shape, &mut real);
                for ((y, real), factor) in output.iter_mut().zip(real).zip(factors) {
                    *y = if factor == 0.0 { 0.0 } else { real / factor };
                }
            }
            _ => {}
        }
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        match (tape.inputs, gradients) {
            ([w, scales], [dw, dscales]) => {
                self.for_channels(w, scales, |channel, step, members| {
                    let gather =
                        |from: &[f32]| members.iter().map(|&i| from[i]).collect::<Vec<_>>();
                    let mut of_weights = vec![0.0; members.len()];
                    let found =
                        step.backward(&gather(w.data), &gather(tape.gradient), &mut of_weights);
                    if let Some(dw) = dw {
                        for (&i, g) in members.iter().zip(&of_weights) {
                            dw[i] = *g;
                        }
                    }
                    if let Some(dscales) = dscales {
                        dscales[channel] = found.map_or(0.0, |gradient| gradient.scale);
                    }
                });
            }
            (_, [Some(dw)]) => dw.copy_from_slice(tape.gradient),
            _ => {}
        }
    }
}

fn dequantize(
    found: &QuantizedWeights<i8>,
    axis: Option<usize>,
    shape: &[usize],
    real: &mut [f32],
) {
    let inner: usize = axis.map_or(1, |axis| shape.iter().skip(axis + 1).product());
    let count = found.scales.len().max(1);
    for (i, (y, &q)) in real.iter_mut().zip(&found.values).enumerate() {
        let scale = found.scales[if count == 1 {
            0
        } else {
            i / inner.max(1) % count
        }];
        *y = Affine::new(scale, 0).dequantize(q);
    }
}
