//! The frame around every message: what it is, who sent it, when, in which version, and which message caused
//! it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::message::{Message, SchemaVersion, Untyped, UpcastError};
use crate::trace_context::TraceContext;

/// A message in its envelope. On the wire it is this JSON:
///
/// ```json
/// {
///   "id": "0192f0c1-…", "type": "order.created", "source": "order-service", "timestamp": "2024-01-15T10:30:00Z",
///   "data": { "orderId": "order_67890" },
///   "metadata": { "version": "1.0", "retryCount": 0, "correlationId": "…", "causationId": "…", "traceparent": "00-…" }
/// }
/// ```
///
/// Readers ignore unknown fields, and `metadata` may be missing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Unique, and the same in every copy and every attempt. An [inbox](crate::inbox) remembers it.
    pub id: String,
    /// The message's type, such as `order.created`.
    #[serde(rename = "type")]
    pub message_type: String,
    /// The sender.
    #[serde(default)]
    pub source: String,
    /// The time when it was created.
    #[serde(default)]
    pub timestamp: Timestamp,
    /// The message itself.
    pub data: T,
    /// Data about the message that is not part of it.
    #[serde(default)]
    pub metadata: Metadata,
}

/// The metadata of an [`Envelope`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The schema's version of `data`.
    pub version: SchemaVersion,
    /// `normal`, `high`, or another value on which the application agrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// How often a person or a tool requeued the message. (The queue counts how often the message was
    /// received: [`Delivery::receive_count`](crate::consumer::Delivery::receive_count).)
    pub retry_count: u32,
    /// The same in all messages that follow from one cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The id of the message that caused this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The URL of the queue for the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// W3C trace context: a [`TraceContext`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// W3C trace state, passed on unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

impl<T: Message> Envelope<T> {
    /// Creates an envelope with a new id and trace, and the current time.
    pub fn new(source: impl Into<String>, data: T) -> Envelope<T> {
        Envelope::of(Uuid::now_v7().to_string(), source, data, Metadata::default())
    }

    /// Creates an envelope with this id and the current time. Correlation and trace start here unless
    /// `metadata` contains them.
    pub(crate) fn of(id: String, source: impl Into<String>, data: T, metadata: Metadata) -> Envelope<T> {
        let correlation_id = metadata.correlation_id.or_else(|| Some(id.clone()));
        let traceparent = metadata.traceparent.or_else(|| Some(TraceContext::root().to_string()));
        let metadata = Metadata { version: T::VERSION, correlation_id, traceparent, ..metadata };
        let message_type = data.message_type().to_owned();
        Envelope { id, message_type, source: source.into(), timestamp: Timestamp::now(), data, metadata }
    }

    /// Returns the JSON.
    ///
    /// # Errors
    /// serde cannot write the data as JSON, such as a map whose keys are not strings.
    pub fn encode(&self) -> Result<String, EnvelopeError> {
        serde_json::to_string(self).map_err(EnvelopeError::Unwritable)
    }

    /// Parses the JSON, and upgrades data of an older version. An event of EventBridge is read, too: its type is `detail-type`, its
    /// data is `detail`, in the version of this program.
    ///
    /// # Errors
    /// The JSON is not an envelope; its type is not in [`Message::TYPES`] or differs from that of its data;
    /// its data has a newer major version than this program's; or there is no upcast from its version.
    pub fn decode(json: &str) -> Result<Envelope<T>, EnvelopeError> {
        // The version stands behind the data and is usually this program's own: one pass reads both.
        if let Ok(envelope) = serde_json::from_str::<Envelope<T>>(json)
            && (T::UNTYPED
                || envelope.metadata.version.major == T::VERSION.major
                    && envelope.data.message_type() == envelope.message_type)
        {
            return Ok(envelope);
        }
        if let Ok(event) = serde_json::from_str::<Event<'_>>(json) {
            return event.into_envelope().read(|data| data.get());
        }
        from_json::<Envelope<&RawValue>>(json, "the envelope")?.read(|data| data.get())
    }
}

/// A message as an event bus hands it on whole, from any sender.
#[derive(Deserialize)]
struct Event<'j> {
    id: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    source: String,
    #[serde(default)]
    time: Timestamp,
    #[serde(borrow)]
    detail: &'j RawValue,
}

