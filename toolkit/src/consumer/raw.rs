//! A message as a queue hands it out, before anybody has looked into its body.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::OnceLock;

use aws_sdk_sqs::types::{Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName as Name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::body::{Attribute, Attributes};

/// What a consumer keeps of it.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub message_id: String,
    pub receipt: String,
    pub body: String,
    /// How often it has been handed out, this time included.
    pub receive_count: u32,
    pub sent_at: Timestamp,
    pub group: Option<String>,
    attributes: LazyAttributes,
}

/// Most handlers never ask for them.
#[derive(Clone, Debug)]
struct LazyAttributes {
    /// As SQS writes them; empty if there are none, or none are left to read.
    json: Box<str>,
    read: OnceLock<Attributes>,
}

impl Raw {
    pub fn attributes(&self) -> &Attributes {
        self.attributes.read.get_or_init(|| {
            let json = &*self.attributes.json;
            if json.is_empty() {
                return Attributes::new();
            }
            serde_json::from_str::<BTreeMap<String, WireAttribute>>(json).map(read_attributes).unwrap_or_else(
                |why| {
                    tracing::warn!(message_id = self.message_id, %why, "message attributes cannot be read");
                    Attributes::new()
                },
            )
        })
    }

    /// The answer to a receive, in JSON.
    pub fn read_all(answer: &[u8]) -> Option<Vec<Raw>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer<'a> {
            #[serde(borrow)]
            messages: Option<Vec<Wire<'a>>>,
        }
        // Checked as a whole, and so not string by string.
        let answer: Answer<'_> = serde_json::from_str(std::str::from_utf8(answer).ok()?).ok()?;
        Some(answer.messages.unwrap_or_default().into_iter().map(Raw::from).collect())
    }
}

/// As SQS writes it in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    message_id: String,
    receipt_handle: String,
    body: String,
    #[serde(default)]
    attributes: WireSystem,
    #[serde(borrow)]
    message_attributes: Option<&'a RawValue>,
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

impl From<Wire<'_>> for Raw {
    fn from(wire: Wire<'_>) -> Raw {
        let json = wire.message_attributes.map(|json| json.get()).filter(|json| *json != "null");
        Raw {
            attributes: LazyAttributes { json: json.unwrap_or_default().into(), read: OnceLock::new() },
            message_id: wire.message_id,
            receipt: wire.receipt_handle,
            body: wire.body,
            receive_count: wire.attributes.approximate_receive_count.unwrap_or(1),
            sent_at: time(wire.attributes.sent_timestamp),
            group: wire.attributes.message_group_id,
        }
    }
}

impl From<SqsMessage> for Raw {
    fn from(message: SqsMessage) -> Raw {
        let system = |name| message.attributes.as_ref()?.get(&name).map(String::as_str);
        let read = |value: MessageAttributeValue| {
            let bytes = || value.binary_value.map(|blob| blob.into_inner()).unwrap_or_default();
            read_attribute(&value.data_type, value.string_value, bytes)
        };
        let attributes =
            message.message_attributes.into_iter().flatten().map(|(name, value)| (name, read(value)));
        let attributes =
            LazyAttributes { json: "".into(), read: OnceLock::from(attributes.collect::<Attributes>()) };
        let parsed = |name| system(name).and_then(|text| text.parse().ok());
        Raw {
            receive_count: system(Name::ApproximateReceiveCount)
                .and_then(|text| text.parse().ok())
                .unwrap_or(1),
            sent_at: time(parsed(Name::SentTimestamp)),
            group: system(Name::MessageGroupId).map(str::to_owned),
            message_id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            attributes,
        }
    }
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

fn time(milliseconds: Option<i64>) -> Timestamp {
    Timestamp::from_millisecond(milliseconds.unwrap_or(0)).unwrap_or_default()
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
        let [first, second] = Raw::read_all(answer).unwrap().try_into().unwrap();
        assert_eq!((first.body.as_str(), first.receive_count, first.group.as_deref()), ("\"é\\", 1, None));
        assert!(first.attributes().is_empty());
        assert_eq!((second.receive_count, second.group.as_deref()), (3, Some("g")));
        assert_eq!(second.sent_at.as_second(), 1_700_000_000);
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
            assert!(Raw::read_all(empty).unwrap().is_empty());
        }
        for wrong in [&b"<ReceiveMessageResponse/>"[..], br#"{"Messages":[{}]}"#, b"{\"a\":\"\xff\"}"] {
            assert!(Raw::read_all(wrong).is_none());
        }
    }
}
