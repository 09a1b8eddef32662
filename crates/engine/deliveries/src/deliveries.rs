//! The deliveries of one service, by number, and what happens to each.

use std::collections::BTreeMap;

use kernel::parcel::{Delivery, Ended, Form};
use kernel::{Deadlines, Extent, Ledger, ParcelSent, Time};

use crate::lanes::Lanes;
use crate::paces::Paces;
use crate::records::DeliveryFailed;

/// A delivery that is not over.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Where its parcel lies.
    pub parcel: Extent,
    /// When the parcel was sent.
    pub at: Time,
    /// For which recipient, and in which form.
    pub form: Form,
    /// How often it was tried.
    pub attempts: u32,
    /// Where the latest fact about it lies, if that is not the parcel.
    fact: Option<Extent>,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Until its time comes.
    Waits(Time),
    /// Until its lane has room.
    Ready,
    /// It is being tried.
    UnderWay,
}

/// What falls due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    /// A delivery is to be tried.
    Delivery(u64),
    /// An endpoint that wants only so many deliveries a second may get the next.
    LaneFree(u64),
}

/// An attempt that is to be made now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The delivery's number.
    pub number: u64,
    /// Where its parcel lies.
    pub parcel: Extent,
    /// For which recipient, and in which form.
    pub form: Form,
    /// How often it was tried before.
    pub attempts: u32,
}

/// How fast something may be tried. What has the same `key` shares the pace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Names what is not to be tried faster: a recipient, or something that several recipients stand for.
    pub key: u64,
    /// Microseconds between two attempts.
    pub micros: u64,
    /// How many attempts may be made at once, after a pause in which none was made.
    pub at_once: u64,
}

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// It did not; another attempt may help.
    Failed,
    /// It did not, and never will.
    Refused,
    /// It was not made: what was to be delivered had been written elsewhere meanwhile.
    NotMade,
    /// It was not made: the bytes on disk of what was to be delivered are not those that were written.
    Unreadable,
}

/// Deliveries that are not over, and their lanes: one for each recipient.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    pending: BTreeMap<u64, Pending>,
    lanes: Lanes,
    deadlines: Deadlines<Due>,
    paces: Paces,
}

impl Deliveries {
    /// A parcel was sent, or lies at `at` now: its deliveries to recipients that exist are pending, and those that it ends are over.
    pub fn take(
        &mut self,
        parcel: &ParcelSent<'_>,
        at: Extent,
        ledger: &mut Ledger,
        exists: impl Fn(u64) -> bool,
    ) {
        for delivery in &parcel.deliveries {
            let recipient = delivery.form.recipient;
            if !delivery.is_inside() && exists(recipient) {
                self.pending(parcel.at, delivery, at, ledger);
            }
        }
        self.ended(&parcel.ends, at, ledger);
    }

    fn pending(&mut self, sent: Time, delivery: &Delivery, at: Extent, ledger: &mut Ledger) {
        ledger.hold(at);
        let due = sent + delivery.due_after;
        if let Some(pending) = self.pending.get_mut(&delivery.number) {
            // It lies here now. Its history is told in the parcel, too.
            ledger.release(pending.parcel);
            ledger.replace(at.place, pending.parcel.place.segment());
            pending.parcel = at;
            if let Some(fact) = pending.fact.take() {
                ledger.release(fact);
            }
            // Live, this is what is known already. When a log is read, the latest fact may have gone with its segment.
            pending.attempts = delivery.attempts;
            if let Step::Waits(before) = pending.step
                && before != due
            {
                pending.step = Step::Waits(due);
                self.deadlines.clear(before, Due::Delivery(delivery.number));
                self.deadlines.set(due, Due::Delivery(delivery.number));
            }
            return;
        }
        let pending = Pending {
            parcel: at,
            at: sent,
            form: delivery.form,
            attempts: delivery.attempts,
            fact: None,
            step: Step::Waits(due),
        };
        self.pending.insert(delivery.number, pending);
        self.lanes.add(delivery.form.recipient, delivery.number);
        self.deadlines.set(due, Due::Delivery(delivery.number));
    }

