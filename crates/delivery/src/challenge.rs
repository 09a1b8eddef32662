//! Authentication for receivers that require a name and a password: HTTP's schemes Basic and Digest (RFC
//! 7617, 7616, 2617).

use base64::Engine as _;
use md5::Md5;
use sha2::{Digest, Sha256};

/// A name and a password.
pub(crate) struct User {
    pub name: String,
    pub password: String,
}

/// The other data on which the answer to a challenge depends.
pub(crate) struct Asked<'a> {
    pub method: &'a str,
    /// Path and query, as in the request line.
    pub target: &'a str,
    /// The client's nonce, different every time.
    pub nonce: &'a str,
}

/// Returns the `Authorization` header for the best challenge; `None` if no challenge is supported.
pub(crate) fn answer<'a>(
    challenges: impl Iterator<Item = &'a str>,
    user: &User,
    asked: &Asked<'_>,
) -> Option<String> {
    let challenges: Vec<Challenge> = challenges.flat_map(parse).collect();
    let digest = challenges.iter().filter(|challenge| challenge.scheme.eq_ignore_ascii_case("digest"));
    // Receivers list the preferred challenge first.
    if let Some(text) = digest.filter_map(|challenge| digest_of(challenge, user, asked)).next() {
        return Some(text);
    }
    challenges.iter().find(|challenge| challenge.scheme.eq_ignore_ascii_case("basic"))?;
    let pair = format!("{}:{}", user.name, user.password);
    Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

fn digest_of(challenge: &Challenge, user: &User, asked: &Asked<'_>) -> Option<String> {
    let algorithm = challenge.get("algorithm").unwrap_or("MD5");
    let (hash, session): (fn(&str) -> String, bool) = match algorithm.to_ascii_lowercase().as_str() {
        "md5" => (hex_of::<Md5>, false),
        "md5-sess" => (hex_of::<Md5>, true),
        "sha-256" => (hex_of::<Sha256>, false),
        "sha-256-sess" => (hex_of::<Sha256>, true),
        _ => return None,
    };
    let realm = challenge.get("realm").unwrap_or_default();
    let nonce = challenge.get("nonce")?;
    let Asked { method, target, nonce: ours } = asked;
    let mut secret = hash(&format!("{}:{realm}:{}", user.name, user.password));
    if session {
        secret = hash(&format!("{secret}:{nonce}:{ours}"));
    }
    let request = hash(&format!("{method}:{target}"));
    let mut text = format!(
        "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{target}\", algorithm={algorithm}",
        escaped(&user.name),
        escaped(realm),
        escaped(nonce)
    );
    let response = match challenge.get("qop") {
        None => hash(&format!("{secret}:{nonce}:{request}")),
        Some(offered) => {
            offered.split(',').find(|quality| quality.trim().eq_ignore_ascii_case("auth"))?;
            text.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{ours}\""));
            hash(&format!("{secret}:{nonce}:00000001:{ours}:auth:{request}"))
        }
    };
    text.push_str(&format!(", response=\"{response}\""));
    if let Some(opaque) = challenge.get("opaque") {
        text.push_str(&format!(", opaque=\"{}\"", escaped(opaque)));
    }
    Some(text)
}

fn hex_of<D: Digest>(text: &str) -> String {
    hex::encode(D::digest(text))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// One challenge of a `WWW-Authenticate` header.
struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn get(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        parameters.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Parses the challenges of one header. Commas separate challenges as well as their parameters, so a word
/// without `=` begins the next challenge.
fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        match after.strip_prefix('=') {
            Some(value) => {
                let (value, after) = read_value(value.trim_start_matches([' ', '\t']));
                if let Some(challenge) = challenges.last_mut() {
                    challenge.parameters.push((word.to_owned(), value));
                }
                rest = after;
            }
            None => {
                if !word.is_empty() {
                    challenges.push(Challenge { scheme: word.to_owned(), parameters: Vec::new() });
                }
                rest = after;
            }
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    challenges
}

/// Parses a word, or a quoted text. Returns it and the rest.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[place + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_header_is_too_odd(header in "((Basic|Digest|realm|nonce|qop|auth|=|,|\"|\\\\| |é){0,30})|.*") {
            let user = user("a", "b");
            let _ = answer([header.as_str()].into_iter(), &user, &Asked { method: "POST", target: "/", nonce: "n" });
        }
    }

    fn user(name: &str, password: &str) -> User {
        User { name: name.into(), password: password.into() }
    }

    #[test]
    fn basic_is_answered_as_in_rfc_7617() {
        let asked = Asked { method: "POST", target: "/", nonce: "n" };
        let text =
            answer(["Basic realm=\"WallyWorld\""].into_iter(), &user("Aladdin", "open sesame"), &asked);
        assert_eq!(text.unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn digest_is_answered_as_in_rfc_2617() {
        let header = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                      nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let asked = Asked { method: "GET", target: "/dir/index.html", nonce: "0a4f113b" };
        let text = answer([header].into_iter(), &user("Mufasa", "Circle Of Life"), &asked).unwrap();
        assert!(text.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{text}");
        assert!(text.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""), "{text}");
    }

    #[test]
    fn digest_with_sha_256_is_preferred_and_answered_as_in_rfc_7616() {
        let headers = [
            "Basic realm=\"x\", Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
            "Digest realm=\"http-auth@example.org\", qop=\"auth\", algorithm=MD5, nonce=\"other\"",
        ];
        let asked = Asked {
            method: "GET",
            target: "/dir/index.html",
            nonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        };
        let text = answer(headers.into_iter(), &user("Mufasa", "Circle of Life"), &asked).unwrap();
        assert!(
            text.contains("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""),
            "{text}"
        );
    }

    #[test]
    fn what_cannot_be_answered_is_not() {
        let asked = Asked { method: "POST", target: "/", nonce: "n" };
        let user = user("a", "b");
        for header in [
            "",
            ",",
            "=",
            "Negotiate",
            "Bearer realm=\"x\"",
            "Digest",
            "Digest realm=\"x\"",
            "Digest nonce=\"x\", qop=\"auth-int\"",
            "Digest nonce=\"x\", algorithm=SHA-512-256",
            "realm=\"Basic\"",
        ] {
            assert_eq!(answer([header].into_iter(), &user, &asked), None, "{header}");
        }
        // A truncated header is still parsed.
        assert!(answer(["Digest nonce=\"x"].into_iter(), &user, &asked).is_some());
        assert!(answer(["Digest nonce=\"x\\"].into_iter(), &user, &asked).is_some());
    }
}
