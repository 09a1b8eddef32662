//! One HTTP request: understood, decided, answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use journal::{ReadError, Reader};
use kernel::parcel::PARCEL_SENT;
use kernel::{Caller, Dice, Refusal, Secret, uuid_text};
use machine::{Command, Reply};
use notification::{Keys, SignatureVersion, Signer};
use sqs::operations::{self, Plan};
use sqs::rules::names::region_of_host;
use wire::{Credential, Decoded, Exchange};

use crate::admin::Admin;
use crate::engine::Handle;
use crate::mailbox::{Tickets, ask};
use crate::signing::Signing;

/// A body beyond this is refused: a batch of 1 MiB can be six times as long in JSON, and base64 adds a third.
const BODY_BYTES: usize = 16 << 20;

/// A client that has not sent its whole body after so long is let go.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The account of whoever does not say another.
pub const DEFAULT_ACCOUNT: &str = "000000000000";

/// What all requests of an HTTP thread share.
pub struct Desk {
    /// The way to the engine.
    pub engine: Handle,
    /// This thread's requests that wait.
    pub tickets: Tickets,
    /// Reads message bodies.
    pub reader: Reader,
    /// From which message ids are made; set before the first request is let in.
    pub secret: Arc<OnceLock<Secret>>,
    /// Signs what topics send.
    pub signing: Arc<Signing>,
    /// The URL under which others reach this server, if it was told; else it is taken from each request.
    pub public_url: Option<String>,
    /// The region of requests that are not signed.
    pub region: String,
    /// What is not AWS's.
    pub admin: Rc<Admin>,
    /// For request ids, which need to be different, not secret.
    pub dice: RefCell<Dice>,
}

impl Desk {
    /// Answers a request.
    pub async fn serve(self: Rc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let allow_origin = request.headers().contains_key(header::ORIGIN);
        let mut response = self.route(request).await;
        // The toolkit's consumers know by it that they may ask for what AWS does not have.
        response.headers_mut().insert(header::SERVER, HeaderValue::from_static("posthaste"));
        if allow_origin {
            cors(response.headers_mut());
        }
        response.map(Full::new)
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        if head.method == Method::OPTIONS {
            return preflight(&head.headers);
        }
        let body = match self.read_body(body).await {
            Ok(body) => body,
            Err(status) => {
                return plain(status, "The request body is too large, or did not arrive in time.\n");
            }
        };
        let path = head.uri.path();
        if path.starts_with("/_posthaste/") || path.starts_with("/_localstack/") {
            return self.admin.serve(&head.method, path, head.uri.query().unwrap_or_default(), &body).await;
        }
        if path.starts_with("/SimpleNotificationService-") {
            return self.certificate(path);
        }
        let request_id = self.request_id();
        match wire::decode(&head, body, request_id) {
            Err(failure) => failure.answer(),
            Ok(decoded) => {
                let base = base_url(&head);
                self.carry_out(decoded, &base).await
            }
        }
    }

    /// The certificate with which receivers of notifications check their signatures.
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

