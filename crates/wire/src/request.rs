//! From an HTTP request to a typed one: which protocol, which service, which operation, which shape.
//!
//! The order in which that is decided reproduces AWS without its host names (facts/protocols.md § 3).

use std::io::Read;

use api::Text;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, header};

use crate::exchange::{Accept, Exchange, Failure, Protocol};
use crate::form::{Form, Scope};
use crate::generated;
use crate::json;
use crate::signature::Credential;
use crate::{Operation, Request};

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

/// Understands a request. `request_id` is how this exchange will be called in the answer.
pub fn decode(head: &Parts, body: Bytes, request_id: String) -> Result<Decoded, Box<Failure>> {
    let body = inflate(&head.headers, body).map_err(|why| fail(Protocol::Json10, &request_id, why))?;
    if let Some(target) = text_header(&head.headers, "x-amz-target") {
        return decode_json(head, body, request_id, target);
    }
    let is_form = text_header(&head.headers, header::CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.trim_start().starts_with("application/x-www-form-urlencoded"));
    let query = head.uri.query().unwrap_or_default();
    let form = if is_form || head.method == Method::GET || !query.is_empty() {
        let body = if is_form { std::str::from_utf8(&body).unwrap_or_default() } else { "" };
        Form::parse(query, body)
    } else {
        Form::default()
    };
    decode_query(head, form, request_id)
}

/// Why a request was not understood, before it is known how to say it.
type Why = (&'static str, String);

fn fail(protocol: Protocol, request_id: &str, (shape, message): Why) -> Box<Failure> {
    Box::new(Failure::new(Exchange::unknown(protocol, request_id.to_owned()), shape, message))
}

fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn inflate(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Why> {
    match text_header(headers, header::CONTENT_ENCODING.as_str()).map(str::trim) {
        None | Some("" | "identity" | "aws-chunked") => Ok(body),
        Some("gzip") => {
            let mut inflated = Vec::new();
            let mut reader = flate2::read::MultiGzDecoder::new(&body[..]).take(INFLATED_BYTES + 1);
            reader
                .read_to_end(&mut inflated)
                .map_err(|_| ("SerializationException", "The request body is not valid gzip".to_owned()))?;
            if inflated.len() as u64 > INFLATED_BYTES {
                return Err((
                    "RequestEntityTooLarge",
                    "The request body is too large once it is inflated".into(),
                ));
            }
            Ok(inflated.into())
        }
        Some(other) => {
            Err(("SerializationException", format!("The content encoding {other} is not supported; gzip is")))
        }
    }
}

fn decode_json(head: &Parts, body: Bytes, request_id: String, target: &str) -> Result<Decoded, Box<Failure>> {
    let content_type = text_header(&head.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let protocol = if content_type.contains("x-amz-json-1.1") { Protocol::Json11 } else { Protocol::Json10 };
    // The operation's name is what follows the last dot.
    let (prefix, name) = target.rsplit_once('.').unwrap_or(("", target));
    let operation = match prefix {
        "AmazonSQS" => api::sqs::Operation::from_name(name).map(Operation::Sqs),
        _ => None,
    };
    let Some(operation) = operation else {
        let message = match prefix {
            "AmazonSQS" => String::new(),
            other => format!("No service with the target prefix {other} is served here; AmazonSQS is"),
        };
        return Err(fail(protocol, &request_id, ("UnknownOperationException", message)));
    };
    let exchange = Exchange {
        protocol,
        operation: Some(operation),
        query_mode: text_header(&head.headers, "x-amzn-query-mode").is_some_and(|mode| mode.trim() == "true"),
        accept: Accept::Json,
        request_id,
        head_only: head.method == Method::HEAD,
    };
    let failure =
        |message: String| Box::new(Failure::new(exchange.clone(), "SerializationException", message));
    let document = Text::try_from(body).map_err(|_| failure("The request body is not valid UTF-8".into()))?;
    let mut reader = json::Reader::new(&document);
    let request = match operation {
        Operation::Sqs(operation) => generated::sqs::read_json(operation, &mut reader).map(Request::Sqs),
    };
    Ok(Decoded {
        request: request.map_err(|fault| failure(fault.to_string()))?,
        credential: Credential::of(&head.headers, None),
        trace_header: trace_header(&head.headers),
        exchange,
    })
}

fn trace_header(headers: &HeaderMap) -> Option<Text> {
    text_header(headers, "x-amzn-trace-id").filter(|header| !header.is_empty()).map(Text::from)
}

fn decode_query(head: &Parts, mut form: Form, request_id: String) -> Result<Decoded, Box<Failure>> {
    let accept = match text_header(&head.headers, header::ACCEPT.as_str()) {
        Some(accept) if accept.contains("application/json") => Accept::Json,
        _ => Accept::Xml,
    };
    let path = head.uri.path();
    let is_queue_path = path.trim_matches('/').contains('/');
    let mut exchange = Exchange {
        protocol: Protocol::Query,
        operation: None,
        query_mode: true,
        accept,
        request_id,
        head_only: head.method == Method::HEAD,
    };
    let Some(action) = form.get("Action").filter(|action| !action.is_empty()).cloned() else {
        return Err(Box::new(Failure::bare_unknown_operation(exchange)));
    };
    let operation = api::sqs::Operation::from_name(&action);
    // These are asked of the service, not of a queue (facts/sqs.md § 12).
    let of_service =
        matches!(operation, Some(api::sqs::Operation::CreateQueue | api::sqs::Operation::ListQueues));
    let Some(operation) = operation.filter(|_| !(of_service && is_queue_path)) else {
        let message = format!("The action {action} is not valid for this endpoint.");
        return Err(Box::new(Failure::new(exchange, "InvalidAction", message)));
    };
    exchange.operation = Some(Operation::Sqs(operation));
    if is_queue_path {
        // A queue URL in the parameters outdoes the one that was asked.
        form.set_default("QueueUrl", path.into());
    }
    let credential = Credential::of(&head.headers, Some(&form));
    let scope: Scope<'_> = form.scope();
    let request = generated::sqs::read_form(operation, &scope).map_err(|fault| {
        let message = format!(
            "Value for parameter {} is invalid. Reason: Must be {}.",
            fault.parameter, fault.expected
        );
        Box::new(Failure::new(exchange.clone(), "InvalidParameterValueException", message))
    })?;
    Ok(Decoded {
        request: Request::Sqs(request),
        exchange,
        credential,
        trace_header: trace_header(&head.headers),
    })
}
