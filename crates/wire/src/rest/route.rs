//! Routes: which method and path an operation has, and what its labels stand for in a request's path.

use std::borrow::Cow;

use http::Method;

/// A piece of a path between two slashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// A text that must stand there.
    Literal(&'static str),
    /// A label: one piece, which is not empty.
    Label(&'static str),
    /// A greedy label: one or more pieces.
    Greedy(&'static str),
}

/// How one operation is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// The operation's name.
    pub operation: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path; at most one of its pieces is greedy.
    pub path: &'static [Piece],
    /// Parameters that must stand in the query string, with their values where the model has some.
    pub query: &'static [(&'static str, Option<&'static str>)],
}

/// The path of a request, in its pieces, which are still escaped.
#[derive(Clone, Debug)]
pub struct Path<'a> {
    whole: &'a str,
    pieces: Vec<&'a str>,
}

impl<'a> Path<'a> {
    /// Divides a path. A slash at the end says nothing: some models have one, and clients differ.
    pub fn new(path: &'a str) -> Self {
        let whole = path.strip_prefix('/').unwrap_or(path);
        let whole = whole.strip_suffix('/').unwrap_or(whole);
        let pieces = if whole.is_empty() { Vec::new() } else { whole.split('/').collect() };
        Path { whole, pieces }
    }

    /// The pieces, still escaped.
    pub fn pieces(&self) -> &[&'a str] {
        &self.pieces
    }
}

/// What the labels of a route stand for in one path; still escaped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Labels<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Labels<'a> {
    /// The text of a label, still escaped.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(label, _)| *label == name).map(|(_, text)| *text)
    }
}

impl Route {
    /// The labels, if the route is that of a request. `query` is the query string as it was sent.
    pub fn labels<'a>(&self, method: &Method, path: &Path<'a>, query: &str) -> Option<Labels<'a>> {
        if method.as_str() != self.method {
            return None;
        }
        let pieces = path.pieces();
        let mut labels = Vec::new();
        // What stands before a greedy label is compared from the left, and what stands after it from the right.
        let greedy = self.path.iter().position(|piece| matches!(piece, Piece::Greedy(_)));
        let (before, after) = match greedy {
            Some(at) => (&self.path[..at], &self.path[at + 1..]),
            None => (self.path, &[][..]),
        };
        let taken = before.len() + after.len();
        let fits = if greedy.is_some() { pieces.len() > taken } else { pieces.len() == taken };
        if !fits {
            return None;
        }
        let right = pieces.len() - after.len();
        for (expected, piece) in before.iter().zip(pieces).chain(after.iter().zip(&pieces[right..])) {
            match *expected {
                Piece::Literal(text) if is(piece, text) => {}
                Piece::Label(name) if !piece.is_empty() => labels.push((name, *piece)),
                _ => return None,
            }
        }
        if let Some(Piece::Greedy(name)) = greedy.and_then(|at| self.path.get(at)) {
            let with_slash = |pieces: &[&str]| pieces.iter().map(|piece| piece.len() + 1).sum::<usize>();
            let (start, end) = (with_slash(&pieces[..before.len()]), with_slash(&pieces[right..]));
            let text = path.whole.get(start..path.whole.len().checked_sub(end)?)?;
            labels.push((name, Some(text).filter(|text| !text.is_empty())?));
        }
        self.query.iter().all(|expected| has(query, expected)).then_some(Labels(labels))
    }
}

/// Whether a query string has a parameter.
fn has(query: &str, (name, value): &(&str, Option<&str>)) -> bool {
    query.split('&').any(|pair| {
        let (other_name, other_value) = pair.split_once('=').unwrap_or((pair, ""));
        is(other_name, name) && value.is_none_or(|value| is(other_value, value))
    })
}

fn is(escaped: &str, text: &str) -> bool {
    escaped == text || unescape(escaped).is_some_and(|unescaped| unescaped == text)
}

/// A piece of a path without its escapes: `%41` stands for `A`, and `+` for itself. None if the bytes are no text.
pub(crate) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        out.push(match (byte, after) {
            (b'%', [high, low, after @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    (high << 4 | low) as u8
                }
                // What is no escape stands for itself.
                _ => b'%',
            },
            (byte, _) => *byte,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn route(path: &'static [Piece]) -> Route {
        Route { operation: "X", method: "GET", path, query: &[] }
    }

    fn labels<'a>(route: &Route, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
        route.labels(&Method::GET, &Path::new(path), "").map(|labels| labels.0)
    }

    #[test]
    fn a_label_is_one_piece_and_a_greedy_one_takes_the_rest() {
        let tags = route(&[Piece::Literal("tags"), Piece::Label("arn")]);
        assert_eq!(labels(&tags, "/tags/arn%3Aaws%3Aa%2Fb"), Some(vec![("arn", "arn%3Aaws%3Aa%2Fb")]));
        assert_eq!(labels(&tags, "/tags/a/"), Some(vec![("arn", "a")]));
        for other in ["/", "/tags", "/tags/", "/tags//", "/tags/a/b", "/Tags/a", "//tags/a", "tag/a"] {
            assert_eq!(labels(&tags, other), None, "{other}");
        }
        assert_eq!(tags.labels(&Method::POST, &Path::new("/tags/a"), ""), None);
        let middle = route(&[Piece::Label("bucket"), Piece::Greedy("key"), Piece::Literal("acl")]);
        assert_eq!(labels(&middle, "/b/k/l//m/acl"), Some(vec![("bucket", "b"), ("key", "k/l//m")]));
        for other in ["/b/acl", "/b//acl", "/b/k", "/b/k/acl/x"] {
            assert_eq!(labels(&middle, other), None, "{other}");
        }
        assert_eq!(labels(&route(&[]), "/"), Some(vec![]));
        assert_eq!(labels(&route(&[Piece::Literal("(a+)+")]), "/%28a%2B%29+"), Some(vec![]));
    }

    #[test]
    fn parameters_may_be_part_of_a_route() {
        let route = Route { query: &[("foo", Some("b r")), ("hello", None)], ..route(&[]) };
        let fits = |query| route.labels(&Method::GET, &Path::new("/"), query).is_some();
        assert!(fits("hello&foo=b%20r") && fits("x=y&foo=b%20r&hello=1"));
        assert!(!fits("") && !fits("hello") && !fits("foo=bar&hello"));
    }

    #[test]
    fn escapes_are_undone_once() {
        for (escaped, text) in
            [("a+b", "a+b"), ("%41%2f%25%32%35", "A/%25"), ("%zz%4", "%zz%4"), ("%F0%9f%98%80", "😀")]
        {
            assert_eq!(unescape(escaped).as_deref(), Some(text));
        }
        assert_eq!(unescape("%ff"), None);
    }

    proptest! {
        #[test]
        fn any_path_is_matched_or_not(path in "(/|[a-z%]|tags|acl|%2F|\u{fc}){0,12}", query in "[a-z&=%]{0,9}") {
            let greedy = route(&[Piece::Literal("tags"), Piece::Greedy("rest"), Piece::Literal("acl")]);
            for query_route in [greedy, Route { query: &[("a", None)], ..greedy }, route(&[Piece::Label("x")])] {
                if let Some(labels) = query_route.labels(&Method::GET, &Path::new(&path), &query) {
                    prop_assert!(labels.0.iter().all(|(_, text)| !text.is_empty()));
                }
            }
        }
    }
}
