//! What each operator does with channels: computes, passes, joins, cuts or mixes them.

use larun_graph::ops::{Op, OpKind};
use larun_graph::{Node, TensorId};

use super::trace::{Blocked, Tracer};
use super::{moves, parts};

/// Ties the channels of a node's operands, or says why they have to stay.
pub(crate) fn follow(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let op = node.known().ok_or("LARUN does not know the operator")?;
    match op.kind() {
        OpKind::Conv2D => conv(tracer, node),
        OpKind::DepthwiseConv2D => depthwise(tracer, node),
        OpKind::FullyConnected => dense(tracer, node),
        OpKind::TransposeConv => transpose_conv(tracer, node),
        OpKind::UnidirectionalSequenceLstm => recurrent(tracer, node, 1..5),
        OpKind::Svdf => recurrent(tracer, node, 1..2),
        OpKind::BatchNorm => batch_norm(tracer, node),
        OpKind::Add
        | OpKind::Sub
        | OpKind::Mul
        | OpKind::Div
        | OpKind::Maximum
        | OpKind::Minimum
        | OpKind::SquaredDifference
        | OpKind::FloorDiv
        | OpKind::FloorMod
        | OpKind::Prelu
        | OpKind::AddN => elementwise(tracer, node),
        OpKind::Relu
        | OpKind::Relu6
        | OpKind::LeakyRelu
        | OpKind::Elu
        | OpKind::Gelu
        | OpKind::HardSwish
        | OpKind::Logistic
        | OpKind::Tanh
        | OpKind::Abs
        | OpKind::Ceil
        | OpKind::Cos
        | OpKind::Exp
        | OpKind::Floor
        | OpKind::Log
        | OpKind::Neg
        | OpKind::Round
        | OpKind::Rsqrt
        | OpKind::Sin
        | OpKind::Sqrt
        | OpKind::Square
        | OpKind::ZerosLike
        | OpKind::Cast
        | OpKind::Quantize
        | OpKind::Dequantize => tracer.pass(input(node, 0)?, output(node, 0)?),
        OpKind::MaxPool2D
        | OpKind::AveragePool2D
        | OpKind::L2Pool2D
        | OpKind::ResizeBilinear
        | OpKind::ResizeNearestNeighbor
        | OpKind::SpaceToBatchNd
        | OpKind::BatchToSpaceNd => innermost(tracer, node),
        OpKind::Pad | OpKind::PadV2 => moves::pad(tracer, node),
        OpKind::MirrorPad => moves::mirror_pad(tracer, node),
        OpKind::Mean | OpKind::Sum | OpKind::ReduceMax | OpKind::ReduceMin => {
            moves::reduce(tracer, node, op)
        }
        OpKind::Reshape | OpKind::Squeeze | OpKind::ExpandDims => moves::reshape(tracer, node),
        OpKind::Transpose => moves::transpose(tracer, node),
        OpKind::SpaceToDepth => moves::space_to_depth(tracer, node),
        OpKind::DepthToSpace => moves::depth_to_space(tracer, node),
        OpKind::Concatenation => parts::concatenation(tracer, node, op),
        OpKind::Split => parts::split(tracer, node),
        OpKind::SplitV => parts::split_v(tracer, node),
        OpKind::Slice => parts::slice(tracer, node),
        OpKind::StridedSlice => parts::strided_slice(tracer, node, op),
        OpKind::Pack => parts::pack(tracer, node, op),
        OpKind::Unpack => parts::unpack(tracer, node, op),
        OpKind::Softmax | OpKind::LogSoftmax | OpKind::L2Normalization => {
            Err("every result depends on all channels")
        }
        _ => Err("channels cannot be followed through this operator"),
    }
}

pub(crate) fn input(node: &Node, index: usize) -> Result<TensorId, Blocked> {
    node.input(index).ok_or("it lacks an operand")
}

pub(crate) fn output(node: &Node, index: usize) -> Result<TensorId, Blocked> {
    node.outputs.get(index).copied().ok_or("it lacks a result")
}

/// A constant of trained weights.
fn weights(tracer: &mut Tracer<'_>, node: &Node, index: usize) -> Result<TensorId, Blocked> {
    let id = input(node, index)?;
    if !tracer.is_constant(id) {
        return Err("its weights are computed");
    }
    tracer.atoms.zeroed.insert(id);
    Ok(id)
}

/// Ties the bias, where there is one, to output channels.
fn bias(tracer: &mut Tracer<'_>, node: &Node, index: usize) -> Result<(), Blocked> {
    if node.input(index).is_none() {
        return Ok(());
    }
    let bias = weights(tracer, node, index)?;
    let result = tracer.axis(output(node, 0)?)?;
    tracer.tie((bias, 0), result)
}

/// The innermost axis of a value in NHWC.
fn channels_last(tracer: &mut Tracer<'_>, id: TensorId) -> Result<(TensorId, usize), Blocked> {
    let axis = tracer.axis(id)?;
    match axis.1 + 1 == tracer.shape(id).rank() {
        true => Ok(axis),
        false => Err("it works along the axis of the channels"),
    }
}

