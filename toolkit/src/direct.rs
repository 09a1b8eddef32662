//! Sends the most frequent calls for queues and topics without the SDKs' machinery. It asks the SDK once how
//! it would send a call, and then sends such calls itself. It repeats a call that did not plainly succeed
//! through the SDK, which handles errors.
//!
//! The SDK builds each call from dozens of plug-ins, which cost several times as much as the call: see the
//! measurements in `docs/patterns/speed.md`. Endpoint, signing region and credentials (with their cache and
//! refresh) remain the SDK's. So does the HTTP client (with its connections, TLS and proxies), unless it is
//! this library's and there is no TLS: then, with the feature `http-client`, the calls use connections of their own (`plain_http.rs`). Callers do
//! the retries anyway.

#[cfg(feature = "http-client")]
mod connection;
#[cfg(feature = "http-client")]
mod plain_http;

mod query;

mod signature;

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_sqs::config::http::HttpRequest;
use aws_sdk_sqs::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{ConfigBag, HttpClient, Intercept, RuntimeComponents};
use aws_sdk_sqs::error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

pub(crate) use query::Form;

use crate::fault::Fault;
use signature::{Key, TIME, text_of};

/// After a failed call all calls go through the SDK for this long, so that a missing queue or a wrong clock
/// does not cause two requests per call.
const REST: Duration = Duration::from_secs(5);
/// After a failure of Posthaste's own operation (the server may not know it yet), AWS's operations are used
/// for this long.
const AWS_ONLY: Duration = Duration::from_secs(60);

/// Timeout of an answer before the SDK repeats the call; a receive may wait in addition.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// After a waiting call was cancelled, an answer in transit is awaited for this long.
pub(crate) const LAST_ANSWER: Duration = Duration::from_millis(500);

/// The result of a call that waits at the server; `None` if it was cancelled. The server learns of this only
/// when the connection closes, so an answer that it sends meanwhile is awaited for a moment.
pub(crate) async fn unless_stopped<F: Future>(
    call: Pin<&mut F>,
    stop: Option<&CancellationToken>,
) -> Option<F::Output> {
    let Some(stop) = stop else { return Some(call.await) };
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_ANSWER).await;
    };
    tokio::select! {
        biased;
        answer = call => Some(answer),
        () = stopped => None,
    }
}

/// The calls of one client.
#[derive(Debug)]
pub(crate) struct Direct {
    client: Client,
    /// `None` inside: the SDK uses something that this module does not implement, such as another signature.
    route: OnceCell<Option<Route>>,
    rests_until: Mutex<Option<Instant>>,
    aws_only_until: Mutex<Option<Instant>>,
}

/// The client whose calls these are.
#[derive(Debug)]
enum Client {
    Sqs(aws_sdk_sqs::Client),
    Sns(aws_sdk_sns::Client),
}

/// The protocol of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    /// SQS: JSON both ways, with the operation in a header.
    Json,
    /// SNS: a form that names the operation; the answer is XML.
    Query,
}

/// The data for sending calls.
struct Route {
    protocol: Protocol,
    uri: String,
    path: String,
    host: String,
    region: String,
    service: String,
    user_agent: String,
    connector: SharedHttpConnector,
    /// Used instead of the connector if it would do the same.
    #[cfg(feature = "http-client")]
    connections: Option<plain_http::Connections>,
    components: RuntimeComponents,
    key: Mutex<Option<Arc<Key>>>,
    /// Whether the server's last answer named Posthaste.
    is_posthaste: AtomicBool,
}

/// The headers of a request that vary.
struct Signed<'a> {
    target: &'a str,
    time: &'a str,
    authorization: &'a str,
    token: Option<&'a str>,
}

impl Direct {
    /// Calls of an SQS client.
    pub fn new(sqs: &aws_sdk_sqs::Client) -> Arc<Direct> {
        Direct::of(Client::Sqs(sqs.clone()))
    }

