//! How a service decides: what it is asked, what of the answer is recorded, and what leaves the machine.

use journal::Overlong;
use kernel::gather::FACT_BYTES;
use kernel::retained::{Order, Page};
use kernel::{CALLS, Called, Context, Decision, Fact, Handed, Outcome, Refusal, Rests, Service, Undelivered};

use crate::house::{Circumstances, Doors, Has, House};
use crate::machine::{Machine, end_of};
use crate::outbox::Release;
use crate::recording::{Grouping, too_long};
use crate::room::refusal_text;

/// What the head of a parcel takes, and what each of its takers adds, about.
const PARCEL_BYTES: usize = 256;
const TAKER_BYTES: usize = 48;

/// The group of the log in which the steps of a decision are recorded.
#[derive(Debug, Default)]
pub struct OpenGroup {
    has_begun: bool,
}

impl OpenGroup {
    fn grouping(&self, room: usize) -> Grouping {
        if self.has_begun { Grouping::Extends } else { Grouping::Begins(room) }
    }
}

impl<H: House> Machine<H> {
    /// Decides a request, unless the disk has no room for it.
    pub(crate) fn request(&mut self, ticket: u64, command: &H::Command) {
        match self.check_room(command) {
            Err(refusal) => self.answer(ticket, Err(refusal), Rests::OnEverything),
            Ok(()) if self.secret.is_none() => {
                // The secret is the first thing that a machine is told.
                let refusal = Refusal::new("InternalErrorException", "not ready");
                self.answer(ticket, Err(refusal), Rests::OnEverything);
            }
            Ok(()) => H::request(self, ticket, command),
        }
    }

    /// Refuses a command for which the disk has no room.
    pub(crate) fn check_room(&self, command: &H::Command) -> Result<(), Refusal> {
        let room = self.room();
        match H::demand(command) > room {
            true => Err(Refusal::new("ServiceUnavailable", refusal_text(room))),
            false => Ok(()),
        }
    }

    /// Decides a request of a service, step by step. The steps are one group of the log, apart from what finds no room in its
    /// segment.
    pub(crate) fn request_of<S: Service>(&mut self, ticket: u64, command: &S::Command)
    where
        H: Has<S>,
    {
        match self.steps_of::<S>(ticket, command, &mut OpenGroup::default(), 0) {
            Ok(outcome) => self.settle::<S>(Some(ticket), outcome),
            Err(refusal) => self.answer(ticket, Err(refusal), Rests::OnEverything),
        }
    }

