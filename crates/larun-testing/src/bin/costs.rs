//! `costs`: the data of the cost model, for `cargo xtask calibrate-costs`.

use core::error::Error;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use larun_device::cost::{Fit, InstructionMix, InstructionSet, instructions, work};
use larun_graph::Graph;
use larun_testing::costs::{
    Card, Counted, CountedModel, FittedFamily, HeldOut, NodeMix, Purpose, build_deck, family_mixes,
    fit_families, write_page,
};

/// Decks of models to count, and the fit of what was counted
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the deck of an instruction set and a list of what is in it: DIR/NAME.deck and DIR/NAME.json
    Deck {
        /// armv6-m, armv7e-m or rv32imc
        set: String,
        /// The folder
        dir: PathBuf,
        /// What the files are called
        name: String,
        /// Only some layers of every kind, to be traced
        #[arg(long)]
        some: bool,
        /// The corpus, whose models are counted too
        #[arg(long, env = "LARUN_CORPUS")]
        corpus: Option<PathBuf>,
    },
    /// Fit what was counted of every instruction set and write the table: SET.deck, .json, .counts.json, .trace.deck, .mix.json
    Fit {
        /// The folder
        dir: PathBuf,
        /// The table, Rust source
        table: PathBuf,
    },
    /// Print predicted against counted instructions of the models that were not used to fit, and keep what was counted
    Check {
        /// The folder
        dir: PathBuf,
        /// Where to keep it
        counted: PathBuf,
        /// Layer by layer, those that are off by more than a tenth
        #[arg(long)]
        layers: bool,
    },
    /// Write the tables of docs/devices.md
    Page {
        /// What was counted, as `check` keeps it
        counted: PathBuf,
        /// The page
        page: PathBuf,
        /// The corpus
        #[arg(long, env = "LARUN_CORPUS")]
        corpus: PathBuf,
    },
}

type Fault = Box<dyn Error>;

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Deck {
            set,
            dir,
            name,
            some,
            corpus,
        } => deck(&set, &dir, &name, some, corpus.as_deref()),
        Command::Fit { dir, table } => fit(&dir, &table),
        Command::Check {
            dir,
            counted,
            layers,
        } => check(&dir, &counted, layers),
        Command::Page {
            counted,
            page,
            corpus,
        } => write(&counted, &page, &corpus),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn deck(set: &str, dir: &Path, name: &str, some: bool, corpus: Option<&Path>) -> Result<(), Fault> {
    let named = InstructionSet::ALL.iter().find(|other| other.name() == set);
    let set = *named.ok_or("no such instruction set")?;
    let purpose = if some { Purpose::Trace } else { Purpose::Count };
    let deck = build_deck(set, purpose, corpus)?;
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join(format!("{name}.deck")), deck.to_bytes())?;
    let list = serde_json::to_string_pretty(&deck.cards)?;
    std::fs::write(dir.join(format!("{name}.json")), list)?;
    for why in &deck.left_out {
        eprintln!("left out: {why}");
    }
    println!("{} models", deck.cards.len());
    Ok(())
}

/// The files of a deck.
fn models(deck: &[u8]) -> Vec<Vec<u8>> {
    let word = |at: usize| {
        let bytes = deck.get(at..).and_then(|rest| rest.first_chunk());
        u32::from_le_bytes(bytes.copied().unwrap_or_default()) as usize
    };
    let mut at = 16;
    let mut models = Vec::new();
    for _ in 0..word(8) {
        let (model, inputs) = (word(at), word(at + 4));
        at = (at + 8).next_multiple_of(16);
        models.push(deck.get(at..at + model).unwrap_or_default().to_vec());
        at = (at + model).next_multiple_of(16) + inputs;
        at = at.next_multiple_of(16);
    }
    models
}

/// What was counted of an instruction set.
struct Data {
    set: InstructionSet,
    models: Vec<Vec<u8>>,
    counted: Counted,
    mixes: BTreeMap<String, InstructionMix>,
}

fn read(dir: &Path) -> Result<Vec<Data>, Fault> {
    let mut all = Vec::new();
    for &set in InstructionSet::ALL {
        let path = |ending: &str| dir.join(format!("{}.{ending}", set.name()));
        let Ok(counts) = std::fs::read(path("counts.json")) else {
            continue;
        };
        let cards: Vec<Card> = serde_json::from_slice(&std::fs::read(path("json"))?)?;
        let counted: Counted = serde_json::from_slice(&counts)?;
        let of_deck = models(&std::fs::read(path("deck"))?);
        if cards.len() != counted.models.len() || of_deck.len() != cards.len() {
            return Err(format!("{}: deck, list and counts are not of one run", set.name()).into());
        }
        let mut mixes = BTreeMap::new();
        if let (Ok(mix), Ok(traced)) = (
            std::fs::read(path("mix.json")),
            std::fs::read(path("trace.deck")),
        ) {
            let nodes: Vec<NodeMix> = serde_json::from_slice(&mix)?;
            let traced = models(&traced);
            mixes = family_mixes(set, traced.iter().map(Vec::as_slice), &nodes);
        }
        all.push(Data {
            set,
            models: of_deck,
            counted,
            mixes,
        });
    }
    Ok(all)
}

