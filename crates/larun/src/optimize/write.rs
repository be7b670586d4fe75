//! The files of a run: all of them, or none.

use larun_codegen::Processor;
use larun_device::Board;
use larun_device::cost::Kernels;

use super::OptimizeRequest;
use super::result::Models;
use crate::card::ModelCard;
use crate::export::{self, RustOptions};
use crate::report::{FileReport, OptimizeReport};
use crate::{Error, files};

/// Writes the files; the report with what was written.
pub(super) fn write_files(
    request: &OptimizeRequest,
    mut report: OptimizeReport,
    models: &Models,
) -> Result<OptimizeReport, Error> {
    let name = request.model_name();
    let mut options = RustOptions::default();
    options.processor = processor(&request.board);
    let header = export::c_header(&models.int8, &name)?;
    let rust = export::rust(&models.int8, &name, &options)?;
    let card = ModelCard::new(&report, &request.license).to_yaml();
    let mut batch = files::Batch::default();
    let written: [(&str, &str, &[u8]); 5] = [
        ("model.tflite", "the INT8 model", models.int8.bytes()),
        ("model.h", "the same as a C array", header.as_bytes()),
        (
            "model.rs",
            "the same as Rust source for the board's processor",
            rust.as_bytes(),
        ),
        (
            "model_float.tflite",
            "the float model that it was made from",
            models.float.bytes(),
        ),
        ("card.yaml", "the model card", card.as_bytes()),
    ];
    for (name, what, bytes) in written {
        batch.add(&request.out.join(name), bytes)?;
        report.files.push(FileReport {
            name: name.to_owned(),
            what: what.to_owned(),
            bytes: bytes.len() as u64,
        });
    }
    let (json, html) = (report.to_json(), report.to_html()?);
    batch.add(&request.out.join("report.json"), json.as_bytes())?;
    batch.add(&request.out.join("report.html"), html.as_bytes())?;
    batch.commit()?;
    Ok(report)
}

/// Whose kernels a board runs.
fn processor(board: &Board) -> Processor {
    match board.core.instruction_set().kernels() {
        Kernels::Dsp => Processor::Armv7em,
        Kernels::Portable => Processor::Portable,
    }
}

#[cfg(test)]
mod tests {
    use super::{Processor, processor};

    #[test]
    fn sources_are_for_the_target_that_the_report_names() {
        for board in larun_device::boards() {
            let (target, flags) = board.core.rust_target();
            assert_eq!(
                Processor::of_target(target, flags),
                processor(board),
                "{}",
                board.id
            );
        }
    }
}
