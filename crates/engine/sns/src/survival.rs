//! What of an old segment still holds, so that it can be written again and the segment can go.

use deliveries::ended_again;
use kernel::{Extent, Ledger};

use crate::records::{
    DeliveriesEnded, PlatformApplicationDeleted, PlatformEndpointDeleted, Record, SubscriptionDeleted,
    TopicDeleted,
};
use crate::state::State;

impl State {
    /// What is to be written so that the record at `at` is no longer needed; nothing if it is not.
    pub fn write_again(&self, record: &Record, at: Extent, ledger: &Ledger) -> Option<Record> {
        let needed = |segments: &[u32]| -> Vec<u32> {
            segments.iter().copied().filter(|&segment| ledger.needs_tombstone(segment, at)).collect()
        };
        match record {
            Record::TopicDeclared(record) => {
                let known = self.topics.get(&record.id).filter(|topic| topic.standing.is_at(at));
                known.map(|topic| Record::TopicDeclared(Box::new(topic.declared.clone())))
            }
            Record::SubscriptionDeclared(record) => {
                let known = self.subscriptions.get(&record.id);
                let known = known.filter(|known| known.standing.is_at(at)).map(|known| &known.declared);
                // Those of a deleted topic are being forgotten.
                let known = known.filter(|known| self.topics.contains_key(&known.topic));
                let parted = self.parted.get(&record.id);
                let parted = parted.filter(|parted| parted.standing.is_at(at)).map(|parted| &parted.declared);
                let parted = parted.filter(|parted| self.topics.contains_key(&parted.topic));
                { known.or(parted) }.map(|declared| Record::SubscriptionDeclared(Box::new(declared.clone())))
            }
            Record::TopicDeleted(record) => {
                let declared_in = needed(&record.declared_in);
                (!declared_in.is_empty())
                    .then(|| Record::TopicDeleted(TopicDeleted { declared_in, ..record.clone() }))
            }
            Record::SubscriptionDeleted(record) => {
                let declared_in = needed(&record.declared_in);
                (!declared_in.is_empty()).then(|| {
                    Record::SubscriptionDeleted(SubscriptionDeleted { declared_in, ..record.clone() })
                })
            }
            Record::PlatformApplicationDeclared(record) => {
                let known = self.platforms.applications.get(&record.id);
                let stands = known.filter(|application| application.standing.is_at(at));
                stands.map(|known| Record::PlatformApplicationDeclared(Box::new(known.declared.clone())))
            }
            Record::PlatformApplicationDeleted(record) => {
                let declared_in = needed(&record.declared_in);
                let deleted = PlatformApplicationDeleted { declared_in, ..record.clone() };
                (!deleted.declared_in.is_empty()).then_some(Record::PlatformApplicationDeleted(deleted))
            }
            Record::PlatformEndpointDeclared(record) => {
                let known = self.platforms.endpoints.get(&record.id);
                let stands = known.filter(|endpoint| endpoint.standing.is_at(at));
                stands.map(|known| Record::PlatformEndpointDeclared(Box::new(known.declared.clone())))
            }
            Record::PlatformEndpointDeleted(record) => {
                let declared_in = needed(&record.declared_in);
                let deleted = PlatformEndpointDeleted { declared_in, ..record.clone() };
                (!deleted.declared_in.is_empty()).then_some(Record::PlatformEndpointDeleted(deleted))
            }
            Record::TextMessagingDeclared(record) => {
                let known = self.platforms.texting.get(&(record.account.clone(), record.region.clone()));
                let stands = known.filter(|(_, standing)| standing.is_at(at));
                stands.map(|(declared, _)| Record::TextMessagingDeclared(Box::new(declared.clone())))
            }
            Record::DeliveryFailed(record) => {
                let rests = self.deliveries.rests_on(record.number, at);
                rests.then(|| Record::DeliveryFailed(record.clone()))
            }
            Record::ReplayAdvanced(_) => self.replay_advanced_again(at).map(Record::ReplayAdvanced),
            Record::DeliveriesEnded(record) => {
                let ended = ended_again(&record.ended, at, ledger);
                (!ended.is_empty()).then_some(Record::DeliveriesEnded(DeliveriesEnded { ended }))
            }
        }
    }
}
