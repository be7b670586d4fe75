//! `cargo xtask calibrate-costs`: the cost model, from instructions counted in QEMU.
//!
//! For every instruction set: a deck of random layers and the corpus's models, run by the counting firmware; every node's instructions; what
//! the instructions are, from a trace of some layers. Then the fit, which is written to `larun-device`, and the tables of docs/devices.md.

mod trace;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::firmware::{Error, cargo, succeed};
use crate::workspace_root;

/// The firmware that counts.
const FIRMWARE: &str = "crates/larun-device/firmware";
const PROGRAM: &str = "larun-count-firmware";
/// What a loop of ten thousand instructions may be counted as.
const CHECK: core::ops::RangeInclusive<u64> = 9_990..=10_060;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these instruction sets are counted anew: armv6-m, armv7e-m, rv32imc
    #[arg(value_name = "SET")]
    sets: Vec<String>,
    /// Count nothing: fit what was counted last
    #[arg(long)]
    fit_only: bool,
    /// Do not trace: keep the mixes of instructions of last time
    #[arg(long)]
    no_trace: bool,
}

/// A machine of QEMU that stands for an instruction set.
struct Machine {
    set: &'static str,
    target: &'static str,
    emulator: &'static str,
    arguments: &'static [&'static str],
    /// An instruction takes 256 ns of the machine's time where its timer counts them, 1 ns where the processor does.
    clock: &'static str,
    deck_at: &'static str,
}

const MACHINES: [Machine; 3] = [
    Machine {
        set: "armv6-m",
        target: "thumbv6m-none-eabi",
        emulator: "qemu-system-arm",
        arguments: &["-M", "mps2-an386"],
        clock: "shift=8",
        deck_at: "0x21000000",
    },
    Machine {
        set: "armv7e-m",
        target: "thumbv7em-none-eabihf",
        emulator: "qemu-system-arm",
        arguments: &["-M", "mps2-an386"],
        clock: "shift=8",
        deck_at: "0x21000000",
    },
    Machine {
        set: "rv32imc",
        target: "riscv32imc-unknown-none-elf",
        emulator: "qemu-system-riscv32",
        arguments: &["-M", "virt", "-m", "64M", "-bios", "none"],
        clock: "shift=0",
        deck_at: "0x81000000",
    },
];

/// A model of a deck.
#[derive(Deserialize)]
struct Card {
    name: String,
    held_out: bool,
    outputs: u32,
}

/// What the firmware printed of a model.
#[derive(Default, Serialize)]
struct Counts {
    name: String,
    held_out: bool,
    nodes: Vec<(u64, u64)>,
    invoke: u64,
    #[serde(skip)]
    outputs: u64,
    #[serde(skip)]
    refused: Option<String>,
}

/// Counts, fits, and writes the results.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let folder = workspace_root().join("target/costs");
    for machine in &MACHINES {
        let named = args.sets.is_empty() || args.sets.iter().any(|set| set == machine.set);
        if named && !args.fit_only {
            machine.count(&folder)?;
            if !args.no_trace {
                machine.trace(&folder)?;
            }
        }
    }
    let device = workspace_root().join("crates/larun-device");
    let table = device.join("src/cost/generated.rs");
    costs([OsStr::new("fit"), folder.as_os_str(), table.as_os_str()])?;
    succeed(
        Command::new("rustfmt")
            .args(["--edition", "2024"])
            .arg(&table),
        "rustfmt",
    )?;
    // Built anew, with the table.
    let counted = device.join("tests/data/counted.json");
    print!(
        "{}",
        costs([OsStr::new("check"), folder.as_os_str(), counted.as_os_str()])?
    );
    let page = workspace_root().join("docs/devices.md");
    costs([OsStr::new("page"), counted.as_os_str(), page.as_os_str()])?;
    Ok(ExitCode::SUCCESS)
}

/// Runs larun-testing's program `costs`, which knows graphs and the cost model.
fn costs<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<String, Error> {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--package",
        "larun-testing",
        "--bin",
        "costs",
        "--",
    ]);
    command.args(arguments).current_dir(workspace_root());
    command.stderr(Stdio::inherit());
    succeed(&mut command, "costs")
}

