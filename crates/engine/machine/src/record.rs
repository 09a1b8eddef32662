//! A record of any service, and what of it still holds.

use kernel::codec::Malformed;
use kernel::parcel::{PARCEL_CLOSED, PARCEL_PART, PARCEL_SENT, ParcelClosed};
use kernel::remembered::IDS_REMEMBERED;
use kernel::{IdsRemembered, ParcelSent};

/// A fact, by whose it is.
pub enum Record<'a> {
    /// About queues.
    Sqs(sqs::records::Record<'a>),
    /// About topics.
    Sns(sns::records::Record),
    /// About both.
    Parcel(ParcelSent<'a>),
    /// A part of one, which counts if it is closed.
    Part(ParcelSent<'a>),
    /// All parts of one are there.
    Closed(ParcelClosed),
    /// About both, too.
    Ids(IdsRemembered),
}

impl<'a> Record<'a> {
    /// Reads a record by its kind, which is its first byte.
    pub fn decode(head: &'a [u8]) -> Result<Self, Malformed> {
        match head.first() {
            Some(&PARCEL_SENT) => ParcelSent::decode(head).map(Record::Parcel),
            Some(&PARCEL_PART) => ParcelSent::decode(head).map(Record::Part),
            Some(&PARCEL_CLOSED) => ParcelClosed::decode(head).map(Record::Closed),
            Some(&IDS_REMEMBERED) => IdsRemembered::decode(head).map(Record::Ids),
            Some(kind) if sns::records::KINDS.contains(kind) => {
                sns::records::Record::decode(head).map(Record::Sns)
            }
            _ => sqs::records::Record::decode(head).map(Record::Sqs),
        }
    }
}
