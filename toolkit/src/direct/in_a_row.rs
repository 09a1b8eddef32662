//! Two calls of which the second does not wait for the answer to the first, where the server takes that.

use std::time::Duration;

use serde::Serialize;

use crate::direct::connection::{Connection, Connections};
use crate::direct::{Direct, PATIENCE, Route, written};

/// Two calls that have been sent one behind the other, and are being answered in that order.
pub(crate) struct InARow<'a> {
    direct: &'a Direct,
    route: &'a Route,
    connections: &'a Connections,
    /// None when it has failed.
    connection: Option<Connection>,
    /// Those to be answered; the next stands last.
    operations: Vec<&'static str>,
}

impl Direct {
    /// Sends two calls, the second behind the first without waiting for its answer. Each is an operation, its input, and about how many
    /// bytes that is long. `None`: this cannot be done here; nothing has been sent.
    pub async fn in_a_row(
        &self,
        (first, first_input, first_bytes): (&'static str, &impl Serialize, usize),
        (second, second_input, second_bytes): (&'static str, &impl Serialize, usize),
    ) -> Option<InARow<'_>> {
        if self.rests() {
            return None;
        }
        let route = self.route.get()?.as_ref()?;
        let connections = route.connections.as_ref()?;
        let mut connection = connections.take_pipelining()?;
        let (first_body, body) = (written(first_input, first_bytes)?, written(second_input, second_bytes)?);
        connection.outgoing.clear();
        route.write_head(first, &first_body, &mut connection.outgoing).await?;
        connection.outgoing.extend_from_slice(&first_body);
        route.write_head(second, &body, &mut connection.outgoing).await?;
        let sent = tokio::time::timeout(PATIENCE, connection.send(&body)).await;
        let connection = matches!(sent, Ok(Ok(()))).then_some(connection);
        Some(InARow { direct: self, route, connections, connection, operations: vec![second, first] })
    }
}

impl InARow<'_> {
    /// The answer to the next of the calls. `None`: ask the SDK.
    pub async fn answer<R>(
        &mut self,
        patience: Duration,
        read: impl FnOnce(&[u8]) -> Option<R>,
    ) -> Option<R> {
        let operation = self.operations.pop()?;
        let result = self.next(patience, read).await;
        if result.is_none() {
            self.direct.rest(operation);
        }
        result
    }

    async fn next<R>(&mut self, patience: Duration, read: impl FnOnce(&[u8]) -> Option<R>) -> Option<R> {
        // Where anything goes wrong it is not put back: who knows what comes from it then.
        let mut connection = self.connection.take()?;
        let answer = tokio::time::timeout(patience, connection.answer()).await.ok()?.ok()?;
        let result = self.route.check(answer.status).and_then(|()| read(connection.body(&answer)));
        if self.operations.is_empty() {
            self.connections.give_back(connection, &answer);
        } else if answer.stays_open {
            self.connection = Some(connection);
        }
        result
    }
}
