//! The outputs of both models, run on samples by the interpreter of the device.

use larun_quant::measure::ErrorMeter;
use larun_zoo::npy::NpyArray;

use super::Samples;
use crate::runtime::run::{Mode, run_sets};
use crate::{Error, Model};

/// How far the outputs of a quantised model are from those of the float one, all of them together.
pub(super) fn compare_outputs(
    float: &Model,
    quantized: &Model,
    samples: &Samples,
) -> Result<Compared, Error> {
    let outputs = |model: &Model| {
        let mode = Mode {
            sets: true,
            reset: true,
            float: true,
            ..Mode::default()
        };
        let ran = run_sets(model, &samples.arrays(float)?, mode)?;
        let real = |array: NpyArray| {
            let row = array.shape().last().copied().unwrap_or(1);
            array.to_f32().map(|values| (values, row))
        };
        Ok::<_, Error>(ran.outputs.into_iter().filter_map(real).collect::<Vec<_>>())
    };
    let (expected, found) = (outputs(float)?, outputs(quantized)?);
    let mut meter = ErrorMeter::new();
    let (mut rows, mut agreeing) = (0u64, 0u64);
    for ((expected, row), (found, _)) in expected.iter().zip(&found) {
        let fault = |fault| Error::Run {
            path: quantized.path().to_owned(),
            reason: format!("its outputs cannot be compared: {fault}"),
        };
        meter.add(expected, found).map_err(fault)?;
        let row = (*row).max(1);
        for (expected, found) in expected.chunks(row).zip(found.chunks(row)) {
            rows += 1;
            agreeing += u64::from(arg_max(expected) == arg_max(found));
        }
    }
    let measures = meter.measures().ok();
    Ok(Compared {
        sqnr_db: measures.map(|m| m.sqnr_db).filter(|db| db.is_finite()),
        argmax_agreement: agreeing as f64 / rows.max(1) as f64,
    })
}

pub(super) struct Compared {
    pub(super) sqnr_db: Option<f64>,
    pub(super) argmax_agreement: f64,
}

/// The place of the first largest value.
fn arg_max(values: &[f32]) -> Option<usize> {
    let indexed = values.iter().enumerate().rev();
    indexed
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(index, _)| index)
}