    /// Applies the fact that a delivery failed.
    pub fn failed(&mut self, record: &DeliveryFailed, at: Extent, ledger: &mut Ledger) {
        let Some(pending) = self.pending.get_mut(&record.number) else { return };
        ledger.hold(at);
        if let Some(old) = pending.fact.replace(at) {
            ledger.release(old);
        }
        if pending.attempts == record.attempts {
            // It was only written elsewhere. The next attempt may be under way.
            return;
        }
        pending.attempts = record.attempts;
        let lane = pending.form.recipient;
        match std::mem::replace(&mut pending.step, Step::Waits(record.due)) {
            Step::Waits(due) => self.deadlines.clear(due, Due::Delivery(record.number)),
            Step::Ready => self.lanes.leave(lane, record.number),
            Step::UnderWay => self.lanes.came_back(lane),
        }
        self.deadlines.set(record.due, Due::Delivery(record.number));
    }

    /// Applies the fact that deliveries are over, which stands in the record at `at`.
    pub fn ended(&mut self, ended: &[Ended], at: Extent, ledger: &mut Ledger) {
        for ended in ended {
            ledger.bury(at.place, ended.segment);
            self.forget(ended.number, ledger);
        }
    }

    fn forget(&mut self, number: u64, ledger: &mut Ledger) {
        let Some(pending) = self.pending.remove(&number) else { return };
        ledger.release(pending.parcel);
        if let Some(fact) = pending.fact {
            ledger.release(fact);
        }
        let lane = pending.form.recipient;
        match pending.step {
            Step::Waits(due) => self.deadlines.clear(due, Due::Delivery(number)),
            Step::Ready => self.lanes.leave(lane, number),
            Step::UnderWay => self.lanes.came_back(lane),
        }
        self.lanes.remove(lane, number);
    }

    /// A recipient is gone, and what was still to be delivered to it.
    pub fn forget_recipient(&mut self, recipient: u64, ledger: &mut Ledger) {
        for number in self.lanes.members(recipient) {
            self.forget(number, ledger);
        }
        self.lanes.remove_lane(recipient);
    }

    /// Lets time pass: what falls due is ready, at most `room` things, which are subtracted from it.
    pub fn advance(&mut self, now: Time, room: &mut usize) {
        while *room > 0 {
            let Some((_, due)) = self.deadlines.take_due(now) else { return };
            *room -= 1;
            match due {
                Due::Delivery(number) => self.is_due(number),
                Due::LaneFree(lane) => self.lanes.look_at(lane),
            }
        }
    }

    fn is_due(&mut self, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        pending.step = Step::Ready;
        self.lanes.ready(pending.form.recipient, number);
    }

    /// When time must be told at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// Whether something is due at `now` that has not happened yet. Deliveries are tried only while fewer than `attempts` are
    /// under way.
    pub fn is_behind(&self, now: Time, attempts: usize) -> bool {
        self.deadlines.next().is_some_and(|due| due <= now) || self.lanes.has_open(attempts)
    }

    /// The next attempt that is to be made, while fewer than `at_most` are; it is under way from then on. Oldest first for one
    /// recipient, and each recipient in its turn. `pace_of` says how fast a recipient may be tried, if that is limited.
    pub fn next_attempt(
        &mut self,
        now: Time,
        at_most: usize,
        pace_of: impl Fn(u64) -> Option<Pace>,
    ) -> Option<Attempt> {
        while let Some(id) = self.lanes.next(at_most) {
            let Some(lane) = self.lanes.get_mut(id) else { continue };
            // A lane that must wait has its turn reserved, so that it wakes once, however many lanes share the pace.
            let turn = match (lane.turn_at, pace_of(id)) {
                (Some(reserved), _) => reserved,
                (None, Some(pace)) => self.paces.reserve(pace, now),
                (None, None) => now,
            };
            if turn > now {
                lane.turn_at = Some(turn);
                self.deadlines.set(turn, Due::LaneFree(id));
                continue;
            }
            lane.turn_at = None;
            let Some(number) = lane.ready.pop_first() else { continue };
            lane.under_way += 1;
            let is_troubled = lane.is_troubled;
            self.lanes.look_at(id);
            let Some(pending) = self.pending.get_mut(&number) else { continue };
            pending.step = Step::UnderWay;
            self.lanes.begin(number, is_troubled);
            let Pending { parcel, form, attempts, .. } = *pending;
            return Some(Attempt { number, parcel, form, attempts });
        }
        None
    }

    /// An attempt has ended: another may be made. Call it before anything else is made of the end.
    pub fn returned(&mut self, number: u64, outcome: Outcome) {
        self.lanes.end(number);
        let Some(pending) = self.pending.get(&number) else { return };
        let id = pending.form.recipient;
        if let Some(lane) = self.lanes.get_mut(id) {
            match outcome {
                Outcome::Failed => lane.is_troubled = true,
                Outcome::Delivered | Outcome::Refused => lane.is_troubled = false,
                Outcome::NotMade | Outcome::Unreadable => {}
            }
        }
        self.lanes.look_at(id);
    }

