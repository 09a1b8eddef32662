//! Requests over HTTP/1.1, with and without TLS, on kept-alive connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::time::Instant;
use url::Url;

use crate::challenge::{self, Asked, User};
use crate::dial::{DialError, Origin, dial};
use crate::guard::Guard;
use crate::parcel::{Cause, HttpPost, Outcome, WebRequest};
use crate::sockets::{Permit, Sockets};
use crate::trust::Trust;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Maximum number of idle connections, per origin and in total.
const IDLE_PER_ORIGIN: usize = 16;
const IDLE_IN_ALL: usize = 1024;
/// How much of an answer's body is read, and for how long, so that the connection can be reused.
const BODY_BYTES: usize = 64 * 1024;
const BODY_TIME: Duration = Duration::from_secs(5);

type Connection = SendRequest<Full<Bytes>>;

/// Makes requests.
pub(crate) struct Https {
    guard: Guard,
    timeout: Duration,
    trust: Arc<Trust>,
    sockets: Arc<Sockets>,
    pool: Arc<Pool>,
}

/// Why a request has no answer.
pub(crate) enum NoAnswer {
    Dial(DialError),
    Lost(hyper::Error),
    /// Nothing came for so long.
    Late(Duration),
    /// The rest of the answer did not come.
    Unread,
    /// The answer is longer than so many bytes.
    TooLong(usize),
}

impl From<NoAnswer> for Outcome {
    fn from(error: NoAnswer) -> Outcome {
        match error {
            NoAnswer::Dial(error @ DialError::Refused { .. }) => Outcome::refused(error.to_string()),
            NoAnswer::Dial(error) => Outcome::failed(false, Cause::Unreachable, error.to_string()),
            NoAnswer::Lost(error) => {
                // The cause is the most useful part: hyper's own texts are general.
                let reason = match std::error::Error::source(&error) {
                    Some(cause) => format!("the connection was lost: {error}: {cause}"),
                    None => format!("the connection was lost: {error}"),
                };
                Outcome::failed(false, Cause::Unreachable, reason)
            }
            NoAnswer::Late(timeout) => {
                let reason = format!("the endpoint did not answer within {} s", timeout.as_secs());
                Outcome::failed(false, Cause::TimedOut, reason)
            }
            NoAnswer::Unread => Outcome::failed(false, Cause::Other, "the answer cannot be read"),
            NoAnswer::TooLong(most) => {
                Outcome::failed(false, Cause::Other, format!("the answer is longer than {most} bytes"))
            }
        }
    }
}

impl Https {
    pub fn new(guard: Guard, timeout: Duration, trust: Arc<Trust>, sockets: Arc<Sockets>) -> Https {
        let pool: Arc<Pool> = Arc::default();
        let idle = Arc::downgrade(&pool);
        sockets.lend(move || idle.upgrade().is_some_and(|pool| pool.close_one()));
        Https { guard, timeout, trust, sockets, pool }
    }

    /// Makes one attempt.
    pub async fn post(&self, post: &HttpPost) -> Outcome {
        let target = match Target::new(post) {
            Ok(target) => target,
            Err(reason) => return Outcome::refused(reason),
        };
        // The wait for a free socket does not count towards the endpoint's timeout.
        let socket = self.sockets.take().await;
        match within(self.timeout, self.attempt(&target, socket)).await {
            Ok(status) => Outcome::of_status(status),
            Err(error) => error.into(),
        }
    }

    /// Sends a request, and returns the head of its answer.
    pub async fn ask(&self, target: &Target) -> Result<Response<()>, NoAnswer> {
        let socket = self.sockets.take().await;
        within(self.timeout, self.request(target, None, Some(socket))).await
    }

    /// Sends a request, and returns its answer.
    ///
    /// # Errors
    /// There is none in time, or its body is longer than `most` bytes.
    pub async fn fetch(&self, target: &Target, most: usize) -> Result<Response<Bytes>, NoAnswer> {
        self.fetch_within(target, most, self.timeout).await
    }

