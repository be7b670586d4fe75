//! UNIDIRECTIONAL_SEQUENCE_LSTM: whole sequences, forwards and backwards through time.

use rayon::prelude::*;

use super::parallel::{group_size, sum_in_order};
use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "UNIDIRECTIONAL_SEQUENCE_LSTM";

/// Gates: input, forget, cell, output.
const GATES: usize = 4;
/// Inputs: the sequences, four input weights, four recurrent weights, four biases.
const INPUTS: usize = 1 + 3 * GATES;

/// UNIDIRECTIONAL_SEQUENCE_LSTM (Hochreiter and Schmidhuber 1997, with forget gates), without peepholes and projection.
///
/// Inputs: `[B, T, I]`, or `[T, B, I]` where time comes first; input weights `[H, I]`, recurrent weights `[H, H]` and biases `[H]`
/// of the input, forget, cell and output gate. Output `[B, T, H]` or `[T, B, H]`. Every sequence begins with an empty state.
#[derive(Clone, Copy, Debug)]
pub struct Lstm {
    /// Bound of the cell state, 0 for none.
    pub cell_clip: f32,
    /// Sequences of one sample and steps of a sequence.
    pub sequences: usize,
    /// Steps of a sequence.
    pub steps: usize,
    /// Whether time is the outermost axis of a sample.
    pub time_major: bool,
}

/// The sizes of a run.
#[derive(Clone, Copy)]
struct Sizes {
    inputs: usize,
    units: usize,
    /// Rows of input and output of one sample.
    rows: usize,
}

/// Values kept of each unit and step: four gates, the cell state before it was bound, and the cell state.
const KEPT: usize = GATES + 2;

