//! `cargo xtask firmware`: the firmware examples in QEMU, against this machine.
//!
//! The example is built and run for a Cortex-M4 and a Cortex-M0 and must print the bytes that the interpreter gives
//! here. With models, the program `measure` runs each on the Cortex-M4 and says what it takes.

pub(crate) mod compiled;
mod examples;
mod image;
mod report;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde::Deserialize;

use self::report::{Measured, MeasuredTable};
use crate::workspace_root;

/// Where the example is.
const EXAMPLE: &str = "crates/larun-micro/examples/firmware";
const CORTEX_M4: Board = Board {
    name: "Cortex-M4",
    target: "thumbv7em-none-eabihf",
    machine: "mps2-an386",
};
const CORTEX_M0: Board = Board {
    name: "Cortex-M0",
    target: "thumbv6m-none-eabi",
    machine: "microbit",
};
/// Room beside what the model takes on this machine: kernels for the processor may want more scratch memory.
const SPARE_ARENA: usize = 32 << 10;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Models to measure on the Cortex-M4; none: only the example's bytes are compared
    models: Vec<PathBuf>,
    /// Measure the INT8 models of MLPerf Tiny in the corpus that LARUN_CORPUS names
    #[arg(long)]
    mlperf: bool,
    /// Build without the kernels for the processor: the portable ones alone
    #[arg(long)]
    portable: bool,
    /// Link every element type and all kinds of operators, not INT8 alone: for models that need them
    #[arg(long)]
    every_type: bool,
    /// Ways of computing layers that are not linked where others can stand in: less flash, more instructions
    #[arg(long, value_name = "WAY", value_delimiter = ',')]
    without: Vec<String>,
    /// Write the measurements as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Args {
    fn linked(&self) -> Linked {
        Linked {
            portable: self.portable,
            every_type: self.every_type,
        }
    }
}

/// Why the run failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: io::Error },
    #[error("{what} failed; its output:\n{output}")]
    Failed { what: String, output: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{what}: {detail}")]
    Malformed { what: String, detail: String },
    #[error(
        "{board}, {program}: the outputs differ from this machine's\n  here:  {here:?}\n  there: {there:?}"
    )]
    Differs {
        board: &'static str,
        program: String,
        here: Vec<String>,
        there: Vec<String>,
    },
    #[error("the models of MLPerf Tiny are in the corpus: set LARUN_CORPUS to its folder")]
    NoCorpus,
}

/// A machine of QEMU.
#[derive(Clone, Copy)]
struct Board {
    name: &'static str,
    target: &'static str,
    machine: &'static str,
}

/// What a model needs and gives on this machine.
#[derive(Deserialize)]
struct Reference {
    ops: Vec<String>,
    arena: usize,
    input_bytes: usize,
    outputs: Vec<String>,
}

/// What a program printed.
#[derive(Default)]
struct Printed {
    outputs: Vec<String>,
    numbers: Vec<(String, u64)>,
}

/// A program of the example, with the model and the input that it embeds.
struct Program {
    name: &'static str,
    model: PathBuf,
    input: PathBuf,
}

/// The programs, the smaller one first.
fn programs() -> [Program; 2] {
    let root = workspace_root();
    let transit = root.join("crates/larun-micro/fixtures");
    let spectral = root.join("fixtures/models/spectral");
    [
        Program {
            name: "transit",
            model: transit.join("transit.tflite"),
            input: transit.join("transit_flux.bin"),
        },
        Program {
            name: "classify",
            model: spectral.join("model.tflite"),
            input: spectral.join("curve.bin"),
        },
    ]
}

