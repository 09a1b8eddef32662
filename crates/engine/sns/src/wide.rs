//! Messages for more subscriptions than one turn has time for: they are handed on in steps, between which other requests run.
//!
//! Such a message is first recorded for its topic alone, as one delivery that stands for all subscriptions. Each step reads it from
//! the log and hands it to the next of them. The record of a step ends the delivery of the step before, and holds another one for
//! those that are still to come. So every subscription gets the message once, whatever crash comes between. A subscription that is
//! made or deleted meanwhile may get it or not, as with AWS.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kernel::parcel::{Delivery, Ended, Form};
use kernel::{Body, Extent, Ledger, ParcelSent};
use notification::Notification;

use crate::fanout::Content;
use crate::operations::{Context, Decision, Fact};
use crate::records::{DeliveriesEnded, Record};
use crate::state::State;
use crate::{SubscriptionId, TopicId};

/// Messages that some of their subscriptions are still to get, by the numbers of the deliveries that stand for these.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wide {
    /// Where each lies.
    parcels: BTreeMap<u64, Extent>,

    // What follows is not in the log.
    /// Those that can go on. The number of each step is a new one, so all go on by turns.
    ready: BTreeSet<u64>,
    /// The one that is being read. Only one is, so a turn hands on the next step of one message at most.
    reading: Option<u64>,
}

impl Wide {
    pub(crate) fn len(&self) -> usize {
        self.parcels.len()
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.parcels.contains_key(&number)
    }

    /// A parcel was sent, or lies at `at` now: subscriptions are still to get it; and others have got what is told in it.
    pub(crate) fn take(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        for delivery in parcel.deliveries.iter().filter(|delivery| delivery.is_by_source()) {
            ledger.hold(at);
            match self.parcels.insert(delivery.number, at) {
                Some(old) => {
                    ledger.release(old);
                    ledger.replace(at.place, old.place.segment());
                }
                None => self.look_at(delivery.number),
            }
        }
        self.ended(&parcel.ends, ledger);
    }

    pub(crate) fn ended(&mut self, ended: &[Ended], ledger: &mut Ledger) {
        for ended in ended {
            if let Some(at) = self.parcels.remove(&ended.number) {
                ledger.release(at);
                self.ready.remove(&ended.number);
            }
        }
    }

    /// The deliveries of a parcel that still lies at `at`, as they are to be written now.
    pub(crate) fn take_again(&self, parcel: &ParcelSent<'_>, at: Extent) -> impl Iterator<Item = Delivery> {
        let deliveries = parcel.deliveries.iter().copied();
        deliveries.filter(move |delivery| self.parcels.get(&delivery.number) == Some(&at))
    }

    /// A message can go on, if it is not over.
    pub(crate) fn look_at(&mut self, number: u64) {
        if self.contains(number) {
            self.ready.insert(number);
        }
    }

    /// Whether there is something to read.
    pub(crate) fn has_next(&self) -> bool {
        self.reading.is_none() && !self.ready.is_empty()
    }

    /// What is to be read next, and where it lies. Nothing else is read until [`Wide::was_read`].
    pub(crate) fn next(&mut self) -> Option<(u64, Extent)> {
        if self.reading.is_some() {
            return None;
        }
        let number = self.ready.pop_first()?;
        self.reading = Some(number);
        Some((number, *self.parcels.get(&number)?))
    }

    /// What was to be read has been, or cannot be.
    pub(crate) fn was_read(&mut self, number: u64) {
        self.reading = self.reading.filter(|&reading| reading != number);
    }
}

impl State {
    /// The subscriptions behind `through` get a body later.
    pub(crate) fn put_off_takers(&self, body: Body, through: SubscriptionId, context: &mut Context<'_, '_>) {
        let form = Form { protocol: Delivery::BY_SOURCE, ..Form::default() };
        let number = context.setting.numbers.draw();
        let delivery = Delivery { number, form, progress: through.0, ..Delivery::default() };
        context.parcel(body).deliveries.push(delivery);
    }

    /// Hands a message that was read to the next subscriptions that are to get it.
    pub(crate) fn hand_to_next<'a>(
        &self,
        number: u64,
        (at, head, tail): (Extent, &'a [u8], &'a Bytes),
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        let ended = Ended { number, segment: at.place.segment() };
        let over = || {
            let record = Record::DeliveriesEnded(DeliveriesEnded { ended: vec![ended] });
            Decision::silent(vec![Fact::from(record)])
        };
        let (Ok(parcel), Ok(notification)) = (ParcelSent::decode(head), Notification::decode(tail)) else {
            return over();
        };
        // A topic that was deleted has no subscriptions.
        let Some(topic) = self.topics.get(&TopicId(parcel.source)) else { return over() };
        let Some(delivery) = parcel.delivery(number) else { return over() };
        let content = Content::from(&notification);
        let (after, at_once) = (SubscriptionId(delivery.progress), context.setting.limits.takers_at_once);
        let wanting = topic.interests.wanting(&content, after, at_once.max(1));
        let message = parcel.number;
        let body = context.body(ParcelSent { ends: vec![ended], ..parcel.handed_on() }, &tail[..]);
        // The step is over even if all of them refuse.
        context.keep(body);
        self.hand_to_all(&wanting.subscriptions, topic, &content, (body, message), context);
        if let (true, Some(&last)) = (wanting.more, wanting.subscriptions.last()) {
            self.put_off_takers(body, last, context);
        }
        Decision::silent(Vec::new())
    }
}
