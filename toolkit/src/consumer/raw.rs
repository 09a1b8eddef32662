//! A message as a queue hands it out, before anybody has looked into its body.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName as Name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::Deserialize;

use crate::body::{Attribute, Attributes};

/// What a consumer keeps of it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(from = "Wire")]
pub(crate) struct Raw {
    pub message_id: String,
    pub receipt: String,
    pub body: String,
    /// How often it has been handed out, this time included.
    pub receive_count: u32,
    pub sent_at: Timestamp,
    pub group: Option<String>,
    pub attributes: Attributes,
}

/// As SQS writes it in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Wire {
    message_id: String,
    receipt_handle: String,
    body: String,
    attributes: WireSystem,
    message_attributes: BTreeMap<String, WireAttribute>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireSystem {
    approximate_receive_count: Option<String>,
    sent_timestamp: Option<String>,
    message_group_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct WireAttribute {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

impl From<Wire> for Raw {
    fn from(wire: Wire) -> Raw {
        let read = |value: WireAttribute| {
            let bytes = || value.binary_value.and_then(|text| BASE64.decode(text).ok()).unwrap_or_default();
            read_attribute(&value.data_type, value.string_value, bytes)
        };
        let attributes = wire.message_attributes.into_iter().map(|(name, value)| (name, read(value)));
        Raw {
            attributes: attributes.collect(),
            message_id: wire.message_id,
            receipt: wire.receipt_handle,
            body: wire.body,
            receive_count: read_count(wire.attributes.approximate_receive_count.as_deref()),
            sent_at: read_time(wire.attributes.sent_timestamp.as_deref()),
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
        Raw {
            receive_count: read_count(system(Name::ApproximateReceiveCount)),
            sent_at: read_time(system(Name::SentTimestamp)),
            group: system(Name::MessageGroupId).map(str::to_owned),
            message_id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            attributes: message
                .message_attributes
                .into_iter()
                .flatten()
                .map(|(name, value)| (name, read(value)))
                .collect(),
        }
    }
}

fn read_attribute(data_type: &str, text: Option<String>, bytes: impl FnOnce() -> Vec<u8>) -> Attribute {
    match data_type {
        kind if kind.starts_with("Number") => Attribute::Number(text.unwrap_or_default()),
        kind if kind.starts_with("Binary") => Attribute::Binary(bytes()),
        "String.Array" => Attribute::List(text.unwrap_or_default()),
        _ => Attribute::Text(text.unwrap_or_default()),
    }
}

fn read_count(text: Option<&str>) -> u32 {
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn read_time(text: Option<&str>) -> Timestamp {
    let milliseconds = text.and_then(|text| text.parse().ok()).unwrap_or(0);
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}
