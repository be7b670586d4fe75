//! What is wrong with the layers of a quantised model, beside its float model.

use larun_graph::ops::ElementType;
use larun_passes::{Diagnosis, diagnose, simplify};
use larun_zoo::npy::NpyArray;
use serde::{Deserialize, Serialize};

use crate::{Error, Model};

/// Samples that layers are looked at with, at most: their values are held in memory.
const MOST_SAMPLES: usize = 32;

/// A layer that loses much, or whose values are hard to quantise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerAdvice {
    /// The name of its result.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// Signal to quantisation noise in decibels, `None` where nothing differs.
    pub sqnr_db: Option<f64>,
    /// Whether it is the first whose values are no use.
    pub collapses: bool,
    /// What helps, where something is known to.
    pub advice: Option<String>,
}

/// The layers of `quantized` that collapse or for which there is advice, in order; none where `float` does not take real
/// numbers or `quantized` is not quantised. `data` are arrays whose leading axis counts samples, one an input.
///
/// # Errors
/// When a model cannot be read, or the arrays do not suit it.
pub fn advise(
    float: &Model,
    quantized: &Model,
    data: &[NpyArray],
) -> Result<Vec<LayerAdvice>, Error> {
    let (float, quantized) = (float.graph()?, quantized.graph()?);
    let real = |graph: &larun_graph::Graph| {
        let tensors = graph.main().map_or(&[][..], |main| &main.tensors);
        tensors
            .iter()
            .all(|tensor| !is_integer(tensor.element_type))
    };
    if data.is_empty() || !real(&float) || real(&quantized) {
        return Ok(Vec::new());
    }
    let inputs: Option<Vec<Vec<f32>>> = data.iter().map(NpyArray::to_f32).collect();
    let Some(inputs) = inputs else {
        return Ok(Vec::new());
    };
    let sets = data
        .iter()
        .filter_map(|array| array.shape().first().copied());
    let sets = sets.min().unwrap_or(0);
    let row = |values: &Vec<f32>| values.len().checked_div(sets).unwrap_or(0);
    let sample = |set: usize| {
        let of = |values| {
            let row = row(values);
            values.get(set * row..(set + 1) * row).unwrap_or_default()
        };
        inputs.iter().map(of).collect::<Vec<&[f32]>>()
    };
    let samples: Vec<_> = (0..sets.min(MOST_SAMPLES)).map(sample).collect();
    Ok(layers(&diagnose(&simplify(float)?, &quantized, &samples)?))
}

/// Whether elements of a type are what real numbers are quantised to.
fn is_integer(element_type: ElementType) -> bool {
    use ElementType::{Int4, Int8, Int16, UInt8};
    matches!(element_type, Int8 | UInt8 | Int16 | Int4)
}

fn layers(diagnosis: &Diagnosis) -> Vec<LayerAdvice> {
    let layers = diagnosis.layers.iter().enumerate();
    let advice = |(index, layer): (usize, &larun_passes::LayerDiagnosis)| LayerAdvice {
        name: layer.name.clone(),
        op: layer.op.clone(),
        sqnr_db: Some(layer.sqnr_db).filter(|db| db.is_finite()),
        collapses: diagnosis.collapse == Some(index),
        advice: layer.advice.map(|advice| advice.to_string()),
    };
    let notable = |layer: &LayerAdvice| layer.collapses || layer.advice.is_some();
    layers.map(advice).filter(notable).collect()
}
