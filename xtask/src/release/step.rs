//! The list of steps, and what a step is.

use std::io;
use std::path::PathBuf;

use super::context::Context;
use super::{api, binary, code, downstream, examples, firmware, packages, version};

/// One thing that must hold.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) when: When,
    pub(super) order: Order,
    pub(super) run: fn(&Context) -> Result<Outcome, Error>,
}

/// What asks for a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Every change.
    EveryChange,
    /// A release alone: it takes long, or says nothing of a change.
    Release,
}

/// Whether a step has the machine for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Cargo fills the processors by itself.
    Alone,
    /// Beside its neighbours of this kind: each keeps one processor busy.
    Beside,
}

/// How a step ended that did not fail.
pub(super) enum Outcome {
    Passed,
    /// What it takes is not there: why, and how to get it.
    Skipped(String),
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no step {name}; there are: {all}")]
    NoStep { name: String, all: String },
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: io::Error },
    #[error("`{command}` ended with {status}")]
    Failed { command: String, status: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Finding(String),
}

impl Error {
    /// For a file or folder that cannot be read or written.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

const fn every(
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Result<Outcome, Error>,
) -> Step {
    Step {
        name,
        about,
        when: When::EveryChange,
        order: Order::Alone,
        run,
    }
}

const fn beside(
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Result<Outcome, Error>,
) -> Step {
    Step {
        order: Order::Beside,
        ..every(name, about, run)
    }
}

const fn release(
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Result<Outcome, Error>,
) -> Step {
    Step {
        when: When::Release,
        ..every(name, about, run)
    }
}

/// All steps, what is quick to fail first.
pub(super) const STEPS: &[Step] = &[
    every("format", "rustfmt changes nothing", code::format),
    every(
        "version",
        "version, changelog and READMEs agree",
        version::agrees,
    ),
    every("clippy", "no warning in any target", code::clippy),
    every("tests", "the tests of the workspace", code::tests),
    every(
        "no_std",
        "what is deployed builds for bare metal",
        code::no_std,
    ),
    every(
        "features",
        "each crate with none, each and all of its features",
        code::features,
    ),
    every(
        "oldest",
        "what is deployed builds with the oldest compiler",
        code::oldest,
    ),
    every(
        "dependencies",
        "what is deployed links no more than it may",
        code::dependencies,
    ),
    every(
        "unsafe_code",
        "every file with unsafe code is explained",
        code::unsafe_code,
    ),
    every("docs", "rustdoc warns of nothing", code::docs),
    every(
        "generated",
        "generated files are what their sources give",
        code::generated,
    ),
    every(
        "examples",
        "the crates of examples/ build and run",
        examples::run,
    ),
    every(
        "licences",
        "licences, sources and bans of all dependencies",
        code::licences,
    ),
    beside(
        "conformance",
        "the corpus through the interpreter",
        firmware::conformance,
    ),
    beside(
        "firmware",
        "firmware in QEMU gives this machine's bytes",
        firmware::firmware,
    ),
    beside(
        "runtimes",
        "written models give the same bytes in TensorFlow's runtimes",
        firmware::runtimes,
    ),
    release(
        "api",
        "what changed of the public API since the last tag",
        api::diff,
    ),
    release(
        "packages",
        "every crate as it will be published passes its tests",
        packages::test,
    ),
    release(
        "downstream",
        "programs that depend on the packages build and run",
        downstream::prove,
    ),
    release(
        "binary",
        "the command, completions, manual pages, checksums",
        binary::build,
    ),
    release(
        "twice",
        "the same again in another folder: the same bytes",
        binary::again,
    ),
];
