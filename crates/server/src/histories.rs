//! Answers that are read from the log: executions and their histories.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use journal::ReadError;
use kernel::Refusal;
use machine::{Command, Reply};
use stepfunctions::operations::activities::FindTask;
use stepfunctions::operations::{self, Materials};
use tracing::error;
use wire::Exchange;

use crate::lines::{Line, PIECE};
use crate::mailbox::ask;
use crate::web::{Desk, PATIENCE, internal, no_room};

/// How often records are looked for again that were written forward between the decision and the read.
const ATTEMPTS: usize = 5;

/// Returns whether the answer to a command is read from the log.
pub fn reads(command: &operations::Command) -> bool {
    use operations::Command;
    matches!(
        command,
        Command::DescribeExecution(_)
            | Command::GetExecutionHistory(_)
            | Command::GetActivityTask(_)
            | Command::StartSyncExecution(_)
    )
}

impl Desk {
    /// Answers a command whose answer is read from the log.
    pub async fn show_execution(
        &self,
        command: &operations::Command,
        plan: &operations::Plan,
        exchange: &Exchange,
        line: &Rc<Line>,
    ) -> Response<Bytes> {
        let mut command = command.clone();
        for _ in 0..ATTEMPTS {
            let asked = Command::Stepfunctions(command.clone());
            let reply = match ask(&self.engine, &self.tickets, asked).await {
                Ok(Reply::Stepfunctions(reply)) => reply,
                Ok(_) => return exchange.refuse(&internal()),
                Err(refusal) => return exchange.refuse(&refusal),
            };
            // The memory for the records, and for the answer built from them.
            let bytes: usize = operations::needs(&reply).iter().map(|extent| extent.len as usize * 2).sum();
            let mut lease = None;
            if bytes > PIECE {
                lease = self.budget.take_of(line.share(), bytes, PATIENCE).await;
                if lease.is_none() {
                    return no_room(exchange);
                }
            }
            if let operations::Reply::Task(read) = &reply {
                // The worker has the task from now on: asked again, it would get another one.
                command = operations::Command::FindTask(FindTask(read.task));
            }
            match self.make_of_execution(reply, plan, exchange).await {
                Ok(Some(response)) => {
                    let response = wire::Response::Stepfunctions(Box::new(response));
                    let mut answer = exchange.answer(&response);
                    if let Some(lease) = lease {
                        answer.extensions_mut().insert(Arc::new(lease));
                    }
                    return answer;
                }
                // It would be another execution.
                Ok(None) if matches!(command, operations::Command::StartSyncExecution(_)) => break,
                Ok(None) => {}
                Err(refusal) => return exchange.refuse(&refusal),
            }
        }
        exchange.refuse(&internal())
    }

    /// Builds the answer of a reply; nothing if a record lies elsewhere by now.
    async fn make_of_execution(
        &self,
        reply: operations::Reply,
        plan: &operations::Plan,
        exchange: &Exchange,
    ) -> Result<Option<api::stepfunctions::Response>, Refusal> {
        let mut records = Vec::new();
        for record in self.read(operations::needs(&reply).to_vec()).await? {
            match record {
                Ok(record) => records.push((record.head, record.tail)),
                Err(ReadError::Gone) => return Ok(None),
                Err(error) => {
                    error!(request_id = exchange.request_id, "the answer cannot be read: {error}");
                    return Err(internal());
                }
            }
        }
        let materials = Materials { records: &records };
        operations::present(reply, plan, &materials).map(Some).map_err(|malformed| {
            error!(request_id = exchange.request_id, "the answer cannot be made: {malformed}");
            internal()
        })
    }
}
