//! Running a model on whole arrays.

use larun_micro::{ElementType, Interpreter, TensorInfo};
use larun_zoo::npy::NpyArray;

use crate::evaluate::{real_output, set_input};
use crate::runtime::trace::{TracedTensor, Tracer};
use crate::{Error, Model};

/// How arrays are fed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// The leading axis of every array counts sets.
    pub sets: bool,
    /// Clear the model's state before every set.
    pub reset: bool,
    /// Arrays hold real numbers.
    pub float: bool,
    /// Keep what every node of the main subgraph gives.
    pub dump: bool,
}

/// What [`run_sets`] gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// An array for each output.
    pub outputs: Vec<NpyArray>,
    /// What each node gave, in order, in the tensors' own element types; empty unless asked for.
    pub tensors: Vec<DumpedTensor>,
}

/// What a node gave, over all input sets.
#[derive(Clone, Debug)]
pub struct DumpedTensor {
    /// The node's number.
    pub node: usize,
    /// Its operator.
    pub op: &'static str,
    /// The tensor's number.
    pub tensor: usize,
    /// Its name.
    pub name: String,
    /// Its values, stacked like the outputs.
    pub array: NpyArray,
}

/// Checks arrays whose leading axis counts input sets, of the inputs' elements or of real numbers; returns how many sets
/// there are.
pub(crate) fn check_sets(
    model: &Model,
    interpreter: &Interpreter<'_, '_>,
    inputs: &[NpyArray],
) -> Result<usize, Error> {
    let mode = Mode {
        sets: true,
        float: true,
        ..Mode::default()
    };
    check_inputs(model, interpreter, inputs, mode)
}

/// Sets all inputs from one set of arrays that [`check_sets`] accepted. Real numbers are quantised where the input's
/// elements are others.
pub(crate) fn feed_set(
    model: &Model,
    interpreter: &mut Interpreter<'_, '_>,
    inputs: &[NpyArray],
    set: usize,
    sets: usize,
) -> Result<(), Error> {
    for (index, array) in inputs.iter().enumerate() {
        let info = interpreter.input_info(index);
        let expected = info.map_err(|e| model.run_error(e))?.element_type;
        let mode = Mode {
            float: array.element_type() != expected,
            ..Mode::default()
        };
        let bytes = set_of(array, set, sets);
        feed(model, interpreter, index, bytes, mode, array.element_type())?;
    }
    Ok(())
}

/// Runs a model on one array for each input; gives one array for each output.
///
/// # Errors
/// When the arrays do not suit the model's inputs, or the model cannot be run.
pub fn run_sets(model: &Model, inputs: &[NpyArray], mode: Mode) -> Result<Outcome, Error> {
    let mut arena = model.arena()?;
    let mut interpreter = model.interpreter(&mut arena)?;
    let inputs = inputs.iter().cloned().enumerate();
    let inputs: Vec<NpyArray> = inputs.map(|(i, array)| model.arranged(i, array)).collect();
    let inputs = inputs.as_slice();
    let sets = check_inputs(model, &interpreter, inputs, mode)?;
    let outputs = interpreter.output_count();
    let mut stacked = vec![Vec::new(); outputs];
    let mut tracer = mode.dump.then(|| Tracer::new(model)).transpose()?;
    let mut traced: Vec<TracedTensor> = Vec::new();
    for set in 0..sets {
        if mode.reset {
            interpreter.reset().map_err(|e| Error::Run {
                path: model.path().to_owned(),
                reason: e.to_string(),
            })?;
        }
        for (index, array) in inputs.iter().enumerate() {
            feed(
                model,
                &mut interpreter,
                index,
                set_of(array, set, sets),
                mode,
                array.element_type(),
            )?;
        }
        match &mut tracer {
            Some(tracer) => {
                let ran = interpreter.invoke_observed(tracer);
                ran.map_err(|e| model.run_error(e))?;
                stack(&mut traced, tracer.take());
            }
            None => interpreter.invoke().map_err(|e| model.run_error(e))?,
        }
        for (index, bytes) in stacked.iter_mut().enumerate() {
            bytes.extend(fetch(model, &interpreter, index, mode)?);
        }
    }
    let arrays = stacked.into_iter().enumerate();
    let outputs = arrays
        .map(|(index, bytes)| output_array(model, &interpreter, index, sets, bytes, mode))
        .collect::<Result<_, _>>()?;
    let tensors = traced
        .into_iter()
        .map(|tensor| dumped(model, tensor, sets, mode));
    Ok(Outcome {
        outputs,
        tensors: tensors.collect::<Result<_, _>>()?,
    })
}

/// Puts what an inference gave behind what those before gave.
fn stack(all: &mut Vec<TracedTensor>, one: Vec<TracedTensor>) {
    if all.is_empty() {
        *all = one;
        return;
    }
    for (all, one) in all.iter_mut().zip(one) {
        all.bytes.extend(one.bytes);
    }
}

fn dumped(
    model: &Model,
    tensor: TracedTensor,
    sets: usize,
    mode: Mode,
) -> Result<DumpedTensor, Error> {
    let TracedTensor {
        node,
        op,
        name,
        bytes,
        ..
    } = tensor;
    let shape = stacked_shape(&tensor.shape, sets, mode);
    let array = NpyArray::new(tensor.element_type, &shape, bytes);
    Ok(DumpedTensor {
        array: array.map_err(|fault| Error::Run {
            path: model.path().to_owned(),
            reason: format!("{op} {node}, tensor `{name}`: {fault}"),
        })?,
        node,
        op,
        tensor: tensor.tensor,
        name,
    })
}

