//! How much each filter of a layer matters.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::PruneError;

/// A measure of a filter's importance: the least important ones go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Importance {
    /// Sum of magnitudes (Li et al. 2017, arXiv 1608.08710).
    #[default]
    L1,
    /// Root of the sum of squares.
    L2,
    /// Sum of distances to the layer's other filters: those near the geometric median are replaceable (He et al. 2019, FPGM,
    /// arXiv 1811.00250).
    GeometricMedian,
    /// `(sum of weight times gradient)^2`: the first-order change of the loss (Molchanov et al. 2019, arXiv 1906.10771).
    Taylor,
    /// The magnitude of batch normalisation's scale (Liu et al. 2017, network slimming, arXiv 1708.06519).
    BatchNormScale,
    /// The mean magnitude of the channel's values on samples.
    Activation,
    /// Drawn from a seed: what any other measure has to beat.
    Random {
        /// The seed.
        seed: u64,
    },
}

impl Importance {
    /// The measure of a name as a command line has it.
    pub fn parse(name: &str, seed: u64) -> Option<Self> {
        Some(match name {
            "l1" => Self::L1,
            "l2" => Self::L2,
            "fpgm" => Self::GeometricMedian,
            "taylor" => Self::Taylor,
            "bn" => Self::BatchNormScale,
            "activation" => Self::Activation,
            "random" => Self::Random { seed },
            _ => return None,
        })
    }

    /// What it is called on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::GeometricMedian => "fpgm",
            Self::Taylor => "taylor",
            Self::BatchNormScale => "bn",
            Self::Activation => "activation",
            Self::Random { .. } => "random",
        }
    }
}

/// The filters of a layer: a tensor cut along the axis of its output channels.
#[derive(Clone, Copy, Debug)]
pub struct Filters<'w> {
    weights: &'w [f32],
    /// Channels along the axis.
    count: usize,
    /// Neighbours of one channel.
    run: usize,
}

impl<'w> Filters<'w> {
    /// The filters of weights of a shape, one for each index along `axis`: 0 for a convolution `[O, H, W, I]` and a dense
    /// layer `[units, inputs]`, 3 for a depthwise convolution `[1, H, W, O]`.
    ///
    /// # Errors
    /// When the weights do not fill the shape, the axis does not exist, or a weight is not finite.
    pub fn new(weights: &'w [f32], shape: &[usize], axis: usize) -> Result<Self, PruneError> {
        let expected = shape.iter().product();
        if weights.len() != expected || axis >= shape.len() {
            return Err(PruneError::Length {
                what: "the filters of a layer",
                expected,
                found: weights.len(),
            });
        }
        if weights.iter().any(|weight| !weight.is_finite()) {
            return Err(PruneError::NotFinite { what: "weights" });
        }
        Ok(Self {
            weights,
            count: shape.get(axis).copied().unwrap_or(1),
            run: shape.iter().skip(axis + 1).product(),
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The sum of magnitudes of each.
    pub fn l1(&self) -> Vec<f64> {
        self.fold(|sum, weight| sum + weight.abs())
    }

    /// The root of the sum of squares of each.
    pub fn l2(&self) -> Vec<f64> {
        let squares = self.fold(|sum, weight| sum + weight * weight);
        squares.into_iter().map(f64::sqrt).collect()
    }

    /// The sum of each one's distances to the others.
    pub fn geometric_median(&self) -> Vec<f64> {
        let filters: Vec<Vec<f64>> = (0..self.count).map(|index| self.filter(index)).collect();
        let distance = |a: &Vec<f64>, b: &Vec<f64>| {
            let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
            squares.sum::<f64>().sqrt()
        };
        let all = |filter| filters.iter().map(|other| distance(filter, other)).sum();
        filters.iter().map(all).collect()
    }

    /// The square of the sum of weight times gradient of each.
    ///
    /// # Errors
    /// When there are not as many gradients as weights.
    pub fn taylor(&self, gradients: &[f32]) -> Result<Vec<f64>, PruneError> {
        if gradients.len() != self.weights.len() {
            return Err(PruneError::Length {
                what: "the gradients of a layer's weights",
                expected: self.weights.len(),
                found: gradients.len(),
            });
        }
        let mut sums = vec![0.0; self.count];
        for (index, (&weight, &gradient)) in self.weights.iter().zip(gradients).enumerate() {
            if let Some(sum) = sums.get_mut(self.channel(index)) {
                *sum += f64::from(weight) * f64::from(gradient);
            }
        }
        Ok(sums.into_iter().map(|sum| sum * sum).collect())
    }

    fn channel(&self, element: usize) -> usize {
        element / self.run.max(1) % self.count.max(1)
    }

    fn fold(&self, step: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.count];
        for (index, &weight) in self.weights.iter().enumerate() {
            if let Some(sum) = sums.get_mut(self.channel(index)) {
                *sum = step(*sum, f64::from(weight));
            }
        }
        sums
    }

    fn filter(&self, channel: usize) -> Vec<f64> {
        let elements = self.weights.iter().enumerate();
        let own = elements.filter(|(index, _)| self.channel(*index) == channel);
        own.map(|(_, &weight)| f64::from(weight)).collect()
    }
}

/// Filters from the least important to the most, the earlier one first where two are alike.
pub fn ascending(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let score = |index: usize| scores.get(index).copied().unwrap_or(0.0);
    order.sort_by(|&a, &b| score(a).total_cmp(&score(b)));
    order
}

/// The `count` most important filters, in order of their numbers; of two that are alike the earlier one.
pub fn most_important(scores: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let score = |index: usize| scores.get(index).copied().unwrap_or(0.0);
    order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// Scores from a seed, a stream of their own for each layer.
pub(crate) fn random(seed: u64, layer: u64, count: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(layer);
    (0..count).map(|_| random.random::<f64>()).collect()
}