impl<'j> Event<'j> {
    /// The envelope that a publisher put into the event, or else one that says what the event says.
    fn into_envelope(self) -> Envelope<&'j RawValue> {
        match serde_json::from_str::<Envelope<&RawValue>>(self.detail.get()) {
            Ok(envelope) if envelope.message_type == self.detail_type => envelope,
            _ => Envelope {
                id: self.id,
                message_type: self.detail_type,
                source: self.source,
                timestamp: self.time,
                data: self.detail,
                metadata: Metadata { version: SchemaVersion::UNSAID, ..Metadata::default() },
            },
        }
    }
}

impl Envelope<Untyped> {
    /// Returns the same envelope with data of type `T`, upgraded.
    ///
    /// # Errors
    /// As [`decode`](Envelope::decode).
    pub fn typed<T: Message>(&self) -> Result<Envelope<T>, EnvelopeError> {
        let Envelope { id, message_type, source, timestamp, data, metadata } = self;
        let raw = Envelope {
            id: id.clone(),
            message_type: message_type.clone(),
            source: source.clone(),
            timestamp: *timestamp,
            data: data.json(),
            metadata: metadata.clone(),
        };
        raw.read(|data| data)
    }
}

impl<D> Envelope<D> {
    /// Parses the data of any version from JSON.
    fn read<T: Message>(mut self, json: fn(&D) -> &str) -> Result<Envelope<T>, EnvelopeError> {
        check_type::<T>(&self.message_type)?;
        if self.metadata.version == SchemaVersion::UNSAID {
            self.metadata.version = T::VERSION;
        }
        let (version, json) = (self.metadata.version, json(&self.data));
        let data: T = if T::UNTYPED || version.major == T::VERSION.major {
            let data: T = from_json(json, "the data")?;
            // An older version may have had another name.
            check_data(&self.message_type, &data)?;
            data
        } else {
            upcast(&self.message_type, version, json)?
        };
        let Envelope { id, message_type, source, timestamp, metadata, .. } = self;
        Ok(Envelope { id, message_type, source, timestamp, data, metadata })
    }
}

/// Returns whether a reader of `T` may read a message of this type.
pub(crate) fn check_type<T: Message>(message_type: &str) -> Result<(), EnvelopeError> {
    if T::UNTYPED || T::TYPES.contains(&message_type) {
        return Ok(());
    }
    Err(EnvelopeError::UnknownType { found: message_type.to_owned(), known: T::TYPES })
}

/// Returns whether the data has the type that the envelope names.
pub(crate) fn check_data<T: Message>(message_type: &str, data: &T) -> Result<(), EnvelopeError> {
    let of_data = data.message_type();
    if T::UNTYPED || of_data == message_type {
        return Ok(());
    }
    Err(EnvelopeError::OtherType { said: message_type.to_owned(), of_data: of_data.to_owned() })
}

impl<T> Envelope<T> {
    /// Makes this message a consequence of `cause`: same correlation, same trace, caused by that message.
    #[must_use]
    pub fn caused_by<U>(mut self, cause: &Envelope<U>) -> Envelope<T> {
        self.metadata.follow(&cause.id, &cause.metadata);
        self
    }

    /// Returns the trace of the message, if it has a valid one.
    pub fn trace(&self) -> Option<TraceContext> {
        self.metadata.traceparent.as_deref()?.parse().ok()
    }
}

impl Metadata {
    /// Continues the correlation and the trace of a message with this id and metadata.
    pub(crate) fn follow(&mut self, cause_id: &str, cause: &Metadata) {
        self.correlation_id = Some(cause.correlation_id.clone().unwrap_or_else(|| cause_id.to_owned()));
        self.causation_id = Some(cause_id.to_owned());
        if let Some(trace) = cause.traceparent.as_deref().and_then(|text| text.parse::<TraceContext>().ok()) {
            self.traceparent = Some(trace.child().to_string());
            self.tracestate = cause.tracestate.clone();
        }
    }
}

fn from_json<'a, V: Deserialize<'a>>(json: &'a str, what: &'static str) -> Result<V, EnvelopeError> {
    serde_json::from_str(json).map_err(|why| EnvelopeError::Unreadable { what, why })
}

fn upcast<T: Message>(
    message_type: &str,
    mut version: SchemaVersion,
    data: &str,
) -> Result<T, EnvelopeError> {
    if version.major > T::VERSION.major {
        return Err(EnvelopeError::TooNew { found: version, known: T::VERSION });
    }
    let mut value = from_json(data, "the data")?;
    while version.major < T::VERSION.major {
        value = T::upcast(message_type, version, value)?;
        version = SchemaVersion::new(version.major + 1, 0);
    }
    serde_json::from_value(value).map_err(|why| EnvelopeError::Unreadable { what: "the upcast data", why })
}