/// The shape of values of all sets.
fn stacked_shape(dims: &[usize], sets: usize, mode: Mode) -> Vec<usize> {
    let stack = mode.sets.then_some(sets);
    stack.into_iter().chain(dims.iter().copied()).collect()
}

/// The bytes of one set of an array.
fn set_of(array: &NpyArray, set: usize, sets: usize) -> &[u8] {
    let len = array.bytes().len() / sets.max(1);
    array
        .bytes()
        .get(set * len..(set + 1) * len)
        .unwrap_or_default()
}

/// Checks shapes and element types; returns how many sets there are.
fn check_inputs(
    model: &Model,
    interpreter: &Interpreter<'_, '_>,
    inputs: &[NpyArray],
    mode: Mode,
) -> Result<usize, Error> {
    let expected = interpreter.input_count();
    if inputs.len() != expected {
        return Err(Error::Usage(format!(
            "{} has {expected} inputs, {} arrays were given",
            model.path().display(),
            inputs.len()
        )));
    }
    let mut sets = None;
    for (index, array) in inputs.iter().enumerate() {
        let info = interpreter
            .input_info(index)
            .map_err(|e| model.run_error(e))?;
        let (count, shape) = match (mode.sets, array.shape().split_first()) {
            (true, Some((&count, shape))) => (count, shape),
            (true, None) => {
                return Err(Error::Usage(format!(
                    "input {index}: a single value has no axis that could count sets"
                )));
            }
            (false, _) => (1, array.shape()),
        };
        check_array(index, &info, array.element_type(), shape, mode)?;
        if sets.is_some_and(|sets| sets != count) {
            return Err(Error::Usage(format!(
                "input {index} has {count} sets, the inputs before have {}",
                sets.unwrap_or(0)
            )));
        }
        sets = Some(count);
    }
    Ok(sets.unwrap_or(1))
}

fn check_array(
    index: usize,
    info: &TensorInfo<'_>,
    found: ElementType,
    shape: &[usize],
    mode: Mode,
) -> Result<(), Error> {
    let expected = info.element_type;
    if !mode.float && found != expected {
        let hint = match found {
            ElementType::Float32 => "; --float quantises real numbers as the model says",
            _ => "",
        };
        return Err(Error::Usage(format!(
            "input {index} `{}` takes {expected}, the array has {found}{hint}",
            info.name
        )));
    }
    // Axes of size 1 say nothing about the order of elements: [1024, 1] may stand for [1, 1, 1024, 1].
    let essential = |dims: &[usize]| {
        dims.iter()
            .copied()
            .filter(|&dim| dim != 1)
            .collect::<Vec<_>>()
    };
    if essential(shape) != essential(info.shape.dims()) {
        return Err(Error::Usage(format!(
            "input {index} `{}` has the shape {}, the array has {shape:?}",
            info.name, info.shape
        )));
    }
    Ok(())
}

fn feed(
    model: &Model,
    interpreter: &mut Interpreter<'_, '_>,
    index: usize,
    bytes: &[u8],
    mode: Mode,
    element_type: ElementType,
) -> Result<(), Error> {
    if mode.float {
        let len = bytes.len() * 8 / element_type.bits().unwrap_or(8);
        let array = NpyArray::new(element_type, &[len], bytes.to_vec());
        let values = array.ok().and_then(|array| array.to_f32());
        let values = values.ok_or_else(|| {
            Error::Usage(format!("input {index}: {element_type} is no real number"))
        })?;
        return set_input(model, interpreter, index, &values);
    }
    let input = interpreter
        .input_bytes_mut(index)
        .map_err(|e| model.run_error(e))?;
    if input.len() != bytes.len() {
        return Err(Error::Usage(format!(
            "input {index} takes {} bytes, the array has {}",
            input.len(),
            bytes.len()
        )));
    }
    input.copy_from_slice(bytes);
    Ok(())
}

fn fetch(
    model: &Model,
    interpreter: &Interpreter<'_, '_>,
    index: usize,
    mode: Mode,
) -> Result<Vec<u8>, Error> {
    if mode.float {
        let values = real_output(model, interpreter, index)?;
        return Ok(values.into_iter().flat_map(f32::to_le_bytes).collect());
    }
    let bytes = interpreter
        .output_bytes(index)
        .map_err(|e| model.run_error(e))?;
    Ok(bytes.to_vec())
}

fn output_array(
    model: &Model,
    interpreter: &Interpreter<'_, '_>,
    index: usize,
    sets: usize,
    bytes: Vec<u8>,
    mode: Mode,
) -> Result<NpyArray, Error> {
    let info = interpreter
        .output_info(index)
        .map_err(|e| model.run_error(e))?;
    let element_type = if mode.float {
        ElementType::Float32
    } else {
        info.element_type
    };
    let shape = stacked_shape(info.shape.dims(), sets, mode);
    NpyArray::new(element_type, &shape, bytes).map_err(|fault| Error::Run {
        path: model.path().to_owned(),
        reason: format!("output {index}: {fault}"),
    })
}
