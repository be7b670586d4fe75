//! `larun inspect`: what is in a model.

use std::path::PathBuf;

use larun::Model;
use larun::inspect::{
    Arena, Inspection, OperatorReport, QuantizationReport, TensorReport, inspect, operators,
};
use larun::kernels::Way;

use super::print_json;
use super::sizes::print_sizes;
use crate::failure::Failure;
use crate::render::{bytes, group, pairs, shape, table};

/// Show operators, tensors, quantisation, MACs, parameters, flash and arena of a model
#[derive(clap::Args)]
#[command(after_help = "Examples:
  larun inspect model.tflite
  larun inspect --tensors model.tflite
  larun inspect --sizes model.tflite      # what its weights would take sparse, encoded or deflated, and why
  larun inspect --ops model.tflite        # the operators to link, for the source of a firmware
  larun inspect --ops --without narrow model.tflite    # the same in less flash, and slower
  larun inspect --json model.tflite")]
pub(crate) struct Args {
    /// The .tflite file
    model: PathBuf,

    /// List all tensors with their quantisation
    #[arg(long)]
    tensors: bool,

    /// Print only the operators that a program has to link
    #[arg(long, conflicts_with = "json")]
    ops: bool,

    /// Ways of computing layers on a Cortex-M4 that `--ops` leaves out for other ones: less flash, more time
    #[arg(long, requires = "ops", value_name = "WAY", value_delimiter = ',')]
    without: Vec<Way>,

    /// Show what the file would take with its weights stored in other ways, and why it takes no less
    #[arg(long, conflicts_with = "ops")]
    sizes: bool,

    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let model = Model::open(&self.model)?;
        if self.sizes {
            let report = larun::sizes::sizes(&model)?;
            if self.json {
                return print_json("larun.sizes/1", &report);
            }
            print_sizes(&report, true);
            return Ok(());
        }
        if self.ops {
            let ops = operators(&model, &self.without)?;
            anstream::println!("larun_micro::ops![{}]", ops.join(", "));
            return Ok(());
        }
        let inspection = inspect(&model)?;
        if self.json {
            return print_json("larun.inspect/1", &inspection);
        }
        print_summary(&inspection);
        print_operators(&inspection.operators);
        if self.tensors {
            print_tensors(&inspection.tensors);
        }
        Ok(())
    }
}

fn print_summary(inspection: &Inspection) {
    let ports = |ports: &[TensorReport]| {
        let one = |t: &TensorReport| {
            format!(
                "{} {} {}{}",
                t.name,
                t.element_type,
                shape(&t.shape),
                scale(t)
            )
        };
        ports.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    let arena = match &inspection.arena {
        Arena::Known {
            bytes: all,
            activation_bytes,
            persistent_bytes,
        } => format!(
            "{} ({} values, {} prepared operators)",
            bytes(*all),
            bytes(*activation_bytes),
            bytes(*persistent_bytes)
        ),
        Arena::Unsupported { reason } => format!("not known: {reason}"),
    };
    let mut lines = vec![
        ("file", bytes(inspection.file_bytes)),
        ("constants", bytes(inspection.constant_bytes)),
        ("arena", arena),
        (
            "cost",
            format!(
                "{} parameters, {} MACs",
                group(inspection.parameters),
                group(inspection.macs)
            ),
        ),
        ("inputs", ports(&inspection.inputs)),
        ("outputs", ports(&inspection.outputs)),
    ];
    if let Some(description) = inspection
        .description
        .as_ref()
        .filter(|text| !text.is_empty())
    {
        lines.insert(0, ("description", description.clone()));
    }
    if inspection.subgraphs > 1 {
        lines.push((
            "subgraphs",
            format!("{}, the first is shown", inspection.subgraphs),
        ));
    }
    if !inspection.metadata.is_empty() {
        lines.push(("metadata", inspection.metadata.join(", ")));
    }
    anstream::println!("{}\n", pairs(&lines));
}

/// The parameters of a tensor that is quantised as a whole.
fn scale(tensor: &TensorReport) -> String {
    tensor
        .quantization
        .as_ref()
        .map_or_else(String::new, |q| format!(" {}", quantization(q)))
}

fn quantization(quantization: &QuantizationReport) -> String {
    match quantization.scale.as_slice() {
        &[scale] => {
            let zero_point = quantization.zero_point.first().copied().unwrap_or(0);
            format!("(scale {scale:e}, zero point {zero_point})")
        }
        scales => format!("({} scales along axis {})", scales.len(), quantization.axis),
    }
}

fn print_operators(operators: &[OperatorReport]) {
    let row = |op: &OperatorReport| {
        vec![
            op.index.to_string(),
            op.op.clone(),
            shape(&op.output_shape),
            group(op.macs),
            group(op.parameters),
            group(op.constant_bytes),
        ]
    };
    let header = [
        "#",
        "operator",
        "output",
        "MACs",
        "parameters",
        "constant bytes",
    ];
    let rows = operators.iter().map(row).collect();
    anstream::println!("{}", table(&header, rows, &[0, 3, 4, 5]));
}

fn print_tensors(tensors: &[TensorReport]) {
    let row = |tensor: &TensorReport| {
        vec![
            tensor.index.to_string(),
            tensor.name.clone(),
            tensor.element_type.clone(),
            shape(&tensor.shape),
            tensor.bytes.map_or_else(String::new, group),
            if tensor.constant { "constant" } else { "" }.to_owned(),
            tensor
                .quantization
                .as_ref()
                .map_or_else(String::new, quantization),
        ]
    };
    let header = [
        "#",
        "tensor",
        "elements",
        "shape",
        "bytes",
        "",
        "quantisation",
    ];
    let rows = tensors.iter().map(row).collect();
    anstream::println!("\n{}", table(&header, rows, &[0, 4]));
}
