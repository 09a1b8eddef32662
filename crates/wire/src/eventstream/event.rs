//! Events: what an operation's answer consists of after its beginning, as messages.

use api::{Text, Timestamp};
use bytes::Bytes;

use super::{FrameFault, HeaderValue, Message};
use crate::cbor::{self, Dialect};
use crate::document::{WriteMembers, Writer as _};
use crate::json;

/// An event of a stream that can be written as a message.
pub trait WriteEvent {
    /// Writes the event's name, its headers and its payload.
    fn write_event(&self, event: &mut Event);
}

/// A message that is being written, with documents in the format of its exchange.
#[derive(Debug)]
pub struct Event {
    message: Message,
    dialect: Option<Dialect>,
}

impl Event {
    /// An empty message; `dialect` is that of CBOR, if documents are not in JSON.
    pub(crate) fn new(dialect: Option<Dialect>) -> Self {
        Event { message: Message::default(), dialect }
    }

    /// The message that begins the events of an RPC protocol: a document of the answer's members.
    pub(crate) fn initial_response(media_type: &'static str, document: Bytes) -> Self {
        let mut event = Event::new(None);
        event.event("initial-response");
        event.payload(media_type, document);
        event
    }

    /// Says that the message is an event.
    pub fn event(&mut self, name: &'static str) {
        self.kind("event", ":event-type", name);
    }

    /// Says that the message is an exception that the model has.
    pub fn exception(&mut self, name: &'static str) {
        self.kind("exception", ":exception-type", name);
    }

    /// Says that the message is an error that the model does not have; it has no payload.
    pub(crate) fn error(&mut self, code: &'static str, text: &str) {
        self.kind("error", ":error-code", code);
        self.header(":error-message", &Some(Text::from(text)));
    }

    fn kind(&mut self, kind: &'static str, header: &'static str, name: &'static str) {
        self.header(":message-type", &Some(Text::from_static(kind)));
        self.header(header, &Some(Text::from_static(name)));
    }

    /// Writes a header, if the member is there.
    pub fn header<T: EventHeader>(&mut self, name: &'static str, value: &Option<T>) {
        if let Some(value) = value {
            self.message.headers.push((Text::from_static(name), value.header()));
        }
    }

    /// Writes the members that stand nowhere else as the payload.
    pub fn document(&mut self, value: &impl WriteMembers) {
        let (media_type, payload) = match self.dialect {
            None => {
                let mut writer = json::Writer::with_room();
                writer.structure(value);
                ("application/json", writer.finish())
            }
            Some(dialect) => {
                let mut writer = cbor::Writer::new(dialect);
                writer.structure(value);
                (dialect.media_type(), writer.finish())
            }
        };
        self.payload(media_type, payload.into());
    }

    /// Writes a structure that is one member as the payload.
    pub fn structure<T: WriteMembers>(&mut self, value: &Option<T>) {
        if let Some(value) = value {
            self.document(value);
        }
    }

    /// Writes a blob as the payload.
    pub fn blob(&mut self, value: &Option<Bytes>) {
        self.payload("application/octet-stream", value.clone().unwrap_or_default());
    }

    /// Writes a text as the payload.
    pub fn text(&mut self, value: &Option<Text>) {
        self.payload("text/plain", value.clone().unwrap_or_default().into_bytes());
    }

    fn payload(&mut self, media_type: &'static str, payload: Bytes) {
        self.header(":content-type", &Some(Text::from_static(media_type)));
        self.message.payload = payload;
    }

    /// The message as a frame.
    pub(crate) fn finish(self) -> Result<Bytes, FrameFault> {
        self.message.encode()
    }
}

/// A member that can be the value of a header.
pub trait EventHeader {
    /// The value.
    fn header(&self) -> HeaderValue;
}

impl EventHeader for bool {
    fn header(&self) -> HeaderValue {
        HeaderValue::Boolean(*self)
    }
}

impl EventHeader for i32 {
    fn header(&self) -> HeaderValue {
        HeaderValue::Integer(*self)
    }
}

impl EventHeader for i64 {
    fn header(&self) -> HeaderValue {
        HeaderValue::Long(*self)
    }
}

impl EventHeader for Bytes {
    fn header(&self) -> HeaderValue {
        HeaderValue::Bytes(self.clone())
    }
}

impl EventHeader for Text {
    fn header(&self) -> HeaderValue {
        HeaderValue::Text(self.clone())
    }
}

impl EventHeader for Timestamp {
    fn header(&self) -> HeaderValue {
        HeaderValue::Timestamp(*self)
    }
}
