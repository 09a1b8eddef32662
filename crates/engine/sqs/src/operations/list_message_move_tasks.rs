//! ListMessageMoveTasks: a dead-letter queue's latest move tasks, newest first.

use api::sqs::{ListMessageMoveTasksInput, ListMessageMoveTasksOutput, ListMessageMoveTasksResultEntry};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};

use super::cancel_message_move_task::task_handle;

use super::reply::Reply;
use super::start_message_move_task::{queue_arn, resource_missing};
use super::{Context, Decision, Materials};
use crate::ids::task_uuid;
use crate::records::{MoveStatus, MoveTaskDeclared};
use crate::state::State;
use crate::{QueueKey, refusals};

/// ListMessageMoveTasks.
#[derive(Clone, Debug)]
pub struct ListMessageMoveTasks {
    /// The dead-letter queue, or what is wrong with its ARN.
    pub source: Result<Arn, Refusal>,
    /// At most so many, 1 to 10; one if not said.
    pub most: Result<u32, Refusal>,
}

impl Operation<State> for ListMessageMoveTasks {
    type Input = ListMessageMoveTasksInput;
    type Output = ListMessageMoveTasksOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListMessageMoveTasksInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let most = match input.max_results {
            None => Ok(1),
            Some(most @ 1..=10) => Ok(most as u32),
            Some(most) => {
                Err(refusals::value_invalid(most, "MaxResults", "Must be between 1 and 10, if provided."))
            }
        };
        Ok(ListMessageMoveTasks { source: Ok(queue_arn(input.source_arn.as_deref(), "SourceArn")?), most })
    }

    /// Lists them.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        match self.list(state) {
            Ok(tasks) => Decision::answer(Reply::Moves(tasks)),
            Err(refusal) => refusal.into(),
        }
    }

    /// The answer. The handle is shown only while the task runs (facts/sqs.md § 8).
    fn present(
        reply: Reply,
        _: &(),
        materials: &Materials<'_>,
    ) -> Result<ListMessageMoveTasksOutput, Malformed> {
        let Reply::Moves(tasks) = reply else { return Err(Malformed) };
        let entry = |task: &MoveTaskDeclared| ListMessageMoveTasksResultEntry {
            task_handle: (task.status == MoveStatus::Running)
                .then(|| task_handle(&task_uuid(materials.keys.secret, task.id), &task.source_arn).into()),
            status: Some(
                match task.status {
                    MoveStatus::Running => "RUNNING",
                    MoveStatus::Completed => "COMPLETED",
                    MoveStatus::Cancelled => "CANCELLED",
                    MoveStatus::Failed => "FAILED",
                }
                .into(),
            ),
            source_arn: Some(task.source_arn.to_string().into()),
            destination_arn: task.destination.as_ref().map(|arn| arn.to_string().into()),
            max_number_of_messages_per_second: task.rate.map(|rate| rate as i32),
            approximate_number_of_messages_moved: Some(task.moved as i64),
            approximate_number_of_messages_to_move: Some(task.to_move as i64),
            failure_reason: task.failure.as_deref().map(Into::into),
            started_timestamp: Some(task.started.0 as i64),
        };
        Ok(ListMessageMoveTasksOutput { results: Some(tasks.iter().map(entry).collect()) })
    }
}

impl ListMessageMoveTasks {
    fn list(&self, state: &State) -> Result<Vec<MoveTaskDeclared>, Refusal> {
        let source = self.source.clone()?;
        let most = self.most.clone()?;
        let queue = QueueKey::from_arn(&source).and_then(|key| state.queue(&key));
        let queue = queue.ok_or_else(|| resource_missing("SourceArn"))?;
        let shown = state.tasks_of(queue.id).take(most as usize);
        Ok(shown.map(|task| MoveTaskDeclared { moved: task.moved, ..task.declared.clone() }).collect())
    }
}
