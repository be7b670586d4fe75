//! Random changes of training samples that leave their class as it is.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Which changes a training sample undergoes, drawn anew in every epoch. Validation and test samples stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Rotates a series `[W, C]` along its points by a random number of them: where it starts says nothing, as in a
    /// light curve that is folded or that begins whenever the telescope looked.
    pub roll: bool,
    /// Reverses half of all series: for shapes that are the same forwards and backwards in time.
    pub reverse: bool,
}

/// Separates these random numbers from those of the order of samples.
const STREAMS: u64 = 1 << 63;

impl Augmentation {
    /// Whether samples stay as they are.
    pub const fn is_none(self) -> bool {
        !self.roll && !self.reverse
    }

    /// Changes the values of `sample`, points of `channels` values each: a function of the arguments alone, so that a
    /// training can be taken up anywhere.
    pub(super) fn apply(
        self,
        seed: u64,
        epoch: usize,
        sample: usize,
        channels: usize,
        values: &mut [f32],
    ) {
        if self.is_none() {
            return;
        }
        let channels = channels.max(1);
        let points = values.len() / channels;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STREAMS | (epoch as u64) << 32 | sample as u64);
        let (shift, flip) = (rng.next_u64(), rng.next_u64());
        if self.roll {
            // The high half of the product: a number in `0..points`.
            let by = (u128::from(shift) * points as u128) >> 64;
            values.rotate_right(by as usize * channels);
        }
        if self.reverse && flip & 1 == 1 {
            reverse(values, channels);
        }
    }
}

/// Reverses the order of points, each keeping its channels in order.
fn reverse(values: &mut [f32], channels: usize) {
    values.reverse();
    values.chunks_exact_mut(channels).for_each(<[f32]>::reverse);
}

#[cfg(test)]
mod tests {
    use super::Augmentation;

    const BOTH: Augmentation = Augmentation {
        roll: true,
        reverse: true,
    };

    fn changed(augmentation: Augmentation, seed: u64, epoch: usize, sample: usize) -> Vec<f32> {
        // Points of two channels: the second is the negative of the first.
        let mut values: Vec<f32> = (0..20).flat_map(|i| [i as f32, -(i as f32)]).collect();
        augmentation.apply(seed, epoch, sample, 2, &mut values);
        values
    }

    #[test]
    fn points_keep_their_channels_and_neighbours() {
        for sample in 0..50 {
            let values = changed(BOTH, 3, 1, sample);
            let points: Vec<_> = values.chunks(2).map(|point| point[0]).collect();
            assert!(values.chunks(2).all(|point| point[0] == -point[1]));
            let step = (points[1] - points[0] + 20.0) % 20.0;
            assert!(step == 1.0 || step == 19.0, "{points:?}");
            for pair in points.windows(2) {
                assert_eq!((pair[1] - pair[0] + 20.0) % 20.0, step);
            }
        }
    }

    #[test]
    fn a_change_depends_on_seed_epoch_and_sample_alone() {
        assert_eq!(changed(BOTH, 1, 2, 3), changed(BOTH, 1, 2, 3));
        let differ = |other: Vec<Vec<f32>>| other.iter().any(|o| *o != changed(BOTH, 1, 2, 3));
        assert!(differ(
            (10..20).map(|seed| changed(BOTH, seed, 2, 3)).collect()
        ));
        assert!(differ(
            (10..20).map(|epoch| changed(BOTH, 1, epoch, 3)).collect()
        ));
        assert!(differ(
            (10..20).map(|sample| changed(BOTH, 1, 2, sample)).collect()
        ));
        assert_eq!(
            changed(Augmentation::default(), 1, 2, 3)[..4],
            [0.0, -0.0, 1.0, -1.0]
        );
    }
}
