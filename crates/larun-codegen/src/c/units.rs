//! The C kernels in pieces, each with the pieces that it needs: a program gets those of its model and no other.

use std::collections::BTreeSet;

/// The sources, in an order in which every piece comes behind those that it needs.
const SOURCES: [&str; 5] = [
    include_str!("kernels/base.c"),
    include_str!("kernels/window.c"),
    include_str!("kernels/mixed.c"),
    include_str!("kernels/elementwise.c"),
    include_str!("kernels/recurrent.c"),
];
const MOVES: &str = include_str!("kernels/move.c");

/// A piece of C: `// [name] needs a b c`, then its lines.
struct Unit {
    name: &'static str,
    needs: Vec<&'static str>,
    text: &'static str,
}

fn units() -> Vec<Unit> {
    let sources = SOURCES.into_iter().chain([MOVES]);
    sources.flat_map(parse).collect()
}

fn parse(source: &'static str) -> impl Iterator<Item = Unit> {
    source.split("// [").skip(1).filter_map(|piece| {
        let (head, text) = piece.split_once('\n')?;
        let (name, rest) = head.split_once(']')?;
        let needs = rest.trim().strip_prefix("needs").unwrap_or_default();
        Some(Unit {
            name,
            needs: needs.split_whitespace().collect(),
            text: text.trim_end(),
        })
    })
}

/// The text of the named pieces and of all that they need.
pub(super) fn with_needs(names: impl IntoIterator<Item = &'static str>) -> String {
    let units = units();
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = names.into_iter().collect();
    while let Some(name) = open.pop() {
        if wanted.insert(name)
            && let Some(unit) = units.iter().find(|unit| unit.name == name)
        {
            open.extend(&unit.needs);
        }
    }
    let texts = units.iter().filter(|unit| wanted.contains(unit.name));
    let texts: Vec<_> = texts.map(|unit| unit.text).collect();
    texts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_comes_behind_what_it_needs() {
        let units = units();
        for (index, unit) in units.iter().enumerate() {
            for need in &unit.needs {
                assert!(
                    units[..index].iter().any(|other| other.name == *need),
                    "{} needs {need}",
                    unit.name
                );
            }
        }
    }

    #[test]
    fn kernels_bring_what_they_need() {
        let text = with_needs(["copy"]);
        assert!(
            text.contains("larun_copy")
                && text.contains("larun_node")
                && !text.contains("larun_conv")
        );
    }
}