/// Runs the example on both boards, then measures the models.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let [transit, classify] = programs();
    // QEMU's Cortex-M0 has 16 KB of RAM, of which `classify` alone would take 12 for its arena.
    let runs = [
        (CORTEX_M4, &transit),
        (CORTEX_M4, &classify),
        (CORTEX_M0, &transit),
    ];
    for (board, program) in runs {
        println!("{}", run_program(board, program, args.linked())?);
    }
    if !args.portable {
        compare_layers(CORTEX_M4)?;
        examples::run()?;
    }
    let mut table = MeasuredTable::default();
    for model in models(args)? {
        let measured = measure(&model, args.linked(), &args.without)?;
        println!("{}", table.push(measured));
    }
    if let Some(path) = &args.json {
        table.write(path)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a program, compares its bytes with this machine's, and says what it takes.
fn run_program(board: Board, program: &Program, linked: Linked) -> Result<String, Error> {
    let Program { name, model, input } = program;
    let build = Build::new(board, linked);
    build.cargo(name, &[])?;
    build.cargo("empty", &[])?;
    let printed = build.run(name)?;
    compare(board, name, &reference(model, Some(input))?, &printed)?;
    let panics = image::panic_symbols(&build.image(name))?;
    Ok(format!(
        "{}, {name}: the same bytes as here; {} bytes of flash beside the model, {} of arena, {} of stack; panics linked: {}",
        board.name,
        build.code_bytes(name, &[model, input])?,
        printed.number("arena"),
        printed.number("stack"),
        match panics.is_empty() {
            true => "none".to_owned(),
            false => panics.join(", "),
        },
    ))
}

/// Holds the kernels for a board's processor against the portable definitions, on the board.
fn compare_layers(board: Board) -> Result<(), Error> {
    let build = Build::new(board, Linked::default());
    build.cargo("layers", &[])?;
    let printed = build.run("layers")?;
    println!(
        "{}: {} random layers, the portable definitions' bytes",
        board.name,
        printed.number("layers"),
    );
    Ok(())
}

fn models(args: &Args) -> Result<Vec<PathBuf>, Error> {
    let mut models = args.models.clone();
    if args.mlperf {
        models.extend(mlperf()?);
    }
    Ok(models)
}

/// The INT8 models of MLPerf Tiny in the corpus.
fn mlperf() -> Result<Vec<PathBuf>, Error> {
    let corpus = std::env::var_os("LARUN_CORPUS").ok_or(Error::NoCorpus)?;
    let folder = Path::new(&corpus).join("models/mlperf_tiny");
    let names = [
        "kws_int8",
        "ic_resnet8_int8",
        "vww_int8",
        "ad01_int8",
        "sww_int8",
    ];
    Ok(names
        .map(|name| folder.join(name).join("model.tflite"))
        .to_vec())
}

/// Runs a model on the Cortex-M4 with pseudo-random inputs, compares its bytes, and says what it took.
fn measure(model: &Path, linked: Linked, without: &[String]) -> Result<Measured, Error> {
    let build = Build::new(CORTEX_M4, linked);
    let bytes = reference(model, None)?.input_bytes;
    let inputs = workspace_root().join("target/firmware/inputs.bin");
    write(&inputs, &pseudo_random(bytes))?;
    let reference = reference_without(model, Some(&inputs), without)?;
    let arena = (reference.arena + SPARE_ARENA).next_multiple_of(16);
    let settings = [
        ("LARUN_MODEL", model.as_os_str().to_owned()),
        ("LARUN_INPUTS", inputs.as_os_str().to_owned()),
        ("LARUN_OPS", reference.ops.join(", ").into()),
        ("LARUN_ARENA", arena.to_string().into()),
    ];
    build.cargo("measure", &settings)?;
    build.cargo("empty", &[])?;
    let printed = build.run("measure")?;
    compare(
        CORTEX_M4,
        &model.display().to_string(),
        &reference,
        &printed,
    )?;
    let folder = model
        .parent()
        .and_then(Path::file_name)
        .unwrap_or(OsStr::new("model"));
    Ok(Measured {
        model: folder.to_string_lossy().into_owned(),
        instructions: printed.number("invoke"),
        load_instructions: printed.number("load"),
        code_bytes: build.code_bytes("measure", &[model, &inputs])?,
        arena_bytes: printed.number("arena"),
        stack_bytes: printed.number("stack"),
    })
}

/// Bytes of a fixed sequence (George Marsaglia, "Xorshift RNGs", 2003).
fn pseudo_random(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

fn compare(
    board: Board,
    program: &str,
    reference: &Reference,
    printed: &Printed,
) -> Result<(), Error> {
    if reference.outputs == printed.outputs {
        return Ok(());
    }
    Err(Error::Differs {
        board: board.name,
        program: program.to_owned(),
        here: reference.outputs.clone(),
        there: printed.outputs.clone(),
    })
}

/// Asks larun-testing's program `reference`, which is built apart: code generation does not depend on what it makes.
fn reference(model: &Path, inputs: Option<&Path>) -> Result<Reference, Error> {
    reference_without(model, inputs, &[])
}

/// The same for operators without some ways.
fn reference_without(
    model: &Path,
    inputs: Option<&Path>,
    without: &[String],
) -> Result<Reference, Error> {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--package",
        "larun-testing",
        "--bin",
        "reference",
        "--",
    ]);
    command
        .arg(model)
        .args(inputs)
        .args(without.iter().map(|way| format!("--without={way}")))
        .current_dir(workspace_root());
    let output = succeed(&mut command, "reference")?;
    let json = output.lines().next().unwrap_or_default();
    serde_json::from_str(json).map_err(|error| Error::Malformed {
        what: "reference".to_owned(),
        detail: error.to_string(),
    })
}

