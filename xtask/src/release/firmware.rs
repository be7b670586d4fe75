//! Steps that hold what is written and run to TensorFlow's runtimes and to processors in QEMU.

use super::code::target_toolchain;
use super::context::{Context, folder};
use super::step::{Error, Outcome};
use super::workspace::SELECTION;

type Result = core::result::Result<Outcome, Error>;

/// The corpus through the interpreter.
pub(super) fn conformance(context: &Context) -> Result {
    if folder("LARUN_CORPUS").is_none() {
        return Ok(Outcome::Skipped("LARUN_CORPUS is not set".to_owned()));
    }
    build(context, "conformance")?;
    let mut conformance = std::process::Command::new(context.target().join("debug/conformance"));
    conformance
        .args(["--json", "target/ci/conformance.json"])
        .current_dir(context.path("."));
    context.run(&mut conformance)?;
    Ok(Outcome::Passed)
}

/// Firmware in QEMU, the crates of examples/ among it, gives the bytes of this machine; with a corpus, so do the models of MLPerf Tiny,
/// counted and measured.
pub(super) fn firmware(context: &Context) -> Result {
    if !context.has("qemu-system-arm", &["--version"]) {
        return Ok(Outcome::Skipped("it takes qemu-system-arm".to_owned()));
    }
    if target_toolchain(context)?.is_some() {
        return Ok(Outcome::Skipped(
            "it takes targets that rustup has installed".to_owned(),
        ));
    }
    let mut firmware = context.xtask(&["firmware", "--json", "target/ci/firmware.json"]);
    if folder("LARUN_CORPUS").is_some() {
        firmware.arg("--mlperf");
    }
    context.run(&mut firmware)?;
    Ok(Outcome::Passed)
}

/// A model that larun trains and writes gives the same bytes in TensorFlow Lite Micro, and loads in LiteRT.
pub(super) fn runtimes(context: &Context) -> Result {
    let Some(data) = folder("LARUN_DATA") else {
        return Ok(Outcome::Skipped("LARUN_DATA is not set".to_owned()));
    };
    if !context.python().exists() {
        return Ok(Outcome::Skipped(
            "it takes TensorFlow's runtimes: `.ci/run tools`".to_owned(),
        ));
    }
    build(context, "cli")?;
    let larun = context.target().join("debug/larun");
    let data = data.join("lc6_hybrid1024.npz");
    let out = context.path("target/ci/spectral");
    super::context::empty(&out)?;
    // Two epochs: the bytes are compared here, not the accuracy. That a budget is not met is a finding (1), not a failure.
    let mut optimize = std::process::Command::new(&larun);
    optimize.args([
        "optimize",
        "--zoo",
        "spectral",
        "--device",
        "nano33ble",
        "--epochs",
        "2",
        "--quiet",
    ]);
    optimize.arg("--data").arg(&data).arg("--output").arg(&out);
    match context.status(&mut optimize)? {
        Some(0 | 1) => {}
        code => {
            return Err(Error::Finding(format!(
                "larun optimize ended with {code:?}"
            )));
        }
    }
    let script = |name: &str| {
        let mut python = std::process::Command::new(context.python());
        python
            .arg(context.path("xtask/scripts").join(name))
            .arg(&larun);
        python
    };
    let mut real = script("real_runtimes.py");
    context.run(real.arg(out.join("model.tflite")).arg(&data).arg("1000"))?;
    if let Some(corpus) = folder("LARUN_CORPUS") {
        context.run(
            script("quantized_runtimes.py")
                .arg(&corpus)
                .args(["--cases", "200"]),
        )?;
        context.run(script("pruned_runtimes.py").arg(&corpus))?;
        context.run(script("offline_plan.py").arg(&corpus))?;
    }
    Ok(Outcome::Passed)
}

/// Builds the programs of a crate as the step `tests` has built them, for the tests that start them: `cargo build` would choose other
/// features for crates that only tests depend on, and compile nearly everything again.
fn build(context: &Context, test: &str) -> core::result::Result<(), Error> {
    let mut build = context.cargo(["test", "--no-run", "--test", test]);
    context.run(build.args(SELECTION))
}
