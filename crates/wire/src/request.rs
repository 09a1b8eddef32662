//! From an HTTP request to a typed one: which protocol, which service, which operation, which shape.
//!
//! The order in which that is decided reproduces AWS without its host names (facts/protocols.md § 3).

use std::io::Read;

use api::Text;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::exchange::{Accept, Exchange, Failure, Protocol};
use crate::form::Form;
use crate::generated::{self, SERVICES};
use crate::signature::Credential;
use crate::{Operation, Request, Service, json};

/// A request that has been understood.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// What is asked for.
    pub request: Request,
    /// How the client wants to be answered.
    pub exchange: Exchange,
    /// Who signed it; `None` if nobody did.
    pub credential: Option<Credential>,
    /// The header `X-Amzn-Trace-Id`.
    pub trace_header: Option<Text>,
}

/// Bytes that a compressed body may become at the most. A message of 1 MiB can be six times as long in JSON.
const INFLATED_BYTES: u64 = 16 << 20;

/// How the client of a request wants to be answered, as far as its head says.
pub fn exchange_of(head: &Parts, request_id: String) -> Exchange {
    exchange(head, &Headers::of(&head.headers), request_id)
}

fn exchange(head: &Parts, headers: &Headers<'_>, request_id: String) -> Exchange {
    let content_type = headers.content_type.unwrap_or_default();
    let head_only = head.method == Method::HEAD;
    // Who speaks JSON but names no target wants to be told so in JSON.
    if headers.target.is_some() || begins_with(content_type, "application/x-amz-json-") {
        let is_11 = content_type.contains("x-amz-json-1.1");
        return Exchange {
            protocol: if is_11 { Protocol::Json11 } else { Protocol::Json10 },
            service: None,
            operation: None,
            query_mode: headers.query_mode.is_some_and(|mode| mode.trim() == "true"),
            accept: Accept::Json,
            request_id,
            head_only,
        };
    }
    let accept = headers.accept.unwrap_or_default();
    Exchange {
        protocol: Protocol::Query,
        service: None,
        operation: None,
        query_mode: true,
        accept: if accept.contains("application/json") { Accept::Json } else { Accept::Xml },
        request_id,
        head_only,
    }
}

/// Understands a request. `request_id` is how this exchange will be called in the answer.
pub fn decode(head: &Parts, body: Bytes, request_id: String) -> Result<Decoded, Box<Failure>> {
    let headers = Headers::of(&head.headers);
    let exchange = exchange(head, &headers, request_id);
    if exchange.protocol != Protocol::Query {
        return decode_json(head, &headers, body, exchange);
    }
    let is_form = begins_with(headers.content_type.unwrap_or_default(), "application/x-www-form-urlencoded");
    decode_query(head, &headers, if is_form { body } else { Bytes::new() }, exchange)
}

fn decode_json(
    head: &Parts,
    headers: &Headers<'_>,
    body: Bytes,
    mut exchange: Exchange,
) -> Result<Decoded, Box<Failure>> {
    let target = headers.target.unwrap_or_default();
    // The operation's name is what follows the last dot.
    let (prefix, name) = target.rsplit_once('.').unwrap_or(("", target));
    let found = SERVICES.iter().copied().find_map(|service| {
        let is_addition = service.additions_target == Some(prefix);
        (is_addition || service.json_target == Some(prefix)).then_some((service, is_addition))
    });
    let service = found.map(|(service, _)| service);
    exchange.service = service;
    exchange.operation = found.and_then(|(service, is_addition)| {
        Operation::from_name(service, name).filter(|operation| operation.is_addition() == is_addition)
    });
    let Some(operation) = exchange.operation else {
        // AWS says nothing more where the service is right. Where it is not, this can only be us.
        let message = match service {
            None if !prefix.is_empty() => {
                format!("No service with the target prefix {prefix} is served here")
            }
            _ => String::new(),
        };
        return Err(Failure::new(exchange, "UnknownOperationException", message));
    };
    let body = inflate(headers.content_encoding, body).map_err(|why| why.failure(&exchange))?;
    let malformed = |message: String| Failure::new(exchange.clone(), "SerializationException", message);
    let document = Text::try_from(body).map_err(|_| malformed(String::new()))?;
    let Some(request) = generated::read_json(operation, &mut json::Reader::new(&document)) else {
        return Err(Failure::new(exchange, "UnknownOperationException", String::new()));
    };
    let request = request.map_err(|fault| malformed(fault.to_string()))?;
    // A presigned request has its credential in the URL.
    let presigned = head.uri.query().and_then(|query| Form::parse(query, "").ok());
    Ok(Decoded {
        request,
        credential: Credential::of(headers.authorization, presigned.as_ref()),
        trace_header: headers.trace_header(),
        exchange,
    })
}

