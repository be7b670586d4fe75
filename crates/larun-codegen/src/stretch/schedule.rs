//! The steps of a stretch: which node computes which rows when, and where between its nodes the rows pass through.

use core::ops::Range;

use super::nodes::RowNode;

/// Steps beyond which a stretch is not worth its table.
const MOST_STEPS: usize = 2048;

/// Where rows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a value that is there before the stretch.
    Outside(usize),
    /// In the memory that the output of a node of the stretch passes through.
    Line(usize),
    /// In the output of the stretch.
    Output,
}

/// Some bytes of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) place: Place,
    pub(crate) bytes: Range<usize>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The node, by its position in the stretch.
    pub(crate) node: usize,
    /// The rows that it computes, `None` where rows are moved to the front of its line.
    pub(crate) rows: Option<Range<usize>>,
    pub(crate) reads: Vec<Part>,
    pub(crate) write: Part,
}

/// The steps of a stretch.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) steps: Vec<Step>,
    /// Bytes of the line behind each node but the last.
    pub(crate) lines: Vec<usize>,
    /// How far beyond each value from which rows are read the output must reach to lie in its memory, at the end from which
    /// the rows are computed.
    pub(crate) distances: Vec<(usize, usize)>,
}

/// The order in which rows are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// From the first row on: an output in the memory of an input begins before it.
    FirstFirst,
    /// From the last row on: it ends behind it.
    LastFirst,
}

impl Schedule {
    /// Computes `band` rows of the last node's output at a time, and of the others what these come from.
    ///
    /// `None` where nodes do not agree on their rows, or for too many steps.
    pub(crate) fn new(nodes: &[&RowNode], band: usize, order: Order) -> Option<Self> {
        let chain = Chain::new(nodes, order)?;
        let lines = chain.walk(band, |_| {})?;
        let mut writer = Writer {
            chain: &chain,
            lines: &lines,
            base: vec![0; nodes.len()],
            steps: Vec::new(),
        };
        chain.walk(band, |turn| writer.turn(turn))?;
        let capacity = lines.iter().zip(nodes);
        let mut schedule = Self {
            steps: writer.steps,
            lines: capacity
                .take(nodes.len().saturating_sub(1))
                .map(|(rows, node)| rows * node.output.row())
                .collect(),
            distances: Vec::new(),
        };
        let outside = schedule.steps.iter().flat_map(|step| &step.reads);
        let mut outside: Vec<usize> = outside.filter_map(|part| part.outside()).collect();
        outside.sort_unstable();
        outside.dedup();
        let distances = outside
            .into_iter()
            .map(|tensor| (tensor, schedule.distance(tensor)));
        schedule.distances = distances.collect();
        if order == Order::LastFirst {
            schedule.mirror(nodes);
        }
        Some(schedule)
    }

    /// How far beyond the end of a value from which rows are read the output must reach, for it to lie in the value's memory:
    /// no row is written over before it is read for the last time. The end is where the rows are that are read first.
    fn distance(&self, tensor: usize) -> usize {
        let mut lowest = None;
        let mut distance = 0;
        for step in self.steps.iter().rev() {
            let reads = step.reads.iter();
            let starts = reads.filter(|part| part.outside() == Some(tensor));
            let first = starts.map(|part| part.bytes.start).min();
            lowest = lowest.into_iter().chain(first).min();
            if let (Place::Output, Some(lowest)) = (step.write.place, lowest) {
                distance = distance.max(step.write.bytes.end.saturating_sub(lowest));
            }
        }
        distance
    }

