//! Pages with a part that a command makes: what stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.

/// The text of a page with that part replaced; `None` where the lines around it are missing.
pub(crate) fn with_part(page: &str, name: &str, part: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->\n"),
    );
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{part}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::with_part;

    #[test]
    fn the_part_alone_is_replaced() {
        let page = "a\n<!-- t: begin -->\nold\n<!-- t: end -->\nb\n";
        let new = "a\n<!-- t: begin -->\nnew\n<!-- t: end -->\nb\n";
        assert_eq!(with_part(page, "t", "new\n").as_deref(), Some(new));
        assert_eq!(with_part(page, "other", "new\n"), None);
        assert_eq!(with_part("<!-- t: begin -->\nold\n", "t", ""), None);
    }
}
