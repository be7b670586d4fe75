//! Operators on constants, computed while importing: what exporters write to compute shapes.

use ndarray::{ArrayD, Axis, IxDyn, Zip, concatenate};

use crate::constant::{Constant, check_size, stretched};
use crate::convert::shapes::{flat, squeezed, target, unsqueezed};
use crate::error::Refusal;
use crate::node::{OnnxNode, axis};

type Inputs = [Option<Constant>];

/// The outputs of a node whose inputs are constants; `None` for an operator that is not computed here.
pub(crate) fn evaluate(
    node: OnnxNode<'_>,
    inputs: &Inputs,
) -> Result<Option<Vec<Constant>>, Refusal> {
    let one = |constant: Constant| Ok(Some(vec![constant]));
    let first = || input(inputs, 0);
    match node.op() {
        "Identity" | "Dropout" => one(first()?.clone()),
        "Cast" => one(cast(first()?, node.int("to").unwrap_or(1))),
        "Shape" => Ok(None),
        "Mod" if node.flag("fmod") => one(binary("Remainder", first()?, input(inputs, 1)?)?),
        "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" | "Pow" | "Mod" | "Equal" | "Less"
        | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" => {
            one(binary(node.op(), first()?, input(inputs, 1)?)?)
        }
        "Neg" | "Abs" | "Sqrt" | "Exp" | "Log" | "Floor" | "Ceil" | "Not" | "Reciprocal" => {
            Ok(unary(node.op(), first()?).map(|c| vec![c]))
        }
        "Where" => one(select(first()?, input(inputs, 1)?, input(inputs, 2)?)?),
        "Gather" => one(gather(
            first()?,
            input(inputs, 1)?,
            node.int("axis").unwrap_or(0),
        )?),
        "Concat" => one(concat(inputs, node.int("axis").unwrap_or(0))?),
        "Slice" => one(slice(node, inputs)?),
        "Unsqueeze" => {
            let axes = list(node, inputs, 1, "axes")?.ok_or("it names no axes")?;
            let constant = first()?;
            one(constant.reshaped(&unsqueezed(constant.dims(), &axes)?)?)
        }
        "Squeeze" => {
            let axes = list(node, inputs, 1, "axes")?;
            let constant = first()?;
            one(constant.reshaped(&squeezed(constant.dims(), axes.as_deref())?)?)
        }
        "Reshape" => {
            let constant = first()?;
            let wanted = input(inputs, 1)?.to_ints()?;
            one(constant.reshaped(&target(constant.dims(), &wanted, node.flag("allowzero"))?)?)
        }
        "Flatten" => {
            let constant = first()?;
            one(constant.reshaped(&flat(constant.dims(), node.int("axis").unwrap_or(1))?)?)
        }
        "Transpose" => {
            let constant = first()?;
            let order = node
                .sizes("perm")?
                .unwrap_or_else(|| (0..constant.dims().len()).rev().collect());
            one(constant.transposed(&order)?)
        }
        "Expand" => {
            let wanted = sizes(&input(inputs, 1)?.to_ints()?)?;
            one(expand(first()?, &wanted)?)
        }
        "ConstantOfShape" => {
            let dims = sizes(&first()?.to_ints()?)?;
            let value = match node.tensor("value") {
                Some(tensor) => crate::constant::read(tensor, None).map_err(|e| e.to_string())?,
                None => Constant::floats(&[1], vec![0.0]).ok_or("a zero is one value")?,
            };
            one(value.reshaped(&[])?.broadcast(&dims)?)
        }
        "Range" => one(range(inputs)?),
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => {
            Ok(reduce(node, inputs)?.map(|c| vec![c]))
        }
        _ => Ok(None),
    }
}

fn input(inputs: &Inputs, index: usize) -> Result<&Constant, Refusal> {
    inputs
        .get(index)
        .and_then(Option::as_ref)
        .ok_or_else(|| format!("input {index} is missing"))
}

fn list(
    node: OnnxNode<'_>,
    inputs: &Inputs,
    index: usize,
    attribute: &str,
) -> Result<Option<Vec<i64>>, Refusal> {
    match inputs.get(index).and_then(Option::as_ref) {
        Some(constant) => constant.to_ints().map(Some),
        None => Ok(node.ints(attribute).map(<[i64]>::to_vec)),
    }
}

