//! What could be changed of a model, and what each change would gain by the cost model: nothing is trained or quantised for it.

mod edit;
mod narrow;
mod retype;
mod separable;
mod streaming;

use larun_graph::{Graph, GraphError};
use serde::Serialize;

use crate::cost::{CostEstimate, estimate};
use crate::{Board, Budget, Storage, Usage, boards};

/// A change and what the model would take with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What to do, in a sentence.
    pub what: String,
    /// What the model would take then.
    pub usage: Usage,
    /// Milliseconds of an inference then, an estimate.
    pub milliseconds: f64,
    /// Bytes of the file saved; negative where it grows.
    pub flash_saved: i64,
    /// Bytes of RAM saved.
    pub ram_saved: i64,
    /// Milliseconds saved.
    pub milliseconds_saved: f64,
    /// How much of the scarcest of flash, RAM and time would be used: above 1 it does not fit.
    pub worst_share: f64,
}

/// A model as it is.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// What it takes.
    pub usage: &'a Usage,
    /// What it costs on the board.
    pub cost: &'a CostEstimate,
    /// The board.
    pub board: &'a Board,
    /// What the application allows.
    pub budget: &'a Budget,
}

/// The changes that gain something, the one that helps most first: it leaves the scarcest of flash, RAM and time least scarce.
///
/// # Errors
/// When the graph has no subgraph.
pub fn changes(subject: &Subject<'_>) -> Result<Vec<Change>, GraphError> {
    let mut changes = Vec::new();
    for (what, graph) in variants(subject.graph) {
        // A variant that does not hold together is none: the model is of a form that this change does not suit.
        let Ok(cost) = estimate(&graph, subject.board, None) else {
            continue;
        };
        changes.push(subject.change(what, &cost, cost.live_bytes));
    }
    for (what, live) in streaming::plans(subject.graph)? {
        changes.push(subject.change(what, subject.cost, live));
    }
    changes.extend(subject.other_board());
    changes.retain(|change| {
        change.flash_saved > 0 || change.ram_saved > 0 || change.milliseconds_saved > 1e-6
    });
    changes.sort_by(|a, b| {
        let by_time = a.milliseconds.total_cmp(&b.milliseconds);
        a.worst_share.total_cmp(&b.worst_share).then(by_time)
    });
    Ok(changes)
}

/// Other forms of the graph.
fn variants(graph: &Graph) -> Vec<(String, Graph)> {
    let mut variants = Vec::new();
    let mut add = |what: String, graph: Option<Graph>| {
        variants.extend(graph.map(|graph| (what, graph)));
    };
    add("quantise it to INT8".to_owned(), retype::to_int8(graph));
    add(
        "quantise the weights to INT4".to_owned(),
        retype::weights_to_int4(graph),
    );
    for (percent, factor) in [(75, 0.75), (50, 0.5)] {
        let what = format!("{percent} % of the channels in every layer but the last");
        add(what, narrow::channels(graph, factor));
        let what = format!("an input of {percent} % of the height and width");
        add(what, narrow::input(graph, factor));
    }
    for (index, separated) in separable::layers(graph) {
        let what = format!("a depthwise separable convolution in place of layer {index}");
        add(what, Some(separated));
    }
    variants
}

impl Subject<'_> {
    fn change(&self, what: String, cost: &CostEstimate, live: u64) -> Change {
        let Self {
            usage, cost: own, ..
        } = self;
        let usage_then = Usage {
            flash_bytes: replaced(usage.flash_bytes, own.weight_bytes, cost.weight_bytes),
            // What the interpreter keeps beside values stays.
            ram_bytes: replaced(usage.ram_bytes, own.live_bytes, live),
            parameters: cost.parameters,
            operations: cost.macs,
        };
        self.compare(what, usage_then, cost.milliseconds, self.board)
    }

    fn compare(&self, what: String, usage: Usage, milliseconds: f64, board: &Board) -> Change {
        let saved = |own: u64, then: u64| own as i64 - then as i64;
        Change {
            what,
            flash_saved: saved(self.usage.flash_bytes, usage.flash_bytes),
            ram_saved: saved(self.usage.ram_bytes, usage.ram_bytes),
            milliseconds_saved: self.cost.milliseconds - milliseconds,
            worst_share: self.worst_share(&usage, milliseconds, board),
            usage,
            milliseconds,
        }
    }

    /// How much of the scarcest of flash, RAM and time is used.
    fn worst_share(&self, usage: &Usage, milliseconds: f64, board: &Board) -> f64 {
        let flash = match board.storage {
            Storage::Flash(bytes) => bytes.min(self.budget.flash_bytes),
            Storage::Card => self.budget.flash_bytes,
        };
        let ram = board.largest_region().min(self.budget.ram_bytes);
        let share = |value: f64, maximum: f64| value / maximum.max(1e-9);
        share(usage.flash_bytes as f64, flash as f64)
            .max(share(usage.ram_bytes as f64, ram as f64))
            .max(share(milliseconds, self.budget.milliseconds))
    }

    /// The smallest other board on which the model would be within its limits, else the one that comes nearest.
    fn other_board(&self) -> Option<Change> {
        let others = boards().iter().filter(|board| board.id != self.board.id);
        let changes = others.filter_map(|board| {
            let cost = estimate(self.graph, board, Some(self.usage.ram_bytes)).ok()?;
            let what = format!("the board {} ({})", board.id, board.name);
            let change = self.compare(what, *self.usage, cost.milliseconds, board);
            Some((board.ram_bytes(), change))
        });
        let best = changes.min_by(|(ram_a, a), (ram_b, b)| {
            let [over_a, over_b] = [a, b].map(|change| change.worst_share.max(1.0));
            over_a.total_cmp(&over_b).then(ram_a.cmp(ram_b))
        });
        best.map(|(_, change)| change)
    }
}

/// A sum, one part of which has another size.
const fn replaced(whole: u64, part: u64, by: u64) -> u64 {
    whole.saturating_sub(part).saturating_add(by)
}
