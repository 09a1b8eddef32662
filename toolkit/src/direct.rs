//! The three calls that are nearly all of a queue's traffic, past the SDK's machinery: it is asked once how it would send, and this
//! sends the like. Whatever is not a plain success is asked again through the SDK, which knows about errors.
//!
//! The SDK builds each call of dozens of plug-ins, which costs several times what the call itself does: the measurements stand in
//! `docs/patterns/speed.md`. Endpoint, signing region, HTTP client (with its connections, TLS and proxies) and
//! credentials (with their cache and refresh) are the SDK's own; retries are the callers', who have them anyway.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::http::HttpRequest;
use aws_sdk_sqs::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{ConfigBag, Credentials, HttpClient, Intercept, RuntimeComponents};
use aws_sdk_sqs::error::BoxError;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::ResolveCachedIdentity;
use aws_smithy_runtime_api::client::runtime_components::GetIdentityResolver;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::fault::Fault;

/// After a call that did not succeed all go through the SDK for so long: a queue that is gone, or a clock that is wrong, is not
/// asked twice each time.
const REST: Duration = Duration::from_secs(5);
/// The SDK's cache is asked for credentials so often; it renews them in time.
const CREDENTIALS_FOR: Duration = Duration::from_secs(1);

/// Calls of one SQS client.
#[derive(Debug)]
pub(crate) struct Direct {
    sqs: Client,
    /// `None` inside: the SDK does something here that this does not know, such as another kind of signature.
    route: OnceCell<Option<Route>>,
    rests_until: Mutex<Option<Instant>>,
}

/// What there is to know about sending.
struct Route {
    uri: String,
    path: String,
    host: String,
    region: String,
    service: String,
    user_agent: String,
    connector: SharedHttpConnector,
    components: RuntimeComponents,
    key: Mutex<Option<Key>>,
}

/// What signs for a day, or until the credentials change.
#[derive(Clone)]
struct Key {
    access_key: String,
    secret: String,
    token: Option<String>,
    date: String,
    signing_key: Arc<[u8]>,
    asked: Instant,
}

impl Direct {
    pub fn new(sqs: &Client) -> Arc<Direct> {
        Arc::new(Direct { sqs: sqs.clone(), route: OnceCell::new(), rests_until: Mutex::default() })
    }

    /// The answer to a call of this name, such as `ReceiveMessage`, whose input is about so many bytes long. `None`: ask the SDK.
    pub async fn call<R: DeserializeOwned>(
        &self,
        operation: &str,
        (input, bytes): (&impl Serialize, usize),
        patience: Duration,
    ) -> Option<R> {
        let rests_until = || self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        if rests_until().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let route = self.route.get_or_init(|| Route::learn(&self.sqs)).await.as_ref()?;
        // Growing bit by bit would copy a large batch several times.
        let mut body = Vec::with_capacity(bytes);
        serde_json::to_writer(&mut body, input).ok()?;
        let asked = tokio::time::timeout(patience, route.ask(operation, body));
        let answer =
            asked.await.ok().flatten().and_then(|answer| serde_json::from_slice(answer.as_ref()).ok());
        if answer.is_none() {
            tracing::debug!(operation, "no plain success: the SDK asks again");
            *rests_until() = Some(Instant::now() + REST);
        }
        answer
    }
}

