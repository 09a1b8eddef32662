//! What the log says about buses: facts, one file a kind. Numbers are never reused; retired kinds stay listed.
//!
//! | kind | name | class | since |
//! |---|---|---|---|
//! | 96 | `bus_declared` | configuration | 1 |
//! | 97 | `bus_deleted` | configuration | 1 |
//! | 98 | `rule_declared` | configuration | 1 |
//! | 99 | `rule_deleted` | configuration | 1 |
//! | 100 | `rule_declared`, with a schedule that runs | configuration | 1 |
//! | 101 | `rule_ran` | configuration | 1 |
//! | 102 | `connection_declared` | configuration | 1 |
//! | 103 | `connection_deleted` | configuration | 1 |
//! | 104 | `delivery_failed` | flow | 1 |
//! | 105 | `deliveries_ended` | flow | 1 |
//! | 106 | `destination_declared` | configuration | 1 |
//! | 107 | `destination_deleted` | configuration | 1 |
//! | 108 | `archive_declared` | configuration | 1 |
//! | 109 | `archive_deleted` (0) or `replay_deleted` (1), by its second byte | configuration | 1 |
//! | 110 | `replay_declared` | configuration | 1 |
//! | 111 | `archive_counted` (0): configuration; or `replay_advanced` (1): flow, by its second byte | | 1 |
//!
//! What targets are handed is a parcel (`kernel::ParcelSent`, kind 128), which queues know, too.

mod archive_counted;
pub use archive_counted::ArchiveCounted;

mod archive_declared;
pub use archive_declared::ArchiveDeclared;

mod bus_declared;
pub use bus_declared::BusDeclared;

mod bus_deleted;
pub use bus_deleted::BusDeleted;

mod connection_declared;
pub use connection_declared::{ConnectionDeclared, ConnectionState};

mod destination_declared;
pub use destination_declared::DestinationDeclared;

mod replay_advanced;
pub use replay_advanced::ReplayAdvanced;

mod replay_declared;
pub use replay_declared::{ReplayDeclared, Stage};

/// A connection, an API destination, an archive or a replay is gone: the kind of the record says which.
pub type ResourceDeleted = resources::Deleted<crate::ResourceKey>;

mod rule_declared;
pub use rule_declared::{DeclaredTarget, RuleDeclared};

mod rule_deleted;
pub use rule_deleted::RuleDeleted;

mod rule_ran;
pub use rule_ran::RuleRan;

pub use deliveries::{DeliveriesEnded, DeliveryFailed};

#[cfg(test)]
mod tests;

use kernel::codec::{Malformed, Reader};

/// The kinds of records that are this service's.
pub const KINDS: std::ops::RangeInclusive<u8> = 96..=111;

/// A fact about buses.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // Each variant is documented where its struct is.
pub enum Record {
    BusDeclared(Box<BusDeclared>),
    BusDeleted(BusDeleted),
    RuleDeclared(Box<RuleDeclared>),
    RuleDeleted(RuleDeleted),
    RuleRan(RuleRan),
    ConnectionDeclared(Box<ConnectionDeclared>),
    ConnectionDeleted(ResourceDeleted),
    DestinationDeclared(Box<DestinationDeclared>),
    DestinationDeleted(ResourceDeleted),
    DeliveryFailed(DeliveryFailed),
    DeliveriesEnded(DeliveriesEnded),
    ArchiveDeclared(Box<ArchiveDeclared>),
    ArchiveDeleted(ResourceDeleted),
    ArchiveCounted(ArchiveCounted),
    ReplayDeclared(Box<ReplayDeclared>),
    ReplayDeleted(ResourceDeleted),
    ReplayAdvanced(ReplayAdvanced),
}

impl kernel::service::Record<'_> for Record {
    /// Whether a restart applies it before all records that are not.
    fn is_configuration(&self) -> bool {
        let flows = matches!(
            self,
            Record::DeliveryFailed(_) | Record::DeliveriesEnded(_) | Record::ReplayAdvanced(_)
        );
        !flows
    }

    /// Appends kind and content.
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::BusDeclared(record) => {
                out.push(96);
                record.encode(out);
            }
            Record::BusDeleted(record) => {
                out.push(97);
                record.encode(out);
            }
            Record::RuleDeclared(record) => {
                out.push(if record.timing.is_some() { 100 } else { 98 });
                record.encode(out);
            }
            Record::RuleDeleted(record) => {
                out.push(99);
                record.encode(out);
            }
            Record::RuleRan(record) => {
                out.push(101);
                record.encode(out);
            }
            Record::ConnectionDeclared(record) => {
                out.push(102);
                record.encode(out);
            }
            Record::ConnectionDeleted(record) => {
                out.push(103);
                record.encode(out);
            }
            Record::DestinationDeclared(record) => {
                out.push(106);
                record.encode(out);
            }
            Record::DestinationDeleted(record) => {
                out.push(107);
                record.encode(out);
            }
            Record::DeliveryFailed(record) => {
                out.push(104);
                record.encode(out);
            }
            Record::DeliveriesEnded(record) => {
                out.push(105);
                record.encode(out);
            }
            Record::ArchiveDeclared(record) => {
                out.push(108);
                record.encode(out);
            }
            Record::ArchiveDeleted(record) => {
                out.extend([109, 0]);
                record.encode(out);
            }
            Record::ReplayDeleted(record) => {
                out.extend([109, 1]);
                record.encode(out);
            }
            Record::ReplayDeclared(record) => {
                out.push(110);
                record.encode(out);
            }
            Record::ArchiveCounted(record) => {
                out.extend([111, 0]);
                record.encode(out);
            }
            Record::ReplayAdvanced(record) => {
                out.extend([111, 1]);
                record.encode(out);
            }
        }
    }

    /// Reads what [`kernel::service::Record::encode`] wrote.
    fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let record = match reader.u8()? {
            96 => Record::BusDeclared(Box::new(BusDeclared::decode(reader)?)),
            97 => Record::BusDeleted(BusDeleted::decode(reader)?),
            98 => Record::RuleDeclared(Box::new(RuleDeclared::decode(reader, false)?)),
            99 => Record::RuleDeleted(RuleDeleted::decode(reader)?),
            100 => Record::RuleDeclared(Box::new(RuleDeclared::decode(reader, true)?)),
            101 => Record::RuleRan(RuleRan::decode(reader)?),
            102 => Record::ConnectionDeclared(Box::new(ConnectionDeclared::decode(reader)?)),
            103 => Record::ConnectionDeleted(ResourceDeleted::decode(reader)?),
            104 => Record::DeliveryFailed(DeliveryFailed::decode(reader)?),
            105 => Record::DeliveriesEnded(DeliveriesEnded::decode(reader)?),
            106 => Record::DestinationDeclared(Box::new(DestinationDeclared::decode(reader)?)),
            107 => Record::DestinationDeleted(ResourceDeleted::decode(reader)?),
            108 => Record::ArchiveDeclared(Box::new(ArchiveDeclared::decode(reader)?)),
            109 => match reader.u8()? {
                0 => Record::ArchiveDeleted(ResourceDeleted::decode(reader)?),
                1 => Record::ReplayDeleted(ResourceDeleted::decode(reader)?),
                _ => return Err(Malformed),
            },
            110 => Record::ReplayDeclared(Box::new(ReplayDeclared::decode(reader)?)),
            111 => match reader.u8()? {
                0 => Record::ArchiveCounted(ArchiveCounted::decode(reader)?),
                1 => Record::ReplayAdvanced(ReplayAdvanced::decode(reader)?),
                _ => return Err(Malformed),
            },
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}