impl Lstm {
    fn sizes(&self, inputs: &[View<'_>]) -> Sizes {
        Sizes {
            inputs: inputs[1].shape[1],
            units: inputs[1].shape[0],
            rows: self.sequences * self.steps,
        }
    }

    /// The row of a sample at which a step of a sequence lies.
    const fn row(&self, sequence: usize, step: usize) -> usize {
        match self.time_major {
            true => step * self.sequences + sequence,
            false => sequence * self.steps + step,
        }
    }

    /// Runs one sample. `kept` has [`KEPT`] values for each row and unit.
    fn run(&self, sizes: Sizes, inputs: &[View<'_>], x: &[f32], y: &mut [f32], kept: &mut [f32]) {
        let Sizes {
            inputs: depth,
            units,
            ..
        } = sizes;
        for sequence in 0..self.sequences {
            let mut hidden = vec![0.0; units];
            let mut cell = vec![0.0f32; units];
            for step in 0..self.steps {
                let row = self.row(sequence, step);
                let x = &x[row * depth..][..depth];
                let kept = &mut kept[row * units * KEPT..][..units * KEPT];
                let output = &mut y[row * units..][..units];
                let states = cell.iter_mut().zip(output.iter_mut());
                for (unit, (cell, output)) in states.enumerate() {
                    let mut gates = [0.0; GATES];
                    for (gate, sum) in gates.iter_mut().enumerate() {
                        let of_input = &inputs[1 + gate].data[unit * depth..][..depth];
                        let recurrent = &inputs[5 + gate].data[unit * units..][..units];
                        *sum = dot(of_input, x)
                            + inputs[9 + gate].data[unit]
                            + dot(recurrent, &hidden);
                    }
                    let [input, forget, output_gate] = [gates[0], gates[1], gates[3]].map(logistic);
                    let candidate = libm::tanhf(gates[2]);
                    let raw = forget * *cell + input * candidate;
                    let bound = match self.cell_clip > 0.0 {
                        true => raw.min(self.cell_clip).max(-self.cell_clip),
                        false => raw,
                    };
                    *cell = bound;
                    *output = libm::tanhf(bound) * output_gate;
                    kept[unit * KEPT..][..KEPT].copy_from_slice(&[
                        input,
                        forget,
                        candidate,
                        output_gate,
                        raw,
                        bound,
                    ]);
                }
                hidden.copy_from_slice(output);
            }
        }
    }

    /// The gradients of one sample, added to `sums`; that of the input is written to `dx`.
    fn sample_gradient(
        &self,
        sizes: Sizes,
        inputs: &[View<'_>],
        sample: Sample<'_>,
        dx: Option<&mut [f32]>,
        sums: &mut [Vec<f32>],
    ) {
        let Sizes {
            inputs: depth,
            units,
            ..
        } = sizes;
        let mut dx = dx;
        if let Some(dx) = &mut dx {
            dx.fill(0.0);
        }
        let zeros = vec![0.0; units];
        for sequence in 0..self.sequences {
            let mut dhidden = vec![0.0f32; units];
            let mut dcell = vec![0.0f32; units];
            for step in (0..self.steps).rev() {
                let row = self.row(sequence, step);
                let x = &sample.x[row * depth..][..depth];
                let kept = &sample.kept[row * units * KEPT..][..units * KEPT];
                let (before, hidden_before): (Option<&[f32]>, &[f32]) = match step.checked_sub(1) {
                    Some(step) => {
                        let row = self.row(sequence, step);
                        (
                            Some(&sample.kept[row * units * KEPT..][..units * KEPT]),
                            &sample.y[row * units..][..units],
                        )
                    }
                    None => (None, &zeros),
                };
                let g = &sample.gradient[row * units..][..units];
                let mut next_hidden = vec![0.0; units];
                let slopes = g.iter().zip(&dhidden).zip(dcell.iter_mut());
                for (unit, ((g, dhidden), dcell)) in slopes.enumerate() {
                    let [input, forget, candidate, output, raw, bound] =
                        core::array::from_fn(|i| kept[unit * KEPT + i]);
                    let cell_before = before.map_or(0.0, |kept| kept[unit * KEPT + KEPT - 1]);
                    let dh = g + dhidden;
                    let tanh = libm::tanhf(bound);
                    let open = f32::from(u8::from(raw == bound));
                    let dc = (*dcell + dh * output * (1.0 - tanh * tanh)) * open;
                    *dcell = dc * forget;
                    let dgates = [
                        dc * candidate * input * (1.0 - input),
                        dc * cell_before * forget * (1.0 - forget),
                        dc * input * (1.0 - candidate * candidate),
                        dh * tanh * output * (1.0 - output),
                    ];
                    for (gate, &d) in dgates.iter().enumerate() {
                        add(&mut sums[gate][unit * depth..][..depth], x, d);
                        add(
                            &mut sums[GATES + gate][unit * units..][..units],
                            hidden_before,
                            d,
                        );
                        sums[2 * GATES + gate][unit] += d;
                        let recurrent = &inputs[5 + gate].data[unit * units..][..units];
                        add(&mut next_hidden, recurrent, d);
                        if let Some(dx) = &mut dx {
                            let of_input = &inputs[1 + gate].data[unit * depth..][..depth];
                            add(&mut dx[row * depth..][..depth], of_input, d);
                        }
                    }
                }
                dhidden = next_hidden;
            }
        }
    }
}

/// What a sample was and gave.
#[derive(Clone, Copy)]
struct Sample<'a> {
    x: &'a [f32],
    y: &'a [f32],
    kept: &'a [f32],
    gradient: &'a [f32],
}

impl Differentiable for Lstm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let all: [&[usize]; INPUTS] = arity(NAME, inputs)?;
        let wrong = |problem| Err(ShapeError::new(NAME, problem));
        let (&[outer, inner, depth], &[units, _]) = (all[0], all[1]) else {
            return wrong(format!(
                "input {:?} or weights {:?} have too few axes",
                all[0], all[1]
            ));
        };
        let fits = |index: usize, shape: &[usize]| all[index] == shape;
        let suits = (0..GATES).all(|gate| {
            fits(1 + gate, &[units, depth])
                && fits(5 + gate, &[units, units])
                && fits(9 + gate, &[units])
        });
        if !suits {
            return wrong(format!(
                "weights or biases do not suit {units} units with {depth} inputs"
            ));
        }
        let rows = self.sequences * self.steps;
        if rows == 0 || (outer * inner) % rows != 0 {
            return wrong(format!(
                "an input {:?} does not hold samples of {rows} rows",
                all[0]
            ));
        }
        Ok(vec![outer, inner, units])
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], saved: &mut Vec<f32>) {
        let sizes = self.sizes(inputs);
        saved.clear();
        saved.resize(output.len() * KEPT, 0.0);
        output
            .par_chunks_mut(sizes.rows * sizes.units)
            .zip(inputs[0].data.par_chunks(sizes.rows * sizes.inputs))
            .zip(saved.par_chunks_mut(sizes.rows * sizes.units * KEPT))
            .for_each(|((y, x), kept)| self.run(sizes, inputs, x, y, kept));
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let sizes = self.sizes(tape.inputs);
        let (of_x, of_y) = (sizes.rows * sizes.inputs, sizes.rows * sizes.units);
        let Some((dx, weights)) = gradients.split_first_mut() else {
            return;
        };
        let samples: Vec<Sample<'_>> = tape.inputs[0]
            .data
            .chunks_exact(of_x)
            .zip(tape.output.data.chunks_exact(of_y))
            .zip(tape.saved.chunks_exact(of_y * KEPT))
            .zip(tape.gradient.chunks_exact(of_y))
            .map(|(((x, y), kept), gradient)| Sample {
                x,
                y,
                kept,
                gradient,
            })
            .collect();
        let mut of_samples: Vec<Option<&mut [f32]>> = match dx {
            Some(dx) => dx.chunks_exact_mut(of_x).map(Some).collect(),
            None => samples.iter().map(|_| None).collect(),
        };
        let group = group_size(samples.len());
        let parts: Vec<Vec<Vec<f32>>> = samples
            .par_chunks(group)
            .zip(of_samples.par_chunks_mut(group))
            .map(|(samples, dx)| {
                let mut sums: Vec<Vec<f32>> = tape.inputs[1..]
                    .iter()
                    .map(|weights| vec![0.0; weights.data.len()])
                    .collect();
                for (sample, dx) in samples.iter().zip(dx) {
                    self.sample_gradient(sizes, tape.inputs, *sample, dx.as_deref_mut(), &mut sums);
                }
                sums
            })
            .collect();
        for (index, gradient) in weights.iter_mut().enumerate() {
            if let Some(gradient) = gradient {
                let of_weights = parts.iter().map(|part| part[index].clone()).collect();
                gradient.copy_from_slice(&sum_in_order(of_weights));
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(total: &mut [f32], x: &[f32], factor: f32) {
    for (t, x) in total.iter_mut().zip(x) {
        *t += factor * x;
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}
