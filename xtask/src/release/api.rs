//! The step `api`: whether the public API since the last tag changed as the version says.

use std::process::Command;

use super::context::Context;
use super::step::{Error, Outcome};
use super::workspace::published;

/// Holds each published crate to semantic versioning, against the last tag.
pub(super) fn diff(context: &Context) -> Result<Outcome, Error> {
    let Some(tag) = last_tag(context) else {
        return Ok(Outcome::Skipped(
            "there is no tag v* to compare with: this is the first release".to_owned(),
        ));
    };
    if !context.has("cargo", &["semver-checks", "--version"]) {
        return Ok(Outcome::Skipped(
            "cargo-semver-checks is not installed: `cargo install cargo-semver-checks --locked`"
                .to_owned(),
        ));
    }
    for package in published(context)? {
        let mut checks = context.cargo(["semver-checks", "--baseline-rev", &tag, "--package"]);
        context.run(checks.arg(&package.name))?;
    }
    Ok(Outcome::Passed)
}

/// The last release that this commit descends from.
fn last_tag(context: &Context) -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]);
    let output = git.current_dir(context.path(".")).output().ok()?;
    let tag = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !tag.is_empty()).then_some(tag)
}
