//! The programs: crates of `examples/`, an application, and what the READMEs show.

use std::path::Path;

use super::super::code::value;
use super::super::context::{Context, read, write};
use super::super::examples::{EXAMPLES, Example};
use super::super::packages::Package;
use super::super::step::Error;

/// A crate of the strangers' workspace.
pub(super) struct Program {
    pub(super) name: String,
    /// Its library is built for bare metal as well.
    pub(super) no_std: bool,
    /// It ends well where it is run; others need files that are not there.
    pub(super) runs: bool,
    /// What is counted and timed of it.
    pub(super) measured: Option<Measured>,
}

/// A dependency whose weight is measured.
pub(super) struct Measured {
    /// The crate.
    pub(super) name: &'static str,
    /// The line of the manifest that asks for it.
    pub(super) asked: String,
}

/// Crates that are measured with their default features, and nothing else.
const DEFAULTS: [&str; 2] = ["larun-quant", "larun-micro"];

/// The application: an example of the crate `larun`.
const APPLICATION: &str = "crates/larun/examples/quantize.rs";

/// Crates whose README needs files that a stranger does not have; each has a program in `examples/`, or is one.
const WITHOUT_README: [&str; 2] = ["larun-micro", "larun-cli"];

/// Writes all programs into a folder, the measured ones first, the heaviest of them last.
pub(super) fn all(
    context: &Context,
    root: &Path,
    packages: &[Package],
) -> Result<Vec<Program>, Error> {
    let mut programs = Vec::new();
    for name in DEFAULTS {
        programs.push(alone(root, name, "fn main() {}\n")?);
    }
    for example in EXAMPLES {
        programs.push(copy_example(context, root, &example)?);
    }
    programs.push(alone(root, "larun", &read(&context.path(APPLICATION))?)?);
    for package in packages {
        if !WITHOUT_README.contains(&package.name.as_str()) {
            programs.push(readme(root, package, packages)?);
        }
    }
    Ok(programs)
}

/// A program that depends on one crate, with its default features.
fn alone(root: &Path, name: &'static str, main: &str) -> Result<Program, Error> {
    let program = format!("uses-{name}");
    write_crate(root, &program, &manifest(&program, &[name]), main)?;
    Ok(Program {
        name: program,
        no_std: false,
        runs: true,
        measured: Some(Measured {
            name,
            asked: asked(name),
        }),
    })
}

/// Copies a crate of `examples/`, which then takes ours from the registry.
fn copy_example(context: &Context, root: &Path, example: &Example) -> Result<Program, Error> {
    let from = context.path("examples").join(example.folder);
    let manifest = read(&from.join("Cargo.toml"))?;
    let name = value(&manifest, "name").unwrap_or(example.folder);
    let lines = manifest
        .lines()
        .filter(|line| *line != "[workspace]")
        .map(without_path);
    let lines: Vec<_> = lines.collect();
    let asked = lines
        .iter()
        .find(|line| line.starts_with(&format!("{} = ", example.shows)));
    let to = root.join(name);
    write(&to.join("Cargo.toml"), lines.join("\n").as_bytes())?;
    for part in ["src", "model"] {
        // A crate without a model has no such folder.
        let Ok(entries) = std::fs::read_dir(from.join(part)) else {
            continue;
        };
        for entry in entries {
            let path = entry.map_err(Error::io(&from))?.path();
            let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
            write(
                &to.join(part).join(path.file_name().unwrap_or_default()),
                &bytes,
            )?;
        }
    }
    Ok(Program {
        name: name.to_owned(),
        no_std: example.no_std,
        runs: true,
        measured: asked.map(|asked| Measured {
            name: example.shows,
            asked: asked.clone(),
        }),
    })
}

/// A dependency without the path that names it in our workspace.
fn without_path(line: &str) -> String {
    let cut = line.split_once("path = \"").and_then(|(before, rest)| {
        let (_, after) = rest.split_once("\", ")?;
        Some(format!("{before}{after}"))
    });
    cut.unwrap_or_else(|| line.to_owned())
}

