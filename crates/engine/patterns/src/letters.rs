//! Text compared without regard to upper and lower case.
//!
//! AWS accepts for each character of the pattern its lower-case or its upper-case form, which may be several characters
//! (`ß` or `SS`); the forms of the text itself are not changed. So `straße` accepts `STRASSE`, and `STRASSE` does not
//! accept `straße`.

/// Takes `pattern` from the front of `text`; what is left.
pub(crate) fn strip_prefix<'t>(mut text: &'t str, pattern: &str) -> Option<&'t str> {
    for char in pattern.chars() {
        text = strip_front(text, char.to_lowercase()).or_else(|| strip_front(text, char.to_uppercase()))?;
    }
    Some(text)
}

/// Takes `pattern` from the back of `text`; what is left.
pub(crate) fn strip_suffix<'t>(mut text: &'t str, pattern: &str) -> Option<&'t str> {
    for char in pattern.chars().rev() {
        let (lower, upper) = (char.to_lowercase().rev(), char.to_uppercase().rev());
        text = strip_back(text, lower).or_else(|| strip_back(text, upper))?;
    }
    Some(text)
}

/// Whether `text` is `pattern` in any case.
pub(crate) fn equal(text: &str, pattern: &str) -> bool {
    strip_prefix(text, pattern) == Some("")
}

fn strip_front(text: &str, form: impl Iterator<Item = char>) -> Option<&str> {
    let mut chars = text.chars();
    for wanted in form {
        if chars.next()? != wanted {
            return None;
        }
    }
    Some(chars.as_str())
}

fn strip_back(text: &str, form: impl Iterator<Item = char>) -> Option<&str> {
    let mut chars = text.chars();
    for wanted in form {
        if chars.next_back()? != wanted {
            return None;
        }
    }
    Some(chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_is_accepted_in_either_case() {
        for (text, pattern, same) in [
            ("", "", true),
            ("test", "", false),
            ("tEsT", "TeSt", true),
            ("STRASSE", "straße", true),
            ("straße", "STRASSE", false),
            ("ÄÖ", "äö", true),
            ("testx", "test", false),
        ] {
            assert_eq!(equal(text, pattern), same, "{text} {pattern}");
        }
        assert_eq!(strip_suffix("photo.JPG", ".jpg"), Some("photo"));
        assert_eq!(strip_suffix("GRUSS", "gruß"), Some(""));
        assert_eq!(strip_prefix("AbC", "aB"), Some("C"));
    }
}
