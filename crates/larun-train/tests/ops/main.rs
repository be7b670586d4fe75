//! The operators against finite differences, plain definitions and other numbers of threads.

mod definition;
mod gradient;
mod more;
mod threads;

/// Helpers that the test files share.
mod common {
    use larun_train::ops::{Differentiable, Tape, View};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// A tensor that owns its values.
    #[derive(Clone, Debug)]
    pub(crate) struct Array {
        pub(crate) shape: Vec<usize>,
        pub(crate) data: Vec<f32>,
    }

    impl Array {
        /// Values between -1 and 1, no two of the same tensor closer than a grid step: maxima are clear
        /// and no value lies on the bend of a RELU.
        pub(crate) fn distinct(shape: &[usize], seed: u64) -> Self {
            let length: usize = shape.iter().product();
            let mut data: Vec<f32> = (0..length)
                .map(|i| (i as f32 + 0.5) / length as f32 * 2.0 - 1.0)
                .collect();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for i in (1..length).rev() {
                data.swap(i, rng.random_range(0..=i));
            }
            Self {
                shape: shape.to_vec(),
                data,
            }
        }

        pub(crate) fn view(&self) -> View<'_> {
            View {
                data: &self.data,
                shape: &self.shape,
            }
        }

        /// The element at these coordinates, `None` outside.
        pub(crate) fn at<const N: usize>(&self, at: [isize; N]) -> Option<f64> {
            let mut index = 0;
            for (&at, &size) in at.iter().zip(&self.shape) {
                let at = usize::try_from(at).ok().filter(|&at| at < size)?;
                index = index * size + at;
            }
            Some(f64::from(self.data[index]))
        }
    }

    /// Output, what was saved, and the gradient of every input for a given output gradient.
    #[derive(Debug, PartialEq)]
    pub(crate) struct Run {
        pub(crate) shape: Vec<usize>,
        pub(crate) output: Vec<f32>,
        pub(crate) gradients: Vec<Vec<f32>>,
    }

    pub(crate) fn forward(operator: &dyn Differentiable, inputs: &[Array]) -> (Array, Vec<f32>) {
        let shapes: Vec<&[usize]> = inputs.iter().map(|x| x.shape.as_slice()).collect();
        let shape = operator.output_shape(&shapes).unwrap();
        let views: Vec<View<'_>> = inputs.iter().map(Array::view).collect();
        // Whatever was in the buffers before must not matter.
        let mut data = vec![f32::NAN; shape.iter().product()];
        let mut saved = vec![f32::NAN; 3];
        operator.forward(&views, &mut data, &mut saved);
        (Array { shape, data }, saved)
    }

    pub(crate) fn run(operator: &dyn Differentiable, inputs: &[Array], gradient: &[f32]) -> Run {
        let (output, saved) = forward(operator, inputs);
        let views: Vec<View<'_>> = inputs.iter().map(Array::view).collect();
        let mut gradients: Vec<Vec<f32>> = inputs
            .iter()
            .map(|x| vec![f32::NAN; x.data.len()])
            .collect();
        let mut wanted: Vec<_> = gradients
            .iter_mut()
            .map(|g| Some(g.as_mut_slice()))
            .collect();
        let tape = Tape {
            inputs: &views,
            output: output.view(),
            saved: &saved,
            gradient,
        };
        operator.backward(tape, &mut wanted);
        Run {
            shape: output.shape,
            output: output.data,
            gradients,
        }
    }
}
