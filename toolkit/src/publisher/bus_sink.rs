//! An event bus as a destination: each message is the detail of an event.

use async_trait::async_trait;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use crate::body::Attribute;
use crate::fault::Fault;
use crate::publisher::{Prepared, Receipt, Sink};

/// Maximum size of a request of PutEvents, in bytes (since 2026).
pub const BUS_BYTES: usize = 1_048_576;

/// An event bus. The event's `detail` is the message's body, which must be a JSON object; `detail-type` is the message's type, and `source` its
/// attribute `source`. Other attributes do not travel: a rule can match the detail.
#[derive(Clone, Debug)]
pub struct BusSink {
    /// The client.
    pub events: aws_sdk_eventbridge::Client,
    /// The bus's name.
    pub name: String,
}

#[async_trait]
impl Sink for BusSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_fifo(&self) -> bool {
        false
    }

    fn takes_delays(&self) -> bool {
        false
    }

    fn max_bytes(&self) -> usize {
        BUS_BYTES
    }

    async fn send(&self, batch: &[&Prepared]) -> Result<Vec<Result<Receipt, Fault>>, Fault> {
        let entries = batch.iter().map(|message| {
            let source = message.attributes.get("source").and_then(|source| match source {
                Attribute::Text(source) => Some(source.clone()),
                _ => None,
            });
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.name)
                .set_source(source)
                .detail_type(&message.message_type)
                .detail(&message.body)
                .build()
        });
        let answer = self.events.put_events().set_entries(Some(entries.collect())).send().await?;
        let entries = answer.entries.unwrap_or_default();
        let mut results: Vec<_> = entries
            .into_iter()
            .map(|entry| match (entry.event_id, entry.error_code) {
                (Some(message_id), _) => Ok(Receipt { message_id, sequence_number: None }),
                (None, code) => {
                    let code = code.unwrap_or_default();
                    // EventBridge does not say who is at fault. Its documentation names these two as the service's own.
                    let passing = ["InternalFailure", "InternalException"].contains(&&*code);
                    Err(Fault::of_entry(&code, entry.error_message.as_deref(), !passing))
                }
            })
            .collect();
        results.resize_with(batch.len(), || Err(Fault::unanswered()));
        Ok(results)
    }
}
