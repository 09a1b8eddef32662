//! Executions that end from outside: stopped, or because they take too long.

use kernel::Time;
use states_language::{Failure, names};

use super::fact;
use crate::ExecutionId;
use crate::data;
use crate::executions::Execution;
use crate::history::{Field, Type, Written};
use crate::operations::Fact;
use crate::records::{After, Again, InState, Redriven, Status, Stepped, Tail};

/// Writes the event that an execution has failed.
pub(super) fn write_failed(written: &mut Written, previous: u32, failure: &Failure) -> u32 {
    let fields = [(Field::Error, failure.error.as_deref()), (Field::Cause, failure.cause.as_deref())];
    written.push(Type::ExecutionFailed, previous, fields)
}

/// The fact that an execution fails.
pub(super) fn failed<'a>(id: ExecutionId, execution: &Execution, failure: &Failure, now: Time) -> Fact<'a> {
    ended(id, execution, (Type::ExecutionFailed, Status::Failed), failure, now)
}

/// The fact that an execution is stopped.
pub(crate) fn aborted<'a>(id: ExecutionId, execution: &Execution, failure: &Failure, now: Time) -> Fact<'a> {
    ended(id, execution, (Type::ExecutionAborted, Status::Aborted), failure, now)
}

/// The fact that an execution takes too long: there is no cause (facts/stepfunctions.md § 6).
pub(crate) fn timed_out<'a>(id: ExecutionId, execution: &Execution, now: Time) -> Fact<'a> {
    let failure = Failure { error: Some(names::TIMEOUT.to_owned()), cause: None, location: None };
    ended(id, execution, (Type::ExecutionTimedOut, Status::TimedOut), &failure, now)
}

fn ended<'a>(
    id: ExecutionId,
    execution: &Execution,
    (kind, status): (Type, Status),
    failure: &Failure,
    now: Time,
) -> Fact<'a> {
    let mut written = Written::from(execution.next_event);
    // It comes from what the state came from that is given up (facts/stepfunctions.md § 18).
    let main = &execution.main;
    let previous = if main.state == InState::Other { main.last } else { main.before };
    let fields = [(Field::Error, failure.error.as_deref()), (Field::Cause, failure.cause.as_deref())];
    let last = written.push(kind, previous, fields);
    let stepped = of_main(id, execution, (previous, last), After::Over(status, Again::Kept), now);
    fact(stepped, written, data::encode_failure(failure))
}

/// The record of an event of the whole execution, which comes from the event `previous`.
fn of_main(
    id: ExecutionId,
    execution: &Execution,
    (previous, last): (u32, u32),
    after: After,
    now: Time,
) -> Stepped {
    Stepped {
        execution: id,
        number: execution.next_record(),
        time: now,
        flow: 0,
        last,
        before: previous,
        after,
        state: InState::Other,
        tail: Tail::default(),
    }
}

/// The fact that an execution is redriven, which has ended.
pub(crate) fn redriven<'a>(id: ExecutionId, execution: &Execution, how: Redriven, now: Time) -> Fact<'a> {
    let mut written = Written::from(execution.next_event);
    let count = (execution.redrive_count() + 1).to_string();
    // Which event AWS names here is not recorded: it is the one with which the execution ended.
    let previous = execution.next_event.saturating_sub(1);
    let last = written.push(Type::ExecutionRedriven, previous, [(Field::RedriveCount, Some(&*count))]);
    let stepped = of_main(id, execution, (previous, last), After::Redriven(how), now);
    fact(stepped, written, Vec::new())
}
