//! Access control by host name and web page: programs may use the server; a browser may use it for pages that
//! the operator lists.
//!
//! The server checks no credentials, so any web page that a developer opens could use it through
//! the browser. Therefore each request is checked twice. Its `Host` must be a name of this server: a page
//! whose own name was made to resolve to this server ("DNS rebinding") has our origin in the browser's eyes,
//! and only that name reveals it. And the page that the browser names (`Origin`, `Sec-Fetch-Site`) must be
//! ours, or one that the operator allows.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response};

use crate::address::{Asked, origin_of, split_port};

/// The accepted host names and origins.
#[derive(Clone, Debug)]
pub struct Door {
    hosts: Vec<HostPattern>,
    origins: Vec<OriginPattern>,
    /// Whether others may reach the server. If so, it accepts the short names of containers.
    is_public: bool,
}

/// A host pattern of `--allow-host`.
#[derive(Clone, PartialEq, Eq, Debug)]
enum HostPattern {
    Any,
    Exactly(String),
    /// A suffix of names, which begins with a dot.
    Below(String),
}

/// An origin pattern of `--allow-origin`.
#[derive(Clone, PartialEq, Eq, Debug)]
enum OriginPattern {
    Any,
    Exactly(String),
    /// Any port.
    AnyPort(String),
}

/// An accepted request.
#[derive(Debug)]
pub struct Visit {
    /// The URL that the client used, without a path.
    pub url: String,
    /// The CORS headers of the answer.
    pub allow_origin: Option<HeaderValue>,
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Turned {
    /// Its host name is not one of this server's.
    Host(String),
    /// A page of this origin made it.
    Origin(String),
    /// Another page made it, or the browser does not name the page.
    Page,
}

impl std::fmt::Display for Turned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Turned::Host(name) => write!(
                f,
                "The request was sent to the host \"{name}\", which is not a known name of this server. If it is one, start \
                 posthaste with --allow-host {name} (environment: POSTHASTE_ALLOW_HOST={name}), or with --public-url if \
                 clients reach it through a proxy under that name."
            ),
            Turned::Origin(origin) => write!(
                f,
                "The request comes from a web page of the origin \"{origin}\", which may not use this server. If the page \
                 is yours, start posthaste with --allow-origin {origin} (environment: POSTHASTE_ALLOW_ORIGIN={origin})."
            ),
            Turned::Page => f.write_str(
                "The request comes from a browser, and from a web page that may not use this server. If the page is yours, \
                 start posthaste with --allow-origin and the page's origin, such as --allow-origin http://localhost:3000. \
                 Programs such as curl and AWS's SDKs need no option.",
            ),
        }
    }
}

impl Door {
    /// Creates the check from the options. `public_url` is also a host name and an origin of this server.
    pub fn new(
        allow_hosts: &[String],
        allow_origins: &[String],
        public_url: Option<&str>,
        is_public: bool,
    ) -> Result<Door, String> {
        let mut hosts = allow_hosts.iter().map(|text| host_pattern(text)).collect::<Result<Vec<_>, _>>()?;
        let mut origins =
            allow_origins.iter().map(|text| origin_pattern(text)).collect::<Result<Vec<_>, _>>()?;
        if let Some(origin) = public_url.and_then(origin_of) {
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            hosts.push(HostPattern::Exactly(split_port(authority).0.to_owned()));
            origins.push(OriginPattern::Exactly(origin));
        }
        Ok(Door { hosts, origins, is_public })
    }

    /// Accepts or refuses a request by its head.
    pub fn judge(&self, head: &http::request::Parts) -> Result<Visit, Turned> {
        let asked = Asked::of(head);
        let unknown = asked.hosts(&head.headers).chain(asked.proxied_host()).find(|host| !self.is_ours(host));
        if let Some(host) = unknown {
            return Err(Turned::Host(shown(split_port(host).0)));
        }
        let url = asked.url();
        if let Some(origin) = asked.origin {
            let allow_origin = self.allowed(origin, &url);
            let name = || shown(&String::from_utf8_lossy(origin.as_bytes()));
            return match allow_origin {
                Some(allow_origin) => Ok(Visit { url, allow_origin: Some(allow_origin) }),
                None => Err(Turned::Origin(name())),
            };
        }
        if self.comes_from_a_page(&asked, head) && !self.is_page_allowed(&asked) && !is_link(head) {
            return Err(Turned::Page);
        }
        Ok(Visit { url, allow_origin: None })
    }

