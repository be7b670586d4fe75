//! Batch normalisation (Ioffe and Szegedy 2015) over the last axis.

use rayon::prelude::*;

use super::lanes::{block, fold, part, repeat};
use super::parallel::vectorised;
use super::{Clamp, Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "BATCH_NORM";

/// Where mean and variance of a channel come from.
#[derive(Clone, Debug)]
pub enum Statistics {
    /// From the batch; [`BatchNorm::batch_moments`] finds them afterwards, for the running averages.
    Batch,
    /// From before: the running averages, or those of a frozen layer.
    Fixed {
        /// Mean of each channel.
        mean: Vec<f32>,
        /// Variance of each channel.
        variance: Vec<f32>,
    },
}

/// Batch normalisation. Inputs: `[.., C]`, gamma `[C]`, beta `[C]`; output:
/// `gamma * (x - mean) / sqrt(variance + epsilon) + beta` per channel, with the variance of the batch itself
/// (divided by the number of elements), and then limited where an activation is fused.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// Added to the variance before its root is taken.
    pub epsilon: f32,
    /// Where mean and variance come from.
    pub statistics: Statistics,
    /// The activation of the result, `None` to leave it as it is.
    pub activation: Option<Clamp>,
}

impl BatchNorm {
    fn clamp(&self) -> Clamp {
        self.activation.unwrap_or(Clamp::NONE)
    }

    /// Mean and variance of each channel of the batch, out of what a forward pass saved.
    pub fn batch_moments(saved: &[f32]) -> (&[f32], &[f32]) {
        let channels = saved.len() / 3;
        let (mean, rest) = saved.split_at(channels);
        (mean, &rest[..channels])
    }
}

impl Differentiable for BatchNorm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input, gamma, beta] = arity(NAME, inputs)?;
        let wrong = |problem| Err(ShapeError::new(NAME, problem));
        let Some(&channels) = input.last() else {
            return wrong("the input must have at least one axis".to_owned());
        };
        if gamma != [channels] || beta != [channels] {
            return wrong(format!(
                "gamma {gamma:?} and beta {beta:?} must have shape [{channels}], as the input is {input:?}"
            ));
        }
        match &self.statistics {
            Statistics::Fixed { mean, variance }
                if mean.len() != channels || variance.len() != channels =>
            {
                wrong(format!(
                    "{} means and {} variances for {channels} channels",
                    mean.len(),
                    variance.len()
                ))
            }
            _ => Ok(input.to_vec()),
        }
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], saved: &mut Vec<f32>) {
        let [x, gamma, beta] = inputs else { return };
        let channels = gamma.data.len();
        let (mean, variance) = match &self.statistics {
            Statistics::Batch => moments(x.data, channels),
            Statistics::Fixed { mean, variance } => (mean.clone(), variance.clone()),
        };
        let scale: Vec<f32> = variance
            .iter()
            .map(|&v| 1.0 / libm::sqrtf(v + self.epsilon))
            .collect();
        let gain: Vec<f32> = scale.iter().zip(gamma.data).map(|(s, g)| s * g).collect();
        normalise(x.data, output, [&mean, &gain, beta.data], self.clamp());
        saved.clear();
        saved.extend(mean.iter().chain(&variance).chain(&scale));
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x, gamma, _], [dx, dgamma, dbeta]) = (tape.inputs, gradients) else {
            return;
        };
        let channels = gamma.data.len();
        let mean = &tape.saved[..channels];
        let scale = &tape.saved[2 * channels..];
        let pass = Pass {
            x: x.data,
            y: tape.output.data,
            gradient: tape.gradient,
            clamp: self.clamp(),
        };
        let sums = pass.sums(mean);
        let (sum, product) = sums.split_at(channels);
        if let Some(dx) = dx {
            let rows = (x.data.len() / channels) as f64;
            let gain: Vec<f32> = scale.iter().zip(gamma.data).map(|(s, g)| s * g).collect();
            let (shift, slope) = match self.statistics {
                Statistics::Fixed { .. } => (vec![0.0; channels], vec![0.0; channels]),
                Statistics::Batch => input_correction(sum, product, scale, &gain, rows),
            };
            pass.input_gradient(dx, [mean, &gain, &shift, &slope]);
        }
        if let Some(dgamma) = dgamma {
            for ((d, &p), &s) in dgamma.iter_mut().zip(product).zip(scale) {
                *d = (p * f64::from(s)) as f32;
            }
        }
        if let Some(dbeta) = dbeta {
            for (d, &s) in dbeta.iter_mut().zip(sum) {
                *d = s as f32;
            }
        }
    }
}

/// What the batch's own mean and variance take from the gradient of the input: a constant and a slope
/// over `x - mean` for each channel.
fn input_correction(
    sum: &[f64],
    product: &[f64],
    scale: &[f32],
    gain: &[f32],
    rows: f64,
) -> (Vec<f32>, Vec<f32>) {
    let shift = gain
        .iter()
        .zip(sum)
        .map(|(&g, s)| (-f64::from(g) * s / rows) as f32);
    let slope = gain
        .iter()
        .zip(product)
        .zip(scale)
        .map(|((&g, p), &scale)| {
            (-f64::from(g) * f64::from(scale) * f64::from(scale) * p / rows) as f32
        });
    (shift.collect(), slope.collect())
}

