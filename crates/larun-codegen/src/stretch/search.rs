//! Which stretches need the least memory: nodes are divided into stretches and nodes that run alone, by dynamic programming.

use core::ops::Range;

use larun_arena::Plan;
use larun_micro::host::{Owner, Prepared};

use super::memory::{extents, pieces, profile};
use super::nodes::Nodes;
use super::{Order, PLAN_STEPS, Rows, Stream, Stretch, plan};

/// The longest stretch.
const MOST_NODES: usize = 16;
/// Rows at a time that are tried.
const BANDS: [usize; 5] = [2, 4, 8, 16, 32];
/// Placements that the search for a plan with other numbers of rows may try.
const FEWER_PLAN_STEPS: u64 = PLAN_STEPS / 20;

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
    let mut found: Option<(Vec<Stretch>, Plan)> = None;
    // What is done in place costs little; layers are streamed where that does not do.
    for [in_place, stream] in [[true, false], [true, true], [false, true]] {
        let peak = found
            .as_ref()
            .map_or(before, |(_, plan)| plan.peak as usize);
        let streams = wish.stream != Stream::Never && peak > goal;
        if in_place && !wish.in_place || stream && !streams {
            continue;
        }
        let kinds = Kinds { in_place, stream };
        let limits = match stream {
            true if goal > 0 => vec![goal as u64, 0],
            _ => vec![0],
        };
        for limit in limits {
            let stretches = search.divide(kinds, limit);
            if let Some((stretches, planned)) = search.planned(stretches)
                && (planned.peak as usize) < peak
            {
                let fits = planned.peak as usize <= goal;
                found = Some((stretches, planned));
                if fits {
                    break;
                }
            }
        }
    }
    let (stretches, planned) = found?;
    Some(search.widen(stretches, planned))
}

/// The stretches that are looked for.
#[derive(Clone, Copy)]
struct Kinds {
    in_place: bool,
    stream: bool,
}

/// Nodes that run together, or one that runs alone.
struct Segment {
    end: usize,
    /// The most bytes that are alive meanwhile.
    most: u64,
    stretch: Option<Stretch>,
}

struct Search<'s> {
    prepared: &'s Prepared<'s>,
    nodes: &'s Nodes,
}

/// What a division costs up to a node, where its last segment starts, and that segment.
type Choice<'s> = ((usize, u64), usize, &'s Segment);

