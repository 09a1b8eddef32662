//! Patterns: texts of a policy with wildcards and variables, and whether a text of a request matches.

use super::keys::Keys;

/// A compiled text of a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pattern(Box<[Piece]>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// These characters.
    Text(Box<str>),
    /// `?`: one character.
    One,
    /// `*`: any characters, or none.
    Many,
    /// `${name}` or `${name, 'default'}`: the value of this condition key.
    Variable { name: Box<str>, default: Option<Box<str>> },
}

/// Which characters of a text are special (IAM User Guide, "IAM policy elements: Variables and tags").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Syntax {
    /// Whether `*` and `?` are wildcards.
    pub wildcards: bool,
    /// Whether `${…}` is a variable: only in documents of version 2012-10-17 (facts/security.md § 3).
    pub variables: bool,
}

impl Pattern {
    /// Compiles a text. A `${` that is not closed is text.
    pub fn new(text: &str, syntax: Syntax) -> Pattern {
        Pattern(pieces(text, syntax).into())
    }

    /// Whether a text matches. A variable whose key does not have exactly one value, and which has no default, matches nothing. Values of
    /// variables have no wildcards (IAM User Guide, "Variables and tags").
    pub fn matches(&self, text: &str, keys: &Keys<'_>) -> bool {
        matches(&self.0, text, keys, false)
    }

    /// The same, ignoring the case of ASCII letters.
    pub fn matches_ignoring_case(&self, text: &str, keys: &Keys<'_>) -> bool {
        matches(&self.0, text, keys, true)
    }
}

/// The six parts of an ARN, each a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ArnPattern([Pattern; 6]);

impl ArnPattern {
    /// Compiles a text. Returns nothing if it has fewer than six parts.
    pub fn new(text: &str, variables: bool) -> Option<ArnPattern> {
        let mut parts: [Vec<Piece>; 6] = Default::default();
        let mut at = 0;
        for piece in pieces(text, Syntax { wildcards: true, variables }) {
            let Piece::Text(text) = &piece else {
                parts[at].push(piece);
                continue;
            };
            let mut rest = &**text;
            while at < 5
                && let Some((part, after)) = rest.split_once(':')
            {
                parts[at].push(Piece::Text(part.into()));
                (at, rest) = (at + 1, after);
            }
            parts[at].push(Piece::Text(rest.into()));
        }
        (at == 5).then(|| ArnPattern(parts.map(|pieces| Pattern(pieces.into()))))
    }

    /// Whether an ARN matches, part by part: `*` does not cross a `:` but in the last part (facts/security.md § 13).
    pub fn matches(&self, arn: &str, keys: &Keys<'_>) -> bool {
        let mut parts = arn.splitn(6, ':');
        self.0.iter().all(|pattern| parts.next().is_some_and(|part| pattern.matches(part, keys)))
    }
}

fn pieces(text: &str, syntax: Syntax) -> Vec<Piece> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(first) = rest.chars().next() {
        let (piece, after) = match first {
            '*' if syntax.wildcards => (Piece::Many, &rest[1..]),
            '?' if syntax.wildcards => (Piece::One, &rest[1..]),
            '$' if syntax.variables && rest.starts_with("${") => {
                let Some((inside, after)) = rest[2..].split_once('}') else {
                    plain.push_str(rest);
                    break;
                };
                match inside {
                    "*" | "?" | "$" => {
                        plain.push_str(inside);
                        rest = after;
                        continue;
                    }
                    _ => (variable(inside), after),
                }
            }
            plain_character => {
                plain.push(plain_character);
                rest = &rest[plain_character.len_utf8()..];
                continue;
            }
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
        }
        // A second star in a row changes nothing.
        if !(piece == Piece::Many && pieces.last() == Some(&Piece::Many)) {
            pieces.push(piece);
        }
        rest = after;
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain.into()));
    }
    pieces
}

/// What stands between the braces of a variable.
fn variable(inside: &str) -> Piece {
    let (name, default) = match inside.split_once(',') {
        Some((name, default)) => {
            let default = default.trim();
            let quoted = default.strip_prefix('\'').and_then(|default| default.strip_suffix('\''));
            (name, Some(quoted.unwrap_or(default).into()))
        }
        None => (inside, None),
    };
    Piece::Variable { name: name.trim().into(), default }
}

