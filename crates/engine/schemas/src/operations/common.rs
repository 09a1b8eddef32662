//! What the operations of schemas share: the types that they decide on, and replies.

use api::{Map, Text, Timestamp};
use kernel::codec::Malformed;
use kernel::{Api, Refusal, Time};
use resources::tags::Tags;

use crate::VersionKey;
use crate::inference::Dialect;
use crate::limits::Limits;
use crate::records::{DiscovererDeclared, Policy, Record, RegistryDeclared, SchemaDeclared, VersionDeclared};
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

/// A schema as a search finds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The schema.
    pub schema: SchemaDeclared,
    /// Those of its versions that contain the words.
    pub versions: Vec<(VersionKey, Time, Dialect)>,
}

/// What a client gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// It is done.
    Done,
    /// A registry.
    Registry(RegistryDeclared),
    /// A schema in one of its versions.
    Schema(Box<SchemaDeclared>, VersionDeclared),
    /// A discoverer.
    Discoverer(DiscovererDeclared),
    /// A page of registries.
    Registries(Listed<RegistryDeclared>),
    /// A page of schemas, each with the number of its versions.
    Schemas(Listed<(SchemaDeclared, usize)>),
    /// A page of a schema's versions.
    Versions(Box<SchemaDeclared>, Listed<(VersionKey, Dialect)>),
    /// A page of discoverers.
    Discoverers(Listed<DiscovererDeclared>),
    /// A page of what a search found.
    Found(Listed<Found>),
    /// A registry's policy.
    Policy(Policy),
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
}

/// What is decided, or why not.
pub(super) fn decided<'a>(tried: Result<Decision<'a>, Refusal>) -> Decision<'a> {
    tried.unwrap_or_else(Decision::refuse)
}

/// Facts and an answer.
pub(super) fn done<'a>(facts: Vec<Record>, reply: Reply) -> Decision<'a> {
    Decision::done(facts.into_iter().map(Fact::from).collect(), reply)
}

/// A moment in an answer.
pub(super) fn shown(time: Time) -> Option<Timestamp> {
    time.0.try_into().ok().map(Timestamp)
}

/// A text in an answer.
pub(super) fn text(text: impl Into<String>) -> Option<Text> {
    Some(text.into().into())
}

/// Tags in an answer.
pub(super) fn tags(tags: Tags) -> Option<Map<Text>> {
    Some(Map(tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect()))
}