    /// Calls of an SNS client.
    pub fn topics(sns: &aws_sdk_sns::Client) -> Arc<Direct> {
        Direct::of(Client::Sns(sns.clone()))
    }

    fn of(client: Client) -> Arc<Direct> {
        Arc::new(Direct {
            client,
            route: OnceCell::new(),
            rests_until: Mutex::default(),
            aws_only_until: Mutex::default(),
        })
    }

    /// Returns the answer to a call with this target, such as `AmazonSQS.ReceiveMessage`. `bytes` is the
    /// approximate length of the input. Returns `None` if the SDK must make the call.
    pub async fn call<R: DeserializeOwned>(
        &self,
        target: &str,
        (input, bytes): (&impl Serialize, usize),
        patience: Duration,
    ) -> Option<R> {
        self.read(target, (input, bytes), patience, |answer| serde_json::from_slice(answer).ok()).await
    }

    /// As [`call`](Self::call), with a custom reader for the answer. If the reader fails, the SDK makes the
    /// call again.
    pub async fn read<R>(
        &self,
        target: &str,
        (input, bytes): (&impl Serialize, usize),
        patience: Duration,
        read: impl FnOnce(&[u8]) -> Option<R>,
    ) -> Option<R> {
        let write = || written(input, bytes);
        self.exchange(target, write, patience, None, read).await
    }

    /// As [`read`](Self::read), for a call that waits at the server. It is cancelled when `stop` is. An
    /// answer that the server has sent by then is still read, because it may contain messages.
    pub async fn read_unless_stopped<R>(
        &self,
        target: &str,
        (input, bytes): (&impl Serialize, usize),
        patience: Duration,
        stop: &CancellationToken,
        read: impl FnOnce(&[u8]) -> Option<R>,
    ) -> Option<R> {
        let write = || written(input, bytes);
        self.exchange(target, write, patience, Some(stop), read).await
    }

    /// As [`read`](Self::read), for an operation that AWS does not have. Returns `None` if the server is not
    /// a Posthaste, is an older one, or an error occurred. Then use AWS's operations; the operation may have
    /// taken effect already.
    pub async fn ask_posthaste<R>(
        &self,
        target: &str,
        (input, bytes): (&impl Serialize, usize),
        read: impl FnOnce(&[u8]) -> Option<R>,
    ) -> Option<R> {
        // Known from the answer to another call.
        let route = self.route.get()?.as_ref()?;
        if !route.is_posthaste.load(Ordering::Relaxed) || is_ahead(&self.aws_only_until) || self.rests() {
            return None;
        }
        let asked = tokio::time::timeout(PATIENCE, route.ask(target, written(input, bytes)?, None, read));
        let answer = asked.await.ok().flatten();
        if answer.is_none() {
            tracing::debug!(target, "no plain success: AWS's operations are used for a while");
            *lock(&self.aws_only_until) = Some(Instant::now() + AWS_ONLY);
        }
        answer
    }

    /// Writes a request and reads its answer, unless the SDK should make the call.
    async fn exchange<R>(
        &self,
        target: &str,
        write: impl FnOnce() -> Option<Vec<u8>>,
        patience: Duration,
        stop: Option<&CancellationToken>,
        read: impl FnOnce(&[u8]) -> Option<R>,
    ) -> Option<R> {
        if self.rests() {
            return None;
        }
        let route = self.route.get_or_init(|| Route::learn(&self.client)).await.as_ref()?;
        let asked = tokio::time::timeout(patience, route.ask(target, write()?, stop, read));
        let answer = asked.await.ok().flatten();
        if answer.is_none() && !stop.is_some_and(CancellationToken::is_cancelled) {
            tracing::debug!(target, "no plain success: the SDK asks again");
            *lock(&self.rests_until) = Some(Instant::now() + REST);
        }
        answer
    }

    fn rests(&self) -> bool {
        is_ahead(&self.rests_until)
    }
}

