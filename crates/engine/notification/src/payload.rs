//! The stored form of a topic's message.

use bytes::Bytes;
use bytestring::ByteString;
use kernel::Attribute;
use kernel::attributes::{attributes_len, put_attributes, take_attributes, take_text};
use kernel::codec::{Malformed, Reader, put_list, put_str};

/// The kind of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A published message.
    Notification,
    /// A request to confirm a subscription with this token.
    SubscriptionConfirmation(ByteString),
    /// A report that a subscription has ended, and how to restore it.
    UnsubscribeConfirmation {
        /// The token that restores it.
        token: ByteString,
        /// The subscription's ARN.
        subscription: ByteString,
    },
}

/// The signature version of a message, if its topic signs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SignatureVersion {
    /// RSA with SHA-1.
    One,
    /// RSA with SHA-256.
    Two,
}

impl SignatureVersion {
    /// Returns the text in envelopes and attributes.
    pub fn text(self) -> &'static str {
        match self {
            SignatureVersion::One => "1",
            SignatureVersion::Two => "2",
        }
    }

    /// Returns the number in a parcel's `style`.
    pub fn style(self) -> u8 {
        match self {
            SignatureVersion::One => 0,
            SignatureVersion::Two => 1,
        }
    }

    /// The inverse of [`SignatureVersion::style`].
    pub fn of_style(style: u8) -> Self {
        if style == 1 { SignatureVersion::Two } else { SignatureVersion::One }
    }
}

/// The protocols of receivers. With `MessageStructure` `json` each can have its own text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub enum Protocol {
    Sqs = 1,
    Http = 2,
    Https = 3,
    Email = 4,
    EmailJson = 5,
    Sms = 6,
    Lambda = 7,
    Firehose = 8,
    Application = 9,
}

impl Protocol {
    const ALL: [(Protocol, &str); 9] = [
        (Protocol::Sqs, "sqs"),
        (Protocol::Http, "http"),
        (Protocol::Https, "https"),
        (Protocol::Email, "email"),
        (Protocol::EmailJson, "email-json"),
        (Protocol::Sms, "sms"),
        (Protocol::Lambda, "lambda"),
        (Protocol::Firehose, "firehose"),
        (Protocol::Application, "application"),
    ];

    /// Returns AWS's name.
    pub fn name(self) -> &'static str {
        Protocol::ALL.iter().find(|(protocol, _)| *protocol == self).map_or("", |(_, name)| name)
    }

    /// Returns the protocol with this name.
    pub fn from_name(name: &str) -> Option<Protocol> {
        Protocol::ALL.iter().find(|(_, other)| *other == name).map(|(protocol, _)| *protocol)
    }

    /// Returns the protocol with this number, which is in [`kernel::parcel::Form::protocol`].
    pub fn from_number(number: u8) -> Option<Protocol> {
        Protocol::ALL.iter().find(|(protocol, _)| *protocol as u8 == number).map(|(protocol, _)| *protocol)
    }
}

/// A topic's message, or a topic's request or report to a subscriber.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// The kind.
    pub kind: Kind,
    /// The default text.
    pub message: ByteString,
    /// MD5 of the text for queues.
    pub message_md5: [u8; 16],
    /// Texts for some receivers, by the name of the protocol or platform.
    pub texts: Vec<(ByteString, ByteString)>,
    /// `Subject`.
    pub subject: Option<ByteString>,
    /// The attributes, ordered by name.
    pub attributes: Vec<Attribute>,
    /// `X-Amzn-Trace-Id`.
    pub trace_header: Option<ByteString>,
    /// The ARN of the topic; for a direct publish the ARN of the endpoint, or the telephone number.
    pub topic_arn: ByteString,
    /// The URL by which this server can be reached, for links.
    pub base: ByteString,
    /// The receiver, if it is not a subscriber: a telephone number, an endpoint's ARN, the URL of a former
    /// subscriber.
    pub endpoint: Option<ByteString>,
    /// Whether it has a sequence number, because its topic is FIFO.
    pub fifo: bool,
}

const SUBJECT: u8 = 1;
const TRACE: u8 = 2;
const ENDPOINT: u8 = 4;
const FIFO: u8 = 8;
const TEXTS: u8 = 16;
const CONFIRMATION: u8 = 32;
const FAREWELL: u8 = 64;

