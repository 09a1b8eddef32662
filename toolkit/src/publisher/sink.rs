//! Destinations of messages: a queue or a topic, one batch at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sns::primitives::Blob as SnsBlob;
use aws_sdk_sns::types::{MessageAttributeValue as SnsAttribute, PublishBatchRequestEntry};
use aws_sdk_sqs::primitives::Blob as SqsBlob;
use aws_sdk_sqs::types::{MessageAttributeValue as SqsAttribute, SendMessageBatchRequestEntry};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::body::Attribute;
use crate::direct::{BatchAnswer, BatchAsk, Direct, Form, PATIENCE};
use crate::fault::Fault;
use crate::publisher::Prepared;

/// Maximum number of entries per request of SQS and SNS.
pub const BATCH_ENTRIES: usize = 10;
/// Maximum size of a request of SQS, for one message or a batch, in bytes (since August 2025).
pub const QUEUE_BYTES: usize = 1_048_576;
/// Maximum size of a request of SNS, in bytes.
pub const TOPIC_BYTES: usize = 262_144;

/// A destination that accepts batches of messages. A test can put a faulty sink in front of a real one.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Returns its name, for people and metrics.
    fn name(&self) -> &str;

    /// Returns whether messages of one group keep their order.
    fn is_fifo(&self) -> bool;

    /// Returns whether messages can be delayed: only in a standard queue.
    fn takes_delays(&self) -> bool {
        !self.is_fifo()
    }

    /// Returns the maximum size of a batch, in bytes.
    fn max_bytes(&self) -> usize;

    /// Sends up to [`BATCH_ENTRIES`] messages whose total size is at most [`max_bytes`](Self::max_bytes).
    ///
    /// # Errors
    /// The whole call failed. Otherwise there is one result per entry, in the same order.
    async fn send(&self, batch: &[&Prepared]) -> Result<Vec<Result<Receipt, Fault>>, Fault>;
}

/// The confirmation that a message was accepted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Receipt {
    /// The service's message id (not the envelope's id).
    pub message_id: String,
    /// FIFO: its sequence number.
    pub sequence_number: Option<String>,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct QueueSink {
    /// The client.
    pub sqs: aws_sdk_sqs::Client,
    /// The queue's URL.
    pub url: String,
}

#[async_trait]
impl Sink for QueueSink {
    fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    fn max_bytes(&self) -> usize {
        QUEUE_BYTES
    }

    async fn send(&self, batch: &[&Prepared]) -> Result<Vec<Result<Receipt, Fault>>, Fault> {
        let mut call = self.sqs.send_message_batch().queue_url(&self.url);
        for (number, message) in batch.iter().enumerate() {
            let mut entry = SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body(&message.body)
                .set_message_group_id(message.group.clone())
                .set_message_deduplication_id(message.deduplication_id.clone())
                .set_delay_seconds(message.delay_seconds.and_then(|seconds| i32::try_from(seconds).ok()));
            for (name, value) in &message.attributes {
                entry = entry.message_attributes(name, sqs_attribute(value)?);
            }
            call = call.entries(entry.build().map_err(unbuildable)?);
        }
        let answer = call.send().await?;
        let mut results = unanswered(batch.len());
        for entry in answer.successful {
            let receipt = Receipt { message_id: entry.message_id, sequence_number: entry.sequence_number };
            set(&mut results, &entry.id, Ok(receipt));
        }
        for entry in answer.failed {
            let fault = Fault::of_entry(&entry.code, entry.message.as_deref(), entry.sender_fault);
            set(&mut results, &entry.id, Err(fault));
        }
        Ok(results)
    }
}

/// A queue or a topic, with calls that bypass the SDK.
pub(super) struct DirectSink<S> {
    pub inner: S,
    pub direct: Arc<Direct>,
}

