//! What the log says about topics: facts, one file a kind. Numbers are never reused; retired kinds stay listed.
//!
//! | kind | name | class | since |
//! |---|---|---|---|
//! | 64 | `topic_declared` | configuration | 1 |
//! | 65 | `topic_deleted` | configuration | 1 |
//! | 66 | `subscription_declared` | configuration | 1 |
//! | 67 | `subscription_deleted` | configuration | 1 |
//! | 80 | `delivery_failed` | flow | 1 |
//! | 81 | `deliveries_ended` | flow | 1 |
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

mod delivery_failed;
pub use delivery_failed::DeliveryFailed;

mod deliveries_ended;
pub use deliveries_ended::DeliveriesEnded;

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
    DeliveryFailed(DeliveryFailed),
    DeliveriesEnded(DeliveriesEnded),
}

impl Record {
    /// Whether it is applied before all that flows when a log is read.
    pub fn is_configuration(&self) -> bool {
        match self {
            Record::TopicDeclared(_)
            | Record::TopicDeleted(_)
            | Record::SubscriptionDeclared(_)
            | Record::SubscriptionDeleted(_) => true,
            Record::DeliveryFailed(_) | Record::DeliveriesEnded(_) => false,
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
            Record::DeliveryFailed(record) => {
                out.push(80);
                record.encode(out);
            }
            Record::DeliveriesEnded(record) => {
                out.push(81);
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
            80 => Record::DeliveryFailed(DeliveryFailed::decode(reader)?),
            81 => Record::DeliveriesEnded(DeliveriesEnded::decode(reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}