/// Matches the last `*` with as few characters as possible, and with one more whenever the rest does not match. So the cost is at most the
/// product of the lengths.
fn matches(pieces: &[Piece], text: &str, keys: &Keys<'_>, ignoring_case: bool) -> bool {
    let starts_with = |text: &str, start: &str| {
        let here = text.get(..start.len());
        here.is_some_and(|here| here == start || ignoring_case && here.eq_ignore_ascii_case(start))
    };
    // The usual case.
    if let [Piece::Text(wanted)] = pieces {
        return text.len() == wanted.len() && starts_with(text, wanted);
    }
    let (mut at, mut here) = (0, 0);
    // The piece after the last star, and the end of what that star matches.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let left = &text[here..];
        let step = match pieces.get(at) {
            None if left.is_empty() => return true,
            None => None,
            Some(Piece::Many) if at + 1 == pieces.len() => return true,
            Some(Piece::Many) => {
                at += 1;
                star = Some((at, here));
                continue;
            }
            Some(Piece::One) => left.chars().next().map(char::len_utf8),
            Some(Piece::Text(wanted)) => starts_with(left, wanted).then_some(wanted.len()),
            Some(Piece::Variable { name, default }) => {
                let wanted = match keys.values(name) {
                    [value] => value,
                    _ => match default {
                        Some(default) => &**default,
                        None => return false,
                    },
                };
                starts_with(left, wanted).then_some(wanted.len())
            }
        };
        match (step, &mut star) {
            (Some(length), _) => {
                here += length;
                at += 1;
            }
            (None, None) => return false,
            (None, Some((after, taken))) => {
                let Some(next) = text[*taken..].chars().next() else { return false };
                *taken += next.len_utf8();
                (at, here) = (*after, *taken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Principal;

    const WILD: Syntax = Syntax { wildcards: true, variables: false };

    #[test]
    fn wildcards_stand_for_characters() {
        // IAM User Guide, "IAM JSON policy elements: Resource": * for any characters, ? for one
        let keys = Keys::new(&Principal::Anonymous, &[]);
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a:b/c", true),
            ("**", "a", true),
            ("a", "a", true),
            ("a", "A", false),
            ("a*", "a", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*b*", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("?", "", false),
            ("*?", "é", true),
            ("*a?b*c", "xxaabaxbxc", true),
        ] {
            assert_eq!(Pattern::new(pattern, WILD).matches(text, &keys), expected, "{pattern} {text}");
        }
        assert!(Pattern::new("S3:get*", WILD).matches_ignoring_case("s3:GetObject", &keys));
        let plain = Syntax { wildcards: false, variables: false };
        assert!(!Pattern::new("a*", plain).matches("ab", &keys));
        assert!(Pattern::new("${a}*", plain).matches("${a}*", &keys));
    }

    #[test]
    fn variables_stand_for_what_the_request_says() {
        // IAM User Guide, "IAM policy elements: Variables and tags"
        let given: [(&str, &[&str]); 3] =
            [("aws:username", &["ann"]), ("aws:TagKeys", &["a", "b"]), ("x:star", &["*"])];
        let keys = Keys::new(&Principal::Anonymous, &given);
        let syntax = Syntax { wildcards: true, variables: true };
        for (pattern, text, expected) in [
            ("home/${aws:username}/*", "home/ann/x", true),
            ("home/${AWS:UserName}/*", "home/ann/x", true),
            ("home/${aws:username}/*", "home/bob/x", false),
            ("${aws:userid}", "", false),
            ("${aws:userid, 'nobody'}", "nobody", true),
            ("${aws:username, 'nobody'}", "nobody", false),
            ("${aws:TagKeys}", "a", false),
            ("${x:star}", "*", true),
            ("${x:star}", "anything", false),
            ("${*}${?}${$}", "*?$", true),
            ("${*}", "a", false),
            ("${unclosed", "${unclosed", true),
        ] {
            assert_eq!(Pattern::new(pattern, syntax).matches(text, &keys), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn arns_are_compared_part_by_part() {
        // facts/security.md § 13: six parts are needed, and * does not cross a colon
        let given: [(&str, &[&str]); 1] = [("aws:username", &["ann"])];
        let keys = Keys::new(&Principal::Anonymous, &given);
        for (pattern, arn, expected) in [
            ("arn:aws:kinesis:*:111111111111:*", "arn:aws:kinesis:eu-west-1:111111111111:stream/s", true),
            ("arn:aws:kinesis:*:stream/s", "arn:aws:kinesis:eu-west-1:111111111111:stream/s", false),
            ("*", "arn:aws:kinesis:eu-west-1:111111111111:stream/s", false),
            ("arn:*:*:*:*:*", "arn:aws:lambda:eu-west-1:111111111111:function:f:1", true),
            ("arn:aws:lambda:*:*:function:f", "arn:aws:lambda:eu-west-1:111111111111:function:f", true),
            ("arn:aws:iam::1*1:user/${aws:username}", "arn:aws:iam::121:user/ann", true),
            ("arn:aws:iam::*:user/x", "arn:aws:iam::1:2:user/x", false),
            ("arn:aws:iam::1:x", "arn:aws:iam::1", false),
        ] {
            let matches = ArnPattern::new(pattern, true).is_some_and(|pattern| pattern.matches(arn, &keys));
            assert_eq!(matches, expected, "{pattern} {arn}");
        }
    }
}
