//! What the operations of buses share: the types that they decide on, replies, steps, and how a bus or a rule is declared anew.

use api::eventbridge::{PutTargetsResultEntry, RemoveTargetsResultEntry, Target};
use kernel::codec::Malformed;
use kernel::{Api, Refusal, Time};
use resources::tags::Tags;

use super::archives::ArchiveShown;
use super::put_events::Progress;
use super::replays::ReplayShown;
use crate::bus::{Bus, Rule};
use crate::limits::Limits;
use crate::records::{BusDeclared, ConnectionDeclared, DestinationDeclared, Record, RuleDeclared};
use crate::rules::entry::Fault;
use crate::rules::pages::Listed;
use crate::state::State;
use crate::{BusId, BusKey, refusals};

impl Api for State {
    /// Replies say all that answers are made of.
    type Materials<'m> = ();

    fn materials<'m>(_: &'m str, _: &'m kernel::Secret) {}
}

/// What an operation decided.
pub type Decision<'a> = kernel::Decision<'a, State>;

/// A fact.
pub type Fact<'a> = kernel::Fact<'a, Record>;

/// What the caller hears.
pub type Outcome<'a> = kernel::Outcome<'a, State>;

/// What a decision may depend on besides the state and the command.
pub type Setting<'a> = kernel::Setting<'a, Limits>;

/// The same, and what can be handed to whom.
pub type Context<'a, 'm> = kernel::Context<'a, 'm, Limits>;

/// What one step of a decision hands to the next: how far PutEvents has come.
pub type Step<'a> = Box<Progress<'a>>;

/// What a client gets.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// It is done.
    Done,
    /// The ARN of something that is there now.
    Arn(String),
    /// Yes or no.
    Truth(bool),
    /// A bus.
    Bus(Box<BusDeclared>),
    /// A page of buses.
    Buses(Listed<BusDeclared>),
    /// A rule.
    Rule(Box<RuleDeclared>),
    /// A page of rules.
    Rules(Listed<RuleDeclared>),
    /// A page of names.
    Names(Listed<String>),
    /// A page of targets.
    Targets(Listed<Target>),
    /// A connection.
    Connection(Box<ConnectionDeclared>),
    /// A page of connections.
    Connections(Listed<ConnectionDeclared>),
    /// An API destination, and whether it is active.
    Destination(Box<(DestinationDeclared, bool)>),
    /// A page of API destinations, and whether they are active.
    Destinations(Listed<(DestinationDeclared, bool)>),
    /// An archive.
    Archive(Box<ArchiveShown>),
    /// A page of archives.
    Archives(Listed<ArchiveShown>),
    /// A replay.
    Replay(Box<ReplayShown>),
    /// A page of replays.
    Replays(Listed<ReplayShown>),
    /// Tags.
    Tags(Tags),
    /// What became of the entries of PutEvents: the events' ids, or what is wrong.
    Put(Vec<Result<String, Fault>>),
    /// Targets that could not be put.
    NotPut(Vec<PutTargetsResultEntry>),
    /// Targets that could not be removed.
    NotRemoved(Vec<RemoveTargetsResultEntry>),
}

impl Reply {
    /// The answer of an operation that has nothing to say.
    pub(super) fn done<O: Default>(self) -> Result<O, Malformed> {
        match self {
            Reply::Done => Ok(O::default()),
            _ => Err(Malformed),
        }
    }
}

/// A decision that may be a refusal.
pub(super) fn decided<'a>(decision: Result<Decision<'a>, Refusal>) -> Decision<'a> {
    decision.unwrap_or_else(Decision::refuse)
}

/// A record and an answer.
pub(super) fn done<'a>(record: Record, reply: Reply) -> Decision<'a> {
    Decision::done(vec![record.into()], reply)
}

/// A rule is declared anew, with something changed; nothing is recorded if it stays as it is.
pub(super) fn rule_redeclared<'a>(
    rule: &Rule,
    reply: Reply,
    change: impl FnOnce(&mut RuleDeclared),
) -> Decision<'a> {
    let mut declared = rule.declared.clone();
    change(&mut declared);
    if declared == rule.declared {
        return Decision::answer(reply);
    }
    done(Record::RuleDeclared(Box::new(declared)), reply)
}

/// A bus as it is declared, or as the default bus is without a declaration.
///
/// Errors: there is no such bus.
pub(super) fn bus_of(state: &State, key: &BusKey) -> Result<BusDeclared, Refusal> {
    match state.bus(key).and_then(Bus::declared) {
        Some(declared) => Ok(declared.clone()),
        None if key.is_default() => Ok(BusDeclared::new(BusId(0), key.clone(), Time(0))),
        None => Err(refusals::bus_missing(key)),
    }
}

/// A bus is declared anew, with something changed; the default bus perhaps for the first time.
///
/// Errors: there is no such bus, or the change is refused.
pub(super) fn bus_redeclared(
    state: &State,
    key: &BusKey,
    setting: &Setting<'_>,
    change: impl FnOnce(&mut BusDeclared) -> Result<(), Refusal>,
) -> Result<Option<BusDeclared>, Refusal> {
    let before = bus_of(state, key)?;
    let mut after = before.clone();
    change(&mut after)?;
    if after == before {
        return Ok(None);
    }
    if after.id == BusId(0) {
        after.id = BusId(setting.numbers.draw());
        after.created = setting.now;
    }
    after.modified = setting.now;
    Ok(Some(after))
}

/// The same as a decision with an answer that has nothing to say.
pub(super) fn bus_changed<'a>(
    state: &State,
    key: &BusKey,
    setting: &Setting<'_>,
    change: impl FnOnce(&mut BusDeclared) -> Result<(), Refusal>,
) -> Decision<'a> {
    decided(bus_redeclared(state, key, setting, change).map(|declared| match declared {
        Some(declared) => done(Record::BusDeclared(Box::new(declared)), Reply::Done),
        None => Decision::answer(Reply::Done),
    }))
}

/// Refuses if there is no such bus.
pub(super) fn check_bus(state: &State, key: &BusKey) -> Result<(), Refusal> {
    if state.has_bus(key) { Ok(()) } else { Err(refusals::bus_missing(key)) }
}

/// A moment as an answer has it; absent if it is not known.
pub(super) fn timestamp(time: Time) -> Option<api::Timestamp> {
    (time.0 > 0).then(|| api::Timestamp(time.signed_millis()))
}

/// A text that may be absent, as the log keeps it.
pub(super) fn owned(text: Option<&api::Text>) -> Option<String> {
    text.map(ToString::to_string)
}

/// A text that may be absent, as an answer has it.
pub(super) fn shown(text: Option<String>) -> Option<api::Text> {
    text.map(Into::into)
}
