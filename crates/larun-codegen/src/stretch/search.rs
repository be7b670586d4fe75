//! Which stretches need the least memory: whatever holds up the peak is looked at, one node after the other.

use core::ops::Range;

use larun_arena::Plan;
use larun_micro::host::{Owner, Prepared};

use super::memory::{pieces, profile};
use super::nodes::Nodes;
use super::{Rows, Stream, Stretch, plan};

/// The longest stretch.
const MOST_NODES: usize = 16;
/// Rows at a time that are tried.
const BANDS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// The stretches with which the activations take fewer than `before` bytes, in the order of their nodes, and their plan.
pub(super) fn search(
    prepared: &Prepared<'_>,
    nodes: &Nodes,
    wish: Rows,
    before: usize,
) -> Option<(Vec<Stretch>, Plan)> {
    let search = Search { prepared, nodes };
    let goal = match wish.stream {
        Stream::ToFit(bytes) => bytes,
        _ => 0,
    };
    let mut found = None;
    let mut peak = before;
    let in_place = Kinds {
        in_place: wish.in_place,
        stream: false,
    };
    let streamed = Kinds {
        stream: true,
        ..in_place
    };
    // What is done in place costs nothing; layers are streamed where that does not do.
    for (kinds, goal) in [(in_place, 0), (streamed, goal)] {
        let wanted = match kinds.stream {
            true => wish.stream != Stream::Never && peak > goal,
            false => kinds.in_place,
        };
        if !wanted {
            continue;
        }
        let stretches = search.lower(kinds, goal);
        let Some(planned) = plan(prepared, nodes, &stretches) else {
            continue;
        };
        if (planned.peak as usize) < peak {
            peak = planned.peak as usize;
            found = Some(search.widen(stretches, planned));
        }
    }
    found
}

/// The stretches that are looked for.
#[derive(Clone, Copy)]
struct Kinds {
    in_place: bool,
    stream: bool,
}

/// How good stretches are: the most bytes that are alive, at how many nodes so many are, and how many nodes run by rows.
type Cost = (u64, usize, usize);

struct Search<'s> {
    prepared: &'s Prepared<'s>,
    nodes: &'s Nodes,
}

