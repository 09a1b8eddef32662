//! From an HTTP request to a typed one: which protocol, which service, which operation, which shape.
//!
//! The order in which that is decided reproduces AWS without its host names (facts/protocols.md § 3).

mod inflate;
mod rest;

use api::Text;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::cbor::Dialect;
use crate::exchange::{Accept, Exchange, Failure, Protocol};
use crate::form::Form;
use crate::generated::{self, SERVICES};
use crate::rest::Labels;
use crate::signature::Credential;
use crate::{Operation, Request, Service, cbor, json};
use inflate::inflate;

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

/// How the client of a request wants to be answered, as far as its head says.
pub fn exchange_of(head: &Parts, request_id: String) -> Exchange {
    exchange(head, &Headers::of(&head.headers), request_id).0
}

/// The same, and what the labels of a REST operation stand for.
fn exchange<'a>(head: &'a Parts, headers: &Headers<'_>, request_id: String) -> (Exchange, Labels<'a>) {
    let content_type = headers.content_type.unwrap_or_default();
    let mut exchange = Exchange {
        protocol: Protocol::Query,
        service: None,
        operation: None,
        query_mode: headers.query_mode.is_some_and(|mode| mode.trim() == "true"),
        accept: Accept::Json,
        request_id,
        head_only: head.method == Method::HEAD,
    };
    let is_cbor = begins_with(content_type, Dialect::Amz11.media_type());
    if headers.smithy_protocol.is_some_and(|protocol| protocol.trim() == "rpc-v2-cbor") {
        exchange.protocol = Protocol::RpcV2Cbor;
    } else if headers.target.is_some() || begins_with(content_type, "application/x-amz-json-") || is_cbor {
        // Who speaks JSON but names no target wants to be told so in JSON.
        exchange.protocol = match content_type.contains("x-amz-json-1.1") {
            _ if is_cbor => Protocol::Cbor11,
            true => Protocol::Json11,
            false => Protocol::Json10,
        };
    } else if let Some(asked) = rest::asked(head, headers) {
        exchange.protocol = Protocol::RestJson;
        exchange.service = Some(asked.service);
        exchange.operation = asked.operation;
        return (exchange, asked.labels);
    } else {
        exchange.query_mode = true;
        if !headers.accept.unwrap_or_default().contains("application/json") {
            exchange.accept = Accept::Xml;
        }
    }
    (exchange, Labels::default())
}

/// Understands a request. `request_id` is how this exchange will be called in the answer.
pub fn decode(head: &Parts, body: Bytes, request_id: String) -> Result<Decoded, Box<Failure>> {
    let headers = Headers::of(&head.headers);
    let (exchange, labels) = exchange(head, &headers, request_id);
    match exchange.protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::Cbor11 => {
            decode_target(head, &headers, body, exchange)
        }
        Protocol::RpcV2Cbor => decode_rpc(head, &headers, body, exchange),
        Protocol::RestJson => rest::decode(head, &headers, labels, body, exchange),
        Protocol::Query => {
            let body = if is_form(&headers) { body } else { Bytes::new() };
            decode_query(head, &headers, body, exchange)
        }
    }
}

fn is_form(headers: &Headers<'_>) -> bool {
    begins_with(headers.content_type.unwrap_or_default(), "application/x-www-form-urlencoded")
}

/// A request whose operation the header `X-Amz-Target` names.
fn decode_target(
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
    let speaks = |service: &Service| exchange.protocol != Protocol::Cbor11 || service.speaks_cbor;
    exchange.operation = found.filter(|(service, _)| speaks(service)).and_then(|(service, is_addition)| {
        Operation::from_name(service, name).filter(|operation| operation.is_addition() == is_addition)
    });
    if exchange.operation.is_none() {
        // AWS says nothing more where the service is right. Where it is not, this can only be us.
        let message = match service {
            None if !prefix.is_empty() => {
                format!("No service with the target prefix {prefix} is served here")
            }
            _ => String::new(),
        };
        return Err(Failure::new(exchange, "UnknownOperationException", message));
    }
    decode_document(head, headers, body, exchange)
}

/// A request of Smithy's RPC v2: `…/service/SERVICE/operation/OPERATION`.
fn decode_rpc(
    head: &Parts,
    headers: &Headers<'_>,
    body: Bytes,
    mut exchange: Exchange,
) -> Result<Decoded, Box<Failure>> {
    // Smithy's specification: a request that names an operation in both ways must be refused.
    let is_rpc = headers.target.is_none() && head.method == Method::POST;
    let mut pieces = head.uri.path().rsplitn(5, '/').filter(|_| is_rpc);
    if let (Some(operation), Some("operation"), Some(service), Some("service")) =
        (pieces.next(), pieces.next(), pieces.next(), pieces.next())
    {
        // A service may be named with its name space.
        let name = service.rsplit(['.', '#']).next();
        exchange.service =
            SERVICES.iter().copied().find(|service| service.rpc_name.is_some() && service.rpc_name == name);
        exchange.operation = exchange
            .service
            .and_then(|service| Operation::from_name(service, operation))
            .filter(|operation| !operation.is_addition());
    }
    if exchange.operation.is_none() {
        return Err(Failure::new(exchange, "UnknownOperationException", String::new()));
    }
    decode_document(head, headers, body, exchange)
}

/// A request whose input is the document in its body.
fn decode_document(
    head: &Parts,
    headers: &Headers<'_>,
    body: Bytes,
    exchange: Exchange,
) -> Result<Decoded, Box<Failure>> {
    let body = inflate(headers.content_encoding, body).map_err(|why| why.failure(&exchange))?;
    let malformed = |message: String| Failure::new(exchange.clone(), "SerializationException", message);
    let request = match (exchange.operation, exchange.protocol.dialect()) {
        (None, _) => None,
        (Some(operation), None) => {
            let document = Text::try_from(body).map_err(|_| malformed(String::new()))?;
            generated::read_json(operation, &mut json::Reader::new(&document))
        }
        (Some(operation), Some(dialect)) => {
            generated::read_cbor(operation, &mut cbor::Reader::new(&body, dialect))
        }
    };
    let Some(request) = request else {
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
    smithy_protocol: Option<&'a str>,
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
                "smithy-protocol" => &mut found.smithy_protocol,
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
