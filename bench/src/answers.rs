//! Parses only the needed parts of an HTTP answer: its status, the end of its body, and the strings in the
//! JSON.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};

/// A complete answer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: Cow<'a, [u8]>,
    /// Whether the server closes the connection.
    pub(crate) closes: bool,
}

impl Answer<'_> {
    /// Returns the kind of an error: the shape in `__type`, the code in XML, or else the status.
    pub(crate) fn error_kind(&self) -> String {
        let shape = strings(&self.body).find(|(key, _)| *key == b"__type").map(|(_, value)| value);
        let shape = shape.or_else(|| elements(&self.body, "Code").next());
        match shape.and_then(|shape| shape.rsplit(|&byte| byte == b'#').next()) {
            Some(shape) => format!("{} {}", self.status, String::from_utf8_lossy(shape)),
            None => format!("HTTP {}", self.status),
        }
    }
}

/// The state of the received bytes.
pub(crate) enum Parsed<'a> {
    /// The beginning of an answer.
    Incomplete,
    /// An answer, perhaps followed by unexpected bytes.
    Complete(Answer<'a>),
    /// Not an HTTP/1 answer.
    Malformed,
}

/// Parses the answer at the beginning of `bytes`; `at_end` says that the server has closed the connection.
pub(crate) fn parse(bytes: &[u8], at_end: bool) -> Parsed<'_> {
    let Some(head_length) = memmem::find(bytes, b"\r\n\r\n") else {
        return if at_end || bytes.len() > 64 * 1024 { Parsed::Malformed } else { Parsed::Incomplete };
    };
    let (head, body) = (&bytes[..head_length + 2], &bytes[head_length + 4..]);
    let Some(status) = status(head) else { return Parsed::Malformed };
    let mut closes = head.starts_with(b"HTTP/1.0");
    let mut length = None;
    let mut chunked = false;
    let mut rest = head;
    while let Some(end) = memchr(b'\n', rest) {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        // The first letter rules most headers out.
        match line.first() {
            Some(b'c' | b'C') => {
                if let Some(value) = header(line, b"content-length") {
                    length = value.parse::<usize>().ok();
                } else if let Some(value) = header(line, b"connection") {
                    closes = match value {
                        _ if value.eq_ignore_ascii_case("close") => true,
                        _ if value.eq_ignore_ascii_case("keep-alive") => false,
                        _ => closes,
                    };
                }
            }
            Some(b't' | b'T') => {
                chunked |= header(line, b"transfer-encoding").is_some_and(|value| value.ends_with("chunked"));
            }
            _ => {}
        }
    }
    let body = if chunked {
        match dechunk(body) {
            Some(body) => Cow::Owned(body),
            None if at_end => return Parsed::Malformed,
            None => return Parsed::Incomplete,
        }
    } else {
        match length {
            Some(length) if body.len() >= length => Cow::Borrowed(&body[..length]),
            Some(_) if at_end => return Parsed::Malformed,
            None if at_end => Cow::Borrowed(body),
            None if status == 204 => Cow::Borrowed(&body[..0]),
            _ => return Parsed::Incomplete,
        }
    };
    Parsed::Complete(Answer { status, body, closes: closes || at_end })
}

fn status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Returns the value of the header in `line` if it has this name, in lower case.
fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    std::str::from_utf8(value).ok().map(str::trim)
}

/// Joins a chunked body. Returns `None` if its last chunk has not arrived yet.
fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = memmem::find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            // These servers send no trailers, so the empty line follows.
            return rest.starts_with(b"\r\n").then_some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// Returns the text of every element with this name in an XML text, as it is written, at any depth. Ignores
/// elements with attributes. Does not check that the text is XML.
pub(crate) fn elements<'a>(xml: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let mark = format!("<{name}>");
    let mut rest = xml;
    std::iter::from_fn(move || {
        let begin = memmem::find(rest, mark.as_bytes())? + mark.len();
        let end = begin + memchr(b'<', &rest[begin..])?;
        let text = &rest[begin..end];
        rest = &rest[end..];
        Some(text)
    })
}

/// Returns every string value in a JSON text with its key, both as they are written (escapes included), at
/// any depth and in any order. Does not check that the text is JSON.
pub(crate) fn strings(json: &[u8]) -> Strings<'_> {
    Strings { json, key: b"" }
}

