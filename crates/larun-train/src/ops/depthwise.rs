//! Depthwise 2-D convolution: each channel has its own small kernel.
//!
//! Works tap by tap on whole rows: without stride, a row of the output gains a shifted row of the input
//! times the tap's weights, repeated along the row so that the loop is long and has no remainder.

use rayon::prelude::*;

use super::lanes::{block, fill_rows, fold, repeat, sum_rows};
use super::parallel::{group_size, sum_in_order, task_size, vectorised};
use super::window::{Placement, Window2d};
use super::{Differentiable, ShapeError, Tape, View, arity, rank4};

const NAME: &str = "DEPTHWISE_CONV_2D";

/// DEPTHWISE_CONV_2D. Inputs: `[N, H, W, C]`, weights `[1, KH, KW, C * M]`, bias `[C * M]`; output
/// `[N, OH, OW, C * M]` for a depth multiplier `M`: output channel `c * M + m` sees input channel `c`.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2d {
    /// The sliding window; its size is that of the weights.
    pub window: Window2d,
}

impl Differentiable for DepthwiseConv2d {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input, weights, bias] = arity(NAME, inputs)?;
        let place = self.window.place(NAME, input)?;
        let [one, height, width, filters] = rank4(NAME, "weights", weights)?;
        let wrong = |problem| Err(ShapeError::new(NAME, problem));
        if one != 1 || [height, width] != self.window.size {
            return wrong(format!(
                "weights {weights:?} do not match the window {:?}",
                self.window
            ));
        }
        if filters % place.channels != 0 {
            return wrong(format!(
                "the {filters} channels of the weights are no multiple of the input's {}",
                place.channels
            ));
        }
        if bias != [filters] {
            return wrong(format!("bias must have shape [{filters}], has {bias:?}"));
        }
        Ok(vec![place.batch, place.output[0], place.output[1], filters])
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x, w, b] = inputs else { return };
        let conv = Channels::new(self.window, x.shape, b.data.len());
        let taps = conv.repeated(w.data);
        let bias = repeat(b.data);
        let samples = task_size(conv.output_len());
        output
            .par_chunks_mut(samples * conv.output_len())
            .zip(x.data.par_chunks(samples * conv.input_len()))
            .for_each_init(Vec::new, |expanded, (output, x)| {
                let outputs = output.chunks_exact_mut(conv.output_len());
                for (output, x) in outputs.zip(x.chunks_exact(conv.input_len())) {
                    fill_rows(output, &bias);
                    let x = conv.expand(x, expanded);
                    for run in conv.runs() {
                        let (output, x) = (&mut output[run.output.clone()], &x[run.input..]);
                        vectorised(|| conv.multiply_add(output, x, &taps[run.tap]));
                    }
                }
            });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x, w, b], [dx, dw, db]) = (tape.inputs, gradients) else {
            return;
        };
        let conv = Channels::new(self.window, x.shape, b.data.len());
        if let Some(dx) = dx {
            conv.input_gradient(w.data, tape.gradient, dx);
        }
        if let Some(dw) = dw {
            conv.weight_gradient(x.data, tape.gradient, dw);
        }
        if let Some(db) = db {
            sum_rows(tape.gradient, db);
        }
    }
}

/// A stretch of an output row and the input under one tap of it.
struct Run {
    /// Elements of the output.
    output: core::ops::Range<usize>,
    /// First element of the input, with its channels repeated for the multiplier.
    input: usize,
    tap: usize,
}

/// The convolution in terms of rows.
struct Channels {
    place: Placement,
    filters: usize,
    multiplier: usize,
    /// Elements that one step of a row handles in the output and passes in the input.
    steps: [usize; 2],
}

impl Channels {
    fn new(window: Window2d, input: &[usize], filters: usize) -> Self {
        let place = Placement::checked(window, NAME, input);
        let stride = window.stride[1];
        let steps = if stride == 1 {
            [block(filters); 2]
        } else {
            [filters, filters * stride]
        };
        Self {
            place,
            filters,
            multiplier: filters / place.channels,
            steps,
        }
    }

    fn input_len(&self) -> usize {
        self.place.input_len()
    }

    fn output_len(&self) -> usize {
        self.place.positions() * self.filters
    }

    /// The weights of each tap, repeated up to the length of a step.
    fn repeated(&self, weights: &[f32]) -> Vec<Vec<f32>> {
        weights
            .chunks_exact(self.filters)
            .map(|tap| tap.iter().copied().cycle().take(self.steps[0]).collect())
            .collect()
    }

    /// The input with each channel repeated for the multiplier.
    fn expand<'a>(&self, x: &'a [f32], expanded: &'a mut Vec<f32>) -> &'a [f32] {
        if self.multiplier == 1 {
            return x;
        }
        expanded.clear();
        expanded.extend(
            x.iter()
                .flat_map(|&x| core::iter::repeat_n(x, self.multiplier)),
        );
        expanded
    }

