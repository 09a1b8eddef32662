//! Case-insensitive comparison of texts.
//!
//! For each character of the pattern, AWS accepts its lower-case or its upper-case form, which may be several
//! characters (`ß` or `SS`). The characters of the text itself are not changed. So `straße` accepts
//! `STRASSE`, and `STRASSE` does not accept `straße`.

/// Removes `pattern` from the front of `text`. Returns the rest.
pub(crate) fn strip_prefix<'t>(mut text: &'t str, pattern: &str) -> Option<&'t str> {
    for char in pattern.chars() {
        text = strip_front(text, char.to_lowercase()).or_else(|| strip_front(text, char.to_uppercase()))?;
    }
    Some(text)
}

/// Removes `pattern` from the back of `text`. Returns the rest.
pub(crate) fn strip_suffix<'t>(mut text: &'t str, pattern: &str) -> Option<&'t str> {
    for char in pattern.chars().rev() {
        let (lower, upper) = (char.to_lowercase().rev(), char.to_uppercase().rev());
        text = strip_back(text, lower).or_else(|| strip_back(text, upper))?;
    }
    Some(text)
}

/// Returns whether `text` is `pattern` in any case.
pub(crate) fn equal(text: &str, pattern: &str) -> bool {
    strip_prefix(text, pattern) == Some("")
}

/// Returns the case-folded form, which is the same for all texts that any pattern treats as equal. If a text
/// has a prefix, a suffix or a value in any case, its folded form has the folded one.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(fold_char).collect()
}

/// Twice, because a few characters have a lower-case form with another upper-case form (`ẞ`, `ß`, `SS`).
fn fold_char(char: char) -> impl Iterator<Item = char> {
    let once = |char: char| char.to_uppercase().flat_map(char::to_lowercase);
    once(char).flat_map(once)
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
    fn all_forms_of_a_character_are_folded_into_one() {
        for char in (0..=0x10FFFF).filter_map(char::from_u32) {
            let folded: String = fold_char(char).collect();
            let lower: String = char.to_lowercase().flat_map(fold_char).collect();
            let upper: String = char.to_uppercase().flat_map(fold_char).collect();
            assert_eq!((&lower, &upper), (&folded, &folded), "{char:?}");
            if char.is_ascii() {
                assert_eq!(folded, fold(&char.to_string()));
            }
        }
    }

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
