//! Which indices of which axes can only be removed together: sets of (tensor, axis, index), joined as operators demand.

use std::collections::{BTreeMap, BTreeSet};

use larun_graph::ops::Shape;
use larun_graph::{NodeId, TensorId};

/// An axis of a tensor.
pub(crate) type Axis = (TensorId, usize);

/// One index of one axis, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Atom(usize);

/// Why channels stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The node, `None` where the caller sees the channels: at the border of the model.
    pub node: Option<NodeId>,
    /// The node or the tensor, by index and name.
    pub place: String,
    /// Why its channels cannot be removed.
    pub reason: &'static str,
}

/// The atoms of a graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Atoms {
    /// Where the atoms of an axis begin.
    first: BTreeMap<Axis, usize>,
    /// For each atom, its axis and index.
    places: Vec<(Axis, usize)>,
    /// Union-find: the way to an atom's root.
    parents: Vec<usize>,
    /// Atoms that stay, and the blocker that says why.
    frozen: Vec<(Atom, usize)>,
    blockers: Vec<Blocker>,
    /// Tensors whose every labelled axis stays, whenever it is labelled.
    whole: BTreeMap<TensorId, usize>,
    /// Constants that a mask sets to zero.
    pub(crate) zeroed: BTreeSet<TensorId>,
}

impl Atoms {
    /// The atoms of an axis, made where it has none yet; `None` for an axis that the shape lacks.
    fn axis(&mut self, axis: Axis, shape: &Shape) -> Option<core::ops::Range<usize>> {
        let size = *shape.dims().get(axis.1)?;
        let next = self.places.len();
        let first = *self.first.entry(axis).or_insert(next);
        if first == next {
            self.places.extend((0..size).map(|index| (axis, index)));
            self.parents.extend(next..next + size);
        }
        Some(first..first + size)
    }

    /// Labels an axis; whether it exists.
    pub(crate) fn label(&mut self, axis: Axis, shape: &Shape) -> bool {
        self.axis(axis, shape).is_some()
    }

    /// The atom of an index, `None` where the axis has no label or no such index.
    fn atom(&self, axis: Axis, index: usize) -> Option<Atom> {
        let at = self.first.get(&axis)? + index;
        let found = self.places.get(at)?;
        (*found == (axis, index)).then_some(Atom(at))
    }

    /// Says that two indices can only be removed together.
    pub(crate) fn tie(&mut self, a: (Axis, usize), b: (Axis, usize)) {
        if let (Some(a), Some(b)) = (self.atom(a.0, a.1), self.atom(b.0, b.1)) {
            let (a, b) = (self.root(a), self.root(b));
            // The smaller number is the root: the result does not depend on the order of ties.
            let (root, other) = (a.0.min(b.0), a.0.max(b.0));
            if let Some(slot) = self.parents.get_mut(other) {
                *slot = root;
            }
        }
    }

    pub(crate) fn root(&mut self, atom: Atom) -> Atom {
        let mut at = atom.0;
        while let Some(&parent) = self.parents.get(at).filter(|&&parent| parent != at) {
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.parents.get_mut(at) {
                *slot = above;
            }
            at = above;
        }
        Atom(at)
    }

    /// Notes a reason for which channels stay.
    pub(crate) fn blocker(&mut self, blocker: Blocker) -> usize {
        let found = self.blockers.iter().position(|other| *other == blocker);
        found.unwrap_or_else(|| {
            self.blockers.push(blocker);
            self.blockers.len() - 1
        })
    }

    /// Keeps one index.
    pub(crate) fn freeze(&mut self, axis: Axis, index: usize, blocker: usize) {
        if let Some(atom) = self.atom(axis, index) {
            self.frozen.push((atom, blocker));
        }
    }

    /// Keeps every labelled axis of a tensor, those that are labelled later too.
    pub(crate) fn freeze_tensor(&mut self, tensor: TensorId, blocker: usize) {
        self.whole.entry(tensor).or_insert(blocker);
    }

    /// Why every axis of a tensor stays, `None` where not every one has to.
    pub(crate) fn whole(&self, tensor: TensorId) -> Option<usize> {
        self.whole.get(&tensor).copied()
    }

    /// The sets: for each root, in order, its places and why it stays.
    pub(crate) fn sets(mut self) -> Sets {
        let whole = self.whole.clone();
        for (number, (axis, _)) in self.places.clone().into_iter().enumerate() {
            if let Some(&blocker) = whole.get(&axis.0) {
                self.frozen.push((Atom(number), blocker));
            }
        }
        let mut places: BTreeMap<Atom, Vec<(Axis, usize)>> = BTreeMap::new();
        for number in 0..self.places.len() {
            let root = self.root(Atom(number));
            if let Some(&place) = self.places.get(number) {
                places.entry(root).or_default().push(place);
            }
        }
        let mut frozen: BTreeMap<Atom, usize> = BTreeMap::new();
        for (atom, blocker) in core::mem::take(&mut self.frozen) {
            let root = self.root(atom);
            let first = frozen.entry(root).or_insert(blocker);
            *first = blocker.min(*first);
        }
        let set = |(root, places)| Set {
            places,
            blocker: frozen.get(&root).copied(),
        };
        Sets {
            sets: places.into_iter().map(set).collect(),
            blockers: self.blockers,
            zeroed: self.zeroed,
        }
    }
}

/// Indices that can only be removed together.
pub(crate) struct Set {
    pub(crate) places: Vec<(Axis, usize)>,
    pub(crate) blocker: Option<usize>,
}

/// All sets of a graph.
pub(crate) struct Sets {
    pub(crate) sets: Vec<Set>,
    pub(crate) blockers: Vec<Blocker>,
    pub(crate) zeroed: BTreeSet<TensorId>,
}