    /// All runs of one sample.
    fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let [height, width] = self.place.window.size;
        (0..self.place.output[0]).flat_map(move |y| {
            (0..height)
                .filter_map(move |tap| Some((tap, self.place.source(0, y, tap)?)))
                .flat_map(move |(row, source)| {
                    (0..width).filter_map(move |column| self.run(y, source, row, column))
                })
        })
    }

    fn run(&self, y: usize, source: usize, row: usize, column: usize) -> Option<Run> {
        let inside = self.place.inside(1, column);
        let first = self
            .place
            .source(1, inside.start, column)
            .filter(|_| !inside.is_empty())?;
        let line = y * self.place.output[1];
        Some(Run {
            output: (line + inside.start) * self.filters..(line + inside.end) * self.filters,
            input: (source * self.place.input[1] + first) * self.filters,
            tap: row * self.place.window.size[1] + column,
        })
    }

    /// `output += x * weights` along a run.
    #[inline(always)]
    fn multiply_add(&self, output: &mut [f32], x: &[f32], weights: &[f32]) {
        let [to, from] = self.steps;
        for (output, x) in output.chunks_mut(to).zip(x.chunks(from)) {
            for ((output, &x), &w) in output.iter_mut().zip(x).zip(weights) {
                *output += x * w;
            }
        }
    }

    /// `dx += gradient * weights` along a run.
    #[inline(always)]
    fn scatter_add(&self, dx: &mut [f32], gradient: &[f32], weights: &[f32]) {
        let [to, from] = self.steps;
        for (gradient, dx) in gradient.chunks(to).zip(dx.chunks_mut(from)) {
            for ((dx, &g), &w) in dx.iter_mut().zip(gradient).zip(weights) {
                *dx += g * w;
            }
        }
    }

    /// `sums += gradient * x` along a run.
    #[inline(always)]
    fn correlate(&self, sums: &mut [f32], gradient: &[f32], x: &[f32]) {
        let [to, from] = self.steps;
        for (gradient, x) in gradient.chunks(to).zip(x.chunks(from)) {
            for ((sum, &g), &x) in sums.iter_mut().zip(gradient).zip(x) {
                *sum += g * x;
            }
        }
    }

    fn input_gradient(&self, weights: &[f32], gradient: &[f32], dx: &mut [f32]) {
        let taps = self.repeated(weights);
        let samples = task_size(self.output_len());
        dx.par_chunks_mut(samples * self.input_len())
            .zip(gradient.par_chunks(samples * self.output_len()))
            .for_each_init(Vec::new, |expanded, (dx, gradient)| {
                let samples = dx.chunks_exact_mut(self.input_len());
                for (dx, gradient) in samples.zip(gradient.chunks_exact(self.output_len())) {
                    self.sample_input_gradient(&taps, gradient, dx, expanded);
                }
            });
    }

    fn sample_input_gradient(
        &self,
        taps: &[Vec<f32>],
        gradient: &[f32],
        dx: &mut [f32],
        expanded: &mut Vec<f32>,
    ) {
        if self.multiplier == 1 {
            dx.fill(0.0);
            for run in self.runs() {
                let (dx, gradient) = (&mut dx[run.input..], &gradient[run.output]);
                vectorised(|| self.scatter_add(dx, gradient, &taps[run.tap]));
            }
            return;
        }
        expanded.clear();
        expanded.resize(self.input_len() * self.multiplier, 0.0);
        for run in self.runs() {
            let (dx, gradient) = (&mut expanded[run.input..], &gradient[run.output]);
            vectorised(|| self.scatter_add(dx, gradient, &taps[run.tap]));
        }
        for (dx, repeated) in dx.iter_mut().zip(expanded.chunks_exact(self.multiplier)) {
            *dx = repeated.iter().sum();
        }
    }

    fn weight_gradient(&self, x: &[f32], gradient: &[f32], dw: &mut [f32]) {
        let samples = group_size(self.place.batch);
        let step = self.steps[0];
        let parts = x
            .par_chunks(samples * self.input_len())
            .zip(gradient.par_chunks(samples * self.output_len()))
            .map(|(x, gradient)| {
                let mut sums = vec![0.0; dw.len() / self.filters * step];
                let mut expanded = Vec::new();
                let inputs = x.chunks_exact(self.input_len());
                for (x, gradient) in inputs.zip(gradient.chunks_exact(self.output_len())) {
                    let x = self.expand(x, &mut expanded);
                    for run in self.runs() {
                        let sums = &mut sums[run.tap * step..][..step];
                        let (gradient, x) = (&gradient[run.output], &x[run.input..]);
                        vectorised(|| self.correlate(sums, gradient, x));
                    }
                }
                sums
            })
            .collect();
        dw.fill(0.0);
        let sums = sum_in_order(parts);
        for (dw, sums) in dw
            .chunks_exact_mut(self.filters)
            .zip(sums.chunks_exact(step))
        {
            fold(sums, dw);
        }
    }
}
