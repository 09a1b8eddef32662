//! ListMessageMoveTasks: a dead-letter queue's latest move tasks, newest first.

use kernel::{Arn, Refusal};

use super::reply::Reply;
use super::start_message_move_task::resource_missing;
use super::{Decision, Setting};
use crate::QueueKey;
use crate::records::MoveTaskDeclared;
use crate::state::State;

/// ListMessageMoveTasks.
#[derive(Clone, Debug)]
pub struct ListMessageMoveTasks {
    /// The dead-letter queue, or what is wrong with its ARN.
    pub source: Result<Arn, Refusal>,
    /// At most so many, 1 to 10; one if not said.
    pub most: Result<u32, Refusal>,
}

impl ListMessageMoveTasks {
    /// Lists them.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        match self.list(state) {
            Ok(tasks) => Decision::answer(Reply::Moves(tasks)),
            Err(refusal) => refusal.into(),
        }
    }

    fn list(&self, state: &State) -> Result<Vec<MoveTaskDeclared>, Refusal> {
        let source = self.source.clone()?;
        let most = self.most.clone()?;
        let queue = QueueKey::from_arn(&source).and_then(|key| state.queue(&key));
        let queue = queue.ok_or_else(|| resource_missing("SourceArn"))?;
        let tasks = state.tasks.values().rev().filter(|task| task.declared.source == queue.id);
        let shown = tasks.take(most as usize);
        Ok(shown.map(|task| MoveTaskDeclared { moved: task.moved, ..task.declared.clone() }).collect())
    }
}
