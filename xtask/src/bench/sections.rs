//! Sections of BENCHMARKS.md that commands of their own write.

/// The section with this heading as it stands in a page, if it does.
pub fn in_page<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let begins = page.find(&format!("\n{heading}\n"))? + 1;
    let ends = page[begins + heading.len()..].find("\n## ").map(|at| begins + heading.len() + at + 1);
    Some(&page[begins..ends.unwrap_or(page.len())])
}

/// Puts a section, which begins with its heading, in its place in a page: instead of the one that is there, or at the end.
pub fn put(page: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let (before, after) = match in_page(page, heading) {
        None => (page, ""),
        Some(old) => page.split_once(old).unwrap_or((page, "")),
    };
    let between = if after.is_empty() { "" } else { "\n" };
    format!("{}\n\n{}\n{between}{after}", before.trim_end(), section.trim_end())
}

#[cfg(test)]
mod tests {
    use super::put;

    #[test]
    fn a_section_takes_the_place_of_the_one_before() {
        let page = "# Benchmarks\n\ntext\n\n## Cliffs\n\nold\n\n## Next\n\nrest\n";
        assert_eq!(
            put(page, "## Cliffs\n\nnew\n"),
            "# Benchmarks\n\ntext\n\n## Cliffs\n\nnew\n\n## Next\n\nrest\n"
        );
        assert_eq!(
            put("# Benchmarks\n\ntext\n", "## Cliffs\n\nnew\n"),
            "# Benchmarks\n\ntext\n\n## Cliffs\n\nnew\n"
        );
        assert_eq!(put("# B\n\n## Cliffs\n\nold\n", "## Cliffs\n\nnew\n"), "# B\n\n## Cliffs\n\nnew\n");
    }
}