    /// Turns steps on rows that are counted from the last one into steps on rows as they lie in memory.
    fn mirror(&mut self, nodes: &[&RowNode]) {
        let value = |tensor: usize| {
            let mut reads = nodes.iter().flat_map(|node| &node.reads);
            reads.find(|read| read.tensor == tensor)
        };
        let output = nodes.last().map_or(0, |node| node.output.bytes);
        let lines = &self.lines;
        let mirror = |part: &mut Part| {
            let bytes = match part.place {
                Place::Line(node) => lines.get(node).copied().unwrap_or(0),
                Place::Outside(tensor) => value(tensor).map_or(0, |value| value.bytes),
                Place::Output => output,
            };
            part.bytes = mirrored(&part.bytes, bytes);
        };
        for step in &mut self.steps {
            step.reads.iter_mut().for_each(mirror);
            mirror(&mut step.write);
            if let (Some(rows), Some(node)) = (&mut step.rows, nodes.get(step.node)) {
                *rows = mirrored(rows, node.output.rows);
            }
        }
    }
}

impl Part {
    /// The value that is there before the stretch.
    const fn outside(&self) -> Option<usize> {
        match self.place {
            Place::Outside(tensor) => Some(tensor),
            _ => None,
        }
    }
}

/// A range of `count` things, counted from the other end.
const fn mirrored(range: &Range<usize>, count: usize) -> Range<usize> {
    count - range.end..count - range.start
}

/// Nodes, and which of them reads which.
struct Chain<'n> {
    nodes: &'n [&'n RowNode],
    /// Whether rows are counted from the first or the last.
    order: Order,
    /// The nodes that read the output of each.
    readers: Vec<Vec<usize>>,
}

/// Rows that a node computes at one turn.
struct Turn {
    node: usize,
    rows: Range<usize>,
    /// The first row of its output that is still read.
    keep: usize,
    /// The rows that it has computed so far.
    done: usize,
}

impl<'n> Chain<'n> {
    fn new(nodes: &'n [&'n RowNode], order: Order) -> Option<Self> {
        let mut readers = vec![Vec::new(); nodes.len()];
        for (position, node) in nodes.iter().enumerate() {
            for read in &node.reads {
                let writer = nodes.iter().position(|n| n.output.tensor == read.tensor);
                if let Some(writer) = writer {
                    let agree = nodes.get(writer)?.output.rows == read.rows;
                    (agree && writer < position).then_some(())?;
                    readers.get_mut(writer)?.push(position);
                }
            }
        }
        Some(Self {
            nodes,
            order,
            readers,
        })
    }

    /// The rows of a node's inputs that rows of its output come from.
    fn seen(&self, node: &RowNode, rows: &Range<usize>) -> Range<usize> {
        match self.order {
            Order::FirstFirst => node.form.seen(rows),
            Order::LastFirst => {
                let seen = node.form.seen(&mirrored(rows, node.form.rows()));
                mirrored(&seen, node.form.input_rows())
            }
        }
    }

    /// The position of the node that writes a tensor.
    fn writer(&self, tensor: usize) -> Option<usize> {
        let mut nodes = self.nodes.iter();
        nodes.position(|node| node.output.tensor == tensor)
    }

    /// Goes through all turns. Returns the rows that each node's line has to hold.
    fn walk(&self, band: usize, mut visit: impl FnMut(&Turn)) -> Option<Vec<usize>> {
        let count = self.nodes.len();
        let rows = self.nodes.last()?.output.rows;
        let all = self.needed(rows);
        let (mut done, mut lines) = (vec![0; count], vec![0; count]);
        let (mut end, mut turns) = (0, 0);
        while end < rows {
            end = (end + band.max(1)).min(rows);
            let needed = self.needed(end);
            let keep = self.kept(&done, &all);
            for node in 0..count {
                let own = done.get_mut(node)?;
                // Every row of the last output is kept.
                let kept = match node + 1 == count {
                    true => *own,
                    false => *keep.get(node)?,
                };
                let rows = kept.max(*own)..*needed.get(node)?;
                if rows.is_empty() {
                    continue;
                }
                let line = lines.get_mut(node)?;
                *line = (*line).max(rows.end - kept.min(rows.start));
                visit(&Turn {
                    node,
                    rows: rows.clone(),
                    keep: kept,
                    done: *own,
                });
                *own = rows.end;
                turns += 1;
            }
            (turns <= MOST_STEPS).then_some(())?;
        }
        Some(lines)
    }

    /// The rows of each node that so many rows of the last one need.
    fn needed(&self, rows: usize) -> Vec<usize> {
        let mut needed = vec![0; self.nodes.len()];
        if let Some(last) = needed.last_mut() {
            *last = rows;
        }
        for position in (0..self.nodes.len()).rev() {
            let readers = self.readers.get(position).into_iter().flatten();
            let ends = readers.filter_map(|&reader| {
                let end = *needed.get(reader)?;
                let last = end.checked_sub(1)?;
                Some(self.seen(self.nodes.get(reader)?, &(last..end)).end)
            });
            let end = ends.max();
            if let (Some(end), Some(slot)) = (end, needed.get_mut(position)) {
                *slot = end;
            }
        }
        needed
    }

    /// The first row of each node that is still to be read, given how many rows each has computed and will compute.
    fn kept(&self, done: &[usize], all: &[usize]) -> Vec<usize> {
        let mut kept = vec![usize::MAX; self.nodes.len()];
        for position in (0..self.nodes.len()).rev() {
            let readers = self.readers.get(position).into_iter().flatten();
            let starts = readers.filter_map(|&reader| {
                let is_last = reader + 1 == self.nodes.len();
                let skipped = if is_last { 0 } else { *kept.get(reader)? };
                let next = (*done.get(reader)?).max(skipped);
                if next >= *all.get(reader)? {
                    return None;
                }
                Some(self.seen(self.nodes.get(reader)?, &(next..next + 1)).start)
            });
            let start = starts.min();
            if let (Some(start), Some(slot)) = (start, kept.get_mut(position)) {
                *slot = start;
            }
        }
        kept
    }
}