impl Notification {
    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut flags = 0;
        flags |= if self.subject.is_some() { SUBJECT } else { 0 };
        flags |= if self.trace_header.is_some() { TRACE } else { 0 };
        flags |= if self.endpoint.is_some() { ENDPOINT } else { 0 };
        flags |= if self.fifo { FIFO } else { 0 };
        flags |= if self.texts.is_empty() { 0 } else { TEXTS };
        flags |= match &self.kind {
            Kind::Notification => 0,
            Kind::SubscriptionConfirmation(_) => CONFIRMATION,
            Kind::UnsubscribeConfirmation { .. } => FAREWELL,
        };
        let texts: usize = self.texts.iter().map(|(name, text)| name.len() + text.len() + 8).sum();
        let mut out = Vec::with_capacity(256 + self.message.len() + texts + attributes_len(&self.attributes));
        out.push(flags);
        out.extend_from_slice(&self.message_md5);
        put_str(&mut out, &self.message);
        put_str(&mut out, &self.topic_arn);
        put_str(&mut out, &self.base);
        put_attributes(&mut out, &self.attributes);
        for text in [&self.subject, &self.trace_header, &self.endpoint].into_iter().flatten() {
            put_str(&mut out, text);
        }
        match &self.kind {
            Kind::Notification => {}
            Kind::SubscriptionConfirmation(token) => put_str(&mut out, token),
            Kind::UnsubscribeConfirmation { token, subscription } => {
                put_str(&mut out, token);
                put_str(&mut out, subscription);
            }
        }
        if !self.texts.is_empty() {
            put_list(&mut out, &self.texts, |out, (name, text)| {
                put_str(out, name);
                put_str(out, text);
            });
        }
        out
    }

    /// Decodes it; texts and values are slices of `bytes`, not copies.
    pub fn decode(bytes: &Bytes) -> Result<Notification, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let flags = reader.u8()?;
        let message_md5 = reader.take(16)?.try_into().map_err(|_| Malformed)?;
        let message = take_text(reader, bytes)?;
        let topic_arn = take_text(reader, bytes)?;
        let base = take_text(reader, bytes)?;
        let attributes = take_attributes(reader, bytes)?;
        let subject = if flags & SUBJECT != 0 { Some(take_text(reader, bytes)?) } else { None };
        let trace_header = if flags & TRACE != 0 { Some(take_text(reader, bytes)?) } else { None };
        let endpoint = if flags & ENDPOINT != 0 { Some(take_text(reader, bytes)?) } else { None };
        let kind = if flags & CONFIRMATION != 0 {
            Kind::SubscriptionConfirmation(take_text(reader, bytes)?)
        } else if flags & FAREWELL != 0 {
            Kind::UnsubscribeConfirmation {
                token: take_text(reader, bytes)?,
                subscription: take_text(reader, bytes)?,
            }
        } else {
            Kind::Notification
        };
        let texts = if flags & TEXTS != 0 {
            reader.list(|reader| Ok((take_text(reader, bytes)?, take_text(reader, bytes)?)))?
        } else {
            Vec::new()
        };
        if !reader.is_empty() {
            return Err(Malformed);
        }
        Ok(Notification {
            kind,
            message,
            message_md5,
            texts,
            subject,
            attributes,
            trace_header,
            topic_arn,
            base,
            endpoint,
            fifo: flags & FIFO != 0,
        })
    }

    /// Returns the text for a protocol or platform.
    pub fn text_for(&self, name: &str) -> &ByteString {
        self.texts.iter().find(|(other, _)| other == name).map_or(&self.message, |(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::AttributeValue;

    #[test]
    fn a_notification_reads_back_as_it_was_written() {
        let plain = Notification {
            kind: Kind::Notification,
            message: "grüße".into(),
            message_md5: [3; 16],
            texts: Vec::new(),
            subject: None,
            attributes: Vec::new(),
            trace_header: None,
            topic_arn: "arn:aws:sns:r:a:t".into(),
            base: "http://localhost:4566".into(),
            endpoint: None,
            fifo: false,
        };
        let full = Notification {
            kind: Kind::UnsubscribeConfirmation { token: "t".into(), subscription: "s".into() },
            texts: vec![("sqs".into(), "for queues".into())],
            subject: Some("subject".into()),
            attributes: vec![Attribute {
                name: "a".into(),
                data_type: "Binary".into(),
                value: AttributeValue::Binary(Bytes::from_static(b"\0")),
            }],
            trace_header: Some("Root=1".into()),
            endpoint: Some("+4915".into()),
            fifo: true,
            ..plain.clone()
        };
        let confirmation = Notification { kind: Kind::SubscriptionConfirmation("t".into()), ..plain.clone() };
        for notification in [plain, full, confirmation] {
            let bytes = Bytes::from(notification.encode());
            assert_eq!(Notification::decode(&bytes), Ok(notification));
            for cut in 0..bytes.len() {
                assert!(Notification::decode(&bytes.slice(..cut)).is_err(), "cut at {cut}");
            }
        }
    }
}
