//! Which weights are zero: the smallest ones, whole blocks of them, or some of every few neighbours.

use core::fmt;

use crate::PruneError;
use crate::schedule::check_sparsity;

/// How a block's magnitude follows from those of its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pool {
    /// Their mean.
    #[default]
    Average,
    /// The largest.
    Max,
}

/// The shape of what is pruned together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// Single weights.
    #[default]
    Unstructured,
    /// Blocks of neighbours of a matrix, such as 1 row x 4 columns for kernels that read four weights at a time.
    Block {
        /// Rows of a block.
        rows: usize,
        /// Columns of a block.
        columns: usize,
        /// The magnitude of a block.
        pool: Pool,
    },
    /// Of every `group` neighbours along the innermost axis, `zeros` are zero: 2 of 4 is NVIDIA's pattern.
    /// The sparsity is `zeros / group` whatever is asked for.
    Grouped {
        /// Zeros in each group.
        zeros: usize,
        /// Neighbours in a group.
        group: usize,
    },
}

impl Pattern {
    /// The pattern of a name as a command line has it: `unstructured`, `1x4`, `4x4`, `2:4` and so on.
    ///
    /// # Errors
    /// [`PruneError::Pattern`] when it is none of these.
    pub fn parse(text: &str) -> Result<Self, PruneError> {
        let numbers = |separator| {
            let (a, b) = text.split_once(separator)?;
            Some((a.parse().ok()?, b.parse().ok()?))
        };
        let pattern = if text == "unstructured" {
            Some(Self::Unstructured)
        } else if let Some((rows, columns)) = numbers('x') {
            let pool = Pool::Average;
            Some(Self::Block {
                rows,
                columns,
                pool,
            })
        } else {
            numbers(':').map(|(zeros, group)| Self::Grouped { zeros, group })
        };
        let pattern = pattern.ok_or_else(|| PruneError::Pattern {
            pattern: text.to_owned(),
            reason: "give `unstructured`, a block such as `1x4` or `4x4`, or zeros of a group such as `2:4`",
        })?;
        pattern.check()?;
        Ok(pattern)
    }

    /// Checks that the pattern has room for something to stay and something to go.
    ///
    /// # Errors
    /// [`PruneError::Pattern`].
    pub fn check(self) -> Result<(), PruneError> {
        let reason = match self {
            Self::Block { rows, columns, .. } if rows == 0 || columns == 0 => {
                "a block needs at least one row and one column"
            }
            Self::Grouped { zeros, group } if zeros == 0 || zeros >= group => {
                "a group needs zeros, and something beside them"
            }
            _ => return Ok(()),
        };
        Err(PruneError::Pattern {
            pattern: self.to_string(),
            reason,
        })
    }

    /// Which weights of a matrix stay, row by row: `weights` holds `rows` rows of equal length.
    ///
    /// Of `n` weights (or blocks), `max(round(n (1 - sparsity)), 1)` stay, halves rounded to even, and whatever ties with the
    /// smallest of these. Blocks that stick out over the edge lie half before and half behind the matrix for the measure of
    /// their magnitude, as in TensorFlow's pooling.
    ///
    /// # Errors
    /// When the pattern or sparsity is impossible, the weights do not make rows, or one is not finite.
    pub fn keep(
        self,
        weights: &[f32],
        rows: usize,
        sparsity: f32,
    ) -> Result<Vec<bool>, PruneError> {
        self.check()?;
        check_sparsity(sparsity)?;
        let columns = weights.len().checked_div(rows).unwrap_or(0);
        if columns * rows != weights.len() {
            return Err(PruneError::Length {
                what: "a matrix of weights",
                expected: columns * rows,
                found: weights.len(),
            });
        }
        if weights.iter().any(|weight| !weight.is_finite()) {
            return Err(PruneError::NotFinite { what: "weights" });
        }
        Ok(match self {
            Self::Unstructured => keep_largest(&magnitudes(weights), sparsity),
            Self::Block { .. } => {
                let blocks = self.block_magnitudes(weights, rows);
                self.spread(&keep_largest(&blocks, sparsity), rows, columns)
            }
            Self::Grouped { zeros, group } => {
                let each = weights.chunks(columns.max(1));
                each.flat_map(|row| row.chunks(group))
                    .flat_map(|group_of| keep_in_group(group_of, group - zeros))
                    .collect()
            }
        })
    }

