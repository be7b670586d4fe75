//! Depthwise separable convolutions in place of whole ones (Howard et al., "MobileNets", 2017).

use larun_graph::{Graph, Node, NodeId, Tensor};
use larun_ops::{Activation, Conv2DOptions, DepthwiseConv2DOptions, Op};

use super::edit::{infer, shape};

/// The three convolutions with most multiplications that could be separated, each with the graph in which it is.
pub(super) fn layers(graph: &Graph) -> Vec<(usize, Graph)> {
    let Ok(stats) = graph.stats() else {
        return Vec::new();
    };
    let mut separated: Vec<(u64, usize, Graph)> = stats
        .nodes
        .iter()
        .filter_map(|stats| {
            let changed = separate(graph, stats.node)?;
            Some((stats.macs, stats.node.index(), changed))
        })
        .collect();
    separated.sort_by_key(|(macs, ..)| core::cmp::Reverse(*macs));
    separated.truncate(3);
    let layers = separated.into_iter();
    layers.map(|(_, index, graph)| (index, graph)).collect()
}

/// A convolution over several taps and channels as a depthwise one and one over channels.
fn separate(graph: &Graph, id: NodeId) -> Option<Graph> {
    let node = graph.main()?.node(id)?;
    let &Op::Conv2D(options) = node.known()? else {
        return None;
    };
    let (input, filter) = (node.input(0)?, node.input(1)?);
    let [outputs, height, width, depth] = shape(graph, filter)?.nhwc()?;
    let [_, _, _, channels] = shape(graph, input)?.nhwc()?;
    // With few channels nothing is gained.
    if height * width == 1 || depth != channels || depth < 4 || outputs < 4 {
        return None;
    }
    let mut changed = graph.clone();
    let depthwise_filter = constant(&mut changed, filter, &[1, height, width, depth])?;
    let point_filter = constant(&mut changed, filter, &[outputs, 1, 1, depth])?;
    let mut between = changed.main()?.tensor(*node.outputs.first()?)?.clone();
    "between".clone_into(&mut between.name);
    let between = changed.main_mut()?.add_tensor(between);
    let depthwise = Node::new(
        Op::DepthwiseConv2D(DepthwiseConv2DOptions {
            padding: options.padding,
            stride_h: options.stride_h,
            stride_w: options.stride_w,
            dilation_h: options.dilation_h,
            dilation_w: options.dilation_w,
            depth_multiplier: 1,
            activation: Activation::Relu,
        }),
        &[input, depthwise_filter],
        &[between],
    );
    let point = Op::Conv2D(Conv2DOptions {
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        ..options
    });
    let mut inputs = vec![between, point_filter];
    inputs.extend(node.input(2));
    let point = Node::new(point, &inputs, &node.outputs);
    let nodes = &mut changed.main_mut()?.nodes;
    nodes.splice(id.index()..=id.index(), [depthwise, point]);
    infer(&mut changed, id)?;
    infer(&mut changed, NodeId::new(id.index() + 1))?;
    Some(changed)
}

/// A constant of another shape with the type of one that there is; smaller than that.
fn constant(
    graph: &mut Graph,
    like: larun_graph::TensorId,
    dims: &[usize],
) -> Option<larun_graph::TensorId> {
    let like = graph.main()?.tensor(like)?;
    let shape = larun_ops::Shape::new(dims)?;
    let bytes = like.element_type.byte_len(shape.elements()?)?;
    let bytes = bytes.min(graph.data(like).len().max(1));
    let tensor = Tensor {
        name: "separated".to_owned(),
        shape,
        element_type: like.element_type,
        quantization: like.quantization.clone(),
        ..Tensor::default()
    };
    let buffer = graph.add_buffer(vec![0; bytes]);
    let subgraph = graph.main_mut()?;
    Some(subgraph.add_tensor(Tensor { buffer, ..tensor }))
}
