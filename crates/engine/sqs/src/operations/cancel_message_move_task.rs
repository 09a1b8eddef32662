//! CancelMessageMoveTask: a move task stops where it is.

use api::sqs::{CancelMessageMoveTaskInput, CancelMessageMoveTaskOutput};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytestring::ByteString;
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};

use super::reply::Reply;
use super::start_message_move_task::resource_missing;
use super::{Context, Decision, Materials};
use crate::ids::task_uuid;
use crate::records::{MoveStatus, MoveTaskDeclared, Record};
use crate::state::State;
use crate::{QueueKey, refusals};

/// CancelMessageMoveTask.
#[derive(Clone, Debug)]
pub struct CancelMessageMoveTask {
    /// The handle that StartMessageMoveTask gave.
    pub handle: ByteString,
}

/// The handle of a move task: base64 of a small JSON document (facts/sqs.md § 8).
pub fn task_handle(uuid: &str, source: &Arn) -> String {
    STANDARD.encode(format!("{{\"taskId\":\"{uuid}\",\"sourceArn\":\"{source}\"}}"))
}

fn parse_handle(handle: &str) -> Option<(String, Arn)> {
    let document = STANDARD.decode(handle).ok()?;
    let document: serde_json::Value = serde_json::from_slice(&document).ok()?;
    let task = document.get("taskId")?.as_str()?.to_owned();
    let source = document.get("sourceArn")?.as_str()?.parse().ok()?;
    Some((task, source))
}

impl Operation<State> for CancelMessageMoveTask {
    type Input = CancelMessageMoveTaskInput;
    type Output = CancelMessageMoveTaskOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: CancelMessageMoveTaskInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let handle = input.task_handle.ok_or_else(|| refusals::parameter_missing("TaskHandle"))?;
        Ok(CancelMessageMoveTask { handle })
    }

    /// Declares the task cancelled and says how many messages it has moved.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some((uuid, source)) = parse_handle(&self.handle) else {
            return refusals::parameter_invalid("Value for parameter TaskHandle is invalid.").into();
        };
        let Some(queue) = QueueKey::from_arn(&source).and_then(|key| state.queue(&key)) else {
            return resource_missing("SourceArn").into();
        };
        let task = state.tasks_of(queue.id).find(|task| {
            task.declared.status == MoveStatus::Running
                && task_uuid(context.setting.secret, task.declared.id) == uuid
        });
        let Some(task) = task else {
            return Refusal::new("ResourceNotFoundException", "Task does not exist.").into();
        };
        let cancelled =
            MoveTaskDeclared { status: MoveStatus::Cancelled, moved: task.moved, ..task.declared.clone() };
        Decision::done(
            vec![Record::MoveTaskDeclared(Box::new(cancelled)).into()],
            Reply::MoveCancelled { moved: task.moved },
        )
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<CancelMessageMoveTaskOutput, Malformed> {
        let Reply::MoveCancelled { moved } = reply else { return Err(Malformed) };
        Ok(CancelMessageMoveTaskOutput { approximate_number_of_messages_moved: Some(moved as i64) })
    }
}