/// Why a message cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// serde cannot write it.
    #[error("the message cannot be written as JSON: {0}")]
    Unwritable(#[source] serde_json::Error),
    /// A part of it is malformed.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// The part.
        what: &'static str,
        /// The error of the JSON reader.
        #[source]
        why: serde_json::Error,
    },
    /// The reader does not read this type.
    #[error("the type is \"{found}\"; this consumer reads {}", list(.known))]
    UnknownType {
        /// The message's type.
        found: String,
        /// The types that the reader reads.
        known: &'static [&'static str],
    },
    /// The type of the envelope differs from that of the data.
    #[error("the type is \"{said}\" in the envelope, but \"{of_data}\" in the data")]
    OtherType {
        /// The envelope's type.
        said: String,
        /// The data's type.
        of_data: String,
    },
    /// The data is newer than this program.
    #[error("the data has version {found}; this program supports {known}")]
    TooNew {
        /// The data's version.
        found: SchemaVersion,
        /// The program's version.
        known: SchemaVersion,
    },
    /// The data is older, and there is no upcast.
    #[error(transparent)]
    Upcast(#[from] UpcastError),
}

fn list(types: &[&str]) -> String {
    types.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Paid {
        cents: u64,
    }

    impl Message for Paid {
        const VERSION: SchemaVersion = SchemaVersion::new(3, 1);
        const TYPES: &'static [&'static str] = &["paid"];
        fn upcast(
            _: &str,
            from: SchemaVersion,
            data: serde_json::Value,
        ) -> Result<serde_json::Value, UpcastError> {
            let amount = data["amount"].as_u64().unwrap_or(0);
            match from.major {
                1 => Ok(serde_json::json!({ "amount": amount * 100 })),
                2 => Ok(serde_json::json!({ "cents": amount })),
                _ => Err(UpcastError::unknown(from)),
            }
        }
    }

    fn written(version: &str, data: &str) -> String {
        format!(r#"{{"id":"a","type":"paid","data":{data},"metadata":{{"version":{version}}},"unknown":1}}"#)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let envelope = Envelope::new("till", Paid { cents: 5 });
        assert_eq!(Envelope::decode(&envelope.encode().unwrap()).unwrap(), envelope);
    }

    #[test]
    fn events_are_envelopes_of_their_detail_type() {
        let event = |detail: &str| {
            format!(
                r#"{{"version":"0","id":"e","detail-type":"paid","source":"till","account":"1","time":"2024-01-15T10:30:00Z","region":"r","resources":[],"detail":{detail}}}"#
            )
        };
        let read = Envelope::<Paid>::decode(&event(r#"{"cents":5}"#)).unwrap();
        assert_eq!((&*read.id, &*read.source, read.data), ("e", "till", Paid { cents: 5 }));
        assert_eq!(read.metadata.version, Paid::VERSION);
        let untyped = Envelope::<Untyped>::decode(&event(r#"{"cents":5}"#)).unwrap();
        assert_eq!(untyped.message_type, "paid");
        assert_eq!(untyped.typed::<Paid>().unwrap().data, Paid { cents: 5 });
        // What a publisher put into an event.
        let envelope = Envelope::new("till", Paid { cents: 5 });
        assert_eq!(Envelope::decode(&event(&envelope.encode().unwrap())).unwrap(), envelope);
        let other = event(r#"{"cents":5}"#).replace("\"paid\"", "\"refunded\"");
        assert!(matches!(Envelope::<Paid>::decode(&other), Err(EnvelopeError::UnknownType { .. })));
    }

    #[test]
    fn old_data_climbs_one_major_version_at_a_time() {
        let read =
            |version: &str, data: &str| Envelope::<Paid>::decode(&written(version, data)).unwrap().data;
        assert_eq!(read("\"1.7\"", r#"{"amount":3}"#), Paid { cents: 300 });
        assert_eq!(read("2", r#"{"amount":3}"#), Paid { cents: 3 });
        assert_eq!(read("3.9", r#"{"cents":3,"new":true}"#), Paid { cents: 3 });
    }

    #[test]
    fn another_type_is_refused_even_if_its_data_could_be_read() {
        let text = r#"{"id":"a","type":"refunded","data":{"cents":3},"metadata":{"version":"3.1"}}"#;
        let error = Envelope::<Paid>::decode(text).unwrap_err();
        assert!(
            matches!(&error, EnvelopeError::UnknownType { found, known: ["paid"] } if found == "refunded")
        );
        assert_eq!(error.to_string(), r#"the type is "refunded"; this consumer reads "paid""#);
        // Also for an older version, and for unreadable data.
        for (version, data) in [("1", r#"{"amount":3}"#), ("3", "[]"), ("9", "{}")] {
            let text =
                format!(r#"{{"id":"a","type":"refunded","data":{data},"metadata":{{"version":{version}}}}}"#);
            let error = Envelope::<Paid>::decode(&text).unwrap_err();
            assert!(matches!(error, EnvelopeError::UnknownType { .. }), "{text}: {error}");
        }
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    #[serde(tag = "kind")]
    enum Booking {
        Debit { cents: u64 },
        Credit { cents: u64 },
    }

    impl Message for Booking {
        const TYPES: &'static [&'static str] = &["debit", "credit"];
        fn message_type(&self) -> &str {
            match self {
                Booking::Debit { .. } => "debit",
                Booking::Credit { .. } => "credit",
            }
        }
    }

    #[test]
    fn an_envelope_and_its_data_must_say_the_same() {
        let written = |named: &str, kind: &str| {
            format!(r#"{{"id":"a","type":"{named}","data":{{"kind":"{kind}","cents":3}}}}"#)
        };
        let read = Envelope::<Booking>::decode(&written("credit", "Credit")).unwrap();
        assert_eq!(read.data, Booking::Credit { cents: 3 });
        let error = Envelope::<Booking>::decode(&written("debit", "Credit")).unwrap_err();
        assert!(matches!(error, EnvelopeError::OtherType { .. }), "{error}");
    }

    #[test]
    fn a_message_of_any_type_becomes_one_of_its_type_and_no_other() {
        let any = Envelope::<Untyped>::decode(&written("\"1.7\"", r#"{"amount":3}"#)).unwrap();
        assert_eq!((any.message_type.as_str(), any.data.json()), ("paid", r#"{"amount":3}"#));
        assert_eq!(any.typed::<Paid>().unwrap().data, Paid { cents: 300 });
        assert!(matches!(any.typed::<Booking>().unwrap_err(), EnvelopeError::UnknownType { .. }));
    }

    #[test]
    fn data_from_the_future_or_from_nowhere_is_refused() {
        let read = |version: &str| Envelope::<Paid>::decode(&written(version, "{}")).unwrap_err();
        assert!(matches!(read("\"4.0\""), EnvelopeError::TooNew { .. }));
        assert!(matches!(read("\"0.1\""), EnvelopeError::Upcast(_)));
        assert!(matches!(read("\"one\""), EnvelopeError::Unreadable { .. }));
    }

    #[test]
    fn a_consequence_keeps_correlation_and_trace_and_names_its_cause() {
        let order = Envelope::new("shop", Paid { cents: 1 });
        let paid = Envelope::new("till", Paid { cents: 1 }).caused_by(&order);
        let sent = Envelope::new("post", Paid { cents: 1 }).caused_by(&paid);
        assert_eq!(sent.metadata.correlation_id, Some(order.id.clone()));
        assert_eq!(sent.metadata.causation_id, Some(paid.id.clone()));
        assert_eq!(sent.trace().unwrap().trace_id, order.trace().unwrap().trace_id);
        assert_ne!(sent.trace().unwrap().span_id, paid.trace().unwrap().span_id);
    }

    #[test]
    fn a_trace_that_cannot_be_read_ends_and_a_new_one_begins() {
        let mut order = Envelope::new("shop", Paid { cents: 1 });
        order.metadata.traceparent = Some("00-not-a-trace".to_owned());
        order.metadata.tracestate = Some("vendor=1".to_owned());
        let paid = Envelope::new("till", Paid { cents: 1 }).caused_by(&order);
        assert_eq!((order.trace(), paid.metadata.tracestate.as_deref()), (None, None));
        assert!(paid.trace().is_some());
        assert_eq!(paid.metadata.correlation_id, order.metadata.correlation_id);
        // A valid one is continued, with its vendor's additions.
        order.metadata.traceparent =
            Some("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more".to_owned());
        let paid = Envelope::new("till", Paid { cents: 1 }).caused_by(&order);
        let trace = paid.trace().unwrap();
        assert_eq!((trace.trace_id, trace.sampled), (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, false));
        assert_eq!(paid.metadata.tracestate.as_deref(), Some("vendor=1"));
    }
}
