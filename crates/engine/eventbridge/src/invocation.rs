//! The request that an API destination gets (facts/eventbridge.md § 8).

use api::Text;
use api::eventbridge::HttpParameters;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::records::{ConnectionDeclared, DestinationDeclared};
use crate::rules::credentials::{Credentials, OAuth, Parameter, Parameters};
use crate::rules::endpoints::{encoded, filled, with_query};
use json_text::path::Path;
use json_text::{Parts, compact, is_name, quote};
use kernel::Asking;
use kernel::request::{Rate, Request, TokenRequest};
use resources::Declared as _;

/// What is known of an API destination and its connection when a request is to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invocation {
    endpoint: String,
    method: String,
    rate: Option<Rate>,
    /// The number of the connection, and of its credentials.
    connection: (u64, u64),
    credentials: Credentials,
    parameters: Option<Parameters>,
}

/// What AWS adds to each request, in this order (facts/eventbridge.md § 8). Nobody can change it.
const FIXED: [(&str, &str); 4] = [
    ("User-Agent", "Amazon/EventBridge/ApiDestinations"),
    ("Range", "bytes=0-1048575"),
    ("Accept-Encoding", "gzip,deflate"),
    ("Connection", "close"),
];

/// Headers that belong to the connection or to its protocol, so that parameters cannot set them. AWS removes such headers, too.
const REMOVED: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

const CONTENT_TYPE: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");

impl Invocation {
    /// How requests to a destination are made; none if its connection has no credentials.
    pub(crate) fn of(destination: &DestinationDeclared, connection: &ConnectionDeclared) -> Option<Self> {
        let rate = Rate { key: destination.id.0, per_second: destination.rate.max(1) };
        let invocation = Invocation::through(connection, &destination.method, &destination.endpoint)?;
        Some(Invocation { rate: Some(rate), ..invocation })
    }

    /// How requests to a URL are made with a connection; none if it has no credentials.
    pub(crate) fn through(connection: &ConnectionDeclared, method: &str, url: &str) -> Option<Self> {
        Some(Invocation {
            endpoint: url.to_owned(),
            method: method.to_owned(),
            rate: None,
            connection: (connection.id(), connection.version),
            credentials: connection.credentials.clone()?,
            parameters: connection.parameters.clone(),
        })
    }

    /// The request for an event. `target` are the `HttpParameters` of the target; `event` is JSON without blanks.
    pub fn request(&self, target: Option<&HttpParameters>, event: &str, input: &str) -> Request {
        let none = HttpParameters::default();
        let target = target.unwrap_or(&none);
        let of_event = |text: &Text| value(text, event);
        let named = |map: &Option<api::Map<Text>>| -> Vec<(String, String)> {
            let pairs = map.iter().flat_map(|map| &map.0);
            pairs.map(|(name, text)| (name.to_string(), of_event(text))).collect()
        };
        self.request_of(Given {
            path: target.path_parameter_values.iter().flatten().map(of_event).collect(),
            query: named(&target.query_string_parameters),
            headers: named(&target.header_parameters),
            fixed: fixed().collect(),
            body: input,
        })
    }

    /// The request for another service.
    pub(crate) fn request_for(&self, asking: &Asking<'_>) -> Request {
        self.request_of(Given {
            path: asking.path.to_vec(),
            query: asking.query.to_vec(),
            headers: asking.headers.to_vec(),
            // Whoever wants to read the answer wants it as it is.
            fixed: match asking.fixed {
                [] => fixed().filter(|(name, _)| *name != "Accept-Encoding").collect(),
                fixed => fixed.to_vec(),
            },
            body: asking.body,
        })
    }

    /// Where what is given and the connection name the same parameter, the connection's counts (AWS's documentation of HttpParameters).
    fn request_of(&self, given: Given<'_>) -> Request {
        let added = self.parameters.as_ref();
        let list = |list: Option<&Vec<Parameter>>| -> Vec<(String, String)> {
            let all = list.into_iter().flatten();
            all.map(|parameter| (parameter.name.clone(), parameter.value.0.clone())).collect()
        };
        let Given { path, mut query, mut headers, fixed, body } = given;
        put_all(&mut query, list(added.and_then(|added| added.query.as_ref())), |a, b| a == b);
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        put_all(&mut headers, list(added.and_then(|added| added.headers.as_ref())), same);
        put_all(&mut headers, self.authorization().into_iter().collect(), same);
        headers.retain(|(name, _)| !REMOVED.contains(&&*name.to_ascii_lowercase()));
        if !headers.iter().any(|(name, _)| same(name, CONTENT_TYPE.0)) {
            headers.push((CONTENT_TYPE.0.into(), CONTENT_TYPE.1.into()));
        }
        headers.extend(fixed.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let query = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Request {
            method: self.method.clone(),
            url: with_query(filled(&self.endpoint, path), query),
            headers,
            body: with_members(body, added.and_then(|added| added.body.as_deref()).unwrap_or_default()),
            token: self.token(),
            rate: self.rate,
        }
    }

    /// The header that authorizes a request, unless a token does.
    fn authorization(&self) -> Option<(String, String)> {
        match &self.credentials {
            Credentials::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{}", password.0));
                Some(("Authorization".into(), format!("Basic {pair}")))
            }
            Credentials::ApiKey { name, value } => Some((name.trim().to_owned(), value.0.clone())),
            Credentials::OAuth(_) => None,
        }
    }

