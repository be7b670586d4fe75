//! The steps `binary` and `twice`: the files of a release, and that they are the same when they are made again.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

use super::context::{Context, empty, read, write};
use super::packages::pack;
use super::step::{Error, Outcome};
use super::workspace::published;

/// Where a release's files are.
pub(super) const FOLDER: &str = "target/release-files";
/// The file that names all others with their SHA-256.
const SUMS: &str = "SHA256SUMS";
/// Every file in an archive is of this second, so that an archive says nothing of when it was made: the first of 2020, after what
/// any tool thinks damaged.
const TIME: u64 = 1_577_836_800;

/// Builds the command, packs it with completions and manual pages, and writes checksums.
pub(super) fn build(context: &Context) -> Result<Outcome, Error> {
    make(
        context,
        &context.target().join("release-build"),
        &context.path(FOLDER),
    )?;
    context.say(&read(&context.path(FOLDER).join(SUMS))?);
    Ok(Outcome::Passed)
}

/// Makes everything again, from nothing and built elsewhere.
pub(super) fn again(context: &Context) -> Result<Outcome, Error> {
    let sums = context.path(FOLDER).join(SUMS);
    if !sums.exists() {
        build(context)?;
    }
    let elsewhere = tempfile::tempdir().map_err(Error::io("a temporary folder"))?;
    let files = elsewhere.path().join("files");
    make(context, &elsewhere.path().join("build"), &files)?;
    let (first, second) = (read(&sums)?, read(&files.join(SUMS))?);
    if first == second {
        context.say(&format!("{} files, the same bytes", first.lines().count()));
        return Ok(Outcome::Passed);
    }
    let differ = first
        .lines()
        .filter(|line| !second.lines().any(|other| other == *line));
    let names: Vec<_> = differ
        .filter_map(|line| line.split_whitespace().next_back())
        .collect();
    Err(Error::Finding(format!(
        "made twice, these differ: {}",
        names.join(", ")
    )))
}

/// Makes all files of a release in an empty folder.
fn make(context: &Context, build: &Path, files: &Path) -> Result<(), Error> {
    empty(files)?;
    let crates = published(context)?;
    let version = crates
        .first()
        .map(|package| package.version.clone())
        .unwrap_or_default();
    let larun = command(context, build)?;
    let name = format!("larun-{version}-{}", host(context)?);
    let contents = contents(context, &larun)?;
    let archive = files.join(format!("{name}.tar.gz"));
    write(
        &archive,
        &pack_files(&name, &contents).map_err(Error::io(&archive))?,
    )?;
    for package in pack(context, &crates)? {
        let file = files.join(package.file_name().unwrap_or_default());
        fs::copy(&package, &file).map_err(Error::io(&package))?;
    }
    write(&files.join(SUMS), sums(files)?.as_bytes())
}

/// The command as it is published: its bytes depend on no folder of this machine.
fn command(context: &Context, build: &Path) -> Result<PathBuf, Error> {
    let home = super::context::folder("CARGO_HOME")
        .or_else(|| super::context::folder("HOME").map(|home| home.join(".cargo")))
        .unwrap_or_default();
    // The last that fits is taken: the outermost folder comes first.
    let renamed = [
        (context.path(""), "/larun"),
        (home, "/cargo"),
        (build.to_owned(), "/build"),
    ];
    let flags = renamed.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let mut cargo = context.cargo([
        "build",
        "--locked",
        "--profile",
        "dist",
        "--package",
        "larun-cli",
    ]);
    cargo.arg("--target-dir").arg(build);
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("RUSTFLAGS");
    context.run(&mut cargo)?;
    Ok(build.join("dist/larun"))
}

/// The triple of this machine.
fn host(context: &Context) -> Result<String, Error> {
    let version = context.output(
        Command::new("rustc")
            .arg("-vV")
            .current_dir(context.path("")),
    )?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Error::Finding("rustc does not say what machine this is".to_owned()))
}

/// A file of the archive.
struct Entry {
    path: String,
    bytes: Vec<u8>,
    /// Whether it is a program.
    runs: bool,
}

/// What is in the archive, in order of the paths.
fn contents(context: &Context, larun: &Path) -> Result<Vec<Entry>, Error> {
    let mut entries = vec![Entry {
        path: "larun".to_owned(),
        bytes: fs::read(larun).map_err(Error::io(larun))?,
        runs: true,
    }];
    let mut text = |path: String, bytes| {
        entries.push(Entry {
            path,
            bytes,
            runs: false,
        });
    };
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        let path = context.path(file);
        text(file.to_owned(), fs::read(&path).map_err(Error::io(path))?);
    }
    for (shell, file) in [
        ("bash", "larun.bash"),
        ("zsh", "_larun"),
        ("fish", "larun.fish"),
    ] {
        let script = context.output(Command::new(larun).args(["completions", shell]))?;
        text(format!("completions/{file}"), script.into_bytes());
    }
    let pages = tempfile::tempdir().map_err(Error::io("a temporary folder"))?;
    context.run(
        Command::new(larun)
            .args(["man-pages", "--output-dir"])
            .arg(pages.path()),
    )?;
    for page in names(pages.path())? {
        let path = pages.path().join(&page);
        text(
            format!("man/{page}"),
            fs::read(&path).map_err(Error::io(path))?,
        );
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Packs files under one folder: no owner, no time, no order but that of the names.
fn pack_files(folder: &str, entries: &[Entry]) -> std::io::Result<Vec<u8>> {
    let gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    let mut archive = tar::Builder::new(gzip);
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(if entry.runs { 0o755 } else { 0o644 });
        header.set_mtime(TIME);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(
            &mut header,
            format!("{folder}/{}", entry.path),
            &entry.bytes[..],
        )?;
    }
    let mut gzip = archive.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

/// A line for each file, as `sha256sum` writes and checks them.
fn sums(folder: &Path) -> Result<String, Error> {
    let mut lines = String::new();
    for name in names(folder)? {
        let path = folder.join(&name);
        let bytes = fs::read(&path).map_err(Error::io(path))?;
        for byte in Sha256::digest(&bytes) {
            lines += &format!("{byte:02x}");
        }
        lines += &format!("  {name}\n");
    }
    Ok(lines)
}

/// The names of a folder's files, in order.
fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::{Entry, pack_files, sums};

    #[test]
    fn an_archive_depends_on_its_files_alone() {
        let entries = || {
            vec![Entry {
                path: "a/b".to_owned(),
                bytes: b"text".to_vec(),
                runs: true,
            }]
        };
        let first = pack_files("larun", &entries()).unwrap();
        assert_eq!(first, pack_files("larun", &entries()).unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&first[..]));
        let file = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(file.path().unwrap().to_str(), Some("larun/a/b"));
        assert_eq!(file.header().mode().unwrap(), 0o755);
    }

    #[test]
    fn checksums_are_those_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty"), b"").unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sums(folder.path()).unwrap(), format!("{empty}  empty\n"));
    }
}