/// A destination whose calls can bypass the SDK.
pub(super) trait SendDirect: Sink {
    /// Returns the answer to a batch; `None` if the SDK must send the batch.
    fn send_direct(
        &self,
        direct: &Direct,
        batch: &[&Prepared],
    ) -> impl Future<Output = Option<BatchAnswer>> + Send;
}

#[async_trait]
impl<S: SendDirect> Sink for DirectSink<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn is_fifo(&self) -> bool {
        self.inner.is_fifo()
    }

    fn takes_delays(&self) -> bool {
        self.inner.takes_delays()
    }

    fn max_bytes(&self) -> usize {
        self.inner.max_bytes()
    }

    async fn send(&self, batch: &[&Prepared]) -> Result<Vec<Result<Receipt, Fault>>, Fault> {
        match self.inner.send_direct(&self.direct, batch).await {
            Some(answer) => Ok(results(answer, batch.len())),
            None => self.inner.send(batch).await,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    id: String,
    message_body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_deduplication_id: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<&'a str, EntryAttribute<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EntryAttribute<'a> {
    data_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

impl<'a> EntryAttribute<'a> {
    fn of(value: &'a Attribute) -> EntryAttribute<'a> {
        let (string_value, binary_value) = match value {
            Attribute::Text(text) | Attribute::Number(text) | Attribute::List(text) => (Some(&**text), None),
            Attribute::Binary(bytes) => (None, Some(BASE64.encode(bytes))),
        };
        EntryAttribute { data_type: value.data_type(), string_value, binary_value }
    }
}

impl SendDirect for QueueSink {
    async fn send_direct(&self, direct: &Direct, batch: &[&Prepared]) -> Option<BatchAnswer> {
        let entries = batch.iter().enumerate().map(|(number, message)| Entry {
            id: number.to_string(),
            message_body: &message.body,
            delay_seconds: message.delay_seconds,
            message_group_id: message.group.as_deref(),
            message_deduplication_id: message.deduplication_id.as_deref(),
            message_attributes: message
                .attributes
                .iter()
                .map(|(name, value)| (&**name, EntryAttribute::of(value)))
                .collect(),
        });
        let ask = BatchAsk { queue_url: &self.url, entries: entries.collect() };
        // A JSON body within JSON has two bytes for each quote.
        let bytes = 512 + batch.iter().map(|message| 512 + message.size() * 9 / 8).sum::<usize>();
        direct.call("AmazonSQS.SendMessageBatch", (&ask, bytes), PATIENCE).await
    }
}

/// Returns the result of each entry.
fn results(answer: BatchAnswer, entries: usize) -> Vec<Result<Receipt, Fault>> {
    let mut results = unanswered(entries);
    answer.failures(&mut results);
    for entry in answer.successful.unwrap_or_default() {
        let receipt = Receipt { message_id: entry.message_id, sequence_number: entry.sequence_number };
        set(&mut results, &entry.id, Ok(receipt));
    }
    results
}

/// A topic.
#[derive(Clone, Debug)]
pub struct TopicSink {
    /// The client.
    pub sns: aws_sdk_sns::Client,
    /// The topic's ARN.
    pub arn: String,
}

#[async_trait]
impl Sink for TopicSink {
    fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or(&self.arn)
    }

    fn is_fifo(&self) -> bool {
        self.arn.ends_with(".fifo")
    }

    fn takes_delays(&self) -> bool {
        false
    }

    fn max_bytes(&self) -> usize {
        TOPIC_BYTES
    }

    async fn send(&self, batch: &[&Prepared]) -> Result<Vec<Result<Receipt, Fault>>, Fault> {
        let mut call = self.sns.publish_batch().topic_arn(&self.arn);
        for (number, message) in batch.iter().enumerate() {
            let mut entry = PublishBatchRequestEntry::builder()
                .id(number.to_string())
                .message(&message.body)
                .set_message_group_id(message.group.clone())
                .set_message_deduplication_id(message.deduplication_id.clone());
            for (name, value) in &message.attributes {
                entry = entry.message_attributes(name, sns_attribute(value)?);
            }
            call = call.publish_batch_request_entries(entry.build().map_err(unbuildable)?);
        }
        let answer = call.send().await?;
        let mut results = unanswered(batch.len());
        for entry in answer.successful.unwrap_or_default() {
            let receipt = Receipt {
                message_id: entry.message_id.unwrap_or_default(),
                sequence_number: entry.sequence_number,
            };
            set(&mut results, entry.id.as_deref().unwrap_or_default(), Ok(receipt));
        }
        for entry in answer.failed.unwrap_or_default() {
            let fault = Fault::of_entry(&entry.code, entry.message.as_deref(), entry.sender_fault);
            set(&mut results, &entry.id, Err(fault));
        }
        Ok(results)
    }
}

impl SendDirect for TopicSink {
    async fn send_direct(&self, direct: &Direct, batch: &[&Prepared]) -> Option<BatchAnswer> {
        // A JSON body has three bytes for each quote in a form.
        let bytes = 256 + batch.iter().map(|message| 768 + message.size() * 3 / 2).sum::<usize>();
        let mut form = Form::new("PublishBatch", bytes);
        form.add(("", "TopicArn"), &self.arn);
        for (number, message) in batch.iter().enumerate() {
            let entry = format!("PublishBatchRequestEntries.member.{}.", number + 1);
            form.add((&entry, "Id"), &number.to_string());
            form.add((&entry, "Message"), &message.body);
            if let Some(group) = &message.group {
                form.add((&entry, "MessageGroupId"), group);
            }
            if let Some(id) = &message.deduplication_id {
                form.add((&entry, "MessageDeduplicationId"), id);
            }
            for (number, (name, value)) in message.attributes.iter().enumerate() {
                let entry = format!("{entry}MessageAttributes.entry.{}.", number + 1);
                form.add((&entry, "Name"), name);
                form.add((&entry, "Value.DataType"), value.data_type());
                match value {
                    Attribute::Text(text) | Attribute::Number(text) | Attribute::List(text) => {
                        form.add((&entry, "Value.StringValue"), text);
                    }
                    Attribute::Binary(bytes) => {
                        form.add((&entry, "Value.BinaryValue"), &BASE64.encode(bytes));
                    }
                }
            }
        }
        direct.batch("PublishBatch", form, PATIENCE).await
    }
}

/// An entry that the answer does not mention may have been sent or not: it is sent again.
fn unanswered(entries: usize) -> Vec<Result<Receipt, Fault>> {
    vec![Err(Fault::unanswered()); entries]
}

fn set(results: &mut [Result<Receipt, Fault>], id: &str, result: Result<Receipt, Fault>) {
    if let Some(place) = id.parse().ok().and_then(|number: usize| results.get_mut(number)) {
        *place = result;
    }
}

fn unbuildable(error: impl std::fmt::Display) -> Fault {
    Fault::permanent("Construction", error.to_string())
}

pub(crate) fn sqs_attribute(value: &Attribute) -> Result<SqsAttribute, Fault> {
    let built = SqsAttribute::builder().data_type(value.data_type());
    let built = match value {
        Attribute::Text(text) | Attribute::Number(text) | Attribute::List(text) => built.string_value(text),
        Attribute::Binary(bytes) => built.binary_value(SqsBlob::new(bytes.clone())),
    };
    built.build().map_err(unbuildable)
}

fn sns_attribute(value: &Attribute) -> Result<SnsAttribute, Fault> {
    let built = SnsAttribute::builder().data_type(value.data_type());
    let built = match value {
        Attribute::Text(text) | Attribute::Number(text) | Attribute::List(text) => built.string_value(text),
        Attribute::Binary(bytes) => built.binary_value(SnsBlob::new(bytes.clone())),
    };
    built.build().map_err(unbuildable)
}
