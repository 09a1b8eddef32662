//! The Ticket Service: makes tickets for what is paid, and cancels them.

use sqlx::SqliteConnection;
use toolkit::outbox::OutboxError;

use crate::events::TicketEvent;
use crate::services::payments::KeptOrder;
use crate::services::{Announcer, Cause, Trouble};

/// Tells of tickets: to the ticket events queue and topic.
#[derive(Clone, Debug)]
pub struct TicketEventPublisher(pub(super) Announcer);

impl TicketEventPublisher {
    /// Publishes an event once the transaction commits.
    ///
    /// # Errors
    /// What the outbox says.
    pub async fn publish(
        &self,
        tx: &mut SqliteConnection,
        event: TicketEvent,
        cause: Option<&Cause>,
    ) -> Result<(), OutboxError> {
        self.0.announce(tx, event, cause).await
    }
}

/// Makes and cancels tickets.
#[derive(Clone, Debug)]
pub struct TicketService {
    pub publisher: TicketEventPublisher,
}

impl TicketService {
    /// A ticket a seat.
    ///
    /// # Errors
    /// What the database or the outbox says.
    pub async fn generate(
        &self,
        tx: &mut SqliteConnection,
        order: &KeptOrder,
        cause: &Cause,
    ) -> Result<usize, Trouble> {
        let mut ticket_ids = Vec::new();
        for _ in 0..order.seats {
            let id = uuid::Uuid::now_v7().to_string();
            let sql = "INSERT INTO tickets (id, order_id, state) VALUES ($1, $2, 'valid')";
            sqlx::query(sql).bind(&id).bind(&order.id).execute(&mut *tx).await?;
            ticket_ids.push(id);
        }
        let made = ticket_ids.len();
        let (order_id, user_id) = (order.id.clone(), order.user_id.clone());
        let event = TicketEvent::TicketsGenerated { order_id, user_id, ticket_ids };
        self.publisher.publish(tx, event, Some(cause)).await?;
        Ok(made)
    }

    /// Cancels the valid tickets of an order, if there are any. Gives how many.
    ///
    /// # Errors
    /// What the database or the outbox says.
    pub async fn cancel(
        &self,
        tx: &mut SqliteConnection,
        order: &KeptOrder,
        cause: &Cause,
    ) -> Result<usize, Trouble> {
        let sql = "UPDATE tickets SET state = 'cancelled' WHERE order_id = $1 AND state IN ('valid', 'delivered') RETURNING id";
        let cancelled: Vec<String> = sqlx::query_scalar(sql).bind(&order.id).fetch_all(&mut *tx).await?;
        let count = cancelled.len();
        for ticket_id in cancelled {
            let (order_id, user_id) = (order.id.clone(), order.user_id.clone());
            let event = TicketEvent::TicketCancelled { order_id, user_id, ticket_id };
            self.publisher.publish(tx, event, Some(cause)).await?;
        }
        Ok(count)
    }

    /// Whether these tickets still let somebody in.
    ///
    /// # Errors
    /// What the database says.
    pub async fn any_valid(&self, tx: &mut SqliteConnection, order_id: &str) -> Result<bool, Trouble> {
        let sql = "SELECT COUNT(*) FROM tickets WHERE order_id = $1 AND state <> 'cancelled'";
        let valid: i64 = sqlx::query_scalar(sql).bind(order_id).fetch_one(tx).await?;
        Ok(valid > 0)
    }
}
