//! Links between the files of the repository: their targets exist, headings among them, and every page is in the summary.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::blocks::blocks;
use super::{Error, names, read};

/// What is wrong with the links of docs, of the READMEs and of the summary.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn check(root: &Path) -> Result<Vec<String>, Error> {
    let mut findings = Vec::new();
    let docs = root.join("docs");
    let mut files: Vec<PathBuf> = names(&docs, ".md")?
        .iter()
        .map(|name| docs.join(name))
        .collect();
    files.extend(readmes(root));
    for file in &files {
        let shown = file
            .strip_prefix(root)
            .unwrap_or(file)
            .display()
            .to_string();
        for (line, target) in targets(&read(file)?) {
            if let Some(what) = broken(file, &target) {
                findings.push(format!("{shown}, line {}: {what}: {target}", line + 1));
            }
        }
    }
    findings.extend(outside_summary(&docs)?);
    Ok(findings)
}

/// The READMEs of the repository, of crates and of examples.
fn readmes(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![
        root.join("README.md"),
        root.join("CHANGELOG.md"),
        root.join("fixtures/README.md"),
    ];
    for folder in ["crates", "examples"] {
        let entries = std::fs::read_dir(root.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        found.extend(entries.map(|entry| entry.path().join("README.md")));
    }
    found.retain(|file| file.is_file());
    found.sort();
    found
}

/// The targets of links, each with its line.
fn targets(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let fenced = blocks(&lines);
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if fenced
            .iter()
            .any(|block| (block.begin..=block.end).contains(&number))
        {
            continue;
        }
        let line = without_code(line);
        for (at, _) in line.match_indices("](") {
            let rest = line.get(at + 2..).unwrap_or_default();
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((number, target.to_owned()));
        }
        // A definition of a reference: `[name]: target`.
        if let Some((_, target)) = line
            .strip_prefix('[')
            .and_then(|line| line.split_once("]: "))
        {
            found.push((number, target.trim().to_owned()));
        }
    }
    found
}

/// A line whose code between backticks is blank.
fn without_code(line: &str) -> String {
    let parts = line.split('`').enumerate();
    let shown = parts.map(|(index, part)| match index % 2 {
        0 => part,
        _ => "",
    });
    shown.collect::<Vec<_>>().join("`")
}

/// What is wrong with a target, seen from a file.
fn broken(file: &Path, target: &str) -> Option<&'static str> {
    let is_elsewhere = ["http://", "https://", "mailto:"]
        .iter()
        .any(|scheme| target.starts_with(scheme));
    let is_item =
        target.contains("::") || target.starts_with("macro@") || target.starts_with("crate");
    if target.is_empty() || is_elsewhere || is_item {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let target = match path {
        "" => file.to_owned(),
        path => file.parent()?.join(path),
    };
    if !target.exists() {
        return Some("no such file");
    }
    let is_page = target
        .extension()
        .is_some_and(|extension| extension == "md");
    if anchor.is_empty() || !is_page {
        return None;
    }
    let text = std::fs::read_to_string(&target).unwrap_or_default();
    (!anchors(&text).contains(anchor)).then_some("no such heading")
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let fenced = blocks(&lines);
    let mut anchors = BTreeSet::new();
    for (number, line) in lines.iter().enumerate() {
        if fenced
            .iter()
            .any(|block| (block.begin..=block.end).contains(&number))
        {
            continue;
        }
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let base = slug(heading.trim());
        let again = (1..).map(|count| format!("{base}-{count}"));
        let mut names = core::iter::once(base.clone()).chain(again);
        let free = names.find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

/// Letters and digits in small letters, a hyphen for a blank.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// Pages that no line of the summary names.
fn outside_summary(docs: &Path) -> Result<Vec<String>, Error> {
    let summary = read(&docs.join("SUMMARY.md"))?;
    let listed: BTreeSet<String> = targets(&summary)
        .into_iter()
        .map(|(_, target)| target)
        .collect();
    let pages = names(docs, ".md")?.into_iter();
    let missing = pages.filter(|page| page != "SUMMARY.md" && !listed.contains(page));
    Ok(missing
        .map(|page| format!("docs/SUMMARY.md: {page} is not in it"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{anchors, slug, targets};

    #[test]
    fn links_outside_code_are_found() {
        let text = "[a](b.md#c) and `[no](x)`\n```\n[no](y)\n```\n[r]: z.md\n";
        let found: Vec<_> = targets(text)
            .into_iter()
            .map(|(_, target)| target)
            .collect();
        assert_eq!(found, ["b.md#c", "z.md"]);
    }

    #[test]
    fn headings_have_anchors() {
        assert_eq!(
            slug("How `larun plan` works, in C99"),
            "how-larun-plan-works-in-c99"
        );
        let found = anchors("# A\n## B c\n## B c\n");
        assert!(found.contains("b-c") && found.contains("b-c-1") && !found.contains("b-c-2"));
    }
}
