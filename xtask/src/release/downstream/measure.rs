//! What a dependency brings with it: how many crates, and how long the first build takes.

use core::time::Duration;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use super::super::context::Context;
use super::super::step::Error;
use super::programs::{Measured, Program};

/// A row of the table.
pub(super) struct Row {
    asked: String,
    counts: Counts,
    build: Duration,
}

/// Crates below a dependency, itself not among them.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    direct: usize,
    total: usize,
    /// Those of the total that are not LARUN's.
    others: usize,
}

impl Row {
    pub(super) fn to_markdown(&self) -> String {
        let Counts {
            direct,
            total,
            others,
        } = self.counts;
        let seconds = self.build.as_secs_f64();
        let asked = &self.asked;
        format!("| `{asked}` | {direct} | {total} | {others} | {seconds:.1} s |\n")
    }
}

/// Builds a program from nothing, and counts what its dependency brings.
pub(super) fn row(
    context: &Context,
    root: &Path,
    program: &Program,
    measured: &Measured,
) -> Result<Row, Error> {
    // What is not on this machine yet is not part of the time.
    context.run(context.cargo(["fetch", "--quiet"]).current_dir(root))?;
    let mut tree = context.cargo(["tree", "--edges", "normal,build", "--prefix", "depth"]);
    tree.args(["--package", &program.name]).current_dir(root);
    let counts = count(&context.output(&mut tree)?, measured.name);
    let target = tempfile::tempdir().map_err(Error::io("a temporary folder"))?;
    let mut build = context.cargo(["build", "--quiet", "--package", &program.name]);
    build
        .arg("--target-dir")
        .arg(target.path())
        .current_dir(root);
    // As a user builds, whatever is set here.
    for setting in ["CARGO_INCREMENTAL", "CARGO_PROFILE_DEV_DEBUG", "RUSTFLAGS"] {
        build.env_remove(setting);
    }
    let start = Instant::now();
    context.run(&mut build)?;
    Ok(Row {
        asked: measured.asked.clone(),
        counts,
        build: start.elapsed(),
    })
}

/// Counts in what `cargo tree --prefix depth` prints: crates below the first line of this name.
fn count(tree: &str, name: &str) -> Counts {
    let lines = tree.lines().filter_map(|line| {
        let digits = line.find(|letter: char| !letter.is_ascii_digit())?;
        let (depth, rest) = line.split_at(digits);
        Some((
            depth.parse::<usize>().ok()?,
            rest.split_whitespace().next()?,
        ))
    });
    let mut below = None;
    let (mut direct, mut total) = (BTreeSet::new(), BTreeSet::new());
    for (depth, found) in lines {
        match below {
            None if found == name => below = Some(depth),
            None => {}
            Some(top) if depth <= top => break,
            Some(top) => {
                total.insert(found);
                if depth == top + 1 {
                    direct.insert(found);
                }
            }
        }
    }
    let others = total
        .iter()
        .filter(|name| !name.starts_with("larun"))
        .count();
    Counts {
        direct: direct.len(),
        total: total.len(),
        others,
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, count};

    #[test]
    fn crates_below_a_dependency_are_counted_once() {
        let tree = "0program v0.0.0\n1other v1.0.0\n2libm v0.2.0\n1larun-a v0.1.0\n2larun-b v0.1.0\n3libm v0.2.0\n\
                    2libm v0.2.0 (*)\n1third v1.0.0\n";
        let expected = Counts {
            direct: 2,
            total: 2,
            others: 1,
        };
        assert_eq!(count(tree, "larun-a"), expected);
    }
}
