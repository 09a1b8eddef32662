//! Text with wildcards: a star stands for any characters, also none.

/// A wildcard, split at its stars: the unescaped texts between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wildcard {
    parts: Box<[Box<str>]>,
}

impl Wildcard {
    /// Parses a wildcard; `\*` and `\\` stand for a star and a backslash. The error is AWS's text, whose
    /// positions count bytes from the opening quote.
    pub fn parse(text: &str) -> Result<Wildcard, String> {
        let mut parts: Vec<Box<str>> = Vec::new();
        let mut part = String::new();
        let mut chars = text.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            let next = chars.peek().map(|&(_, char)| char);
            match (char, next) {
                ('*', Some('*')) => return Err(format!("Consecutive wildcard characters at pos {}", at + 1)),
                ('*', _) => parts.push(std::mem::take(&mut part).into()),
                ('\\', Some(escaped @ ('*' | '\\'))) => {
                    part.push(escaped);
                    chars.next();
                }
                ('\\', _) => return Err(format!("Invalid escape character at pos {}", at + 1)),
                (char, _) => part.push(char),
            }
        }
        parts.push(part.into());
        Ok(Wildcard { parts: parts.into() })
    }

    /// Returns the number of stars.
    pub fn stars(&self) -> usize {
        self.parts.len() - 1
    }

    /// Returns the text, if there is no star.
    pub fn whole(&self) -> Option<&str> {
        if let [whole] = &*self.parts { Some(whole) } else { None }
    }

    /// Returns the text before the first star.
    pub fn first(&self) -> &str {
        &self.parts[0] // there is always one part
    }

    /// Returns the text after the last star.
    pub fn last(&self) -> &str {
        self.parts.last().map_or("", |last| last)
    }

    /// Returns the longest text between two stars.
    pub fn longest_middle(&self) -> Option<&str> {
        let middle = self.parts.get(1..self.parts.len() - 1)?;
        middle.iter().map(|part| &**part).filter(|part| !part.is_empty()).max_by_key(|part| part.len())
    }

    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.parts else {
            return *text == *self.parts[0]; // no star: there is exactly one part
        };
        let Some(rest) = text.strip_prefix(&**first) else { return false };
        let Some(mut rest) = rest.strip_suffix(&**last) else { return false };
        // Matching each part at its first occurrence leaves the most text for the later parts.
        for part in middle {
            match memchr::memmem::find(rest.as_bytes(), part.as_bytes()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters_and_for_none() {
        for (wildcard, text, matches) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("*ab*ab*", "aab-ab", true),
            ("/Users/*/doc.txt", "/Users/x/y/doc.txt", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("\\\\*", "\\x", true),
            ("*é", "né", true),
        ] {
            assert_eq!(Wildcard::parse(wildcard).unwrap().matches(text), matches, "{wildcard} {text}");
        }
    }

    #[test]
    fn two_stars_in_a_row_and_lone_backslashes_are_refused() {
        for (wildcard, refusal) in [
            ("**", "Consecutive wildcard characters at pos 1"),
            ("é**", "Consecutive wildcard characters at pos 3"),
            ("a\\", "Invalid escape character at pos 2"),
            ("a\\b", "Invalid escape character at pos 2"),
        ] {
            assert_eq!(Wildcard::parse(wildcard).unwrap_err(), refusal, "{wildcard}");
        }
    }
}