/// Sizes from integers, none negative.
pub(crate) fn sizes(values: &[i64]) -> Result<Vec<usize>, Refusal> {
    let sizes = values
        .iter()
        .map(|&v| usize::try_from(v).ok())
        .collect::<Option<Vec<_>>>();
    sizes.ok_or_else(|| format!("{values:?} hold a negative size"))
}

fn cast(constant: &Constant, to: i64) -> Constant {
    match (constant, to) {
        (Constant::Float(array), 2..=7 | 12 | 13) => Constant::Int(array.mapv(|v| v as i64)),
        (Constant::Float(array), 9) => Constant::Int(array.mapv(|v| i64::from(v != 0.0))),
        (Constant::Int(array), 1 | 10 | 11 | 16) => Constant::Float(array.mapv(|v| v as f32)),
        (Constant::Int(array), 9) => Constant::Int(array.mapv(|v| i64::from(v != 0))),
        _ => constant.clone(),
    }
}

fn binary(op: &str, a: &Constant, b: &Constant) -> Result<Constant, Refusal> {
    if let (Constant::Int(a), Constant::Int(b)) = (a, b) {
        let compute: fn(i64, i64) -> Option<i64> = match op {
            "Add" => i64::checked_add,
            "Sub" => i64::checked_sub,
            "Mul" => i64::checked_mul,
            "Div" => i64::checked_div,
            "Mod" => floored_remainder,
            "Remainder" => i64::checked_rem,
            "Min" => |a, b| Some(a.min(b)),
            "Max" => |a, b| Some(a.max(b)),
            "Pow" => |a, b| a.checked_pow(u32::try_from(b).ok()?),
            "Equal" => |a, b| Some(i64::from(a == b)),
            "Less" => |a, b| Some(i64::from(a < b)),
            "LessOrEqual" => |a, b| Some(i64::from(a <= b)),
            "GreaterOrEqual" => |a, b| Some(i64::from(a >= b)),
            "And" => |a, b| Some(i64::from(a != 0 && b != 0)),
            "Or" => |a, b| Some(i64::from(a != 0 || b != 0)),
            _ => |a, b| Some(i64::from(a > b)),
        };
        let values = zip(a, b, compute)?;
        let computed = values.iter().copied().collect::<Option<Vec<i64>>>();
        let computed =
            computed.ok_or("the arithmetic of its constants overflows or divides by zero")?;
        return Constant::ints(values.shape(), computed)
            .ok_or_else(|| "it has no shape".to_owned());
    }
    let (a, b) = (a.to_floats(), b.to_floats());
    let compute: fn(f32, f32) -> f32 = match op {
        "Add" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" => |a, b| a / b,
        // ONNX defines only the remainder of the sign of its first operand for real numbers.
        "Mod" | "Remainder" => |a, b| a % b,
        "Min" => f32::min,
        "Max" => f32::max,
        "Pow" => f32::powf,
        "Equal" => |a, b| f32::from(a == b),
        "Less" => |a, b| f32::from(a < b),
        "LessOrEqual" => |a, b| f32::from(a <= b),
        "GreaterOrEqual" => |a, b| f32::from(a >= b),
        "And" => |a, b| f32::from(a != 0.0 && b != 0.0),
        "Or" => |a, b| f32::from(a != 0.0 || b != 0.0),
        _ => |a, b| f32::from(a > b),
    };
    let values = zip(&a, &b, compute)?;
    let arithmetic = matches!(
        op,
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Remainder" | "Min" | "Max" | "Pow"
    );
    Ok(match arithmetic {
        true => Constant::Float(values),
        false => Constant::Int(values.mapv(|v| v as i64)),
    })
}

/// The remainder with the sign of the divisor, as `Mod` has it for integers; `None` for a divisor of 0.
fn floored_remainder(a: i64, b: i64) -> Option<i64> {
    let remainder = a.checked_rem(b)?;
    Some(match remainder != 0 && (remainder < 0) != (b < 0) {
        true => remainder + b,
        false => remainder,
    })
}

