//! Fenced blocks of a page.

/// A fenced block: its lines lie between two fences.
pub(super) struct Block {
    /// What stands behind the opening fence: a language, then what is asked for.
    pub(super) info: String,
    /// The line of the opening fence.
    pub(super) begin: usize,
    /// The line of the closing fence.
    pub(super) end: usize,
}

impl Block {
    pub(super) fn language(&self) -> &str {
        self.info.split_whitespace().next().unwrap_or_default()
    }

    /// Whether a word stands behind the language.
    pub(super) fn says(&self, word: &str) -> bool {
        self.info
            .split_whitespace()
            .skip(1)
            .any(|found| found == word)
    }

    /// The value of `key=value` behind the language.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let words = self.info.split_whitespace().skip(1);
        words
            .filter_map(|word| word.split_once('='))
            .find_map(|(found, value)| (found == key).then_some(value))
    }
}

/// The blocks of a page in order. An opening fence that is never closed ends with the page.
pub(super) fn blocks(lines: &[String]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, &str, &str)> = None;
    for (number, line) in lines.iter().enumerate() {
        let line = line.trim_start();
        let ticks = line.len() - line.trim_start_matches('`').len();
        let (fence, rest) = line.split_at(ticks);
        match open {
            None if ticks >= 3 => open = Some((number, fence, rest.trim())),
            Some((begin, opening, info)) if ticks >= opening.len() && rest.trim().is_empty() => {
                blocks.push(Block {
                    info: info.to_owned(),
                    begin,
                    end: number,
                });
                open = None;
            }
            _ => {}
        }
    }
    if let Some((begin, _, info)) = open {
        blocks.push(Block {
            info: info.to_owned(),
            begin,
            end: lines.len(),
        });
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn blocks_are_found_with_what_they_ask_for() {
        let text = "a\n```sh run status=1\nls\n```\n````text\n```\nx\n````\n";
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let found = blocks(&lines);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].begin, found[0].end), (1, 3));
        assert!(found[0].says("run") && !found[0].says("slow"));
        assert_eq!(found[0].value("status"), Some("1"));
        assert_eq!((found[1].language(), found[1].end), ("text", 7));
    }
}
