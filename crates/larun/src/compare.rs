//! Two models, or one under several roundings, side by side: how far outputs and inner values are apart.

use larun_micro::{Interpreter, Options};
use larun_quant::fixed_point::Rounding;
use larun_zoo::npy::NpyArray;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::runtime::run::{check_sets, feed_set};
use crate::runtime::trace::{TracedTensor, Tracer, real_values};
use crate::{Error, Model};

/// How two tensors of the same name differ over all input sets. Errors are the second's against the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The tensor's name in the first model.
    pub name: String,
    /// The node of the first model that gives it, and its operator; of an output, its number.
    pub at: String,
    /// Its element type in the first model, and in the second.
    pub element_types: [String; 2],
    /// Elements compared.
    pub elements: u64,
    /// Elements whose values differ.
    pub differing: u64,
    /// The largest difference of real values.
    pub largest: f64,
    /// Signal to quantisation noise in decibels, `None` where nothing differs.
    pub sqnr_db: Option<f64>,
    /// The share of rows along the innermost axis whose largest value is in the same place.
    pub argmax_agreement: f64,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Input sets that were run.
    pub sets: usize,
    /// Whether inputs were made up, because no data was given.
    pub made_up_inputs: bool,
    /// The outputs, in order.
    pub outputs: Vec<Difference>,
    /// The values that both models compute under the same name, in the first's order.
    pub layers: Vec<Difference>,
    /// The first of those that differs.
    pub first_difference: Option<Difference>,
}

impl Comparison {
    /// Whether every output is the same in both.
    pub fn is_equal(&self) -> bool {
        self.outputs.iter().all(|output| output.differing == 0)
    }

    /// Whether every output has one element type in both: then their bytes should be the same.
    pub fn same_element_types(&self) -> bool {
        let mut outputs = self.outputs.iter();
        outputs.all(|output| output.element_types[0] == output.element_types[1])
    }
}

/// A model under a rounding against itself under TensorFlow Lite Micro's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundingComparison {
    /// The other rounding.
    pub rounding: String,
    /// How far values move.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Input sets where no data is given.
const MADE_UP_SETS: usize = 16;

/// Compares `b` with `a` on arrays whose leading axis counts input sets, one array an input; none: on made-up inputs.
///
/// # Errors
/// When a model cannot be run, the models' inputs or outputs do not correspond, or the arrays do not suit them.
pub fn compare(a: &Model, b: &Model, data: &[NpyArray]) -> Result<Comparison, Error> {
    compare_with(a, Rounding::TflmDouble, b, Rounding::TflmDouble, data)
}

/// Compares a model under every other rounding with itself under TensorFlow Lite Micro's.
///
/// # Errors
/// As [`compare`].
pub fn compare_roundings(
    model: &Model,
    data: &[NpyArray],
) -> Result<Vec<RoundingComparison>, Error> {
    let others = [
        (Rounding::Single, "single rounding"),
        (Rounding::XnnFloat, "XNNPACK's float"),
    ];
    let compared = others.map(|(rounding, name)| {
        let comparison = compare_with(model, Rounding::TflmDouble, model, rounding, data)?;
        Ok(RoundingComparison {
            rounding: name.to_owned(),
            comparison,
        })
    });
    compared.into_iter().collect()
}

fn compare_with(
    a: &Model,
    a_rounding: Rounding,
    b: &Model,
    b_rounding: Rounding,
    data: &[NpyArray],
) -> Result<Comparison, Error> {
    let (mut a_arena, mut b_arena) = (a.arena()?, b.arena()?);
    let options = |rounding| Options {
        rounding,
        ..Options::default()
    };
    let mut left = Side {
        model: a,
        interpreter: a.interpreter_with(&mut a_arena, options(a_rounding))?,
        tracer: Tracer::new(a)?,
    };
    let mut right = Side {
        model: b,
        interpreter: b.interpreter_with(&mut b_arena, options(b_rounding))?,
        tracer: Tracer::new(b)?,
    };
    check_ports(&left, &right)?;
    let made_up = match data.is_empty() {
        true => Some(made_up_inputs(&left)?),
        false => None,
    };
    let inputs = made_up.as_deref().unwrap_or(data);
    let sets = check_sets(a, &left.interpreter, inputs)?;
    check_sets(b, &right.interpreter, inputs)?;

    let mut tally = Tally::default();
    for set in 0..sets {
        let (a, b) = (left.run(inputs, set, sets)?, right.run(inputs, set, sets)?);
        tally.add(&a, &b);
    }
    let layers: Vec<_> = tally.layers.iter().map(Sums::difference).collect();
    Ok(Comparison {
        sets,
        made_up_inputs: made_up.is_some(),
        outputs: tally.outputs.iter().map(Sums::difference).collect(),
        first_difference: layers.iter().find(|layer| layer.differing > 0).cloned(),
        layers,
    })
}

