//! What a service is: the shape that the machine knows all services by.
//!
//! A request comes to [`Service::decide`], which looks at the state and says in a [`Decision`] what to record and what to answer.
//! The machine records the facts as one group of the log and makes them true with [`Service::apply`]. What falls due, and what
//! comes from outside, goes the same way: [`Service::take_due`] or [`Service::hear`], then [`Service::consequence`].

use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::RangeInclusive;

use crate::codec::Malformed;
use crate::request::{Asking, Request};
use crate::retained::{Order, Page, Series};
use crate::{
    Arn, Call, Called, Context, Demand, Drawn, Extent, IdsRemembered, Ledger, Offer, ParcelSent, Refusal,
    RememberedId, Secret, Setting, Stored, Taken, Time, Why,
};

/// A kind of fact that a service records. The first byte of its encoding is its kind.
pub trait Record<'a>: Sized + Debug {
    /// Whether a restart applies it before all records that are not.
    fn is_configuration(&self) -> bool;

    /// Appends kind and content.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`Record::encode`] wrote.
    fn decode(head: &'a [u8]) -> Result<Self, Malformed>;
}

/// A record with the payload that is stored with it.
#[derive(Debug)]
pub struct Fact<'a, R> {
    /// What the engine knows of it.
    pub record: R,
    /// What is stored with it; empty for most.
    pub tail: Cow<'a, [u8]>,
}

impl<R> From<R> for Fact<'_, R> {
    fn from(record: R) -> Self {
        Fact { record, tail: Cow::Borrowed(&[]) }
    }
}

/// What must be durable before an answer or an effect leaves the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rests {
    /// Everything that was decided so far, this decision included.
    OnEverything,
    /// The record at this place, and everything before it.
    OnRecord(Extent),
    /// Nothing.
    OnNothing,
}

/// What follows from a decision besides its facts.
#[derive(Debug)]
pub enum Outcome<'a, S: Service> {
    /// An answer, or a refusal.
    Reply(Result<S::Reply, Refusal>),
    /// The request is answered later, by a consequence.
    Wait(S::Waiter),
    /// The facts are applied; then [`Service::decide_again`] is asked with this step, and its facts belong to the same group.
    Again {
        /// What the next step must know.
        step: S::Step<'a>,
        /// Bytes that the records of the steps that follow can take for certain in the group of this one. What takes more, and does
        /// not fit into the segment, begins a group of its own.
        room: usize,
    },
    /// An operation of another service is asked for, and [`Service::called`] is told what became of it. Only a consequence can ask
    /// that. Its facts up to here, those of the operation, and those of `called` are one group.
    Call(Box<Call>),
    /// Nothing.
    Silence,
}

/// What a service decided. It borrows from the command, never from the state.
#[derive(Debug)]
pub struct Decision<'a, S: Service> {
    /// Facts to record, in this order. After a crash all are there or none: they are one group of the log. (What follows from
    /// time, without a request, may be longer than a group. Then each fact is sound without the others.)
    pub facts: Vec<Fact<'a, S::Record<'a>>>,
    /// What is to be done outside.
    pub effects: Vec<(Rests, S::Effect)>,
    /// What is ordered from the store for retained data.
    pub orders: Vec<(Rests, Order)>,
    /// What the caller hears.
    pub outcome: Outcome<'a, S>,
    /// The request that a consequence answers. Without meaning in the decision of a request.
    pub ticket: Option<u64>,
}

impl<'a, S: Service> Decision<'a, S> {
    /// Facts that nobody asked for.
    pub fn silent(facts: Vec<Fact<'a, S::Record<'a>>>) -> Self {
        Decision::with(facts, Outcome::Silence)
    }

    /// Facts and what follows from them.
    pub fn with(facts: Vec<Fact<'a, S::Record<'a>>>, outcome: Outcome<'a, S>) -> Self {
        Decision { facts, effects: Vec::new(), orders: Vec::new(), outcome, ticket: None }
    }

