//! What the operations of pipes share: the types that they decide on, and replies.

use api::{Map, Text, Timestamp};
use kernel::codec::Malformed;
use kernel::{Api, Refusal, Time};
use resources::tags::Tags;

use crate::PipeKey;
use crate::limits::Limits;
use crate::records::{PipeDeclared, Record};
use crate::refusals;
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

/// What a client gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// It is done.
    Done,
    /// A pipe.
    Pipe(Box<PipeDeclared>),
    /// A page of pipes.
    Pipes(Listed<PipeDeclared>),
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

    /// A pipe.
    pub(super) fn pipe(self) -> Result<PipeDeclared, Malformed> {
        match self {
            Reply::Pipe(pipe) => Ok(*pipe),
            _ => Err(Malformed),
        }
    }
}

/// What is decided, or why not.
pub(super) fn decided<'a>(tried: Result<Decision<'a>, Refusal>) -> Decision<'a> {
    tried.unwrap_or_else(Decision::refuse)
}

/// A pipe as it is from now on, which is also the answer.
pub(super) fn declared<'a>(pipe: PipeDeclared) -> Decision<'a> {
    let reply = Reply::Pipe(Box::new(pipe.clone()));
    Decision::done(vec![Record::PipeDeclared(Box::new(pipe)).into()], reply)
}

/// A pipe of the caller.
pub(super) fn known<'s>(state: &'s State, key: &PipeKey) -> Result<&'s PipeDeclared, Refusal> {
    state.pipe(key).ok_or_else(|| refusals::missing(&key.name))
}

/// A pipe of the caller that can be changed now: it is not about to be in another state.
pub(super) fn changeable<'s>(state: &'s State, key: &PipeKey) -> Result<&'s PipeDeclared, Refusal> {
    let known = known(state, key)?;
    match known.state.passes() {
        true => Err(refusals::changing(&key.name, known.state.name())),
        false => Ok(known),
    }
}

/// The members that the answers about one pipe have in common.
macro_rules! summary {
    ($output:ident, $reply:ident) => {{
        let pipe = $reply.pipe()?;
        Ok($output {
            arn: $crate::operations::text(pipe.key.arn()),
            desired_state: $crate::operations::text(pipe.desired()),
            current_state: $crate::operations::text(pipe.state.name()),
            creation_time: $crate::operations::shown(pipe.created),
            last_modified_time: $crate::operations::shown(pipe.modified),
            name: $crate::operations::text(pipe.key.name),
        })
    }};
}
pub(super) use summary;

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
