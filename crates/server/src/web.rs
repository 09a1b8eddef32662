//! Handles one HTTP request: parses, decides, answers.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use journal::{ReadError, Reader, Record};
use kernel::parcel::is_parcel;
use kernel::{Asker, Caller, Dice, Extent, Refusal, Secret, uuid_text};
use machine::{Command, Event, Input, Plan, Reply};
use notification::{Keys, Signer, Unsigned};
use sqs::operations::{self, Materials};
use sqs::rules::names::region_of_host;
use tokio::time::Instant;
use tracing::{debug, error};
use wire::{Credential, Decoded, Exchange};

use crate::admin::{self, Admin};
use crate::budget::{Budget, Lease, SMALL};
use crate::damage::Damages;
use crate::door::{Door, Turned, Visit};
use crate::engine::Handle;
use crate::histories;
use crate::lines::{Answer, Line, PIECE};
use crate::mailbox::{Tickets, ask};
use crate::peek;
use crate::signing::Signing;
use crate::streams::{self, Subscribed};

/// A longer body is refused: a batch of 1 MiB can be six times as long in JSON, and base64 adds a third.
const BODY_BYTES: usize = 16 << 20;

/// A client whose body is not complete after a number of these intervals is disconnected; so is one that
/// sends too few bytes per interval while memory is short.
const BODY_PACE: Duration = Duration::from_secs(5);
const BODY_WAITS: u32 = 12;
const BODY_PROGRESS: usize = 64 << 10;

/// A body up to this length that is available at once is not counted: the buffer of the request has this size
/// anyway.
const TINY: usize = 2 << 10;

/// How long a request waits for memory before it gets an error.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The default account.
pub const DEFAULT_ACCOUNT: &str = "000000000000";

/// Data that all requests of an HTTP thread share.
pub struct Desk {
    /// The handle of the engine.
    pub engine: Handle,
    /// The waiting requests of this thread.
    pub tickets: Tickets,
    /// Reads message bodies.
    pub reader: Reader,
    /// Reads what streams have kept.
    pub retained: retained::Reader,
    /// Damage on disk that was found.
    pub damages: Arc<Damages>,
    /// The secret for message ids; set before the first request is accepted.
    pub secret: Arc<OnceLock<Secret>>,
    /// Signs messages of topics.
    pub signing: Arc<Signing>,
    /// The access control.
    pub door: Door,
    /// The memory budget of requests and answers.
    pub budget: Budget,
    /// The URL by which others reach this server, if it is configured; else it is taken from each request.
    pub public_url: Option<String>,
    /// The region of unsigned requests.
    pub region: String,
    /// The topics that filter by message bodies.
    pub body_readers: sns::BodyReaders,
    /// The requests that are not AWS's.
    pub admin: Rc<Admin>,
    /// For request ids, which must be unique but not secret.
    pub dice: RefCell<Dice>,
}

impl Desk {
    /// Answers a request.
    pub async fn serve(self: Rc<Self>, request: Request<Incoming>, line: Rc<Line>) -> Response<Answer> {
        let (head, body) = request.into_parts();
        let mut response = match self.door.judge(&head) {
            Ok(visit) => {
                let mut response = self.route(&head, body, &visit, &line).await;
                visit.allow(response.headers_mut());
                response
            }
            Err(turned) => self.turn_away(&head, &turned),
        };
        note(&head, &response);
        // By this header the toolkit's consumers know that the server has operations that AWS does not have.
        response.headers_mut().insert(header::SERVER, HeaderValue::from_static("posthaste"));
        let lease = response.extensions_mut().remove::<Arc<Lease>>().and_then(Arc::into_inner);
        let subscribed = response.extensions_mut().remove::<Subscribed>();
        response.map(|bytes| {
            let answer = Answer::new(bytes, lease, &line);
            match subscribed {
                None => answer,
                Some(subscribed) => answer.followed_by(self.events(subscribed, line.clone()), &line),
            }
        })
    }

