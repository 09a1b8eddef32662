//! StartMessageMoveTask: messages of a dead-letter queue begin to move back, or somewhere else.

use api::sqs::{StartMessageMoveTaskInput, StartMessageMoveTaskOutput};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};

use super::cancel_message_move_task::task_handle;
use super::list_dead_letter_source_queues::sources;
use super::reply::Reply;
use super::{Context, Decision, Materials, Setting};
use crate::ids::task_uuid;
use crate::records::{MoveStatus, MoveTaskDeclared, Record};
use crate::state::State;
use crate::{QueueKey, TaskId, limits, refusals};

/// StartMessageMoveTask.
#[derive(Clone, Debug)]
pub struct StartMessageMoveTask {
    /// The dead-letter queue, or what is wrong with its ARN.
    pub source: Result<Arn, Refusal>,
    /// Where to; absent: each message to the queue it came from.
    pub destination: Result<Option<Arn>, Refusal>,
    /// At most so many messages a second, 1 to 500.
    pub rate: Result<Option<u32>, Refusal>,
}

/// A resource that a parameter names does not exist (facts/sqs.md § 8).
pub(super) fn resource_missing(parameter: &str) -> Refusal {
    Refusal::new(
        "ResourceNotFoundException",
        format!("The resource that you specified for the {parameter} parameter doesn't exist."),
    )
}

/// The queue's ARN in a parameter of a move task (facts/sqs.md § 8).
pub(super) fn queue_arn(text: Option<&str>, parameter: &str) -> Result<Arn, Refusal> {
    let text = text.ok_or_else(|| refusals::parameter_missing(parameter))?;
    text.parse().map_err(|_| {
        refusals::parameter_invalid(format!(
            "You must use this format to specify the {parameter}: \
             arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        ))
    })
}

impl Operation<State> for StartMessageMoveTask {
    type Input = StartMessageMoveTaskInput;
    type Output = StartMessageMoveTaskOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: StartMessageMoveTaskInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let destination = input.destination_arn.as_deref();
        let rate = match input.max_number_of_messages_per_second {
            None => Ok(None),
            Some(rate @ 1..=500) => Ok(Some(rate as u32)),
            Some(rate) => Err(refusals::value_invalid(
                rate,
                "MaxNumberOfMessagesPerSecond",
                "Must be between 1 and 500, if provided.",
            )),
        };
        Ok(StartMessageMoveTask {
            source: Ok(queue_arn(input.source_arn.as_deref(), "SourceArn")?),
            destination: destination.map(|arn| queue_arn(Some(arn), "DestinationArn")).transpose(),
            rate,
        })
    }

    /// Declares the task; it moves its first messages at once.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        match self.declare(state, &context.setting) {
            Err(refusal) => refusal.into(),
            Ok(task) => {
                let reply = Reply::MoveStarted { task: task.id, source: task.source_arn.clone() };
                Decision::done(vec![Record::MoveTaskDeclared(Box::new(task)).into()], reply)
            }
        }
    }

    fn present(
        reply: Reply,
        _: &(),
        materials: &Materials<'_>,
    ) -> Result<StartMessageMoveTaskOutput, Malformed> {
        let Reply::MoveStarted { task, source } = reply else { return Err(Malformed) };
        let handle = task_handle(&task_uuid(materials.keys.secret, task), &source);
        Ok(StartMessageMoveTaskOutput { task_handle: Some(handle.into()) })
    }
}

impl StartMessageMoveTask {
    fn declare(&self, state: &State, setting: &Setting<'_>) -> Result<MoveTaskDeclared, Refusal> {
        let source_arn = self.source.clone()?;
        let destination = self.destination.clone()?;
        let rate = self.rate.clone()?;
        let find = |arn: &Arn| QueueKey::from_arn(arn).and_then(|key| state.queue(&key));
        let source = find(&source_arn).ok_or_else(|| resource_missing("SourceArn"))?;
        if let Some(destination) = &destination {
            let found = find(destination).ok_or_else(|| resource_missing("DestinationArn"))?;
            if found.is_fifo() != source.is_fifo() {
                return Err(refusals::parameter_invalid(
                    "Source and destination queues must both be standard queues or both be FIFO queues.",
                ));
            }
            if found.id == source.id {
                return Err(refusals::parameter_invalid(
                    "Source queue and destination queue must not be the same.",
                ));
            }
        }
        if sources(state, source, None).next().is_none() {
            return Err(refusals::parameter_invalid(
                "Source queue must be configured as a Dead Letter Queue.",
            ));
        }
        if state.tasks_of(source.id).any(|task| task.declared.status == MoveStatus::Running) {
            return Err(refusals::parameter_invalid(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        let of_account = |task: &&crate::state::Task| task.declared.source_arn.account == source_arn.account;
        if state.running_tasks().filter(of_account).count() >= limits::MOVE_TASKS {
            return Err(Refusal::new(
                "OverLimit",
                format!("An account can have at most {} active message move tasks.", limits::MOVE_TASKS),
            ));
        }
        Ok(MoveTaskDeclared {
            id: TaskId(setting.numbers.draw()),
            source: source.id,
            source_arn,
            destination,
            rate,
            status: MoveStatus::Running,
            started: setting.now,
            moved: 0,
            to_move: source.visible_count,
            failure: None,
        })
    }
}