    /// Returns whether a host name, with or without a port, is one of this server's. A request without one is
    /// not from a browser.
    fn is_ours(&self, authority: &str) -> bool {
        let (name, port) = split_port(authority);
        if name.is_empty() {
            return authority.is_empty();
        }
        if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
            return false;
        }
        // No web site uses an address as its name, so nothing could be rebound.
        if let Some(address) = name.strip_prefix('[') {
            return address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')) {
            return self.hosts.contains(&HostPattern::Any);
        }
        if name.parse::<Ipv4Addr>().is_ok() {
            return true;
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let ends_with = |end: &str| {
            let start = name.len().checked_sub(end.len());
            start.is_some_and(|start| name.as_bytes()[start..].eq_ignore_ascii_case(end.as_bytes()))
        };
        // Browsers and resolvers know that these names are this machine (RFC 6761).
        if name.eq_ignore_ascii_case("localhost") || ends_with(".localhost") || is_name_of_aws(name) {
            return true;
        }
        // In a container's network the server has a name without a dot, or one that only such networks have.
        let is_short = !name.contains('.');
        let of_containers = || {
            [".docker.internal", ".containers.internal", ".svc", ".cluster.local"].into_iter().any(ends_with)
        };
        if self.is_public && (is_short || of_containers()) {
            return true;
        }
        self.hosts.iter().any(|pattern| match pattern {
            HostPattern::Any => true,
            HostPattern::Exactly(own) => name.eq_ignore_ascii_case(own),
            HostPattern::Below(end) => ends_with(end),
        })
    }