fn is_ahead(time: &Mutex<Option<Instant>>) -> bool {
    lock(time).is_some_and(|time| Instant::now() < time)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn written(input: &impl Serialize, bytes: usize) -> Option<Vec<u8>> {
    // Growing step by step would copy a large batch several times.
    let mut body = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut body, input).ok()?;
    Some(body)
}

impl Route {
    /// Lets the SDK prepare a call, and stops it before it is sent.
    async fn learn(client: &Client) -> Option<Route> {
        let heard = Arc::new(Mutex::new(None));
        let listen = Listen(heard.clone());
        // Neither call completes: the listener stops it.
        match client {
            Client::Sqs(sqs) => {
                let call = sqs.receive_message().queue_url("none").customize();
                let _stopped = call.interceptor(listen).send().await;
            }
            Client::Sns(sns) => {
                let _stopped = sns.list_topics().customize().interceptor(listen).send().await;
            }
        }
        heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn of(request: &HttpRequest, components: &RuntimeComponents, cfg: &ConfigBag) -> Option<Route> {
        let headers = request.headers();
        // AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/sqs/aws4_request, SignedHeaders=…
        let credential = headers.get("authorization")?.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
        let mut scope = credential.split(',').next()?.rsplit('/');
        let (end, service, region) = (scope.next()?, scope.next()?, scope.next()?);
        let protocol = match (headers.get("x-amz-target"), headers.get("content-type")?) {
            (Some("AmazonSQS.ReceiveMessage"), JSON) => Protocol::Json,
            (None, FORM) => Protocol::Query,
            _ => return None,
        };
        if end != "aws4_request" {
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
        let http_client = components.http_client()?;
        Some(Route {
            protocol,
            uri: uri.to_owned(),
            path: path.to_owned(),
            host: host.strip_suffix(default_port).unwrap_or(host).to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            user_agent: headers.get("user-agent").unwrap_or_default().to_owned(),
            connector: http_client.http_connector(&settings.build(), components),
            #[cfg(feature = "http-client")]
            connections: plain_http::connections(scheme, host, &http_client, timeouts),
            components: components.clone(),
            key: Mutex::default(),
            is_posthaste: AtomicBool::new(false),
        })
    }

    /// Applies `read` to an answer with status 200.
    async fn ask<R>(
        &self,
        target: &str,
        body: Vec<u8>,
        stop: Option<&CancellationToken>,
        read: impl FnOnce(&[u8]) -> Option<R>,
    ) -> Option<R> {
        let (time, key) = self.time_and_key().await?;
        let time = std::str::from_utf8(&time).ok()?;
        let authorization = self.authorization(target, &body, &key, time);
        let signed = Signed { target, time, authorization: &authorization, token: key.token.as_deref() };
        #[cfg(feature = "http-client")]
        if let Some(connections) = &self.connections {
            return self.ask_over(connections, &signed, &body, stop, read).await;
        }
        let call = pin!(self.connector.call(self.request(&signed, body)?));
        let answer = unless_stopped(call, stop).await?.ok()?;
        let server = answer.headers().get("server").unwrap_or_default();
        self.check(answer.status().as_u16(), server.starts_with(POSTHASTE))?;
        read(&ByteStream::new(answer.into_body()).collect().await.ok()?.into_bytes())
    }

    async fn time_and_key(&self) -> Option<([u8; TIME], Arc<Key>)> {
        let now = self.components.time_source().map_or_else(SystemTime::now, |source| source.now());
        let time = text_of(now)?;
        let key = self.key(now, std::str::from_utf8(&time).ok()?).await?;
        Some((time, key))
    }

    fn check(&self, status: u16, is_posthaste: bool) -> Option<()> {
        // Written only if it changes, because all threads read it.
        if self.is_posthaste.load(Ordering::Relaxed) != is_posthaste {
            self.is_posthaste.store(is_posthaste, Ordering::Relaxed);
        }
        if status != 200 {
            // The credentials may have been withdrawn.
            *self.kept_key() = None;
            return None;
        }
        Some(())
    }

    fn request(&self, signed: &Signed<'_>, body: Vec<u8>) -> Option<HttpRequest> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").ok()?;
        request.set_uri(self.uri.as_str()).ok()?;
        let headers = request.headers_mut();
        headers.try_insert("content-type", self.protocol.content_type()).ok()?;
        headers.try_insert("x-amz-date", signed.time.to_owned()).ok()?;
        if self.protocol == Protocol::Json {
            headers.try_insert("x-amz-target", signed.target.to_owned()).ok()?;
            headers.try_insert("x-amzn-query-mode", "true").ok()?;
        }
        headers.try_insert("user-agent", self.user_agent.clone()).ok()?;
        headers.try_insert("authorization", signed.authorization.to_owned()).ok()?;
        if let Some(token) = signed.token {
            headers.try_insert("x-amz-security-token", token.to_owned()).ok()?;
        }
        Some(request)
    }
}

/// A batch for a queue, of any kind.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BatchAsk<'a, E> {
    pub queue_url: &'a str,
    pub entries: Vec<E>,
}

/// The answer to a batch, of any kind.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BatchAnswer {
    pub successful: Option<Vec<Succeeded>>,
    failed: Option<Vec<Failed>>,
}