/// See [`strings`].
pub(crate) struct Strings<'a> {
    json: &'a [u8],
    key: &'a [u8],
}

impl<'a> Iterator for Strings<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let begin = memchr(b'"', self.json)? + 1;
            let mut end = begin;
            loop {
                end += memchr2(b'"', b'\\', &self.json[end..])?;
                if self.json[end] == b'"' {
                    break;
                }
                // A backslash takes the next byte with it; slicing past the end must not panic.
                end = (end + 2).min(self.json.len());
            }
            let text = &self.json[begin..end];
            self.json = &self.json[end + 1..];
            let blanks = self.json.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if self.json.get(blanks) == Some(&b':') {
                self.json = &self.json[blanks + 1..];
                self.key = text;
            } else {
                return Some((self.key, text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8], at_end: bool) -> Option<(u16, String, bool)> {
        match parse(bytes, at_end) {
            Parsed::Complete(answer) => {
                Some((answer.status, String::from_utf8_lossy(&answer.body).into_owned(), answer.closes))
            }
            Parsed::Incomplete => None,
            Parsed::Malformed => panic!("malformed"),
        }
    }

    #[test]
    fn an_answer_with_a_length_is_complete_when_its_last_byte_is_there_and_not_before() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\ncontent-length:  5\r\nX-C: 9\r\n\r\nhello";
        for end in 0..text.len() {
            assert!(matches!(parse(&text[..end], false), Parsed::Incomplete), "at {end}");
        }
        assert_eq!(whole(text, false), Some((200, "hello".into(), false)));
        assert!(matches!(parse(&text[..text.len() - 1], true), Parsed::Malformed));
    }

    #[test]
    fn an_answer_in_chunks_is_put_together() {
        let text = b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(parse(&text[..end], false), Parsed::Incomplete), "at {end}");
        }
        assert_eq!(whole(text, false), Some((400, "abc0123456789".into(), false)));
    }

    #[test]
    fn an_answer_without_length_ends_with_the_connection() {
        let text = b"HTTP/1.0 200 OK\r\n\r\nhello";
        assert_eq!(whole(text, false), None);
        assert_eq!(whole(text, true), Some((200, "hello".into(), true)));
        assert_eq!(
            whole(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", false),
            Some((200, String::new(), false))
        );
        assert_eq!(
            whole(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false),
            Some((200, String::new(), true))
        );
    }

    #[test]
    fn what_is_not_http_is_malformed() {
        assert!(matches!(parse(b"SSH-2.0-OpenSSH\r\n\r\n", false), Parsed::Malformed));
        assert!(matches!(parse(b"HTTP/1.1 2x0 OK\r\n\r\n", false), Parsed::Malformed));
        assert!(matches!(parse(b"HTTP", true), Parsed::Malformed));
    }

    #[test]
    fn strings_come_with_their_keys_whatever_the_spacing_and_the_escapes() {
        let json = br#"{"a" : "x", "n": 5, "list": ["y" , "z\"\\"], "in": {"b":"\u00e9"}, "e":""}"#;
        let found: Vec<_> = strings(json).map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let expected: [(&[u8], &[u8]); 5] =
            [(b"a", b"x"), (b"list", b"y"), (b"list", br#"z\"\\"#), (b"b", br"\u00e9"), (b"e", b"")];
        assert_eq!(found, expected.map(|(key, value)| (key.to_vec(), value.to_vec())));
    }

    #[test]
    fn strings_of_broken_json_end_without_panic() {
        for json in [&b"\""[..], b"\"\\", b"{\"a\":\"b", b"{\"a\":\"b\\\"", b""] {
            assert_eq!(strings(json).count(), 0);
        }
    }

    #[test]
    fn an_error_is_named_by_its_type_or_else_by_its_status() {
        let answer = |body: &'static [u8]| Answer { status: 400, body: Cow::Borrowed(body), closes: false };
        assert_eq!(
            answer(br#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}"#).error_kind(),
            "400 QueueDoesNotExist"
        );
        assert_eq!(answer(b"<html>").error_kind(), "HTTP 400");
        let xml = b"<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code></Error></ErrorResponse>";
        assert_eq!(answer(xml).error_kind(), "400 NotFound");
        let list = b"<a><Id>1</Id><b><Id>2</Id></b><Id>un";
        assert_eq!(elements(list, "Id").collect::<Vec<_>>(), [b"1", b"2"]);
    }
}