/// One of the two models.
struct Side<'m> {
    model: &'m Model,
    interpreter: Interpreter<'m, 'm>,
    tracer: Tracer,
}

/// What an inference gave.
struct Values {
    layers: Vec<TracedTensor>,
    outputs: Vec<TracedTensor>,
}

impl Side<'_> {
    fn run(&mut self, inputs: &[NpyArray], set: usize, sets: usize) -> Result<Values, Error> {
        feed_set(self.model, &mut self.interpreter, inputs, set, sets)?;
        self.interpreter
            .invoke_observed(&mut self.tracer)
            .map_err(|e| self.model.run_error(e))?;
        let outputs = (0..self.interpreter.output_count()).map(|index| self.output(index));
        let outputs = outputs.collect::<Result<_, _>>()?;
        Ok(Values {
            layers: self.tracer.take(),
            outputs,
        })
    }

    fn output(&self, index: usize) -> Result<TracedTensor, Error> {
        let run = |e| self.model.run_error(e);
        let info = self.interpreter.output_info(index).map_err(run)?;
        let affine = info.scale_and_zero_point();
        Ok(TracedTensor {
            node: index,
            op: "output",
            tensor: info.index,
            name: info.name.to_string(),
            element_type: info.element_type,
            shape: info.shape.dims().to_vec(),
            affine: affine.map(|(scale, zero_point)| larun_quant::Affine::new(scale, zero_point)),
            bytes: self.interpreter.output_bytes(index).map_err(run)?.to_vec(),
        })
    }
}

/// Inputs and outputs correspond by their order; their elements may be of different types.
fn check_ports(a: &Side<'_>, b: &Side<'_>) -> Result<(), Error> {
    let mismatch = |what: &str, a: String, b: String| {
        Err(Error::Usage(format!(
            "the models do not correspond: {what} {a} in the first, {b} in the second"
        )))
    };
    let counts = [
        (
            "inputs:",
            a.interpreter.input_count(),
            b.interpreter.input_count(),
        ),
        (
            "outputs:",
            a.interpreter.output_count(),
            b.interpreter.output_count(),
        ),
    ];
    for (what, a, b) in counts {
        if a != b {
            return mismatch(what, a.to_string(), b.to_string());
        }
    }
    for index in 0..a.interpreter.output_count() {
        let (a, b) = (a.output_shape(index)?, b.output_shape(index)?);
        if a.iter().product::<usize>() != b.iter().product::<usize>() {
            let what = format!("output {index} has the shape");
            return mismatch(&what, format!("{a:?}"), format!("{b:?}"));
        }
    }
    Ok(())
}

impl Side<'_> {
    fn output_shape(&self, index: usize) -> Result<Vec<usize>, Error> {
        let info = self.interpreter.output_info(index);
        let info = info.map_err(|e| self.model.run_error(e))?;
        Ok(info.shape.dims().to_vec())
    }
}

/// Seeded random real numbers between -1 and 1, in the range of what normalised data has; integers over their range.
fn made_up_inputs(side: &Side<'_>) -> Result<Vec<NpyArray>, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut array = |index: usize| {
        let info = side.interpreter.input_info(index);
        let info = info.map_err(|e| side.model.run_error(e))?;
        let elements = MADE_UP_SETS * info.shape.elements().unwrap_or(0);
        let mut shape = vec![MADE_UP_SETS];
        shape.extend(info.shape.dims());
        let is_real = info.element_type == larun_micro::ElementType::Float32
            || info.scale_and_zero_point().is_some();
        let made = if is_real {
            let values: Vec<f32> = (0..elements).map(|_| rng.random_range(-1.0..1.0)).collect();
            NpyArray::from_values(&shape, &values)
        } else {
            let bytes = info.element_type.byte_len(elements).unwrap_or(0);
            let bytes = (0..bytes).map(|_| rng.random_range(0..=1u8)).collect();
            NpyArray::new(info.element_type, &shape, bytes)
        };
        made.map_err(|fault| Error::Usage(format!("input {index} cannot be made up: {fault}")))
    };
    (0..side.interpreter.input_count())
        .map(&mut array)
        .collect()
}