    /// The same with a timeout of its own.
    pub async fn fetch_within(
        &self,
        target: &Target,
        most: usize,
        timeout: Duration,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let socket = self.sockets.take().await;
        let fetch = async {
            let (_connection, answer) = self.exchange(target, None, Some(socket)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, most).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() { NoAnswer::TooLong(most) } else { NoAnswer::Unread }
            })?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        within(timeout, fetch).await
    }

    async fn attempt(&self, target: &Target, socket: Permit) -> Result<StatusCode, NoAnswer> {
        let answer = self.request(target, None, Some(socket)).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer.status());
        }
        // The name and password of a URL are sent only after a challenge, as SNS does: a receiver with Digest
        // must not get the password itself.
        let Some(authorization) = target.authorization(&answer) else { return Ok(answer.status()) };
        Ok(self.request(target, Some(authorization), None).await?.status())
    }

    /// Sends a request and returns the head of its answer. The connection is kept.
    async fn request(
        &self,
        target: &Target,
        authorization: Option<HeaderValue>,
        socket: Option<Permit>,
    ) -> Result<Response<()>, NoAnswer> {
        let (connection, answer) = self.exchange(target, authorization, socket).await?;
        let (head, body) = answer.into_parts();
        self.pool.clone().put_when_read(target.origin.clone(), connection, body);
        Ok(Response::from_parts(head, ()))
    }

    /// Sends a request over a connection, and returns both.
    async fn exchange(
        &self,
        target: &Target,
        authorization: Option<HeaderValue>,
        mut socket: Option<Permit>,
    ) -> Result<(Connection, Response<Incoming>), NoAnswer> {
        let mut request = target.request.clone();
        request.headers_mut().extend(authorization.map(|value| (AUTHORIZATION, value)));
        let mut kept = self.pool.take(&target.origin);
        loop {
            let was_kept = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.connect(&target.origin, socket.take()).await?,
            };
            match connection.send_request(request.clone()).await {
                Ok(answer) => return Ok((connection, answer)),
                // The receiver may close a kept connection at the moment of its use. This says nothing about
                // the request, so the request gets a new connection.
                Err(error) if was_kept && !error.is_timeout() => continue,
                Err(error) => return Err(NoAnswer::Lost(error)),
            }
        }
    }

    async fn connect(&self, origin: &Origin, socket: Option<Permit>) -> Result<Connection, NoAnswer> {
        let socket = match socket {
            Some(socket) => socket,
            None => self.sockets.take().await,
        };
        let stream = dial(origin, self.guard, &self.trust).await.map_err(NoAnswer::Dial)?;
        let (sender, connection) =
            http1::Builder::new().handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Lost)?;
        // An error of the connection is also the error of its request.
        tokio::spawn(async move {
            drop(connection.await);
            drop(socket);
        });
        Ok(sender)
    }
}

async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = Result<T, NoAnswer>>,
) -> Result<T, NoAnswer> {
    tokio::time::timeout(timeout, answer).await.unwrap_or(Err(NoAnswer::Late(timeout)))
}

/// The destination of a request, and the request.
pub(crate) struct Target {
    origin: Origin,
    request: Request<Full<Bytes>>,
    user: Option<User>,
}

impl Target {
    /// Creates SNS's request.
    pub fn new(post: &HttpPost) -> Result<Target, String> {
        // As SNS does (developer guide, "HTTP/HTTPS headers").
        let fixed = [
            ("connection", "Keep-Alive"),
            ("user-agent", "Amazon Simple Notification Service Agent"),
            ("accept-encoding", "gzip,deflate"),
        ];
        let headers = post.headers.iter().map(|(name, value)| (*name, value.as_str()));
        Target::of((Method::POST, &post.url), fixed.into_iter().chain(headers), &post.body)
    }

