//! What the log says about topics: facts, one file a kind. Numbers are never reused; retired kinds stay listed.
//!
//! | kind | name | class | since |
//! |---|---|---|---|
//! | 64 | `topic_declared` | configuration | 1 |
//! | 65 | `topic_deleted` | configuration | 1 |
//! | 66 | `subscription_declared` | configuration | 1 |
//! | 67 | `subscription_deleted` | configuration | 1 |
//! | 68 | `platform_application_declared` | configuration | 1 |
//! | 69 | `platform_application_deleted` | configuration | 1 |
//! | 70 | `platform_endpoint_declared` | configuration | 1 |
//! | 71 | `platform_endpoint_deleted` | configuration | 1 |
//! | 72 | `text_messaging_declared` | configuration | 1 |
//! | 80 | `delivery_failed` | flow | 1 |
//! | 81 | `deliveries_ended` | flow | 1 |
//! | 82 | `replay_advanced` | flow | 1 |
//!
//! What is published is a parcel (`kernel::ParcelSent`, kind 128), which queues know, too.

mod topic_declared;
pub use topic_declared::TopicDeclared;

mod topic_deleted;
pub use topic_deleted::TopicDeleted;

mod subscription_declared;
pub use subscription_declared::{Confirmation, SubscriptionDeclared};

mod subscription_deleted;
pub use subscription_deleted::SubscriptionDeleted;

mod platform_application_declared;
pub use platform_application_declared::PlatformApplicationDeclared;

mod platform_application_deleted;
pub use platform_application_deleted::PlatformApplicationDeleted;

mod platform_endpoint_declared;
pub use platform_endpoint_declared::PlatformEndpointDeclared;

mod platform_endpoint_deleted;
pub use platform_endpoint_deleted::PlatformEndpointDeleted;

mod text_messaging_declared;
pub use text_messaging_declared::{SandboxNumber, TextMessagingDeclared};

pub use deliveries::{DeliveriesEnded, DeliveryFailed};

mod replay_advanced;
pub use replay_advanced::ReplayAdvanced;

#[cfg(test)]
mod tests;

use kernel::codec::{Malformed, Reader};

/// The kinds of records that are this service's.
pub const KINDS: std::ops::RangeInclusive<u8> = 64..=95;

/// A fact about topics.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // Each variant is documented where its struct is.
pub enum Record {
    TopicDeclared(Box<TopicDeclared>),
    TopicDeleted(TopicDeleted),
    SubscriptionDeclared(Box<SubscriptionDeclared>),
    SubscriptionDeleted(SubscriptionDeleted),
    PlatformApplicationDeclared(Box<PlatformApplicationDeclared>),
    PlatformApplicationDeleted(PlatformApplicationDeleted),
    PlatformEndpointDeclared(Box<PlatformEndpointDeclared>),
    PlatformEndpointDeleted(PlatformEndpointDeleted),
    TextMessagingDeclared(Box<TextMessagingDeclared>),
    DeliveryFailed(DeliveryFailed),
    DeliveriesEnded(DeliveriesEnded),
    ReplayAdvanced(ReplayAdvanced),
}

impl Record {
    /// Whether it is applied before all that flows when a log is read.
    pub fn is_configuration(&self) -> bool {
        match self {
            Record::TopicDeclared(_)
            | Record::TopicDeleted(_)
            | Record::SubscriptionDeclared(_)
            | Record::SubscriptionDeleted(_)
            | Record::PlatformApplicationDeclared(_)
            | Record::PlatformApplicationDeleted(_)
            | Record::PlatformEndpointDeclared(_)
            | Record::PlatformEndpointDeleted(_)
            | Record::TextMessagingDeclared(_) => true,
            Record::DeliveryFailed(_) | Record::DeliveriesEnded(_) | Record::ReplayAdvanced(_) => false,
        }
    }

    /// Appends its bytes: the kind, then what the kind says.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::TopicDeclared(record) => {
                out.push(64);
                record.encode(out);
            }
            Record::TopicDeleted(record) => {
                out.push(65);
                record.encode(out);
            }
            Record::SubscriptionDeclared(record) => {
                out.push(66);
                record.encode(out);
            }
            Record::SubscriptionDeleted(record) => {
                out.push(67);
                record.encode(out);
            }
            Record::PlatformApplicationDeclared(record) => {
                out.push(68);
                record.encode(out);
            }
            Record::PlatformApplicationDeleted(record) => {
                out.push(69);
                record.encode(out);
            }
            Record::PlatformEndpointDeclared(record) => {
                out.push(70);
                record.encode(out);
            }
            Record::PlatformEndpointDeleted(record) => {
                out.push(71);
                record.encode(out);
            }
            Record::TextMessagingDeclared(record) => {
                out.push(72);
                record.encode(out);
            }
            Record::DeliveryFailed(record) => {
                out.push(80);
                record.encode(out);
            }
            Record::DeliveriesEnded(record) => {
                out.push(81);
                record.encode(out);
            }
            Record::ReplayAdvanced(record) => {
                out.push(82);
                record.encode(out);
            }
        }
    }

    /// Reads what [`Record::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let record = match reader.u8()? {
            64 => Record::TopicDeclared(Box::new(TopicDeclared::decode(reader)?)),
            65 => Record::TopicDeleted(TopicDeleted::decode(reader)?),
            66 => Record::SubscriptionDeclared(Box::new(SubscriptionDeclared::decode(reader)?)),
            67 => Record::SubscriptionDeleted(SubscriptionDeleted::decode(reader)?),
            68 => Record::PlatformApplicationDeclared(Box::new(PlatformApplicationDeclared::decode(reader)?)),
            69 => Record::PlatformApplicationDeleted(PlatformApplicationDeleted::decode(reader)?),
            70 => Record::PlatformEndpointDeclared(Box::new(PlatformEndpointDeclared::decode(reader)?)),
            71 => Record::PlatformEndpointDeleted(PlatformEndpointDeleted::decode(reader)?),
            72 => Record::TextMessagingDeclared(Box::new(TextMessagingDeclared::decode(reader)?)),
            80 => Record::DeliveryFailed(DeliveryFailed::decode(reader)?),
            81 => Record::DeliveriesEnded(DeliveriesEnded::decode(reader)?),
            82 => Record::ReplayAdvanced(ReplayAdvanced::decode(reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}
