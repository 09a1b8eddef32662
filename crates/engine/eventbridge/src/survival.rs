//! What of an old segment still holds, so that it can be written again and the segment can go.

use deliveries::ended_again;
use kernel::{Extent, Ledger};

use crate::records::{BusDeleted, DeliveriesEnded, Record, RuleDeleted, RuleRan};
use crate::state::State;

impl State {
    /// What is to be written so that the record at `at` is no longer needed; nothing if it is not.
    pub fn write_again(&self, record: &Record, at: Extent, ledger: &Ledger) -> Option<Record> {
        let needed = |segments: &[u32]| -> Vec<u32> {
            segments.iter().copied().filter(|&segment| ledger.needs_tombstone(segment, at)).collect()
        };
        match record {
            Record::BusDeclared(record) => {
                let known = self.buses.get(&record.key).and_then(|bus| bus.declared.as_ref());
                let known = known.filter(|known| known.standing.is_at(at));
                known.map(|known| Record::BusDeclared(Box::new(known.record.clone())))
            }
            Record::RuleDeclared(record) => {
                let known = self.rules.get(&record.id).filter(|rule| rule.standing.is_at(at));
                known.map(|rule| Record::RuleDeclared(Box::new(rule.declared.clone())))
            }
            Record::RuleRan(record) => {
                let known = self.rules.get(&record.id).filter(|rule| rule.fact == Some(at));
                known.map(|rule| Record::RuleRan(RuleRan { id: record.id, next: rule.next_run() }))
            }
            Record::BusDeleted(record) => {
                let declared_in = needed(&record.declared_in);
                let deleted = BusDeleted { declared_in, ..record.clone() };
                (!deleted.declared_in.is_empty()).then_some(Record::BusDeleted(deleted))
            }
            Record::RuleDeleted(record) => {
                let declared_in = needed(&record.declared_in);
                let deleted = RuleDeleted { declared_in, ..record.clone() };
                (!deleted.declared_in.is_empty()).then_some(Record::RuleDeleted(deleted))
            }
            Record::ConnectionDeclared(record) => {
                let known = self.connections.declared_at(&record.key, at);
                known.map(|known| Record::ConnectionDeclared(Box::new(known.clone())))
            }
            Record::DestinationDeclared(record) => {
                let known = self.destinations.declared_at(&record.key, at);
                known.map(|known| Record::DestinationDeclared(Box::new(known.clone())))
            }
            Record::ConnectionDeleted(record) => record.again(at, ledger).map(Record::ConnectionDeleted),
            Record::DestinationDeleted(record) => record.again(at, ledger).map(Record::DestinationDeleted),
            Record::DeliveryFailed(record) => {
                let rests = self.deliveries.rests_on(record.number, at);
                rests.then(|| Record::DeliveryFailed(record.clone()))
            }
            Record::ArchiveDeclared(record) => {
                let known = self.archiving.declared.declared_at(&record.key, at);
                known.map(|known| Record::ArchiveDeclared(Box::new(known.clone())))
            }
            Record::ReplayDeclared(record) => {
                let known = self.replaying.declared.declared_at(&record.key, at);
                known.map(|known| Record::ReplayDeclared(Box::new(known.clone())))
            }
            Record::ArchiveDeleted(record) => record.again(at, ledger).map(Record::ArchiveDeleted),
            Record::ReplayDeleted(record) => record.again(at, ledger).map(Record::ReplayDeleted),
            Record::ArchiveCounted(record) => {
                self.archiving.counted_again(record, at).map(Record::ArchiveCounted)
            }
            Record::ReplayAdvanced(record) => {
                self.replaying.advanced_again(record.id, at).map(Record::ReplayAdvanced)
            }
            Record::DeliveriesEnded(record) => {
                let ended = ended_again(&record.ended, at, ledger);
                (!ended.is_empty()).then_some(Record::DeliveriesEnded(DeliveriesEnded { ended }))
            }
        }
    }
}
