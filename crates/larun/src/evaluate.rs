//! How well a classifier does, measured with the interpreter.

use larun_micro::{ElementType, Interpreter};
use larun_quant::Affine;
use larun_train::{Confusion, roc_auc};
use larun_zoo::dataset::Dataset;
use serde::{Deserialize, Serialize};

use crate::{Error, Model};

/// The result of classifying labelled samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Samples classified.
    pub samples: u64,
    /// The share of samples whose class was found, 0 to 1.
    pub accuracy: f64,
    /// The mean over classes of the harmonic mean of precision and recall, 0 to 1.
    pub macro_f1: f64,
    /// Counts of samples: rows are true classes, columns the classes found.
    pub confusion: Vec<Vec<u64>>,
    /// The share of each class's samples that were found; 0 for a class without samples.
    #[serde(default)]
    pub recall: Vec<f64>,
    /// The share of the samples taken for each class that are of it; 0 for a class that none was taken for.
    #[serde(default)]
    pub precision: Vec<f64>,
    /// Of two classes: the chance that a sample of the second has a higher score for it than one of the first (the area under the ROC
    /// curve). `None` for more classes, or where one has no sample.
    #[serde(default)]
    pub auc: Option<f64>,
}

impl Classification {
    fn of(confusion: &Confusion, classes: usize, auc: Option<f64>) -> Self {
        let row = |truth| {
            (0..classes)
                .map(|found| confusion.count(truth, found))
                .collect()
        };
        let share =
            |class: usize, all: u64| confusion.count(class, class) as f64 / all.max(1) as f64;
        let recall = |class| {
            share(
                class,
                (0..classes)
                    .map(|found| confusion.count(class, found))
                    .sum(),
            )
        };
        let precision = |class| {
            share(
                class,
                (0..classes)
                    .map(|truth| confusion.count(truth, class))
                    .sum(),
            )
        };
        Self {
            samples: confusion.total(),
            accuracy: confusion.accuracy(),
            macro_f1: confusion.macro_f1(),
            recall: (0..classes).map(recall).collect(),
            precision: (0..classes).map(precision).collect(),
            confusion: (0..classes).map(row).collect(),
            auc,
        }
    }
}

/// Classifies samples of a dataset with a model whose first input takes a sample and whose first
/// output has a value for each class. INT8 inputs are quantised as the model says.
///
/// # Errors
/// When the model cannot be run or does not take such samples.
pub fn classify(model: &Model, data: &Dataset, samples: &[usize]) -> Result<Classification, Error> {
    let mut arena = model.arena()?;
    let mut interpreter = model.interpreter(&mut arena)?;
    check_shapes(model, &interpreter, data)?;
    let classes = data.class_names.len();
    let mut confusion = Confusion::new(classes);
    let mut second_scores = Vec::with_capacity(samples.len());
    for &index in samples {
        set_input(model, &mut interpreter, 0, data.sample(index))?;
        interpreter.invoke().map_err(|e| model.run_error(e))?;
        let scores = real_output(model, &interpreter, 0)?;
        confusion.add_batch(&scores, data.y.get(index).copied());
        if let ([_, second], Some(&label)) = (&scores[..], data.y.get(index)) {
            second_scores.push((*second, label == 1));
        }
    }
    let auc = roc_auc(second_scores);
    Ok(Classification::of(&confusion, classes, auc))
}

fn check_shapes(
    model: &Model,
    interpreter: &Interpreter<'_, '_>,
    data: &Dataset,
) -> Result<(), Error> {
    let input = interpreter.input_info(0).map_err(|e| model.run_error(e))?;
    let output = interpreter.output_info(0).map_err(|e| model.run_error(e))?;
    let path = model.path().display();
    if input.shape.elements() != Some(data.sample_len()) {
        return Err(Error::Usage(format!(
            "{path} takes inputs of shape {}, the samples of {} have {:?}",
            input.shape, data.name, data.sample_shape
        )));
    }
    let classes = data.class_names.len();
    if output.shape.elements() != Some(classes) {
        return Err(Error::Usage(format!(
            "{path} has outputs of shape {}, but {} has {classes} classes",
            output.shape, data.name
        )));
    }
    Ok(())
}

/// Sets an input from real values, quantised as the model says.
///
/// # Errors
/// When the input is neither FLOAT32 nor quantised INT8 or INT16, or takes another number of values.
pub fn set_input(
    model: &Model,
    interpreter: &mut Interpreter<'_, '_>,
    index: usize,
    values: &[f32],
) -> Result<(), Error> {
    let info = interpreter
        .input_info(index)
        .map_err(|e| model.run_error(e))?;
    let result = match (info.element_type, info.scale_and_zero_point()) {
        (ElementType::Float32, _) => interpreter.set_input(index, values),
        (ElementType::Int8, Some((scale, zero_point))) => {
            let affine = Affine::new(scale, zero_point);
            let integers: Vec<i8> = values
                .iter()
                .map(|&value| affine.quantize_i8(value))
                .collect();
            interpreter.set_input(index, &integers)
        }
        (ElementType::Int16, Some((scale, zero_point))) => {
            let affine = Affine::new(scale, zero_point);
            let integers: Vec<i16> = values
                .iter()
                .map(|&value| affine.quantize_i16(value))
                .collect();
            interpreter.set_input(index, &integers)
        }
        (found, _) => {
            return Err(Error::Usage(format!(
                "input {index} `{}` of {} has {found} elements without a scale: give it values of that type",
                info.name,
                model.path().display()
            )));
        }
    };
    result.map_err(|e| model.run_error(e))
}

/// The real values of an output.
///
/// # Errors
/// When the output is neither FLOAT32 nor quantised INT8 or INT16.
pub fn real_output(
    model: &Model,
    interpreter: &Interpreter<'_, '_>,
    index: usize,
) -> Result<Vec<f32>, Error> {
    let info = interpreter
        .output_info(index)
        .map_err(|e| model.run_error(e))?;
    let run = |e| model.run_error(e);
    Ok(match (info.element_type, info.scale_and_zero_point()) {
        (ElementType::Float32, _) => interpreter.output::<f32>(index).map_err(run)?.to_vec(),
        (ElementType::Int8, Some((scale, zero_point))) => {
            let affine = Affine::new(scale, zero_point);
            let integers = interpreter.output::<i8>(index).map_err(run)?;
            integers
                .iter()
                .map(|&integer| affine.dequantize(integer))
                .collect()
        }
        (ElementType::Int16, Some((scale, zero_point))) => {
            let affine = Affine::new(scale, zero_point);
            let integers = interpreter.output::<i16>(index).map_err(run)?;
            integers
                .iter()
                .map(|&integer| affine.dequantize(integer))
                .collect()
        }
        (found, _) => {
            return Err(Error::Usage(format!(
                "output {index} `{}` of {} has {found} elements without a scale",
                info.name,
                model.path().display()
            )));
        }
    })
}