impl Search<'_> {
    /// Lowers the most bytes that are alive until none of the nodes that hold it up can do with less, or it fits `goal`.
    fn lower(&self, kinds: Kinds, goal: usize) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        loop {
            let alive = profile(&self.pieces(&stretches), self.nodes.count());
            let cost = self.cost(&stretches);
            if cost.0 <= goal as u64 {
                break;
            }
            let at_peak = alive.iter().enumerate().filter(|&(_, &bytes)| bytes == cost.0);
            let best = at_peak
                .flat_map(|(node, _)| self.around(node, kinds))
                .map(|stretch| with(&stretches, stretch))
                .min_by_key(|stretches| self.cost(stretches));
            match best {
                Some(better) if self.cost(&better) < cost => stretches = better,
                _ => break,
            }
        }
        self.thin(stretches, goal as u64)
    }

    /// Leaves out the stretches that do not help.
    fn thin(&self, mut stretches: Vec<Stretch>, goal: u64) -> Vec<Stretch> {
        let mut at = 0;
        while at < stretches.len() {
            let mut fewer = stretches.clone();
            fewer.remove(at);
            if self.cost(&fewer).0 <= self.cost(&stretches).0.max(goal) {
                stretches = fewer;
            } else {
                at += 1;
            }
        }
        stretches
    }

    /// Computes more rows at a time where that needs no more memory: each step costs some instructions.
    fn widen(&self, mut stretches: Vec<Stretch>, mut planned: Plan) -> (Vec<Stretch>, Plan) {
        for at in 0..stretches.len() {
            for band in BANDS {
                let Some(old) = stretches.get(at) else {
                    continue;
                };
                let alias = old.alias.map(|(tensor, _)| tensor);
                let wider = Stretch::new(self.nodes, old.nodes.clone(), band, alias);
                let Some(wider) = wider.filter(|_| band > old.band) else {
                    continue;
                };
                let wider = with(&stretches, wider);
                match plan(self.prepared, self.nodes, &wider) {
                    Some(plan) if plan.peak <= planned.peak => {
                        (stretches, planned) = (wider, plan);
                    }
                    _ => break,
                }
            }
        }
        (stretches, planned)
    }

    fn pieces(&self, stretches: &[Stretch]) -> Vec<super::memory::Piece> {
        pieces(self.prepared, self.nodes, stretches)
    }

    fn cost(&self, stretches: &[Stretch]) -> Cost {
        let alive = profile(&self.pieces(stretches), self.nodes.count());
        let most = alive.iter().copied().max().unwrap_or(0);
        let nodes = stretches.iter().map(|stretch| stretch.nodes.len()).sum();
        let at_peak = alive.iter().filter(|&&bytes| bytes == most).count();
        (most, at_peak, nodes)
    }

    /// The stretches that a node can be part of.
    fn around(&self, node: usize, kinds: Kinds) -> Vec<Stretch> {
        let mut found = Vec::new();
        for start in (0..=node).rev().take(MOST_NODES) {
            if self.nodes.get(start).is_none() {
                break;
            }
            for end in node + 1..=(start + MOST_NODES).min(self.nodes.count()) {
                if self.nodes.get(end - 1).is_none() {
                    break;
                }
                if self.is_closed(&(start..end)) {
                    found.extend(self.forms(start..end, kinds));
                }
            }
        }
        found
    }

    /// Whether what nodes compute is read by later ones of them alone, but for what the last one does.
    fn is_closed(&self, nodes: &Range<usize>) -> bool {
        nodes.clone().take(nodes.len() - 1).all(|node| {
            let Some(row_node) = self.nodes.get(node) else {
                return false;
            };
            let output = row_node.output.tensor;
            let readers = self.nodes.readers(output);
            !readers.is_empty()
                && readers.iter().all(|reader| nodes.contains(reader))
                && !self.nodes.is_given_out(output)
        })
    }

    /// The stretches of some nodes: in the memory of each input that nothing reads afterwards, and beside all.
    fn forms(&self, nodes: Range<usize>, kinds: Kinds) -> Vec<Stretch> {
        let mut found = Vec::new();
        if kinds.in_place {
            for alias in self.inputs_that_end(&nodes) {
                if kinds.stream || self.is_in_place(&nodes, alias) {
                    found.extend(Stretch::new(self.nodes, nodes.clone(), 1, Some(alias)));
                }
            }
        }
        if kinds.stream && nodes.len() > 1 {
            found.extend(Stretch::new(self.nodes, nodes, 1, None));
        }
        found
    }

    /// Whether this is one layer, or layers up to an addition to `alias`.
    fn is_in_place(&self, nodes: &Range<usize>, alias: usize) -> bool {
        let last = self.nodes.get(nodes.end - 1);
        let adds = |last: &super::nodes::RowNode| {
            last.reads.len() == 2 && last.reads.iter().any(|read| read.tensor == alias)
        };
        nodes.len() == 1 || last.is_some_and(adds)
    }

    /// The values that come from outside and that no later node reads.
    fn inputs_that_end(&self, nodes: &Range<usize>) -> Vec<usize> {
        let all = nodes.clone().filter_map(|node| self.nodes.get(node));
        let mut tensors: Vec<usize> = all
            .flat_map(|node| &node.reads)
            .map(|read| read.tensor)
            .filter(|&tensor| self.ends_in(tensor, nodes))
            .collect();
        tensors.sort_unstable();
        tensors.dedup();
        tensors
    }

    fn ends_in(&self, tensor: usize, nodes: &Range<usize>) -> bool {
        let mut buffers = self.prepared.buffers.iter();
        let planned = buffers.find(|planned| planned.owner == Owner::Tensor(tensor));
        let mut own = nodes.clone().filter_map(|node| self.nodes.get(node));
        let is_older = own.all(|node| node.output.tensor != tensor);
        let ends = planned.is_some_and(|planned| (planned.buffer.last as usize) < nodes.end);
        is_older && ends && !self.nodes.is_given_out(tensor)
    }
}

/// The stretches with another one, in place of those that have nodes of it.
fn with(stretches: &[Stretch], added: Stretch) -> Vec<Stretch> {
    let apart = |other: &&Stretch| {
        other.nodes.end <= added.nodes.start || added.nodes.end <= other.nodes.start
    };
    let mut all: Vec<Stretch> = stretches.iter().filter(apart).cloned().collect();
    all.push(added);
    all.sort_by_key(|stretch| stretch.nodes.start);
    all
}
