//! What a service keeps in the store for retained data: records that stay although somebody has read them.
//!
//! A service orders, the store is told to do it, and the service hears what came of it. Nothing here knows a file: `posthaste-retained`
//! is the store, and its design page (section 4) says why a crash between the log and the store neither loses a record nor
//! keeps one that the log has lost.
//!
//! **The numbers of series are unique over all services**: each is drawn from the one counter ([`Numbers`](crate::Numbers)), and
//! a service never uses one again. So the store needs to know no services, and a series that no service knows is nobody's.

use bytes::Bytes;

use crate::{Extent, Time};

/// The number of a series: what one owner keeps, in order. Never used again for another series.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Series(pub u64);

/// How long a record is kept, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Retention(u32);

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

impl Retention {
    /// The record is kept until its series is deleted.
    pub const FOREVER: Retention = Retention(u32::MAX);

    /// A number of seconds, at most 136 years.
    pub const fn seconds(seconds: u64) -> Retention {
        let most = u32::MAX as u64 - 1;
        Retention(if seconds < most { seconds as u32 } else { most as u32 })
    }

    /// A number of days.
    pub const fn days(days: u32) -> Retention {
        Retention::seconds(days as u64 * DAY)
    }

    /// The number of whole days that is at least as long; absent if the record is kept for ever.
    pub const fn in_days(self) -> Option<u64> {
        if self.0 == u32::MAX { None } else { Some((self.0 as u64).div_ceil(DAY)) }
    }

    /// Returns when a record of this time has passed. A record that is kept for ever never does.
    pub fn passes(self, time: Time) -> Time {
        if self == Retention::FOREVER { Time(u64::MAX) } else { time.plus_seconds(u64::from(self.0)) }
    }

    /// The retention as one number.
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// The inverse of [`Retention::to_bits`].
    pub const fn from_bits(bits: u32) -> Retention {
        Retention(bits)
    }
}

/// Changes what its owner has said about a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// All records of the series, earlier ones too, are kept so long.
    Keep(Retention),
    /// The series is deleted. Nothing can be appended to it any more.
    Delete,
}

/// Where to begin to read a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// The first record with this number or a higher one.
    Sequence(u64),
    /// The first record of this time or a later one.
    Time(Time),
}

/// Limits of one page. A page has at least one record if there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Maximum number of records.
    pub records: usize,
    /// Maximum number of bytes of heads and payloads.
    pub bytes: usize,
}

/// What a service orders from the store. It leaves the machine when what it rests on is durable in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Keep records of the log. The end is told to [`Service::kept`](crate::Service::kept).
    Keep(Keep),
    /// Change what holds for a series. Its end is not told: the owner orders it again after a start.
    Rule(Series, Rule),
    /// Read a page. It comes to [`Service::page_read`](crate::Service::page_read).
    Read(Read),
}

/// Records of the log that are to be kept as records of a series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keep {
    /// The series.
    pub series: Series,
    /// How long each is kept, counted from its time.
    pub retention: Retention,
    /// The records, by ascending numbers. The numbers are above all that the series has.
    pub records: Vec<Owed>,
    /// Whether the owner has more than these, and waits with them for the end of this order.
    pub more: bool,
}

/// A record that the log owes to the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owed {
    /// Its number in the series.
    pub sequence: u64,
    /// Its time, which is not before that of an earlier record.
    pub time: Time,
    /// Where it lies in the log. Head and tail become those of the store's record; a parcel's takers are left out.
    pub extent: Extent,
}

/// A page that is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Read {
    /// For whom: a number of the service's making.
    pub reader: u64,
    /// The series.
    pub series: Series,
    /// The beginning.
    pub from: From,
    /// The limits.
    pub limits: Limits,
}

/// A page that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// What was ordered.
    pub read: Read,
    /// The records, by ascending numbers. What cannot be read is left out.
    pub records: Vec<Record>,
    /// The number from which to continue; absent if there was nothing more.
    pub next: Option<u64>,
}

/// A record of a series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its number in the series.
    pub sequence: u64,
    /// Its time.
    pub time: Time,
    /// The head that it had in the log; of a parcel, without the takers.
    pub head: Bytes,
    /// The payload.
    pub tail: Bytes,
}