/// Mean and variance of each channel: of parts first, merged by the formula of Chan et al. (1979).
fn moments(x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let parts: Vec<_> = x
        .par_chunks(part(channels))
        .map(|x| vectorised(|| part_moments(x, channels)))
        .collect();
    let mut count = 0.0;
    let mut mean = vec![0.0; channels];
    let mut squares = vec![0.0; channels];
    for (rows, part_mean, part_squares) in parts {
        let total = count + rows;
        for c in 0..channels {
            let delta = f64::from(part_mean[c]) - mean[c];
            mean[c] += delta * rows / total;
            squares[c] += f64::from(part_squares[c]) + delta * delta * count * rows / total;
        }
        count = total;
    }
    let variance = squares.iter().map(|s| (s / count) as f32).collect();
    (mean.iter().map(|&m| m as f32).collect(), variance)
}

/// Rows, mean and sum of squared deviations of each channel of one part.
#[inline(always)]
fn part_moments(x: &[f32], channels: usize) -> (f64, Vec<f32>, Vec<f32>) {
    let rows = (x.len() / channels) as f64;
    let mut sums = vec![0.0; block(channels)];
    for row in x.chunks(sums.len()) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
    let mut mean = vec![0.0; channels];
    fold(&sums, &mut mean);
    for mean in &mut mean {
        *mean = (f64::from(*mean) / rows) as f32;
    }
    sums.fill(0.0);
    let repeated = repeat(&mean);
    for row in x.chunks(sums.len()) {
        for ((sum, x), mean) in sums.iter_mut().zip(row).zip(&repeated) {
            *sum += (x - mean) * (x - mean);
        }
    }
    let mut squares = vec![0.0; channels];
    fold(&sums, &mut squares);
    (rows, mean, squares)
}

/// `output = clamp((x - mean) * gain + beta)`.
fn normalise(x: &[f32], output: &mut [f32], [mean, gain, beta]: [&[f32]; 3], clamp: Clamp) {
    let [mean, gain, beta] = [repeat(mean), repeat(gain), repeat(beta)];
    let part = part(mean.len());
    output
        .par_chunks_mut(part)
        .zip(x.par_chunks(part))
        .for_each(|(output, x)| {
            vectorised(|| {
                for (output, x) in output.chunks_mut(mean.len()).zip(x.chunks(mean.len())) {
                    let channels = mean.iter().zip(&gain).zip(&beta);
                    let pairs = output.iter_mut().zip(x);
                    for ((y, &x), ((&mean, &gain), &beta)) in pairs.zip(channels) {
                        *y = clamp.apply((x - mean) * gain + beta);
                    }
                }
            });
        });
}

/// What the backward pass reads, element by element.
struct Pass<'a> {
    x: &'a [f32],
    y: &'a [f32],
    gradient: &'a [f32],
    clamp: Clamp,
}

impl Pass<'_> {
    /// The sums over each channel of the gradient before the activation, and after them of that gradient
    /// times `x - mean`.
    fn sums(&self, mean: &[f32]) -> Vec<f64> {
        let channels = mean.len();
        let repeated = repeat(mean);
        let part = part(channels);
        let inputs = self.x.par_chunks(part).zip(self.y.par_chunks(part));
        let parts: Vec<_> = inputs
            .zip(self.gradient.par_chunks(part))
            .map(|((x, y), gradient)| {
                let pass = Pass {
                    x,
                    y,
                    gradient,
                    ..*self
                };
                vectorised(|| pass.part_sums(channels, &repeated))
            })
            .collect();
        let mut totals = vec![0.0; 2 * channels];
        for part in parts {
            for (total, part) in totals.iter_mut().zip(part) {
                *total += f64::from(part);
            }
        }
        totals
    }

    #[inline(always)]
    fn part_sums(&self, channels: usize, mean: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0; mean.len()];
        let mut products = vec![0.0; mean.len()];
        let blocks = self.x.chunks(mean.len()).zip(self.y.chunks(mean.len()));
        for ((x, y), gradient) in blocks.zip(self.gradient.chunks(mean.len())) {
            let totals = sums.iter_mut().zip(&mut products);
            for ((((&x, &y), &g), (sum, product)), &mean) in
                x.iter().zip(y).zip(gradient).zip(totals).zip(mean)
            {
                let g = self.clamp.gradient(y, g);
                *sum += g;
                *product += g * (x - mean);
            }
        }
        let mut folded = vec![0.0; 2 * channels];
        let (sum, product) = folded.split_at_mut(channels);
        fold(&sums, sum);
        fold(&products, product);
        folded
    }

    /// `dx = gradient * gain + shift + (x - mean) * slope`.
    fn input_gradient(&self, dx: &mut [f32], per_channel: [&[f32]; 4]) {
        let repeated = per_channel.map(repeat);
        let part = part(repeated[0].len());
        dx.par_chunks_mut(part)
            .zip(self.x.par_chunks(part))
            .zip(self.y.par_chunks(part))
            .zip(self.gradient.par_chunks(part))
            .for_each(|(((dx, x), y), gradient)| {
                let pass = Pass {
                    x,
                    y,
                    gradient,
                    ..*self
                };
                vectorised(|| pass.part_input_gradient(dx, &repeated));
            });
    }

    #[inline(always)]
    fn part_input_gradient(&self, dx: &mut [f32], [mean, gain, shift, slope]: &[Vec<f32>; 4]) {
        let block = mean.len();
        let blocks = self
            .x
            .chunks(block)
            .zip(self.y.chunks(block))
            .zip(self.gradient.chunks(block));
        for (dx, ((x, y), gradient)) in dx.chunks_mut(block).zip(blocks) {
            let channels = mean.iter().zip(gain).zip(shift).zip(slope);
            for ((((dx, &x), &y), &g), (((&mean, &gain), &shift), &slope)) in
                dx.iter_mut().zip(x).zip(y).zip(gradient).zip(channels)
            {
                *dx = self.clamp.gradient(y, g) * gain + shift + (x - mean) * slope;
            }
        }
    }
}
