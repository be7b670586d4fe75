//! Excerpts of source files in pages: `<!-- begin source FILE from "TEXT" to "TEXT" -->`.
//!
//! Lines count from the first that holds the one text to the next that holds the other; without texts, all lines. So a page shows
//! the code that is compiled and tested, and is told when the code has gone.

use std::path::Path;

/// The excerpt as a fenced block.
///
/// # Errors
/// What is wrong with the request, in words.
pub(super) fn excerpt(asked: &str, root: &Path) -> Result<String, String> {
    let (file, wanted) = asked.split_once(' ').unwrap_or((asked, ""));
    let text =
        std::fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))?;
    let lines: Vec<&str> = text.lines().collect();
    let mut texts = wanted.split('"').skip(1).step_by(2);
    let first = match texts.next() {
        None => 0,
        Some(from) => {
            find(&lines, 0, from).ok_or_else(|| format!("{file}: no line holds {from:?}"))?
        }
    };
    let last = match texts.next() {
        None => lines.len().saturating_sub(1),
        Some(to) => {
            find(&lines, first, to).ok_or_else(|| format!("{file}: no later line holds {to:?}"))?
        }
    };
    let lines = lines.get(first..=last).unwrap_or_default();
    let indent = |line: &&&str| line.len() - line.trim_start().len();
    let margin = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| indent(&line))
        .min();
    let margin = margin.unwrap_or(0);
    let body: Vec<_> = lines
        .iter()
        .map(|line| line.get(margin..).unwrap_or_default())
        .collect();
    Ok(format!("```{}\n{}\n```", language(file), body.join("\n")))
}

/// The first line that holds a text, or, where the text begins with `^`, is the rest of it.
fn find(lines: &[&str], from: usize, text: &str) -> Option<usize> {
    let is_found = |line: &&str| match text.strip_prefix('^') {
        Some(whole) => *line == whole,
        None => line.contains(text),
    };
    let found = lines.iter().skip(from).position(is_found)?;
    Some(from + found)
}

/// What a block of a file is called; code is not tested where it stands in a page, but where it is from.
fn language(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("rs") => "rust,ignore",
        Some("toml") => "toml",
        Some("py") => "python",
        Some("ino" | "h" | "c") => "c",
        Some("json") => "json",
        _ => "text",
    }
}
