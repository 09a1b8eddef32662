//! Received messages whose bodies are not parsed yet.
//!
//! A consumer reads thousands of messages per second, and rarely uses the fields besides the body. So the
//! texts of one receive share one allocation, and attributes are parsed on demand.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use aws_sdk_sqs::types::{Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName as Name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::Deserialize;

use crate::body::{Attribute, Attributes};
use crate::consumer::reader::{Reader, Span};
use crate::direct::Failures;

/// The messages of one receive.
#[derive(Default)]
pub(crate) struct RawBatch {
    texts: String,
    messages: Vec<Entry>,
}

/// One of its messages, as a consumer keeps it.
#[derive(Clone)]
pub(crate) struct Raw {
    batch: Arc<RawBatch>,
    index: usize,
}

struct Entry {
    message_id: Span,
    receipt: Span,
    body: Span,
    group: Option<Span>,
    receive_count: u32,
    sent_at: Timestamp,
    /// As SQS writes them; empty if there are none, or none are left to parse.
    attributes_json: Span,
    attributes: OnceLock<Attributes>,
}

impl RawBatch {
    /// The answer to a receive, in JSON.
    pub fn read(json: &[u8]) -> Option<RawBatch> {
        RawBatch::read_with_failures(json).map(|(messages, _)| messages)
    }

    /// The answer to a receive that was requested together with deletes: the messages, and the failed
    /// deletes.
    pub fn read_with_failures(json: &[u8]) -> Option<(RawBatch, Failures)> {
        let mut reader = Reader::new(json, SPARE.take().unwrap_or_default());
        let mut messages = Vec::with_capacity(10);
        let mut failures = Failures::default();
        reader.object(|reader, key| match key {
            b"Messages" if !reader.null() => reader.array(|reader| {
                messages.push(Entry::read(reader)?);
                Some(())
            }),
            b"Messages" => Some(()),
            b"Failed" => {
                failures.failed = serde_json::from_slice(reader.slice()?).ok()?;
                Some(())
            }
            _ => reader.skip(),
        })?;
        Some((RawBatch { texts: reader.finish()?, messages }, failures))
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Messages beyond this number are left to come again.
    pub fn truncate(&mut self, most: usize) {
        self.messages.truncate(most);
    }
}

thread_local! {
    /// The allocation of a finished batch, for reuse: large allocations are expensive.
    static SPARE: Cell<Option<String>> = const { Cell::new(None) };
}
const MOST_SPARE: usize = 256 * 1024;

impl Drop for RawBatch {
    fn drop(&mut self) {
        let mut texts = std::mem::take(&mut self.texts);
        if texts.capacity() <= MOST_SPARE {
            texts.clear();
            // A thread that ends needs no buffer.
            let _ = SPARE.try_with(|spare| spare.set(Some(texts)));
        }
    }
}

impl Entry {
    fn read(reader: &mut Reader<'_>) -> Option<Entry> {
        let (mut message_id, mut receipt, mut body) = (None, None, None);
        let (mut group, mut receive_count, mut sent_at) = (None, None, None);
        let mut attributes_json = Span::default();
        reader.object(|reader, key| {
            match key {
                b"MessageId" => message_id = Some(reader.string()?),
                b"ReceiptHandle" => receipt = Some(reader.string()?),
                b"Body" => body = Some(reader.string()?),
                b"Attributes" if !reader.null() => reader.object(|reader, key| {
                    match key {
                        b"ApproximateReceiveCount" => receive_count = reader.number()?,
                        b"SentTimestamp" => sent_at = reader.number()?,
                        b"MessageGroupId" if !reader.null() => group = Some(reader.string()?),
                        _ => reader.skip()?,
                    }
                    Some(())
                })?,
                b"MessageAttributes" if !reader.null() => attributes_json = reader.raw()?,
                _ => reader.skip()?,
            }
            Some(())
        })?;
        Some(Entry {
            message_id: message_id?,
            receipt: receipt?,
            body: body?,
            group,
            receive_count: receive_count.and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
            sent_at: time(sent_at.and_then(|sent_at| i64::try_from(sent_at).ok())),
            attributes_json,
            attributes: OnceLock::new(),
        })
    }
}

impl Raw {
    pub fn of(batch: &Arc<RawBatch>, index: usize) -> Raw {
        Raw { batch: batch.clone(), index }
    }