    /// Decides a request step by step, and records the steps in a group, which has `reserved` bytes more for what extends it. The
    /// last outcome is returned.
    ///
    /// Errors: a refusal, if what was decided is longer than the log takes.
    pub(crate) fn steps_of<'c, S: Service>(
        &mut self,
        ticket: u64,
        command: &'c S::Command,
        group: &mut OpenGroup,
        reserved: usize,
    ) -> Result<Outcome<'c, S>, Refusal>
    where
        H: Has<S>,
    {
        let mut numbers = self.numbers.next();
        let mut asked = self.ask::<S>(ticket, |service, context| service.decide(command, context));
        while let Some((decision, handed)) = asked {
            let room = match &decision.outcome {
                Outcome::Again { room, .. } => *room,
                _ => 0,
            };
            let (facts, room) = (&decision.facts, (room + reserved, numbers));
            self.commit_step::<S>(facts, &handed, group, room)
                .map_err(|overlong| too_long(S::OVERLONG, overlong))?;
            self.tell(handed.undelivered());
            self.send::<S>(decision.effects);
            self.order::<S>(decision.orders);
            let Outcome::Again { step, .. } = decision.outcome else { return Ok(decision.outcome) };
            numbers = self.numbers.next();
            asked = self.ask::<S>(ticket, |service, context| service.decide_again(command, step, context));
        }
        Ok(Outcome::Silence)
    }

    /// Tells a service what has happened outside, and does what follows.
    pub(crate) fn event_of<S: Service>(&mut self, event: S::Event)
    where
        H: Has<S>,
    {
        if let Some((due, numbers)) = self.take_from::<S>(|service, setting| service.hear(event, setting)) {
            self.follow::<S>(due, numbers);
        }
    }

    /// Tells a service of a page that it has ordered from the store, and does what follows.
    pub(crate) fn page_read_of<S: Service>(&mut self, page: Page)
    where
        H: Has<S>,
    {
        if let Some((due, numbers)) = self.take_from::<S>(|service, setting| service.page_read(page, setting))
        {
            self.follow::<S>(due, numbers);
        }
    }

    /// Does what is due of a service, as much of it as may happen until the next flush. Requests come between.
    pub(crate) fn follow_up_of<S: Service>(&mut self)
    where
        H: Has<S>,
    {
        // Most of the time nothing is due, and each request would ask for every kind of chore.
        if !self.is_service_behind::<S>() {
            debug_assert!(self.has_no_chore::<S>(), "{} has something due and does not say so", S::NAME);
            return;
        }
        for chore in 0..S::CHORES.len() {
            while self.pace.has_left(H::INDEX, chore)
                && let Some((due, numbers)) =
                    self.take_from::<S>(|service, setting| service.take_due(chore, setting))
            {
                self.pace.spend(H::INDEX, chore, S::cost(&due));
                self.follow::<S>(due, numbers);
            }
        }
    }

    fn is_service_behind<S: Service>(&self) -> bool
    where
        H: Has<S>,
    {
        let circumstances = self.circumstances();
        circumstances.is_some_and(|all| self.house.of().is_behind(&all.setting::<H, S>(0)))
    }

    fn has_no_chore<S: Service>(&mut self) -> bool
    where
        H: Has<S>,
    {
        (0..S::CHORES.len()).all(|chore| {
            let taken = self.take_from::<S>(|service, setting| service.take_due(chore, setting));
            taken.is_none()
        })
    }

    /// Takes something that is due from a service, with the number that was the next one before.
    fn take_from<S: Service>(
        &mut self,
        take: impl FnOnce(&mut S, &kernel::Setting<'_, S::Limits>) -> Option<S::Due>,
    ) -> Option<(S::Due, u64)>
    where
        H: Has<S>,
    {
        let (room, store_lags) = (self.room(), self.store_lags());
        let Machine { house, secret, options, numbers, now, .. } = self;
        let (secret, _) = secret.as_ref()?;
        let limits = &options.limits;
        let circumstances = Circumstances { now: *now, limits, secret, numbers, room, store_lags };
        let before = numbers.next();
        let due = take(house.of_mut(), &circumstances.setting::<H, S>(0))?;
        Some((due, before))
    }

    /// Does what follows from something that is due. Numbers from `numbers` on were drawn for it. What it calls, and what follows
    /// from that, is recorded in the same group.
    fn follow<S: Service>(&mut self, mut due: S::Due, mut numbers: u64)
    where
        H: Has<S>,
    {
        let mut group = OpenGroup::default();
        let asked = self.ask::<S>(0, |service, context| service.consequence(&mut due, context));
        let mut call = asked.and_then(|asked| self.follow_step(asked, &mut group, numbers));
        let mut calls = 0;
        while let Some(asked_for) = call {
            calls += 1;
            let called = match calls {
                ..=CALLS => self.call(&asked_for, &mut group),
                _ => Called::Impossible("too many calls follow from each other".into()),
            };
            numbers = self.numbers.next();
            let asked = self.ask::<S>(0, |service, context| service.called(&mut due, called, context));
            call = asked.and_then(|asked| self.follow_step(asked, &mut group, numbers));
            if calls > CALLS {
                debug_assert!(call.is_none(), "a service calls again though it was told that it cannot");
                return;
            }
        }
    }

    /// Records what was decided about something due, and sends it on its way. A call that is asked for is returned.
    fn follow_step<'d, S: Service>(
        &mut self,
        (decision, handed): (Decision<'d, S>, Handed<'d>),
        group: &mut OpenGroup,
        mut numbers: u64,
    ) -> Option<Box<kernel::Call>>
    where
        H: Has<S>,
    {
        let room = match &decision.outcome {
            Outcome::Call(call) => call.room,
            _ => 0,
        };
        let mut facts = &decision.facts[..];
        if room == 0 && !group.has_begun {
            // They may be longer than a group.
            self.note_with_room::<S>(facts, self.room_for(&handed, 0));
            group.has_begun = !facts.is_empty();
            // Facts that were recorded keep their numbers.
            numbers = if facts.is_empty() { numbers } else { self.numbers.next() };
            facts = &[];
        }
        let handing = self.commit_step::<S>(facts, &handed, group, (room, numbers));
        debug_assert!(handing.is_ok(), "{handing:?}");
        self.tell(handed.undelivered());
        self.send::<S>(decision.effects);
        self.order::<S>(decision.orders);
        match decision.outcome {
            Outcome::Call(call) => Some(call),
            outcome => {
                self.settle::<S>(decision.ticket, outcome);
                None
            }
        }
    }

    /// The client of a request has gone.
    pub(crate) fn gone_of<S: Service>(&mut self, ticket: u64)
    where
        H: Has<S>,
    {
        if let Some(reply) = self.house.of_mut().gone(ticket) {
            // An answer, though nobody reads it: with it the ticket can be used again.
            self.settle::<S>(Some(ticket), Outcome::Reply(Ok(reply)));
        }
    }

    /// Asks a service, which sees the other services as targets and changes nothing. Nothing comes of it before the server has
    /// its secret.
    fn ask<'a, S: Service>(
        &self,
        ticket: u64,
        ask: impl FnOnce(&S, &mut Context<'a, '_, S::Limits>) -> Decision<'a, S>,
    ) -> Option<(Decision<'a, S>, Handed<'a>)>
    where
        H: Has<S>,
    {
        let mut handed = Handed::default();
        let circumstances = self.circumstances()?;
        let doors = Doors { house: &self.house, circumstances };
        let setting = circumstances.setting::<H, S>(ticket);
        let decision = ask(self.house.of(), &mut Context::new(setting, &doors, &mut handed));
        Some((decision, handed))
    }

    /// What a decision at this moment may depend on; nothing before the server has its secret.
    pub(crate) fn circumstances(&self) -> Option<Circumstances<'_, H::Limits>> {
        let (secret, _) = self.secret.as_ref()?;
        let (numbers, limits) = (&self.numbers, &self.options.limits);
        let (room, store_lags) = (self.room(), self.store_lags());
        Some(Circumstances { now: self.now, limits, secret, numbers, room, store_lags })
    }

    /// Records what a step has decided, and makes it true. What does not fit into the segment of its group begins a group.
    /// Numbers from `numbers` on were drawn for it; they are put back if nothing is recorded.
    fn commit_step<S: Service>(
        &mut self,
        facts: &[Fact<'_, S::Record<'_>>],
        handed: &Handed<'_>,
        group: &mut OpenGroup,
        (room, numbers): (usize, u64),
    ) -> Result<(), Overlong>
    where
        H: Has<S>,
    {
        let mut is_recorded = false;
        if !facts.is_empty() {
            let room = self.group_room(room + self.room_for(handed, 0));
            let mut committed = self.commit::<S>(facts, FACT_BYTES, group.grouping(room));
            if committed.is_err() && group.has_begun {
                committed = self.commit::<S>(facts, FACT_BYTES, Grouping::Begins(room));
            }
            if committed.is_err() {
                self.numbers.put_back(numbers);
            }
            committed?;
            (group.has_begun, is_recorded) = (true, true);
        }
        // Bodies are one group even if there are no facts.
        let room = self.group_room(room + self.room_for(handed, 1));
        for (parcel, payload) in handed.recorded() {
            self.commit_parcel(parcel, payload, group.grouping(room));
            (group.has_begun, is_recorded) = (true, true);
        }
        for fact in handed.following() {
            self.commit_following(fact, group.grouping(room));
            (group.has_begun, is_recorded) = (true, true);
        }
        if !is_recorded {
            self.numbers.put_back(numbers);
        }
        Ok(())
    }

    /// Bytes that what is handed over takes in the group of what is recorded before it, about, without the first bodies; no large part of a
    /// segment.
    fn room_for(&self, handed: &Handed<'_>, without: usize) -> usize {
        let parcels = handed.recorded().skip(without).map(|(parcel, payload)| {
            let takers = parcel.copies.len() + parcel.deliveries.len();
            PARCEL_BYTES + takers * TAKER_BYTES + payload.len()
        });
        let following = handed.following().iter().map(|fact| fact.head.len() + fact.tail.len());
        self.group_room(parcels.sum::<usize>() + following.sum::<usize>())
    }

    /// Tells who does not get something, once everything that was decided is durable.
    fn tell(&mut self, undelivered: Vec<Undelivered>) {
        for undelivered in undelivered {
            self.outbox.put(self.appender.end(), Release::Undelivered(Box::new(undelivered)));
        }
    }

    /// Sends effects on their way.
    fn send<S: Service>(&mut self, effects: Vec<(Rests, S::Effect)>)
    where
        H: Has<S>,
    {
        for (rests, effect) in effects {
            self.outbox.put(self.position(rests), Release::Effect(H::effect(effect)));
        }
    }

    /// Sends orders to the store for retained data on their way.
    fn order<S: Service>(&mut self, orders: Vec<(Rests, Order)>)
    where
        H: Has<S>,
    {
        for (rests, order) in orders {
            let after = self.position(rests);
            self.outbox.put(after, Release::Order(H::INDEX, order, after));
        }
    }

    /// Sends an outcome on its way.
    fn settle<S: Service>(&mut self, ticket: Option<u64>, outcome: Outcome<'_, S>)
    where
        H: Has<S>,
    {
        match outcome {
            Outcome::Reply(answer) => {
                let Some(ticket) = ticket else { return };
                let rests = answer.as_ref().map_or(Rests::OnEverything, |reply| self.house.of().rests(reply));
                self.answer(ticket, answer.map(H::reply), rests);
            }
            Outcome::Wait(waiter) => self.house.of_mut().wait(waiter),
            // A request goes on with its next step before it is settled, and nothing else has steps. A consequence that calls is
            // not settled before it is told what became of the call, and nothing else calls.
            Outcome::Again { .. } | Outcome::Call(_) | Outcome::Silence => {}
        }
    }

    fn answer(&mut self, ticket: u64, answer: Result<H::Reply, Refusal>, rests: Rests) {
        self.outbox.put(self.position(rests), Release::Reply(ticket, answer));
    }

    /// Up to where the log must be durable before something leaves. All that was decided so far, as a rule, so that a crash never
    /// takes back what somebody was told.
    fn position(&self, rests: Rests) -> kernel::Position {
        match rests {
            Rests::OnEverything => self.appender.end(),
            Rests::OnRecord(extent) => self.counts_from(extent),
            Rests::OnNothing => self.outbox.durable(),
        }
    }

    /// Up to where the log must be durable so that the parcel or message at `extent` is there after a crash.
    pub(crate) fn counts_from(&self, extent: kernel::Extent) -> kernel::Position {
        let closes = |&(from, end): &(kernel::Place, kernel::Position)| {
            (from <= extent.place && extent.place < end).then_some(end)
        };
        self.closing.iter().find_map(closes).unwrap_or_else(|| end_of(extent))
    }
}
