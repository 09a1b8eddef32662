//! Writes shapes into the places of an answer.

use api::{Map, Text};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::TextValues;
use crate::document::{TimeFormat, WriteMembers, Writer as _};
use crate::json;

/// An answer, in its places.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The type of the body, unless the headers say it; none if there is no body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

/// An operation's output that can be written into the places of an answer.
pub trait WriteRest {
    /// Writes the members that are there.
    fn write_rest(&self, answer: &mut Answer);
}

impl Answer {
    /// The answer that is an output; `status` is that of the model.
    pub fn of(status: u16, output: &impl WriteRest) -> Self {
        let mut answer = Answer { status, headers: HeaderMap::new(), content_type: None, body: Bytes::new() };
        output.write_rest(&mut answer);
        answer
    }

    /// Sets the status, if the member is there and is one.
    pub fn status(&mut self, status: &Option<i32>) {
        if let Some(status) = status.and_then(|status| u16::try_from(status).ok()) {
            self.status = status;
        }
    }

    /// Writes a header, if the member is there. What no header can hold is left out.
    pub fn header<T: TextValues>(&mut self, name: &str, times: TimeFormat, value: &Option<T>) {
        let Some(value) = value else { return };
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.to_header(times).as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            self.headers.insert(name, value);
        }
    }

    /// Writes a header for each entry of a map.
    pub fn prefix_headers(&mut self, prefix: &str, map: &Option<Map<Text>>) {
        for (name, value) in map.iter().flat_map(|map| &map.0) {
            self.header(&format!("{prefix}{name}"), TimeFormat::HttpDate, &Some(value.clone()));
        }
    }

    /// Writes the members that stand nowhere else as the body.
    pub fn document(&mut self, output: &impl WriteMembers) {
        let mut writer = json::Writer::with_room();
        writer.structure(output);
        self.content_type = Some("application/json");
        self.body = writer.finish().into();
    }

    /// Writes a blob as the body.
    pub fn blob(&mut self, blob: &Option<Bytes>) {
        self.content_type = blob.is_some().then_some("application/octet-stream");
        self.body = blob.clone().unwrap_or_default();
    }

    /// Writes a text as the body.
    pub fn text(&mut self, text: &Option<Text>) {
        self.content_type = text.is_some().then_some("text/plain");
        self.body = text.clone().unwrap_or_default().into_bytes();
    }

    /// Writes a structure that is one member as the body.
    pub fn structure<T: WriteMembers>(&mut self, structure: &Option<T>) {
        if let Some(structure) = structure {
            self.document(structure);
        }
    }
}
