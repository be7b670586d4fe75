//! The tables of the documentation that are made from the code: operators, ONNX, boards. For `cargo xtask docs`.
//!
//! ```sh
//! cargo run --example coverage operators docs/operators.md
//! ```

use core::error::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use larun::graph::Graph;
use larun::onnx::{ImportOptions, import_file};
use larun::ops::OpKind;
use larun_testing::costs::boards_table;
use larun_testing::op_cases;

type Fault = Box<dyn Error>;

fn main() -> Result<(), Fault> {
    let mut args = std::env::args().skip(1);
    let (Some(table), Some(page)) = (args.next(), args.next()) else {
        return Err("give a table and the page that shows it".into());
    };
    let table = match table.as_str() {
        "operators" => operators(&element_types(Path::new(&page))?),
        "onnx-operators" => onnx_operators(),
        "onnx-networks" => onnx_networks()?,
        "boards" => boards_table(),
        other => return Err(format!("there is no table {other:?}").into()),
    };
    print!("{table}");
    Ok(())
}

/// The operators that a file can hold.
fn deployed() -> impl Iterator<Item = OpKind> {
    let all = OpKind::ALL.iter().copied();
    all.filter(|kind| kind.info().code.is_some() || kind.info().is_custom)
}

/// One row an operator: what the tables of the crates say of it.
fn operators(types: &BTreeMap<String, String>) -> String {
    let from_onnx = from_onnx();
    let mut table = "| operator | element types | converted to | trained | from ONNX | Rust | C |\n|---|---|---|---|---|---|---|\n".to_owned();
    for kind in deployed() {
        let info = kind.info();
        let integers = [(info.int8_version, "INT8"), (info.int16_version, "INT16")];
        let integers = integers
            .iter()
            .filter_map(|(version, name)| version.and(Some(*name)));
        let cells = [
            format!("`{}`", info.name),
            types.get(info.name).cloned().unwrap_or_default(),
            integers.collect::<Vec<_>>().join(", "),
            yes(larun::train::why_untrained(kind).is_none()).to_owned(),
            from_onnx
                .get(info.name)
                .map(|names| names.join(", "))
                .unwrap_or_default(),
            yes(true).to_owned(),
            yes(larun::codegen::has_c_kernel(kind)).to_owned(),
        ];
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

/// The operators of ONNX that become each operator. Those that it is a part of count where there is none of which it is the first.
fn from_onnx() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut first: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut any: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, becomes) in larun::onnx::operators() {
        for (index, kind) in becomes.iter().enumerate() {
            if index == 0 {
                first.entry(kind.info().name).or_default().push(name);
            }
            any.entry(kind.info().name).or_default().push(name);
        }
    }
    any.extend(first);
    any
}

const fn yes(is: bool) -> &'static str {
    match is {
        true => "yes",
        false => "",
    }
}

/// The element types with which each operator is held against the runtimes' outputs: of the corpus's cases, or, without a corpus, as
/// the page has them.
fn element_types(page: &Path) -> Result<BTreeMap<String, String>, Fault> {
    let Some(corpus) = std::env::var_os("LARUN_CORPUS").filter(|dir| !dir.is_empty()) else {
        return Ok(shown(&std::fs::read_to_string(page)?));
    };
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in op_cases(Path::new(&corpus))? {
        let graph = larun::tflite::read(&case.model)?;
        for (name, element_type) in first_types(&graph) {
            types.entry(name).or_default().insert(element_type);
        }
    }
    let joined = types
        .into_iter()
        .map(|(name, types)| (name, types.into_iter().collect::<Vec<_>>().join(", ")));
    Ok(joined.collect())
}

/// Every operator of a model with the type of what it reads first, or writes where it reads nothing.
fn first_types(graph: &Graph) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for subgraph in &graph.subgraphs {
        for node in &subgraph.nodes {
            let Some(kind) = node.kind() else { continue };
            // The first operand that is no number of axes, indices and the like.
            let info = kind.info();
            let operands = (0..node.inputs.len()).filter(|&index| {
                info.input(index)
                    .is_some_and(|operand| operand.role == larun::ops::Role::Activation)
            });
            let read = operands.filter_map(|index| node.input(index)).next();
            let tensor = read.or(node.outputs.first().copied());
            if let Some(tensor) = tensor.and_then(|id| subgraph.tensor(id)) {
                found.push((info.name.to_owned(), tensor.element_type.name().to_owned()));
            }
        }
    }
    found
}

/// The second column of the page's table.
fn shown(page: &str) -> BTreeMap<String, String> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        Some((
            cells.next()?.trim_matches('`').to_owned(),
            cells.next()?.to_owned(),
        ))
    });
    cells.collect()
}

/// One row an operator of ONNX.
fn onnx_operators() -> String {
    let mut rows: Vec<_> = larun::onnx::operators().collect();
    rows.sort_by_key(|(name, _)| *name);
    let mut table = "| ONNX | becomes |\n|---|---|\n".to_owned();
    for (name, becomes) in rows {
        let names: Vec<_> = becomes
            .iter()
            .map(|kind| format!("`{}`", kind.info().name))
            .collect();
        let becomes = match names.is_empty() {
            true => "nothing: computed while importing, or only another view of a value".to_owned(),
            false => names.join(", "),
        };
        table.push_str(&format!("| {name} | {becomes} |\n"));
    }
    table
}

/// The ONNX files of a folder, by name.
fn models(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "onnx")
    });
    files.sort();
    Ok(files)
}

/// What becomes of the networks of `fixtures/onnx`: those written node by node, then PyTorch's.
fn onnx_networks() -> Result<String, Fault> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/onnx");
    let mut files = models(&folder)?;
    files.extend(models(&folder.join("pytorch"))?);
    let mut table = "| network | operators imported | after folding and fusing | TRANSPOSE left |\n|---|--:|--:|--:|\n".to_owned();
    for file in files {
        let imported = import_file(&file, &ImportOptions::default())?.graph;
        let simplified = larun::passes::simplify(imported.clone())?;
        let count = |graph: &Graph| graph.main().map_or(0, |main| main.nodes.len());
        let moved = |graph: &Graph| {
            let nodes = graph.main().map_or(&[][..], |main| &main.nodes);
            nodes
                .iter()
                .filter(|node| node.kind() == Some(OpKind::Transpose))
                .count()
        };
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        table.push_str(&format!(
            "| `{name}` | {} | {} | {} |\n",
            count(&imported),
            count(&simplified),
            moved(&simplified)
        ));
    }
    Ok(table)
}
