//! The crates of the workspace, as cargo sees them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::context::Context;
use super::step::Error;

/// What of the arithmetic no other crate asks for: built with the workspace, so that nothing is built twice.
pub(crate) const SELECTION: [&str; 4] = [
    "--workspace",
    "--locked",
    "--features",
    "larun-quant/candle,larun-quant/ndarray,larun-quant/rayon",
];

/// A crate of the workspace.
#[derive(Deserialize)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) features: BTreeMap<String, Vec<String>>,
    /// Registries that it may be published to; an empty list means none.
    publish: Option<Vec<String>>,
    dependencies: Vec<Dependency>,
}

/// What a crate depends on.
#[derive(Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Nothing for those that are linked.
    kind: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
}

impl Crate {
    pub(super) fn is_published(&self) -> bool {
        self.publish.is_none()
    }

    /// Crates of this workspace that it links.
    fn ours(&self) -> impl Iterator<Item = &str> {
        let linked = |dependency: &&Dependency| {
            dependency.path.is_some() && dependency.kind.as_deref() != Some("dev")
        };
        self.dependencies
            .iter()
            .filter(linked)
            .map(|dependency| dependency.name.as_str())
    }
}

/// All crates of the workspace, each behind those that it depends on.
pub(super) fn crates(context: &Context) -> Result<Vec<Crate>, Error> {
    let mut metadata = context.cargo(["metadata", "--no-deps", "--format-version", "1"]);
    let text = context.output(&mut metadata)?;
    let metadata: Metadata = serde_json::from_str(&text)
        .map_err(|error| Error::Finding(format!("cargo metadata: {error}")))?;
    let mut left = metadata.packages;
    let mut ordered: Vec<Crate> = Vec::new();
    while !left.is_empty() {
        let is_done = |name: &str| ordered.iter().any(|package| package.name == name);
        let next = left.iter().position(|package| package.ours().all(is_done));
        let Some(next) = next else {
            let names: Vec<_> = left.iter().map(|package| package.name.as_str()).collect();
            return Err(Error::Finding(format!(
                "these depend on each other: {}",
                names.join(", ")
            )));
        };
        ordered.push(left.remove(next));
    }
    Ok(ordered)
}

/// The crates that are published, each behind those that it depends on.
pub(super) fn published(context: &Context) -> Result<Vec<Crate>, Error> {
    let mut crates = crates(context)?;
    crates.retain(Crate::is_published);
    Ok(crates)
}
