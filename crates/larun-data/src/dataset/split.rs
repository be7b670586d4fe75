//! Which samples train, which choose, which measure.

use core::fmt;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// What a sample is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// Fits the weights. 0 in a file.
    Train,
    /// Chooses: early stopping, calibration. 1 in a file.
    Validation,
    /// Measures, and nothing else. 2 in a file.
    Test,
}

impl Split {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

impl From<Split> for u8 {
    fn from(split: Split) -> Self {
        match split {
            Split::Train => 0,
            Split::Validation => 1,
            Split::Test => 2,
        }
    }
}

/// Draws a split of 70, 15 and 15 per cent in which every class has its share.
///
/// The samples of a class are shuffled with a generator seeded by `seed` and the class, and dealt out: 15 per cent (rounded half up) to
/// validation, as many to test, the rest to training. A class of three samples or more has one in each at least; one of fewer trains only.
#[must_use]
pub fn stratified_split(labels: &[u32], seed: u64) -> Vec<Split> {
    let mut by_class = alloc::collections::BTreeMap::<u32, Vec<usize>>::new();
    for (i, &label) in labels.iter().enumerate() {
        by_class.entry(label).or_default().push(i);
    }
    let mut split = vec![Split::Train; labels.len()];
    for (class, mut members) in by_class {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(u64::from(class));
        members.shuffle(&mut random);
        let share = held_out(members.len());
        for (turn, i) in members.into_iter().take(2 * share).enumerate() {
            if let Some(entry) = split.get_mut(i) {
                *entry = if turn < share {
                    Split::Validation
                } else {
                    Split::Test
                };
            }
        }
    }
    split
}

/// 15 per cent of a class, at least one where there are three.
fn held_out(members: usize) -> usize {
    if members < 3 {
        0
    } else {
        ((members * 15 + 50) / 100).max(1)
    }
}