impl Route {
    /// Has the SDK prepare a call, and stops it before it leaves.
    async fn learn(sqs: &Client) -> Option<Route> {
        let heard = Arc::new(Mutex::new(None));
        let call = sqs.receive_message().queue_url("none").customize();
        let _stopped = call.interceptor(Listen(heard.clone())).send().await;
        heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn of(request: &HttpRequest, components: &RuntimeComponents, cfg: &ConfigBag) -> Option<Route> {
        let headers = request.headers();
        // AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/sqs/aws4_request, SignedHeaders=…
        let credential = headers.get("authorization")?.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
        let mut scope = credential.split(',').next()?.rsplit('/');
        let (end, service, region) = (scope.next()?, scope.next()?, scope.next()?);
        if end != "aws4_request" || headers.get("x-amz-target")? != "AmazonSQS.ReceiveMessage" {
            return None;
        }
        let uri = request.uri();
        let (scheme, rest) = uri.split_once("://")?;
        let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        if !path.chars().all(plain) || path.contains("/.") || path.contains("//") || host.contains('@') {
            // Its canonical form would be another text.
            return None;
        }
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let timeouts = cfg.load::<TimeoutConfig>();
        let mut settings = HttpConnectorSettings::builder();
        settings.set_connect_timeout(timeouts.and_then(TimeoutConfig::connect_timeout));
        settings.set_read_timeout(timeouts.and_then(TimeoutConfig::read_timeout));
        Some(Route {
            uri: uri.to_owned(),
            path: path.to_owned(),
            host: host.strip_suffix(default_port).unwrap_or(host).to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            user_agent: headers.get("user-agent").unwrap_or_default().to_owned(),
            connector: components.http_client()?.http_connector(&settings.build(), components),
            components: components.clone(),
            key: Mutex::default(),
        })
    }

    /// The body of an answer that says 200.
    async fn ask(&self, operation: &str, body: Vec<u8>) -> Option<impl AsRef<[u8]> + use<>> {
        let now = self.components.time_source().map_or_else(SystemTime::now, |source| source.now());
        let key = self.key(now).await?;
        let request = self.request(operation, body, &key, now)?;
        let answer = self.connector.call(request).await.ok()?;
        if answer.status().as_u16() != 200 {
            // They may have been withdrawn.
            *self.key.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return None;
        }
        Some(ByteStream::new(answer.into_body()).collect().await.ok()?.into_bytes())
    }

    fn request(&self, operation: &str, body: Vec<u8>, key: &Key, now: SystemTime) -> Option<HttpRequest> {
        let time = jiff::Timestamp::try_from(now).ok()?.strftime("%Y%m%dT%H%M%SZ").to_string();
        let target = format!("AmazonSQS.{operation}");
        let authorization = self.authorization(&target, &body, key, &time);
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").ok()?;
        request.set_uri(self.uri.as_str()).ok()?;
        let headers = request.headers_mut();
        headers.try_insert("content-type", CONTENT_TYPE).ok()?;
        headers.try_insert("x-amz-date", time).ok()?;
        headers.try_insert("x-amz-target", target).ok()?;
        headers.try_insert("x-amzn-query-mode", "true").ok()?;
        headers.try_insert("user-agent", self.user_agent.clone()).ok()?;
        headers.try_insert("authorization", authorization).ok()?;
        if let Some(token) = &key.token {
            headers.try_insert("x-amz-security-token", token.clone()).ok()?;
        }
        Some(request)
    }

    /// Signature Version 4, for the one form of request that there is here.
    fn authorization(&self, target: &str, body: &[u8], key: &Key, time: &str) -> String {
        let Route { path, host, region, service, .. } = self;
        let (token_header, token_name) = match &key.token {
            Some(token) => (format!("x-amz-security-token:{token}\n"), "x-amz-security-token;"),
            None => (String::new(), ""),
        };
        let signed = format!("content-type;host;x-amz-date;{token_name}x-amz-target;x-amzn-query-mode");
        let canonical = format!(
            "POST\n{path}\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:{time}\n{token_header}\
             x-amz-target:{target}\nx-amzn-query-mode:true\n\n{signed}\n{}",
            hex(&Sha256::digest(body))
        );
        let scope = format!("{}/{region}/{service}/aws4_request", key.date);
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
        let signature = calculate_signature(&key.signing_key, to_sign.as_bytes());
        let id = &key.access_key;
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}")
    }

    /// What to sign with now.
    async fn key(&self, now: SystemTime) -> Option<Key> {
        let date = jiff::Timestamp::try_from(now).ok()?.strftime("%Y%m%d").to_string();
        let kept = || self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept().clone();
        let today = last.filter(|key| key.date == date);
        if let Some(key) = &today
            && key.asked.elapsed() < CREDENTIALS_FOR
        {
            return today;
        }
        let resolver = self.components.identity_resolver(AuthSchemeId::new("sigv4"))?;
        let (cache, config) = (self.components.identity_cache(), ConfigBag::base());
        let identity = cache.resolve_cached_identity(resolver, &self.components, &config).await.ok()?;
        let credentials = identity.data::<Credentials>()?;
        let same = today.filter(|key| {
            key.access_key == credentials.access_key_id()
                && key.secret == credentials.secret_access_key()
                && key.token.as_deref() == credentials.session_token()
        });
        let key = same.map(|key| Key { asked: Instant::now(), ..key }).unwrap_or_else(|| {
            let secret = credentials.secret_access_key();
            Key {
                access_key: credentials.access_key_id().to_owned(),
                secret: secret.to_owned(),
                token: credentials.session_token().map(str::to_owned),
                signing_key: generate_signing_key(secret, now, &self.region, &self.service).as_ref().into(),
                date,
                asked: Instant::now(),
            }
        });
        *kept() = Some(key.clone());
        Some(key)
    }
}

