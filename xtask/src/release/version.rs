//! The step `version`: one version everywhere, and a changelog that speaks of it.

use super::code::value;
use super::context::{Context, read};
use super::step::{Error, Outcome};
use super::workspace::{Crate, crates};

/// Version, dependencies, changelog and READMEs agree.
pub(super) fn agrees(context: &Context) -> Result<Outcome, Error> {
    let manifest = read(&context.path("Cargo.toml"))?;
    let version = value(&manifest, "version")
        .ok_or_else(|| Error::Finding("Cargo.toml names no version".to_owned()))?;
    let crates = crates(context)?;
    let mut faults = Vec::new();
    for package in crates.iter().filter(|package| package.version != version) {
        faults.push(format!(
            "{} has version {} where the workspace has {version}",
            package.name, package.version
        ));
    }
    faults.extend(dependencies(&manifest, version, &crates));
    faults.extend(changelog(
        &read(&context.path("CHANGELOG.md"))?,
        version,
        context.publishing(),
    ));
    for package in crates.iter().filter(|package| package.is_published()) {
        let readme = format!("crates/{}/README.md", package.name);
        faults.extend(mentions(&readme, &read(&context.path(&readme))?, version));
    }
    faults.extend(mentions(
        "README.md",
        &read(&context.path("README.md"))?,
        version,
    ));
    if faults.is_empty() {
        context.say(&format!("version {version}: {} crates", crates.len()));
        return Ok(Outcome::Passed);
    }
    Err(Error::Finding(faults.join("; ")))
}

/// Faults of the workspace's own entries of `[workspace.dependencies]`: a published crate is named with the version.
fn dependencies(manifest: &str, version: &str, crates: &[Crate]) -> Vec<String> {
    let wanted = format!("version = \"{version}\"");
    let fault = |package: &&Crate| {
        let line = manifest
            .lines()
            .find(|line| line.starts_with(&format!("{} = {{", package.name)))?;
        (!line.contains(&wanted))
            .then(|| format!("Cargo.toml depends on {} without {wanted}", package.name))
    };
    crates
        .iter()
        .filter(|package| package.is_published())
        .filter_map(|package| fault(&package))
        .collect()
}

/// Faults of the changelog: its first section is to come, or of this version; a release has one of this version with a date.
fn changelog(text: &str, version: &str, publishing: bool) -> Vec<String> {
    let mut sections = text.split("\n## ").skip(1);
    let Some(first) = sections.next() else {
        return vec!["CHANGELOG.md has no section".to_owned()];
    };
    let title = first.lines().next().unwrap_or_default();
    let has_entries = first.lines().any(|line| line.starts_with("- "));
    let is_dated = title
        .strip_prefix(&format!("[{version}] - "))
        .is_some_and(|date| date.len() == 10 && date.split('-').count() == 3);
    let mut faults = Vec::new();
    if publishing && !is_dated {
        faults.push(format!(
            "CHANGELOG.md begins with `{title}`, not `[{version}] - YYYY-MM-DD`"
        ));
    } else if !is_dated && title != "[Unreleased]" {
        faults.push(format!(
            "CHANGELOG.md begins with `{title}`, neither [Unreleased] nor [{version}] with a date"
        ));
    }
    if !has_entries {
        faults.push(format!("CHANGELOG.md has no entry under {title}"));
    }
    faults
}

/// Lines like `larun-quant = "0.1"` that ask for another version.
fn mentions(file: &str, text: &str, version: &str) -> Vec<String> {
    let minor: Vec<_> = version.split('.').take(2).collect();
    let minor = minor.join(".");
    let asked = |line: &str| -> Option<String> {
        let (name, rest) = line.trim().split_once(" = ")?;
        if !name.starts_with("larun") {
            return None;
        }
        let at = rest
            .find("version = \"")
            .map_or(0, |at| at + "version = ".len());
        let asked = rest
            .get(at..)?
            .strip_prefix('"')?
            .split('"')
            .next()?
            .to_owned();
        (asked != minor && asked != version && asked.starts_with(|c: char| c.is_ascii_digit()))
            .then_some(asked)
    };
    let fault = |asked| format!("{file} asks for version {asked}, not {minor}");
    text.lines().filter_map(asked).map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::{changelog, mentions};

    const OPEN: &str = "# Changelog\n\n## [Unreleased]\n\n- one\n";
    const DATED: &str =
        "# Changelog\n\n## [0.2.0] - 2030-01-31\n\n- one\n\n## [0.1.0] - 2029-01-01\n";

    #[test]
    fn a_changelog_speaks_of_what_is_to_come_or_of_the_version() {
        assert!(changelog(OPEN, "0.2.0", false).is_empty());
        assert!(changelog(DATED, "0.2.0", false).is_empty());
        assert!(changelog(DATED, "0.2.0", true).is_empty());
        assert_eq!(changelog(DATED, "0.3.0", false).len(), 1);
        assert_eq!(
            changelog("# Changelog\n\n## [Unreleased]\n", "0.2.0", false).len(),
            1
        );
    }

    #[test]
    fn a_release_has_a_dated_section() {
        assert_eq!(changelog(OPEN, "0.2.0", true).len(), 1);
    }

    #[test]
    fn readmes_ask_for_this_version() {
        let text = "larun-quant = \"0.1\"\nlarun-micro = { version = \"0.2\", features = [] }\n";
        assert_eq!(mentions("R", text, "0.1.0").len(), 1);
        assert!(mentions("R", "larun-quant = { path = \"x\" }", "0.1.0").is_empty());
    }
}
