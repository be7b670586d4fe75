//! What `--publish` does once every step has passed.

use std::process::Command;

use super::context::Context;
use super::step::Error;
use super::workspace::published;

/// Tags the commit and uploads the packages, each behind those that it depends on.
pub(super) fn run(context: &Context) -> Result<(), Error> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(context.path("."));
        git
    };
    let changes = context.output(&mut git(&["status", "--porcelain"]))?;
    if !changes.trim().is_empty() {
        return Err(Error::Finding(
            "there are changes that are not committed: commit them, and release again".to_owned(),
        ));
    }
    let crates = published(context)?;
    let version = crates
        .first()
        .map(|package| package.version.clone())
        .unwrap_or_default();
    // Refused where the tag exists: a version is released once.
    context.run(&mut git(&["tag", &format!("v{version}")]))?;
    let mut publish = context.cargo(["publish", "--locked", "--no-verify"]);
    // All at once: cargo uploads them in order, and waits for each to appear.
    publish.args(
        crates
            .iter()
            .map(|package| format!("--package={}", package.name)),
    );
    context.run(&mut publish)
}
