//! Errors: what they are called, where they stand, and which status they have, by protocol.

use bytes::Bytes;
use http::{HeaderValue, Response};
use kernel::Refusal;

use super::{Accept, Exchange, Protocol, status_of};
use crate::service::{ErrorForm, framework_error, framework_namespace};
use crate::{cbor, json, xml};

impl Exchange {
    /// The answer that says why not.
    pub fn refuse(&self, refusal: &Refusal) -> Response<Bytes> {
        let modelled = self.service.and_then(|service| service.error(refusal.shape));
        let form = modelled.unwrap_or_else(|| framework_error(refusal.shape));
        match self.protocol {
            Protocol::Query => self.refuse_query(refusal, &form),
            Protocol::RestJson => self.refuse_in_places(refusal, &form, modelled.is_some()),
            _ => self.refuse_with_document(refusal, &form, modelled.is_some()),
        }
    }

    fn refuse_with_document(
        &self,
        refusal: &Refusal,
        form: &ErrorForm,
        is_modelled: bool,
    ) -> Response<Bytes> {
        // What is not the service's own is the framework's (recorded from SQS); 1.1 has no name spaces.
        let namespace = match (self.protocol, self.service) {
            (Protocol::Json11 | Protocol::Cbor11, _) => String::new(),
            (_, Some(service)) if is_modelled => format!("{}#", service.shape_namespace),
            (_, Some(service)) => format!("{}#", framework_namespace(refusal.shape, service)),
            _ => "com.amazon.coral.service#".to_owned(),
        };
        let name = format!("{namespace}{}", refusal.shape);
        // Those of Smithy's RPC look for the model's spelling; SQS has the small letter in JSON (recorded).
        let is_recorded = self.service.is_some_and(|service| service.is_query_compatible);
        let message = match self.protocol {
            Protocol::RpcV2Cbor => form.message,
            _ if is_recorded => "message",
            _ => form.message,
        };
        let mut members = vec![("__type", name.as_str())];
        members.extend((!refusal.message.is_empty()).then_some((message, &*refusal.message)));
        let is_query_compatible = self.service.is_some_and(|service| service.is_query_compatible);
        // Without the header every fault of the client's is a 400 (facts/protocols.md § 4), except what concerns HTTP.
        let is_plain =
            is_query_compatible && !self.query_mode && matches!(form.status, 401..=407 | 409..=412);
        let status = if is_plain { 400 } else { form.status };
        let mut response = self.respond(
            status_of(status),
            Some(self.media_type()),
            self.texts(&members, refusal.details.as_deref()),
        );
        if is_query_compatible
            && let Ok(code) = HeaderValue::try_from(format!("{};{}", form.query_code, fault(form)))
        {
            response.headers_mut().insert("x-amzn-query-error", code);
        }
        response
    }

    fn refuse_in_places(&self, refusal: &Refusal, form: &ErrorForm, is_modelled: bool) -> Response<Bytes> {
        let mut members = Vec::new();
        members.extend((!refusal.message.is_empty()).then_some((form.message, &*refusal.message)));
        // With which values AWS fills it is not recorded.
        members.extend(form.has_code.then_some(("Code", refusal.shape.trim_end_matches("Exception"))));
        // There is no operation without a path.
        let status = match refusal.shape {
            "UnknownOperationException" if !is_modelled => 404,
            _ => form.status,
        };
        let mut response =
            self.respond(status_of(status), Some(self.media_type()), self.texts(&members, None));
        if let Ok(shape) = HeaderValue::from_str(refusal.shape) {
            response.headers_mut().insert("x-amzn-errortype", shape);
        }
        response
    }

    /// A document whose members are texts; their names need no escapes. `details` are further members, which only JSON has.
    fn texts(&self, members: &[(&str, &str)], details: Option<&str>) -> Bytes {
        if let Some(dialect) = self.protocol.dialect() {
            let mut writer = cbor::Writer::new(dialect);
            writer.texts(members);
            return writer.finish().into();
        }
        let mut writer = json::Writer::default();
        writer.raw("{");
        for (at, (name, value)) in members.iter().enumerate() {
            writer.raw(if at > 0 { ",\"" } else { "\"" });
            writer.raw(name);
            writer.raw("\":");
            writer.string(value);
        }
        if let Some(details) = details {
            writer.raw(",");
            writer.raw(details);
        }
        writer.raw("}");
        writer.finish().into()
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
            return self.respond(status, Some("application/json"), writer.finish().into());
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
        self.respond(status, Some("text/xml"), xml.finish().into())
    }
}

fn fault(form: &ErrorForm) -> &'static str {
    if form.is_server_fault() { "Receiver" } else { "Sender" }
}
