//! Conditions on one value of an event.

use crate::address::{Address, Block};
use crate::event::Value;
use crate::letters;
use crate::number::Range;
use crate::wildcard::Wildcard;

/// One element of a pattern's array; any of them suffices.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    String(Box<str>),
    /// A number as written, and its double if it is comparable.
    Number(Box<str>, Option<f64>),
    True,
    False,
    Null,
    /// A string that is an IP address: any spelling of it matches.
    Address(Box<Address>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    PrefixIgnoringCase(Box<str>),
    SuffixIgnoringCase(Box<str>),
    EqualIgnoringCase(Box<str>),
    Wildcard(Wildcard),
    Within(Range),
    Block(Box<Block>),
    Exists,
    /// There is no value. No value matches this; the search for values checks it.
    Absent,
    NotStrings(Box<[Box<str>]>),
    NotNumbers(Box<[f64]>),
    NotPrefixes(Box<[Box<str>]>),
    NotSuffixes(Box<[Box<str>]>),
    NotIgnoringCase(Box<[Box<str>]>),
    NotWildcards(Box<[Wildcard]>),
}

impl Condition {
    /// Returns whether an existing value matches.
    ///
    /// Types are distinguished: only strings have a prefix, only numbers a size. The `anything-but`
    /// conditions match every other value, including `null` and values of other types (facts, EventBridge §
    /// 15).
    pub fn met_by(&self, value: &Value<'_>) -> bool {
        match self {
            Condition::String(wanted) => matches!(value, Value::String(text) if **text == **wanted),
            Condition::Number(wanted, number) => match value {
                Value::Number { text, value } => **text == **wanted || (value.is_some() && value == number),
                _ => false,
            },
            Condition::True => *value == Value::True,
            Condition::False => *value == Value::False,
            Condition::Null => *value == Value::Null,
            Condition::Address(wanted) => address(value) == Some(**wanted),
            Condition::Block(block) => address(value).is_some_and(|address| block.holds(address)),
            Condition::Within(range) => {
                matches!(value, Value::Number { value: Some(number), .. } if range.holds(*number))
            }
            Condition::Exists => true,
            Condition::Absent => false,
            Condition::Prefix(prefix) => string(value).is_some_and(|text| text.starts_with(&**prefix)),
            Condition::Suffix(suffix) => string(value).is_some_and(|text| text.ends_with(&**suffix)),
            Condition::PrefixIgnoringCase(prefix) => {
                string(value).is_some_and(|text| letters::strip_prefix(text, prefix).is_some())
            }
            Condition::SuffixIgnoringCase(suffix) => {
                string(value).is_some_and(|text| letters::strip_suffix(text, suffix).is_some())
            }
            Condition::EqualIgnoringCase(wanted) => {
                string(value).is_some_and(|text| letters::equal(text, wanted))
            }
            Condition::Wildcard(wildcard) => string(value).is_some_and(|text| wildcard.matches(text)),
            Condition::NotNumbers(numbers) => match value {
                Value::Number { value: Some(number), .. } => !numbers.contains(number),
                _ => true,
            },
            Condition::NotStrings(strings) => {
                !string(value).is_some_and(|text| strings.iter().any(|other| **other == *text))
            }
            Condition::NotPrefixes(prefixes) => {
                !string(value).is_some_and(|text| prefixes.iter().any(|prefix| text.starts_with(&**prefix)))
            }
            Condition::NotSuffixes(suffixes) => {
                !string(value).is_some_and(|text| suffixes.iter().any(|suffix| text.ends_with(&**suffix)))
            }
            Condition::NotIgnoringCase(strings) => {
                !string(value).is_some_and(|text| strings.iter().any(|other| letters::equal(text, other)))
            }
            Condition::NotWildcards(wildcards) => {
                !string(value).is_some_and(|text| wildcards.iter().any(|wildcard| wildcard.matches(text)))
            }
        }
    }
}

fn string<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn address(value: &Value<'_>) -> Option<Address> {
    Address::parse(string(value)?)
}
