//! How one client wants to be answered, and the answer: bodies, headers, statuses, in its protocol.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use kernel::Refusal;

use crate::service::{ErrorForm, framework_error};
use crate::{Operation, Service, generated, json, xml};

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
            return self.exchange.respond(StatusCode::NOT_FOUND, "text/xml", body.into());
        }
        self.exchange.refuse(&self.refusal)
    }
}

impl Exchange {
    /// The answer that carries what was asked for.
    pub fn answer(&self, response: &crate::Response) -> Response<Bytes> {
        let operation = response.operation();
        match (self.protocol, self.accept) {
            (Protocol::Json10 | Protocol::Json11, _) => {
                if !operation.has_output() {
                    return self.respond(StatusCode::OK, self.json_type(), Bytes::new());
                }
                let mut writer = json::Writer::with_room();
                generated::write_json(response, &mut writer);
                self.respond(StatusCode::OK, self.json_type(), writer.finish().into())
            }
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
                self.respond(StatusCode::OK, "text/xml", xml.finish().into())
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
                self.respond(StatusCode::OK, "application/json", writer.finish().into())
            }
        }
    }

    /// The answer that says why not.
    pub fn refuse(&self, refusal: &Refusal) -> Response<Bytes> {
        let modelled = self.service.and_then(|service| service.error(refusal.shape));
        let form = modelled.unwrap_or_else(|| framework_error(refusal.shape));
        match self.protocol {
            Protocol::Json10 | Protocol::Json11 => self.refuse_json(refusal, &form, modelled.is_some()),
            Protocol::Query => self.refuse_query(refusal, &form),
        }
    }

    fn refuse_json(&self, refusal: &Refusal, form: &ErrorForm, is_modelled: bool) -> Response<Bytes> {
        // What is not the service's own is the framework's (recorded from SQS); 1.1 has no name spaces.
        let namespace = match (self.protocol, self.service) {
            (Protocol::Json11, _) => String::new(),
            (_, Some(service)) if is_modelled => format!("{}#", service.shape_namespace),
            _ => "com.amazon.coral.service#".to_owned(),
        };
        let mut writer = json::Writer::default();
        writer.raw("{\"__type\":");
        writer.string(&format!("{namespace}{}", refusal.shape));
        if !refusal.message.is_empty() {
            writer.raw(",\"message\":");
            writer.string(&refusal.message);
        }
        writer.raw("}");
        let is_query_compatible = self.service.is_some_and(|service| service.is_query_compatible);
        // Without the header every fault of the client's is a 400 (facts/protocols.md § 4), except what concerns HTTP.
        let is_plain =
            is_query_compatible && !self.query_mode && matches!(form.status, 401..=407 | 409..=412);
        let status = if is_plain { 400 } else { form.status };
        let mut response = self.respond(status_of(status), self.json_type(), writer.finish().into());
        if is_query_compatible
            && let Ok(code) = HeaderValue::try_from(format!("{};{}", form.query_code, fault(form)))
        {
            response.headers_mut().insert("x-amzn-query-error", code);
        }
        response
    }

    fn refuse_query(&self, refusal: &Refusal, form: &ErrorForm) -> Response<Bytes> {
        let is_sqs = self.service.is_some_and(|service| service.name == "sqs");
        let message = match refusal.shape {
            // The two protocols differ in this text (facts/sqs.md § 11).
            "QueueDoesNotExist" if is_sqs => "The specified queue does not exist for this wsdl version.",
            _ => &refusal.message,
        };
        let status = status_of(form.status);
        if self.accept == Accept::Json {
            let mut writer = json::Writer::in_query_manner();
            writer.raw("{\"Error\":{\"Code\":");
            writer.string(form.query_code);
            writer.raw(",\"Message\":");
            writer.string(message);
            writer.raw(&format!(",\"Type\":\"{}\"}},\"RequestId\":", fault(form)));
            writer.string(&self.request_id);
            writer.raw("}");
            return self.respond(status, "application/json", writer.finish().into());
        }
        let mut xml = xml::Writer::default();
        xml.raw("<?xml version=\"1.0\"?>");
        let namespace = self.service.map_or("", |service| service.xml_namespace);
        xml.raw(&format!("<ErrorResponse xmlns=\"{namespace}\">"));
        xml.element("Error", |xml| {
            xml.element("Type", |xml| xml.text(fault(form)));
            xml.element("Code", |xml| xml.text(form.query_code));
            xml.element("Message", |xml| xml.text(message));
            if is_sqs {
                xml.raw("<Detail/>");
            }
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

fn fault(form: &ErrorForm) -> &'static str {
    if form.is_server_fault() { "Receiver" } else { "Sender" }
}

fn status_of(status: u16) -> StatusCode {
    // The tables hold only statuses that exist.
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