    /// Refuses a request on a connection beyond the limit. SDKs retry after this error.
    pub fn turn_away_busy(&self, request: Request<Incoming>, line: &Rc<Line>) -> Response<Answer> {
        let (head, _) = request.into_parts();
        let exchange = wire::exchange_of(&head, self.request_id());
        let text = "The server has reached its limit of connections, and none of them is idle. Try again, use fewer connections, or \
                    raise the limit of open files (ulimit -n) and restart the server.";
        let mut response = exchange.refuse(&Refusal::new("ServiceUnavailable", text));
        note(&head, &response);
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        headers.insert(header::SERVER, HeaderValue::from_static("posthaste"));
        response.map(|bytes| Answer::new(bytes, None, line))
    }

    async fn route(
        &self,
        head: &http::request::Parts,
        body: Incoming,
        visit: &Visit,
        line: &Rc<Line>,
    ) -> Response<Bytes> {
        if head.method == Method::OPTIONS {
            return visit.preflight(&head.headers);
        }
        // The memory of the body stays reserved until the request is answered, because the parsed request
        // refers to it.
        let (body, room) = match self.read_body(body, line).await {
            Ok(read) => read,
            Err(NotRead::Status(status)) => {
                return plain(status, "The request body is too large, or did not arrive in time.\n");
            }
            Err(NotRead::NoRoom) => return self.no_room(head),
        };
        let path = head.uri.path();
        // Decompressed bodies are longer. And the outbox can be long.
        let needs = if head.headers.contains_key(header::CONTENT_ENCODING) {
            BODY_BYTES
        } else if path == "/_posthaste/outbox" {
            self.admin.outbox.bytes()
        } else {
            0
        };
        let mut ahead = None;
        if needs > PIECE {
            ahead = self.budget.take_of(line.share(), needs, PATIENCE).await;
            if ahead.is_none() {
                return self.no_room(head);
            }
        }
        let mut response = if path == "/_posthaste/messages" && head.method == Method::GET {
            self.peek(head, visit, line).await
        } else if path == peek::LOCALSTACK || path.starts_with(peek::LOCALSTACK_BELOW) {
            self.peek_as_localstack(head, body, visit, line).await
        } else if path == "/_posthaste/certificate.pem" {
            self.own_certificate().await
        } else if path.starts_with("/_posthaste/") || path.starts_with("/_localstack/") {
            self.admin.serve(&head.method, path, head.uri.query().unwrap_or_default(), &body).await
        } else if path.starts_with("/SimpleNotificationService-") {
            self.certificate(path)
        } else {
            let request_id = self.request_id();
            match wire::decode(head, body, request_id) {
                Err(failure) => failure.answer(),
                Ok(decoded) => self.carry_out(decoded, visit, line).await,
            }
        };
        drop(room);
        let bytes = response.body().len();
        if bytes > PIECE
            && let Some(lease) = ahead
        {
            response.extensions_mut().insert(Arc::new(lease));
        }
        // Most long answers reserved their memory before they were built.
        if bytes > PIECE && response.extensions().get::<Arc<Lease>>().is_none() {
            match self.budget.take_of(line.share(), bytes, PATIENCE).await {
                Some(lease) => {
                    response.extensions_mut().insert(Arc::new(lease));
                }
                None => return self.no_room(head),
            }
        }
        response
    }

    /// Returns the error for a request without memory.
    pub fn no_room(&self, head: &http::request::Parts) -> Response<Bytes> {
        no_room(&wire::exchange_of(head, self.request_id()))
    }

    /// Returns the error for a refused request, in the format of its client.
    fn turn_away(&self, head: &http::request::Parts, turned: &Turned) -> Response<Bytes> {
        let message = turned.to_string();
        if head.uri.path().starts_with("/_") {
            return admin::answer(
                &head.method,
                StatusCode::FORBIDDEN,
                &serde_json::json!({ "message": message }),
            );
        }
        let exchange = wire::exchange_of(head, self.request_id());
        exchange.refuse(&Refusal::new("AccessDeniedException", message))
    }

