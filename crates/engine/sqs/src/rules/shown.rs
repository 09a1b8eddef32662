//! What of a received message the client wants to see, and how it is shown.

use api::sqs::{Message, MessageAttributeValue, ReceiveMessageInput};
use api::{Map, Text};
use bytes::Bytes;
use kernel::codec::Malformed;
use kernel::parcel::is_parcel;
use kernel::{ParcelSent, Refusal, hex};
use notification::Keys;

use crate::inbox::message_of;
use crate::operations::receive_message::{Delivered, Received};
use crate::records::{MessageSent, Record};
use crate::rules::attributes::Attribute as QueueAttribute;
use crate::rules::handle::GroupHint;
use crate::rules::new_message::attributes_md5;
use crate::rules::payload::{Attribute, AttributeValue, Payload};
use crate::rules::unpack::unpack;
use crate::{message_id, sequence_number};

/// The system attributes that a message can have.
const SYSTEM: &[&str] = &[
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

/// What the client wants to see.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Which of [`SYSTEM`], by position.
    system: u16,
    /// `MessageAttributeNames`.
    names: Vec<Text>,
    /// Whether digests are left out.
    without_digests: bool,
}

impl Shown {
    /// Reads it. `AttributeNames` and `MessageSystemAttributeNames` add up; of message attributes, names that are none
    /// are passed over (facts/sqs.md § 6).
    pub fn prepare(input: &ReceiveMessageInput) -> Result<Shown, Refusal> {
        let mut system = 0;
        let names = input.attribute_names.iter().chain(&input.message_system_attribute_names).flatten();
        for name in names {
            match SYSTEM.iter().position(|other| *other == &**name) {
                Some(at) => system |= 1 << at,
                None if name == "All" => system = u16::MAX,
                // AWS's model lets queues' attributes stand here, too; messages have none of them.
                None if QueueAttribute::from_name(name).is_ok() => {}
                None => {
                    return Err(Refusal::new("InvalidAttributeName", format!("Unknown Attribute {name}.")));
                }
            }
        }
        let names = input.message_attribute_names.clone().unwrap_or_default();
        Ok(Shown { system, names, without_digests: false })
    }

    /// All there is.
    pub fn all() -> Shown {
        Shown { system: u16::MAX, names: vec![Text::from_static("All")], without_digests: false }
    }

    /// The same, without the digests by which AWS's SDKs check what they were given.
    pub fn without_digests(self) -> Shown {
        Shown { without_digests: true, ..self }
    }

    fn wants(&self, attribute: &str) -> bool {
        SYSTEM.iter().position(|other| *other == attribute).is_some_and(|at| self.system & 1 << at != 0)
    }

