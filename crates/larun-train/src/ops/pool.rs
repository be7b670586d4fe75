//! Average, maximum and root-mean-square pooling, windows that overlap included.

use rayon::prelude::*;

use super::parallel::{task_size, vectorised};
use super::window::{Placement, Window2d};
use super::{Differentiable, ShapeError, Tape, View, arity};

/// AVERAGE_POOL_2D. Input `[N, H, W, C]`, output `[N, OH, OW, C]`; the border does not count.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2d {
    /// The sliding window.
    pub window: Window2d,
}

/// MAX_POOL_2D. Input `[N, H, W, C]`, output `[N, OH, OW, C]`.
///
/// The gradient goes to the first greatest element of a window, row by row.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d {
    /// The sliding window.
    pub window: Window2d,
}

impl Differentiable for AveragePool2d {
    fn name(&self) -> &'static str {
        "AVERAGE_POOL_2D"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        output_shape(self.name(), self.window, inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        let pool = Pool::new(self.name(), self.window, x.shape);
        let shares = pool.shares();
        pool.tasks(output, x.data, |output, x| {
            output.fill(0.0);
            for run in pool.runs() {
                pool.zip(&mut output[run.output], &x[run.input..], |sum, &x| {
                    *sum += x;
                });
            }
            scale(output, &shares);
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        let pool = Pool::new(self.name(), self.window, x.shape);
        let shares = pool.shares();
        let samples = task_size(pool.output_len());
        dx.par_chunks_mut(samples * pool.input_len())
            .zip(tape.gradient.par_chunks(samples * pool.output_len()))
            .for_each_init(Vec::new, |scaled, (dx, gradient)| {
                let samples = dx.chunks_exact_mut(pool.input_len());
                for (dx, gradient) in samples.zip(gradient.chunks_exact(pool.output_len())) {
                    scaled.clear();
                    scaled.extend_from_slice(gradient);
                    scale(scaled, &shares);
                    pool.spread(dx, scaled);
                }
            });
    }
}

impl Differentiable for MaxPool2d {
    fn name(&self) -> &'static str {
        "MAX_POOL_2D"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        output_shape(self.name(), self.window, inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        let pool = Pool::new(self.name(), self.window, x.shape);
        pool.tasks(output, x.data, |output, x| {
            output.fill(f32::NEG_INFINITY);
            for run in pool.runs() {
                pool.zip(&mut output[run.output], &x[run.input..], |max, &x| {
                    *max = if *max >= x { *max } else { x };
                });
            }
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        let pool = Pool::new(self.name(), self.window, x.shape);
        let samples = task_size(pool.output_len());
        let (inputs, outputs) = (samples * pool.input_len(), samples * pool.output_len());
        dx.par_chunks_mut(inputs)
            .zip(x.data.par_chunks(inputs))
            .zip(tape.output.data.par_chunks(outputs))
            .zip(tape.gradient.par_chunks(outputs))
            .for_each_init(Vec::new, |open, (((dx, x), y), gradient)| {
                let dx = dx.chunks_exact_mut(pool.input_len());
                let x = x.chunks_exact(pool.input_len());
                let y = y.chunks_exact(pool.output_len());
                let gradient = gradient.chunks_exact(pool.output_len());
                for (((dx, x), y), gradient) in dx.zip(x).zip(y).zip(gradient) {
                    open.clear();
                    open.extend_from_slice(gradient);
                    pool.give_to_first(dx, x, y, open);
                }
            });
    }
}

/// L2_POOL_2D: the root of the mean square of each window. Input `[N, H, W, C]`, output `[N, OH, OW, C]`; the border does not
/// count.
#[derive(Clone, Copy, Debug)]
pub struct L2Pool2d {
    /// The sliding window.
    pub window: Window2d,
}

impl Differentiable for L2Pool2d {
    fn name(&self) -> &'static str {
        "L2_POOL_2D"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        output_shape(self.name(), self.window, inputs)
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        let pool = Pool::new(self.name(), self.window, x.shape);
        let shares = pool.shares();
        pool.tasks(output, x.data, |output, x| {
            output.fill(0.0);
            for run in pool.runs() {
                pool.zip(&mut output[run.output], &x[run.input..], |sum, &x| {
                    *sum += x * x;
                });
            }
            scale(output, &shares);
            output.iter_mut().for_each(|y| *y = y.sqrt());
        });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        let pool = Pool::new(self.name(), self.window, x.shape);
        let shares = pool.shares();
        let samples = task_size(pool.output_len());
        let (inputs, outputs) = (samples * pool.input_len(), samples * pool.output_len());
        dx.par_chunks_mut(inputs)
            .zip(x.data.par_chunks(inputs))
            .zip(tape.output.data.par_chunks(outputs))
            .zip(tape.gradient.par_chunks(outputs))
            .for_each_init(Vec::new, |scaled, (((dx, x), y), gradient)| {
                let dx = dx.chunks_exact_mut(pool.input_len());
                let x = x.chunks_exact(pool.input_len());
                let y = y.chunks_exact(pool.output_len());
                let gradient = gradient.chunks_exact(pool.output_len());
                for (((dx, x), y), gradient) in dx.zip(x).zip(y).zip(gradient) {
                    scaled.clear();
                    // Where all of a window is 0 the root has no slope; 0 is one of its subgradients.
                    let slope = |(&g, &y): (&f32, &f32)| if y > 0.0 { g / y } else { 0.0 };
                    scaled.extend(gradient.iter().zip(y).map(slope));
                    scale(scaled, &shares);
                    pool.spread(dx, scaled);
                    dx.iter_mut().zip(x).for_each(|(dx, x)| *dx *= x);
                }
            });
    }
}

fn output_shape(
    operator: &'static str,
    window: Window2d,
    inputs: &[&[usize]],
) -> Result<Vec<usize>, ShapeError> {
    let [input] = arity(operator, inputs)?;
    let place = window.place(operator, input)?;
    Ok(vec![
        place.batch,
        place.output[0],
        place.output[1],
        place.channels,
    ])
}

/// Multiplies each pixel by its factor.
fn scale(pixels: &mut [f32], factors: &[f32]) {
    let channels = pixels.len() / factors.len().max(1);
    for (pixel, &factor) in pixels.chunks_exact_mut(channels.max(1)).zip(factors) {
        for value in pixel {
            *value *= factor;
        }
    }
}

/// A stretch of an output row and the input under one tap of it.
struct Run {
    output: core::ops::Range<usize>,
    input: usize,
}

/// A pooling in terms of rows.
struct Pool {
    place: Placement,
    /// Elements that one step of a run handles in the output and passes in the input.
    steps: [usize; 2],
}

impl Pool {
    fn new(operator: &'static str, window: Window2d, input: &[usize]) -> Self {
        let place = Placement::checked(window, operator, input);
        let steps = match window.stride[1] {
            1 => [place.output[1] * place.channels; 2],
            stride => [place.channels, place.channels * stride],
        };
        Self { place, steps }
    }

    fn input_len(&self) -> usize {
        self.place.input_len()
    }

    fn output_len(&self) -> usize {
        self.place.positions() * self.place.channels
    }

    /// The reciprocal of the number of input elements under each position of the window.
    fn shares(&self) -> Vec<f32> {
        let counts = [0, 1].map(|axis| {
            (0..self.place.output[axis])
                .map(|at| {
                    let taps = 0..self.place.window.size[axis];
                    taps.filter(|&tap| self.place.source(axis, at, tap).is_some())
                        .count()
                })
                .collect::<Vec<_>>()
        });
        let [rows, columns] = &counts;
        rows.iter()
            .flat_map(|&rows| {
                columns
                    .iter()
                    .map(move |&columns| 1.0 / (rows * columns) as f32)
            })
            .collect()
    }

    /// All runs of one sample, in the order of the taps.
    fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let [height, width] = self.place.window.size;
        (0..self.place.output[0]).flat_map(move |y| {
            (0..height)
                .filter_map(move |tap| self.place.source(0, y, tap))
                .flat_map(move |source| (0..width).filter_map(move |tap| self.run(y, source, tap)))
        })
    }

    fn run(&self, y: usize, source: usize, tap: usize) -> Option<Run> {
        let inside = self.place.inside(1, tap);
        let first = self
            .place
            .source(1, inside.start, tap)
            .filter(|_| !inside.is_empty())?;
        let (line, channels) = (y * self.place.output[1], self.place.channels);
        Some(Run {
            output: (line + inside.start) * channels..(line + inside.end) * channels,
            input: (source * self.place.input[1] + first) * channels,
        })
    }

    /// Calls `f` with the output and the input of every sample.
    fn tasks(&self, output: &mut [f32], x: &[f32], f: impl Fn(&mut [f32], &[f32]) + Sync) {
        let samples = task_size(self.input_len());
        output
            .par_chunks_mut(samples * self.output_len())
            .zip(x.par_chunks(samples * self.input_len()))
            .for_each(|(output, x)| {
                let outputs = output.chunks_exact_mut(self.output_len());
                for (output, x) in outputs.zip(x.chunks_exact(self.input_len())) {
                    f(output, x);
                }
            });
    }

    /// Calls `f` with every output element of a run and the input element under it.
    fn zip(&self, output: &mut [f32], x: &[f32], f: impl Fn(&mut f32, &f32)) {
        let [to, from] = self.steps;
        vectorised(|| {
            for (output, x) in output.chunks_mut(to).zip(x.chunks(from)) {
                for (output, x) in output.iter_mut().zip(x) {
                    f(output, x);
                }
            }
        });
    }

    /// Adds the gradient of every position to all elements under it.
    fn spread(&self, dx: &mut [f32], gradient: &[f32]) {
        let [to, from] = self.steps;
        dx.fill(0.0);
        for run in self.runs() {
            let dx = dx[run.input..].chunks_mut(from);
            for (dx, gradient) in dx.zip(gradient[run.output].chunks(to)) {
                dx.iter_mut().zip(gradient).for_each(|(dx, g)| *dx += g);
            }
        }
    }

    /// Adds the gradient of every position to the first element equal to its maximum.
    ///
    /// `open` holds the gradients still to be given; each is taken once.
    fn give_to_first(&self, dx: &mut [f32], x: &[f32], y: &[f32], open: &mut [f32]) {
        let [to, from] = self.steps;
        dx.fill(0.0);
        for run in self.runs() {
            let (dx, x) = (
                dx[run.input..].chunks_mut(from),
                x[run.input..].chunks(from),
            );
            let y = y[run.output.clone()].chunks(to);
            let open = open[run.output].chunks_mut(to);
            vectorised(|| {
                for (((dx, x), y), open) in dx.zip(x).zip(y).zip(open) {
                    for (((dx, x), y), open) in dx.iter_mut().zip(x).zip(y).zip(open) {
                        let given = if x == y { *open } else { 0.0 };
                        *dx += given;
                        *open -= given;
                    }
                }
            });
        }
    }
}
