//! Patterns of `StringMatches`: `log-*.txt`.

/// Texts between stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    parts: Vec<String>,
}

impl Pattern {
    /// Reads a pattern. `\*` is a star and `\\` a backslash (states-language.net, "StringMatches"). None if another character follows a
    /// backslash.
    pub(crate) fn parse(text: &str) -> Option<Pattern> {
        let mut parts = vec![String::new()];
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            let c = match c {
                '*' => {
                    parts.push(String::new());
                    continue;
                }
                '\\' => characters.next().filter(|escaped| matches!(escaped, '*' | '\\'))?,
                c => c,
            };
            // There is always a last part.
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
        }
        Some(Pattern { parts })
    }

    /// Whether a text matches. Takes time linear in the text for each part.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &self.parts[..] else {
            return self.parts.first().is_some_and(|whole| whole == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for part in middle {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn stars_match_any_run() {
        for (pattern, text, expected) in [
            ("log-*.txt", "log-2020.txt", true),
            ("log-*.txt", "log-.txt", true),
            ("log-*.txt", "log-.txt.gz", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aba", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            (r"a\\*", r"a\b", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        assert_eq!(Pattern::parse(r"a\b"), None);
        assert_eq!(Pattern::parse(r"a\"), None);
    }
}
