//! How one client wants to be answered, and the answer: bodies, headers, statuses, in its protocol.

mod refuse;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use kernel::Refusal;

use crate::cbor::{self, Dialect};
use crate::eventstream::{self, Event, FrameFault, WriteEvent};
use crate::{Operation, Service, generated, json, xml};

/// The protocols that are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// awsJson 1.0.
    Json10,
    /// awsJson 1.1.
    Json11,
    /// awsJson 1.1 with CBOR in the place of JSON, as Kinesis is spoken by Java's SDKs.
    Cbor11,
    /// Smithy's RPC v2 with CBOR.
    RpcV2Cbor,
    /// restJson1.
    RestJson,
    /// awsQuery.
    Query,
}

impl Protocol {
    /// In which CBOR documents are written; none if they are written in JSON or XML.
    pub(crate) fn dialect(self) -> Option<Dialect> {
        match self {
            Protocol::Cbor11 => Some(Dialect::Amz11),
            Protocol::RpcV2Cbor => Some(Dialect::RpcV2),
            _ => None,
        }
    }
}

/// In which form the query protocol is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Accept {
    Xml,
    Json,
}

/// How one request is to be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// In which protocol.
    pub protocol: Protocol,
    /// Of which service something was asked for, if that is known.
    pub service: Option<&'static Service>,
    /// Which operation was asked for, if that is known.
    pub operation: Option<Operation>,
    /// Whether the client wants statuses and codes as the query protocol has them (`x-amzn-query-mode`).
    pub query_mode: bool,
    pub(crate) accept: Accept,
    /// What the exchange is called in logs and answers.
    pub request_id: String,
    pub(crate) head_only: bool,
}

/// A request that was not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    exchange: Exchange,
    refusal: Refusal,
    /// No message, no envelope: how AWS answers a visit to a queue URL without an action.
    bare: bool,
}

impl Failure {
    pub(crate) fn new(exchange: Exchange, shape: &'static str, message: String) -> Box<Self> {
        Box::new(Failure { exchange, refusal: Refusal::new(shape, message), bare: false })
    }

    pub(crate) fn bare_unknown_operation(exchange: Exchange) -> Box<Self> {
        Box::new(Failure { exchange, refusal: Refusal::new("UnknownOperationException", ""), bare: true })
    }

    /// The answer to it.
    pub fn answer(&self) -> Response<Bytes> {
        if self.bare {
            // facts/sqs.md § 12: 404, and XML whatever the client accepts.
            let body = "<UnknownOperationException/>\n";
            return self.exchange.respond(StatusCode::NOT_FOUND, Some("text/xml"), body.into());
        }
        self.exchange.refuse(&self.refusal)
    }
}

impl Exchange {
    /// The answer that carries what was asked for; if events follow it, the answer is their beginning.
    pub fn answer(&self, response: &crate::Response) -> Response<Bytes> {
        let operation = response.operation();
        match (self.protocol, self.accept) {
            (Protocol::Json10 | Protocol::Json11 | Protocol::Cbor11 | Protocol::RpcV2Cbor, _) => {
                self.answer_with_document(response)
            }
            (Protocol::RestJson, _) => self.answer_in_places(response),
            (Protocol::Query, Accept::Xml) => {
                let name = operation.name();
                let mut xml = xml::Writer::default();
                xml.raw("<?xml version=\"1.0\"?>");
                xml.raw(&format!("<{name}Response xmlns=\"{}\">", operation.service().xml_namespace));
                if operation.has_output() {
                    xml.element(&format!("{name}Result"), |xml| generated::write_xml(response, xml));
                }
                xml.element("ResponseMetadata", |xml| {
                    xml.element("RequestId", |xml| xml.text(&self.request_id))
                });
                xml.raw(&format!("</{name}Response>"));
                self.respond(StatusCode::OK, Some("text/xml"), xml.finish().into())
            }
            (Protocol::Query, Accept::Json) => {
                let name = operation.name();
                let mut writer = json::Writer::in_query_manner();
                writer.raw(&format!("{{\"{name}Response\":{{"));
                if operation.has_output() {
                    writer.raw(&format!("\"{name}Result\":"));
                    generated::write_json(response, &mut writer);
                    writer.raw(",");
                }
                writer.raw("\"ResponseMetadata\":{\"RequestId\":");
                writer.string(&self.request_id);
                writer.raw("}}}");
                self.respond(StatusCode::OK, Some("application/json"), writer.finish().into())
            }
        }
    }