impl Search<'_> {
    /// The stretches with which the fewest bytes are alive at once, or no more than `limit`; of those, as few nodes as can be.
    ///
    /// What is alive while a segment runs does not depend on how the other nodes are divided.
    fn divide(&self, kinds: Kinds, limit: u64) -> Vec<Stretch> {
        let segments = self.segments(kinds);
        let count = self.nodes.count();
        let mut least = vec![u64::MAX; count + 1];
        least[0] = 0;
        for (start, segments) in segments.iter().enumerate() {
            for segment in segments {
                let most = least[start].max(segment.most);
                least[segment.end] = least[segment.end].min(most);
            }
        }
        let limit = least[count].max(limit);
        // How many nodes run by rows, and the sum of what is alive: which segment ends at each node.
        let mut best: Vec<Option<Choice<'_>>> = Vec::new();
        best.resize_with(count + 1, || None);
        for (start, segments) in segments.iter().enumerate() {
            let before = match (start, &best[start]) {
                (0, _) => (0, 0),
                (_, Some((cost, ..))) => *cost,
                (_, None) => continue,
            };
            for segment in segments.iter().filter(|segment| segment.most <= limit) {
                let by_rows = segment.stretch.as_ref().map_or(0, |it| it.nodes.len());
                let cost = (before.0 + by_rows, before.1 + segment.most);
                if best[segment.end]
                    .as_ref()
                    .is_none_or(|(old, ..)| cost < *old)
                {
                    best[segment.end] = Some((cost, start, segment));
                }
            }
        }
        let mut stretches = Vec::new();
        let mut end = count;
        while let Some((_, start, segment)) = &best[end] {
            stretches.extend(segment.stretch.clone());
            end = *start;
        }
        stretches.reverse();
        self.turned(stretches)
    }

    /// The segments that begin at each node.
    fn segments(&self, kinds: Kinds) -> Vec<Vec<Segment>> {
        let alone = profile(&self.pieces(&[]), self.nodes.count());
        let alone = alone.into_iter().enumerate();
        alone
            .map(|(start, most)| {
                let mut segments = vec![Segment {
                    end: start + 1,
                    most,
                    stretch: None,
                }];
                let ends = start + 1..=(start + MOST_NODES).min(self.nodes.count());
                for end in ends.take_while(|end| self.nodes.get(end - 1).is_some()) {
                    if !self.is_closed(&(start..end)) {
                        continue;
                    }
                    for stretch in self.forms(start..end, kinds) {
                        let stretch = [stretch];
                        let alive = profile(&self.pieces(&stretch), self.nodes.count());
                        let most = alive.get(start..end).and_then(|it| it.iter().max());
                        segments.push(Segment {
                            end,
                            most: most.copied().unwrap_or(u64::MAX),
                            stretch: stretch.into_iter().next(),
                        });
                    }
                }
                segments
            })
            .collect()
    }

    /// Turns the order of rows round where values that take each other's memory then reach less far: one after the other, they
    /// would move on in one direction.
    fn turned(&self, stretches: Vec<Stretch>) -> Vec<Stretch> {
        let mut turned: Vec<Stretch> = Vec::new();
        for stretch in stretches {
            let reach = |stretch: &Stretch| {
                let all = with(&turned, stretch.clone());
                extents(&self.pieces(&all))
            };
            let other = self.turn(&stretch);
            let chosen = match other {
                Some(other) if reach(&other) < reach(&stretch) => other,
                _ => stretch,
            };
            turned.push(chosen);
        }
        turned
    }

    /// A stretch with the rows in the other order.
    fn turn(&self, stretch: &Stretch) -> Option<Stretch> {
        let (alias, _) = stretch.alias?;
        let order = match stretch.order {
            Order::FirstFirst => Order::LastFirst,
            Order::LastFirst => Order::FirstFirst,
        };
        let nodes = stretch.nodes.clone();
        Stretch::new(self.nodes, nodes, stretch.band, order, Some(alias))
    }

    /// Plans the activations, with rows in the order that suits the plan.
    fn planned(&self, mut stretches: Vec<Stretch>) -> Option<(Vec<Stretch>, Plan)> {
        let mut planned = plan(self.prepared, self.nodes, &stretches, PLAN_STEPS)?;
        let alive = profile(&self.pieces(&stretches), self.nodes.count());
        let least = alive.into_iter().max().unwrap_or(0);
        let mut improved = true;
        while improved && u64::from(planned.peak) > least {
            improved = false;
            for at in 0..stretches.len() {
                let turned = stretches.get(at).and_then(|stretch| self.turn(stretch));
                let Some(turned) = turned else { continue };
                let turned = with(&stretches, turned);
                let plan = plan(self.prepared, self.nodes, &turned, FEWER_PLAN_STEPS);
                if let Some(plan) = plan
                    && plan.peak < planned.peak
                {
                    (stretches, planned, improved) = (turned, plan, true);
                }
            }
        }
        Some((stretches, planned))
    }

    /// Computes more rows at a time where that needs no more memory: each step costs some instructions.
    fn widen(&self, mut stretches: Vec<Stretch>, mut planned: Plan) -> (Vec<Stretch>, Plan) {
        for at in 0..stretches.len() {
            for band in BANDS {
                let Some(old) = stretches.get(at) else {
                    continue;
                };
                let alias = old.alias.map(|(tensor, _)| tensor);
                let wider = Stretch::new(self.nodes, old.nodes.clone(), band, old.order, alias);
                let Some(wider) = wider.filter(|_| band > old.band) else {
                    continue;
                };
                let wider = with(&stretches, wider);
                match plan(self.prepared, self.nodes, &wider, FEWER_PLAN_STEPS) {
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
                    let range = nodes.clone();
                    let order = Order::FirstFirst;
                    found.extend(Stretch::new(self.nodes, range, 1, order, Some(alias)));
                }
            }
        }
        if kinds.stream && nodes.len() > 1 {
            found.extend(Stretch::new(self.nodes, nodes, 1, Order::FirstFirst, None));
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