/// The answer to a batch, whichever.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BatchAnswer {
    pub successful: Option<Vec<Succeeded>>,
    failed: Option<Vec<Failed>>,
}

/// An entry that was taken. Ids and receipts are there for messages that were sent.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(crate) struct Succeeded {
    pub id: String,
    pub message_id: String,
    pub sequence_number: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    id: String,
    code: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    sender_fault: bool,
}

impl BatchAnswer {
    /// Notes which failed, by their places.
    pub fn failures<R>(&self, results: &mut [Result<R, Fault>]) {
        for Failed { id, code, message, sender_fault } in self.failed.iter().flatten() {
            if let Some(place) = id.parse().ok().and_then(|number: usize| results.get_mut(number)) {
                *place = Err(Fault::of_entry(code, message.as_deref(), *sender_fault));
            }
        }
    }
}

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

impl fmt::Debug for Route {
    // Without what signs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("uri", &self.uri).field("region", &self.region).finish_non_exhaustive()
    }
}

/// Hears what the SDK is about to send, and stops it.
#[derive(Debug)]
struct Listen(Arc<Mutex<Option<Route>>>);

impl Intercept for Listen {
    fn name(&self) -> &'static str {
        "Listen"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Route::of(context.request(), components, cfg);
        Err("heard enough".into())
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use aws_sdk_sqs::config::{BehaviorVersion, Region};
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};

    fn client(token: Option<&str>, endpoint: Option<&str>) -> Client {
        let token = token.map(str::to_owned);
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(Credentials::new("AKID", "secret", token, None, "tests"));
        Client::from_conf(match endpoint {
            Some(endpoint) => config.endpoint_url(endpoint).build(),
            None => config.build(),
        })
    }

    #[tokio::test]
    async fn what_is_sent_is_signed_as_the_sdk_signs_and_goes_where_the_sdk_goes() {
        let places = [
            (None, "https://sqs.eu-west-1.amazonaws.com/", "sqs.eu-west-1.amazonaws.com"),
            (Some("http://127.0.0.1:4566"), "http://127.0.0.1:4566/", "127.0.0.1:4566"),
            (Some("http://localhost:80/sqs"), "http://localhost:80/sqs/", "localhost"),
        ];
        let tokens = [None, Some("to/ken==")];
        for (token, (endpoint, uri, host)) in tokens.map(|token| places.map(|place| (token, place))).concat()
        {
            let route = Route::learn(&client(token, endpoint)).await.unwrap();
            assert_eq!((route.uri.as_str(), route.host.as_str()), (uri, host));
            assert_eq!((route.region.as_str(), route.service.as_str()), ("eu-west-1", "sqs"));
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let key = route.key(now).await.unwrap();
            let request = route.request("DeleteMessageBatch", b"{}".to_vec(), &key, now).unwrap();

            let identity = Credentials::new("AKID", "secret", token.map(str::to_owned), None, "tests").into();
            let parameters = aws_sigv4::sign::v4::SigningParams::builder()
                .identity(&identity)
                .region("eu-west-1")
                .name("sqs")
                .time(now)
                .settings(SigningSettings::default())
                .build()
                .unwrap()
                .into();
            let unsigned = ["authorization", "x-amz-date", "x-amz-security-token", "user-agent"];
            let headers = request.headers().iter().filter(|(name, _)| !unsigned.contains(name));
            let theirs = SignableRequest::new("POST", uri, headers, SignableBody::Bytes(b"{}")).unwrap();
            let (instructions, _) = sign(theirs, &parameters).unwrap().into_parts();
            for (name, value) in instructions.headers() {
                assert_eq!(request.headers().get(name), Some(value), "{name}");
            }
        }
    }

    #[tokio::test]
    async fn where_the_sdk_signs_nothing_it_is_left_to_it() {
        let anonymous = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .allow_no_auth()
            .build();
        assert!(Route::learn(&Client::from_conf(anonymous)).await.is_none());
        let direct = Direct::new(&client(None, Some("http://127.0.0.1:1/a%20b")));
        assert!(
            direct
                .call::<serde_json::Value>("ReceiveMessage", (&1, 1), Duration::from_secs(1))
                .await
                .is_none()
        );
    }
}