    /// Its index in its batch.
    pub fn index(&self) -> usize {
        self.index
    }

    pub fn message_id(&self) -> &str {
        self.text(self.entry().message_id)
    }

    pub fn receipt(&self) -> &str {
        self.text(self.entry().receipt)
    }

    pub fn body(&self) -> &str {
        self.text(self.entry().body)
    }

    pub fn group(&self) -> Option<&str> {
        self.entry().group.map(|group| self.text(group))
    }

    /// How often it was received, including this time.
    pub fn receive_count(&self) -> u32 {
        self.entry().receive_count
    }

    pub fn sent_at(&self) -> Timestamp {
        self.entry().sent_at
    }

    pub fn attributes(&self) -> &Attributes {
        self.entry().attributes.get_or_init(|| {
            let json = self.text(self.entry().attributes_json);
            if json.is_empty() {
                return Attributes::new();
            }
            let read = serde_json::from_str::<BTreeMap<String, WireAttribute>>(json);
            read.map(read_attributes).unwrap_or_else(|why| {
                tracing::warn!(message_id = self.message_id(), %why, "message attributes cannot be read");
                Attributes::new()
            })
        })
    }

    fn entry(&self) -> &Entry {
        &self.batch.messages[self.index]
    }

    fn text(&self, span: Span) -> &str {
        &self.batch.texts[span.start..span.end]
    }
}

impl fmt::Debug for Raw {
    // Some messages of its batch.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").field("message_id", &self.message_id()).finish_non_exhaustive()
    }
}

impl From<Vec<SqsMessage>> for RawBatch {
    fn from(received: Vec<SqsMessage>) -> RawBatch {
        let mut batch = RawBatch::default();
        for message in received {
            let system = |name| message.attributes.as_ref()?.get(&name).map(String::as_str);
            let read = |value: MessageAttributeValue| {
                let bytes = || value.binary_value.map(|blob| blob.into_inner()).unwrap_or_default();
                read_attribute(&value.data_type, value.string_value, bytes)
            };
            let attributes = message.message_attributes.into_iter().flatten();
            let attributes: Attributes = attributes.map(|(name, value)| (name, read(value))).collect();
            let mut keep = |text: Option<&str>| push(&mut batch.texts, text.unwrap_or_default());
            let entry = Entry {
                message_id: keep(message.message_id.as_deref()),
                receipt: keep(message.receipt_handle.as_deref()),
                body: keep(message.body.as_deref()),
                group: system(Name::MessageGroupId).map(|group| keep(Some(group))),
                receive_count: number(system(Name::ApproximateReceiveCount)).unwrap_or(1),
                sent_at: time(number(system(Name::SentTimestamp))),
                attributes_json: Span::default(),
                attributes: OnceLock::from(attributes),
            };
            batch.messages.push(entry);
        }
        batch
    }
}

fn push(texts: &mut String, text: &str) -> Span {
    let start = texts.len();
    texts.push_str(text);
    Span { start, end: texts.len() }
}

fn number<N: FromStr>(text: Option<&str>) -> Option<N> {
    text?.parse().ok()
}

fn time(milliseconds: Option<i64>) -> Timestamp {
    Timestamp::from_millisecond(milliseconds.unwrap_or(0)).unwrap_or_default()
}

fn read_attributes(wire: BTreeMap<String, WireAttribute>) -> Attributes {
    let read = |value: WireAttribute| {
        let bytes = || value.binary_value.and_then(|text| BASE64.decode(text).ok()).unwrap_or_default();
        read_attribute(&value.data_type, value.string_value, bytes)
    };
    wire.into_iter().map(|(name, value)| (name, read(value))).collect()
}

