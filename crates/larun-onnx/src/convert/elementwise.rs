//! Operators on each element, with operands stretched as in ONNX whatever way they lie.

use larun_graph::TensorId;
use larun_graph::ops::{
    AbsOptions, AddOptions, CosOptions, DivOptions, ElementType, EqualOptions, ExpOptions,
    GeluOptions, GreaterEqualOptions, GreaterOptions, HardSwishOptions, LeakyReluOptions,
    LessEqualOptions, LessOptions, LogicalAndOptions, LogicalNotOptions, LogicalOrOptions,
    MaximumMinimumOptions, MulOptions, NegOptions, NoOptions, Op, SelectV2Options, SquareOptions,
    SubOptions,
};

use super::{Converter, Value};
use crate::constant::{Constant, stretched};
use crate::error::Refusal;
use crate::node::OnnxNode;
use crate::view::{Slot, View};

/// An operator of two operands by its name in ONNX, and whether its output is a truth value.
fn binary_op(name: &str) -> Option<(Op, bool)> {
    Some(match name {
        "Add" | "Sum" | "Mean" => (Op::Add(AddOptions::default()), false),
        "Sub" => (Op::Sub(SubOptions::default()), false),
        "Mul" => (Op::Mul(MulOptions::default()), false),
        "Div" => (Op::Div(DivOptions::default()), false),
        "Max" => (Op::Maximum(MaximumMinimumOptions {}), false),
        "Min" => (Op::Minimum(MaximumMinimumOptions {}), false),
        "PRelu" => (Op::Prelu(NoOptions {}), false),
        "Equal" => (Op::Equal(EqualOptions {}), true),
        "Greater" => (Op::Greater(GreaterOptions {}), true),
        "Less" => (Op::Less(LessOptions {}), true),
        "GreaterOrEqual" => (Op::GreaterEqual(GreaterEqualOptions {}), true),
        "LessOrEqual" => (Op::LessEqual(LessEqualOptions {}), true),
        "And" => (Op::LogicalAnd(LogicalAndOptions {}), true),
        "Or" => (Op::LogicalOr(LogicalOrOptions {}), true),
        _ => return None,
    })
}

pub(super) fn binary(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    if node.op() == "Pow" {
        return power(converter, node);
    }
    let (op, truth) = binary_op(node.op()).ok_or("it has no counterpart")?;
    let operands = node
        .inputs()
        .map(|name| converter.value(name).cloned())
        .collect::<Result<Vec<_>, _>>()?;
    let count = operands.len();
    let mut operands = operands.into_iter();
    let mut value = operands.next().ok_or("it has no operands")?;
    for operand in operands {
        value = Value::View(combine(converter, op, truth, value, operand)?);
    }
    let Value::View(mut view) = value else {
        return Err(
            "its operands are all constants of kinds that are not computed here".to_owned(),
        );
    };
    if node.op() == "Mean" {
        view = scale(converter, &view, 1.0 / count as f32)?;
    }
    converter.set_output(node, view);
    Ok(())
}

/// `a op b`.
pub(super) fn combine(
    converter: &mut Converter<'_>,
    op: Op,
    truth: bool,
    a: Value,
    b: Value,
) -> Result<View, Refusal> {
    let (a, b, swapped) = match (a, b) {
        (Value::View(a), b) => (a, b, false),
        (a, Value::View(b)) => (b, a, true),
        (Value::Constant(a), b) => {
            let tensor = converter.net.constant("constant", &a)?;
            (View::plain(tensor, a.dims()), b, false)
        }
    };
    let b = match b {
        Value::Constant(constant) if stretches(constant.dims(), &a.dims()) => {
            let (x, y) = with_constant(converter, &a, &constant)?;
            return emit(converter, op, truth, swapped, x, y, &a);
        }
        Value::Constant(constant) => View::plain(
            converter.net.constant("constant", &constant)?,
            constant.dims(),
        ),
        Value::View(view) => view,
    };
    let dims = stretched(&a.dims(), &b.dims())?;
    if a.dims() == dims {
        let (x, y, like) = aligned(converter, &a, &b)?;
        return emit(converter, op, truth, swapped, x, y, &like);
    }
    if b.dims() == dims {
        let (y, x, like) = aligned(converter, &b, &a)?;
        return emit(converter, op, truth, swapped, x, y, &like);
    }
    let (x, y) = (converter.net.as_in_file(&a)?, converter.net.as_in_file(&b)?);
    let like = View::plain(x, &dims);
    emit(converter, op, truth, swapped, x, y, &like)
}

