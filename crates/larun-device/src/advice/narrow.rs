//! Fewer channels, and smaller inputs.

use larun_graph::{Graph, Node, NodeId, NodeOp, TensorId};
use larun_ops::{ElementType, Op, OpKind, Role};

use super::edit::{infer, set_shape, shape};

/// So many of the channels in every layer with weights but the last. `None` where the graph does not hold together then.
pub(super) fn channels(graph: &Graph, factor: f64) -> Option<Graph> {
    let last = weighted(graph).last().copied()?;
    let mut changed = graph.clone();
    for index in 0..graph.main()?.nodes.len() {
        let id = NodeId::new(index);
        let keep = if id == last { 1.0 } else { factor };
        follow(graph, &mut changed, id, keep)?;
    }
    let is_other = weighted(graph).len() > 1;
    is_other.then_some(changed)
}

/// An input of so much of the height and the width. `None` where it has none, or the graph does not hold together then.
pub(super) fn input(graph: &Graph, factor: f64) -> Option<Graph> {
    let mut changed = graph.clone();
    let inputs = graph.main()?.inputs.clone();
    let mut any = false;
    for id in inputs {
        let mut dims = shape(graph, id)?.dims().to_vec();
        if let [_, height, width, _] = dims.as_mut_slice() {
            for dim in [height, width] {
                let to = scaled(*dim, factor);
                any |= to != *dim;
                *dim = to;
            }
            set_shape(&mut changed, id, &dims)?;
        }
    }
    for index in 0..graph.main()?.nodes.len() {
        follow(graph, &mut changed, NodeId::new(index), 1.0)?;
    }
    any.then_some(changed)
}

fn scaled(dim: usize, factor: f64) -> usize {
    match dim {
        0 | 1 => dim,
        _ => ((dim as f64 * factor).round() as usize).max(1),
    }
}

/// The nodes that have constant weights.
fn weighted(graph: &Graph) -> Vec<NodeId> {
    let Some(subgraph) = graph.main() else {
        return Vec::new();
    };
    let has_weights = |node: &Node| {
        let role = node
            .kind()
            .and_then(|kind| kind.info().input(1))
            .map(|o| o.role);
        matches!(role, Some(Role::Weights { .. }))
    };
    let nodes = subgraph.iter_nodes().filter(|(_, node)| has_weights(node));
    nodes.map(|(id, _)| id).collect()
}

/// Fits a node's constants to its inputs as they are now, with `keep` of its channels, and sets its outputs' shapes.
fn follow(before: &Graph, graph: &mut Graph, id: NodeId, keep: f64) -> Option<()> {
    let node = graph.main()?.node(id)?.clone();
    let input = |index| node.input(index);
    match node.known()? {
        Op::Conv2D(_) => {
            let [outputs, height, width, depth] = shape(before, input(1)?)?.nhwc()?;
            let [_, _, _, was] = shape(before, input(0)?)?.nhwc()?;
            let [_, _, _, is] = shape(graph, input(0)?)?.nhwc()?;
            let groups = was.checked_div(depth)?;
            let outputs = scaled(outputs, keep);
            set_shape(
                graph,
                input(1)?,
                &[outputs, height, width, is.checked_div(groups)?],
            )?;
            resize_bias(graph, input(2), outputs)?;
        }
        Op::DepthwiseConv2D(_) => {
            let [_, height, width, outputs] = shape(before, input(1)?)?.nhwc()?;
            let [_, _, _, was] = shape(before, input(0)?)?.nhwc()?;
            let [_, _, _, is] = shape(graph, input(0)?)?.nhwc()?;
            let outputs = is * outputs.checked_div(was)?;
            set_shape(graph, input(1)?, &[1, height, width, outputs])?;
            resize_bias(graph, input(2), outputs)?;
        }
        Op::FullyConnected(_) => {
            let &[units, inputs] = shape(before, input(1)?)?.dims() else {
                return None;
            };
            let rows = shape(before, input(0)?)?.elements()?.checked_div(inputs)?;
            let inputs = shape(graph, input(0)?)?.elements()?.checked_div(rows)?;
            let units = scaled(units, keep);
            set_shape(graph, input(1)?, &[units, inputs])?;
            resize_bias(graph, input(2), units)?;
        }
        Op::AveragePool2D(_) | Op::MaxPool2D(_) => fit_window(before, graph, id)?,
        Op::Reshape(_) => free_shape(graph, id)?,
        op if !is_followed(op.kind()) => return None,
        _ => fit_operands(before, graph, &node)?,
    }
    infer(graph, id)
}