    /// An attempt that was not made is made again.
    pub fn try_again(&mut self, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        if pending.step == Step::UnderWay {
            let lane = pending.form.recipient;
            self.lanes.came_back(lane);
            self.is_due(number);
        }
    }

    /// An attempt's end could not be dealt with, since what was to be delivered cannot be read now: it is made again at `due`.
    /// Nothing is recorded: after a crash it is made at once.
    pub fn put_off(&mut self, number: u64, due: Time) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        if pending.step == Step::UnderWay {
            pending.step = Step::Waits(due);
            let lane = pending.form.recipient;
            self.lanes.came_back(lane);
            self.deadlines.set(due, Due::Delivery(number));
        }
    }

    /// A delivery that is not over.
    pub fn get(&self, number: u64) -> Option<&Pending> {
        self.pending.get(&number)
    }

    /// All deliveries that are not over, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.pending.iter().map(|(&number, pending)| (number, pending))
    }

    /// How many deliveries are not over.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether all deliveries are over.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many deliveries to a recipient are not over.
    pub fn pending_of(&self, recipient: u64) -> usize {
        self.lanes.members_of(recipient)
    }

    /// The deliveries whose payload still lies in the record at `at`, as they are to be written now.
    pub fn take_again(&self, parcel: &ParcelSent<'_>, at: Extent) -> Vec<Delivery> {
        let again = |delivery: &Delivery| {
            let pending = self.pending.get(&delivery.number).filter(|pending| pending.parcel == at)?;
            let due_after = match pending.step {
                Step::Waits(due) => due - parcel.at,
                Step::Ready | Step::UnderWay => 0,
            };
            Some(Delivery { attempts: pending.attempts, due_after, ..*delivery })
        };
        parcel.deliveries.iter().filter_map(again).collect()
    }

    /// Whether the record at `at` is the latest fact about the delivery of this number.
    pub fn rests_on(&self, number: u64, at: Extent) -> bool {
        self.pending.get(&number).is_some_and(|pending| pending.fact == Some(at))
    }
}

impl Pending {
    /// The delivery's end.
    pub fn ended(&self, number: u64) -> Ended {
        Ended { number, segment: self.parcel.place.segment() }
    }
}

#[cfg(test)]
mod tests {
    use kernel::Place;

    use super::*;

    const NOW: Time = Time(1_000_000);
    /// The recipient that wants a second between two attempts.
    const SLOW: u64 = 7;
    /// Recipients that together want half a second between two attempts.
    const SHARED: [u64; 2] = [20, 21];

    /// Deliveries with the ledger of their log, in which each parcel is a record.
    #[derive(Default)]
    struct World {
        deliveries: Deliveries,
        ledger: Ledger,
        offset: u32,
        number: u64,
    }

    impl World {
        fn extent(&mut self) -> Extent {
            self.offset += 100;
            self.ledger.open(1);
            Extent { place: Place::new(1, self.offset), len: 100 }
        }

        /// Sends a parcel to so many deliveries for a recipient, unless it is gone.
        fn send(&mut self, recipient: u64, count: u64) {
            let form = Form { recipient, raw: true, protocol: 1, replayed: false };
            let numbers = self.number + 1..=self.number + count;
            self.number += count;
            let at = self.extent();
            let delivery = |number| Delivery { number, form, ..Delivery::default() };
            let parcel = parcel(numbers.map(delivery).collect(), Vec::new());
            self.deliveries.take(&parcel, at, &mut self.ledger, |recipient| recipient < 1000);
        }

        /// All attempts that begin at this moment.
        fn begin(&mut self, now: Time, at_most: usize) -> Vec<Attempt> {
            let mut room = usize::MAX;
            self.deliveries.advance(now, &mut room);
            let pace_of = |recipient| {
                let millis = if recipient == SLOW { 1000 } else { 500 };
                let key = if recipient == SLOW { SLOW } else { SHARED[0] };
                let is_paced = recipient == SLOW || SHARED.contains(&recipient);
                is_paced.then_some(Pace { key, micros: millis * 1000, at_once: 1 })
            };
            std::iter::from_fn(|| self.deliveries.next_attempt(now, at_most, pace_of)).collect()
        }

