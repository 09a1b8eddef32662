//! Time zones, from the database that is compiled in.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use kernel::Time;

/// A time zone of the IANA database.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// The zone of this name, such as `Europe/Berlin`, in exactly these letters.
    pub fn named(name: &str) -> Option<Zone> {
        if name == "UTC" {
            return Some(Zone::UTC);
        }
        // Not the database of the machine: a log must give the same state everywhere.
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        // The database finds names in any case.
        (zone.iana_name() == Some(name)).then_some(Zone(zone))
    }

    /// What the zone's clocks show at a moment; nothing after the year 9999.
    pub(crate) fn civil(&self, at: Time) -> Option<DateTime> {
        let millis = i64::try_from(at.0).ok()?;
        Some(self.0.to_datetime(Timestamp::from_millisecond(millis).ok()?))
    }

    /// When the zone's clocks show this for the first time; nothing if they never do.
    pub(crate) fn moment(&self, civil: DateTime) -> Option<Time> {
        let ambiguous = self.0.to_ambiguous_timestamp(civil);
        let offset = match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => return None,
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => offset,
        };
        offset.to_timestamp(civil).ok().map(time)
    }

    /// The same; a time that the clocks skip is later by as much as they skip.
    pub(crate) fn moment_at_or_after(&self, civil: DateTime) -> Option<Time> {
        self.0.to_ambiguous_timestamp(civil).compatible().ok().map(time)
    }
}

/// Before 1970 there is nothing.
fn time(stamp: Timestamp) -> Time {
    Time(stamp.as_millisecond().try_into().unwrap_or(0))
}