/// A build of the example for a board.
struct Build {
    board: Board,
    linked: Linked,
    target_dir: PathBuf,
}

/// What the programs link.
#[derive(Clone, Copy, Default)]
struct Linked {
    /// Only kernels for any processor.
    portable: bool,
    /// Every element type and operator, where it is only INT8 otherwise.
    every_type: bool,
}

impl Build {
    fn new(board: Board, linked: Linked) -> Self {
        let kind = if linked.portable {
            "portable"
        } else {
            "native"
        };
        let target_dir = workspace_root().join("target/firmware").join(kind);
        Self {
            board,
            linked,
            target_dir,
        }
    }

    fn cargo(&self, program: &str, settings: &[(&str, std::ffi::OsString)]) -> Result<(), Error> {
        self.cargo_with(program, &[], settings)
    }

    fn cargo_with(
        &self,
        program: &str,
        arguments: &[&str],
        settings: &[(&str, std::ffi::OsString)],
    ) -> Result<(), Error> {
        let mut command = cargo();
        command.args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--bin",
            program,
        ]);
        command
            .args(["--target", self.board.target])
            .arg("--target-dir")
            .arg(&self.target_dir);
        command.current_dir(workspace_root().join(EXAMPLE));
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.args(arguments);
        if self.linked.every_type {
            command.args(["--features", "every-type"]);
        }
        if self.linked.portable {
            command.env("RUSTFLAGS", "--cfg larun_portable");
        }
        succeed(&mut command, program).map(|_| ())
    }

    fn image(&self, program: &str) -> PathBuf {
        self.target_dir
            .join(self.board.target)
            .join("release")
            .join(program)
    }

    fn run(&self, program: &str) -> Result<Printed, Error> {
        let mut command = Command::new("timeout");
        command.args([
            "300",
            "qemu-system-arm",
            "-M",
            self.board.machine,
            "-icount",
            "shift=8",
        ]);
        command.args(["-display", "none", "-serial", "null", "-monitor", "none"]);
        command.args(["-semihosting-config", "enable=on,target=native", "-kernel"]);
        command.arg(self.image(program)).stdin(Stdio::null());
        succeed(&mut command, "qemu-system-arm").map(|text| Printed::parse(&text))
    }

    /// Bytes of flash that the program takes, without the files that it embeds and what an empty program takes.
    fn code_bytes(&self, program: &str, embedded: &[&Path]) -> Result<u64, Error> {
        let mut bytes = image::flash_bytes(&self.image(program))?;
        bytes = bytes.saturating_sub(image::flash_bytes(&self.image("empty"))?);
        for path in embedded {
            let data = std::fs::metadata(path).map_err(|source| Error::Io {
                path: path.to_path_buf(),
                source,
            })?;
            bytes = bytes.saturating_sub(data.len());
        }
        Ok(bytes)
    }
}

impl Printed {
    fn parse(text: &str) -> Self {
        let mut printed = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match value.parse() {
                Ok(number) if name != "output" => printed.numbers.push((name.to_owned(), number)),
                _ => printed.outputs.push(value.to_owned()),
            }
        }
        printed
    }

    fn number(&self, name: &str) -> u64 {
        let found = self.numbers.iter().find(|(other, _)| other == name);
        found.map_or(0, |&(_, number)| number)
    }
}

pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command that must end well; returns what it printed, errors last: QEMU writes a board's console there.
pub(crate) fn succeed(command: &mut Command, what: &str) -> Result<String, Error> {
    let output = command.output().map_err(|source| Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let printed = text(&output.stdout) + &text(&output.stderr);
    if output.status.success() {
        return Ok(printed);
    }
    Err(Error::Failed {
        what: what.to_owned(),
        output: printed,
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(path.parent().unwrap_or(path)).map_err(io)?;
    std::fs::write(path, bytes).map_err(io)
}