    /// Creates a request with all of its headers.
    pub fn of_request(request: &WebRequest) -> Result<Target, String> {
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|_| format!("{} is no method of HTTP", request.method))?;
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Target::of((method, &request.url), headers, &request.body)
    }

    /// Adds a header, or replaces it, with a value that is a secret.
    pub fn with_secret(mut self, name: HeaderName, value: &HeaderValue) -> Target {
        let mut value = value.clone();
        value.set_sensitive(true);
        self.request.headers_mut().insert(name, value);
        self
    }

    fn of<'h>(
        (method, url): (Method, &str),
        all: impl Iterator<Item = (&'h str, &'h str)>,
        body: &Bytes,
    ) -> Result<Target, String> {
        let url = Url::parse(url).map_err(|error| format!("the endpoint is not a URL: {error}"))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                return Err(format!("the endpoint's URL begins with {other}:, not with http: or https:"));
            }
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err("the endpoint's URL names no host".into());
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let path: Uri = url[url::Position::BeforePath..url::Position::AfterQuery]
            .parse()
            .map_err(|error| format!("the endpoint's URL cannot be requested: {error}"))?;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method;
        *request.uri_mut() = path;
        let headers = request.headers_mut();
        let value = |name: &str, value: &str| {
            HeaderValue::from_str(value)
                .map_err(|_| format!("{name} contains a character that is not allowed in a header"))
        };
        headers.insert(HOST, value("the endpoint's host", &authority)?);
        for (name, text) in all {
            let name = HeaderName::try_from(name).map_err(|_| format!("{name} is no header"))?;
            headers.insert(name.clone(), value(name.as_str(), text)?);
        }
        let user = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            User { name: plain(url.username()), password: plain(url.password().unwrap_or_default()) }
        });
        Ok(Target { origin: Origin { tls, host: host.to_owned(), port }, request, user })
    }

    /// Returns the `Authorization` header for a receiver's challenge.
    fn authorization(&self, answer: &Response<()>) -> Option<HeaderValue> {
        let user = self.user.as_ref()?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        let asked = Asked {
            method: self.request.method().as_str(),
            target: self.request.uri().path_and_query()?.as_str(),
            nonce: &hex::encode(random),
        };
        let challenges =
            answer.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut value = HeaderValue::try_from(challenge::answer(challenges, user, &asked)?).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Idle connections.
#[derive(Default)]
struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    connections: HashMap<Origin, Vec<(Connection, Instant)>>,
    count: usize,
    swept: bool,
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Idle> {
        // No code that can panic runs under this lock.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle();
        let idle = &mut *idle;
        let connections = idle.connections.get_mut(origin)?;
        while let Some((connection, since)) = connections.pop() {
            idle.count -= 1;
            if connection.is_ready() && since.elapsed() < IDLE {
                return Some(connection);
            }
        }
        idle.connections.remove(origin);
        None
    }

    /// Closes an idle connection, if there is one.
    fn close_one(&self) -> bool {
        let mut idle = self.idle();
        let idle = &mut *idle;
        let Some(origin) = idle.connections.keys().next().cloned() else { return false };
        let connections = idle.connections.get_mut(&origin);
        let closed = connections.and_then(Vec::pop).is_some();
        idle.count -= usize::from(closed);
        if idle.connections.get(&origin).is_some_and(Vec::is_empty) {
            idle.connections.remove(&origin);
        }
        closed
    }

    /// Reads the rest of an answer and then keeps the connection. The result of the attempt does not wait for
    /// this.
    fn put_when_read(self: Arc<Self>, origin: Origin, mut connection: Connection, body: Incoming) {
        tokio::spawn(async move {
            let read = async {
                if !body.is_end_stream() {
                    Limited::new(body, BODY_BYTES).collect().await.ok()?;
                }
                connection.ready().await.ok()
            };
            if let Ok(Some(())) = tokio::time::timeout(BODY_TIME, read).await {
                self.put(origin, connection);
            }
        });
    }

    fn put(self: Arc<Self>, origin: Origin, connection: Connection) {
        let mut idle = self.idle();
        if idle.count >= IDLE_IN_ALL {
            return;
        }
        let connections = idle.connections.entry(origin).or_default();
        if connections.len() >= IDLE_PER_ORIGIN {
            return;
        }
        connections.push((connection, Instant::now()));
        idle.count += 1;
        if !std::mem::replace(&mut idle.swept, true) {
            drop(idle);
            tokio::spawn(self.sweep());
        }
    }

    /// Closes connections that were idle for too long. Ends when none is left, so that an idle server sleeps.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(IDLE).await;
            let mut idle = self.idle();
            let mut left = 0;
            idle.connections.retain(|_, connections| {
                connections.retain(|(connection, since)| connection.is_ready() && since.elapsed() < IDLE);
                left += connections.len();
                !connections.is_empty()
            });
            idle.count = left;
            if left == 0 {
                idle.swept = false;
                return;
            }
        }
    }
}
