//! What the operations share: the types that they decide on, replies, and how a request's texts are read.

use std::sync::Arc;

use api::Timestamp;
use bytes::Bytes;
use kernel::codec::Malformed;
use kernel::service::Record as _;
use kernel::{Api, Extent, Refusal, Secret, Time, uuid_text};
use resources::Faults;
use resources::tags::Tags;
use states_language::Diagnostics;

use crate::history::{self, Event};
use crate::limits::Limits;
use crate::machines::Machine;
use crate::records::{ActivityDeclared, AliasDeclared, MachineDeclared, Record, Status};
use crate::rules::pages::Listed;
use crate::state::State;
use crate::steps::Task;
use crate::{MachineKey, limits, refusals};

/// What answers are made of besides replies: the records that [`needs`] names, head and tail.
#[derive(Clone, Copy, Debug)]
pub struct Materials<'m> {
    /// In the order of [`needs`].
    pub records: &'m [(Bytes, Bytes)],
}

impl Api for State {
    type Materials<'m> = Materials<'m>;

    fn materials<'m>(_: &'m str, _: &'m Secret) -> Materials<'m> {
        Materials { records: &[] }
    }

    fn is_callable(command: &Command) -> bool {
        !matches!(
            command,
            Command::DescribeExecution(_)
                | Command::GetExecutionHistory(_)
                | Command::GetActivityTask(_)
                | Command::StartSyncExecution(_)
        )
    }
}

use super::Command;
use super::test_state::Outcome;

/// What an operation decided.
pub type Decision<'a> = kernel::Decision<'a, State>;

/// A fact.
pub type Fact<'a> = kernel::Fact<'a, Record>;

/// What a decision may depend on besides the state and the command.
pub type Setting<'a> = kernel::Setting<'a, Limits>;

/// The same, and what can be handed to whom.
pub type Context<'a, 'm> = kernel::Context<'a, 'm, Limits>;

/// A state machine as it is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct MachineShown {
    /// Its ARN, if it is a version's.
    pub arn: Option<String>,
    /// The description of the version.
    pub description: Option<String>,
    /// What the log says of it.
    pub declared: MachineDeclared,
    /// Its definition.
    pub definition: Arc<str>,
    /// Its revision, if it was updated.
    pub revision: Option<String>,
}

/// An execution as lists show it.
#[derive(Clone, PartialEq, Debug)]
pub struct ExecutionShown {
    /// Its ARN.
    pub arn: String,
    /// The ARN of its state machine.
    pub machine_arn: String,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// When it was started.
    pub started: Time,
    /// When it ended.
    pub stopped: Option<Time>,
    /// The ARN of the version with which it runs, if one was asked for.
    pub version: Option<String>,
    /// The ARN of the alias that was asked for.
    pub alias: Option<String>,
    /// `traceHeader`.
    pub trace: Option<String>,
    /// How often it was redriven.
    pub redrives: u32,
    /// When the last time.
    pub redriven: Option<Time>,
}

/// An execution with the records in which its input and its end are.
#[derive(Clone, PartialEq, Debug)]
pub struct ExecutionRead {
    /// What memory knows of it.
    pub shown: ExecutionShown,
    /// Its first record, and if it has ended its last one.
    pub records: Vec<Extent>,
    /// Why it cannot be redriven.
    pub unredrivable: Option<&'static str>,
}

/// A task, with the record in which its input is.
#[derive(Clone, PartialEq, Debug)]
pub struct TaskRead {
    /// Which.
    pub task: Task,
    /// Its token.
    pub token: String,
    /// The record.
    pub records: Vec<Extent>,
}

/// A part of a history.
#[derive(Clone, PartialEq, Debug)]
pub struct HistoryRead {
    /// The records that have the events.
    pub records: Vec<Extent>,
    /// The first event of the part.
    pub from: u32,
    /// The last event of the part.
    pub to: u32,
    /// The token of the next part, if there is one.
    pub next_token: Option<String>,
}

