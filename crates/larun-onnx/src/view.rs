//! A tensor of the graph seen with the axes of the ONNX file.
//!
//! ONNX keeps images as `[N, C, H, W]`, the graph as `[N, H, W, C]`. Rather than moving data at every operator and moving
//! it back, each value knows how its axes lie in memory. A transposition, and a reshape that only splits or joins axes,
//! then changes the view and not the tensor; data is moved where an operator needs another order, and nowhere else.

use larun_graph::TensorId;

/// Where an axis of a stored tensor comes from: an axis of the file, or none for one of size 1.
pub(crate) type Slot = Option<usize>;

/// Images, channels last.
pub(crate) const IMAGE: [Slot; 4] = [Some(0), Some(2), Some(3), Some(1)];
/// Signals `[N, C, W]` as images of height 1.
pub(crate) const SIGNAL: [Slot; 4] = [Some(0), None, Some(2), Some(1)];

/// A tensor with the axes of the file.
///
/// In memory the tensor is a sequence of *runs*, sizes above 1 with the outermost first. An axis of the file is made of
/// some of them, outermost first, and of none where its size is 1. Each run belongs to one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) tensor: TensorId,
    runs: Vec<usize>,
    axes: Vec<Vec<usize>>,
}

impl View {
    /// A tensor that lies as the file says.
    pub(crate) fn plain(tensor: TensorId, dims: &[usize]) -> Self {
        let slots: Vec<Slot> = (0..dims.len()).map(Some).collect();
        Self::stored(tensor, dims, &slots)
    }

    /// A tensor of the file's shape `dims` that is stored in the order of `slots`.
    pub(crate) fn stored(tensor: TensorId, dims: &[usize], slots: &[Slot]) -> Self {
        let (mut runs, mut axes) = (Vec::new(), vec![Vec::new(); dims.len()]);
        for axis in slots.iter().flatten() {
            if let (Some(&size), Some(of_axis)) = (dims.get(*axis), axes.get_mut(*axis))
                && size != 1
            {
                of_axis.push(runs.len());
                runs.push(size);
            }
        }
        Self { tensor, runs, axes }
    }

    /// The same view of another tensor, which lies alike.
    pub(crate) fn of(&self, tensor: TensorId) -> Self {
        Self {
            tensor,
            ..self.clone()
        }
    }

    pub(crate) fn rank(&self) -> usize {
        self.axes.len()
    }

    /// The shape in the file.
    pub(crate) fn dims(&self) -> Vec<usize> {
        self.axes.iter().map(|runs| self.size_of(runs)).collect()
    }

    /// The size of one axis of the file.
    pub(crate) fn dim(&self, axis: usize) -> usize {
        self.axes.get(axis).map_or(1, |runs| self.size_of(runs))
    }

    fn size_of(&self, runs: &[usize]) -> usize {
        runs.iter().filter_map(|&run| self.runs.get(run)).product()
    }

    /// The sizes of the runs, as they lie in memory.
    pub(crate) fn runs(&self) -> &[usize] {
        &self.runs
    }

    /// The runs of an axis.
    pub(crate) fn axis(&self, axis: usize) -> &[usize] {
        self.axes.get(axis).map_or(&[], Vec::as_slice)
    }

    /// Whether both lie alike, and have the same axes.
    pub(crate) fn lies_like(&self, other: &Self) -> bool {
        self.runs == other.runs && self.axes == other.axes
    }

    /// The runs in the order in which a tensor stored as `slots` has them.
    pub(crate) fn sequence(&self, slots: &[Slot]) -> Vec<usize> {
        let axes = slots.iter().flatten();
        axes.flat_map(|&axis| self.axis(axis).iter().copied())
            .collect()
    }

    /// Whether the tensor lies in the order of `slots` as it is.
    pub(crate) fn lies_in(&self, slots: &[Slot]) -> bool {
        self.sequence(slots).into_iter().eq(0..self.runs.len())
    }

    /// For each run the axis that it is; `None` where an axis has several runs.
    pub(crate) fn axis_of_runs(&self) -> Option<Vec<usize>> {
        let mut owners = vec![0; self.runs.len()];
        for (axis, runs) in self.axes.iter().enumerate() {
            match runs.as_slice() {
                [] => {}
                &[run] => *owners.get_mut(run)? = axis,
                _ => return None,
            }
        }
        Some(owners)
    }