fn read_attribute(data_type: &str, text: Option<String>, bytes: impl FnOnce() -> Vec<u8>) -> Attribute {
    match data_type {
        kind if kind.starts_with("Number") => Attribute::Number(text.unwrap_or_default()),
        kind if kind.starts_with("Binary") => Attribute::Binary(bytes()),
        "String.Array" => Attribute::List(text.unwrap_or_default()),
        _ => Attribute::Text(text.unwrap_or_default()),
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireAttribute {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_queue_says_beside_the_body_may_be_missing() {
        let answer = br#"{"Messages":[
            {"MessageId":"m","ReceiptHandle":"r","Body":"\"\u00e9\\","MD5OfBody":"x","New":{"a":[1]}},
            {"MessageId":"n","ReceiptHandle":"s","Body":"","Attributes":{"ApproximateReceiveCount":"3",
             "SentTimestamp":"1700000000000","MessageGroupId":"g","SenderId":"x"},"MessageAttributes":{
             "t":{"StringValue":"\n","DataType":"String"},"b":{"BinaryValue":"AP8=","DataType":"Binary.x"},
             "n":{"StringValue":"1.0","DataType":"Number"}}}]}"#;
        let batch = Arc::new(RawBatch::read(answer).unwrap());
        assert_eq!(batch.len(), 2);
        let (first, second) = (Raw::of(&batch, 0), Raw::of(&batch, 1));
        assert_eq!((first.message_id(), first.receipt(), first.body()), ("m", "r", "\"é\\"));
        assert_eq!((first.receive_count(), first.group()), (1, None));
        assert!(first.attributes().is_empty());
        assert_eq!((second.message_id(), second.receipt(), second.body()), ("n", "s", ""));
        assert_eq!((second.receive_count(), second.group()), (3, Some("g")));
        assert_eq!(second.sent_at().as_second(), 1_700_000_000);
        let expected = [
            ("b", Attribute::Binary(vec![0, 255])),
            ("n", Attribute::Number("1.0".into())),
            ("t", Attribute::Text("\n".into())),
        ];
        assert_eq!(*second.attributes(), expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn deletes_that_failed_are_read_beside_the_messages() {
        let message = r#"{"MessageId":"m","ReceiptHandle":"r","Body":"b"}"#;
        let failed = r#"{"Id":"1","SenderFault":false,"Code":"InternalError","Message":"why"}"#;
        for answer in [
            format!(r#"{{"Failed":[{failed}],"Messages":[{message}]}}"#),
            format!(r#"{{"Messages":[{message}], "Failed": [{failed}] }}"#),
        ] {
            let (messages, failures) = RawBatch::read_with_failures(answer.as_bytes()).unwrap();
            let mut results = vec![Ok(()); 2];
            failures.note(&mut results);
            assert!(messages.len() == 1 && results[0].is_ok() && results[1].as_ref().unwrap_err().retryable);
        }
        for none in ["{}", r#"{"Failed":null}"#] {
            let (messages, failures) = RawBatch::read_with_failures(none.as_bytes()).unwrap();
            assert!(messages.len() == 0 && failures.failed.is_none());
        }
        assert!(
            RawBatch::read_with_failures(br#"{"Failed":[1]}"#).is_none(),
            "who knows what has become of them"
        );
    }

    #[test]
    fn an_empty_answer_has_no_messages_and_what_is_no_answer_is_not_read() {
        for empty in [&b"{}"[..], br#"{"Messages":null}"#, br#"{"Messages":[]}"#] {
            assert!(RawBatch::read(empty).unwrap().len() == 0);
        }
        for wrong in
            [&b"<ReceiveMessageResponse/>"[..], br#"{"Messages":[{}]}"#, b"{} {}", b"{\"a\":\"\x1f\"}"]
        {
            assert!(RawBatch::read(wrong).is_none());
        }
    }
}