/// Two arrays element by element, stretched.
fn zip<A: Copy, B: Copy, T>(
    a: &ArrayD<A>,
    b: &ArrayD<B>,
    compute: impl Fn(A, B) -> T,
) -> Result<ArrayD<T>, Refusal> {
    let dims = stretched(a.shape(), b.shape())?;
    check_size(&dims)?;
    let (x, y) = (a.broadcast(IxDyn(&dims)), b.broadcast(IxDyn(&dims)));
    let (Some(x), Some(y)) = (x, y) else {
        return Err(format!(
            "constants of shapes {:?} and {:?} do not go together",
            a.shape(),
            b.shape()
        ));
    };
    Ok(Zip::from(x).and(y).map_collect(|&a, &b| compute(a, b)))
}

fn unary(op: &str, constant: &Constant) -> Option<Constant> {
    Some(match (op, constant) {
        ("Neg", Constant::Int(a)) => Constant::Int(a.mapv(i64::wrapping_neg)),
        ("Abs", Constant::Int(a)) => Constant::Int(a.mapv(i64::wrapping_abs)),
        ("Not", Constant::Int(a)) => Constant::Int(a.mapv(|v| i64::from(v == 0))),
        ("Floor" | "Ceil", Constant::Int(_)) => constant.clone(),
        (op, Constant::Float(a)) => {
            let compute: fn(f32) -> f32 = match op {
                "Neg" => |v| -v,
                "Abs" => f32::abs,
                "Sqrt" => f32::sqrt,
                "Exp" => f32::exp,
                "Log" => f32::ln,
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Reciprocal" => f32::recip,
                _ => return None,
            };
            Constant::Float(a.mapv(compute))
        }
        _ => return None,
    })
}

fn select(condition: &Constant, a: &Constant, b: &Constant) -> Result<Constant, Refusal> {
    let Constant::Int(condition) = condition else {
        return Err("its condition holds no truth values".to_owned());
    };
    if let (Constant::Int(a), Constant::Int(b)) = (a, b) {
        let pairs = zip(a, b, |a, b| (a, b))?;
        return Ok(Constant::Int(zip(condition, &pairs, |c, (a, b)| {
            if c != 0 { a } else { b }
        })?));
    }
    let pairs = zip(&a.to_floats(), &b.to_floats(), |a, b| (a, b))?;
    Ok(Constant::Float(zip(condition, &pairs, |c, (a, b)| {
        if c != 0 { a } else { b }
    })?))
}

fn gather(constant: &Constant, indices: &Constant, along: i64) -> Result<Constant, Refusal> {
    let dims = constant.dims().to_vec();
    let along = axis(along, dims.len())?;
    let size = dims.get(along).copied().unwrap_or(1);
    let counted = indices
        .to_ints()?
        .into_iter()
        .map(|i| axis(i, size))
        .collect::<Result<Vec<_>, _>>()?;
    let mut wanted = dims.get(..along).unwrap_or(&[]).to_vec();
    wanted.extend(indices.dims());
    wanted.extend(dims.iter().skip(along + 1));
    check_size(&wanted)?;
    let picked = match constant {
        Constant::Float(array) => Constant::Float(array.select(Axis(along), &counted)),
        Constant::Int(array) => Constant::Int(array.select(Axis(along), &counted)),
    };
    picked.reshaped(&wanted)
}

fn concat(inputs: &Inputs, along: i64) -> Result<Constant, Refusal> {
    let parts: Vec<&Constant> = inputs.iter().flatten().collect();
    let rank = parts.first().map_or(0, |c| c.dims().len());
    let along = axis(along, rank)?;
    if parts.iter().any(|c| c.dims().len() != rank) {
        return Err("its inputs have different numbers of axes".to_owned());
    }
    let error = |e: ndarray::ShapeError| format!("its inputs do not go together: {e}");
    let ints: Option<Vec<_>> = parts
        .iter()
        .map(|c| match c {
            Constant::Int(a) => Some(a.view()),
            Constant::Float(_) => None,
        })
        .collect();
    if let Some(ints) = ints {
        return Ok(Constant::Int(
            concatenate(Axis(along), &ints).map_err(error)?,
        ));
    }
    let floats: Vec<_> = parts.iter().map(|c| c.to_floats()).collect();
    let views: Vec<_> = floats.iter().map(|array| array.view()).collect();
    Ok(Constant::Float(
        concatenate(Axis(along), &views).map_err(error)?,
    ))
}