impl Machine {
    /// Counts a deck and writes `SET.counts.json`.
    fn count(&self, folder: &Path) -> Result<(), Error> {
        let cards = self.deck(folder, self.set, &[])?;
        let image = self.build(folder)?;
        let deck = folder.join(format!("{}.deck", self.set));
        let mut command = self.emulator(&image, &deck);
        command.args(["-icount", self.clock]);
        let printed = succeed(&mut command, self.set)?;
        let models = self.parse(&printed, &cards)?;
        println!("{}: {} models counted", self.set, models.len());
        let text = json!({ "models": models }).to_string();
        write(&folder.join(format!("{}.counts.json", self.set)), &text)
    }

    /// Traces a smaller deck and writes `SET.mix.json`: for every node, how many instructions of which kind.
    fn trace(&self, folder: &Path) -> Result<(), Error> {
        let name = format!("{}.trace", self.set);
        self.deck(folder, &name, &["--some"])?;
        let image = self.build(folder)?;
        let deck = folder.join(format!("{name}.deck"));
        let mut command = self.emulator(&image, &deck);
        command.args(["-d", "in_asm,exec,nochain", "-D", "/dev/stderr"]);
        let mixes = trace::mixes(&mut command, &image)?;
        println!("{}: {} nodes traced", self.set, mixes.len());
        let text = json!(mixes).to_string();
        write(&folder.join(format!("{}.mix.json", self.set)), &text)
    }

    fn deck(&self, folder: &Path, name: &str, more: &[&str]) -> Result<Vec<Card>, Error> {
        let mut arguments = vec![
            OsStr::new("deck"),
            OsStr::new(self.set),
            folder.as_os_str(),
            OsStr::new(name),
        ];
        arguments.extend(more.iter().map(OsStr::new));
        costs(arguments)?;
        let path = folder.join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|error| malformed(&path, &error))
    }

    fn build(&self, folder: &Path) -> Result<PathBuf, Error> {
        let mut command = cargo();
        command.args(["build", "--quiet", "--release", "--locked"]);
        command
            .args(["--target", self.target, "--target-dir"])
            .arg(folder);
        command.current_dir(workspace_root().join(FIRMWARE));
        succeed(&mut command, FIRMWARE)?;
        Ok(folder.join(self.target).join("release").join(PROGRAM))
    }

    fn emulator(&self, image: &Path, deck: &Path) -> Command {
        let mut command = Command::new(self.emulator);
        command
            .args(self.arguments)
            .args(["-display", "none", "-serial", "null", "-monitor", "none"]);
        command
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(image);
        let loader = format!(
            "loader,file={},addr={},force-raw=on",
            deck.display(),
            self.deck_at
        );
        command.args(["-device", &loader]).stdin(Stdio::null());
        command
    }

    fn parse(&self, printed: &str, cards: &[Card]) -> Result<Vec<Counts>, Error> {
        let fault = |detail: String| Error::Malformed {
            what: format!("the output of {}", self.set),
            detail,
        };
        let mut models: Vec<Counts> = Vec::new();
        for line in printed.lines() {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default();
            let mut number = || {
                words
                    .next()
                    .and_then(|word| word.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            match (name, models.last_mut()) {
                ("check", _) => {
                    let found = number();
                    if !CHECK.contains(&found) {
                        return Err(fault(format!(
                            "a loop of 10000 instructions counts as {found}"
                        )));
                    }
                }
                ("model", _) => models.push(Counts::default()),
                ("node", Some(model)) => model.nodes.push((number(), number())),
                ("outputs", Some(model)) => model.outputs = number(),
                ("invoke", Some(model)) => model.invoke = number(),
                ("because" | "refused", Some(model)) => model.refused = Some(line.to_owned()),
                _ => {}
            }
        }
        if models.len() != cards.len() {
            let (found, sent) = (models.len(), cards.len());
            return Err(fault(format!("{found} models of {sent}")));
        }
        for (model, card) in models.iter_mut().zip(cards) {
            model.name.clone_from(&card.name);
            model.held_out = card.held_out;
            if let Some(why) = &model.refused {
                return Err(fault(format!("{}: {why}", card.name)));
            }
            // Real arithmetic differs in last bits: fused on one processor, not on another.
            if model.outputs != u64::from(card.outputs)
                && !card.name.contains("float")
                && !card.name.contains("fp32")
            {
                eprintln!(
                    "{}: {}: other bytes than on this machine",
                    self.set, card.name
                );
            }
        }
        Ok(models)
    }
}

fn malformed(path: &Path, error: &serde_json::Error) -> Error {
    Error::Malformed {
        what: path.display().to_string(),
        detail: error.to_string(),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}
