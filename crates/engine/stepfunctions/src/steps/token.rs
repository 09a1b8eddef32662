//! Tokens of tasks: opaque texts that name a task, which nobody can make who was not given them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::Secret;
use kernel::codec::{Reader, put_u64};

use crate::ExecutionId;

/// A task: of which flow of which execution, and with which event it was scheduled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Task {
    /// The execution.
    pub execution: ExecutionId,
    /// The flow.
    pub flow: u32,
    /// The event.
    pub since: u32,
}

/// Characters of a token at the most (AWS's model: `TaskToken`).
const MOST: usize = 2048;

impl Task {
    /// The token of the task.
    pub fn token(&self, secret: &Secret) -> String {
        let mut bytes = Vec::new();
        for number in [self.execution.0, self.flow.into(), self.since.into()] {
            put_u64(&mut bytes, number);
        }
        bytes.extend_from_slice(&self.mark(secret));
        STANDARD.encode(bytes)
    }

    /// The task that a token names; nothing if the token is none of this server.
    pub fn from_token(token: &str, secret: &Secret) -> Option<Task> {
        let bytes = STANDARD.decode(token).ok().filter(|_| token.len() <= MOST)?;
        let mut reader = Reader::new(&bytes);
        let execution = ExecutionId(reader.u64().ok()?);
        let task = Task { execution, flow: reader.u32().ok()?, since: reader.u32().ok()? };
        (reader.rest() == task.mark(secret)).then_some(task)
    }

    fn mark(&self, secret: &Secret) -> [u8; 16] {
        secret.derive(&format!("task {} {}", self.flow, self.since), self.execution.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_task_and_cannot_be_made_up() {
        let (secret, other) = (Secret([1; 32]), Secret([2; 32]));
        let task = Task { execution: ExecutionId(300), flow: 7, since: 12 };
        let token = task.token(&secret);
        assert_eq!(Task::from_token(&token, &secret), Some(task));
        assert_eq!(Task::from_token(&token, &other), None);
        for wrong in ["", "a", "Invalid", &token[4..], &format!("{token}{token}")] {
            assert_eq!(Task::from_token(wrong, &secret), None, "{wrong}");
        }
    }
}
