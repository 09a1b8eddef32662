//! A message move task as it is from now on: written when it starts and when its status changes.

use kernel::codec::{Malformed, Reader, put_opt_str, put_str, put_u64};
use kernel::{Arn, Time};

use crate::{QueueId, TaskId};

/// Where a move task stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MoveStatus {
    /// It moves messages.
    Running,
    /// The source had no more messages to move.
    Completed,
    /// Someone cancelled it.
    Cancelled,
    /// The destination went away.
    Failed,
}

/// A move task's whole state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveTaskDeclared {
    /// Its number, never reused.
    pub id: TaskId,
    /// The queue that messages are moved out of.
    pub source: QueueId,
    /// Its ARN.
    pub source_arn: Arn,
    /// Where to; absent: each message to the queue it came from.
    pub destination: Option<Arn>,
    /// At most so many messages a second.
    pub rate: Option<u32>,
    /// How it stands.
    pub status: MoveStatus,
    /// When it was started.
    pub started: Time,
    /// Messages moved until this record was written.
    pub moved: u64,
    /// Messages that waited when it was started.
    pub to_move: u64,
    /// Why it failed: an error code.
    pub failure: Option<String>,
}

impl MoveTaskDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_u64(out, self.source.0);
        put_str(out, &self.source_arn.to_string());
        put_opt_str(out, self.destination.as_ref().map(Arn::to_string).as_deref());
        // Zero is no legal rate.
        put_u64(out, self.rate.unwrap_or(0).into());
        out.push(match self.status {
            MoveStatus::Running => 1,
            MoveStatus::Completed => 2,
            MoveStatus::Cancelled => 3,
            MoveStatus::Failed => 4,
        });
        put_u64(out, self.started.0);
        put_u64(out, self.moved);
        put_u64(out, self.to_move);
        put_opt_str(out, self.failure.as_deref());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(MoveTaskDeclared {
            id: TaskId(reader.u64()?),
            source: QueueId(reader.u64()?),
            source_arn: reader.str()?.parse().map_err(|_| Malformed)?,
            destination: match reader.opt_str()? {
                None => None,
                Some(arn) => Some(arn.parse().map_err(|_| Malformed)?),
            },
            rate: Some(reader.u32()?).filter(|&rate| rate != 0),
            status: match reader.u8()? {
                1 => MoveStatus::Running,
                2 => MoveStatus::Completed,
                3 => MoveStatus::Cancelled,
                4 => MoveStatus::Failed,
                _ => return Err(Malformed),
            },
            started: Time(reader.u64()?),
            moved: reader.u64()?,
            to_move: reader.u64()?,
            failure: reader.opt_str()?.map(str::to_owned),
        })
    }
}