/// Sums over all input sets.
#[derive(Default)]
struct Tally {
    outputs: Vec<Sums>,
    layers: Vec<Sums>,
}

impl Tally {
    fn add(&mut self, a: &Values, b: &Values) {
        let outputs = a.outputs.iter().zip(&b.outputs);
        add_all(&mut self.outputs, outputs);
        let same = |layer: &&TracedTensor| b.layers.iter().find(|other| other.name == layer.name);
        let layers = a
            .layers
            .iter()
            .filter_map(|layer| Some((layer, same(&layer)?)));
        add_all(&mut self.layers, layers);
    }
}

fn add_all<'t>(
    sums: &mut Vec<Sums>,
    pairs: impl Iterator<Item = (&'t TracedTensor, &'t TracedTensor)>,
) {
    for (index, (a, b)) in pairs.enumerate() {
        if index == sums.len() {
            sums.push(Sums::of(a, b));
        }
        if let Some(sums) = sums.get_mut(index) {
            sums.add(a, b);
        }
    }
}

/// What is added up of one tensor.
struct Sums {
    name: String,
    at: String,
    element_types: [String; 2],
    elements: u64,
    differing: u64,
    largest: f64,
    signal: f64,
    noise: f64,
    rows: u64,
    agreeing_rows: u64,
}

impl Sums {
    /// Nothing yet of a tensor of the first model and its like in the second.
    fn of(tensor: &TracedTensor, other: &TracedTensor) -> Self {
        Self {
            name: tensor.name.clone(),
            at: format!("{} {}", tensor.op, tensor.node),
            element_types: [tensor, other].map(|tensor| tensor.element_type.to_string()),
            elements: 0,
            differing: 0,
            largest: 0.0,
            signal: 0.0,
            noise: 0.0,
            rows: 0,
            agreeing_rows: 0,
        }
    }

    fn add(&mut self, a: &TracedTensor, b: &TracedTensor) {
        let values = |t: &TracedTensor| real_values(t.element_type, t.affine, &t.bytes);
        let (Some(a_values), Some(b_values)) = (values(a), values(b)) else {
            return;
        };
        for (a, b) in a_values.iter().zip(&b_values) {
            let apart = a - b;
            let differ = a != b && !(a.is_nan() && b.is_nan());
            self.elements += 1;
            self.differing += u64::from(differ);
            if differ {
                self.largest = self.largest.max(apart.abs());
                self.noise += apart * apart;
            }
            self.signal += a * a;
        }
        let row = a.shape.last().copied().unwrap_or(1).max(1);
        for (a, b) in a_values.chunks(row).zip(b_values.chunks(row)) {
            self.rows += 1;
            self.agreeing_rows += u64::from(arg_max(a) == arg_max(b));
        }
    }

    fn difference(&self) -> Difference {
        let noisy = self.noise > 0.0 && self.noise.is_finite();
        Difference {
            name: self.name.clone(),
            at: self.at.clone(),
            element_types: self.element_types.clone(),
            elements: self.elements,
            differing: self.differing,
            largest: self.largest,
            sqnr_db: noisy.then(|| 10.0 * (self.signal / self.noise).log10()),
            argmax_agreement: self.agreeing_rows as f64 / self.rows.max(1) as f64,
        }
    }
}

fn arg_max(values: &[f64]) -> Option<usize> {
    let indexed = values.iter().enumerate();
    // The first of several largest values.
    indexed
        .rev()
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::arg_max;

    #[test]
    fn the_first_largest_value_counts() {
        assert_eq!(arg_max(&[1.0, 3.0, 3.0, 2.0]), Some(1));
        assert_eq!(arg_max(&[]), None);
    }
}