fn emit(
    converter: &mut Converter<'_>,
    op: Op,
    truth: bool,
    swapped: bool,
    x: TensorId,
    y: TensorId,
    like: &View,
) -> Result<View, Refusal> {
    let operands = if swapped { [y, x] } else { [x, y] };
    let element = if truth {
        ElementType::Bool
    } else {
        converter.net.element_type(x)
    };
    let output = converter.net.node_of(op, &operands, element)?;
    Ok(like.of(output))
}

/// Whether a shape stretches to another.
fn stretches(from: &[usize], to: &[usize]) -> bool {
    from.len() <= to.len()
        && from
            .iter()
            .rev()
            .zip(to.iter().rev())
            .all(|(&f, &t)| f == t || f == 1)
}

/// A value, and a constant in the order in which it lies.
fn with_constant(
    converter: &mut Converter<'_>,
    view: &View,
    constant: &Constant,
) -> Result<(TensorId, TensorId), Refusal> {
    if constant.len() == 1 {
        let single = constant.reshaped(&[1])?;
        return Ok((view.tensor, converter.net.constant("constant", &single)?));
    }
    let tensor = converter.net.one_axis_a_run(view)?;
    let missing = view.rank() - constant.dims().len();
    let size = |axis: usize| {
        axis.checked_sub(missing)
            .and_then(|i| constant.dims().get(i).copied())
            .unwrap_or(1)
    };
    // An axis for each run, in the order of the file; then in that of the memory.
    let (mut dims, mut order) = (Vec::new(), Vec::new());
    for axis in 0..view.rank() {
        for &run in view.axis(axis) {
            let run_size = view.runs().get(run).copied().unwrap_or(1);
            dims.push(if size(axis) == 1 { 1 } else { run_size });
            order.push(run);
        }
    }
    let mut permutation: Vec<usize> = (0..order.len()).collect();
    permutation.sort_by_key(|&place| order.get(place).copied());
    let constant = constant.reshaped(&dims)?.transposed(&permutation)?;
    // Axes of size 1 where the tensor has some, none in front.
    let mut sizes = constant.dims().iter().copied();
    let stored = converter.net.dims(tensor);
    let dims: Vec<usize> = stored
        .iter()
        .map(|&d| if d == 1 { 1 } else { sizes.next().unwrap_or(1) })
        .collect();
    let front = dims
        .iter()
        .take_while(|&&d| d == 1)
        .count()
        .min(dims.len().saturating_sub(1));
    let constant = constant.reshaped(dims.get(front..).unwrap_or(&[]))?;
    Ok((tensor, converter.net.constant("constant", &constant)?))
}

/// A value `a` of the shape of the result, and another in the same order.
fn aligned(
    converter: &mut Converter<'_>,
    a: &View,
    b: &View,
) -> Result<(TensorId, TensorId, View), Refusal> {
    if a.lies_like(b) {
        let dims = converter.net.dims(a.tensor);
        let other = converter.net.reshape(b.tensor, &dims)?;
        return Ok((a.tensor, other, a.clone()));
    }
    // With every axis in one piece, the other follows; else both lie as in the file.
    let Some(owners) = a.axis_of_runs() else {
        let tensor = converter.net.as_in_file(a)?;
        let other = converter.net.as_in_file(b)?;
        return Ok((tensor, other, View::plain(tensor, &a.dims())));
    };
    let tensor = converter.net.one_axis_a_run(a)?;
    let missing = a.rank() - b.rank();
    let mut owners = owners.into_iter();
    let slots: Vec<Slot> = converter
        .net
        .dims(tensor)
        .into_iter()
        .map(|size| match size {
            1 => None,
            _ => owners.next().and_then(|axis| axis.checked_sub(missing)),
        })
        .collect();
    let other = converter.net.arrange(b, &slots)?;
    Ok((tensor, other, a.clone()))
}

/// A value times a number.
pub(super) fn scale(
    converter: &mut Converter<'_>,
    view: &View,
    factor: f32,
) -> Result<View, Refusal> {
    with_number(converter, Op::Mul(MulOptions::default()), view, factor)
}

/// `x op number`.
pub(super) fn with_number(
    converter: &mut Converter<'_>,
    op: Op,
    view: &View,
    number: f32,
) -> Result<View, Refusal> {
    let number = converter.net.floats("constant", &[1], &[number])?;
    let output = converter.net.node(op, &[view.tensor, number])?;
    Ok(view.of(output))
}