/// The program that a crate's README shows first.
fn readme(root: &Path, package: &Package, packages: &[Package]) -> Result<Program, Error> {
    let text = read(&root.join(&package.folder).join("README.md"))?;
    let Some((source, runs)) = first_block(&text) else {
        return Err(Error::Finding(format!(
            "{}: the README shows no program",
            package.name
        )));
    };
    let uses = |other: &&Package| {
        let library = other.name.replace('-', "_");
        source.contains(&format!("{library}::")) || other.name == package.name
    };
    let used: Vec<_> = packages
        .iter()
        .filter(uses)
        .map(|other| other.name.as_str())
        .collect();
    // Files that it reads come with the package.
    let files = format!("{:?}", root.join(&package.folder));
    let source = source.replace("env!(\"CARGO_MANIFEST_DIR\")", &files);
    let name = format!("readme-{}", package.name);
    write_crate(root, &name, &manifest(&name, &used), &main_of(&source))?;
    Ok(Program {
        name,
        no_std: false,
        runs,
        measured: None,
    })
}

/// The first block of Rust that compiles by itself, and whether it is to be run.
fn first_block(readme: &str) -> Option<(String, bool)> {
    let mut rest = readme;
    loop {
        let (_, block) = rest.split_once("```rust")?;
        let (attributes, block) = block.split_once('\n')?;
        let (source, after) = block.split_once("```")?;
        match attributes {
            "" | ",no_run" => return Some((source.to_owned(), attributes.is_empty())),
            _ => rest = after,
        }
    }
}

/// A documentation test as a program: what is hidden in the page is shown, and `?` has a function to return from.
fn main_of(source: &str) -> String {
    let show = |line: &str| match line {
        "#" => String::new(),
        line => line.strip_prefix("# ").unwrap_or(line).to_owned(),
    };
    let lines: Vec<_> = source.lines().map(show).collect();
    let source = lines.join("\n");
    if source.contains("fn main()") {
        return source;
    }
    let returned = source
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("Ok::<(), ")?.strip_suffix(">(())"));
    match returned {
        Some(error) => format!("fn main() -> Result<(), {error}> {{\n{source}\n}}\n"),
        None => format!("fn main() {{\n{source}\n}}\n"),
    }
}

/// A manifest that asks for crates as the registry has them.
fn manifest(name: &str, crates: &[&str]) -> String {
    let mut text = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n"
    );
    for name in crates {
        text += &format!("{}\n", asked(name));
    }
    text
}

/// The line that asks for a crate with its default features.
fn asked(name: &str) -> String {
    format!("{name} = \"{}\"", minor())
}

/// What a manifest asks of a version: its first two numbers.
fn minor() -> String {
    let version = env!("CARGO_PKG_VERSION");
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn write_crate(root: &Path, name: &str, manifest: &str, main: &str) -> Result<(), Error> {
    let folder = root.join(name);
    write(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    write(&folder.join("src/main.rs"), main.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{first_block, main_of, without_path};

    #[test]
    fn a_dependency_loses_its_path() {
        let line = "larun-quant = { path = \"../../crates/larun-quant\", version = \"0.1\" }";
        assert_eq!(without_path(line), "larun-quant = { version = \"0.1\" }");
        assert_eq!(without_path("ndarray = \"0.17\""), "ndarray = \"0.17\"");
    }

    #[test]
    fn a_readme_becomes_a_program() {
        let text = "```sh\nls\n```\n```rust,ignore\nno\n```\n```rust\nlet x = 1;\n# Ok::<(), E>(())\n```\n";
        let (source, runs) = first_block(text).unwrap();
        assert!(runs);
        assert_eq!(
            main_of(&source),
            "fn main() -> Result<(), E> {\nlet x = 1;\nOk::<(), E>(())\n}\n"
        );
        assert!(first_block("no code").is_none());
    }
}