fn decode_query(
    head: &Parts,
    headers: &Headers<'_>,
    body: Bytes,
    mut exchange: Exchange,
) -> Result<Decoded, Box<Failure>> {
    let body = inflate(headers.content_encoding, body).map_err(|why| why.failure(&exchange))?;
    let form =
        std::str::from_utf8(&body).map_err(|_| "The request body is not UTF-8".to_owned()).and_then(|body| {
            Form::parse(head.uri.query().unwrap_or_default(), body).map_err(|fault| fault.to_string())
        });
    let mut form = match form {
        Ok(form) => form,
        Err(message) => return Err(Failure::new(exchange, "SerializationException", message)),
    };
    let Some(action) = form.get("Action").filter(|action| !action.is_empty()).cloned() else {
        return Err(Failure::bare_unknown_operation(exchange));
    };
    let path = head.uri.path();
    let is_queue_path = path.trim_matches('/').contains('/');
    let credential = Credential::of(headers.authorization, Some(&form));
    let version = form.get("Version");
    exchange.service = service_of_query(credential.as_ref(), version, &action, is_queue_path);
    let Some(service) = exchange.service else {
        // Of services that are not served here.
        let version = version.map_or("", |version| version);
        let message = format!("Could not find operation {action} for version {version}");
        return Err(Failure::new(exchange, "InvalidAction", message));
    };
    let of_queue = service.name == "sqs" && is_queue_path;
    // These are asked of the service, not of a queue (facts/sqs.md § 12).
    let of_service = matches!(&*action, "CreateQueue" | "ListQueues");
    // What AWS does not have is asked for in JSON alone, under a name space of its own.
    exchange.operation = Operation::from_name(service, &action)
        .filter(|operation| !(operation.is_addition() || of_queue && of_service));
    if of_queue {
        // A queue URL in the parameters outdoes the one that was asked.
        form.set_default("QueueUrl", path.into());
    }
    let request = exchange.operation.and_then(|operation| generated::read_form(operation, &form.scope()));
    match request {
        Some(Ok(request)) => {
            Ok(Decoded { request, exchange, credential, trace_header: headers.trace_header() })
        }
        Some(Err(fault)) => Err(Failure::new(exchange, "SerializationException", fault.to_string())),
        None => {
            // facts/sqs.md § 12, facts/sns.md § 6
            let message = match service.name {
                "sqs" => format!("The action {action} is not valid for this endpoint."),
                _ => format!("Could not find operation {action} for version {}", service.version),
            };
            Err(Failure::new(exchange, "InvalidAction", message))
        }
    }
}

/// Which service a query means: that for which it is signed, that of which it names the version, that of the queue, or
/// the only one that has such an action (links in SNS's messages are neither signed nor do they name a version).
fn service_of_query(
    credential: Option<&Credential>,
    version: Option<&Text>,
    action: &str,
    is_queue_path: bool,
) -> Option<&'static Service> {
    let services = || SERVICES.iter().copied().filter(|service| service.speaks_query);
    let signed = credential.map(|credential| credential.service.as_str());
    services()
        .find(|service| Some(service.signing_name) == signed)
        .or_else(|| services().find(|service| version.is_some_and(|version| *version == service.version)))
        .or_else(|| {
            let knows = |service: &&Service| {
                Operation::from_name(service, action).is_some_and(|operation| !operation.is_addition())
            };
            let mut able = services().filter(knows);
            let only = able.next().filter(|_| version.is_none() && !is_queue_path);
            only.filter(|_| able.next().is_none())
        })
        // Who says neither asks by hand: of a queue, or of the service that has queues.
        .or_else(|| services().find(|service| service.name == "sqs" && (is_queue_path || version.is_none())))
}

/// The headers that matter here; of several of one name the first.
#[derive(Default)]
struct Headers<'a> {
    target: Option<&'a str>,
    content_type: Option<&'a str>,
    content_encoding: Option<&'a str>,
    accept: Option<&'a str>,
    query_mode: Option<&'a str>,
    trace_id: Option<&'a str>,
    authorization: Option<&'a str>,
}

impl<'a> Headers<'a> {
    /// Finds them in one go, which is cheaper than to ask for each: a request has about ten.
    fn of(headers: &'a HeaderMap) -> Self {
        let mut found = Headers::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "x-amz-target" => &mut found.target,
                "content-type" => &mut found.content_type,
                "content-encoding" => &mut found.content_encoding,
                "accept" => &mut found.accept,
                "x-amzn-query-mode" => &mut found.query_mode,
                "x-amzn-trace-id" => &mut found.trace_id,
                "authorization" => &mut found.authorization,
                _ => continue,
            };
            *place = place.or(value.to_str().ok());
        }
        found
    }

    fn trace_header(&self) -> Option<Text> {
        self.trace_id.filter(|id| !id.is_empty()).map(Text::from)
    }
}

fn begins_with(text: &str, beginning: &str) -> bool {
    text.trim_start().get(..beginning.len()).is_some_and(|text| text.eq_ignore_ascii_case(beginning))
}

/// Why a body could not be inflated.
enum NotInflated {
    Damaged,
    TooLarge,
    Unsupported(String),
}

impl NotInflated {
    fn failure(self, exchange: &Exchange) -> Box<Failure> {
        let (shape, message) = match self {
            NotInflated::Damaged => {
                ("SerializationException", "The request body is not valid gzip".to_owned())
            }
            NotInflated::TooLarge => {
                ("RequestEntityTooLarge", "The request body is too large once it is inflated".to_owned())
            }
            NotInflated::Unsupported(encoding) => (
                "SerializationException",
                format!("The content encoding {encoding} is not supported; gzip is"),
            ),
        };
        Failure::new(exchange.clone(), shape, message)
    }
}

fn inflate(content_encoding: Option<&str>, body: Bytes) -> Result<Bytes, NotInflated> {
    match content_encoding.map(str::trim) {
        None | Some("" | "identity") => Ok(body),
        Some(encoding) if encoding.eq_ignore_ascii_case("gzip") => {
            let mut inflated = Vec::new();
            let mut reader = flate2::read::MultiGzDecoder::new(&body[..]).take(INFLATED_BYTES + 1);
            reader.read_to_end(&mut inflated).map_err(|_| NotInflated::Damaged)?;
            if inflated.len() as u64 > INFLATED_BYTES {
                Err(NotInflated::TooLarge)
            } else {
                Ok(inflated.into())
            }
        }
        Some(other) => Err(NotInflated::Unsupported(other.to_owned())),
    }
}
