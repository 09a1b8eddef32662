//! Tags of resources: their limits, and how they are added and removed.

use std::collections::BTreeMap;
use std::fmt;

/// A resource's tags, by key. Keys differ by case.
pub type Tags = BTreeMap<String, String>;

/// The most characters of a tag's key; the least is one (AWS's models of TagResource).
pub const KEY_CHARACTERS: usize = 128;

/// The most characters of a tag's value.
pub const VALUE_CHARACTERS: usize = 256;

/// The prefix of AWS's own tags, in any case.
const RESERVED: &str = "aws:";

/// The rules in which services differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The most tags of a resource.
    pub most: usize,
    /// Whether a repeated key in a request is a fault. Otherwise the last value counts.
    pub unique: bool,
    /// Whether the reserved prefix is a fault in values, too.
    pub values_reserved: bool,
}

/// What is wrong with a tag. Services have their own shapes for it, and some have texts of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault<'a> {
    /// A key that is empty or longer than [`KEY_CHARACTERS`].
    KeyLength(&'a str),
    /// A value that is longer than [`VALUE_CHARACTERS`].
    ValueLength(&'a str),
    /// The key of a tag with the reserved prefix.
    Reserved(&'a str),
    /// A repeated key.
    Repeated(&'a str),
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::KeyLength(key) => {
                write!(f, "The tag key '{key}' must have 1 to {KEY_CHARACTERS} characters.")
            }
            Fault::ValueLength(value) => {
                write!(f, "The tag value '{value}' must have at most {VALUE_CHARACTERS} characters.")
            }
            Fault::Reserved(key) => write!(f, "The tag key '{key}' begins with aws:, which is reserved."),
            Fault::Repeated(key) => write!(f, "The tag key '{key}' is given twice."),
        }
    }
}

impl Rules {
    /// Checks the tags of a request in their order. Errors: the first fault.
    pub fn check<'a>(&self, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Tags, Fault<'a>> {
        let mut checked = Tags::new();
        for (key, value) in tags {
            if !(1..=KEY_CHARACTERS).contains(&key.chars().count()) {
                return Err(Fault::KeyLength(key));
            }
            if value.chars().count() > VALUE_CHARACTERS {
                return Err(Fault::ValueLength(value));
            }
            if is_reserved(key) || self.values_reserved && is_reserved(value) {
                return Err(Fault::Reserved(key));
            }
            if checked.insert(key.to_owned(), value.to_owned()).is_some() && self.unique {
                return Err(Fault::Repeated(key));
            }
        }
        Ok(checked)
    }

    /// Whether the tags are few enough for one resource.
    pub fn have_room(&self, tags: &Tags) -> bool {
        tags.len() <= self.most
    }
}

fn is_reserved(text: &str) -> bool {
    text.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED))
}

/// The tags with others added. A tag of the same key is replaced.
pub fn added<'a>(
    tags: impl IntoIterator<Item = (&'a String, &'a String)>,
    others: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Tags {
    tags.into_iter().chain(others).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The tags without those of these keys. Unknown keys are ignored.
pub fn removed<'a>(tags: impl IntoIterator<Item = (&'a String, &'a String)>, keys: &[String]) -> Tags {
    let stay = tags.into_iter().filter(|(key, _)| !keys.contains(key));
    stay.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { most: 2, unique: true, values_reserved: false };

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn tags_are_checked_one_by_one() {
        // AWS's models of TagResource (keys 1 to 128 characters, values 0 to 256); AWS General Reference, "Tag naming limits and
        // requirements" (the prefix aws: in any case)
        let (long_key, long_value) = ("ä".repeat(KEY_CHARACTERS), "ä".repeat(VALUE_CHARACTERS));
        let (longer_key, longer_value) = (format!("{long_key}a"), format!("{long_value}a"));
        for (given, expected) in [
            (&[("b", "1"), ("a", "")][..], Ok(tags(&[("a", ""), ("b", "1")]))),
            (&[("a", "1"), ("A", "2")], Ok(tags(&[("A", "2"), ("a", "1")]))),
            (&[(&*long_key, &*long_value)], Ok(tags(&[(&long_key, &long_value)]))),
            (&[("aw", "aws:x")], Ok(tags(&[("aw", "aws:x")]))),
            (&[("", "v")], Err(Fault::KeyLength(""))),
            (&[(&*longer_key, "v")], Err(Fault::KeyLength(&longer_key))),
            (&[("k", &*longer_value)], Err(Fault::ValueLength(&longer_value))),
            (&[("AWS:x", "v")], Err(Fault::Reserved("AWS:x"))),
            (&[("a", "1"), ("a", "1")], Err(Fault::Repeated("a"))),
        ] {
            assert_eq!(RULES.check(given.iter().copied()), expected, "{given:?}");
        }
        let other = Rules { unique: false, values_reserved: true, ..RULES };
        assert_eq!(other.check([("a", "1"), ("a", "2")]), Ok(tags(&[("a", "2")])));
        assert_eq!(other.check([("a", "aws:1")]), Err(Fault::Reserved("a")));
        assert!(RULES.have_room(&tags(&[("a", ""), ("b", "")])));
        assert!(!RULES.have_room(&tags(&[("a", ""), ("b", ""), ("c", "")])));
    }

    #[test]
    fn tags_are_added_replaced_and_removed() {
        // facts/sqs.md § 2, facts/sns.md § 2
        let before = tags(&[("a", "1"), ("b", "2")]);
        assert_eq!(
            added(&before, &tags(&[("b", "3"), ("c", "4")])),
            tags(&[("a", "1"), ("b", "3"), ("c", "4")])
        );
        assert_eq!(removed(&before, &["b".to_owned(), "unknown".to_owned()]), tags(&[("a", "1")]));
    }
}