    /// `All`, `.*` and `*` are all; `prefix.*` those that begin with the prefix; anything else is a name.
    fn wants_attribute(&self, name: &str) -> bool {
        self.names.iter().any(|wanted| match wanted.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => wanted == "All" || wanted == "*" || wanted == name,
        })
    }

    /// The messages as the client sees them; `records` are theirs, in the same order.
    pub fn present(
        &self,
        received: &Received,
        records: &[(Bytes, Bytes)],
        keys: &Keys<'_>,
    ) -> Result<Vec<Message>, Malformed> {
        let pairs = received.messages.iter().zip(records);
        pairs.map(|(message, (head, tail))| self.message(received, message, head, tail, keys)).collect()
    }

    fn message(
        &self,
        received: &Received,
        message: &Delivered,
        head: &Bytes,
        tail: &Bytes,
        keys: &Keys<'_>,
    ) -> Result<Message, Malformed> {
        let parcel;
        let (sent, payload) = if is_parcel(head) {
            let copy;
            (parcel, copy) = ParcelSent::decode_copy(head, message.copy.0)?;
            (message_of(&parcel, &copy), unpack(&parcel, &copy, tail, keys)?)
        } else {
            let Record::MessageSent(sent) = Record::decode(head)? else { return Err(Malformed) };
            (sent, Payload::decode(tail)?)
        };
        let id = message_id(keys.secret, message.origin);
        // Only messages of FIFO queues have a deduplication id.
        let group = match &sent.deduplication {
            None => GroupHint::of(sent.group.as_deref(), keys.secret),
            Some(_) => GroupHint::Unknown,
        };
        let handle = message.handle_with(received.queue, group);
        let system = self.system(message, &sent, &payload, &id);
        let mut attributes = payload.attributes;
        attributes.retain(|attribute| self.wants_attribute(&attribute.name));
        let digests = !self.without_digests;
        Ok(Message {
            attributes: system,
            message_id: Some(id.into()),
            receipt_handle: Some(handle.to_text().into()),
            md5_of_body: digests.then(|| hex(&payload.body_md5).into()),
            body: Some(payload.body),
            md5_of_message_attributes: (digests && !attributes.is_empty())
                .then(|| hex(&attributes_md5(&attributes)).into()),
            message_attributes: (!attributes.is_empty())
                .then(|| Map(attributes.into_iter().map(attribute_shape).collect())),
        })
    }

    fn system(
        &self,
        message: &Delivered,
        sent: &MessageSent<'_>,
        payload: &Payload,
        id: &str,
    ) -> Option<Map<Text>> {
        if self.system == 0 {
            return None;
        }
        let fifo = sent.deduplication.as_ref();
        let deduplication_id = fifo
            .map(|fifo| if message.deduplicates_by_id { id.into() } else { Text::from(fifo.id.as_ref()) });
        let values: [(&'static str, Option<Text>); 9] = [
            ("SenderId", Some(payload.sender.clone())),
            ("SentTimestamp", Some(message.sent.0.to_string().into())),
            ("ApproximateReceiveCount", Some(message.receives.to_string().into())),
            ("ApproximateFirstReceiveTimestamp", Some(message.first_received.0.to_string().into())),
            ("SequenceNumber", fifo.map(|_| sequence_number(message.seq).into())),
            ("MessageDeduplicationId", deduplication_id),
            ("MessageGroupId", sent.group.as_deref().map(Text::from)),
            ("AWSTraceHeader", payload.trace_header.clone()),
            ("DeadLetterQueueSourceArn", message.dead_letter_source.as_deref().map(|arn| Text::from(&**arn))),
        ];
        let shown: Vec<(Text, Text)> = values
            .into_iter()
            .filter(|(name, _)| self.wants(name))
            .filter_map(|(name, value)| Some((Text::from_static(name), value?)))
            .collect();
        (!shown.is_empty()).then_some(Map(shown))
    }
}

fn attribute_shape(attribute: Attribute) -> (Text, MessageAttributeValue) {
    let (string_value, binary_value) = match attribute.value {
        AttributeValue::Text(text) => (Some(text), None),
        AttributeValue::Binary(bytes) => (None, Some(bytes)),
    };
    let shape = MessageAttributeValue {
        data_type: Some(attribute.data_type),
        string_value,
        binary_value,
        ..MessageAttributeValue::default()
    };
    (attribute.name, shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(system: &[&str], names: &[&str]) -> Result<Shown, Refusal> {
        Shown::prepare(&ReceiveMessageInput {
            attribute_names: Some(system.iter().map(|&name| name.into()).collect()),
            message_attribute_names: Some(names.iter().map(|&name| name.into()).collect()),
            ..Default::default()
        })
    }

    #[test]
    fn message_attributes_are_chosen_by_name_prefix_or_all() {
        // facts/sqs.md § 6
        let wants = |names: &[&str], name: &str| shown(&[], names).unwrap().wants_attribute(name);
        for all in ["All", ".*", "*"] {
            assert!(wants(&[all], "x"), "{all}");
        }
        assert!(wants(&["Hel.*"], "Hello") && wants(&["Hel.*"], "Help.Me") && !wants(&["Hel.*"], "Other"));
        assert!(wants(&["a", "b"], "b") && !wants(&["a"], "b") && !wants(&[], "a"));
    }

    #[test]
    fn system_attributes_that_do_not_exist_are_refused() {
        assert!(shown(&["All"], &[]).unwrap().wants("SenderId"));
        assert!(!shown(&["SentTimestamp", "Policy"], &[]).unwrap().wants("SenderId"));
        let refusal = shown(&["Nonsense"], &[]).unwrap_err();
        assert_eq!(
            (refusal.shape, refusal.message.as_ref()),
            ("InvalidAttributeName", "Unknown Attribute Nonsense.")
        );
    }
}
