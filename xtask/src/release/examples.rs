//! The step `examples`: the crates of `examples/` that this machine can run; those for boards are run by the step `firmware`.

use super::code::{TARGETS, target_toolchain};
use super::context::Context;
use super::step::{Error, Outcome};

/// A crate of `examples/`.
pub(super) struct Example {
    pub(super) folder: &'static str,
    /// The crate of ours that it shows.
    pub(super) shows: &'static str,
    /// Its library is built for bare metal as well.
    pub(super) no_std: bool,
}

/// Those that this machine can run.
pub(super) const EXAMPLES: [Example; 3] = [
    Example {
        folder: "quant-no-std",
        shows: "larun-quant",
        no_std: true,
    },
    Example {
        folder: "quant-ndarray",
        shows: "larun-quant",
        no_std: false,
    },
    Example {
        folder: "micro-no-std",
        shows: "larun-micro",
        no_std: true,
    },
];

/// Runs each here, and builds what a firmware would use of it for every processor.
pub(super) fn run(context: &Context) -> Result<Outcome, Error> {
    let has_targets = target_toolchain(context)?.is_none();
    for Example { folder, no_std, .. } in EXAMPLES {
        let cargo = |verb: &str| {
            let mut cargo = context.cargo([verb, "--locked", "--quiet", "--target-dir"]);
            cargo.arg(context.target().join("examples"));
            cargo.current_dir(context.path("examples").join(folder));
            cargo
        };
        context.say(&format!("examples/{folder}"));
        context.run(&mut cargo("run"))?;
        for target in TARGETS.iter().filter(|_| no_std && has_targets) {
            context.run(cargo("build").args(["--lib", "--target", target]))?;
        }
    }
    Ok(Outcome::Passed)
}
