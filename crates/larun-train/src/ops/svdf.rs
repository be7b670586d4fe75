//! SVDF on single frames: what a layer with a memory computes of the first frame after a reset.

use super::{Differentiable, ShapeError, Tape, View, arity};

const NAME: &str = "SVDF";

/// SVDF. Inputs: `[N, I]`, feature weights `[F, I]`, time weights `[F, T]`, bias `[U]` with `F = rank U`; output `[N, U]`.
///
/// A sample is one frame that comes into an empty memory: of the time weights, the last column counts. Streams of frames, in
/// which the others would count, are not trained here.
#[derive(Clone, Copy, Debug)]
pub struct Svdf {
    /// Filters that one unit sums.
    pub rank: usize,
}

impl Differentiable for Svdf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input, feature, time, bias] = arity(NAME, inputs)?;
        match (input, feature, time, bias) {
            (&[rows, inputs], &[filters, depth], &[same, _], &[units])
                if inputs == depth && filters == same && filters == units * self.rank =>
            {
                Ok(vec![rows, units])
            }
            _ => Err(ShapeError::new(
                NAME,
                format!(
                    "input {input:?}, feature weights {feature:?}, time weights {time:?} and bias {bias:?} do not suit rank {}",
                    self.rank
                ),
            )),
        }
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], saved: &mut Vec<f32>) {
        let [x, feature, time, bias] = inputs else {
            return;
        };
        let (depth, memory) = (feature.shape[1], time.shape[1]);
        let filters = feature.shape[0];
        saved.clear();
        for row in x.data.chunks_exact(depth) {
            let products = feature.data.chunks_exact(depth);
            saved.extend(products.map(|w| w.iter().zip(row).map(|(w, x)| w * x).sum::<f32>()));
        }
        let units = bias.data.len();
        for (output, features) in output
            .chunks_exact_mut(units)
            .zip(saved.chunks_exact(filters))
        {
            for (unit, y) in output.iter_mut().enumerate() {
                *y = bias.data[unit];
                let filters = unit * self.rank..(unit + 1) * self.rank;
                for (filter, feature) in filters.clone().zip(&features[filters]) {
                    *y += time.data[filter * memory + memory - 1] * feature;
                }
            }
        }
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x, feature, time, bias], [dx, dfeature, dtime, dbias]) = (tape.inputs, gradients)
        else {
            return;
        };
        let (depth, memory) = (feature.shape[1], time.shape[1]);
        let (filters, units) = (feature.shape[0], bias.data.len());
        for gradient in [&mut *dx, &mut *dfeature, &mut *dtime, &mut *dbias]
            .into_iter()
            .flatten()
        {
            gradient.fill(0.0);
        }
        let rows = tape
            .gradient
            .chunks_exact(units)
            .zip(x.data.chunks_exact(depth))
            .zip(tape.saved.chunks_exact(filters));
        for (row, ((g, x), features)) in rows.enumerate() {
            for (filter, product) in features.iter().enumerate() {
                let g = g[filter / self.rank];
                let last = filter * memory + memory - 1;
                if let Some(dtime) = dtime {
                    dtime[last] += g * product;
                }
                let g = g * time.data[last];
                if let Some(dfeature) = dfeature {
                    let dfeature = &mut dfeature[filter * depth..][..depth];
                    dfeature.iter_mut().zip(x).for_each(|(d, x)| *d += g * x);
                }
                if let Some(dx) = dx {
                    let w = &feature.data[filter * depth..][..depth];
                    let dx = &mut dx[row * depth..][..depth];
                    dx.iter_mut().zip(w).for_each(|(d, w)| *d += g * w);
                }
            }
            if let Some(dbias) = dbias {
                dbias.iter_mut().zip(g).for_each(|(d, g)| *d += g);
            }
        }
    }
}