/// What a client gets.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::large_enum_variant)] // One a request.
pub enum Reply {
    /// It is done.
    Done,
    /// Something with this ARN is there since this moment.
    Made(String, Time),
    /// Something has changed at this moment; the revision of a state machine.
    Changed(Time, Option<String>),
    /// A state machine.
    Machine(Box<MachineShown>),
    /// A page of state machines.
    Machines(Listed<MachineDeclared>),
    /// An execution.
    Execution(Box<ExecutionRead>),
    /// A page of executions.
    Executions(Listed<ExecutionShown>),
    /// A part of an execution's history.
    History(HistoryRead),
    /// Tags.
    Tags(Tags),
    /// A page of versions or aliases: their ARNs, and when they were made.
    Arns(Listed<(String, Time)>),
    /// An alias, with its state machine.
    Alias(MachineKey, Box<AliasDeclared>),
    /// A version of a state machine that there is besides: its ARN.
    MadeWith(String, Time, String),
    /// The same of one that has changed.
    ChangedWith(Time, Option<String>, String),
    /// What there is to say about a definition.
    Diagnostics(Diagnostics),
    /// An activity.
    Activity(ActivityDeclared),
    /// A page of activities.
    Activities(Listed<ActivityDeclared>),
    /// A task that a worker is given.
    Task(Box<TaskRead>),
    /// There is no task for a worker.
    NoTask,
    /// How the test of a state has ended.
    Tested(Box<Outcome>),
}

/// The records from which the answer is made, besides the reply.
pub fn needs(reply: &Reply) -> &[Extent] {
    match reply {
        Reply::Execution(read) => &read.records,
        Reply::History(read) => &read.records,
        Reply::Task(read) => &read.records,
        _ => &[],
    }
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

/// The events of a record, and its data.
pub(super) fn parts((head, tail): &(Bytes, Bytes)) -> Result<(Vec<Event>, &[u8]), Malformed> {
    let record = Record::decode(head)?;
    let time = match &record {
        Record::ExecutionStarted(record) => record.started,
        Record::Stepped(record) => record.time,
        Record::TaskTaken(record) => record.time,
        _ => Time(0),
    };
    let divided = record.tail().ok_or(Malformed)?;
    let (events, data) = tail.split_at_checked(divided.split as usize).ok_or(Malformed)?;
    Ok((history::read(events, divided.first, time)?, data))
}

/// What is decided, or why not.
pub(super) fn decided<'a>(tried: Result<Decision<'a>, Refusal>) -> Decision<'a> {
    tried.unwrap_or_else(Decision::refuse)
}

/// A moment in an answer.
pub(super) fn shown(time: Time) -> Option<Timestamp> {
    time.0.try_into().ok().map(Timestamp)
}

/// The text of a state machine's revision; none if it was never updated.
pub(super) fn revision(machine: &Machine, secret: &Secret) -> Option<String> {
    let number = machine.declared.revision;
    (number > 0).then(|| uuid_text(secret.derive("revision", number)))
}

/// An ARN of a request: any text that can be one, as the model has it.
pub(super) fn arn_of(given: Option<&str>, path: &str, faults: &mut Faults) -> String {
    let arn = faults.required(given, path).to_owned();
    if given.is_some() {
        faults.length(&arn, path, 1, 256);
    }
    arn
}

/// Tags of a request.
///
/// Errors: they violate the rules for tags.
pub(super) fn tags_of(given: Option<Vec<api::stepfunctions::Tag>>) -> Result<Tags, Refusal> {
    use resources::tags::{Fault, Rules};
    let given = given.unwrap_or_default();
    let texts =
        given.iter().map(|tag| (tag.key.as_deref().unwrap_or(""), tag.value.as_deref().unwrap_or("")));
    let rules = Rules { most: limits::TAGS, unique: true, values_reserved: false };
    let tags = rules.check(texts).map_err(|fault| match fault {
        Fault::KeyLength(key) => refusals::invalid(format!("The tag key '{key}' is empty or too long.")),
        Fault::ValueLength(_) => refusals::invalid("A tag value is too long."),
        Fault::Reserved(key) => {
            refusals::invalid(format!("The tag key '{key}' begins with 'aws:', which is reserved."))
        }
        Fault::Repeated(key) => refusals::invalid(format!("The tag key '{key}' is repeated.")),
    })?;
    check_count(&tags).map(|()| tags)
}

/// Errors: these are more tags than a resource can have.
pub(super) fn check_count(tags: &Tags) -> Result<(), Refusal> {
    if tags.len() <= limits::TAGS {
        return Ok(());
    }
    let text = format!("A resource cannot have more than {} tags.", limits::TAGS);
    Err(Refusal::new("TooManyTags", text))
}
