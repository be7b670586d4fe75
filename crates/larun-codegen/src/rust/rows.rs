//! Stretches of nodes as tables of steps, and the loops that run them.

use core::fmt::Write;

use larun_kernels::{PackedConstants, Processor, pack};
use larun_micro::host::{PreparedNode, PreparedSubgraph, PreparedTensor};

use super::items::Items;
use super::literal::words;
use super::node::location;
use super::packed::{constant, int32s, literal};
use crate::compiled::{Compiled, place};
use crate::stretch::{Nodes, Part, Place, Placed};

/// The loop that runs a stretch, and its statics.
pub(super) fn stretch(
    placed: &Placed,
    nodes: &Nodes,
    subgraph: &PreparedSubgraph<'_>,
    compiled: &Compiled<'_>,
    items: &mut Items,
) -> Option<String> {
    let first = placed.stretch.nodes.start;
    let last = placed.stretch.nodes.end - 1;
    let mut plans = Vec::new();
    let mut arms = String::new();
    for (position, index) in placed.stretch.nodes.clone().enumerate() {
        let node = subgraph.nodes.get(index)?;
        let own = plans_of(placed, nodes, position)?;
        let id = format!("0_{index}");
        let scratch = scratch_of(node, &own, |plan| nodes.scratch_bytes(index, plan))?;
        let by_rows = nodes.get(index)?.reads.len();
        let call = match packed(&id, node, (&own, scratch), subgraph, compiled, items) {
            Some(call) => call,
            None => whole(&id, node, (&own, scratch), by_rows, subgraph, items),
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(arms, "            {position} => {call},");
        plans.push(own);
    }
    push_steps(placed, &plans, nodes, subgraph, items)?;
    let names = placed.stretch.nodes.clone().filter_map(|index| {
        let node = subgraph.nodes.get(index)?;
        Some(node.kind.info().name)
    });
    Some(format!(
        "    // {first} to {last}, row by row: {}
    for step in &STEPS_{first} {{
        match step.node {{
{arms}            _ => step.shift(activations),
        }}
    }}
",
        names.collect::<Vec<_>>().join(", ")
    ))
}

/// The plans of a node for all numbers of rows that its steps ask for.
fn plans_of(placed: &Placed, nodes: &Nodes, position: usize) -> Option<Vec<Vec<u32>>> {
    let form = &nodes.get(placed.stretch.nodes.start + position)?.form;
    let mut plans = Vec::new();
    for step in &placed.stretch.schedule.steps {
        if let (true, Some(rows)) = (step.node == position, &step.rows) {
            let plan = form.plan(rows)?;
            if !plans.contains(&plan) {
                plans.push(plan);
            }
        }
    }
    Some(plans)
}

/// The scratch memory of a node, as much as its plans need: offset and length.
fn scratch_of(
    node: &PreparedNode,
    plans: &[Vec<u32>],
    needed: impl Fn(&[u32]) -> usize,
) -> Option<(usize, usize)> {
    let needed = plans.iter().map(|plan| needed(plan)).max().unwrap_or(0);
    match node.scratch {
        Some((offset, len)) => Some((offset, len.max(needed))),
        None => (needed == 0).then_some((0, 0)),
    }
}

/// A node that runs from plans: its static, and the call.
fn whole(
    id: &str,
    node: &PreparedNode,
    (plans, (offset, len)): (&[Vec<u32>], (usize, usize)),
    by_rows: usize,
    subgraph: &PreparedSubgraph<'_>,
    items: &mut Items,
) -> String {
    let inputs: Vec<_> = (0..)
        .zip(&node.inputs)
        .map(|(index, &tensor)| match index < by_rows {
            true => "Location::Absent".to_owned(),
            false => location(tensor, subgraph, items),
        })
        .collect();
    let plans: Vec<_> = plans
        .iter()
        .map(|plan| format!("&{}", words(plan)))
        .collect();
    items.push(format!(
        "static ROWS_{id}: k::RowNode = k::RowNode {{\n    plans: &[{}],\n    inputs: &[{}],\n    scratch: Location::Arena {{ offset: {offset}, len: {len} }},\n}};",
        plans.join(", "),
        inputs.join(", ")
    ));
    format!(
        "ROWS_{id}.run(<op::{:?} as Kernel>::invoke, step, activations)?",
        node.kind
    )
}

/// A node whose weights are packed for the processor: its statics, and the call; `None` for a node that runs otherwise.
fn packed(
    id: &str,
    node: &PreparedNode,
    (plans, (at, len)): (&[Vec<u32>], (usize, usize)),
    subgraph: &PreparedSubgraph<'_>,
    compiled: &Compiled<'_>,
    items: &mut Items,
) -> Option<String> {
    if compiled.processor != Processor::Armv7em {
        return None;
    }
    let weights = constant(node.inputs.get(1)?.as_ref(), subgraph)?;
    let weights: Vec<i8> = weights.iter().map(|&byte| byte as i8).collect();
    let bias = match node.inputs.get(2) {
        Some(Some(bias)) => Some(int32s(constant(Some(bias), subgraph)?)),
        _ => None,
    };
    let packed = plans.iter();
    let packed = packed.map(|plan| pack(node.kind, plan, &weights, bias.as_deref()));
    let packed: Vec<PackedConstants> = packed.collect::<Option<_>>()?;
    let first = packed.first()?;
    let scratch = packed.iter().map(|packed| 4 * packed.scratch_words);
    let needed = scratch.max()?;
    // The sizes alone may differ with the rows.
    let alike = |other: &PackedConstants| {
        (&other.weights, &other.channels) == (&first.weights, &first.channels)
    };
    if len < needed || !packed.iter().all(alike) {
        return None;
    }
    let (name, _) = literal(&first.layer)?;
    let layers = packed.iter().map(|packed| {
        let (own, layer) = literal(&packed.layer)?;
        (own == name).then(|| format!("k::{layer}"))
    });
    let layers = layers.collect::<Option<Vec<_>>>()?;
    let weights = items.words(&first.weights);
    let mut text = format!(
        "static CHANNELS_{id}: [[i32; 4]; {}] = {:?};\n",
        first.channels.len(),
        first.channels
    );
    let _ = write!(
        text,
        "static PACKED_{id}: k::PackedRows<k::{name}> = k::PackedRows {{\n    layers: &[{}],\n    weights: &{weights},\n    channels: &CHANNELS_{id},\n    scratch: {:?},\n}};",
        layers.join(", "),
        [at, at + needed]
    );
    items.push(text);
    Some(format!("PACKED_{id}.run(step, activations)"))
}

/// The table of steps.
fn push_steps(
    placed: &Placed,
    plans: &[Vec<Vec<u32>>],
    nodes: &Nodes,
    subgraph: &PreparedSubgraph<'_>,
    items: &mut Items,
) -> Option<()> {
    let steps = &placed.stretch.schedule.steps;
    let first = placed.stretch.nodes.start;
    let output = nodes.get(placed.stretch.nodes.end - 1)?.output.tensor;
    let span = |part: &Part| {
        let start = match part.place {
            Place::Line(node) => *placed.lines.get(node)?,
            Place::Outside(tensor) => offset(tensor, subgraph)?,
            Place::Output => offset(output, subgraph)?,
        };
        Some([start + part.bytes.start, start + part.bytes.end])
    };
    let mut text = format!("static STEPS_{first}: [k::RowStep; {}] = [\n", steps.len());
    for step in steps {
        let (node, plan) = match &step.rows {
            Some(rows) => {
                let wanted = nodes.get(first + step.node)?.form.plan(rows)?;
                let mut own = plans.get(step.node)?.iter();
                (step.node, own.position(|plan| *plan == wanted)?)
            }
            // No node: rows are moved.
            None => (usize::from(u16::MAX), 0),
        };
        let mut reads = [[0; 2]; 2];
        for (slot, part) in reads.iter_mut().zip(&step.reads) {
            *slot = span(part)?;
        }
        let write = span(&step.write)?;
        let _ = writeln!(
            text,
            "    k::RowStep {{ node: {node}, plan: {plan}, reads: {reads:?}, write: {write:?} }},"
        );
    }
    text.push_str("];");
    items.push(text);
    Some(())
}

fn offset(tensor: usize, subgraph: &PreparedSubgraph<'_>) -> Option<usize> {
    match place(subgraph, tensor)? {
        PreparedTensor::Activations { offset, .. } => Some(offset),
        _ => None,
    }
}
