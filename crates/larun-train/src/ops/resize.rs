//! RESIZE_BILINEAR. (RESIZE_NEAREST_NEIGHBOR only moves elements.)

use rayon::prelude::*;

use super::{Differentiable, ShapeError, Tape, View, arity, rank4};

const NAME: &str = "RESIZE_BILINEAR";

/// RESIZE_BILINEAR: an image `[N, H, W, C]` of another size by linear interpolation.
#[derive(Clone, Copy, Debug)]
pub struct ResizeBilinear {
    /// Height and width of the output.
    pub size: [usize; 2],
    /// Whether the corner pixels of input and output meet.
    pub align_corners: bool,
    /// Whether pixels are points in the middle of their area.
    pub half_pixel_centers: bool,
}

/// The two input positions that an output position lies between, and the weight of the second.
#[derive(Clone, Copy)]
struct Between {
    pixels: [usize; 2],
    weight: f32,
}

impl ResizeBilinear {
    fn axis(&self, input: usize, output: usize) -> Vec<Between> {
        let [from, to] = match self.align_corners && output > 1 {
            true => [input - 1, output - 1],
            false => [input, output],
        };
        let scale = from as f32 / to as f32;
        (0..output)
            .map(|at| {
                let at = match self.half_pixel_centers {
                    true => (at as f32 + 0.5) * scale - 0.5,
                    false => at as f32 * scale,
                };
                let low = libm::floorf(at);
                let inside = |position: f32| (position.max(0.0) as usize).min(input - 1);
                Between {
                    pixels: [inside(low), inside(libm::ceilf(at))],
                    weight: at - low,
                }
            })
            .collect()
    }

    /// Calls `f` for every pixel of a sample's output with those it is made of and their weights, as pixel numbers.
    fn for_each(&self, input: [usize; 2], mut f: impl FnMut(usize, [(usize, f32); 4])) {
        let rows = self.axis(input[0], self.size[0]);
        let columns = self.axis(input[1], self.size[1]);
        for (y, row) in rows.iter().enumerate() {
            for (x, column) in columns.iter().enumerate() {
                let corner = |i: usize, j: usize| {
                    let share = |between: &Between, k: usize| match k {
                        0 => 1.0 - between.weight,
                        _ => between.weight,
                    };
                    let pixel = row.pixels[i] * input[1] + column.pixels[j];
                    (pixel, share(row, i) * share(column, j))
                };
                let corners = [corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1)];
                f(y * self.size[1] + x, corners);
            }
        }
    }
}

impl Differentiable for ResizeBilinear {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
        let [input] = arity(NAME, inputs)?;
        let [batch, _, _, channels] = rank4(NAME, "input", input)?;
        if self.size.contains(&0) {
            return Err(ShapeError::new(NAME, "the output has no pixels"));
        }
        Ok(vec![batch, self.size[0], self.size[1], channels])
    }

    fn forward(&self, inputs: &[View<'_>], output: &mut [f32], _saved: &mut Vec<f32>) {
        let [x] = inputs else { return };
        let &[_, height, width, channels] = x.shape else {
            return;
        };
        output
            .par_chunks_mut(self.size[0] * self.size[1] * channels)
            .zip(x.data.par_chunks(height * width * channels))
            .for_each(|(output, x)| {
                self.for_each([height, width], |pixel, corners| {
                    let output = &mut output[pixel * channels..][..channels];
                    output.fill(0.0);
                    for (corner, weight) in corners {
                        let x = &x[corner * channels..][..channels];
                        output.iter_mut().zip(x).for_each(|(y, x)| *y += weight * x);
                    }
                });
            });
    }

    fn backward(&self, tape: Tape<'_>, gradients: &mut [Option<&mut [f32]>]) {
        let ([x], [Some(dx)]) = (tape.inputs, gradients) else {
            return;
        };
        let &[_, height, width, channels] = x.shape else {
            return;
        };
        dx.par_chunks_mut(height * width * channels)
            .zip(
                tape.gradient
                    .par_chunks(self.size[0] * self.size[1] * channels),
            )
            .for_each(|(dx, gradient)| {
                dx.fill(0.0);
                self.for_each([height, width], |pixel, corners| {
                    let gradient = &gradient[pixel * channels..][..channels];
                    for (corner, weight) in corners {
                        let dx = &mut dx[corner * channels..][..channels];
                        dx.iter_mut()
                            .zip(gradient)
                            .for_each(|(dx, g)| *dx += weight * g);
                    }
                });
            });
    }
}
