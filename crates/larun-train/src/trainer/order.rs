//! The order of the samples in an epoch: a function of seed and epoch alone, so that a training can be
//! taken up anywhere.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The samples in the order of `epoch`, by the method of Fisher and Yates.
pub(super) fn shuffled(samples: &[usize], seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64);
    let mut order = samples.to_vec();
    for last in (1..order.len()).rev() {
        // The high half of a product maps 64 random bits to `0..=last`; the bias is below 2^-40.
        let other = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, other as usize);
    }
    order
}