/// Operators whose outputs follow from their inputs' shapes alone, whatever these are.
fn is_followed(kind: OpKind) -> bool {
    !matches!(kind.info().in_place, larun_ops::InPlace::Never)
        || matches!(
            kind,
            OpKind::Mean
                | OpKind::Softmax
                | OpKind::Concatenation
                | OpKind::Pad
                | OpKind::Add
                | OpKind::Mul
                | OpKind::Sub
        )
}

fn resize_bias(graph: &mut Graph, bias: Option<TensorId>, outputs: usize) -> Option<()> {
    match bias {
        Some(bias) => set_shape(graph, bias, &[outputs]),
        None => Some(()),
    }
}

/// A window over the whole image stays one.
fn fit_window(before: &Graph, graph: &mut Graph, id: NodeId) -> Option<()> {
    let input = graph.main()?.node(id)?.input(0)?;
    let [_, was_h, was_w, _] = shape(before, input)?.nhwc()?;
    let [_, height, width, _] = shape(graph, input)?.nhwc()?;
    let node = graph.main_mut()?.nodes.get_mut(id.index())?;
    let NodeOp::Known(Op::AveragePool2D(options) | Op::MaxPool2D(options)) = &mut node.op else {
        return None;
    };
    if options.filter_h as usize == was_h && options.filter_w as usize == was_w {
        options.filter_h = height as i32;
        options.filter_w = width as i32;
    }
    Some(())
}

/// The last dimension of a constant shape becomes what is left. Other shapes stay.
fn free_shape(graph: &mut Graph, id: NodeId) -> Option<()> {
    let node = graph.main()?.node(id)?.clone();
    if let Some(wanted) = node.input(1) {
        let tensor = graph.main()?.tensor(wanted)?;
        let mut bytes = graph.data(tensor).to_vec();
        if tensor.element_type != ElementType::Int32 || bytes.is_empty() {
            return None;
        }
        let last = bytes.len().checked_sub(4)?;
        let has_rest = bytes
            .chunks_exact(4)
            .any(|dim| dim == (-1i32).to_le_bytes());
        if !has_rest {
            bytes
                .get_mut(last..)?
                .copy_from_slice(&(-1i32).to_le_bytes());
        }
        let buffer = graph.add_buffer(bytes);
        graph.main_mut()?.tensor_mut(wanted)?.buffer = buffer;
        return Some(());
    }
    None
}

/// Constants that are spread over the channels are as long as these.
fn fit_operands(before: &Graph, graph: &mut Graph, node: &Node) -> Option<()> {
    let values = node.inputs.iter().flatten();
    let pairs: Vec<(usize, usize)> = values
        .filter_map(|&id| Some((shape(before, id)?.last(), shape(graph, id)?.last())))
        .collect();
    let changed = pairs.iter().find(|(was, is)| was != is).copied();
    let info = node.kind()?.info();
    for (index, id) in node.inputs.iter().enumerate() {
        let role = info.input(index).map(|operand| operand.role);
        let (Some(id), Some(Role::Activation)) = (id, role) else {
            continue;
        };
        let tensor = graph.main()?.tensor(*id)?;
        let mut dims = tensor.shape.dims().to_vec();
        if let (true, Some((was, is)), Some(last)) =
            (graph.is_constant(tensor), changed, dims.last_mut())
            && *last == was
        {
            *last = is;
            set_shape(graph, *id, &dims)?;
        }
    }
    Some(())
}
