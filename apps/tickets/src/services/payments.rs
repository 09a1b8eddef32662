//! The Payment Service: orders, charges and refunds.

use sqlx::SqliteConnection;
use toolkit::outbox::OutboxError;

use crate::events::{Money, PaymentEvent};
use crate::services::{Announcer, Cause, Trouble};

/// Tells of orders and their money: to the payment events queue and topic.
#[derive(Clone, Debug)]
pub struct PaymentEventPublisher(pub(super) Announcer);

impl PaymentEventPublisher {
    /// Publishes an event once the transaction commits.
    ///
    /// # Errors
    /// What the outbox says.
    pub async fn publish(
        &self,
        tx: &mut SqliteConnection,
        event: PaymentEvent,
        cause: Option<&Cause>,
    ) -> Result<(), OutboxError> {
        self.0.announce(tx, event, cause).await
    }
}

/// What a customer wants.
#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    pub id: String,
    pub event_id: String,
    pub user_id: String,
    pub email: String,
    pub seats: u32,
    /// A card whose number begins with `declined` has no money on it.
    pub card: String,
}

/// An order as it is kept.
#[derive(Clone, PartialEq, Debug)]
pub struct KeptOrder {
    pub id: String,
    pub user_id: String,
    pub email: String,
    pub seats: i64,
    pub amount: Money,
    /// `paid`, `failed` or `cancelled`.
    pub state: String,
}

/// Takes orders and money, and gives it back.
#[derive(Clone, Debug)]
pub struct PaymentService {
    pub(super) publisher: PaymentEventPublisher,
}

impl PaymentService {
    /// Takes an order and charges its card. Gives whether it was paid.
    ///
    /// # Errors
    /// [`Trouble::Permanent`] when the event is not on sale, or the order is known already.
    pub async fn checkout(&self, tx: &mut SqliteConnection, order: &Order) -> Result<bool, Trouble> {
        let sql = "SELECT price_cents FROM events WHERE id = $1 AND state = 'on sale'";
        let price: Option<i64> =
            sqlx::query_scalar(sql).bind(&order.event_id).fetch_optional(&mut *tx).await?;
        let price = price.ok_or_else(|| Trouble::Permanent(format!("{} is not on sale", order.event_id)))?;
        let amount = Money(price.saturating_mul(i64::from(order.seats)));
        let paid = !order.card.starts_with("declined");
        let sql = "INSERT INTO orders (id, event_id, user_id, email, seats, amount_cents, state)
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let query = sqlx::query(sql).bind(&order.id).bind(&order.event_id).bind(&order.user_id);
        let query = query.bind(&order.email).bind(order.seats).bind(amount.0);
        let written = query.bind(if paid { "paid" } else { "failed" }).execute(&mut *tx).await?;
        if written.rows_affected() == 0 {
            return Err(Trouble::Permanent(format!("{} has been ordered before", order.id)));
        }
        let (order_id, user_id) = (order.id.clone(), order.user_id.clone());
        if !paid {
            let reason = "the card was declined".to_owned();
            let event = PaymentEvent::PaymentFailed { order_id, user_id, amount, reason };
            self.publisher.publish(tx, event, None).await?;
            return Ok(false);
        }
        record(tx, &order.id, "charge", amount).await?;
        let completed =
            PaymentEvent::PaymentCompleted { order_id: order_id.clone(), user_id: user_id.clone(), amount };
        self.publisher.publish(tx, completed, None).await?;
        let confirmed = PaymentEvent::OrderConfirmed { order_id, user_id, amount };
        self.publisher.publish(tx, confirmed, None).await?;
        Ok(true)
    }

    /// Cancels a paid order and gives its money back. Gives `false`, and does nothing, where there is nothing paid.
    ///
    /// # Errors
    /// What the database or the outbox says.
    pub async fn cancel(
        &self,
        tx: &mut SqliteConnection,
        order_id: &str,
        reason: &str,
        cause: Option<&Cause>,
    ) -> Result<bool, Trouble> {
        let sql = "UPDATE orders SET state = 'cancelled' WHERE id = $1 AND state = 'paid'";
        if sqlx::query(sql).bind(order_id).execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let order = self.order(tx, order_id).await?;
        record(tx, order_id, "refund", order.amount).await?;
        let (order_id, user_id, amount) = (order.id, order.user_id, order.amount);
        let cancelled = PaymentEvent::OrderCancelled {
            order_id: order_id.clone(),
            user_id: user_id.clone(),
            reason: reason.to_owned(),
        };
        self.publisher.publish(tx, cancelled, cause).await?;
        let refunded = PaymentEvent::RefundProcessed { order_id, user_id, amount };
        self.publisher.publish(tx, refunded, cause).await?;
        Ok(true)
    }

    /// Cancels all paid orders of an event. Gives how many.
    ///
    /// # Errors
    /// What the database or the outbox says.
    pub async fn cancel_all(
        &self,
        tx: &mut SqliteConnection,
        event_id: &str,
        reason: &str,
        cause: &Cause,
    ) -> Result<u64, Trouble> {
        let sql = "SELECT id FROM orders WHERE event_id = $1 AND state = 'paid' ORDER BY id";
        let orders: Vec<String> = sqlx::query_scalar(sql).bind(event_id).fetch_all(&mut *tx).await?;
        let mut cancelled = 0;
        for order in orders {
            cancelled += u64::from(self.cancel(tx, &order, reason, Some(cause)).await?);
        }
        Ok(cancelled)
    }

    /// An order by its id.
    ///
    /// # Errors
    /// [`Trouble::Permanent`] when there is none.
    pub async fn order(&self, tx: &mut SqliteConnection, id: &str) -> Result<KeptOrder, Trouble> {
        let sql = "SELECT user_id, email, seats, amount_cents, state FROM orders WHERE id = $1";
        let row: Option<(String, String, i64, i64, String)> =
            sqlx::query_as(sql).bind(id).fetch_optional(tx).await?;
        let (user_id, email, seats, cents, state) =
            row.ok_or_else(|| Trouble::Permanent(format!("there is no order {id}")))?;
        Ok(KeptOrder { id: id.to_owned(), user_id, email, seats, amount: Money(cents), state })
    }
}

async fn record(tx: &mut SqliteConnection, order_id: &str, kind: &str, amount: Money) -> Result<(), Trouble> {
    let sql = "INSERT INTO payments (order_id, kind, cents) VALUES ($1, $2, $3)";
    sqlx::query(sql).bind(order_id).bind(kind).bind(amount.0).execute(tx).await?;
    Ok(())
}
