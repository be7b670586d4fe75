//! The firmware crates of `examples/`: each is built and run, and must print the bytes that the interpreter gives here.

use std::process::{Command, Stdio};

use super::{Board, Error, Printed, cargo, compare, reference, succeed};
use crate::workspace_root;

/// A crate of `examples/`, with the board that its `.cargo/config.toml` runs.
struct Example {
    folder: &'static str,
    emulator: &'static str,
    board: Board,
}

const EXAMPLES: [Example; 3] = [
    Example {
        folder: "cortex-m4",
        emulator: "qemu-system-arm",
        board: super::CORTEX_M4,
    },
    Example {
        folder: "cortex-m0plus",
        emulator: "qemu-system-arm",
        board: super::CORTEX_M0,
    },
    Example {
        folder: "riscv",
        emulator: "qemu-system-riscv32",
        board: Board {
            name: "RISC-V",
            target: "riscv32imc-unknown-none-elf",
            machine: "virt",
        },
    },
];

/// Runs the examples whose emulator there is.
pub(super) fn run() -> Result<(), Error> {
    for example in &EXAMPLES {
        let version = Command::new(example.emulator)
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if !version.is_ok_and(|status| status.success()) {
            println!(
                "skipped: examples/{} takes {}",
                example.folder, example.emulator
            );
            continue;
        }
        run_example(example)?;
        println!(
            "{}, examples/{}: the same bytes as here",
            example.board.name, example.folder
        );
    }
    Ok(())
}

fn run_example(example: &Example) -> Result<(), Error> {
    let root = workspace_root();
    let folder = root.join("examples").join(example.folder);
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--locked", "--target-dir"]);
    build
        .arg(root.join("target/firmware/examples"))
        .current_dir(&folder);
    succeed(&mut build, example.folder)?;
    // The runner of the crate's own configuration, so that what a user types is what is run.
    let mut run = Command::new("timeout");
    run.arg("60").arg(cargo().get_program());
    run.args(["run", "--quiet", "--release", "--locked", "--target-dir"]);
    run.arg(root.join("target/firmware/examples"))
        .current_dir(&folder)
        .stdin(Stdio::null());
    let printed = Printed::parse(&succeed(&mut run, example.folder)?);
    let files = ["model/transit.tflite", "model/transit_flux.bin"].map(|file| folder.join(file));
    let here = reference(&files[0], Some(&files[1]))?;
    compare(example.board, example.folder, &here, &printed)
}