/// The part of a batch's answer for callers that need nothing else.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Failures {
    pub failed: Option<Vec<Failed>>,
}

/// An accepted entry. It has ids and receipts if messages were sent.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(crate) struct Succeeded {
    pub id: String,
    pub message_id: String,
    pub sequence_number: Option<String>,
}

/// A failed entry.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Failed {
    pub id: String,
    pub code: String,
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub sender_fault: bool,
}

impl BatchAnswer {
    /// Stores the indexes of the failures.
    pub fn failures<R>(&self, results: &mut [Result<R, Fault>]) {
        note(&self.failed, results);
    }
}

impl Failures {
    /// Stores the indexes of the failures.
    pub fn note<R>(&self, results: &mut [Result<R, Fault>]) {
        note(&self.failed, results);
    }
}

fn note<R>(failed: &Option<Vec<Failed>>, results: &mut [Result<R, Fault>]) {
    for Failed { id, code, message, sender_fault } in failed.iter().flatten() {
        if let Some(place) = id.parse().ok().and_then(|number: usize| results.get_mut(number)) {
            *place = Err(Fault::of_entry(code, message.as_deref(), *sender_fault));
        }
    }
}

const JSON: &str = "application/x-amz-json-1.0";
const FORM: &str = "application/x-www-form-urlencoded";
/// The beginning of Posthaste's `server` header.
const POSTHASTE: &str = "posthaste";

impl Protocol {
    fn content_type(self) -> &'static str {
        match self {
            Protocol::Json => JSON,
            Protocol::Query => FORM,
        }
    }
}

impl fmt::Debug for Route {
    // Without the signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("uri", &self.uri).field("region", &self.region).finish_non_exhaustive()
    }
}

/// Intercepts the request that the SDK is about to send, and stops it.
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

#[cfg(test)]
mod tests {
    use super::*;