/// Writes the steps down.
struct Writer<'c, 'n> {
    chain: &'c Chain<'n>,
    /// Rows that each line holds.
    lines: &'c [usize],
    /// The row at the front of each line.
    base: Vec<usize>,
    steps: Vec<Step>,
}

impl Writer<'_, '_> {
    fn turn(&mut self, turn: &Turn) {
        let Some(node) = self.chain.nodes.get(turn.node) else {
            return;
        };
        let row = node.output.row();
        let is_last = turn.node + 1 == self.chain.nodes.len();
        if !is_last {
            self.make_room(turn, row);
        }
        let base = self.base.get(turn.node).copied().unwrap_or(0);
        let write = Part {
            place: match is_last {
                true => Place::Output,
                false => Place::Line(turn.node),
            },
            bytes: (turn.rows.start - base) * row..(turn.rows.end - base) * row,
        };
        let seen = self.chain.seen(node, &turn.rows);
        let reads = node.reads.iter().map(|value| {
            let (place, base) = match self.chain.writer(value.tensor) {
                Some(writer) => (
                    Place::Line(writer),
                    self.base.get(writer).copied().unwrap_or(0),
                ),
                None => (Place::Outside(value.tensor), 0),
            };
            let row = value.row();
            let bytes = (seen.start - base) * row..(seen.end - base) * row;
            Part { place, bytes }
        });
        self.steps.push(Step {
            node: turn.node,
            rows: Some(turn.rows.clone()),
            reads: reads.collect(),
            write,
        });
    }

    /// Moves the rows that are still read to the front of the line where new ones would not fit behind them.
    fn make_room(&mut self, turn: &Turn, row: usize) {
        let (Some(base), Some(&rows)) = (self.base.get_mut(turn.node), self.lines.get(turn.node))
        else {
            return;
        };
        if turn.keep >= turn.done {
            *base = turn.rows.start;
        } else if turn.rows.end - *base > rows {
            let place = Place::Line(turn.node);
            self.steps.push(Step {
                node: turn.node,
                rows: None,
                reads: vec![Part {
                    place,
                    bytes: (turn.keep - *base) * row..(turn.done - *base) * row,
                }],
                write: Part {
                    place,
                    bytes: 0..(turn.done - turn.keep) * row,
                },
            });
            *base = turn.keep;
        }
    }
}
