//! What still lives of a segment that is given up is written again, a step at a time.

use std::collections::VecDeque;

use kernel::codec::Malformed;
use kernel::gather::in_records;
use kernel::parcel::ParcelClosed;
use kernel::{Demand, Extent, IdsRemembered, RememberedId, Service, Stored, Survival};

use crate::Output;
use crate::cleaning::STEP_RECORDS;
use crate::house::{Has, House};
use crate::machine::Machine;
use crate::record::Record;
use crate::recording::Grouping;

/// A head that names many costs as much as so many records that take so many bytes each.
const HEAD_BYTES: usize = 32;

impl<H: House> Machine<H> {
    /// Looks for segments that can go, and goes on looking for one that is worth writing forward.
    pub(crate) fn clean(&mut self) {
        self.look_for_victim |= self.cleaning.find_dead(&mut self.ledger, self.now, self.appender.end());
        // On a full disk nothing is sealed any more, which is what else makes one look.
        if self.look_for_victim || self.space_end.is_some() || self.cleaning.is_searching() {
            self.look_for_victim = false;
            let durable = self.outbox.durable();
            let left = self.left().map(|left| left.saturating_sub(self.reserve(Demand::Delete)));
            if let Some(segment) = self.cleaning.find_victim(&self.ledger, self.now, durable, left) {
                self.outputs.push_back(Output::Survey { segment });
            }
        }
        if let Some(segment) = self.cleaning.next_discard(self.outbox.durable()) {
            self.outputs.push_back(Output::Discard { segment });
        }
    }

    pub(crate) fn surveyed(&mut self, segment: u32, records: Vec<(Extent, Vec<u8>)>) {
        if let Some(forwarding) = self.cleaning.forwarding.as_mut().filter(|now| now.segment == segment) {
            forwarding.surveyed = Some(records.into());
        }
    }

    /// Goes on with the segment that is being written forward: a step at a time, so that requests come between.
    pub(crate) fn write_forward(&mut self) {
        // What is being read is waited for.
        if !self.cleaning.has_work() {
            return;
        }
        if self.room() < Demand::Delete {
            // What was written again is dead in the old segment already. The rest stays there until there is more room.
            self.cleaning.forwarding = None;
            return;
        }
        let Some(forwarding) = &mut self.cleaning.forwarding else { return };
        let segment = forwarding.segment;
        if let Some(heads) = forwarding.surveyed.take() {
            return self.look_at_heads(segment, heads);
        }
        let mut room = STEP_RECORDS;
        while room > 0
            && let Some(forwarding) = &mut self.cleaning.forwarding
            && let Some(survivor) = forwarding.fetched.pop_front()
        {
            room = room.saturating_sub(1 + survivor.head.len() / HEAD_BYTES);
            self.write_again(&survivor);
        }
        if self.cleaning.forwarding.as_ref().is_some_and(|forwarding| forwarding.fetched.is_empty()) {
            self.fetch_more();
        }
    }

    fn look_at_heads(&mut self, segment: u32, mut heads: VecDeque<(Extent, Vec<u8>)>) {
        let (mut room, mut ids) = (STEP_RECORDS, Vec::new());
        while room > 0
            && let Some((extent, head)) = heads.pop_front()
        {
            room = room.saturating_sub(1 + head.len() / HEAD_BYTES);
            self.look_at_head(extent, head, &mut ids);
        }
        for ids in in_records(ids, RememberedId::most_bytes) {
            self.commit_ids(&IdsRemembered { ids });
        }
        // It may have died meanwhile.
        let Some(forwarding) = &mut self.cleaning.forwarding else { return };
        if !heads.is_empty() {
            forwarding.surveyed = Some(heads);
            return;
        }
        self.ledger.facts_copied(segment);
        self.fetch_more();
    }

    /// What a record of a segment that is being given up still says is said again, or its payload is to be fetched for that.
    fn look_at_head(&mut self, extent: Extent, head: Vec<u8>, ids: &mut Vec<RememberedId>) {
        self.find_ids(&head, ids);
        match self.survival(&head, extent) {
            Ok(Survival::Payload) => {
                // Its payload may die before it is fetched; what it says besides is needed even so.
                if let Ok(Record::Parcel(parcel) | Record::Part(parcel)) = Record::decode(&head) {
                    H::tell_besides(self, &parcel, extent);
                }
                if let Some(forwarding) = &mut self.cleaning.forwarding {
                    forwarding.to_fetch.push_back(extent);
                }
            }
            Ok(Survival::Fact) => self.write_again(&Stored { extent, head, tail: Vec::new() }),
            // What cannot be read was refused when the log was opened, so it cannot be here.
            Ok(Survival::Dead) | Err(Malformed) => {}
        }
    }