    async fn read_body(&self, body: Incoming) -> Result<Bytes, StatusCode> {
        // A body that says that it is too long is refused before it is read.
        if body.size_hint().lower() > BODY_BYTES as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let whole = Limited::new(body, BODY_BYTES).collect();
        match tokio::time::timeout(BODY_TIMEOUT, whole).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        }
    }

    fn request_id(&self) -> String {
        let mut dice = self.dice.borrow_mut();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&dice.roll().to_le_bytes());
        bytes[8..].copy_from_slice(&dice.roll().to_le_bytes());
        uuid_text(bytes)
    }

    async fn carry_out(&self, decoded: Decoded, base: &str) -> Response<Bytes> {
        let Decoded { request, exchange, credential, trace_header } = decoded;
        let caller = self.caller(credential, base);
        match request {
            wire::Request::Sqs(request) => {
                let (command, plan) = match operations::prepare(request, &caller, trace_header) {
                    Ok(prepared) => prepared,
                    Err(refusal) => return exchange.refuse(&refusal),
                };
                match ask(&self.engine, &self.tickets, Command::Sqs(command)).await {
                    Ok(Reply::Sqs(reply)) => self.present(reply, &plan, base, &exchange).await,
                    Ok(Reply::Sns(_)) => exchange.refuse(&internal()),
                    Err(refusal) => exchange.refuse(&refusal),
                }
            }
            wire::Request::Sns(request) => {
                self.signing.prepare();
                let base = self.public_url.as_deref().unwrap_or(base);
                let prepared = sns::operations::prepare(request, &caller, base, trace_header.as_ref());
                let (command, plan) = match prepared {
                    Ok(prepared) => prepared,
                    Err(refusal) => return exchange.refuse(&refusal),
                };
                let reply = match ask(&self.engine, &self.tickets, Command::Sns(command)).await {
                    Ok(Reply::Sns(reply)) => reply,
                    Ok(Reply::Sqs(_)) => return exchange.refuse(&internal()),
                    Err(refusal) => return exchange.refuse(&refusal),
                };
                let answer =
                    self.secret.get().and_then(|secret| sns::operations::present(reply, &plan, secret));
                match answer {
                    Some(response) => exchange.answer(&wire::Response::Sns(response)),
                    None => exchange.refuse(&internal()),
                }
            }
        }
    }

    async fn present(
        &self,
        mut reply: operations::Reply,
        plan: &Plan,
        base: &str,
        exchange: &Exchange,
    ) -> Response<Bytes> {
        let extents = operations::needs(&reply);
        let mut records = Vec::with_capacity(extents.len());
        if !extents.is_empty() {
            let read = match self.reader.try_read_many(&extents) {
                Ok(read) => read,
                Err(_) => {
                    // The disk has to be asked: not on this thread, where others wait for their answers.
                    let reader = self.reader.clone();
                    match tokio::task::spawn_blocking(move || reader.read_many(&extents)).await {
                        Ok(read) => read,
                        Err(_) => return exchange.refuse(&internal()),
                    }
                }
            };
            let mut gone = Vec::new();
            for (at, record) in read.into_iter().enumerate() {
                match record {
                    Ok(record) => records.push((record.head, record.tail)),
                    // Deleted in the meantime, or written elsewhere: it is not given, and if it lives it comes again.
                    Err(ReadError::Gone) => gone.push(at),
                    Err(error) => {
                        eprintln!("posthaste: request {}: {error}", exchange.request_id);
                        return exchange.refuse(&internal());
                    }
                }
            }
            reply.forget(&gone);
        }
        let Some(&secret) = self.secret.get() else { return exchange.refuse(&internal()) };
        // What copies of a topic's message are read in may have to be signed.
        let from_topic = records.iter().any(|(head, _)| head.first() == Some(&PARCEL_SENT));
        let presented = if from_topic {
            let (plan, base) = (plan.clone(), base.to_owned());
            let present = move |signer: &dyn Signer| {
                let keys = Keys { secret: &secret, signer };
                operations::present(reply.clone(), &plan, &base, &keys, &records)
            };
            self.signing.make(present).await
        } else {
            let keys = Keys { secret: &secret, signer: &Unsigned };
            Some(operations::present(reply, plan, base, &keys, &records))
        };
        let Some(presented) = presented else { return exchange.refuse(&internal()) };
        match presented {
            Ok(response) => exchange.answer(&wire::Response::Sqs(response)),
            Err(malformed) => {
                eprintln!("posthaste: request {}: {malformed}", exchange.request_id);
                exchange.refuse(&internal())
            }
        }
    }

    /// In the local posture whoever says an account is believed: twelve digits as the access key's id.
    ///
    /// Who does not sign says a region by the host that he asks, such as `sqs.eu-west-1.localhost`, if by anything.
    fn caller(&self, credential: Option<Credential>, base: &str) -> Caller {
        let signed = credential.is_some();
        let (access_key, region) = match credential {
            Some(credential) => (credential.access_key, credential.region),
            None => (String::new(), String::new()),
        };
        let is_account = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
        let account = if is_account { access_key } else { DEFAULT_ACCOUNT.to_owned() };
        let host = || base.split_once("://").map_or(base, |(_, host)| host);
        let region = if region.is_empty() {
            region_of_host(host()).unwrap_or_else(|| self.region.clone())
        } else {
            region
        };
        Caller { principal: account.clone(), account, region, signed }
    }
}

/// For what has nothing to be signed.
struct Unsigned;

impl Signer for Unsigned {
    fn sign(&self, _: SignatureVersion, _: &str) -> String {
        String::new()
    }

    fn certificate_name(&self) -> String {
        String::new()
    }
}

fn internal() -> Refusal {
    Refusal::new("InternalFailure", "The server failed to answer. Its log says why, by this request's id.")
}

/// The URL under which the client reached this server, so that queue URLs work where the client is.
fn base_url(head: &http::request::Parts) -> String {
    let host = head
        .uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| head.headers.get(header::HOST)?.to_str().ok())
        .filter(|host| !host.is_empty())
        .unwrap_or("localhost");
    let forwarded = head.headers.get("x-forwarded-proto").and_then(|proto| proto.to_str().ok());
    let scheme = if forwarded == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}

fn plain(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What a browser wants to know before it sends a request from another origin.
fn preflight(headers: &HeaderMap) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    cors(response.headers_mut());
    let out = response.headers_mut();
    out.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("HEAD,GET,PUT,POST,DELETE,OPTIONS,PATCH"),
    );
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    out.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(HeaderValue::from_static("*")));
    out.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("172800"));
    response
}

fn cors(headers: &mut HeaderMap) {
    const EXPOSED: &str = "x-amzn-requestid,x-amzn-query-error,x-amzn-errortype,date,content-length";
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