fn power(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let exponent = converter
        .constant(node, 1, "exponent")?
        .and_then(|e| e.scalar());
    let exponent = exponent.ok_or("an exponent for each element has no counterpart")?;
    let view = converter.input(node, 0)?;
    let x = view.tensor;
    let square = Op::Square(SquareOptions {});
    let output = match exponent {
        1.0 => x,
        2.0 => converter.net.node(square, &[x])?,
        3.0 => {
            let squared = converter.net.node(square, &[x])?;
            converter
                .net
                .node(Op::Mul(MulOptions::default()), &[squared, x])?
        }
        0.5 => converter.net.node(Op::Sqrt(NoOptions {}), &[x])?,
        -0.5 => converter.net.node(Op::Rsqrt(NoOptions {}), &[x])?,
        -1.0 => return reciprocal(converter, node, &view),
        other => {
            return Err(format!(
                "the power {other} has no counterpart: 1, 2, 3, 0.5, -0.5 and -1 have"
            ));
        }
    };
    converter.set_output(node, view.of(output));
    Ok(())
}

fn reciprocal(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
    view: &View,
) -> Result<(), Refusal> {
    let one = converter.net.floats("one", &[1], &[1.0])?;
    let output = converter
        .net
        .node(Op::Div(DivOptions::default()), &[one, view.tensor])?;
    converter.set_output(node, view.of(output));
    Ok(())
}

pub(super) fn unary(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let op = match node.op() {
        "Relu" => Op::Relu(NoOptions {}),
        "Sigmoid" => Op::Logistic(NoOptions {}),
        "Tanh" => Op::Tanh(NoOptions {}),
        "Exp" => Op::Exp(ExpOptions {}),
        "Log" => Op::Log(NoOptions {}),
        "Sqrt" => Op::Sqrt(NoOptions {}),
        "Abs" => Op::Abs(AbsOptions {}),
        "Neg" => Op::Neg(NegOptions {}),
        "Floor" => Op::Floor(NoOptions {}),
        "Ceil" => Op::Ceil(NoOptions {}),
        "Round" => Op::Round(NoOptions {}),
        "Sin" => Op::Sin(NoOptions {}),
        "Cos" => Op::Cos(CosOptions {}),
        "HardSwish" => Op::HardSwish(HardSwishOptions {}),
        "Not" => Op::LogicalNot(LogicalNotOptions {}),
        _ => return Err("it has no counterpart".to_owned()),
    };
    let input = node.input(0).ok_or("it has no input")?;
    converter.map(node, input, op)
}

/// Activations that are made of others.
pub(super) fn composed(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let x = view.tensor;
    let net = &mut converter.net;
    let (add, mul) = (
        Op::Add(AddOptions::default()),
        Op::Mul(MulOptions::default()),
    );
    let output = match node.op() {
        "LeakyRelu" => {
            let alpha = node.float("alpha").unwrap_or(0.01);
            net.node(Op::LeakyRelu(LeakyReluOptions { alpha }), &[x])?
        }
        "Gelu" => {
            let approximate = node.text("approximate") == Some("tanh");
            net.node(Op::Gelu(GeluOptions { approximate }), &[x])?
        }
        "Elu" if node.float("alpha").unwrap_or(1.0) == 1.0 => {
            net.node(Op::Elu(NoOptions {}), &[x])?
        }
        "Elu" => exponential_unit(converter, x, node.float("alpha").unwrap_or(1.0), 1.0)?,
        "Selu" => {
            let (alpha, gamma) = (node.float("alpha"), node.float("gamma"));
            exponential_unit(
                converter,
                x,
                alpha.unwrap_or(1.673_263_2),
                gamma.unwrap_or(1.050_701),
            )?
        }
        "HardSigmoid" => {
            let slope = with_number(converter, mul, &view, node.float("alpha").unwrap_or(0.2))?;
            let shifted = with_number(converter, add, &slope, node.float("beta").unwrap_or(0.5))?;
            bounded(converter, &shifted, Some(0.0), Some(1.0))?.tensor
        }
        "Reciprocal" => return reciprocal(converter, node, &view),
        "Swish" => {
            let scaled = scale(converter, &view, node.float("alpha").unwrap_or(1.0))?;
            let gate = converter
                .net
                .node(Op::Logistic(NoOptions {}), &[scaled.tensor])?;
            converter.net.node(mul, &[x, gate])?
        }
        "Softplus" => softplus(converter, &view)?,
        "Mish" => {
            let soft = softplus(converter, &view)?;
            let gate = converter.net.node(Op::Tanh(NoOptions {}), &[soft])?;
            converter.net.node(mul, &[x, gate])?
        }
        "Softsign" => {
            let size = net.node(Op::Abs(AbsOptions {}), &[x])?;
            let above = with_number(converter, add, &view.of(size), 1.0)?;
            converter
                .net
                .node(Op::Div(DivOptions::default()), &[x, above.tensor])?
        }
        _ => return Err("the error function has a counterpart as part of GELU only".to_owned()),
    };
    converter.set_output(node, view.of(output));
    Ok(())
}

