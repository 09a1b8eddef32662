//! The address by which a client reached this server: from the `Host` header, or from a reverse proxy's
//! headers.

use hyper::header::{self, HeaderMap, HeaderValue};

/// The headers of a request that identify its sender and the name it used. Each is the first of its name,
/// except [`Asked::hosts`].
#[derive(Debug, Default)]
pub struct Asked<'a> {
    /// The authority of the request's target: HTTP/2's `:authority`, or an absolute URL's.
    authority: Option<&'a str>,
    host: Option<&'a HeaderValue>,
    forwarded_host: Option<&'a str>,
    forwarded_proto: Option<&'a str>,
    forwarded_port: Option<&'a str>,
    /// RFC 7239; used if the `X-Forwarded-` headers are missing.
    forwarded: Option<&'a str>,
    /// The origin of the page that made the browser send the request.
    pub origin: Option<&'a HeaderValue>,
    /// The relation of that page's site to this server.
    pub fetch_site: Option<&'a HeaderValue>,
    /// The page's URL.
    pub referer: Option<&'a str>,
    /// The program that sent the request.
    pub user_agent: Option<&'a str>,
    /// Only browsers send the preferred languages.
    pub has_language: bool,
    /// Whether the request was signed, or names its operation, in headers: a page cannot do that without
    /// permission (CORS).
    pub is_from_program: bool,
}

impl<'a> Asked<'a> {
    /// Collects the headers in one pass, which is cheaper than a lookup for each.
    pub fn of(head: &'a http::request::Parts) -> Self {
        let mut asked =
            Asked { authority: head.uri.authority().map(http::uri::Authority::as_str), ..Asked::default() };
        for (name, value) in &head.headers {
            let place = match name.as_str() {
                "x-forwarded-host" => &mut asked.forwarded_host,
                "x-forwarded-proto" => &mut asked.forwarded_proto,
                "x-forwarded-port" => &mut asked.forwarded_port,
                "forwarded" => &mut asked.forwarded,
                "referer" => &mut asked.referer,
                "user-agent" => &mut asked.user_agent,
                "host" => {
                    asked.host = asked.host.or(Some(value));
                    continue;
                }
                "origin" => {
                    asked.origin = asked.origin.or(Some(value));
                    continue;
                }
                "sec-fetch-site" => {
                    asked.fetch_site = asked.fetch_site.or(Some(value));
                    continue;
                }
                "accept-language" => {
                    asked.has_language = true;
                    continue;
                }
                "authorization" | "x-amz-target" => {
                    asked.is_from_program = true;
                    continue;
                }
                _ => continue,
            };
            *place = place.or(value.to_str().ok());
        }
        asked
    }

    /// Returns every name that the request uses for this server, without a proxy's names. Bytes that are not
    /// text become a name that no server has.
    pub fn hosts(&self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let text = |value: &'a HeaderValue| value.to_str().unwrap_or("?");
        // Only a malicious client sends two of them.
        self.authority.into_iter().chain(headers.get_all(header::HOST).iter().map(text))
    }

    /// Returns the name that the client used for the proxy, according to the proxy.
    pub fn proxied_host(&self) -> Option<&str> {
        let host = self.forwarded_host.map(first).or_else(|| forwarded(self.forwarded?, "host"));
        host.filter(|host| !host.is_empty())
    }

    /// Returns the URL by which the client reached this server, or the proxy before it: `scheme://host` or
    /// `scheme://host:port`.
    pub fn url(&self) -> String {
        let proto = self.forwarded_proto.map(first).or_else(|| forwarded(self.forwarded?, "proto"));
        let is_https = proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
        let scheme = if is_https { "https" } else { "http" };
        let proxied = self.proxied_host();
        let host = proxied
            .or(self.authority)
            .or_else(|| self.host?.to_str().ok())
            .filter(|host| !host.is_empty())
            .unwrap_or("localhost");
        let Some(port) = self.forwarded_port.and_then(|port| first(port).parse::<u16>().ok()) else {
            return format!("{scheme}://{host}");
        };
        match split_port(host) {
            // The proxy sends the name together with the port.
            (_, Some(_)) if proxied.is_some() => format!("{scheme}://{host}"),
            (name, _) if port == default_port(is_https) => format!("{scheme}://{name}"),
            (name, _) => format!("{scheme}://{name}:{port}"),
        }
    }
}