    /// Facts and an answer.
    pub fn done(facts: Vec<Fact<'a, S::Record<'a>>>, reply: S::Reply) -> Self {
        Decision::with(facts, Outcome::Reply(Ok(reply)))
    }

    /// An answer that changes nothing.
    pub fn answer(reply: S::Reply) -> Self {
        Decision::done(Vec::new(), reply)
    }

    /// A refusal.
    pub fn refuse(refusal: Refusal) -> Self {
        Decision::with(Vec::new(), Outcome::Reply(Err(refusal)))
    }
}

impl<S: Service> From<Refusal> for Decision<'_, S> {
    fn from(refusal: Refusal) -> Self {
        Decision::refuse(refusal)
    }
}

/// What must be done about a record before its segment can go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Survival {
    /// Nothing: nobody needs it.
    Dead,
    /// It is written again; its payload is not needed for that.
    Fact,
    /// It is written again with its payload.
    Payload,
}

/// No value: for services without effects, waiters, events or steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Never {}

/// The limits of a service. The default is without those that only slow a developer down, such as quotas.
pub trait Limits: Copy + Debug + Default {
    /// As AWS has them.
    fn strict() -> Self;
}

impl Limits for () {
    fn strict() {}
}

/// One of AWS's services, as a deterministic state. `decide`, `consequence` and `offer` look; `apply` and `take` change.
pub trait Service: Default + Debug + 'static {
    /// The service part of its ARNs.
    const NAME: &'static str;
    /// The kinds of its records. The ranges of two services do not overlap.
    const KINDS: RangeInclusive<u8>;
    /// The error code of a request whose records are longer than a record may be.
    const OVERLONG: &'static str;
    /// The kinds of things that [`Service::take_due`] returns: of each, about how many microseconds one takes. So much of them
    /// happens between two flushes that no kind keeps others waiting for more than about a millisecond.
    const CHORES: &'static [usize];

    /// Its limits.
    type Limits: Limits;
    /// A prepared request.
    type Command: Debug;
    /// What a client gets.
    type Reply: Debug;
    /// A fact.
    type Record<'a>: Record<'a>;
    /// What one step of a decision hands to the next.
    type Step<'a>: Debug;
    /// A request that waits.
    type Waiter: Debug;
    /// What it is told from outside.
    type Event: Debug;
    /// Something that follows without a request.
    type Due: Debug;
    /// Something to be done outside.
    type Effect: Debug;

    /// What the records of a kind are about, in words for operators.
    fn subject(kind: u8) -> &'static str;

    // What is asked.

    /// What a command may write to the log.
    fn demand(command: &Self::Command) -> Demand;

    /// Decides a request.
    fn decide<'a>(
        &self,
        command: &'a Self::Command,
        context: &mut Context<'a, '_, Self::Limits>,
    ) -> Decision<'a, Self>;

    /// Decides the next step of a request, after [`Outcome::Again`]. It sees what the step before has changed.
    fn decide_again<'a>(
        &self,
        command: &'a Self::Command,
        step: Self::Step<'a>,
        context: &mut Context<'a, '_, Self::Limits>,
    ) -> Decision<'a, Self>;

    /// What an answer rests on, once its facts are applied.
    fn rests(&self, _reply: &Self::Reply) -> Rests {
        Rests::OnEverything
    }

    /// A request waits from now on.
    fn wait(&mut self, _waiter: Self::Waiter) {}

    /// The client of a request has gone. If the request waits, it waits no longer: the answer with which its ticket ends.
    fn gone(&mut self, _ticket: u64) -> Option<Self::Reply> {
        None
    }

    /// The server is about to stop: all requests that wait are due.
    fn stop(&mut self) {}

    /// Whether a request that waited is still to be answered, since its time is over.
    fn owes_answers(&self) -> bool {
        false
    }

    // What the log says.

    /// A fact becomes true. `at` is where its record lies. Called live and when a log is read, in the order of the log.
    fn apply(&mut self, record: &Self::Record<'_>, at: Extent, ledger: &mut Ledger);

    /// A parcel was sent, or lies at `at` now: the takers of this service have it.
    fn take(&mut self, _parcel: &ParcelSent<'_>, _at: Extent, _ledger: &mut Ledger) {}

    /// Deduplication ids are told in the record at `at`: those of this service's things are remembered.
    fn remember(&mut self, _record: &IdsRemembered, _at: Extent, _ledger: &mut Ledger) {}

    /// The server has a secret.
    fn identified(&mut self, _secret: &Secret) {}

    /// A log is about to be read, all of it before anything is asked, at `now` or later.
    fn replaying(&mut self, _now: Time) {}

    /// A log has been read whole. Numbers below `next` are taken.
    fn replayed(&mut self, _next: u64, _ledger: &mut Ledger) {}

    /// After [`Service::replayed`]: what must be recorded because a crash cut it off.
    fn cut_off(&self) -> Vec<Fact<'static, Self::Record<'static>>> {
        Vec::new()
    }

    /// The facts after which this service holds nothing.
    fn reset(&mut self, now: Time) -> Vec<Fact<'static, Self::Record<'static>>>;

    // What other services hand over.

    /// Target: takes an offer, or does not. A target that takes it adds itself to the takers of the body.
    fn offer(&self, _offer: &Offer<'_>, _context: &mut Context<'_, '_, Self::Limits>) -> Taken {
        Taken::Refused(Why::Unserved, "resources of this service cannot be handed anything")
    }

    // What other services ask elsewhere.

    /// Holder of credentials: makes a request that another service wants to send.
    ///
    /// Errors: why it cannot be made, in words.
    fn request(&self, asking: &Asking<'_>) -> Result<Request, String> {
        Err(format!("{} holds no credentials", asking.through))
    }

    // What other services draw.

    /// Source: draws up to `most` messages, if this service has such a source ([`Sources`](crate::Sources)).
    fn draw(
        &self,
        _from: &Arn,
        _most: usize,
        _context: &mut Context<'_, '_, Self::Limits>,
    ) -> Result<Vec<Drawn>, Why> {
        Err(Why::Unserved)
    }

    /// Source: where the record of a drawn message lies now.
    fn place_of(&self, _from: &Arn, _drawn: Drawn) -> Option<Extent> {
        None
    }

    /// Source: a drawn message as JSON.
    fn show(&self, _from: &Arn, _drawn: Drawn, _record: &Stored, _secret: &Secret) -> Option<String> {
        None
    }

    /// Source: drawn messages are gone, once the decision is recorded.
    fn finish(&self, _from: &Arn, _drawn: &[Drawn], _context: &mut Context<'_, '_, Self::Limits>) {}

    /// Source: somebody wishes for it. Once it has something, [`Service::next_filled`] says so, one time.
    fn watch(&mut self, _source: &Arn) {}

    /// Source: the next one that somebody wished for and that has something now.
    fn next_filled(&mut self) -> Option<Arn> {
        None
    }

    /// The next source that this service wishes for. It is told with [`Service::filled`] once the source has something, one time.
    fn next_wish(&mut self) -> Option<Arn> {
        None
    }

    /// A source has something that this service, or another one, wished for.
    fn filled(&mut self, _source: &Arn) {}

    // What follows from time.

    /// Lets time pass: what falls due without a record happens, at most `room` things, which are subtracted from it.
    fn advance(&mut self, _now: Time, _room: &mut usize) {}

    /// When time must be told at the latest.
    fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// Whether something is due that the disk has room for, and has not happened yet. It must say so whenever
    /// [`Service::take_due`] would take something, since only then is that asked.
    fn is_behind(&self, _setting: &Setting<'_, Self::Limits>) -> bool {
        false
    }

    /// Takes the next due thing of a kind of [`Service::CHORES`]. What is taken and leaves no fact must be derived again at a
    /// restart.
    fn take_due(&mut self, _chore: usize, _setting: &Setting<'_, Self::Limits>) -> Option<Self::Due> {
        None
    }

    /// How much there is to do about it, in things of [`Service::CHORES`].
    fn cost(_due: &Self::Due) -> usize {
        1
    }

    /// What follows from a due thing.
    fn consequence<'a>(
        &self,
        due: &'a mut Self::Due,
        context: &mut Context<'a, '_, Self::Limits>,
    ) -> Decision<'a, Self>;

    /// What follows from the end of a call that [`Service::consequence`] asked for with [`Outcome::Call`], or this function itself.
    fn called<'a>(
        &self,
        _due: &'a mut Self::Due,
        _called: Called,
        _context: &mut Context<'a, '_, Self::Limits>,
    ) -> Decision<'a, Self> {
        Decision::silent(Vec::new())
    }

    /// Something happened outside. What must follow is returned.
    fn hear(&mut self, event: Self::Event, setting: &Setting<'_, Self::Limits>) -> Option<Self::Due>;

    // What is kept in the store for retained data.

    /// Tells each series that this service must know how far the store has, at a start.
    fn each_series(&self, _each: &mut dyn FnMut(Series)) {}

    /// Whether a series is this service's. The store deletes one that is nobody's.
    fn has_series(&self, _series: Series) -> bool {
        false
    }

    /// An order to keep records of a series has ended, or a log is about to be read, behind its configuration: the store has the
    /// records of the series durably up to this number; of those that were ordered, none if it is absent.
    fn kept(&mut self, _series: Series, _through: Option<u64>, _ledger: &mut Ledger) {}

    /// A page that this service ordered has been read. What must follow is returned.
    fn page_read(&mut self, _page: Page, _setting: &Setting<'_, Self::Limits>) -> Option<Self::Due> {
        None
    }

    /// Whether there is work that can be done between requests.
    fn has_background_work(&self) -> bool {
        false
    }

    /// Does a little of that work.
    fn work_in_background(&mut self, _now: Time, _ledger: &mut Ledger) {}

    // What cleaning asks.

    /// What must be done about the record at `at` before its segment can go.
    fn survival(&self, record: &Self::Record<'_>, at: Extent, ledger: &Ledger) -> Survival;

    /// What is to be written so that the record at `at` is no longer needed.
    fn write_again<'a>(
        &self,
        record: Self::Record<'a>,
        tail: &'a [u8],
        at: Extent,
        ledger: &Ledger,
    ) -> Vec<Fact<'a, Self::Record<'a>>>;

    /// Adds to `again` the takers of this service whose payload still lies at `at`.
    fn take_again<'a>(&self, _parcel: &ParcelSent<'a>, _at: Extent, _again: &mut ParcelSent<'a>) {}

    /// What is known besides of the takers of this service in a parcel that is written again.
    fn told_of_takers(&self, _again: &ParcelSent<'_>) -> Vec<Fact<'static, Self::Record<'static>>> {
        Vec::new()
    }

    /// What the parcel at `at` says that still holds, whatever becomes of its takers.
    fn told_besides(
        &self,
        _parcel: &ParcelSent<'_>,
        _at: Extent,
        _ledger: &Ledger,
    ) -> Vec<Fact<'static, Self::Record<'static>>> {
        Vec::new()
    }

    /// The deduplication ids that a record tells and that still count.
    fn ids_in_record(&self, _record: &Self::Record<'_>, _now: Time, _ids: &mut Vec<RememberedId>) {}

    /// The deduplication ids that a parcel tells and that still count.
    fn ids_in_parcel(&self, _parcel: &ParcelSent<'_>, _now: Time, _ids: &mut Vec<RememberedId>) {}

    /// Whether an id of one of this service's things still counts.
    fn still_counts(&self, _id: &RememberedId, _now: Time) -> bool {
        false
    }
}