fn slice(node: OnnxNode<'_>, inputs: &Inputs) -> Result<Constant, Refusal> {
    let constant = input(inputs, 0)?;
    let starts = list(node, inputs, 1, "starts")?.ok_or("it has no starts")?;
    let ends = list(node, inputs, 2, "ends")?.ok_or("it has no ends")?;
    let axes = list(node, inputs, 3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(node, inputs, 4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    let mut result = constant.clone();
    for (((&start, &end), &of), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let along = axis(of, constant.dims().len())?;
        let size = result.dims().get(along).copied().unwrap_or(1) as i64;
        let counted = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        let (mut at, mut picked) = (counted(start), Vec::new());
        match step {
            1.. => {
                at = at.clamp(0, size);
                while at < counted(end).clamp(0, size) {
                    picked.push(at as usize);
                    at = at.saturating_add(step);
                }
            }
            0 => return Err("a slice has a step of 0".to_owned()),
            _ => {
                at = at.clamp(-1, size - 1);
                while at > counted(end).clamp(-1, size - 1) {
                    picked.push(at as usize);
                    at = at.saturating_add(step);
                }
            }
        }
        result = match &result {
            Constant::Float(array) => Constant::Float(array.select(Axis(along), &picked)),
            Constant::Int(array) => Constant::Int(array.select(Axis(along), &picked)),
        };
    }
    Ok(result)
}

fn expand(constant: &Constant, wanted: &[usize]) -> Result<Constant, Refusal> {
    let dims = stretched(constant.dims(), wanted)?;
    constant.broadcast(&dims)
}

fn range(inputs: &Inputs) -> Result<Constant, Refusal> {
    let [start, limit, delta] = [input(inputs, 0)?, input(inputs, 1)?, input(inputs, 2)?]
        .map(|c| c.scalar().map(f64::from));
    let (Some(start), Some(limit), Some(delta)) = (start, limit, delta) else {
        return Err("its bounds are not single values".to_owned());
    };
    let count = ((limit - start) / delta).ceil();
    if !count.is_finite() {
        return Err("its step is zero".to_owned());
    }
    let count = count.max(0.0) as usize;
    check_size(&[count])?;
    let values = (0..count).map(|i| start + i as f64 * delta);
    let whole = matches!(input(inputs, 0)?, Constant::Int(_));
    let made = match whole {
        true => Constant::ints(&[count], values.map(|v| v as i64).collect()),
        false => Constant::floats(&[count], values.map(|v| v as f32).collect()),
    };
    made.ok_or_else(|| "it has no shape".to_owned())
}

/// Reductions of integers, which shapes are computed with.
fn reduce(node: OnnxNode<'_>, inputs: &Inputs) -> Result<Option<Constant>, Refusal> {
    let Constant::Int(array) = input(inputs, 0)? else {
        return Ok(None);
    };
    let rank = array.ndim();
    let axes = match list(node, inputs, 1, "axes")? {
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    let compute: fn(i64, i64) -> i64 = match node.op() {
        "ReduceProd" => i64::wrapping_mul,
        "ReduceSum" => i64::wrapping_add,
        "ReduceMax" => i64::max,
        _ => i64::min,
    };
    let mut result = array.clone();
    for &along in &axes {
        let parts = result.axis_iter(Axis(along));
        let Some(reduced) = parts
            .map(|part| part.to_owned())
            .reduce(|a, b| Zip::from(&a).and(&b).map_collect(|&a, &b| compute(a, b)))
        else {
            return Err("it reduces nothing".to_owned());
        };
        result = reduced.insert_axis(Axis(along));
    }
    let reduced = Constant::Int(result);
    if node.int("keepdims").unwrap_or(1) != 0 {
        return Ok(Some(reduced));
    }
    let kept: Vec<usize> = reduced
        .dims()
        .iter()
        .enumerate()
        .filter(|(a, _)| !axes.contains(a))
        .map(|(_, &d)| d)
        .collect();
    reduced.reshaped(&kept).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signs of Python's `%`, which ONNX takes for integers.
    #[test]
    fn remainders_have_the_sign_of_the_divisor() {
        for (a, b, expected) in [(7, 3, 1), (-7, 3, 2), (7, -3, -2), (-7, -3, -1), (6, -3, 0)] {
            assert_eq!(floored_remainder(a, b), Some(expected), "{a} % {b}");
        }
        assert_eq!(floored_remainder(1, 0), None);
        assert_eq!(floored_remainder(i64::MIN, -1), None);
    }
}
