//! Tokens of tasks: with one, anybody can say how a task has ended that an execution waits for.

use serde::{Deserialize, Serialize};

use super::activity::TaskFailure;
use crate::clients::Clients;
use crate::fault::Fault;

/// The token of a task that an execution waits for, as `$$.Task.Token` puts it into a message (`.waitForTaskToken`).
///
/// It may be stored and used by another process. Whoever has it can end the task.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskToken(pub String);

/// What became of a message about a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// The execution knows it.
    Heard,
    /// The task is not waited for any more: it has ended, perhaps by an earlier attempt of the same call, or it was given up.
    Over,
}

impl TaskToken {
    /// Ends the task with this output. May be repeated: the first end counts.
    ///
    /// # Errors
    /// Those of Step Functions. `Json`: the output cannot be written as JSON.
    pub async fn succeed<T: Serialize>(&self, clients: &Clients, output: &T) -> Result<Told, Fault> {
        let output =
            serde_json::to_string(output).map_err(|error| Fault::permanent("Json", error.to_string()))?;
        let call = clients.sfn.send_task_success().task_token(&self.0).output(output);
        told(call.send().await.map(drop).map_err(Fault::from))
    }

    /// Ends the task with a failure, which retriers and catchers see. May be repeated: the first end counts.
    ///
    /// # Errors
    /// Those of Step Functions.
    pub async fn fail(&self, clients: &Clients, failure: &TaskFailure) -> Result<Told, Fault> {
        let call = clients.sfn.send_task_failure().task_token(&self.0);
        let call = call.error(within(&failure.error, 256)).cause(within(&failure.cause, 32_768));
        told(call.send().await.map(drop).map_err(Fault::from))
    }

    /// Says that the task is being worked on, so that its `HeartbeatSeconds` begin again.
    ///
    /// # Errors
    /// Those of Step Functions.
    pub async fn heartbeat(&self, clients: &Clients) -> Result<Told, Fault> {
        let call = clients.sfn.send_task_heartbeat().task_token(&self.0);
        told(call.send().await.map(drop).map_err(Fault::from))
    }
}

fn told(result: Result<(), Fault>) -> Result<Told, Fault> {
    match result {
        Ok(()) => Ok(Told::Heard),
        Err(fault) if matches!(&*fault.code, "TaskTimedOut" | "TaskDoesNotExist") => Ok(Told::Over),
        Err(fault) => Err(fault),
    }
}

/// The beginning of a text, of so many characters at the most: AWS refuses longer ones.
fn within(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_ends_between_two_characters() {
        assert_eq!((within("äöü", 2), within("äöü", 3), within("", 0)), ("äö", "äöü", ""));
    }
}