    /// The magnitude of each unit that is pruned as one: of weights, or of blocks row by row.
    pub(crate) fn block_magnitudes(self, weights: &[f32], rows: usize) -> Vec<f32> {
        let Self::Block {
            rows: height,
            columns: width,
            pool,
        } = self
        else {
            return magnitudes(weights);
        };
        let columns = weights.len().checked_div(rows).unwrap_or(0);
        let (down, across) = (windows(rows, height), windows(columns, width));
        let mut blocks = Vec::with_capacity(down.len() * across.len());
        for vertical in &down {
            for horizontal in &across {
                let lines = vertical.clone().filter_map(|row| {
                    let line = weights.get(row * columns..(row + 1) * columns)?;
                    line.get(horizontal.clone())
                });
                blocks.push(pool.of(lines.flatten().map(|weight| weight.abs())));
            }
        }
        blocks
    }

    /// What holds for blocks, for each weight.
    pub(crate) fn spread(self, blocks: &[bool], rows: usize, columns: usize) -> Vec<bool> {
        let Self::Block {
            rows: height,
            columns: width,
            ..
        } = self
        else {
            return blocks.to_vec();
        };
        let across = columns.div_ceil(width);
        let block = |row: usize, column: usize| {
            let at = row / height * across + column / width;
            blocks.get(at).copied().unwrap_or(true)
        };
        (0..rows)
            .flat_map(|row| (0..columns).map(move |column| block(row, column)))
            .collect()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstructured => f.write_str("unstructured"),
            Self::Block { rows, columns, .. } => write!(f, "{rows}x{columns}"),
            Self::Grouped { zeros, group } => write!(f, "{zeros}:{group}"),
        }
    }
}

impl Pool {
    fn of(self, values: impl Iterator<Item = f32>) -> f32 {
        match self {
            Self::Max => values.fold(0.0, f32::max),
            Self::Average => {
                let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| {
                    (sum + f64::from(value), count + 1)
                });
                (sum / f64::from(count.max(1))) as f32
            }
        }
    }
}

/// Where windows of `size` lie over `len` places, cut off at the ends.
fn windows(len: usize, size: usize) -> Vec<core::ops::Range<usize>> {
    let count = len.div_ceil(size);
    let before = (count * size - len) / 2;
    let window = |index: usize| {
        let start = index * size;
        start.saturating_sub(before)..(start + size - before).min(len)
    };
    (0..count).map(window).collect()
}

fn magnitudes(weights: &[f32]) -> Vec<f32> {
    weights.iter().map(|weight| weight.abs()).collect()
}

/// Which of `magnitudes` are among the largest.
fn keep_largest(magnitudes: &[f32], sparsity: f32) -> Vec<bool> {
    let threshold = threshold(magnitudes, sparsity);
    magnitudes.iter().map(|&size| size >= threshold).collect()
}

/// The smallest magnitude that stays.
pub(crate) fn threshold(magnitudes: &[f32], sparsity: f32) -> f32 {
    let kept = (magnitudes.len() as f32 * (1.0 - sparsity)).round_ties_even();
    let kept = (kept as usize).clamp(1, magnitudes.len().max(1));
    let mut sorted = magnitudes.to_vec();
    if sorted.is_empty() {
        return 0.0;
    }
    let (_, threshold, _) = sorted.select_nth_unstable_by(kept - 1, |a, b| b.total_cmp(a));
    *threshold
}

/// Which of a group stay: the `kept` largest, the earlier one where two are alike.
fn keep_in_group(group: &[f32], kept: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..group.len()).collect();
    let size = |index: usize| group.get(index).map_or(0.0, |weight| weight.abs());
    order.sort_by(|&a, &b| size(b).total_cmp(&size(a)));
    let mut keep = vec![false; group.len()];
    for index in order.into_iter().take(kept) {
        if let Some(slot) = keep.get_mut(index) {
            *slot = true;
        }
    }
    keep
}
