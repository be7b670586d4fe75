//! Plans that need less memory for the same network: operators in place, and the first layers row by row.

use larun_graph::{Graph, GraphError, Lifetime, Node, Subgraph, TensorId, lifetimes};
use larun_ops::{InPlace, Op};

/// Bytes between places where tensors may begin.
const ALIGNMENT: u64 = 16;

/// Each plan and the most bytes of values that would be alive at once.
pub(super) fn plans(graph: &Graph) -> Result<Vec<(String, u64)>, GraphError> {
    let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
    let alive = Alive {
        subgraph,
        lifetimes: lifetimes(graph, subgraph)?,
    };
    let mut plans = Vec::new();
    plans.push((
        "operators in place where they can be".to_owned(),
        alive.in_place(),
    ));
    if let Some((layers, bytes)) = alive.streamed() {
        plans.push((format!("the first {layers} layers row by row"), bytes));
    }
    Ok(plans)
}

struct Alive<'g> {
    subgraph: &'g Subgraph,
    lifetimes: Vec<Lifetime>,
}

const fn aligned(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(ALIGNMENT)
}

impl Alive<'_> {
    /// Bytes that are alive at a node, but for some tensors.
    fn at(&self, node: usize, except: impl Fn(&Lifetime) -> bool) -> u64 {
        let there = self
            .lifetimes
            .iter()
            .filter(|life| (life.first..=life.last).contains(&node) && !except(life));
        there.map(|life| aligned(life.bytes)).sum()
    }

    /// The most where an output takes the place of the first input that is not used again.
    fn in_place(&self) -> u64 {
        let nodes = self.subgraph.nodes.iter().enumerate();
        let most = nodes.map(|(index, node)| {
            let whole = self.at(index, |_| false);
            match self.output_in_place(index, node) {
                Some(bytes) => whole.saturating_sub(bytes),
                None => whole,
            }
        });
        most.max().unwrap_or(0)
    }

    /// The bytes that an output saves by lying where an input is, where it may.
    fn output_in_place(&self, index: usize, node: &Node) -> Option<u64> {
        if matches!(node.kind()?.info().in_place, InPlace::Never) {
            return None;
        }
        let output = *node.outputs.first()?;
        let bytes = self.life(output)?.bytes;
        let dies = |&input: &TensorId| {
            let life = self.life(input);
            let unused = life.is_some_and(|life| life.last == index && life.bytes == bytes);
            unused && !self.subgraph.inputs.contains(&input)
        };
        let mut inputs = node.inputs.iter().flatten();
        inputs.any(dies).then(|| aligned(bytes))
    }

    fn life(&self, tensor: TensorId) -> Option<&Lifetime> {
        self.lifetimes.iter().find(|life| life.tensor == tensor)
    }

    /// The best number of layers to compute row by row from the start: between them only the rows that windows see are kept.
    fn streamed(&self) -> Option<(usize, u64)> {
        let first = self.life(self.subgraph.nodes.first()?.input(0)?)?;
        let chain: Vec<TensorId> = self.outputs().take(self.chain()).collect();
        let mut best: Option<(usize, u64)> = None;
        let mut kept = self.rows_kept(1)?;
        for count in 2..=chain.len() {
            let last = self.life(*chain.get(count - 1)?)?;
            let beside = (0..count).map(|node| {
                let streamed = |life: &Lifetime| {
                    life.tensor == first.tensor
                        || chain.iter().take(count).any(|&id| id == life.tensor)
                };
                self.at(node, streamed)
            });
            let beside = beside.max().unwrap_or(0);
            let streaming = aligned(first.bytes) + kept + aligned(last.bytes) + beside;
            let after = count..self.subgraph.nodes.len();
            let rest = after
                .map(|node| self.at(node, |_| false))
                .max()
                .unwrap_or(0);
            let most = streaming.max(rest);
            if best.is_none_or(|(_, bytes)| most < bytes) {
                best = Some((count, most));
            }
            kept += self.rows_kept(count)?;
        }
        best
    }

    /// The first output of every node.
    fn outputs(&self) -> impl Iterator<Item = TensorId> {
        let nodes = self.subgraph.nodes.iter();
        nodes.map_while(|node| node.outputs.first().copied())
    }

    /// Bytes of the rows of node `count - 1`'s output that the window of the next node sees.
    fn rows_kept(&self, count: usize) -> Option<u64> {
        let output = *self.subgraph.nodes.get(count - 1)?.outputs.first()?;
        let shape = self.subgraph.tensor(output)?.shape;
        let [_, height, ..] = shape.nhwc()?;
        let rows = match self.subgraph.nodes.get(count) {
            Some(next) => window_rows(self.subgraph, next).unwrap_or(height),
            None => height,
        };
        let bytes = self.life(output)?.bytes;
        Some(aligned(bytes / height.max(1) * rows.min(height)))
    }

    /// How many of the first nodes are windows over images, each reading the one before alone.
    fn chain(&self) -> usize {
        let consumers = self.subgraph.consumers();
        let mut last: Option<TensorId> = None;
        for (index, node) in self.subgraph.nodes.iter().enumerate() {
            let (Some(input), Some(&output)) = (node.input(0), node.outputs.first()) else {
                return index;
            };
            let follows = last.is_none_or(|last| last == input);
            let alone = consumers
                .get(output.index())
                .is_some_and(|users| users.len() == 1);
            if !follows || !alone || window_rows(self.subgraph, node).is_none() {
                return index;
            }
            last = Some(output);
        }
        self.subgraph.nodes.len()
    }
}

/// Rows of the input that a row of the output sees. `None` for what is no window.
fn window_rows(subgraph: &Subgraph, node: &Node) -> Option<usize> {
    let filter_rows = |dilation: i32| {
        let [_, rows, ..] = subgraph.tensor(node.input(1)?)?.shape.nhwc()?;
        Some((rows - 1) * usize::try_from(dilation).ok()? + 1)
    };
    match node.known()? {
        Op::Conv2D(options) => filter_rows(options.dilation_h),
        Op::DepthwiseConv2D(options) => filter_rows(options.dilation_h),
        Op::MaxPool2D(options) | Op::AveragePool2D(options) => {
            usize::try_from(options.filter_h).ok()
        }
        _ => None,
    }
}
