//! Nodes as statics that say where their operands lie, and the functions that run them.

use core::fmt::Write;

use larun_kernels::{ALL, handle_bytes};
use larun_micro::host::{PreparedNode, PreparedSubgraph, PreparedTensor};
use larun_ops::InPlace;

use super::items::Items;
use super::{packed, rows};
use crate::CodegenError;
use crate::compiled::{Compiled, place};
use crate::stretch::Nodes;

/// How many subgraphs IF, WHILE and CALL_ONCE may run in one inference, as in the interpreter.
const MOST_CALLS: u32 = larun_micro::Options::DEFAULT.max_calls;

/// A function a subgraph, and the statics that they need.
pub(super) fn functions(
    compiled: &Compiled<'_>,
    fallible: bool,
    items: &mut Items,
) -> Result<Vec<String>, CodegenError> {
    let resources = compiled.prepared.resources.iter().map(|place| match place {
        Some((offset, len)) => format!("Location::State {{ offset: {offset}, len: {len} }}"),
        None => "Location::Absent".to_owned(),
    });
    let resources: Vec<_> = resources.collect();
    if !resources.is_empty() {
        items.push(format!(
            "static RESOURCES: [Location<'static>; {}] = [{}];",
            resources.len(),
            resources.join(", ")
        ));
    }
    if compiled.subgraphs().count() > 1 {
        push_ports(compiled, items);
    }
    let mut functions = Vec::new();
    for (number, subgraph) in compiled.subgraphs() {
        functions.push(function(number, subgraph, compiled, fallible, items)?);
    }
    Ok(functions)
}

fn function(
    number: usize,
    subgraph: &PreparedSubgraph<'_>,
    compiled: &Compiled<'_>,
    fallible: bool,
    items: &mut Items,
) -> Result<String, CodegenError> {
    let calls = if fallible { ", calls: &mut u32" } else { "" };
    let mut text = format!(
        "#[allow(unused_variables, reason = \"not every model has all of them\")]\n\
         fn subgraph_{number}(activations: &mut [u8], state: &mut [u8]{calls}) -> Result<(), k::InvokeError> {{\n"
    );
    // Those of the main subgraph alone are planned anew.
    let stretches = match number {
        0 => &compiled.stretches[..],
        _ => &[],
    };
    let nodes = (!stretches.is_empty()).then(|| Nodes::of(compiled, subgraph));
    for (index, node) in subgraph.nodes.iter().enumerate() {
        if is_nothing(node, subgraph) {
            continue;
        }
        let mut own = stretches.iter();
        let own = own.find(|placed| placed.stretch.nodes.contains(&index));
        if let (Some(placed), Some(nodes)) = (own, &nodes) {
            if placed.stretch.nodes.start == index {
                let ran = rows::stretch(placed, nodes, subgraph, compiled, items);
                text.push_str(&ran.ok_or(CodegenError::Rows { node: index })?);
            }
            continue;
        }
        let id = format!("{number}_{index}");
        let about = node.kind.info().name;
        let _ = writeln!(text, "    // {index}: {about}");
        if let Some(call) = packed::node(&id, node, subgraph, compiled, items) {
            let _ = writeln!(text, "    {call}");
            continue;
        }
        push_node(&id, node, subgraph, compiled, items);
        let registration = ALL.iter().find(|kernel| kernel.kind == node.kind);
        let controls = registration.is_some_and(|kernel| kernel.control.is_some());
        if controls {
            let _ = write!(text, "{}", control(&id, node, compiled));
        } else {
            let _ = writeln!(
                text,
                "    NODE_{id}.run(<op::{:?} as Kernel>::invoke, activations, state)?;",
                node.kind
            );
        }
    }
    text.push_str("    Ok(())\n}\n");
    Ok(text)
}

/// Whether a node leaves everything as it is: a view that lies where it looks.
pub(crate) fn is_nothing(node: &PreparedNode, subgraph: &PreparedSubgraph<'_>) -> bool {
    let (Some(&Some(input)), Some(&Some(output))) = (node.inputs.first(), node.outputs.first())
    else {
        return false;
    };
    let input = place(subgraph, input);
    node.kind.info().in_place == InPlace::View
        && matches!(input, Some(PreparedTensor::Activations { .. }))
        && input == place(subgraph, output)
}

