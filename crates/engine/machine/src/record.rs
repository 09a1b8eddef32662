//! What a record of the log is, by its first byte: one of the machine's own kinds, or a service's.

use kernel::codec::Malformed;
use kernel::identified::SERVER_IDENTIFIED;
use kernel::parcel::{PARCEL_CLOSED, PARCEL_PART, PARCEL_SENT, ParcelClosed};
use kernel::remembered::IDS_REMEMBERED;
use kernel::{IdsRemembered, ParcelSent, ServerIdentified};

/// A record.
pub enum Record<'a> {
    /// The server has a secret.
    Identified(ServerIdentified),
    /// A payload was handed to takers of any service.
    Parcel(ParcelSent<'a>),
    /// A part of one, which counts if it is closed.
    Part(ParcelSent<'a>),
    /// All parts of one are there.
    Closed(ParcelClosed),
    /// Deduplication ids still count.
    Ids(IdsRemembered),
    /// A fact of one service.
    OfService,
}

impl<'a> Record<'a> {
    /// Reads a record of the machine's own kinds.
    pub fn decode(head: &'a [u8]) -> Result<Self, Malformed> {
        match head.first() {
            None => Err(Malformed),
            Some(&SERVER_IDENTIFIED) => ServerIdentified::decode(head).map(Record::Identified),
            Some(&PARCEL_SENT) => ParcelSent::decode(head).map(Record::Parcel),
            Some(&PARCEL_PART) => ParcelSent::decode(head).map(Record::Part),
            Some(&PARCEL_CLOSED) => ParcelClosed::decode(head).map(Record::Closed),
            Some(&IDS_REMEMBERED) => IdsRemembered::decode(head).map(Record::Ids),
            Some(_) => Ok(Record::OfService),
        }
    }
}

/// What records of the machine's own kinds are about, in words for operators.
pub fn subject(kind: u8) -> &'static str {
    match kind {
        PARCEL_SENT | PARCEL_PART => "published messages",
        IDS_REMEMBERED => "deduplication ids",
        _ => "other records",
    }
}
