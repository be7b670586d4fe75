//! `cargo xtask docs`: what the pages of the book show is made from the code, and checked to be what the code does.
//!
//! Tables and listings between `<!-- begin NAME -->` and `<!-- end NAME -->` are written anew, commands in blocks marked
//! `sh run` are run in an empty folder and their output is put below them, figures are drawn, and links are followed.

mod blocks;
mod chart;
mod commands;
mod figures;
mod links;
mod plot;
mod run;
mod sections;
mod source;
mod svg;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::release::SELECTION;
use crate::workspace_root;

/// Make what the pages of docs/ show of the code, and check their links.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing, and fail where a page, a figure or a link is not as it should be; commands marked slow are not run
    #[arg(long)]
    check: bool,

    /// Only these pages, such as start.md; links and the summary are checked for all
    #[arg(long, value_name = "PAGE", value_delimiter = ',')]
    only: Vec<String>,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{what} failed:\n{output}")]
    Program { what: String, output: String },
    #[error("{page}, line {line}: {what}")]
    Page {
        page: String,
        line: usize,
        what: String,
    },
}

impl Error {
    fn page(page: &Page, line: usize, what: impl Into<String>) -> Self {
        Self::Page {
            page: page.name.clone(),
            line: line + 1,
            what: what.into(),
        }
    }
}

/// A page of the book.
struct Page {
    /// Its file in docs.
    name: String,
    lines: Vec<String>,
}

/// What was made: files of docs by their names in it.
type Made = BTreeMap<String, String>;

/// Makes everything, and writes it or compares.
///
/// # Errors
/// When a program cannot be built or run, or a page asks for what is not there.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let root = workspace_root();
    let docs = root.join("docs");
    let programs = Programs::build(&root)?;
    let mut made = Made::new();
    let mut findings = Vec::new();
    for page in pages(&docs)? {
        if args.only.is_empty() || args.only.contains(&page.name) {
            eprintln!("{}", page.name);
            let mut of_page = Made::new();
            let done = page.make(&root, &programs, !args.check, &mut of_page);
            findings.extend(done.err().map(|error| error.to_string()));
            match args.check {
                true => findings.extend(stale(&docs, &of_page)?),
                // What is made is kept, whatever becomes of the pages that follow.
                false => write(&docs, &of_page)?,
            }
            made.append(&mut of_page);
        }
    }
    if args.only.is_empty() {
        findings.extend(unused_figures(&docs, &made)?);
    }
    findings.extend(links::check(&root)?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    Ok(match findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl Page {
    fn make(
        self,
        root: &Path,
        programs: &Programs,
        slow: bool,
        made: &mut Made,
    ) -> Result<(), Error> {
        let page = sections::fill(self, root, programs)?;
        let page = run::run(page, root, programs, slow, made)?;
        figures::draw(&page, root, made)?;
        made.insert(page.name, page.lines.join("\n") + "\n");
        Ok(())
    }
}

/// The programs that pages show.
struct Programs {
    /// The folder of `larun`.
    folder: PathBuf,
}

impl Programs {
    /// Builds them as the tests are built: another selection of packages or features would compile others' crates again.
    fn build(root: &Path) -> Result<Self, Error> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.current_dir(root).arg("build").args(SELECTION);
        build.args(["--bin", "larun", "--example", "coverage"]);
        if !build.status().map_err(at(root))?.success() {
            return Err(Error::Program {
                what: "building larun".to_owned(),
                output: String::new(),
            });
        }
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self {
            folder: target.join("debug"),
        })
    }

    /// What `larun` prints.
    fn larun(&self, args: &[&str]) -> Result<String, Error> {
        output(Command::new(self.folder.join("larun")).args(args))
    }

    /// A table of crates/larun/examples/coverage.rs.
    fn coverage(&self, table: &str, page: &Path) -> Result<String, Error> {
        let program = self.folder.join("examples/coverage");
        output(Command::new(program).arg(table).arg(page))
    }
}

/// What a program prints, when it ends well.
fn output(command: &mut Command) -> Result<String, Error> {
    let what = format!("{command:?}");
    // No terminal, whose width would show in what is printed.
    let done = command.stdin(Stdio::null()).output();
    let done = done.map_err(at(Path::new(&what)))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match done.status.success() {
        true => Ok(text(&done.stdout)),
        false => Err(Error::Program {
            what,
            output: text(&done.stderr),
        }),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        path: path.clone(),
        source,
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(at(path))
}

/// The names of the files in a folder whose names end so, sorted.
fn names(folder: &Path, ending: &str) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let name = entry.map_err(at(folder))?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| name.ends_with(ending))
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

fn pages(docs: &Path) -> Result<Vec<Page>, Error> {
    let read = |name: String| {
        let text = read(&docs.join(&name))?;
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Page { name, lines })
    };
    names(docs, ".md")?.into_iter().map(read).collect()
}

/// What is not as it was made now.
fn stale(docs: &Path, made: &Made) -> Result<Vec<String>, Error> {
    let mut findings = Vec::new();
    for (name, text) in made {
        let found = std::fs::read_to_string(docs.join(name)).unwrap_or_default();
        if found != *text {
            let line = found
                .lines()
                .zip(text.lines())
                .take_while(|(a, b)| a == b)
                .count();
            let (was, is) = (found.lines().nth(line), text.lines().nth(line));
            findings.push(format!(
                "docs/{name}, line {}: not fresh, run `cargo xtask docs`\n  there: {}\n  now:   {}",
                line + 1,
                was.unwrap_or("(nothing)"),
                is.unwrap_or("(nothing)")
            ));
        }
    }
    Ok(findings)
}

fn write(docs: &Path, made: &Made) -> Result<(), Error> {
    let figures = docs.join("figures");
    std::fs::create_dir_all(&figures).map_err(at(&figures))?;
    for (name, text) in made {
        let path = docs.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|found| found == *text) {
            continue;
        }
        std::fs::write(&path, text).map_err(at(&path))?;
        eprintln!("wrote docs/{name}");
    }
    Ok(())
}

/// Figures that no page makes any longer.
fn unused_figures(docs: &Path, made: &Made) -> Result<Vec<String>, Error> {
    let figures = names(&docs.join("figures"), ".svg")?;
    let pages = made.iter().filter(|(name, _)| name.ends_with(".md"));
    let pages: Vec<_> = pages.map(|(_, text)| text.as_str()).collect();
    let unused = figures.into_iter().filter(|name| {
        let shown = format!("figures/{name}");
        !pages.iter().any(|page| page.contains(&shown))
    });
    Ok(unused
        .map(|name| format!("docs/figures/{name}: no page shows it"))
        .collect())
}