    /// Axis `i` of the result is axis `permutation[i]`: nothing moves.
    pub(crate) fn permuted(&self, permutation: &[usize]) -> Option<Self> {
        let mut sorted = permutation.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.rank()) {
            return None;
        }
        let axes = permutation
            .iter()
            .map(|&axis| self.axis(axis).to_vec())
            .collect();
        Some(Self {
            axes,
            ..self.clone()
        })
    }

    /// The same elements under another shape of as many elements, where axes are only split and joined; `None` where
    /// the new axes cut across runs.
    pub(crate) fn reshaped(&self, dims: &[usize]) -> Option<Self> {
        // Runs in the order of the file, split where a new axis begins inside of one.
        let mut left: std::collections::VecDeque<(usize, usize)> = self
            .axes
            .iter()
            .flatten()
            .filter_map(|&run| Some((run, *self.runs.get(run)?)))
            .collect();
        // Parts of old runs, outermost first, by old run: what lies where in the end.
        let mut parts: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.runs.len()];
        let mut count = 0;
        let mut axes = Vec::with_capacity(dims.len());
        for &dim in dims {
            let (mut needed, mut own) = (dim, Vec::new());
            while needed > 1 {
                let (run, size) = left.pop_front()?;
                let taken = if size <= needed { size } else { needed };
                if needed % taken != 0 || size % taken != 0 {
                    return None;
                }
                if size > taken {
                    left.push_front((run, size / taken));
                }
                parts.get_mut(run)?.push((count, taken));
                own.push(count);
                count += 1;
                needed /= taken;
            }
            axes.push(own);
        }
        if !left.is_empty() {
            return None;
        }
        let order: Vec<(usize, usize)> = parts.into_iter().flatten().collect();
        let runs = order.iter().map(|&(_, size)| size).collect();
        let position = |part: usize| order.iter().position(|&(p, _)| p == part);
        let axes = axes
            .into_iter()
            .map(|own: Vec<usize>| own.into_iter().map(position).collect::<Option<Vec<_>>>())
            .collect::<Option<Vec<_>>>()?;
        Some(
            Self {
                tensor: self.tensor,
                runs,
                axes,
            }
            .joined(),
        )
    }

    /// Runs that belong to one axis and follow each other in it as in memory are one run.
    fn joined(self) -> Self {
        let mut owner = vec![(usize::MAX, usize::MAX); self.runs.len()];
        for (axis, runs) in self.axes.iter().enumerate() {
            for (place, &run) in runs.iter().enumerate() {
                if let Some(slot) = owner.get_mut(run) {
                    *slot = (axis, place);
                }
            }
        }
        let (mut runs, mut renumbered) = (Vec::<usize>::new(), Vec::new());
        let mut before = None;
        for (&size, &(axis, place)) in self.runs.iter().zip(&owner) {
            match (before, runs.last_mut()) {
                (Some((a, p)), Some(last)) if a == axis && p + 1 == place => *last *= size,
                _ => runs.push(size),
            }
            renumbered.push(runs.len() - 1);
            before = Some((axis, place));
        }
        let axes = self
            .axes
            .iter()
            .map(|own| {
                let mut own: Vec<usize> = own
                    .iter()
                    .filter_map(|&r| renumbered.get(r).copied())
                    .collect();
                own.dedup();
                own
            })
            .collect();
        Self {
            tensor: self.tensor,
            runs,
            axes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TensorId = TensorId(0);

    fn image() -> View {
        View::stored(T, &[1, 8, 5, 6], &IMAGE)
    }

    #[test]
    fn flattening_and_back_moves_nothing() {
        let flat = image().reshaped(&[1, 240]).unwrap();
        assert_eq!((flat.runs(), flat.axis(1)), (&[30, 8][..], &[1, 0][..]));
        let back = flat.reshaped(&[1, 8, 5, 6]).unwrap();
        assert!(back.lies_in(&IMAGE));
        assert_eq!(back.dims(), [1, 8, 5, 6]);
    }

    #[test]
    fn channels_split_into_groups_and_shuffled() {
        let groups = image().reshaped(&[1, 2, 4, 5, 6]).unwrap();
        assert_eq!(groups.runs(), [5, 6, 2, 4]);
        let shuffled = groups.permuted(&[0, 2, 1, 3, 4]).unwrap();
        let joined = shuffled.reshaped(&[1, 8, 5, 6]).unwrap();
        assert_eq!(joined.axis(1), [3, 2], "groups lie inside out");
        assert!(!joined.lies_in(&IMAGE));
    }

    #[test]
    fn an_axis_that_cuts_across_runs_is_no_view() {
        assert_eq!(image().reshaped(&[1, 10, 24]), None);
        let plain = View::plain(T, &[4, 6]);
        assert_eq!(plain.reshaped(&[3, 8]).map(|v| v.dims()), None);
        assert_eq!(plain.reshaped(&[2, 12]).unwrap().dims(), [2, 12]);
    }

    #[test]
    fn joined_runs_are_one() {
        let plain = View::plain(T, &[2, 3, 4]).reshaped(&[6, 4]).unwrap();
        assert_eq!(plain.runs(), [6, 4]);
        assert!(plain.lies_in(&[Some(0), Some(1)]));
    }
}