    /// How its token is fetched, if it needs one.
    pub fn token(&self) -> Option<TokenRequest> {
        match &self.credentials {
            Credentials::OAuth(oauth) => Some(token_request(oauth, self.connection)),
            Credentials::Basic { .. } | Credentials::ApiKey { .. } => None,
        }
    }
}

fn fixed() -> impl Iterator<Item = (&'static str, String)> {
    FIXED.iter().map(|&(name, value)| (name, value.to_owned()))
}

/// What a request says besides what the connection adds.
struct Given<'g> {
    path: Vec<String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    fixed: Vec<(&'static str, String)>,
    body: &'g str,
}

/// The grant of RFC 6749 § 4.4, with the client's id and secret among the parameters (§ 2.3.1). Where AWS puts them exactly is not
/// known. `OAuthHttpParameters` are added, and take the place of what is named so.
pub(crate) fn token_request(oauth: &OAuth, (connection, version): (u64, u64)) -> TokenRequest {
    let none = Parameters::default();
    let added = oauth.parameters.as_ref().unwrap_or(&none);
    let list = |list: &Option<Vec<Parameter>>| -> Vec<(String, String)> {
        let all = list.iter().flatten();
        all.map(|parameter| (parameter.name.clone(), parameter.value.0.clone())).collect()
    };
    let mut form = vec![
        ("grant_type".to_owned(), "client_credentials".to_owned()),
        ("client_id".to_owned(), oauth.client.clone()),
        ("client_secret".to_owned(), oauth.secret.0.clone()),
    ];
    put_all(&mut form, list(&added.body), |a, b| a == b);
    let mut headers = list(&added.headers);
    headers.retain(|(name, _)| !REMOVED.contains(&&*name.to_ascii_lowercase()));
    let query = list(&added.query);
    let mut url = oauth.endpoint.clone();
    let mut body = String::new();
    if oauth.method == "GET" {
        url = with_query(url, form.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    } else {
        let pair = |(name, value): &(String, String)| format!("{}={}", encoded(name), encoded(value));
        body = form.iter().map(pair).collect::<Vec<_>>().join("&");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("Content-Type".into(), "application/x-www-form-urlencoded".into()));
        }
    }
    let url = with_query(url, query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    headers.push(("Accept".into(), "application/json".into()));
    headers.extend(
        FIXED
            .iter()
            .filter(|(name, _)| matches!(*name, "User-Agent" | "Connection"))
            .map(|&(name, value)| (name.to_owned(), value.to_owned())),
    );
    TokenRequest { connection, version, method: oauth.method.clone(), url, headers, body }
}

/// The value of a parameter: what a path leads to in the event, or the text itself. A text is without quotes, what is not there is empty.
pub(crate) fn value(text: &str, event: &str) -> String {
    let Some(path) = Path::parse(text) else { return text.to_owned() };
    let found = path.find(event).unwrap_or_default();
    serde_json::from_str::<String>(&found).unwrap_or_else(|_| found.into_owned())
}

/// Adds pairs, in the places of those of the same name.
fn put_all(to: &mut Vec<(String, String)>, pairs: Vec<(String, String)>, same: impl Fn(&str, &str) -> bool) {
    for (name, value) in pairs {
        to.retain(|(known, _)| !same(known, &name));
        to.push((name, value));
    }
}

/// A JSON object with more members, in the places of those of the same name; anything else as it is.
fn with_members(json: &str, members: &[Parameter]) -> String {
    if members.is_empty() || !json.trim_start().starts_with('{') {
        return json.to_owned();
    }
    let json = compact(json);
    let stays = |name: &str| !members.iter().any(|member| is_name(name, &member.name));
    let mut all: Vec<String> = Parts::of(&json)
        .filter(|(name, _)| stays(name))
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    for member in members {
        let mut text = String::new();
        quote(&mut text, &member.name);
        text.push(':');
        quote(&mut text, &member.value.0);
        all.push(text);
    }
    format!("{{{}}}", all.join(","))
}

#[cfg(test)]
mod tests {
    use kernel::Time;

    use super::*;
    use crate::records::ConnectionState;
    use crate::rules::credentials::Hidden;
    use crate::{ConnectionId, DestinationId, ResourceKey};

    const EVENT: &str = r#"{"id":"i","detail":{"order":"a/b","n":5,"deep":{"x":[1,"2"]}}}"#;

    fn key() -> ResourceKey {
        ResourceKey { account: "1".into(), region: "r".into(), name: "n".into() }
    }

