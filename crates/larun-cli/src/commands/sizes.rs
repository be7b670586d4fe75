//! The table of sizes that `larun prune` and `larun inspect --sizes` print.

use larun::sizes::{SizeReport, TensorSizes, Way};

use crate::render::{bytes, group, percent, table};

/// Prints a model's sizes in every way of storing its weights, those of each tensor where asked for, and the reasons.
pub(crate) fn print_sizes(report: &SizeReport, tensors: bool) {
    let row = |way: &Way| {
        vec![
            way.storage.clone(),
            bytes(way.file_bytes),
            bytes(way.deflated_bytes),
            way.stored.to_string(),
            bytes(way.planned_bytes),
            way.arena_bytes.map_or_else(|| "-".to_owned(), bytes),
            way.runs_on.clone(),
        ]
    };
    let header = [
        "stored",
        "file",
        "deflated",
        "tensors",
        "TFLM's values",
        "LARUN's arena",
        "runs on",
    ];
    let rows = report.ways.iter().map(row).collect();
    anstream::println!("{}", table(&header, rows, &[1, 2, 3, 4, 5]));
    if tensors {
        print_tensors(&report.tensors);
    }
    for reason in &report.reasons {
        anstream::println!("\n{reason}");
    }
}

fn print_tensors(tensors: &[TensorSizes]) {
    let way = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), group);
    let row = |tensor: &TensorSizes| {
        vec![
            tensor.name.clone(),
            percent(tensor.sparsity),
            group(tensor.distinct),
            group(tensor.dense),
            way(tensor.sparse),
            way(tensor.pruning),
            way(tensor.table),
            way(tensor.huffman),
            group(tensor.entropy),
            tensor.reason.clone().unwrap_or_else(|| tensor.best.clone()),
        ]
    };
    let header = [
        "weights", "zeros", "values", "dense", "sparse", "pruning", "table", "huffman", "entropy",
        "smallest",
    ];
    let rows = tensors.iter().map(row).collect();
    anstream::println!("\n{}", table(&header, rows, &[1, 2, 3, 4, 5, 6, 7, 8]));
}
