//! 2-D convolution as a sum of matrix products over the rows of the kernel.
//!
//! Channels come last, so that a row of a patch is contiguous: with the input's rows padded once, output
//! row `y` is the sum over kernel rows of (strided view of an input row) x (slice of the weights), and no
//! patch is ever copied out.

use rayon::prelude::*;

use super::gemm::{Panels, Rows, gemm, gemm_transposed};
use super::lanes::{fill_rows, repeat, sum_rows};
use super::parallel::{group_size, sum_in_order, task_size, vectorised};
use super::window::{Placement, Window2d};
use super::{Differentiable, ShapeError, Tape, View, arity, rank4};

const NAME: &str = "CONV_2D";

/// CONV_2D. Inputs: `[N, H, W, C]`, weights `[O, KH, KW, C]`, bias `[O]`; output `[N, OH, OW, O]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// The sliding window; its size is that of the weights.
    pub window: Window2d,
}

impl Differentiable for Conv2d {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input, weights, bias] = arity(NAME, inputs)?;
        let place = self.window.place(NAME, input)?;
        let [filters, height, width, channels] = rank4(NAME, "weights", weights)?;
        let wrong = |problem| Err(ShapeError::new(NAME, problem));
        if [height, width] != self.window.size {
            return wrong(format!(
                "weights {weights:?} do not match the window {:?}",
                self.window
            ));
        }
        if channels != place.channels {
            return wrong(format!(
                "weights {weights:?} want {channels} input channels, the input {input:?} has {}",
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
        Lowered::new(self.window, x.shape, w.shape).run(x.data, w.data, b.data, output);
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x, w, _], [dx, dw, db]) = (tape.inputs, gradients) else {
            return;
        };
        let conv = Lowered::new(self.window, x.shape, w.shape);
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

/// The convolution in terms of matrix products.
#[derive(Debug)]
pub(super) struct Lowered {
    place: Placement,
    filters: usize,
    /// Elements of a padded input row.
    row: usize,
    /// Padding before the first element of a row.
    row_start: usize,
    /// Taps along the width that form one contiguous run: all of them without dilation.
    run: usize,
}

impl Lowered {
    pub(super) fn new(window: Window2d, input: &[usize], weights: &[usize]) -> Self {
        let place = as_one_row(Placement::checked(window, NAME, input));
        let filters = weights.first().copied().unwrap_or(0);
        let [_, kernel] = window.size;
        let covered =
            (place.output[1] - 1) * place.window.stride[1] + (kernel - 1) * window.dilation[1] + 1;
        let width = covered.max(place.before[1] + place.input[1]);
        Self {
            place,
            filters,
            row: width * place.channels,
            row_start: place.before[1] * place.channels,
            run: if window.dilation[1] == 1 { kernel } else { 1 },
        }
    }

    /// The convolution of all samples.
    pub(super) fn run(&self, x: &[f32], weights: &[f32], bias: &[f32], output: &mut [f32]) {
        let taps = self.weights_by_tap(weights);
        let bias = repeat(bias);
        let samples = task_size(self.output_len());
        output
            .par_chunks_mut((samples * self.output_len()).max(1))
            .zip(x.par_chunks((samples * self.input_len()).max(1)))
            .for_each_init(Vec::new, |padded, (output, input)| {
                let outputs = output.chunks_exact_mut(self.output_len());
                for (output, input) in outputs.zip(input.chunks_exact(self.input_len())) {
                    fill_rows(output, &bias);
                    self.forward(self.pad(input, padded), &taps, output);
                }
            });
    }

    fn input_len(&self) -> usize {
        self.place.input_len()
    }

    fn output_len(&self) -> usize {
        self.place.positions() * self.filters
    }

    /// Elements of a contiguous run of a patch.
    fn depth(&self) -> usize {
        self.run * self.place.channels
    }

    /// Runs per kernel row.
    fn runs(&self) -> usize {
        self.place.window.size[1] / self.run
    }

    /// The patches of an output row under one run, as rows of a matrix.
    fn patches(&self) -> Rows {
        Rows {
            rows: self.place.output[1],
            stride: self.place.window.stride[1] * self.place.channels,
        }
    }

    /// Whether input rows can be used in place.
    fn is_unpadded(&self) -> bool {
        self.row == self.place.input[1] * self.place.channels
    }

    /// The rows of a sample with their borders.
    fn pad<'a>(&self, input: &'a [f32], padded: &'a mut Vec<f32>) -> &'a [f32] {
        if self.is_unpadded() {
            return input;
        }
        padded.resize(self.place.input[0] * self.row, 0.0);
        let width = self.place.input[1] * self.place.channels;
        for (row, input) in padded
            .chunks_exact_mut(self.row)
            .zip(input.chunks_exact(width))
        {
            row[self.row_start..][..width].copy_from_slice(input);
        }
        padded
    }

    /// For each output row, kernel row and run: where the output row starts, where the patches start in
    /// the padded input, and the number of the run within the weights.
    fn products(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let step = self.run * self.place.window.dilation[1] * self.place.channels;
        (0..self.place.output[0]).flat_map(move |y| {
            (0..self.place.window.size[0])
                .filter_map(move |tap| Some((tap, self.place.source(0, y, tap)?)))
                .flat_map(move |(tap, source)| {
                    (0..self.runs()).map(move |run| {
                        let output = y * self.place.output[1] * self.filters;
                        let number = tap * self.runs() + run;
                        (output, source * self.row + run * step, number)
                    })
                })
        })
    }

    /// The weights of each run as a `[depth, filters]` matrix.
    fn weights_by_tap(&self, weights: &[f32]) -> Vec<Panels> {
        let per_filter = weights.len() / self.filters.max(1);
        (0..self.place.window.size[0] * self.runs())
            .map(|run| {
                Panels::new(self.depth(), self.filters, |k, filter| {
                    weights[filter * per_filter + run * self.depth() + k]
                })
            })
            .collect()
    }

    fn forward(&self, padded: &[f32], taps: &[Panels], output: &mut [f32]) {
        for (y, patch, run) in self.products() {
            let (patch, output) = (&padded[patch..], &mut output[y..]);
            vectorised(|| gemm(patch, self.patches(), &taps[run], output, self.filters));
        }
    }

    pub(super) fn input_gradient(&self, weights: &[f32], gradient: &[f32], dx: &mut [f32]) {
        let per_filter = weights.len() / self.filters.max(1);
        let taps: Vec<_> = (0..self.place.window.size[0] * self.runs())
            .map(|run| {
                Panels::new(self.filters, self.depth(), |filter, k| {
                    weights[filter * per_filter + run * self.depth() + k]
                })
            })
            .collect();
        let samples = task_size(self.output_len());
        dx.par_chunks_mut((samples * self.input_len()).max(1))
            .zip(gradient.par_chunks((samples * self.output_len()).max(1)))
            .for_each_init(Vec::new, |padded, (dx, gradient)| {
                let samples = dx.chunks_exact_mut(self.input_len());
                for (dx, gradient) in samples.zip(gradient.chunks_exact(self.output_len())) {
                    self.sample_input_gradient(&taps, gradient, dx, padded);
                }
            });
    }

    fn sample_input_gradient(
        &self,
        taps: &[Panels],
        gradient: &[f32],
        dx: &mut [f32],
        padded: &mut Vec<f32>,
    ) {
        let rows = Rows {
            rows: self.place.output[1],
            stride: self.filters,
        };
        if self.is_unpadded() {
            dx.fill(0.0);
            for (y, patch, run) in self.products() {
                let (gradient, dx) = (&gradient[y..], &mut dx[patch..]);
                vectorised(|| gemm(gradient, rows, &taps[run], dx, self.patches().stride));
            }
            return;
        }
        padded.clear();
        padded.resize(self.place.input[0] * self.row, 0.0);
        for (y, patch, run) in self.products() {
            let (gradient, dx) = (&gradient[y..], &mut padded[patch..]);
            vectorised(|| gemm(gradient, rows, &taps[run], dx, self.patches().stride));
        }
        let width = self.place.input[1] * self.place.channels;
        for (dx, row) in dx
            .chunks_exact_mut(width)
            .zip(padded.chunks_exact(self.row))
        {
            dx.copy_from_slice(&row[self.row_start..][..width]);
        }
    }

    pub(super) fn weight_gradient(&self, x: &[f32], gradient: &[f32], dw: &mut [f32]) {
        let samples = group_size(self.place.batch);
        let parts = x
            .par_chunks((samples * self.input_len()).max(1))
            .zip(gradient.par_chunks((samples * self.output_len()).max(1)))
            .map(|(x, gradient)| {
                let mut sums = vec![0.0; dw.len()];
                let mut padded = Vec::new();
                let inputs = x.chunks_exact(self.input_len());
                for (x, gradient) in inputs.zip(gradient.chunks_exact(self.output_len())) {
                    self.sample_weight_gradient(self.pad(x, &mut padded), gradient, &mut sums);
                }
                sums
            })
            .collect();
        transpose(&sum_in_order(parts), self.filters, dw);
    }

    /// Adds to `sums`, the weights' gradient as `[KH * KW * C, O]`.
    fn sample_weight_gradient(&self, padded: &[f32], gradient: &[f32], sums: &mut [f32]) {
        let depth = self.depth();
        for (y, patch, run) in self.products() {
            let (patch, gradient) = (&padded[patch..], &gradient[y..]);
            let sums = &mut sums[run * depth * self.filters..];
            vectorised(|| {
                gemm_transposed(patch, self.patches(), depth, gradient, self.filters, sums);
            });
        }
    }
}

/// A 1 x 1 convolution without stride sees the image as one long row.
fn as_one_row(place: Placement) -> Placement {
    if place.window.size != [1, 1] || place.window.stride != [1, 1] {
        return place;
    }
    Placement {
        input: [1, place.input[0] * place.input[1]],
        output: [1, place.output[0] * place.output[1]],
        ..place
    }
}

/// `[rows, columns]` to `[columns, rows]`.
pub(super) fn transpose(from: &[f32], columns: usize, to: &mut [f32]) {
    let rows = from.len() / columns.max(1);
    for (row, values) in from.chunks_exact(columns.max(1)).enumerate() {
        for (column, &value) in values.iter().enumerate() {
            to[column * rows + row] = value;
        }
    }
}