    fn answer_with_document(&self, response: &crate::Response) -> Response<Bytes> {
        let operation = response.operation();
        if !operation.has_output() {
            // awsJson's clients look at the type even where there is no body, Smithy's must not find one.
            let media_type = Some(self.media_type()).filter(|_| self.protocol != Protocol::RpcV2Cbor);
            return self.respond(StatusCode::OK, media_type, Bytes::new());
        }
        let document = self.document(response);
        if !operation.has_events() {
            return self.respond(StatusCode::OK, Some(self.media_type()), document);
        }
        // facts/protocols.md § 10: the first frame carries the members that are no stream.
        match Event::initial_response(self.media_type(), document).finish() {
            Ok(frame) => self.respond(StatusCode::OK, Some(eventstream::MEDIA_TYPE), frame),
            Err(fault) => self.refuse(&Refusal::new("InternalFailure", fault.to_string())),
        }
    }

    fn document(&self, response: &crate::Response) -> Bytes {
        match self.protocol.dialect() {
            None => {
                let mut writer = json::Writer::with_room();
                generated::write_json(response, &mut writer);
                writer.finish().into()
            }
            Some(dialect) => {
                let mut writer = cbor::Writer::new(dialect);
                generated::write_cbor(response, &mut writer);
                writer.finish().into()
            }
        }
    }

    fn answer_in_places(&self, response: &crate::Response) -> Response<Bytes> {
        let Some(mut answer) = generated::write_rest(response) else {
            return self.refuse(&Refusal::new("InternalFailure", ""));
        };
        let status = status_of(answer.status);
        // These have no body (RFC 9110).
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            answer.content_type = None;
            answer.body = Bytes::new();
        }
        if response.operation().has_events() {
            answer.content_type = Some(eventstream::MEDIA_TYPE);
        }
        // What a member says about the type counts for more.
        let bound = answer.headers.contains_key(header::CONTENT_TYPE);
        let mut http = self.respond(status, answer.content_type.filter(|_| !bound), answer.body);
        http.headers_mut().extend(answer.headers);
        http
    }

    /// An event that follows an answer, as a frame.
    ///
    /// Errors: the event is longer than a frame may be.
    pub fn event(&self, event: &impl WriteEvent) -> Result<Bytes, FrameFault> {
        let mut frame = Event::new(self.protocol.dialect());
        event.write_event(&mut frame);
        frame.finish()
    }

    /// A refusal in the midst of events, as a frame; after it the stream ends.
    ///
    /// Errors: the refusal's text is longer than a header may be.
    pub fn interrupt(&self, refusal: &Refusal) -> Result<Bytes, FrameFault> {
        let mut frame = Event::new(self.protocol.dialect());
        frame.error(refusal.shape, &refusal.message);
        frame.finish()
    }

    fn media_type(&self) -> &'static str {
        match self.protocol {
            Protocol::Json11 => "application/x-amz-json-1.1",
            Protocol::RestJson => "application/json",
            Protocol::Json10 | Protocol::Query => "application/x-amz-json-1.0",
            Protocol::Cbor11 | Protocol::RpcV2Cbor => {
                self.protocol.dialect().map_or("application/cbor", Dialect::media_type)
            }
        }
    }

    fn respond(&self, status: StatusCode, media_type: Option<&'static str>, body: Bytes) -> Response<Bytes> {
        let body = if self.head_only { Bytes::new() } else { body };
        let has_checksums = self.service.is_some_and(|service| service.has_checksums);
        let checksum = has_checksums.then(|| crc32fast::hash(&body));
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Some(media_type) = media_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        // Without it clients do not take an answer for one of this protocol (facts/protocols.md § 6).
        if self.protocol == Protocol::RpcV2Cbor {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        // Clients of such a service take an answer without it, or with another, for damaged (facts/dynamodb.md § 1).
        if let Some(checksum) = checksum {
            headers.insert("x-amz-crc32", HeaderValue::from(checksum));
        }
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

fn status_of(status: u16) -> StatusCode {
    // The tables hold only statuses that exist.
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