/// Returns the header's first element: that of the proxy nearest to the client.
fn first(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}

/// Returns a parameter of the header `Forwarded` (RFC 7239), from its first element.
fn forwarded<'a>(header: &'a str, wanted: &str) -> Option<&'a str> {
    first(header).split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
    })
}

fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

/// Splits a host name, or an address with brackets if it is IPv6, from the port.
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Returns the origin of a URL, as browsers write it: in lower case, without the scheme's default port.
pub fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let scheme = scheme.to_ascii_lowercase();
    let authority = authority.to_ascii_lowercase();
    let own_port = match &*scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "\n",
    };
    Some(format!("{scheme}://{}", authority.strip_suffix(own_port).unwrap_or(&authority)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(headers: &[(&str, &str)]) -> String {
        let mut request = http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        Asked::of(&head).url()
    }

    #[test]
    fn urls_are_those_that_the_client_used() {
        let host = ("host", "127.0.0.1:4566");
        let (name, https) = (("x-forwarded-host", "sqs.example.com"), ("x-forwarded-proto", "https"));
        for (headers, wanted) in [
            (&[][..], "http://localhost"),
            (&[("host", "")], "http://localhost"),
            (&[host], "http://127.0.0.1:4566"),
            (&[("host", "[::1]:4566")], "http://[::1]:4566"),
            (&[host, https], "https://127.0.0.1:4566"),
            // nginx, with $host and $server_port.
            (&[host, name, https, ("x-forwarded-port", "443")], "https://sqs.example.com"),
            (&[host, name, https, ("x-forwarded-port", "8443")], "https://sqs.example.com:8443"),
            (
                &[host, name, ("x-forwarded-proto", "http"), ("x-forwarded-port", "80")],
                "http://sqs.example.com",
            ),
            (&[host, name, ("x-forwarded-port", "443")], "http://sqs.example.com:443"),
            // nginx, with $http_host, in a container whose port is published under another number.
            (
                &[host, ("x-forwarded-host", "sqs.example.com:8443"), https, ("x-forwarded-port", "443")],
                "https://sqs.example.com:8443",
            ),
            // Caddy.
            (&[("host", "sqs.example.com"), name, https], "https://sqs.example.com"),
            // AWS's load balancer does not change the host.
            (
                &[("host", "sqs.example.com:8443"), https, ("x-forwarded-port", "8443")],
                "https://sqs.example.com:8443",
            ),
            (&[("host", "sqs.example.com"), https, ("x-forwarded-port", "443")], "https://sqs.example.com"),
            // Two proxies in a row.
            (
                &[host, ("x-forwarded-host", "a.example, b.example"), ("x-forwarded-proto", "https, http")],
                "https://a.example",
            ),
            (
                &[host, ("forwarded", "for=1.2.3.4;host=\"a.example:8443\";proto=https, host=b.example")],
                "https://a.example:8443",
            ),
            (&[host, name, ("forwarded", "host=a.example")], "http://sqs.example.com"),
            (&[host, ("x-forwarded-port", "ninety")], "http://127.0.0.1:4566"),
            (&[host, ("x-forwarded-proto", "gopher")], "http://127.0.0.1:4566"),
        ] {
            assert_eq!(url(headers), wanted, "{headers:?}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_do() {
        for (url, origin) in [
            ("http://LocalHost:3000/page?x#y", Some("http://localhost:3000")),
            ("https://a.example:443", Some("https://a.example")),
            ("http://a.example:80/", Some("http://a.example")),
            ("http://a.example:443", Some("http://a.example:443")),
            ("moz-extension://b2f0/x", Some("moz-extension://b2f0")),
            ("null", None),
        ] {
            assert_eq!(origin_of(url).as_deref(), origin, "{url}");
        }
    }
}