fn fit(dir: &Path, table: &Path) -> Result<(), Fault> {
    let last = std::fs::read_to_string(table).unwrap_or_default();
    let all = read(dir)?;
    let mut source = "//! @generated by `cargo xtask calibrate-costs`; not to be edited by hand.\n\nuse super::InstructionSet;\nuse super::cycles::InstructionMix;\nuse super::table::Fit;\n\npub(super) static FITS: &[Fit] = &[\n".to_owned();
    for &set in InstructionSet::ALL {
        let Some(data) = all.iter().find(|data| data.set == set) else {
            // What is not counted here stays what it was.
            source.extend(rows_of(&last, set));
            continue;
        };
        let files = data.models.iter().map(Vec::as_slice);
        for family in fit_families(data.set, &data.counted, files) {
            eprintln!(
                "{} {}: {} layers, mean error {:.1} %, largest {:.1} %",
                data.set.name(),
                family.family,
                family.layers,
                100.0 * family.errors[0],
                100.0 * family.errors[1],
            );
            source += &row(data.set, &family, data.mixes.get(&family.family));
        }
    }
    source += "];\n";
    std::fs::write(table, source)?;
    Ok(())
}

/// The rows of a table's source that are of an instruction set.
fn rows_of(table: &str, set: InstructionSet) -> impl Iterator<Item = String> {
    const BEGIN: &str = "\n    // ";
    let of_set = format!("set: InstructionSet::{set:?},");
    let rows = table.trim_end_matches("];\n").split(BEGIN).skip(1);
    let rows = rows.filter(move |row| row.contains(&of_set));
    rows.map(|row| format!("{}{}\n", BEGIN.trim_start_matches('\n'), row.trim_end()))
}

/// A family in the table.
fn row(set: InstructionSet, family: &FittedFamily, mix: Option<&InstructionMix>) -> String {
    let FittedFamily {
        family: name,
        terms,
        layers,
        errors: [mean, largest],
    } = family;
    let number = |value: f64| match value {
        // Six digits say all that the counts do.
        0.0 => "0.0".to_owned(),
        value if value.abs() >= 1e5 => format!("{value:.1}"),
        value => format!("{value:.5}"),
    };
    let terms: Vec<String> = terms
        .iter()
        .map(|(term, each)| format!("({term:?}, {})", number(*each)))
        .collect();
    let mix = mix.map_or_else(
        || "InstructionMix::TYPICAL".to_owned(),
        |mix| format!("{mix:?}"),
    );
    format!(
        "    // {layers} layers, mean error {:.1} %, largest {:.1} %.\n    Fit {{ set: InstructionSet::{set:?}, family: {name:?}, terms: &[{}], mix: {mix} }},\n",
        100.0 * mean,
        100.0 * largest,
        terms.join(", "),
    )
}

fn check(dir: &Path, keep: &Path, layers: bool) -> Result<(), Fault> {
    let last = std::fs::read(keep).unwrap_or_default();
    let mut held_out: Vec<HeldOut> = serde_json::from_slice(&last).unwrap_or_default();
    for data in read(dir)? {
        let mut own = HeldOut {
            set: data.set,
            models: Vec::new(),
        };
        for (counted, model) in data.counted.models.iter().zip(&data.models) {
            if !counted.held_out {
                continue;
            }
            own.models.push(counted.clone());
            let graph = larun_tflite::read(model)?;
            let predicted = instructions(&graph, data.set);
            let error = 100.0 * (predicted / counted.invoke as f64 - 1.0);
            println!(
                "{} {} counted {} predicted {predicted:.0} error {error:+.1} %",
                data.set.name(),
                counted.name,
                counted.invoke
            );
            if layers {
                print_layers(data.set, &graph, counted);
            }
        }
        // What is not counted here stays what it was.
        held_out.retain(|other| other.set != own.set);
        held_out.push(own);
    }
    let place = |held: &HeldOut| InstructionSet::ALL.iter().position(|&set| set == held.set);
    held_out.sort_by_key(place);
    std::fs::create_dir_all(keep.parent().unwrap_or(keep))?;
    std::fs::write(keep, serde_json::to_string(&held_out)? + "\n")?;
    Ok(())
}

/// The layers that are off by more than a tenth.
fn print_layers(set: InstructionSet, graph: &Graph, counted: &CountedModel) {
    let Some(subgraph) = graph.main() else { return };
    for &(index, count) in &counted.nodes {
        let node = subgraph.nodes.get(index);
        let Some(work) = node.and_then(|node| work(subgraph, node, set.kernels())) else {
            continue;
        };
        let fit = Fit::find(set, &work.family);
        let own = fit.map_or(0.0, |fit| fit.instructions(&work.terms));
        if (own / count as f64 - 1.0).abs() > 0.1 {
            println!(
                "    {index} {} counted {count} predicted {own:.0}",
                work.family
            );
        }
    }
}

fn write(counted: &Path, page: &Path, corpus: &Path) -> Result<(), Fault> {
    let held_out: Vec<HeldOut> = serde_json::from_slice(&std::fs::read(counted)?)?;
    write_page(page, &held_out, corpus)
}