    use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};

    /// Clients of both services with these settings.
    macro_rules! clients {
        ($endpoint:expr, |$config:ident| $more:expr) => {{
            macro_rules! client {
                ($sdk:ident) => {{
                    let $config = $sdk::Config::builder()
                        .behavior_version(BehaviorVersion::latest())
                        .region(Region::new("eu-west-1"))
                        .http_client(aws_smithy_http_client::Builder::new().build_http());
                    let config = $more;
                    let endpoint: Option<&str> = $endpoint;
                    $sdk::Client::from_conf(match endpoint {
                        Some(endpoint) => config.endpoint_url(endpoint).build(),
                        None => config.build(),
                    })
                }};
            }
            [Client::Sqs(client!(aws_sdk_sqs)), Client::Sns(client!(aws_sdk_sns))]
        }};
    }

    fn clients(token: Option<&str>, endpoint: Option<&str>) -> [Client; 2] {
        let credentials = Credentials::new("AKID", "secret", token.map(str::to_owned), None, "tests");
        clients!(endpoint, |config| config.credentials_provider(credentials.clone()))
    }

    #[tokio::test]
    async fn what_is_sent_is_signed_as_the_sdk_signs_and_goes_where_the_sdk_goes() {
        let places = [
            (None, "https://{}.eu-west-1.amazonaws.com/", "{}.eu-west-1.amazonaws.com"),
            (Some("http://127.0.0.1:4566"), "http://127.0.0.1:4566/", "127.0.0.1:4566"),
            (Some("http://localhost:80/sqs"), "http://localhost:80/sqs/", "localhost"),
        ];
        let tokens = [None, Some("to/ken==")];
        for (token, (endpoint, uri, host)) in tokens.map(|token| places.map(|place| (token, place))).concat()
        {
            for (client, service) in clients(token, endpoint).iter().zip(["sqs", "sns"]) {
                let (uri, host) = (uri.replace("{}", service), host.replace("{}", service));
                let route = Route::learn(client).await.unwrap();
                assert_eq!((&route.uri, &route.host), (&uri, &host));
                assert_eq!((route.region.as_str(), route.service.as_str()), ("eu-west-1", service));
                let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
                let time = text_of(now).unwrap();
                let time = std::str::from_utf8(&time).unwrap();
                assert_eq!(time, "20270115T080000Z");
                let key = route.key(now, time).await.unwrap();
                let target = "AmazonSQS.DeleteMessageBatch";
                let authorization = route.authorization(target, b"{}", &key, time);
                let signed = Signed { target, time, authorization: &authorization, token };
                let request = route.request(&signed, b"{}".to_vec()).unwrap();
                #[cfg(feature = "http-client")]
                plain_http::tests::same_headers(&route, &signed, &request);

                let credentials = Credentials::new("AKID", "secret", token.map(str::to_owned), None, "tests");
                let identity = credentials.into();
                let parameters = aws_sigv4::sign::v4::SigningParams::builder()
                    .identity(&identity)
                    .region("eu-west-1")
                    .name(service)
                    .time(now)
                    .settings(SigningSettings::default())
                    .build()
                    .unwrap()
                    .into();
                let unsigned = ["authorization", "x-amz-date", "x-amz-security-token", "user-agent"];
                let headers = request.headers().iter().filter(|(name, _)| !unsigned.contains(name));
                let body = SignableBody::Bytes(b"{}");
                let theirs = SignableRequest::new("POST", uri, headers, body).unwrap();
                let (instructions, _) = sign(theirs, &parameters).unwrap().into_parts();
                for (name, value) in instructions.headers() {
                    assert_eq!(request.headers().get(name), Some(value), "{name}");
                }
            }
        }
    }

    #[tokio::test]
    async fn where_the_sdk_signs_nothing_it_is_left_to_it() {
        for client in clients!(None, |config| config.allow_no_auth()) {
            assert!(Route::learn(&client).await.is_none());
        }
        for client in clients(None, Some("http://127.0.0.1:1/a%20b")) {
            let direct = Direct::of(client);
            let second = Duration::from_secs(1);
            assert!(
                direct.call::<serde_json::Value>("AmazonSQS.ReceiveMessage", (&1, 1), second).await.is_none()
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_is_broken_off_but_not_before_what_is_on_its_way() {
        let stop = CancellationToken::new();
        let after = |time| async move {
            tokio::time::sleep(time).await;
            "answered"
        };
        let waits = Duration::from_secs(20);
        assert_eq!(unless_stopped(pin!(after(waits)), None).await, Some("answered"));
        assert_eq!(unless_stopped(pin!(after(waits)), Some(&stop)).await, Some("answered"));
        stop.cancel();
        assert_eq!(unless_stopped(pin!(after(LAST_ANSWER / 2)), Some(&stop)).await, Some("answered"));
        assert_eq!(unless_stopped(pin!(after(waits)), Some(&stop)).await, None);
    }
}