    /// The deduplication ids that a record tells and that still count.
    fn find_ids(&self, head: &[u8], ids: &mut Vec<RememberedId>) {
        match Record::decode(head) {
            Ok(Record::OfService) => self.house.ids_in_record(head, self.now, ids),
            Ok(Record::Parcel(parcel) | Record::Part(parcel)) => {
                self.house.ids_in_parcel(&parcel, self.now, ids);
            }
            Ok(Record::Ids(record)) => {
                ids.extend(record.ids.into_iter().filter(|id| self.house.still_counts(id, self.now)));
            }
            Ok(Record::Identified(_) | Record::Closed(_)) | Err(Malformed) => {}
        }
    }

    /// What is still to be said of a parcel that was closed: that those of its parts count that still lie where they were.
    fn closed_again(&self, record: &ParcelClosed, at: Extent) -> ParcelClosed {
        let segments = record.segments.iter().copied();
        let segments = segments.filter(|&segment| self.ledger.needs_tombstone(segment, at)).collect();
        ParcelClosed { number: record.number, segments }
    }

    fn commit_ids(&mut self, record: &IdsRemembered) {
        if let Some(at) = self.record_own(journal::Class::Flow, |head| record.encode(head)) {
            self.house.remember(record, at, &mut self.ledger);
        }
    }

    pub(crate) fn fetched(&mut self, survivors: Vec<Stored>) {
        let Some(forwarding) = &mut self.cleaning.forwarding else { return };
        match survivors.first() {
            None => self.fetch_more(),
            // Perhaps its segment has died meanwhile, and another is being written forward.
            Some(first) if first.extent.place.segment() == forwarding.segment => {
                forwarding.fetched.extend(survivors);
            }
            Some(_) => {}
        }
    }

    fn fetch_more(&mut self) {
        match self.cleaning.next_fetch() {
            Some(extents) => self.outputs.push_back(Output::Fetch(extents)),
            None => {
                self.cleaning.forwarding = None;
                self.look_for_victim = true;
            }
        }
    }

    fn survival(&self, head: &[u8], at: Extent) -> Result<Survival, Malformed> {
        let of = |is_needed| if is_needed { Survival::Fact } else { Survival::Dead };
        Ok(match Record::decode(head)? {
            Record::OfService => self.house.survival(head, at, &self.ledger)?,
            Record::Identified(_) => of(self.secret.is_some_and(|(_, here)| here == at)),
            Record::Parcel(parcel) | Record::Part(parcel) => {
                if self.house.take_again(&parcel, at).is_needed() {
                    Survival::Payload
                } else {
                    of(self.house.tells_besides(&parcel, at, &self.ledger))
                }
            }
            Record::Closed(record) => of(!self.closed_again(&record, at).segments.is_empty()),
            // What of them still counts is gathered.
            Record::Ids(_) => Survival::Dead,
        })
    }

    fn write_again(&mut self, survivor: &Stored) {
        // What was alive when it was asked for may have died since: then nothing is written.
        let (head, tail, at) = (&survivor.head, &survivor.tail, survivor.extent);
        match Record::decode(head) {
            Ok(Record::OfService) => H::write_again(self, head, tail, at),
            Ok(Record::Identified(record)) => self.identify(&record),
            Ok(Record::Parcel(parcel) | Record::Part(parcel)) => {
                let again = self.house.take_again(&parcel, at);
                if again.is_needed() {
                    self.commit_parcel(&again, tail, Grouping::ALONE);
                    H::tell_of_takers(self, &again);
                } else {
                    H::tell_besides(self, &parcel, at);
                }
            }
            Ok(Record::Closed(record)) => {
                let again = self.closed_again(&record, at);
                if !again.segments.is_empty() {
                    self.close_parcel(&again);
                }
            }
            // They are gathered from the heads alone.
            Ok(Record::Ids(_)) | Err(Malformed) => {}
        }
    }

    /// Writes a record of a service again, as far as it still holds.
    pub(crate) fn write_again_of<S: Service>(&mut self, head: &[u8], tail: &[u8], at: Extent)
    where
        H: Has<S>,
    {
        if let Ok(record) = kernel::service::Record::decode(head) {
            let facts = self.house.of().write_again(record, tail, at, &self.ledger);
            self.note::<S>(&facts);
        }
    }
}
