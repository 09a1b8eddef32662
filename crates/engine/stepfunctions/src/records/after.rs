//! What a flow does after a step.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_u64};

use super::execution::{STATUSES, Status, TaskWait, opt_time, put_opt_time};

/// What a flow does after a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum After {
    /// It goes on at once.
    Goes,
    /// It goes on at this moment.
    Waits(Time),
    /// It goes on when its task has ended.
    Tasks(TaskWait),
    /// It goes on when these flows have ended.
    Branches(Branching),
    /// It has ended; the data are its output. The event from which the next iteration begins, if one begins.
    Ended(Option<u32>),
    /// It has failed; the data are the failure. The flows beside it have been given up.
    Failed(Again),
    /// The execution has ended with this status; the data are its output, or its failure.
    Over(Status, Again),
    /// The execution has ended before, and is redriven: all flows go on that have not come to their end.
    Redriven(Redriven),
}

/// With which data a flow that has failed goes on when its execution is redriven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// With those that it had before: its branches go on, or it has not begun.
    Kept,
    /// With those behind the failure in the same record: its state is tried again.
    Here,
    /// With none: an older version wrote the record. Such an execution cannot be redriven.
    Lost,
}

/// A redrive of an execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redriven {
    /// When the execution fails because it takes too long.
    pub deadline: Option<Time>,
    /// What tells the client's token from another one; zero if there is none.
    pub token: u64,
}

/// Flows that run side by side for a Parallel or a Map state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Branching {
    /// The number of the first flow; the others follow.
    pub first: u32,
    /// How many there are.
    pub total: u32,
    /// How many may run side by side.
    pub limit: u32,
    /// The event from which the first flow begins.
    pub event: u32,
    /// Whether each flow has such an event of its own (a Map state), one behind the other.
    pub is_map: bool,
}

impl After {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            After::Goes => out.push(0),
            After::Waits(until) => {
                out.push(1);
                put_u64(out, until.0);
            }
            After::Tasks(wait) => {
                out.push(2);
                wait.encode(out);
            }
            After::Branches(branching) => {
                out.push(3);
                let Branching { first, total, limit, event, is_map } = *branching;
                for number in [first, total, limit, event] {
                    put_u64(out, number.into());
                }
                out.push(is_map.into());
            }
            After::Ended(begins) => {
                out.push(4);
                put_u64(out, begins.map_or(0, |event| u64::from(event) + 1));
            }
            After::Failed(Again::Lost) => out.push(5),
            After::Over(status, Again::Lost) => out.extend([6, *status as u8]),
            After::Failed(again) => out.extend([8, *again as u8]),
            After::Over(status, again) => out.extend([9, *status as u8, *again as u8]),
            After::Redriven(redriven) => {
                out.push(7);
                put_opt_time(out, redriven.deadline, Time(0));
                put_u64(out, redriven.token);
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match reader.u8()? {
            0 => After::Goes,
            1 => After::Waits(Time(reader.u64()?)),
            2 => After::Tasks(TaskWait::decode(reader)?),
            3 => After::Branches(Branching {
                first: reader.u32()?,
                total: reader.u32()?,
                limit: reader.u32()?,
                event: reader.u32()?,
                is_map: reader.u8()? != 0,
            }),
            4 => After::Ended(reader.u32()?.checked_sub(1)),
            5 => After::Failed(Again::Lost),
            6 => After::Over(status(reader)?, Again::Lost),
            7 => After::Redriven(Redriven { deadline: opt_time(reader, Time(0))?, token: reader.u64()? }),
            8 => After::Failed(Again::decode(reader)?),
            9 => After::Over(status(reader)?, Again::decode(reader)?),
            _ => return Err(Malformed),
        })
    }
}

fn status(reader: &mut Reader<'_>) -> Result<Status, Malformed> {
    STATUSES.get(usize::from(reader.u8()?)).copied().ok_or(Malformed)
}

impl Again {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            0 => Ok(Again::Kept),
            1 => Ok(Again::Here),
            _ => Err(Malformed),
        }
    }
}
