//! One payload for several takers: how it comes into the log, in one record or in parts.

use kernel::parcel::ParcelClosed;
use kernel::{Extent, ParcelSent};

use crate::house::House;
use crate::machine::Machine;
use crate::recording::Grouping;

/// Takers that one record of a parcel names at the most: what it costs to read one copy, and to apply or to write forward a
/// record, grows with them.
const TAKERS: usize = 1000;
/// The same of a parcel whose payload is longer than [`SHORT_PAYLOAD`], since each part carries it.
const TAKERS_OF_LONG: usize = 2000;
const SHORT_PAYLOAD: usize = 16 << 10;

impl<H: House> Machine<H> {
    /// A parcel is recorded and becomes true for all of its takers.
    ///
    /// If it has many takers it is recorded in parts, each with the payload, and then closed: a crash before that leaves it to
    /// nobody. So no head is long, and to read one copy is not to read the names of a million others. Parts are not one group of
    /// the log: each carries the payload, and together they can be longer than a group or a segment.
    pub(crate) fn commit_parcel(&mut self, parcel: &ParcelSent<'_>, payload: &[u8], grouping: Grouping) {
        let most = if payload.len() <= SHORT_PAYLOAD { TAKERS } else { TAKERS_OF_LONG };
        if parcel.copies.len() + parcel.deliveries.len() > most {
            return self.commit_in_parts(parcel, payload, most);
        }
        let flow = journal::Class::Flow;
        let mut sent = self.record(flow, usize::MAX, grouping, |head| parcel.encode(head), payload);
        if sent.is_err() {
            // The segment has no room for more of the group.
            sent = self.record(flow, usize::MAX, Grouping::ALONE, |head| parcel.encode(head), payload);
        }
        debug_assert!(sent.is_ok(), "{sent:?}");
        if let Ok(at) = sent {
            self.apply_parcel(parcel, at);
        }
    }

    fn commit_in_parts(&mut self, parcel: &ParcelSent<'_>, payload: &[u8], most: usize) {
        let mut parts = Vec::new();
        for part in parcel.in_parts(most) {
            let sent = self.record(
                journal::Class::Flow,
                usize::MAX,
                Grouping::ALONE,
                |head| part.encode_part(head),
                payload,
            );
            debug_assert!(sent.is_ok(), "{sent:?}");
            parts.extend(sent.ok().map(|at| (part, at)));
        }
        let mut segments: Vec<u32> = parts.iter().map(|(_, at)| at.place.segment()).collect();
        segments.dedup();
        self.close_parcel(&ParcelClosed { number: parcel.number, segments });
        let begin = parts.first().map(|(_, at)| at.place);
        self.closing.extend(begin.map(|begin| (begin, self.appender.end())));
        for (part, at) in &parts {
            self.apply_parcel(part, *at);
        }
    }

    pub(crate) fn close_parcel(&mut self, closed: &ParcelClosed) {
        let recorded = self.record_own(journal::Class::Configuration, |head| closed.encode(head));
        if let Some(at) = recorded {
            self.apply_closed(closed, at);
        }
    }

    /// That parts count is to be known as long as they are there.
    pub(crate) fn apply_closed(&mut self, closed: &ParcelClosed, at: Extent) {
        closed.segments.iter().for_each(|&segment| self.ledger.bury(at.place, segment));
    }

    pub(crate) fn apply_parcel(&mut self, parcel: &ParcelSent<'_>, at: Extent) {
        self.house.take(parcel, at, &mut self.ledger);
    }
}
