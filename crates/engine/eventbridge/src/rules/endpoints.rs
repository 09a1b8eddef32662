//! Where requests go: what is taken as an endpoint, and what of one is filled in.

use kernel::Refusal;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::refusals;

/// AWS's model: `HttpsEndpoint`.
pub const PATTERN: &str = r"^((%[0-9A-Fa-f]{2}|[-()_.!~*';/?:@\x26=+$,A-Za-z0-9])+)([).!';/?:,])?$";

/// What need not be encoded in a part of a path or a query (RFC 3986, "unreserved").
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether a text matches [`PATTERN`].
pub fn has_characters(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    bytes.iter().enumerate().all(|(at, &byte)| match byte {
        b'%' => is_hex(at + 1) && is_hex(at + 2),
        byte => byte.is_ascii_alphanumeric() || b"-()_.!~*';/?:@&=+$,".contains(&byte),
    })
}

/// Checks an endpoint that has the right characters. AWS takes `https:` alone; this server takes `http:`, too, for endpoints of the same
/// machine. How AWS says that an endpoint is none is not known.
pub fn check(name: &str, endpoint: &str) -> Result<(), Refusal> {
    let invalid = |reason: &str| Err(refusals::parameter(name, reason));
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let Some(rest) = rest else { return invalid("The endpoint must be a URL that begins with https://.") };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains(['*', '@']) {
        return invalid("The endpoint must name a host, without wildcards and without a user.");
    }
    Ok(())
}

/// The endpoint with values in the places of the stars of its path, in their order. A star without a value stays.
pub fn filled(endpoint: &str, values: impl IntoIterator<Item = String>) -> String {
    let path_end = endpoint.find('?').unwrap_or(endpoint.len());
    let (path, query) = endpoint.split_at(path_end);
    let mut pieces = path.split('*');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    let mut values = values.into_iter();
    for piece in pieces {
        match values.next() {
            Some(value) => filled.push_str(&encoded(&value)),
            None => filled.push('*'),
        }
        filled.push_str(piece);
    }
    filled + query
}

/// Appends parameters to the query of a URL.
pub fn with_query<'p>(url: String, parameters: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let mut url = url;
    for (name, value) in parameters {
        let separator = match url.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        url.push_str(separator);
        url.push_str(&format!("{}={}", encoded(name), encoded(value)));
    }
    url
}

/// A text as part of a path, a query or a form.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url() {
        for right in ["https://example.com", "http://127.0.0.1:8080/a/*/b?c=*", "https://[::1]/%20"] {
            assert!(check("InvocationEndpoint", right).is_ok(), "{right}");
        }
        for wrong in
            ["invalid-endpoint", "ftp://example.com", "https://", "https://*.example.com", "https://u@h/"]
        {
            assert!(check("InvocationEndpoint", wrong).is_err(), "{wrong}");
        }
        assert!(has_characters("https://example.com/%2f*") && has_characters("invalid-endpoint"));
        assert!(
            !has_characters("https://example.com/%2") && !has_characters("a b") && !has_characters("a\"b")
        );
    }

    #[test]
    fn values_take_the_places_of_stars() {
        let fill = |endpoint: &str, values: &[&str]| filled(endpoint, values.iter().map(ToString::to_string));
        assert_eq!(fill("https://h/a/*/b/*", &["1", "x/y z"]), "https://h/a/1/b/x%2Fy%20z");
        assert_eq!(fill("https://h/*/*", &["1"]), "https://h/1/*");
        assert_eq!(fill("https://h/*?q=*", &["1", "2"]), "https://h/1?q=*", "only those of the path");
        assert_eq!(fill("https://h", &["1"]), "https://h");
        let url = with_query("https://h/a".into(), [("a b", "c&d"), ("e", "")]);
        assert_eq!(url, "https://h/a?a%20b=c%26d&e=");
        assert_eq!(with_query("https://h/?x=1".into(), [("y", "2")]), "https://h/?x=1&y=2");
    }
}
