//! Tells customers what happens to their orders: one message an event, by text message where it is critical, else by e-mail.
//!
//! The providers of e-mail and text messages are simulated: what they would be given stands in the table `notifications`. That table
//! is the inbox, too: its key is the event's id.

use serde::Serialize;
use toolkit::Consumer;
use toolkit::consumer::{BatchHandler, BatchOutcome, Delivery, Outcome, gather};
use toolkit::sql::{Database, StoreError, from_json};

use crate::model::{Event, Happening, now_ms};
use crate::services::{BATCH, Error, LINGER, RunningService, Surroundings, Tables, consuming, rows, running};

const TABLES: Tables = tables![
    "CREATE TABLE IF NOT EXISTS notifications (
        event_id TEXT PRIMARY KEY,
        order_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        text TEXT NOT NULL,
        asked_ms BIGINT NOT NULL,
        sent_ms BIGINT NOT NULL
    )"
];

/// Starts the service.
///
/// # Errors
/// When its database or its queue cannot be reached.
pub async fn start<D: Database>(around: &Surroundings, database: D) -> Result<RunningService, Error> {
    TABLES.make(&database).await?;
    let settings = consuming(&around.settings, 6);
    let consumer = Consumer::new(&around.clients, &around.places.notifications).settings(settings);
    let handler = gather(2 * BATCH, Notification { database }).linger(LINGER);
    let consumer = consumer.start_batches(handler).await?;
    Ok(running(vec![consumer], None))
}

struct Notification<D> {
    database: D,
}

impl<D: Database> BatchHandler<Event> for Notification<D> {
    async fn handle_batch(&self, batch: Vec<Delivery<Event>>) -> BatchOutcome {
        match self.send(&batch).await {
            Ok(()) => BatchOutcome::done(),
            Err(error) => BatchOutcome {
                failures: batch.into_iter().map(|one| (one.message_id, Outcome::retry(&error))).collect(),
            },
        }
    }
}

impl<D: Database> Notification<D> {
    async fn send(&self, batch: &[Delivery<Event>]) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Row<'a> {
            id: &'a str,
            order: &'a str,
            channel: &'a str,
            text: String,
            asked: i64,
        }
        let sent = batch.iter().map(|delivery| Row {
            id: &delivery.envelope.id,
            order: &delivery.data().order_id,
            channel: if delivery.data().happening.is_critical() { "sms" } else { "email" },
            text: text(delivery.data()),
            asked: delivery.envelope.timestamp.as_millisecond(),
        });
        let sent = rows(&sent.collect::<Vec<_>>())?;
        let sql = from_json!(
            D,
            "INSERT INTO notifications (event_id, order_id, channel, text, asked_ms, sent_ms)
             SELECT value ->> 'id', value ->> 'order', value ->> 'channel', value ->> 'text',
                    CAST(value ->> 'asked' AS BIGINT), $2 FROM ",
            " WHERE TRUE ON CONFLICT (event_id) DO NOTHING"
        );
        self.database.execute_alone(sql, &[(&sent).into(), now_ms().into()]).await?;
        Ok(())
    }
}

/// What the customer reads.
fn text(event: &Event) -> String {
    let (order, why) = (&event.order_id, event.detail.as_deref().unwrap_or_default());
    match event.happening {
        Happening::Created => format!("We have your order {order}."),
        Happening::Rejected => format!("We cannot accept your order {order}: {why}."),
        Happening::StockReserved => format!("All of your order {order} is in stock."),
        Happening::StockRejected | Happening::StockShort => {
            format!("Not all of your order {order} is in stock: {why}.")
        }
        Happening::PaymentSucceeded => format!("Your order {order} is paid: {why}."),
        Happening::PaymentInvoiced => format!("You will get an invoice for your order {order}."),
        Happening::PaymentFailed => format!("Your order {order} could not be paid: {why}."),
        Happening::PaymentRefunded => format!("What you paid for your order {order} was given back: {why}."),
        Happening::Shipped => format!("Your order {order} is on its way: {why}."),
        Happening::Undeliverable => format!("Your order {order} cannot be delivered: {why}."),
        Happening::Completed => format!("Your order {order} is complete. Thank you."),
        Happening::Cancelled => format!("Your order {order} was cancelled: {why}."),
        Happening::InventoryLow => format!("To the warehouse: {why} runs low."),
        // The state machine tells the order service alone.
        Happening::Due => format!("Your order {order} is in progress."),
        Happening::DeadLetters | Happening::QueueUnwell | Happening::QueueWell => {
            format!("To the operators: {why}.")
        }
    }
}
