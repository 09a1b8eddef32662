//! Queues as sources: what other services draw from them, as a client receives and deletes.

use bytes::Bytes;
use kernel::{Arn, Drawn, Extent, Secret, Stored, Why};
use notification::{Keys, Unsigned};
use serde_json::{Map, Value, json};

use crate::due::Receive;
use crate::operations::Context;
use crate::operations::receive_message::{Delivered, Received, group_name, receive};
use crate::queue::{Queue, Touched};
use crate::records::{DropReason, DroppedMessage, MessagesDropped, Record};
use crate::rules::shown::Shown;
use crate::state::State;
use crate::{QueueId, QueueKey, Seq};

impl State {
    /// Receives messages. They stay hidden for the queue's visibility timeout.
    pub(crate) fn draw(
        &self,
        from: &Arn,
        most: usize,
        context: &mut Context<'_, '_>,
    ) -> Result<Vec<Drawn>, Why> {
        let queue = self.queue_of(from).ok_or(Why::Missing)?;
        let most = most.try_into().unwrap_or(u32::MAX);
        let request = Receive { most, visibility_seconds: None, wait_seconds: None, attempt: None };
        let (facts, received) = receive(self, queue, &request, &context.setting);
        facts.iter().for_each(|fact| context.record(fact));
        let drawn = |message: &Delivered| Drawn { number: message.seq.0, draw: message.receives };
        Ok(received.messages.iter().map(drawn).collect())
    }

    /// Where a drawn message lies.
    pub(crate) fn place_of(&self, from: &Arn, drawn: Drawn) -> Option<Extent> {
        self.drawn(self.queue_of(from)?, drawn).map(|touched| touched.extent)
    }

    /// A drawn message as pipes and functions see it (AWS's documentation of EventBridge Pipes, "Amazon Simple Queue Service as a
    /// source").
    pub(crate) fn show(&self, from: &Arn, drawn: Drawn, record: &Stored, secret: &Secret) -> Option<String> {
        let queue = self.queue_of(from)?;
        let touched = self.drawn(queue, drawn).filter(|touched| touched.extent == record.extent)?;
        let delivered = Delivered::of_touched(Seq(drawn.number), touched);
        let received = Received { queue: queue.id, messages: vec![delivered] };
        let bytes = (Bytes::copy_from_slice(&record.head), Bytes::copy_from_slice(&record.tail));
        let keys = Keys { secret, signer: &Unsigned };
        let message = Shown::all().present(&received, &[bytes], &keys).ok()?.pop()?;
        Some(document(message, from))
    }

    /// Deletes drawn messages.
    pub(crate) fn finish(&self, from: &Arn, drawn: &[Drawn], context: &mut Context<'_, '_>) {
        let Some(queue) = self.queue_of(from) else { return };
        let dropped = drawn.iter().filter_map(|&drawn| {
            let touched = self.drawn(queue, drawn)?;
            let group = group_name(queue, touched.group);
            Some(DroppedMessage { seq: Seq(drawn.number), place: touched.extent.place, group })
        });
        for record in MessagesDropped::of(queue.id, DropReason::Deleted, dropped.collect()) {
            context.record(&Record::MessagesDropped(record).into());
        }
    }

    /// Somebody wishes for a queue, which need not exist yet.
    pub(crate) fn watch(&mut self, source: &Arn) {
        let Some(key) = QueueKey::from_arn(source) else { return };
        self.watched.insert(key.clone());
        if let Some(&id) = self.names.get(&key) {
            self.watch_queue(id);
        }
    }

    /// Whoever wishes for the queue is told once it has something.
    pub(crate) fn watch_queue(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        queue.is_watched = self.watched.contains(&queue.key);
        if queue.is_watched && queue.has_ready() {
            self.filled.insert(id);
        }
    }

    /// The next queue that somebody wished for and that has something.
    pub(crate) fn next_filled(&mut self) -> Option<Arn> {
        while let Some(id) = self.filled.pop_first() {
            let Some(queue) = self.queues.get_mut(&id) else { continue };
            queue.is_watched = false;
            self.watched.remove(&queue.key);
            return Some(queue.key.arn());
        }
        None
    }

    fn queue_of(&self, from: &Arn) -> Option<&Queue> {
        self.queue(&QueueKey::from_arn(from)?)
    }

    /// A message that is still hidden since this draw.
    fn drawn<'q>(&self, queue: &'q Queue, drawn: Drawn) -> Option<&'q Touched> {
        let touched = queue.touched.get(&Seq(drawn.number))?;
        let is_hidden = touched.in_flight && touched.receives == drawn.draw;
        Some(&**touched).filter(|_| is_hidden)
    }
}

/// A message as JSON.
fn document(message: api::sqs::Message, from: &Arn) -> String {
    let text = |text: Option<api::Text>| text.map_or(Value::Null, |text| Value::from(&*text));
    let system = message.attributes.into_iter().flat_map(|map| map.0);
    let system: Map<String, Value> = system.map(|(name, value)| (name.to_string(), json!(&*value))).collect();
    let attributes = message.message_attributes.into_iter().flat_map(|map| map.0).map(|(name, value)| {
        let mut shown = Map::new();
        if let Some(value) = &value.string_value {
            shown.insert("stringValue".to_owned(), json!(&**value));
        }
        if let Some(value) = &value.binary_value {
            use base64::Engine;
            let value = base64::engine::general_purpose::STANDARD.encode(value);
            shown.insert("binaryValue".to_owned(), json!(value));
        }
        shown.insert("dataType".to_owned(), text(value.data_type));
        (name.to_string(), Value::Object(shown))
    });
    let members = [
        ("messageId", text(message.message_id)),
        ("receiptHandle", text(message.receipt_handle)),
        ("body", text(message.body)),
        ("attributes", Value::Object(system)),
        ("messageAttributes", Value::Object(attributes.collect())),
        ("md5OfBody", text(message.md5_of_body)),
        ("eventSource", json!("aws:sqs")),
        ("eventSourceARN", json!(from.to_string())),
        ("awsRegion", json!(from.region)),
    ];
    let members = members.map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", members.join(","))
}