/// The loop over the steps of a node that runs subgraphs.
fn control(id: &str, node: &PreparedNode, compiled: &Compiled<'_>) -> String {
    let base = node.scratch.map_or(0, |(offset, _)| offset);
    let mut arms = String::new();
    for (number, _) in compiled.subgraphs().skip(1) {
        let _ = writeln!(
            arms,
            "                    {number} => subgraph_{number}(inner, state, calls)?,"
        );
    }
    format!(
        "    const STEP_{id}: k::Step = match <op::{kind:?} as Kernel>::CONTROL {{
        Some(step) => step,
        None => panic!(\"the operator runs no subgraphs\"),
    }};
    let ports = k::FixedSubgraphs {{ base: {base}, inputs: &SUBGRAPH_INPUTS, outputs: &SUBGRAPH_OUTPUTS }};
    for step in 0.. {{
        match NODE_{id}.step(STEP_{id}, step, &ports, activations, state)? {{
            k::Next::Done => break,
            k::Next::Call(subgraph) => {{
                if *calls == {MOST_CALLS} {{
                    return Err(k::InvokeError::TooManyCalls);
                }}
                *calls += 1;
                let inner = activations.get_mut({base}..).unwrap_or_default();
                match subgraph {{
{arms}                    _ => return Err(k::InvokeError::Plan),
                }}
            }}
        }}
    }}
",
        kind = node.kind
    )
}

fn push_node(
    id: &str,
    node: &PreparedNode,
    subgraph: &PreparedSubgraph<'_>,
    compiled: &Compiled<'_>,
    items: &mut Items,
) {
    items.plan(&format!("PLAN_{id}"), &node.plan);
    let mut places = |operands: &[Option<usize>]| {
        let places = operands
            .iter()
            .map(|&tensor| location(tensor, subgraph, items));
        places.collect::<Vec<_>>().join(", ")
    };
    let (inputs, outputs) = (places(&node.inputs), places(&node.outputs));
    let mut text = format!(
        "static NODE_{id}: FixedNode = FixedNode {{\n    plan: &PLAN_{id},\n    inputs: &[{inputs}],\n    outputs: &[{outputs}],\n"
    );
    if let Some((offset, len)) = node.scratch {
        let _ = writeln!(
            text,
            "    scratch: Location::Arena {{ offset: {offset}, len: {len} }},"
        );
    }
    if let Some((offset, len)) = node.state {
        let _ = writeln!(
            text,
            "    state: Location::State {{ offset: {offset}, len: {len} }},"
        );
    }
    if !compiled.prepared.resources.is_empty() {
        text.push_str("    resources: &RESOURCES,\n");
    }
    text.push_str("    ..FixedNode::new(&[], &[], &[])\n};");
    items.push(text);
}

/// An operand's place as an expression.
pub(super) fn location(
    tensor: Option<usize>,
    subgraph: &PreparedSubgraph<'_>,
    items: &mut Items,
) -> String {
    match tensor.and_then(|tensor| place(subgraph, tensor)) {
        None => "Location::Absent".to_owned(),
        Some(PreparedTensor::Activations { offset, len }) => {
            format!("Location::Arena {{ offset: {offset}, len: {len} }}")
        }
        Some(PreparedTensor::State { offset, len }) => {
            format!("Location::State {{ offset: {offset}, len: {len} }}")
        }
        Some(PreparedTensor::Constant(bytes)) => {
            format!("Location::Constant(&{}.0)", items.constant(bytes))
        }
        Some(PreparedTensor::Handle(number)) => {
            format!(
                "Location::Constant(&{}.0)",
                items.constant(&handle_bytes(number))
            )
        }
    }
}

/// The ports of all subgraphs, by their numbers.
fn push_ports(compiled: &Compiled<'_>, items: &mut Items) {
    let count = compiled.prepared.subgraphs.len();
    for name in ["INPUTS", "OUTPUTS"] {
        let mut all = Vec::new();
        for subgraph in &compiled.prepared.subgraphs {
            let Some(subgraph) = subgraph else {
                all.push("&[]".to_owned());
                continue;
            };
            let ports = match name {
                "INPUTS" => &subgraph.inputs,
                _ => &subgraph.outputs,
            };
            let places: Vec<_> = ports
                .iter()
                .map(|&tensor| location(Some(tensor), subgraph, items))
                .collect();
            all.push(format!("&[{}]", places.join(", ")));
        }
        items.push(format!(
            "static SUBGRAPH_{name}: [&[Location<'static>]; {count}] = [\n    {},\n];",
            all.join(",\n    ")
        ));
    }
}