    /// Returns the certificate with which receivers of notifications verify signatures.
    fn certificate(&self, path: &str) -> Response<Bytes> {
        match self.signing.notary().made_certificate() {
            Some(certificate) if path.strip_prefix('/') == Some(&certificate.file_name) => {
                let mut response = Response::new(certificate.pem.clone().into());
                let kind = HeaderValue::from_static("application/x-pem-file");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            _ => plain(StatusCode::NOT_FOUND, "There is no such certificate.\n"),
        }
    }

    /// Returns the same certificate under a fixed name, for machines that have to trust it.
    async fn own_certificate(&self) -> Response<Bytes> {
        let notary = self.signing.notary().clone();
        let made = tokio::task::spawn_blocking(move || {
            notary.certificate().map(|certificate| format!("/{}", certificate.file_name))
        });
        match made.await {
            Ok(Ok(path)) => self.certificate(&path),
            _ => plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The server has no signing key; its log contains the reason.
",
            ),
        }
    }

    /// Reads a body, and reserves memory as it arrives; a body counts as long when more than the small size
    /// has arrived.
    async fn read_body(
        &self,
        mut body: Incoming,
        line: &Rc<Line>,
    ) -> Result<(Bytes, Option<Lease>), NotRead> {
        let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        // A body whose declared length is too long is refused before it is read.
        if declared > BODY_BYTES {
            return Err(NotRead::Status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        if body.is_end_stream() {
            return Ok((Bytes::new(), None));
        }
        // Nearly all bodies are one piece, which is not copied.
        let (mut only, mut whole) = (Bytes::new(), BytesMut::new());
        let mut lease = None;
        let (mut got, mut got_before) = (0, 0);
        let mut waits = 0;
        let mut until = Instant::now() + BODY_PACE;
        loop {
            let frame = match tokio::time::timeout_at(until, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return Err(NotRead::Status(StatusCode::BAD_REQUEST)),
                Ok(None) => break,
                Err(_) => {
                    waits += 1;
                    // A slow client holds reserved memory that others need.
                    let is_slow = got - got_before < BODY_PROGRESS;
                    if waits >= BODY_WAITS || is_slow && self.budget.is_tight() {
                        return Err(NotRead::Status(StatusCode::REQUEST_TIMEOUT));
                    }
                    got_before = got;
                    until += BODY_PACE;
                    continue;
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            got += data.len();
            if got > BODY_BYTES {
                return Err(NotRead::Status(StatusCode::PAYLOAD_TOO_LARGE));
            }
            if got > SMALL && whole.capacity() < got {
                // The whole body at once, so that a request that has begun can finish.
                let all = if declared >= got { declared } else { BODY_BYTES };
                drop(lease.take());
                lease = Some(self.budget.take(all, PATIENCE).await.ok_or(NotRead::NoRoom)?);
                line.note_passed(all);
                let mut larger = BytesMut::with_capacity(all);
                larger.extend_from_slice(if whole.is_empty() { &only } else { &whole });
                only = Bytes::new();
                whole = larger;
                until = Instant::now() + BODY_PACE;
            } else if lease.is_none() && (got > TINY || declared > TINY || !body.is_end_stream()) {
                // For a short body its declared length, or the maximum length of a short one.
                let all = if declared >= got { declared.min(SMALL) } else { SMALL };
                lease = Some(self.budget.take(all, PATIENCE).await.ok_or(NotRead::NoRoom)?);
            }
            if only.is_empty() && whole.is_empty() && got <= SMALL {
                only = data;
                continue;
            }
            if whole.is_empty() && !only.is_empty() {
                whole.reserve(declared.clamp(got, SMALL));
                whole.extend_from_slice(&only);
                only = Bytes::new();
            }
            whole.extend_from_slice(&data);
        }
        Ok((if whole.is_empty() { only } else { whole.freeze() }, lease))
    }

    /// Returns the name of an exchange in logs and answers.
    pub fn request_id(&self) -> String {
        let mut dice = self.dice.borrow_mut();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&dice.roll().to_le_bytes());
        bytes[8..].copy_from_slice(&dice.roll().to_le_bytes());
        uuid_text(bytes)
    }

    async fn carry_out(&self, decoded: Decoded, visit: &Visit, line: &Rc<Line>) -> Response<Bytes> {
        let Decoded { request, exchange, credential, trace_header } = decoded;
        let caller = self.caller(credential, &visit.url);
        // The beginning of links and queue URLs.
        let base = self.public_url.as_deref().unwrap_or(&visit.url);
        let asker = Asker { caller: &caller, base, trace: trace_header.as_ref() };
        if matches!(request, wire::Request::Sns(_)) {
            self.signing.prepare();
        }
        let (mut command, plan) = match machine::prepare(request, &asker) {
            Ok(prepared) => prepared,
            Err(refusal) => return exchange.refuse(&refusal),
        };
        self.complete(&mut command);
        if let (Command::Stepfunctions(command), Plan::Stepfunctions(plan)) = (&command, &plan)
            && histories::reads(command)
        {
            // In a box, so that the future of all other requests stays small.
            return Box::pin(self.show_execution(command, plan, &exchange, line)).await;
        }
        if let (Command::Kinesis(command), Plan::Kinesis(plan)) = (&command, &plan)
            && kinesis::operations::reads(command)
        {
            return Box::pin(self.show_records(command, plan, &exchange, line)).await;
        }
        let reply = match ask(&self.engine, &self.tickets, command).await {
            Ok(reply) => reply,
            Err(refusal) => return exchange.refuse(&refusal),
        };
        match (reply, plan) {
            (Reply::Kinesis(kinesis::operations::Reply::Subscribed(cursor)), _) => {
                streams::begin(cursor, &exchange)
            }
            (Reply::Sqs(reply), Plan::Sqs(plan)) => self.present(reply, &plan, base, &exchange, line).await,
            (reply, plan) => {
                let Some(secret) = self.secret.get() else { return exchange.refuse(&internal()) };
                match machine::present(reply, &plan, base, secret) {
                    Ok(response) => exchange.answer(&response),
                    Err(_) => exchange.refuse(&internal()),
                }
            }
        }
    }

    /// Does what a command needs besides its request, and what costs by the byte, before the engine's turn.
    fn complete(&self, command: &mut Command) {
        match command {
            Command::Sns(command) => command.read_bodies(&self.body_readers),
            Command::Eventbridge(command) => {
                command.accept_events(self.admin.clock.now(), &mut self.dice.borrow_mut());
            }
            _ => {}
        }
    }

    async fn present(
        &self,
        reply: operations::Reply,
        plan: &operations::Plan,
        base: &str,
        exchange: &Exchange,
        line: &Rc<Line>,
    ) -> Response<Bytes> {
        // The memory for the records, and for the answer built from them.
        let bytes: usize = operations::needs(&reply).iter().map(|extent| extent.len as usize * 2).sum();
        let mut lease = None;
        if bytes > PIECE {
            lease = self.budget.take_of(line.share(), bytes, PATIENCE).await;
            if lease.is_none() {
                // The messages of the lost answer come again after their visibility timeout.
                return no_room(exchange);
            }
        }
        match self.make(reply, plan, base, exchange).await {
            Ok(response) => {
                let mut answer = exchange.answer(&wire::Response::Sqs(response));
                if let Some(lease) = lease {
                    answer.extensions_mut().insert(Arc::new(lease));
                }
                answer
            }
            Err(refusal) => exchange.refuse(&refusal),
        }
    }

    /// Builds the answer of a reply: reads the records that it needs. The caller has reserved the memory.
    pub async fn make(
        &self,
        mut reply: operations::Reply,
        plan: &operations::Plan,
        base: &str,
        exchange: &Exchange,
    ) -> Result<api::sqs::Response, Refusal> {
        let extents = operations::needs(&reply);
        let mut records = Vec::with_capacity(extents.len());
        if !extents.is_empty() {
            let read = self.read(extents).await?;
            let (mut gone, mut damaged) = (Vec::new(), Vec::new());
            for (at, record) in read.into_iter().enumerate() {
                match record {
                    Ok(record) => records.push((record.head, record.tail)),
                    // The message was deleted or written forward in the meantime. It is not returned; if it
                    // still exists, it comes again.
                    Err(ReadError::Gone) => gone.push(at),
                    // The others are returned. The damaged message leaves its queue, so it does not come
                    // again and blocks no other.
                    Err(ReadError::Damaged(damage)) => {
                        self.damages.put(&damage);
                        gone.push(at);
                        damaged.extend(reply.given(at));
                    }
                    Err(error) => {
                        error!(request_id = exchange.request_id, "the answer cannot be read: {error}");
                        return Err(internal());
                    }
                }
            }
            for (queue, seq, at) in damaged {
                let damaged = sqs::Event::Damaged(queue, seq, at);
                self.engine.news(Input::Event(Event::Sqs(damaged)));
            }
            reply.forget(&gone);
        }
        let Some(&secret) = self.secret.get() else { return Err(internal()) };
        // The envelopes of a topic's copies may have to be signed.
        let from_topic = records.iter().any(|(head, _)| is_parcel(head));
        let presented = if from_topic {
            let (plan, base) = (plan.clone(), base.to_owned());
            let present = move |signer: &dyn Signer| {
                let keys = Keys { secret: &secret, signer };
                let materials = Materials { base: &base, keys, records: &records };
                operations::present(reply.clone(), &plan, &materials)
            };
            self.signing.make(present).await
        } else {
            let keys = Keys { secret: &secret, signer: &Unsigned };
            let materials = Materials { base, keys, records: &records };
            Some(operations::present(reply, plan, &materials))
        };
        presented.ok_or_else(internal)?.map_err(|malformed| {
            error!(request_id = exchange.request_id, "the answer cannot be made: {malformed}");
            internal()
        })
    }

    /// Reads records of the log.
    ///
    /// Errors: the server is about to stop.
    pub async fn read(&self, extents: Vec<Extent>) -> Result<Vec<Result<Record, ReadError>>, Refusal> {
        match self.reader.try_read_many(&extents) {
            Ok(read) => Ok(read),
            Err(_) => {
                // The data must come from the disk: not on this thread, because others wait for their
                // answers.
                let reader = self.reader.clone();
                let read = tokio::task::spawn_blocking(move || reader.read_many(&extents)).await;
                read.map_err(|_| internal())
            }
        }
    }

    /// Returns the caller of a request. Credentials are not checked: an access key id of twelve digits is the account.
    ///
    /// An unsigned request names its region, if at all, by its host, such as `sqs.eu-west-1.localhost`.
    pub fn caller(&self, credential: Option<Credential>, asked: &str) -> Caller {
        let signed = credential.is_some();
        let (access_key, region) = match credential {
            Some(credential) => (credential.access_key, credential.region),
            None => (String::new(), String::new()),
        };
        let is_account = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
        let account = if is_account { access_key } else { DEFAULT_ACCOUNT.to_owned() };
        let host = || asked.split_once("://").map_or(asked, |(_, host)| host);
        let region = if region.is_empty() {
            region_of_host(host()).unwrap_or_else(|| self.region.clone())
        } else {
            region
        };
        Caller { principal: account.clone(), account, region, signed }
    }
}

/// Why a body was not read.
enum NotRead {
    /// An HTTP status describes the reason.
    Status(StatusCode),
    /// Other requests have all the memory.
    NoRoom,
}

/// A line of the log for each request, at level `debug`.
fn note(head: &http::request::Parts, response: &Response<Bytes>) {
    debug!(
        method = %head.method,
        path = head.uri.path(),
        operation = text_of(&head.headers, "x-amz-target"),
        status = response.status().as_u16(),
        request_id = text_of(response.headers(), "x-amzn-requestid"),
        "request"
    );
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub fn no_room(exchange: &Exchange) -> Response<Bytes> {
    let text = "The server has no memory left for requests and answers. Try again, or start it with a larger --memory-budget.";
    exchange.refuse(&Refusal::new("ServiceUnavailable", text))
}

pub fn internal() -> Refusal {
    Refusal::new(
        "InternalFailure",
        "The server failed to answer. Its log contains the reason, with this request's id.",
    )
}

fn plain(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
