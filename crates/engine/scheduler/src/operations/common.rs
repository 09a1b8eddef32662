//! What the operations of schedules share: the types that they decide on, replies, and how a request's texts are read.

use api::{Text, Timestamp};
use kernel::codec::Malformed;
use kernel::{Api, Asker, Refusal, Time};
use resources::tags::Tags;

use crate::GroupKey;
use crate::ids::DEFAULT_GROUP;
use crate::limits::Limits;
use crate::records::{GroupDeclared, Record, ScheduleDeclared};
use crate::rules::faults::{Constrained, Faults};
use crate::rules::pages::Listed;
use crate::state::State;

impl Api for State {
    /// Answers are made of replies alone.
    type Materials<'m> = ();

    fn materials<'m>(_: &'m str, _: &'m kernel::Secret) {}
}

/// What an operation decided.
pub type Decision<'a> = kernel::Decision<'a, State>;

/// A fact.
pub type Fact<'a> = kernel::Fact<'a, Record>;

/// What a decision may depend on besides the state and the command.
pub type Setting<'a> = kernel::Setting<'a, Limits>;

/// The same, and what can be handed to whom.
pub type Context<'a, 'm> = kernel::Context<'a, 'm, Limits>;

/// A schedule as a list tells of it.
#[derive(Clone, PartialEq, Debug)]
pub struct ListedSchedule {
    /// Its ARN.
    pub arn: String,
    /// Its group's name.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Whether its state is `ENABLED`.
    pub is_enabled: bool,
    /// When it was made.
    pub created: Time,
    /// When it was changed last.
    pub modified: Time,
    /// The ARN of its target.
    pub target: String,
}

/// What a client gets.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::large_enum_variant)] // One a request.
pub enum Reply {
    /// It is done.
    Done,
    /// The ARN of something that is there now.
    Arn(String),
    /// A schedule, with the group that it is in.
    Schedule(GroupKey, Box<ScheduleDeclared>),
    /// A group.
    Group(GroupDeclared),
    /// A page of schedules.
    Schedules(Listed<ListedSchedule>),
    /// A page of groups.
    Groups(Listed<GroupDeclared>),
    /// Tags.
    Tags(Tags),
}

impl Reply {
    /// The answer of an operation that has nothing to say.
    pub(super) fn done<O: Default>(self) -> Result<O, Malformed> {
        match self {
            Reply::Done => Ok(O::default()),
            _ => Err(Malformed),
        }
    }

    /// The ARN of something that is there now.
    pub(super) fn arn(self) -> Result<Option<Text>, Malformed> {
        match self {
            Reply::Arn(arn) => Ok(Some(arn.into())),
            _ => Err(Malformed),
        }
    }
}

/// What is decided, or why not.
pub(super) fn decided<'a>(tried: Result<Decision<'a>, Refusal>) -> Decision<'a> {
    tried.unwrap_or_else(Decision::refuse)
}

/// A group of the caller: the one that is named, or else the default one.
pub(super) fn group_of(name: Option<&str>, asker: &Asker<'_>, faults: &mut Faults) -> GroupKey {
    if let Some(name) = name {
        faults.name(name, "groupName");
    }
    group_named(name.unwrap_or(DEFAULT_GROUP), asker)
}

/// A group of the caller by its name.
pub(super) fn group_named(name: &str, asker: &Asker<'_>) -> GroupKey {
    let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
    GroupKey { account, region, name: name.to_owned() }
}

/// A moment of a request. What lies before the epoch is the epoch.
pub(super) fn time(given: Timestamp) -> Time {
    Time(given.0.try_into().unwrap_or(0))
}

/// A moment in an answer.
pub(super) fn shown(time: Time) -> Option<Timestamp> {
    time.0.try_into().ok().map(Timestamp)
}

/// The group that every account has, where nothing has been said of it yet.
pub(super) fn default_group(key: &GroupKey, setting: &Setting<'_>) -> GroupDeclared {
    GroupDeclared {
        id: crate::GroupId(0),
        key: key.clone(),
        tags: Tags::new(),
        created: setting.now,
        modified: setting.now,
        token: 0,
        is_deleting: false,
    }
}
