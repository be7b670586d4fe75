//! The commands of a page, run in order in a folder of its own, and their output below them.
//!
//! ```text
//! `sh run`             run it; a `text` block that follows gets the output
//! `sh run slow`        only without --check
//! `sh run status=1`    it ends with this exit status
//! `sh run lines=20`    the first lines of the output are shown
//! `sh run figure=A`    the file A that it leaves goes to docs/figures
//! `toml file=A`        (any language) the block is the file A
//! ```

use std::path::Path;
use std::process::{Command, Stdio};

use super::blocks::{Block, blocks};
use super::{Error, Made, Page, Programs, at, plot, read};

/// Runs what a page asks for, and gives the page with the output. What an earlier run left is kept where only times differ.
///
/// # Errors
/// When a command ends with another exit status than the page says.
pub(super) fn run(
    page: Page,
    root: &Path,
    programs: &Programs,
    slow: bool,
    made: &mut Made,
) -> Result<Page, Error> {
    let blocks = blocks(&page.lines);
    let wanted = |block: &Block| block.says("run") || block.value("file").is_some();
    if !blocks.iter().any(wanted) {
        return Ok(page);
    }
    let folder = tempfile::tempdir().map_err(at(Path::new("a temporary folder")))?;
    clone(root, folder.path())?;
    // From the last to the first, lines before a block keep their numbers: what to put where is gathered first.
    let mut outputs = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let inside = page
            .lines
            .get(block.begin + 1..block.end)
            .unwrap_or_default();
        if let Some(file) = block.value("file") {
            let file = folder.path().join(file);
            std::fs::write(&file, inside.join("\n") + "\n").map_err(at(&file))?;
            continue;
        }
        if !block.says("run") || (block.says("slow") && !slow) {
            continue;
        }
        let text = script(&page, block, &inside.join("\n"), folder.path(), programs)?;
        if let Some(figure) = block.value("figure") {
            let drawn = read(&folder.path().join(figure))?;
            made.insert(format!("figures/{figure}"), drawn);
        }
        let shown = blocks
            .get(index + 1)
            .filter(|next| is_output(&page, block, next));
        outputs.extend(shown.map(|shown| (shown.begin, shown.end, limited(block, &text))));
    }
    plot::draw(&page, folder.path(), made)?;
    let mut lines = page.lines;
    for (begin, end, text) in outputs.into_iter().rev() {
        let before = lines.get(begin + 1..end).unwrap_or_default().join("\n");
        if timeless(&before) != timeless(&text) {
            lines.splice(begin + 1..end, text.lines().map(str::to_owned));
        }
    }
    Ok(Page {
        name: page.name,
        lines,
    })
}

/// What a reader has after `git clone`: the folder `larun`, here without what was built in it.
fn clone(root: &Path, folder: &Path) -> Result<(), Error> {
    let clone = folder.join("larun");
    std::os::unix::fs::symlink(root, &clone).map_err(at(&clone))
}

/// Whether a block is for the output of the one before it: `text`, with nothing between.
fn is_output(page: &Page, block: &Block, next: &Block) -> bool {
    let between = page
        .lines
        .get(block.end + 1..next.begin)
        .unwrap_or_default();
    next.language() == "text" && between.iter().all(|line| line.trim().is_empty())
}

fn script(
    page: &Page,
    block: &Block,
    script: &str,
    folder: &Path,
    programs: &Programs,
) -> Result<String, Error> {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let paths = core::iter::once(programs.folder.clone()).chain(std::env::split_paths(&inherited));
    let path = std::env::join_paths(paths).unwrap_or(inherited.clone());
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{script}")])
        .stdin(Stdio::null())
        .current_dir(folder)
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        // What pages build has no dependency that the workspace does not have.
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("LARUN_CORPUS")
        .env_remove("LARUN_DATA");
    let done = command.output().map_err(at(Path::new("bash")))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let expected = block.value("status").unwrap_or("0");
    match done.status.code() {
        Some(code) if code.to_string() == expected => Ok(text),
        code => Err(Error::page(
            page,
            block.begin,
            format!("exit status {code:?}, not {expected}:\n{script}\n{text}"),
        )),
    }
}

/// The lines of the output that a page shows.
fn limited(block: &Block, text: &str) -> String {
    let tidy: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    let most = block.value("lines").and_then(|lines| lines.parse().ok());
    match most {
        Some(most) if most < tidy.len() => {
            tidy.get(..most).unwrap_or_default().join("\n") + "\n..."
        }
        _ => tidy.join("\n"),
    }
}

/// The units of what differs from run to run.
const TIMES: [&str; 3] = ["s", "ms", "µs"];

/// A text without times, and without the blanks that align them.
fn timeless(text: &str) -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_time = |index: usize| {
            let word = words.get(index).copied().unwrap_or_default();
            let unit = words.get(index + 1).copied().unwrap_or_default();
            word.parse::<f64>().is_ok()
                && TIMES.contains(&unit.trim_end_matches([',', ';', ')', '.']))
        };
        let masked = words
            .iter()
            .enumerate()
            .map(|(index, word)| match is_time(index) {
                true => "_",
                false => word,
            });
        masked.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::timeless;

    #[test]
    fn times_alone_do_not_count() {
        assert_eq!(
            timeless("took 1.25 s, 3 epochs"),
            timeless("took   9 s, 3 epochs")
        );
        assert_ne!(
            timeless("took 1.25 s, 3 epochs"),
            timeless("took 1.25 s, 4 epochs")
        );
        assert_ne!(timeless("1.25 dB"), timeless("1.5 dB"));
    }
}
