//! How one client wants to be answered, and the answer: bodies, headers, statuses, in its protocol.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use kernel::Refusal;

use crate::errors::{ErrorForm, lookup};
use crate::{Operation, generated, json, xml};

/// The protocols that are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// awsJson 1.0.
    Json10,
    /// awsJson 1.1.
    Json11,
    /// awsQuery.
    Query,
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
    pub(crate) fn new(exchange: Exchange, shape: &'static str, message: String) -> Self {
        Failure { exchange, refusal: Refusal::new(shape, message), bare: false }
    }

    pub(crate) fn bare_unknown_operation(exchange: Exchange) -> Self {
        Failure { exchange, refusal: Refusal::new("UnknownOperationException", ""), bare: true }
    }

    /// The answer to it.
    pub fn answer(&self) -> Response<Bytes> {
        if self.bare {
            // facts/sqs.md § 12: 404, and XML whatever the client accepts.
            let body = "<UnknownOperationException/>\n";
            return self.exchange.respond(StatusCode::NOT_FOUND, "text/xml", body.into());
        }
        self.exchange.refuse(&self.refusal)
    }
}

const XMLNS_SQS: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

impl Exchange {
    pub(crate) fn unknown(protocol: Protocol, request_id: String) -> Self {
        Exchange {
            protocol,
            operation: None,
            query_mode: true,
            accept: Accept::Json,
            request_id,
            head_only: false,
        }
    }

    /// The answer that carries what was asked for.
    pub fn answer(&self, response: &crate::Response) -> Response<Bytes> {
        let crate::Response::Sqs(response) = response;
        let operation = generated::sqs::operation_of(response);
        match (self.protocol, self.accept) {
            (Protocol::Json10 | Protocol::Json11, _) => {
                if !generated::sqs::has_output(operation) {
                    return self.respond(StatusCode::OK, self.json_type(), Bytes::new());
                }
                let mut writer = json::Writer::default();
                generated::sqs::write_json(response, &mut writer);
                self.respond(StatusCode::OK, self.json_type(), writer.finish().into())
            }
            (Protocol::Query, Accept::Xml) => {
                let name = operation.name();
                let mut xml = xml::Writer::default();
                xml.raw("<?xml version=\"1.0\"?>");
                xml.raw(&format!("<{name}Response xmlns=\"{XMLNS_SQS}\">"));
                if generated::sqs::has_output(operation) {
                    xml.element(&format!("{name}Result"), |xml| generated::sqs::write_xml(response, xml));
                }
                xml.element("ResponseMetadata", |xml| {
                    xml.element("RequestId", |xml| xml.text(&self.request_id))
                });
                xml.raw(&format!("</{name}Response>"));
                self.respond(StatusCode::OK, "text/xml", xml.finish().into())
            }
            (Protocol::Query, Accept::Json) => {
                let name = operation.name();
                let mut writer = json::Writer::default();
                writer.raw(&format!("{{\"{name}Response\":{{"));
                if generated::sqs::has_output(operation) {
                    writer.raw(&format!("\"{name}Result\":"));
                    generated::sqs::write_json(response, &mut writer);
                    writer.raw(",");
                }
                writer.raw("\"ResponseMetadata\":{\"RequestId\":");
                writer.string(&self.request_id);
                writer.raw("}}}");
                self.respond(StatusCode::OK, "application/json", writer.finish().into())
            }
        }
    }

    /// The answer that says why not.
    pub fn refuse(&self, refusal: &Refusal) -> Response<Bytes> {
        let form = lookup(generated::sqs::ERRORS, refusal.shape);
        let fault = if form.is_server_fault() { "Receiver" } else { "Sender" };
        match self.protocol {
            Protocol::Json10 | Protocol::Json11 => self.refuse_json(refusal, &form, fault),
            Protocol::Query => self.refuse_query(refusal, &form, fault),
        }
    }

    fn refuse_json(&self, refusal: &Refusal, form: &ErrorForm, fault: &str) -> Response<Bytes> {
        // What the framework says has another name space than what the service says (facts/protocols.md § 4); 1.1 has none.
        let framework = matches!(
            refusal.shape,
            "UnknownOperationException" | "SerializationException" | "InternalFailure"
        );
        let namespace = match (self.protocol, framework) {
            (Protocol::Json11, _) => "",
            (_, true) => "com.amazon.coral.service#",
            (_, false) => "com.amazonaws.sqs#",
        };
        let mut writer = json::Writer::default();
        writer.raw("{\"__type\":");
        writer.string(&format!("{namespace}{}", refusal.shape));
        if !refusal.message.is_empty() {
            writer.raw(",\"message\":");
            writer.string(&refusal.message);
        }
        writer.raw("}");
        // Without the header every fault of the client's is a 400 (facts/protocols.md § 4).
        let status = if self.query_mode || form.is_server_fault() { form.status } else { 400 };
        let mut response = self.respond(status_of(status), self.json_type(), writer.finish().into());
        let code = HeaderValue::try_from(format!("{};{fault}", form.query_code));
        if let (false, Ok(code)) = (framework, code) {
            response.headers_mut().insert("x-amzn-query-error", code);
        }
        response
    }

    fn refuse_query(&self, refusal: &Refusal, form: &ErrorForm, fault: &str) -> Response<Bytes> {
        let message = match refusal.shape {
            // The two protocols differ in this text (facts/sqs.md § 11).
            "QueueDoesNotExist" => "The specified queue does not exist for this wsdl version.",
            _ => &refusal.message,
        };
        let status = status_of(form.status);
        if self.accept == Accept::Json {
            let mut writer = json::Writer::default();
            writer.raw(&format!("{{\"Error\":{{\"Type\":\"{fault}\",\"Code\":"));
            writer.string(form.query_code);
            writer.raw(",\"Message\":");
            writer.string(message);
            writer.raw("},\"RequestId\":");
            writer.string(&self.request_id);
            writer.raw("}");
            return self.respond(status, "application/json", writer.finish().into());
        }
        let mut xml = xml::Writer::default();
        xml.raw("<?xml version=\"1.0\"?>");
        xml.raw(&format!("<ErrorResponse xmlns=\"{XMLNS_SQS}\">"));
        xml.element("Error", |xml| {
            xml.element("Type", |xml| xml.text(fault));
            xml.element("Code", |xml| xml.text(form.query_code));
            xml.element("Message", |xml| xml.text(message));
            xml.raw("<Detail/>");
        });
        xml.element("RequestId", |xml| xml.text(&self.request_id));
        xml.raw("</ErrorResponse>");
        self.respond(status, "text/xml", xml.finish().into())
    }

    fn json_type(&self) -> &'static str {
        match self.protocol {
            Protocol::Json11 => "application/x-amz-json-1.1",
            _ => "application/x-amz-json-1.0",
        }
    }

    fn respond(&self, status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
        let body = if self.head_only { Bytes::new() } else { body };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
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
