//! What executions do: they start, go on step by step, hear of their tasks, and are forgotten.
//!
//! The records of one execution are numbered ([`Stepped::number`]), and they take effect in the order of their numbers, wherever they lie in
//! the log. The head of a record says what memory must know; its tail has the events of the step, and then the data with which the flow
//! goes on ([`Tail`]).

use std::sync::Arc;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_str, put_u64};

use super::After;
use crate::{ActivityId, DefinitionId, ExecutionId, MachineId};

/// How the tail of a record is divided: first the events, then the data.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tail {
    /// The number of the first event.
    pub first: u32,
    /// How many events there are.
    pub events: u32,
    /// Bytes of the events.
    pub split: u32,
    /// The data, until they are read from the log again. Not in the head.
    pub warm: Option<Arc<[u8]>>,
}

impl Tail {
    fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.first, self.events, self.split] {
            put_u64(out, number.into());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Tail { first: reader.u32()?, events: reader.u32()?, split: reader.u32()?, warm: None })
    }

    /// The number that the event behind the last of these has.
    pub fn next_event(&self) -> u32 {
        self.first.saturating_add(self.events)
    }
}

/// An execution has been started. It is record 0 of the execution. The data are those of its main flow, with its input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecutionStarted {
    /// Its number, never reused.
    pub id: ExecutionId,
    /// Its state machine.
    pub machine: MachineId,
    /// The definition with which it runs to its end.
    pub definition: DefinitionId,
    /// Whether it is one of an express state machine.
    pub is_express: bool,
    /// Its name; of an express one with an id behind it: `name:id`.
    pub name: String,
    /// When it was started.
    pub started: Time,
    /// When it fails because it takes too long.
    pub deadline: Option<Time>,
    /// What tells its input from another one.
    pub input_mark: u64,
    /// The version that was asked for, or that an alias led to; zero if none.
    pub version: u64,
    /// The alias that was asked for.
    pub alias: Option<String>,
    /// `traceHeader`.
    pub trace: Option<String>,
    /// Its first event, and its data.
    pub tail: Tail,
}

impl ExecutionStarted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_u64(out, self.machine.0);
        put_u64(out, self.definition.0);
        out.push(self.is_express.into());
        put_str(out, &self.name);
        put_u64(out, self.started.0);
        put_opt_time(out, self.deadline, self.started);
        put_u64(out, self.input_mark);
        put_u64(out, self.version);
        put_opt_str(out, self.alias.as_deref());
        put_opt_str(out, self.trace.as_deref());
        self.tail.encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, machine) = (ExecutionId(reader.u64()?), MachineId(reader.u64()?));
        let (definition, is_express) = (DefinitionId(reader.u64()?), reader.u8()? != 0);
        let name = reader.str()?.to_owned();
        let started = Time(reader.u64()?);
        Ok(ExecutionStarted {
            id,
            machine,
            definition,
            is_express,
            name,
            started,
            deadline: opt_time(reader, started)?,
            input_mark: reader.u64()?,
            version: reader.u64()?,
            alias: reader.opt_str()?.map(str::to_owned),
            trace: reader.opt_str()?.map(str::to_owned),
            tail: Tail::decode(reader)?,
        })
    }
}

/// A flow of an execution has gone on, or the execution has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stepped {
    /// Which execution.
    pub execution: ExecutionId,
    /// The number of this record among those of the execution.
    pub number: u32,
    /// When.
    pub time: Time,
    /// The flow: 0 for the main one, and for others a number that the execution never uses again.
    pub flow: u32,
    /// The flow's last event: what its next event comes from.
    pub last: u32,
    /// What the event came from with which the flow entered its state.
    pub before: u32,
    /// What the flow does now.
    pub after: After,
    /// The kind of state that it is in.
    pub state: InState,
    /// The events, and the data.
    pub tail: Tail,
}

/// How a task is waited for. Its times count from when a worker has taken it, if it is an activity's, and else from when it was scheduled
/// (developer guide, "Task workflow state": `TimeoutSeconds`, `HeartbeatSeconds`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskWait {
    /// The event with which the task was scheduled. It is in the task's token.
    pub since: u32,
    /// When its times began to count, or when it was scheduled.
    pub started: Time,
    /// After how many seconds the task fails because it takes too long; zero for never.
    pub timeout_seconds: u32,
    /// For how many seconds it may be silent; zero if for ever.
    pub beat_seconds: u32,
    /// When it was heard of last.
    pub heard: Time,
    /// The activity, and whether no worker has taken the task.
    pub activity: Option<(ActivityId, bool)>,
    /// The execution whose end is waited for.
    pub nested: Option<ExecutionId>,
    /// Whether a server elsewhere is asked.
    pub asks: bool,
}

impl TaskWait {
    /// When the task fails unless it is heard of.
    pub fn due(&self) -> Option<Time> {
        [self.deadline(), self.next_beat()].into_iter().flatten().min()
    }

    /// When the task fails whatever is heard of it.
    pub fn deadline(&self) -> Option<Time> {
        let counts = self.timeout_seconds > 0 && !self.is_queued();
        counts.then(|| self.started.plus_seconds(self.timeout_seconds.into()))
    }

    fn next_beat(&self) -> Option<Time> {
        let counts = self.beat_seconds > 0 && !self.is_queued();
        counts.then(|| self.heard.plus_seconds(self.beat_seconds.into()))
    }