    fn invocation(credentials: Credentials, parameters: Option<Parameters>) -> Invocation {
        let destination = DestinationDeclared {
            id: DestinationId(1),
            key: key(),
            unique: "u".into(),
            description: None,
            connection: "c".into(),
            endpoint: "https://example.com/*/items?a=1".into(),
            method: "PUT".into(),
            rate: 300,
            created: Time(0),
            modified: Time(0),
        };
        let connection = ConnectionDeclared {
            id: ConnectionId(2),
            version: 3,
            key: key(),
            unique: "u".into(),
            secret: "s".into(),
            description: None,
            kms_key: None,
            scheme: credentials.scheme(),
            credentials: Some(credentials),
            parameters,
            state: ConnectionState::Authorized,
            reason: None,
            created: Time(0),
            modified: Time(0),
            authorized: None,
        };
        Invocation::of(&destination, &connection).unwrap()
    }

    fn basic() -> Credentials {
        Credentials::Basic { user: "u".into(), password: Hidden("p".into()) }
    }

    fn parameters(name: &str, value: &str) -> Option<Vec<Parameter>> {
        Some(vec![Parameter { name: name.into(), value: Hidden(value.into()), is_secret: true }])
    }

    fn map(pairs: &[(&str, &str)]) -> Option<api::Map<Text>> {
        Some(api::Map(pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()))
    }

    #[test]
    fn a_request_is_as_aws_makes_it() {
        // facts/eventbridge.md § 8
        let request = invocation(basic(), None).request(None, EVENT, "[1]");
        assert_eq!((&*request.method, &*request.url), ("PUT", "https://example.com/*/items?a=1"));
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            headers,
            [
                ("Authorization", "Basic dTpw"),
                ("Content-Type", "application/json; charset=utf-8"),
                ("User-Agent", "Amazon/EventBridge/ApiDestinations"),
                ("Range", "bytes=0-1048575"),
                ("Accept-Encoding", "gzip,deflate"),
                ("Connection", "close"),
            ]
        );
        assert_eq!(request.body, "[1]");
        assert!(request.token.is_none());
    }

    #[test]
    fn parameters_come_from_the_target_and_the_connection_whose_values_count() {
        let of_connection = Parameters {
            headers: parameters("x-both", "connection"),
            query: parameters("both", "c d"),
            body: parameters("added", "say \"hi\""),
        };
        let target = HttpParameters {
            path_parameter_values: Some(vec!["$.detail.order".into()]),
            header_parameters: map(&[
                ("X-Both", "target"),
                ("x-n", "$.detail.n"),
                ("content-type", "text/plain"),
                ("Host", "elsewhere"),
                ("x-none", "$.detail.missing"),
            ]),
            query_string_parameters: map(&[("both", "t"), ("deep", "$.detail.deep")]),
        };
        let key = Credentials::ApiKey { name: "x-key".into(), value: Hidden("k".into()) };
        let invocation = invocation(key, Some(of_connection));
        let request = invocation.request(Some(&target), EVENT, r#"{ "a": 1.50, "added": 2 }"#);
        assert_eq!(
            request.url,
            "https://example.com/a%2Fb/items?a=1&deep=%7B%22x%22%3A%5B1%2C%222%22%5D%7D&both=c%20d"
        );
        let header = |name: &str| {
            let values: Vec<&str> = request
                .headers
                .iter()
                .filter(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.as_str())
                .collect();
            values.join("|")
        };
        assert_eq!(header("x-both"), "connection");
        assert_eq!((&*header("x-n"), &*header("x-none"), &*header("x-key")), ("5", "", "k"));
        assert_eq!((&*header("content-type"), &*header("host")), ("text/plain", ""));
        assert_eq!(request.body, r#"{"a":1.50,"added":"say \"hi\""}"#);
        assert_eq!(invocation.request(Some(&target), EVENT, "\"text\"").body, "\"text\"");
    }

    #[test]
    fn a_token_is_asked_for_with_the_client_s_credentials() {
        let oauth = |method: &str| OAuth {
            client: "id".into(),
            secret: Hidden("se&cret".into()),
            endpoint: "https://auth.example.com/token".into(),
            method: method.into(),
            parameters: Some(Parameters {
                headers: parameters("x-h", "1"),
                query: parameters("q", "2"),
                body: parameters("scope", "a b"),
            }),
        };
        let form = "grant_type=client_credentials&client_id=id&client_secret=se%26cret&scope=a%20b";
        let post = invocation(Credentials::OAuth(Box::new(oauth("POST"))), None);
        let request = post.request(None, EVENT, "{}");
        assert!(request.headers.iter().all(|(name, _)| name != "Authorization"));
        let token = request.token.unwrap();
        assert_eq!((token.connection, token.version), (2, 3));
        assert_eq!((&*token.url, &*token.body), ("https://auth.example.com/token?q=2", form));
        assert!(token.headers.contains(&("x-h".into(), "1".into())));
        let get = invocation(Credentials::OAuth(Box::new(oauth("GET"))), None).token().unwrap();
        assert_eq!((get.url, &*get.body), (format!("https://auth.example.com/token?{form}&q=2"), ""));
    }
}
