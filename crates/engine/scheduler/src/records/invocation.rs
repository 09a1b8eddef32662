//! An invocation that failed and is tried again: what it is, how often it failed, and its end.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_str, put_u64};

use crate::rules::target::Target;
use crate::{InvocationId, ScheduleId};

/// An invocation failed for the first time, and is to be tried again. It does not depend on its schedule, which may be changed or
/// deleted meanwhile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvocationDeclared {
    /// Its number, never reused: its execution id is made of it.
    pub id: InvocationId,
    /// The schedule's ARN.
    pub schedule_arn: String,
    /// The schedule.
    pub schedule: ScheduleId,
    /// Whom it invokes.
    pub target: Target,
    /// The moment that the schedule names.
    pub scheduled: Time,
    /// The schedule's `Input`.
    pub input: Option<String>,
    /// How it stands.
    pub tried: Tried,
}

/// How an invocation stands that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tried {
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried first.
    pub first: Time,
    /// When it is tried next.
    pub due: Time,
}

impl Tried {
    fn encode(self, out: &mut Vec<u8>) {
        put_u64(out, self.attempts.into());
        put_u64(out, self.first.0);
        put_u64(out, self.due - self.first);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (attempts, first) = (reader.u32()?, Time(reader.u64()?));
        Ok(Tried { attempts, first, due: first + reader.u64()? })
    }
}

impl InvocationDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_str(out, &self.schedule_arn);
        put_u64(out, self.schedule.0);
        self.target.encode(out);
        put_u64(out, self.scheduled.0);
        put_opt_str(out, self.input.as_deref());
        self.tried.encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(InvocationDeclared {
            id: InvocationId(reader.u64()?),
            schedule_arn: reader.str()?.to_owned(),
            schedule: ScheduleId(reader.u64()?),
            target: Target::decode(reader)?,
            scheduled: Time(reader.u64()?),
            input: reader.opt_str()?.map(str::to_owned),
            tried: Tried::decode(reader)?,
        })
    }
}

/// An invocation failed again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvocationTried {
    /// Which.
    pub id: InvocationId,
    /// How it stands.
    pub tried: Tried,
}

impl InvocationTried {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.tried.encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(InvocationTried { id: InvocationId(reader.u64()?), tried: Tried::decode(reader)? })
    }
}

/// An invocation is over: the target has it, or it was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvocationEnded {
    /// Which.
    pub id: InvocationId,
    /// The segments that may declare it.
    pub declared_in: Vec<u32>,
}

impl InvocationEnded {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(InvocationEnded { id: InvocationId(reader.u64()?), declared_in: reader.list(Reader::u32)? })
    }
}