    /// Whether it waits for a worker.
    pub fn is_queued(&self) -> bool {
        matches!(self.activity, Some((_, true)))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.since.into());
        put_u64(out, self.started.0);
        put_u64(out, self.timeout_seconds.into());
        put_u64(out, self.beat_seconds.into());
        put_u64(out, self.heard.0);
        let (activity, is_queued) = self.activity.unwrap_or_default();
        put_u64(out, activity.0);
        out.push(u8::from(is_queued) | u8::from(self.asks) << 1);
        put_u64(out, self.nested.map_or(0, |nested| nested.0));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (since, started) = (reader.u32()?, Time(reader.u64()?));
        let (timeout_seconds, beat_seconds) = (reader.u32()?, reader.u32()?);
        let heard = Time(reader.u64()?);
        let (activity, flags) = (ActivityId(reader.u64()?), reader.u8()?);
        let asks = flags & 2 != 0;
        let activity = Some((activity, flags & 1 != 0)).filter(|activity| activity.0.0 > 0);
        let nested = Some(ExecutionId(reader.u64()?)).filter(|nested| nested.0 > 0);
        Ok(TaskWait { since, started, timeout_seconds, beat_seconds, heard, activity, nested, asks })
    }
}

/// Kinds of states that have an event for when they are given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The names say it.
pub enum InState {
    Other,
    Task,
    Wait,
    Parallel,
    Map,
}

const IN_STATES: [InState; 5] =
    [InState::Other, InState::Task, InState::Wait, InState::Parallel, InState::Map];

/// How an execution stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)] // They are AWS's names.
pub enum Status {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

/// All of them, by their numbers in the log.
pub const STATUSES: [Status; 5] =
    [Status::Running, Status::Succeeded, Status::Failed, Status::TimedOut, Status::Aborted];

impl Status {
    /// The name that AWS has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Running => "RUNNING",
            Status::Succeeded => "SUCCEEDED",
            Status::Failed => "FAILED",
            Status::TimedOut => "TIMED_OUT",
            Status::Aborted => "ABORTED",
        }
    }
}

impl Stepped {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.execution.0);
        put_u64(out, self.number.into());
        put_u64(out, self.time.0);
        for number in [self.flow, self.last, self.before] {
            put_u64(out, number.into());
        }
        out.push(self.state as u8);
        self.tail.encode(out);
        self.after.encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (execution, number) = (ExecutionId(reader.u64()?), reader.u32()?);
        let time = Time(reader.u64()?);
        let (flow, last, before) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let state = *IN_STATES.get(usize::from(reader.u8()?)).ok_or(Malformed)?;
        let tail = Tail::decode(reader)?;
        let after = After::decode(reader)?;
        Ok(Stepped { execution, number, time, flow, last, before, after, state, tail })
    }
}

/// Somebody has said how a task ended. The data are its output, or its failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskReported {
    /// Which execution.
    pub execution: ExecutionId,
    /// The number of this record among those of the execution.
    pub number: u32,
    /// The flow whose task it is.
    pub flow: u32,
    /// Whether it has failed.
    pub has_failed: bool,
    /// The data.
    pub tail: Tail,
}

impl TaskReported {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.execution.0);
        put_u64(out, self.number.into());
        put_u64(out, self.flow.into());
        out.push(self.has_failed.into());
        self.tail.encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(TaskReported {
            execution: ExecutionId(reader.u64()?),
            number: reader.u32()?,
            flow: reader.u32()?,
            has_failed: reader.u8()? != 0,
            tail: Tail::decode(reader)?,
        })
    }
}

/// A task was heard of: it may be silent for as long as before, from now on. Only the last one for a task counts, so it has no number
/// among the execution's records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskHeard {
    /// Which execution.
    pub execution: ExecutionId,
    /// The flow whose task it is.
    pub flow: u32,
    /// The event with which the task was scheduled.
    pub since: u32,
    /// When.
    pub time: Time,
}

impl TaskHeard {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.execution.0);
        put_u64(out, self.flow.into());
        put_u64(out, self.since.into());
        put_u64(out, self.time.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (execution, flow) = (ExecutionId(reader.u64()?), reader.u32()?);
        Ok(TaskHeard { execution, flow, since: reader.u32()?, time: Time(reader.u64()?) })
    }
}

/// A worker has taken the task of an activity. The tail has an event, and no data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskTaken {
    /// Which execution.
    pub execution: ExecutionId,
    /// The number of this record among those of the execution.
    pub number: u32,
    /// The flow whose task it is.
    pub flow: u32,
    /// When.
    pub time: Time,
    /// The event.
    pub tail: Tail,
}

impl TaskTaken {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.execution.0);
        put_u64(out, self.number.into());
        put_u64(out, self.flow.into());
        put_u64(out, self.time.0);
        self.tail.encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (execution, number) = (ExecutionId(reader.u64()?), reader.u32()?);
        let (flow, time) = (reader.u32()?, Time(reader.u64()?));
        Ok(TaskTaken { execution, number, flow, time, tail: Tail::decode(reader)? })
    }
}

/// Closed executions are forgotten, with their history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecutionsRemoved {
    /// Their numbers.
    pub ids: Vec<ExecutionId>,
    /// The segments that may have records of them.
    pub declared_in: Vec<u32>,
}

impl ExecutionsRemoved {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.ids, |out, id| put_u64(out, id.0));
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let ids = reader.list(|reader| Ok(ExecutionId(reader.u64()?)))?;
        Ok(ExecutionsRemoved { ids, declared_in: reader.list(Reader::u32)? })
    }
}

/// A moment that may be absent, and is not before another one.
pub(super) fn put_opt_time(out: &mut Vec<u8>, time: Option<Time>, after: Time) {
    put_u64(out, time.map_or(0, |time| (time - after).saturating_add(1)));
}

pub(super) fn opt_time(reader: &mut Reader<'_>, after: Time) -> Result<Option<Time>, Malformed> {
    Ok(reader.u64()?.checked_sub(1).map(|millis| after + millis))
}
