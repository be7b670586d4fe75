//! The step `packages`: every crate is packed, unpacked outside the workspace, and tested there.

use std::fs::File;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::context::{Context, empty, read, write};
use super::step::{Error, Outcome};
use super::workspace::{Crate, published};

/// Packs every published crate, and runs the tests that each package brings.
pub(super) fn test(context: &Context) -> Result<Outcome, Error> {
    // Always the same: tests have paths in them, and cargo takes one of another folder for this one's.
    let folder = beside_shared(context, &context.target().join("packages"))?;
    let packages = unpack(context, &folder)?;
    let members: Vec<_> = packages
        .iter()
        .map(|package| package.folder.clone())
        .collect();
    // The profiles of the workspace: what is built alike is built once.
    let ours = read(&context.path("Cargo.toml"))?;
    let profiles = ours
        .find("\n[profile.")
        .and_then(|at| ours.get(at..))
        .unwrap_or_default();
    workspace(context, &folder, &members, &packages, profiles)?;
    // The workspace's own folder: crates of others are built there already, with the same profile.
    let mut test = context.cargo(["test", "--workspace", "--no-fail-fast", "--target-dir"]);
    test.arg(context.target()).current_dir(&folder);
    context.run(&mut test)?;
    Ok(Outcome::Passed)
}

/// A folder for packages in which their tests find what several crates read, and none carries, where it lies in the workspace.
fn beside_shared(context: &Context, root: &Path) -> Result<PathBuf, Error> {
    empty(root)?;
    for shared in ["Cargo.lock", "fixtures", "docs"] {
        let link = root.join(shared);
        std::os::unix::fs::symlink(context.path(shared), &link).map_err(Error::io(&link))?;
    }
    let folder = root.join("crates");
    std::fs::create_dir(&folder).map_err(Error::io(&folder))?;
    Ok(folder)
}

/// A crate as it will be published, unpacked.
pub(super) struct Package {
    pub(super) name: String,
    /// The folder's name, in the folder that all were unpacked to.
    pub(super) folder: String,
}

/// Packs all crates in the order in which they are published, and unpacks them into a folder.
pub(super) fn unpack(context: &Context, into: &Path) -> Result<Vec<Package>, Error> {
    let crates = published(context)?;
    let mut packages = Vec::new();
    for (package, archive) in crates.iter().zip(pack(context, &crates)?) {
        let file = File::open(&archive).map_err(Error::io(&archive))?;
        let mut contents = tar::Archive::new(GzDecoder::new(file));
        // New to cargo, whatever was built of the folder before.
        contents.set_preserve_mtime(false);
        contents.unpack(into).map_err(Error::io(&archive))?;
        // Without the version, as they lie side by side in our workspace: READMEs show files of their neighbours.
        let (from, to) = (
            format!("{}-{}", package.name, package.version),
            &package.name,
        );
        std::fs::rename(into.join(&from), into.join(to)).map_err(Error::io(into.join(from)))?;
        carries_its_terms(&into.join(to), to)?;
        packages.push(Package {
            name: package.name.clone(),
            folder: to.clone(),
        });
    }
    Ok(packages)
}

/// Whoever has the package alone must have what it may be used under, and what it is.
fn carries_its_terms(folder: &Path, name: &str) -> Result<(), Error> {
    let lacks = |file: &&&str| !std::fs::metadata(folder.join(file)).is_ok_and(|m| m.len() > 0);
    match ["LICENSE-APACHE", "LICENSE-MIT", "README.md"]
        .iter()
        .find(lacks)
    {
        None => Ok(()),
        Some(file) => Err(Error::Finding(format!(
            "the package of {name} has no {file}: link it from crates/{name} to the workspace's, as its neighbours do"
        ))),
    }
}

/// Packs crates; returns the archives in the crates' order.
pub(super) fn pack(context: &Context, crates: &[Crate]) -> Result<Vec<PathBuf>, Error> {
    // Not built by cargo: it would build each alone, and no test with it.
    let mut pack = context.cargo(["package", "--locked", "--no-verify", "--quiet"]);
    if !context.publishing() {
        pack.arg("--allow-dirty");
    }
    pack.args(
        crates
            .iter()
            .map(|package| format!("--package={}", package.name)),
    );
    context.run(&mut pack)?;
    let folder = context.target().join("package");
    let archive =
        |package: &Crate| folder.join(format!("{}-{}.crate", package.name, package.version));
    Ok(crates.iter().map(archive).collect())
}

/// Writes the manifest of a workspace that takes our crates from their packages; `profiles` is how it builds, cargo's way where empty.
pub(super) fn workspace(
    context: &Context,
    folder: &Path,
    members: &[String],
    packages: &[Package],
    profiles: &str,
) -> Result<(), Error> {
    let quoted: Vec<_> = members.iter().map(|member| format!("{member:?}")).collect();
    let mut manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n[patch.crates-io]\n",
        quoted.join(", ")
    );
    for Package { name, folder } in packages {
        manifest += &format!("{name} = {{ path = {folder:?} }}\n");
    }
    manifest += profiles;
    write(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    // The same versions of others' crates as in the workspace.
    let lock = read(&context.path("Cargo.lock"))?;
    write(&folder.join("Cargo.lock"), lock.as_bytes())
}
