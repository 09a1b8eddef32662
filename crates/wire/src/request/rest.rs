//! Requests of restJson1: which service's which operation a method and a path mean.

use bytes::Bytes;
use http::request::Parts;

use super::inflate::inflate;
use super::{Decoded, Headers, is_form};
use crate::exchange::{Exchange, Failure};
use crate::form::Form;
use crate::generated::{self, SERVICES};
use crate::rest::{self, Labels, Path};
use crate::signature::Credential;
use crate::{Operation, Service};

/// What is asked for in restJson1.
pub(super) struct Asked<'a> {
    /// Of which service.
    pub(super) service: &'static Service,
    /// Which operation; none if the service that the signature names has no such path.
    pub(super) operation: Option<Operation>,
    /// What the operation's labels stand for.
    pub(super) labels: Labels<'a>,
}

/// What a head asks for in restJson1; none if it belongs to another protocol.
pub(super) fn asked<'a>(head: &'a Parts, headers: &Headers<'_>) -> Option<Asked<'a>> {
    let services = || SERVICES.iter().copied().filter(|service| !service.routes.is_empty());
    services().next()?;
    let query = head.uri.query().unwrap_or_default();
    if is_form(headers) || query.split('&').any(|pair| pair.starts_with("Action=")) {
        return None;
    }
    let path = Path::new(head.uri.path());
    let route = |service: &'static Service| {
        service.routes.iter().find_map(|route| {
            let labels = route.labels(&head.method, &path, query)?;
            Some((Operation::from_name(service, route.operation), labels))
        })
    };
    let signed_for = Credential::of(headers.authorization, Form::parse(query, "").ok().as_ref());
    let signed_for = signed_for.map(|credential| credential.service);
    if let Some(service) = services().find(|service| Some(service.signing_name) == signed_for.as_deref()) {
        let (operation, labels) = route(service).unwrap_or_default();
        return Some(Asked { service, operation, labels });
    }
    // Several services have `/tags/ARN`; the ARN says whose it is (facts/protocols.md § 3).
    let owner = path.pieces().iter().find_map(|piece| owner(piece));
    let mut able = services().filter_map(|service| route(service).map(|found| (service, found)));
    let first = able.next()?;
    let is_owner = |service: &Service| owner.as_deref() == Some(service.name);
    let owned = if is_owner(first.0) { None } else { able.find(|(service, _)| is_owner(service)) };
    let (service, (operation, labels)) = owned.unwrap_or(first);
    Some(Asked { service, operation, labels })
}

/// The service in an ARN that is a piece of a path.
fn owner(piece: &str) -> Option<String> {
    let arn = rest::unescape(piece)?;
    arn.strip_prefix("arn:")?.split(':').nth(1).map(str::to_owned)
}

/// Reads a request from its places.
pub(super) fn decode(
    head: &Parts,
    headers: &Headers<'_>,
    labels: Labels<'_>,
    body: Bytes,
    exchange: Exchange,
) -> Result<Decoded, Box<Failure>> {
    let body = inflate(headers.content_encoding, body).map_err(|why| why.failure(&exchange))?;
    let malformed = |message: String| Failure::new(exchange.clone(), "SerializationException", message);
    let query = Form::parse(head.uri.query().unwrap_or_default(), "");
    let query = query.map_err(|fault| malformed(fault.to_string()))?;
    let places = rest::Request { labels, query: &query, headers: &head.headers, body };
    let request = exchange.operation.and_then(|operation| generated::read_rest(operation, &places));
    let Some(request) = request else {
        return Err(Failure::new(exchange, "UnknownOperationException", String::new()));
    };
    Ok(Decoded {
        request: request.map_err(|fault| malformed(fault.to_string()))?,
        credential: Credential::of(headers.authorization, Some(&query)),
        trace_header: headers.trace_header(),
        exchange,
    })
}
