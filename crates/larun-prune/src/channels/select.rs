//! Which channels go: a share of every group, the least important of all, or as many as a budget asks for.

use larun_graph::Graph;

use super::{ChannelGroup, ChannelGroups};
use crate::PruneError;
use crate::importance::most_important;
use crate::schedule::check_sparsity;

/// The channels that go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// For each group, the numbers of its channels that go, in order.
    pub removed: Vec<Vec<usize>>,
}

impl Selection {
    /// How many channels go.
    pub fn count(&self) -> usize {
        self.removed.iter().map(Vec::len).sum()
    }
}

/// How many channels a group keeps at least, and in what steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Kept channels are a multiple of this where there are as many: 4 for kernels that multiply four at a time (SMLAD reads
    /// words of INT8), 16 for the vectors of MVE.
    pub multiple: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self { multiple: 4 }
    }
}

impl Keep {
    /// How many of `len` channels stay where `wanted` should: the nearest multiple, at least one, or all.
    pub fn count(self, len: usize, wanted: usize) -> usize {
        let multiple = self.multiple.max(1);
        if wanted >= len || len <= multiple {
            return len;
        }
        let nearest = (wanted + multiple / 2) / multiple * multiple;
        nearest.max(multiple).min(len)
    }
}

impl ChannelGroups {
    /// The least important `share` of every group that can be cut.
    ///
    /// # Errors
    /// When the share is not in `0 <= s < 1`.
    pub fn select_each(
        &self,
        scores: &[Option<Vec<f64>>],
        share: f32,
        keep: Keep,
    ) -> Result<Selection, PruneError> {
        check_sparsity(share)?;
        Ok(self.select(
            scores,
            |scores| (scores.len() as f32 * (1.0 - share)).round_ties_even() as usize,
            keep,
        ))
    }

    /// The least important `share` of the channels of all groups together.
    ///
    /// # Errors
    /// As [`ChannelGroups::select_each`].
    pub fn select_globally(
        &self,
        scores: &[Option<Vec<f64>>],
        share: f32,
        keep: Keep,
    ) -> Result<Selection, PruneError> {
        check_sparsity(share)?;
        let mut all: Vec<f64> = scores.iter().flatten().flatten().copied().collect();
        all.sort_by(f64::total_cmp);
        let dropped = (all.len() as f32 * share).round_ties_even() as usize;
        let last = all.len().saturating_sub(1);
        let Some(&least) = all.get(dropped.min(last)) else {
            return Ok(self.select(scores, <[f64]>::len, keep));
        };
        Ok(self.select(
            scores,
            |scores| scores.iter().filter(|&&s| s >= least).count(),
            keep,
        ))
    }

    /// The fewest channels, the least important ones first, with which a measure of the graph is within a budget: bytes of the
    /// file, MACs, bytes of the arena. A binary search over the share of [`ChannelGroups::select_globally`].
    ///
    /// # Errors
    /// When the budget cannot be met, or the measure fails.
    pub fn select_within(
        &self,
        graph: &Graph,
        scores: &[Option<Vec<f64>>],
        keep: Keep,
        (budget, unit): (u64, &'static str),
        mut measure: impl FnMut(&Graph) -> Result<u64, PruneError>,
    ) -> Result<Selection, PruneError> {
        // Shares in thousandths: finer steps than the rounding of channels.
        const STEPS: u32 = 1000;
        let mut at = |step: u32| {
            let share = (step as f32 / STEPS as f32).min(0.9999);
            let selection = self.select_globally(scores, share, keep)?;
            let cost = measure(&self.remove(graph, &selection)?)?;
            Ok::<_, PruneError>((selection, cost))
        };
        let (none, cost) = at(0)?;
        if cost <= budget {
            return Ok(none);
        }
        let (mut best, least) = at(STEPS)?;
        if least > budget {
            return Err(PruneError::Budget {
                budget,
                unit,
                least,
                hint: self.hint(),
            });
        }
        let (mut over, mut within) = (0, STEPS);
        while within - over > 1 {
            let middle = over + (within - over) / 2;
            let (selection, cost) = at(middle)?;
            if cost <= budget {
                (within, best) = (middle, selection);
            } else {
                over = middle;
            }
        }
        Ok(best)
    }

    fn select(
        &self,
        scores: &[Option<Vec<f64>>],
        wanted: impl Fn(&[f64]) -> usize,
        keep: Keep,
    ) -> Selection {
        let of_group = |(group, scores): (&ChannelGroup, &Option<Vec<f64>>)| {
            let scores = scores.as_ref().filter(|_| group.is_free());
            let Some(scores) = scores.filter(|scores| scores.len() == group.len()) else {
                return Vec::new();
            };
            let kept = keep.count(group.len(), wanted(scores));
            let stays = most_important(scores, kept.max(1));
            (0..group.len())
                .filter(|channel| stays.binary_search(channel).is_err())
                .collect()
        };
        Selection {
            removed: self.groups.iter().zip(scores).map(of_group).collect(),
        }
    }

    /// What stands in the way of a smaller network.
    fn hint(&self) -> String {
        let kept = self
            .groups
            .iter()
            .filter_map(|group| group.blocker.as_ref());
        let inner = kept.filter(|blocker| blocker.node.is_some());
        let mut places: Vec<_> = inner
            .map(|b| format!("{} ({})", b.place, b.reason))
            .collect();
        places.dedup();
        match places.is_empty() {
            true => String::new(),
            false => format!("; channels are kept by {}", places.join(", ")),
        }
    }
}