    /// Returns the CORS headers if a page of this origin may use the server. `url` is the URL that the client
    /// used.
    fn allowed(&self, origin: &HeaderValue, url: &str) -> Option<HeaderValue> {
        if self.origins.contains(&OriginPattern::Any) {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        let is_allowed =
            self.is_origin_allowed(text) || origin_of(url) == origin_of(text) && origin_of(text).is_some();
        is_allowed.then(|| origin.clone())
    }

    fn is_origin_allowed(&self, origin: &str) -> bool {
        self.origins.iter().any(|pattern| match pattern {
            OriginPattern::Any => true,
            OriginPattern::Exactly(own) => own.eq_ignore_ascii_case(origin),
            OriginPattern::AnyPort(own) => {
                let port = origin.get(..own.len()).filter(|start| start.eq_ignore_ascii_case(own));
                port.is_some_and(|_| matches!(&origin.as_bytes()[own.len()..], [] | [b':', ..]))
            }
        })
    }

    fn is_page_allowed(&self, asked: &Asked<'_>) -> bool {
        // A page can omit it, but cannot forge it.
        let page = asked.referer.and_then(origin_of);
        self.origins.contains(&OriginPattern::Any)
            || page.is_some_and(|origin| self.is_origin_allowed(&origin))
    }

    /// Returns whether a page may have made a request without an `Origin`.
    fn comes_from_a_page(&self, asked: &Asked<'_>, head: &http::request::Parts) -> bool {
        if let Some(site) = asked.fetch_site {
            return !matches!(site.as_bytes(), b"none" | b"same-origin");
        }
        // Browsers omit these headers if the server has neither TLS nor a name of this machine; old browsers
        // always omit them. Then only reading this server's own pages is harmless.
        let is_look = matches!(head.method, Method::GET | Method::HEAD) && head.uri.path().starts_with("/_");
        let is_browser =
            asked.has_language && asked.user_agent.is_some_and(|agent| agent.starts_with("Mozilla/"));
        is_browser && !asked.is_from_program && !is_look
    }
}

/// Shortens text of the client for an error message, and removes invisible characters.
fn shown(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(200).collect()
}

/// Returns whether the path is a link that people follow, for example from an e-mail, whose token authorises
/// the request; or the public certificate.
fn is_link(head: &http::request::Parts) -> bool {
    let is_get = matches!(head.method, Method::GET | Method::HEAD);
    let action = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
        .find(|(name, _)| name == "Action")
        .map(|(_, action)| action);
    let is_public = head.uri.path().starts_with("/SimpleNotificationService-");
    is_get
        && (is_public
            || action.is_some_and(|action| matches!(&*action, "ConfirmSubscription" | "Unsubscribe")))
}

/// Returns whether the name is an endpoint of AWS. A client that a proxy or `/etc/hosts` redirects here uses
/// these names, and only Amazon controls where else they lead.
fn is_name_of_aws(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    let Some(rest) = ends.iter().find_map(|end| name.strip_suffix(end)) else { return false };
    let (first, second) = rest.split_once('.').unwrap_or((rest, ""));
    if second.contains('.') {
        return false;
    }
    let service = first.strip_suffix("-fips").unwrap_or(first);
    let is_of_service = wire::generated::SERVICES.iter().any(|served| served.signing_name == service);
    first == "queue" || second == "queue" || is_of_service
}

fn host_pattern(text: &str) -> Result<HostPattern, String> {
    let text = text.trim().to_ascii_lowercase();
    let is_name = |name: &str| {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !name.is_empty() && name.bytes().all(is_of_name)
    };
    match text.strip_prefix('*') {
        Some("") => Ok(HostPattern::Any),
        Some(end) if end.starts_with('.') && is_name(end) => Ok(HostPattern::Below(end.to_owned())),
        None if is_name(&text) => Ok(HostPattern::Exactly(text)),
        _ => Err(format!(
            "--allow-host {text} is not valid: use a name without a port, such as queues.test, or *.queues.test, or *"
        )),
    }
}

fn origin_pattern(text: &str) -> Result<OriginPattern, String> {
    let text = text.trim();
    let wrong = || {
        format!(
            "--allow-origin {text}: say an origin, such as http://localhost:3000, or http://localhost:*, or null, or *"
        )
    };
    if text == "*" {
        return Ok(OriginPattern::Any);
    }
    if text == "null" {
        return Ok(OriginPattern::Exactly(text.to_owned()));
    }
    let text = text.strip_suffix('/').unwrap_or(text);
    let (start, any_port) = match text.strip_suffix(":*") {
        Some(start) => (start, true),
        None => (text, false),
    };
    let origin = origin_of(start).ok_or_else(wrong)?;
    let authority = start.split_once("://").map_or("", |(_, authority)| authority);
    let is_authority = !authority.is_empty()
        && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    match (is_authority, any_port) {
        (false, _) => Err(wrong()),
        (true, false) => Ok(OriginPattern::Exactly(origin)),
        (true, true) => Ok(OriginPattern::AnyPort(origin)),
    }
}

impl Visit {
    /// Adds headers by which the browser lets the page read the answer.
    pub fn allow(&self, headers: &mut HeaderMap) {
        const EXPOSED: &str = "x-amzn-requestid,x-amzn-query-error,x-amzn-errortype,date,content-length";
        let Some(origin) = &self.allow_origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }

    /// Answers a browser's CORS preflight.
    pub fn preflight(&self, asked: &HeaderMap) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        if self.allow_origin.is_none() {
            return response;
        }
        let headers = response.headers_mut();
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("HEAD,GET,PUT,POST,DELETE,OPTIONS,PATCH"),
        );
        let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(HeaderValue::from_static("*")));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("172800"));
        // Chrome requires it if the page is from outside and the server is on this machine.
        if asked.contains_key("access-control-request-private-network") {
            headers.insert("access-control-allow-private-network", HeaderValue::from_static("true"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(hosts: &[&str], origins: &[&str], public_url: Option<&str>, is_public: bool) -> Door {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Door::new(&owned(hosts), &owned(origins), public_url, is_public).unwrap()
    }

    fn ask(door: &Door, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Visit, Turned> {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        door.judge(&head)
    }

    #[test]
    fn names_of_ours_are_those_that_no_web_site_can_have() {
        let is_ours = |door: &Door, host: &str| ask(door, "POST", "/", &[("host", host)]).is_ok();
        let local = door(&[], &[], None, false);
        let public = door(&[], &[], None, true);
        for host in [
            "",
            "localhost",
            "localhost:4566",
            "LOCALHOST.:4566",
            "sqs.eu-west-1.localhost:4566",
            "127.0.0.1:4566",
            "127.8.9.10",
            "[::1]:4566",
            "[::1]",
            "192.168.1.7:4566",
            "sqs.us-east-1.amazonaws.com",
            "eu-north-1.queue.amazonaws.com",
            "queue.amazonaws.com",
            "sns.cn-north-1.amazonaws.com.cn",
            "events.us-east-1.amazonaws.com",
        ] {
            assert!(is_ours(&local, host) && is_ours(&public, host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:4566",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost.example",
            "localhost@evil.example",
            "evil.example#localhost",
            "[evil.example]",
            "localhost:80x",
            ":4566",
            "sqs.evil.s3.amazonaws.com",
            "evil.s3.amazonaws.com",
            "localhost.localstack.cloud",
        ] {
            assert!(!is_ours(&local, host) && !is_ours(&public, host), "{host}");
        }
        for host in
            ["posthaste:4566", "my_queue", "host.docker.internal", "posthaste.default.svc.cluster.local"]
        {
            assert!(!is_ours(&local, host) && is_ours(&public, host), "{host}");
        }
        let listed = door(&["queues.test", "*.dev.test"], &[], Some("https://sqs.example.com:8443/x"), false);
        for host in ["Queues.test:1", "a.dev.test", "sqs.example.com"] {
            assert!(is_ours(&listed, host), "{host}");
        }
        for host in ["a.queues.test", "dev.test", "example.com"] {
            assert!(!is_ours(&listed, host), "{host}");
        }
        assert!(is_ours(&door(&["*"], &[], None, false), "evil.example"));
    }

    #[test]
    fn a_proxy_s_name_and_a_second_host_are_looked_at_too() {
        let local = door(&[], &[], None, false);
        let turned = |headers: &[(&str, &str)]| ask(&local, "POST", "/", headers).unwrap_err();
        let host = ("host", "127.0.0.1:4566");
        assert_eq!(turned(&[host, ("host", "evil.example")]), Turned::Host("evil.example".into()));
        let proxied = [host, ("x-forwarded-host", "sqs.example.com, inner")];
        assert_eq!(turned(&proxied), Turned::Host("sqs.example.com".into()));
        let text = turned(&proxied).to_string();
        assert!(text.contains("--allow-host sqs.example.com") && text.contains("--public-url"), "{text}");
        let told = door(&[], &[], Some("https://sqs.example.com"), false);
        assert_eq!(ask(&told, "POST", "/", &proxied).unwrap().url, "http://sqs.example.com");
        let absolute = ask(&local, "GET", "http://evil.example/", &[host]);
        assert_eq!(absolute.unwrap_err(), Turned::Host("evil.example".into()));
    }

    #[test]
    fn pages_from_elsewhere_are_turned_away_unless_they_are_named() {
        let host = ("host", "localhost:4566");
        let local = door(&[], &[], None, false);
        for origin in [
            "https://evil.example",
            "http://localhost:3000",
            "http://localhost",
            "null",
            "",
            "https://localhost:4566",
        ] {
            for method in ["GET", "POST", "OPTIONS", "DELETE"] {
                let turned = ask(&local, method, "/", &[host, ("origin", origin)]).unwrap_err();
                assert_eq!(turned, Turned::Origin(origin.into()), "{method}");
            }
        }
        let own = ask(&local, "POST", "/", &[host, ("origin", "http://localhost:4566")]).unwrap();
        assert_eq!(own.allow_origin.unwrap(), "http://localhost:4566");
        let proxied = [
            host,
            ("x-forwarded-host", "sqs.example.com"),
            ("x-forwarded-proto", "https"),
            ("origin", "https://sqs.example.com"),
        ];
        assert!(ask(&door(&["sqs.example.com"], &[], None, false), "POST", "/", &proxied).is_ok());

        let named = door(&[], &["http://localhost:3000", "https://app.example:*", "null"], None, false);
        for origin in ["http://localhost:3000", "https://app.example", "https://app.example:8443", "null"] {
            let visit = ask(&named, "POST", "/", &[host, ("origin", origin)]).unwrap();
            assert_eq!(visit.allow_origin.unwrap(), origin);
        }
        for origin in [
            "http://localhost:30001",
            "http://localhost",
            "https://app.example.evil.example",
            "https://app.examples",
        ] {
            assert!(ask(&named, "POST", "/", &[host, ("origin", origin)]).is_err(), "{origin}");
        }
        let any =
            ask(&door(&[], &["*"], None, false), "POST", "/", &[host, ("origin", "https://evil.example")]);
        assert_eq!(any.unwrap().allow_origin.unwrap(), "*");
    }

    #[test]
    fn what_a_page_makes_a_browser_fetch_without_an_origin_is_known_too() {
        let purge = "/000000000000/q?Action=PurgeQueue";
        let (host, agent) = (("host", "localhost:4566"), ("user-agent", "Mozilla/5.0"));
        let lan = ("host", "192.168.1.7:4566");
        let language = ("accept-language", "en");
        let site = |site| ("sec-fetch-site", site);
        let local = door(&[], &[], None, false);
        for headers in [
            &[host, site("cross-site")][..],
            &[host, site("same-site")],
            &[host, site("something new")],
            // A browser that does not name the page.
            &[lan, agent, language],
        ] {
            for path in [purge, "/?Action=ListQueues"] {
                assert_eq!(ask(&local, "GET", path, headers).unwrap_err(), Turned::Page, "{headers:?}");
            }
            assert!(ask(&local, "POST", "/_posthaste/reset", headers).is_err());
            let token =
                "/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-east-1:000000000000:t&Token=0123";
            for link in [token, "/?Action=Unsubscribe&SubscriptionArn=a", "/SimpleNotificationService-1.pem"]
            {
                assert!(ask(&local, "GET", link, headers).is_ok(), "{headers:?}");
            }
            assert!(ask(&local, "POST", token, headers).is_err(), "a link is followed by GET");
        }
        for headers in [
            &[host][..],
            &[host, site("none"), agent, language],
            &[host, site("same-origin"), agent, language],
            &[lan, ("user-agent", "curl/8")],
            &[lan, ("user-agent", "Mozilla/5.0 WindowsPowerShell/5.1")],
            &[lan, agent, language, ("authorization", "AWS4-HMAC-SHA256 x")],
        ] {
            assert!(ask(&local, "GET", purge, headers).is_ok(), "{headers:?}");
        }
        assert!(ask(&local, "GET", "/_posthaste/health", &[lan, agent, language]).is_ok());
        let named = door(&[], &["http://localhost:3000"], None, false);
        let from = |page| ask(&named, "GET", purge, &[host, site("same-site"), ("referer", page)]);
        assert!(from("http://localhost:3000/queues").is_ok());
        assert!(from("http://localhost:3001/queues").is_err());
    }

    #[test]
    fn what_cannot_be_a_name_or_an_origin_is_said() {
        for host in ["", "http://x", "x:1", "*x", "a b", "**"] {
            assert!(host_pattern(host).is_err(), "{host}");
        }
        for origin in ["", "localhost", "http://", "http://*", "http://a/b", "http://a:*:*"] {
            assert!(origin_pattern(origin).is_err(), "{origin}");
        }
    }
}