fn conv(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let filter = weights(tracer, node, 1)?;
    let from = channels_last(tracer, input(node, 0)?)?;
    if tracer.size(from) != tracer.size((filter, 3)) {
        return Err("it is a grouped convolution, whose groups must stay alike");
    }
    let to = tracer.give_axis(output(node, 0)?, 3)?;
    tracer.tie((filter, 3), from)?;
    tracer.tie((filter, 0), to)?;
    bias(tracer, node, 2)
}

fn depthwise(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let filter = weights(tracer, node, 1)?;
    let from = channels_last(tracer, input(node, 0)?)?;
    let to = tracer.give_axis(output(node, 0)?, 3)?;
    tracer.tie((filter, 3), to)?;
    let (inputs, outputs) = (tracer.size(from), tracer.size(to));
    let multiplier = outputs
        .checked_div(inputs)
        .filter(|m| m * inputs == outputs);
    let multiplier = multiplier.filter(|&m| m > 0);
    let multiplier = multiplier.ok_or("its channels are no multiple of its input's")?;
    let pairs: Vec<_> = (0..outputs)
        .map(|index| (index / multiplier, index))
        .collect();
    tracer.tie_pairs(from, to, &pairs)?;
    bias(tracer, node, 2)
}

fn dense(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let matrix = weights(tracer, node, 1)?;
    let result = output(node, 0)?;
    let from = tracer.axis(input(node, 0)?)?;
    // A dense layer reads its input as rows, however many dimensions it has.
    let pairs = moves::flattened(tracer, from, tracer.size((matrix, 1)));
    let last = tracer.shape(result).rank().checked_sub(1);
    let to = tracer.give_axis(result, last.ok_or("its result is a single value")?)?;
    tracer.tie((matrix, 0), to)?;
    tracer.tie_pairs(from, (matrix, 1), &pairs?)?;
    bias(tracer, node, 2)
}

fn transpose_conv(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    tracer.ints(node, 0)?;
    let filter = weights(tracer, node, 1)?;
    let from = channels_last(tracer, input(node, 2)?)?;
    let to = tracer.give_axis(output(node, 0)?, 3)?;
    tracer.tie((filter, 3), from)?;
    tracer.tie((filter, 0), to)?;
    bias(tracer, node, 3)
}

/// A recurrent layer: the channels of its input can go, its units cannot, since its state has as many.
fn recurrent(
    tracer: &mut Tracer<'_>,
    node: &Node,
    readers: core::ops::Range<usize>,
) -> Result<(), Blocked> {
    let from = channels_last(tracer, input(node, 0)?)?;
    for operand in readers {
        if node.input(operand).is_some() {
            let matrix = weights(tracer, node, operand)?;
            tracer.tie((matrix, 1), from)?;
        }
    }
    let result = output(node, 0)?;
    tracer.axis(result).map(|_| ())
}

fn batch_norm(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let from = channels_last(tracer, input(node, 0)?)?;
    tracer.pass(from.0, output(node, 0)?)?;
    for operand in 1..5 {
        let id = input(node, operand)?;
        if !tracer.is_constant(id) {
            return Err("its statistics are computed");
        }
        tracer.tie((id, 0), from)?;
        // Statistics of a channel that is zero do not matter: its scale and offset are.
        if operand < 3 {
            tracer.atoms.zeroed.insert(id);
        }
    }
    Ok(())
}

/// Operators that look at windows of the inner axes and pass channels, which must be innermost.
fn innermost(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let from = channels_last(tracer, input(node, 0)?)?;
    tracer.pass(from.0, output(node, 0)?)
}

/// Operators on elements at the same place, with broadcasting.
fn elementwise(tracer: &mut Tracer<'_>, node: &Node) -> Result<(), Blocked> {
    let result = output(node, 0)?;
    let rank = tracer.shape(result).rank();
    let operands: Vec<TensorId> = node.inputs.iter().copied().flatten().collect();
    let values: Vec<TensorId> = operands
        .iter()
        .copied()
        .filter(|&id| !tracer.is_constant(id))
        .collect();
    // The axis that the channels of an operand have in the result: shapes are aligned at the innermost axis.
    let mut axis = None;
    for &id in &values {
        if tracer.shape(id).rank() == 0 {
            continue;
        }
        let (_, own) = tracer.axis(id)?;
        let place = own + rank - tracer.shape(id).rank();
        // An operand of one channel is broadcast along the others' axis; its own channel stays.
        if axis.is_some_and(|axis| axis != place) {
            return Err("its operands have their channels along different axes");
        }
        axis = Some(place);
    }
    let axis = axis.ok_or("it computes with single values")?;
    let to = tracer.give_axis(result, axis)?;
    for id in operands {
        let missing = rank - tracer.shape(id).rank();
        let Some(own) = axis.checked_sub(missing) else {
            continue;
        };
        match tracer.size((id, own)) {
            1 => {}
            size if size == tracer.size(to) => tracer.tie((id, own), to)?,
            _ => return Err("its operands have different numbers of channels"),
        }
    }
    Ok(())
}

/// The axis that an option names.
pub(crate) fn option_axis(op: &Op) -> Option<i32> {
    match op {
        Op::Concatenation(options) => Some(options.axis),
        Op::Pack(options) => Some(options.axis),
        Op::Unpack(options) => Some(options.axis),
        _ => None,
    }
}