        fn end(&mut self, number: u64, outcome: Outcome) {
            self.deliveries.returned(number, outcome);
            let at = self.extent();
            let pending = self.deliveries.get(number).unwrap();
            match outcome {
                Outcome::Failed => {
                    let (attempts, due) = (pending.attempts + 1, NOW + 5000);
                    let failed = DeliveryFailed { number, attempts, at: NOW, due };
                    self.deliveries.failed(&failed, at, &mut self.ledger);
                }
                _ => {
                    let ended = [pending.ended(number)];
                    self.deliveries.ended(&ended, at, &mut self.ledger);
                }
            }
        }
    }

    fn parcel(deliveries: Vec<Delivery>, ends: Vec<Ended>) -> ParcelSent<'static> {
        ParcelSent {
            number: 0,
            source: 0,
            at: NOW,
            group: None,
            deduplication_id: None,
            copies: Vec::new(),
            deliveries,
            ends,
            style: 0,
            archived_millis: 0,
            deduplicates: None,
            forwarded: false,
        }
    }

    #[test]
    fn attempts_are_bounded_for_each_recipient_and_over_all() {
        let mut world = World::default();
        world.send(1, 100);
        assert_eq!(world.begin(NOW, 512).len(), 32, "of one recipient");
        for recipient in 100..600 {
            world.send(recipient, 1);
        }
        assert_eq!(world.begin(NOW, 512).len(), 512 - 32, "of all together");
        assert!(world.deliveries.is_behind(NOW, 1000) && !world.deliveries.is_behind(NOW, 512));
        world.end(1, Outcome::Delivered);
        assert_eq!(world.begin(NOW, 512).len(), 1);
    }

    #[test]
    fn a_failed_delivery_is_tried_again_at_its_time_and_one_that_ended_never() {
        let mut world = World::default();
        world.send(1, 2);
        let numbers: Vec<u64> = world.begin(NOW, 10).iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, [1, 2]);
        world.end(1, Outcome::Failed);
        world.end(2, Outcome::Delivered);
        assert_eq!(world.deliveries.next_deadline(), Some(NOW + 5000));
        assert_eq!(world.begin(NOW + 4999, 10), []);
        let again = world.begin(NOW + 5000, 10);
        assert_eq!(
            again.iter().map(|attempt| (attempt.number, attempt.attempts)).collect::<Vec<_>>(),
            [(1, 1)]
        );
        world.end(1, Outcome::Refused);
        assert!(world.deliveries.is_empty());
        let held: u64 = world.ledger.segments().map(|(_, segment)| segment.references).sum();
        assert_eq!(held, 0, "nothing of the log is needed any more");
    }

    #[test]
    fn an_endpoint_gets_only_so_many_a_second_and_a_recipient_that_is_gone_nothing() {
        let mut world = World::default();
        world.send(SLOW, 3);
        assert_eq!(world.begin(NOW, 10).len(), 1);
        assert_eq!(world.begin(NOW + 999, 10).len(), 0);
        assert_eq!(world.begin(NOW + 1000, 10).len(), 1);
        world.deliveries.forget_recipient(SLOW, &mut world.ledger);
        world.send(5000, 1);
        assert!(world.deliveries.is_empty());
        assert_eq!(world.begin(NOW + 9000, 10), []);
    }

    #[test]
    fn an_attempt_that_was_not_made_is_made_again_or_put_off() {
        let mut world = World::default();
        world.send(1, 1);
        assert_eq!(world.begin(NOW, 10).len(), 1);
        world.deliveries.returned(1, Outcome::NotMade);
        world.deliveries.try_again(1);
        assert_eq!(world.begin(NOW, 10).len(), 1);
        world.deliveries.returned(1, Outcome::Unreadable);
        world.deliveries.put_off(1, NOW + 60);
        assert_eq!(world.begin(NOW + 59, 10), []);
        assert_eq!(world.begin(NOW + 60, 10).len(), 1);
    }

    #[test]
    fn recipients_that_share_a_pace_are_tried_in_turns_and_each_wakes_once() {
        let mut world = World::default();
        for recipient in SHARED {
            world.send(recipient, 3);
        }
        let mut tried = Vec::new();
        for step in 0..6 {
            let now = NOW + step * 500;
            tried.extend(world.begin(now, 100).into_iter().map(|attempt| attempt.form.recipient));
            assert!(world.begin(now + 499, 100).is_empty(), "half a second has not passed");
        }
        assert_eq!(tried.len(), 6);
        assert!(tried[..2].contains(&SHARED[0]) && tried[..2].contains(&SHARED[1]), "{tried:?}");
        assert_eq!(world.deliveries.next_deadline(), None, "nothing waits any more");
    }
}
