//! Messages as a queue hands them out, before anybody has looked into their bodies.
//!
//! A consumer reads thousands a second, and most of what stands beside a body nobody asks for. So the texts of one receive stand in one
//! piece of memory, one after the other, and attributes are read when they are wanted.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use aws_sdk_sqs::types::{Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName as Name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::body::{Attribute, Attributes};

/// What one receive brought.
#[derive(Default)]
pub(crate) struct RawBatch {
    texts: String,
    messages: Vec<Entry>,
}

/// One of its messages: what a consumer keeps of it.
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
    /// As SQS writes them; empty if there are none, or none are left to read.
    attributes_json: Span,
    attributes: OnceLock<Attributes>,
}

/// From one byte of the texts to another.
#[derive(Clone, Copy, Default)]
struct Span {
    start: usize,
    end: usize,
}

impl RawBatch {
    /// The answer to a receive, in JSON.
    pub fn read(answer: &[u8]) -> Option<RawBatch> {
        // Checked as a whole, and so not string by string.
        let answer = std::str::from_utf8(answer).ok()?;
        // Escapes are longer than what they stand for.
        let mut texts = SPARE.take().unwrap_or_default();
        texts.reserve(answer.len());
        let mut json = serde_json::Deserializer::from_str(answer);
        let messages = AnswerSeed(&mut texts).deserialize(&mut json).ok()?;
        json.end().ok()?;
        Some(RawBatch { texts, messages })
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Those after so many are left to come again.
    pub fn truncate(&mut self, most: usize) {
        self.messages.truncate(most);
    }
}

thread_local! {
    /// The memory of a batch that is over, for the next: large pieces cost an allocator more than small ones.
    static SPARE: Cell<Option<String>> = const { Cell::new(None) };
}
const MOST_SPARE: usize = 256 * 1024;

impl Drop for RawBatch {
    fn drop(&mut self) {
        let mut texts = std::mem::take(&mut self.texts);
        if texts.capacity() <= MOST_SPARE {
            texts.clear();
            // A thread that ends needs none.
            let _ = SPARE.try_with(|spare| spare.set(Some(texts)));
        }
    }
}

impl Raw {
    pub fn of(batch: &Arc<RawBatch>, index: usize) -> Raw {
        Raw { batch: batch.clone(), index }
    }

    /// Its place in its batch.
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

    /// How often it has been handed out, this time included.
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
    // Not all of its batch.
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

/// `{"Messages": [...]}`, its texts put behind those that are there.
struct AnswerSeed<'t>(&'t mut String);

/// `[...]`
struct MessagesSeed<'t>(&'t mut String);

/// One message.
struct MessageSeed<'t>(&'t mut String);

/// A string.
struct TextSeed<'t>(&'t mut String);

/// A message's members that are of interest.
#[derive(Deserialize)]
enum Member {
    MessageId,
    ReceiptHandle,
    Body,
    Attributes,
    MessageAttributes,
    #[serde(other)]
    Other,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireSystem {
    #[serde(deserialize_with = "in_text")]
    approximate_receive_count: Option<u32>,
    #[serde(deserialize_with = "in_text")]
    sent_timestamp: Option<i64>,
    message_group_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireAttribute {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

impl<'de> DeserializeSeed<'de> for AnswerSeed<'_> {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AnswerSeed<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer to a receive")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Entry>, A::Error> {
        #[derive(Deserialize)]
        enum Key {
            Messages,
            #[serde(other)]
            Other,
        }
        let mut messages = Vec::new();
        while let Some(key) = map.next_key()? {
            match key {
                Key::Messages => messages = map.next_value_seed(MessagesSeed(&mut *self.0))?,
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(messages)
    }
}

impl<'de> DeserializeSeed<'de> for MessagesSeed<'_> {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessagesSeed<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("messages")
    }

    fn visit_unit<E>(self) -> Result<Vec<Entry>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Entry>, A::Error> {
        let mut messages = Vec::with_capacity(10);
        while let Some(message) = seq.next_element_seed(MessageSeed(&mut *self.0))? {
            messages.push(message);
        }
        Ok(messages)
    }
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let texts = self.0;
        let (mut message_id, mut receipt, mut body, mut attributes_json) = (None, None, None, None);
        let mut system = WireSystem::default();
        while let Some(member) = map.next_key()? {
            match member {
                Member::MessageId => message_id = Some(map.next_value_seed(TextSeed(texts))?),
                Member::ReceiptHandle => receipt = Some(map.next_value_seed(TextSeed(texts))?),
                Member::Body => body = Some(map.next_value_seed(TextSeed(texts))?),
                Member::Attributes => system = map.next_value::<Option<WireSystem>>()?.unwrap_or_default(),
                Member::MessageAttributes => {
                    let json: Option<&RawValue> = map.next_value()?;
                    attributes_json = json.map(|json| push(texts, json.get()));
                }
                Member::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let missing = A::Error::missing_field;
        Ok(Entry {
            message_id: message_id.ok_or_else(|| missing("MessageId"))?,
            receipt: receipt.ok_or_else(|| missing("ReceiptHandle"))?,
            body: body.ok_or_else(|| missing("Body"))?,
            group: system.message_group_id.map(|group| push(texts, &group)),
            receive_count: system.approximate_receive_count.unwrap_or(1),
            sent_at: time(system.sent_timestamp),
            attributes_json: attributes_json.unwrap_or_default(),
            attributes: OnceLock::new(),
        })
    }
}

impl<'de> DeserializeSeed<'de> for TextSeed<'_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for TextSeed<'_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Span, E> {
        Ok(push(self.0, text))
    }
}

/// A number written as a string; `None` if it is none.
fn in_text<'a, N: FromStr, D: Deserializer<'a>>(deserializer: D) -> Result<Option<N>, D::Error> {
    struct Text<N>(PhantomData<N>);
    impl<N: FromStr> Visitor<'_> for Text<N> {
        type Value = Option<N>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number in a string")
        }
        fn visit_str<E>(self, text: &str) -> Result<Option<N>, E> {
            Ok(text.parse().ok())
        }
    }
    deserializer.deserialize_str(Text(PhantomData))
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
    fn an_empty_answer_has_no_messages_and_what_is_no_answer_is_not_read() {
        for empty in [&b"{}"[..], br#"{"Messages":null}"#, br#"{"Messages":[]}"#] {
            assert!(RawBatch::read(empty).unwrap().len() == 0);
        }
        for wrong in
            [&b"<ReceiveMessageResponse/>"[..], br#"{"Messages":[{}]}"#, b"{} {}", b"{\"a\":\"\xff\"}"]
        {
            assert!(RawBatch::read(wrong).is_none());
        }
    }
}
