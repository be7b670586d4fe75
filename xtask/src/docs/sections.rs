//! Parts of pages that are made from the code: what lies between `<!-- begin NAME ... -->` and `<!-- end NAME -->`.

use std::path::Path;

use super::{Error, Page, Programs, commands, source};

/// Fills the parts that are known here; others, such as measured tables, stay.
///
/// # Errors
/// When a part does not end, or what it is made from is not there.
pub(super) fn fill(page: Page, root: &Path, programs: &Programs) -> Result<Page, Error> {
    let mut lines = Vec::new();
    let mut rest = page.lines.iter().enumerate();
    while let Some((number, line)) = rest.next() {
        lines.push(line.clone());
        let Some((name, asked)) = begins(line) else {
            continue;
        };
        let Some(text) = text(name, asked, &page, number, root, programs)? else {
            continue;
        };
        let end = format!("<!-- end {name} -->");
        let closing = rest.find(|(_, line)| line.trim() == end);
        let Some((_, closing)) = closing else {
            return Err(Error::page(&page, number, format!("there is no {end}")));
        };
        lines.extend(text.trim_end().lines().map(str::to_owned));
        lines.push(closing.clone());
    }
    Ok(Page {
        name: page.name,
        lines,
    })
}

/// The name of a part, and what else its first line says.
fn begins(line: &str) -> Option<(&str, &str)> {
    let inside = line
        .trim()
        .strip_prefix("<!-- begin ")?
        .strip_suffix("-->")?
        .trim();
    Some(inside.split_once(' ').unwrap_or((inside, "")))
}

fn text(
    name: &str,
    asked: &str,
    page: &Page,
    number: usize,
    root: &Path,
    programs: &Programs,
) -> Result<Option<String>, Error> {
    let file = root.join("docs").join(&page.name);
    Ok(Some(match name {
        "commands" => commands::reference(programs)?,
        "operators" | "onnx-operators" | "onnx-networks" | "boards" => {
            programs.coverage(name, &file)?
        }
        "source" => {
            let found = source::excerpt(asked, root);
            found.map_err(|what| Error::page(page, number, what))?
        }
        _ => return Ok(None),
    }))
}