/// `gamma (max(x, 0) + alpha (exp(min(x, 0)) - 1))`.
fn exponential_unit(
    converter: &mut Converter<'_>,
    x: TensorId,
    alpha: f32,
    gamma: f32,
) -> Result<TensorId, Refusal> {
    let (mul, add) = (
        Op::Mul(MulOptions::default()),
        Op::Add(AddOptions::default()),
    );
    let net = &mut converter.net;
    let zero = net.floats("zero", &[1], &[0.0])?;
    let positive = net.node(Op::Relu(NoOptions {}), &[x])?;
    let negative = net.node(Op::Minimum(MaximumMinimumOptions {}), &[x, zero])?;
    let bent = net.node(Op::Elu(NoOptions {}), &[negative])?;
    let (a, b) = (
        net.floats("alpha", &[1], &[alpha * gamma])?,
        net.floats("gamma", &[1], &[gamma])?,
    );
    let bent = net.node(mul, &[bent, a])?;
    let straight = net.node(mul, &[positive, b])?;
    net.node(add, &[straight, bent])
}

/// `log(1 + exp(x))`, as `max(x, 0) + log(1 + exp(-|x|))`, which does not overflow.
fn softplus(converter: &mut Converter<'_>, view: &View) -> Result<TensorId, Refusal> {
    let net = &mut converter.net;
    let size = net.node(Op::Abs(AbsOptions {}), &[view.tensor])?;
    let minus = scale(converter, &view.of(size), -1.0)?;
    let small = converter
        .net
        .node(Op::Exp(ExpOptions {}), &[minus.tensor])?;
    let above = with_number(
        converter,
        Op::Add(AddOptions::default()),
        &view.of(small),
        1.0,
    )?;
    let log = converter.net.node(Op::Log(NoOptions {}), &[above.tensor])?;
    let positive = converter.net.node(Op::Relu(NoOptions {}), &[view.tensor])?;
    converter
        .net
        .node(Op::Add(AddOptions::default()), &[positive, log])
}

pub(super) fn clip(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let bound = |index, what| -> Result<Option<f32>, Refusal> {
        match converter.constant(node, index, what)? {
            None => Ok(None),
            Some(bound) => bound
                .scalar()
                .map(Some)
                .ok_or_else(|| format!("its {what} is no single value")),
        }
    };
    let (low, high) = (bound(1, "lower bound")?, bound(2, "upper bound")?);
    let view = converter.input(node, 0)?;
    let output = bounded(converter, &view, low, high)?;
    converter.set_output(node, output);
    Ok(())
}

/// A value held between bounds.
fn bounded(
    converter: &mut Converter<'_>,
    view: &View,
    low: Option<f32>,
    high: Option<f32>,
) -> Result<View, Refusal> {
    let high = high.filter(|&bound| bound < f32::MAX);
    let low = low.filter(|&bound| bound > f32::MIN);
    match (low, high) {
        (Some(0.0), Some(6.0)) => {
            let output = converter
                .net
                .node(Op::Relu6(NoOptions {}), &[view.tensor])?;
            Ok(view.of(output))
        }
        (Some(0.0), high) => {
            let output = converter.net.node(Op::Relu(NoOptions {}), &[view.tensor])?;
            bounded(converter, &view.of(output), None, high)
        }
        (low, high) => {
            let mut view = view.clone();
            if let Some(low) = low {
                view = with_number(converter, Op::Maximum(MaximumMinimumOptions {}), &view, low)?;
            }
            if let Some(high) = high {
                view = with_number(
                    converter,
                    Op::Minimum(MaximumMinimumOptions {}),
                    &view,
                    high,
                )?;
            }
            Ok(view)
        }
    }
}

pub(super) fn select(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let views = [
        converter.input(node, 0)?,
        converter.input(node, 1)?,
        converter.input(node, 2)?,
    ];
    let [condition, a, b] = [0, 1, 2].map(|i| views.get(i).map(View::dims).unwrap_or_default());
    let dims = stretched(&stretched(&condition, &a)?, &b)?;
    let mut tensors = Vec::with_capacity(3);
    for view in &views {
        tensors.push(converter.net.as_in_file(view)?);
    }
    let element = tensors
        .get(1)
        .map_or(ElementType::Float32, |&t| converter.net.element_type(t));
    let output = converter
        .net
        .node_of(Op::SelectV2(SelectV2Options {}), &tensors, element)?;
    converter.set_output(node, View::plain(output, &dims));
    Ok(())
}
