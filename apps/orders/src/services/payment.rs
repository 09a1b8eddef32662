//! Charges cards and gives back, once for each order, whatever the gateway does.
//!
//! The gateway is asked first, under a key that belongs to the order; then, in one transaction, its answer is remembered and told. A
//! crash between the two makes the message come again, and the same key finds what has been done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use toolkit::Consumer;
use toolkit::consumer::{BatchHandler, BatchOutcome, Delivery, Gather, Outcome, gather};
use toolkit::inbox::sql::{
    AfterCommit, BatchesInTransaction, SqlInbox, TransactionalBatchHandler, batches_in_transaction,
};
use toolkit::sql::{Database, StoreError, from_json};

use crate::model::{Happening, PaymentCommand, now_ms};
use crate::services::gateway::{Call, Gateway, Standing, Wish};
use crate::services::{
    BATCH, Desk, Error, LINGER, Place, RunningService, Surroundings, Tables, consuming, remembering, rows,
    running,
};

/// How long the gateway is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// At this attempt a charge is no longer tried: it is made void, and the order is told.
const LAST_ATTEMPT: u32 = 5;

const TABLES: Tables = tables![
    "CREATE TABLE IF NOT EXISTS payments (
        order_id TEXT NOT NULL,
        work TEXT NOT NULL,
        cents BIGINT NOT NULL,
        standing TEXT NOT NULL,
        asked_ms BIGINT NOT NULL,
        done_ms BIGINT NOT NULL,
        PRIMARY KEY (order_id, work)
    )"
];

/// Starts the service.
///
/// # Errors
/// When its database or its queue cannot be reached.
pub async fn start<D: Database>(
    around: &Surroundings,
    database: D,
    gateway: Gateway,
) -> Result<RunningService, Error> {
    TABLES.make(&database).await?;
    let inbox = SqlInbox::new(&database, "payment");
    inbox.migrate().await?;
    let mut desk = Desk::new("payment-service", &around.clients, &database).await?;
    let told = desk.channel(&around.places.payment_notifications);
    let desk = Arc::new(desk);
    let relay = desk.relay();
    let answers = Arc::new(Mutex::new(HashMap::new()));
    let recorder = Recorder { desk, told, answers: answers.clone() };
    let recorder = gather(BATCH, batches_in_transaction(inbox, remembering(), recorder)).linger(LINGER);
    let recorder = Arc::new(recorder);
    let cashier = Arc::new(Cashier { gateway, recorder, answers });
    let settings = toolkit::consumer::ConsumerSettings {
        workers: 256,
        backoff: toolkit::Backoff::new(Duration::from_millis(500), Duration::from_secs(10)),
        ..consuming(&around.settings, 3)
    };
    let consumer = Consumer::new(&around.clients, &around.places.payments).settings(settings);
    let handler = move |delivery: Delivery<PaymentCommand>| {
        let cashier = cashier.clone();
        async move { cashier.handle(delivery).await }
    };
    Ok(running(vec![consumer.start(handler).await?], Some(relay)))
}

/// Answers of the gateway, by the id of the message they answer to.
type Answers = Arc<Mutex<HashMap<String, Standing>>>;

struct Cashier<D> {
    gateway: Gateway,
    recorder: Arc<Gather<PaymentCommand, BatchesInTransaction<D, Recorder<D>>>>,
    answers: Answers,
}

impl<D: Database> Cashier<D> {
    async fn handle(&self, delivery: Delivery<PaymentCommand>) -> Outcome {
        let command = delivery.data();
        let last = !command.refund && delivery.receive_count >= LAST_ATTEMPT;
        let call = Call {
            // The same for charge, void and refund: it names the payment, not the attempt.
            key: format!("{}:payment", command.order_id),
            order_id: command.order_id.clone(),
            cents: command.cents,
            card: command.card.clone(),
            wish: match (command.refund, last) {
                (true, _) => Wish::Refund,
                (false, false) => Wish::Charge,
                (false, true) => Wish::Void,
            },
        };
        let standing = match tokio::time::timeout(PATIENCE, self.gateway.call(call)).await {
            Ok(Ok(standing)) => standing,
            Ok(Err(_)) => return Outcome::retry("the gateway did not answer"),
            Err(_) => return Outcome::retry("the gateway did not answer in time"),
        };
        let id = delivery.envelope.id.clone();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), standing);
        let mut outcome = self.recorder.handle_batch(vec![delivery]).await;
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        outcome.failures.pop().map_or(Outcome::Done, |(_, outcome)| outcome)
    }
}

struct Recorder<D> {
    desk: Arc<Desk<D>>,
    told: Place,
    answers: Answers,
}

impl<D: Database> TransactionalBatchHandler<PaymentCommand, D> for Recorder<D> {
    async fn handle_batch(
        &self,
        transaction: &mut D::Connection,
        batch: &[Delivery<PaymentCommand>],
        after: &mut AfterCommit,
    ) -> Result<BatchOutcome, StoreError> {
        #[derive(Serialize)]
        struct Row<'a> {
            order: &'a str,
            work: &'a str,
            cents: i64,
            standing: &'a str,
            asked: i64,
        }
        let mut outcome = BatchOutcome::done();
        let (mut payments, mut mail) = (Vec::new(), self.desk.mail());
        for delivery in batch {
            let command = delivery.data();
            let answer = self
                .answers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&delivery.envelope.id)
                .copied();
            let Some(standing) = answer else {
                // A duplicate has taken the answer with it.
                outcome =
                    outcome.failed(&delivery.message_id, Outcome::retry("the gateway's answer is gone"));
                continue;
            };
            let amount = format!("{}.{:02}", command.cents / 100, command.cents % 100);
            let (name, happening, detail) = match standing {
                Standing::Charged => ("charged", Happening::PaymentSucceeded, format!("{amount} by card")),
                Standing::Refunded => {
                    ("refunded", Happening::PaymentRefunded, format!("{amount} to the card"))
                }
                Standing::Declined => {
                    ("declined", Happening::PaymentFailed, "the card was declined".to_owned())
                }
                // Nothing was taken, so nothing has to be given back.
                Standing::Void if command.refund => {
                    ("void", Happening::PaymentRefunded, "nothing had been taken".to_owned())
                }
                Standing::Void => {
                    ("void", Happening::PaymentFailed, "the gateway could not be reached".to_owned())
                }
            };
            payments.push(Row {
                order: &command.order_id,
                work: if command.refund { "refund" } else { "charge" },
                cents: command.cents,
                standing: name,
                asked: delivery.envelope.timestamp.as_millisecond(),
            });
            let who = (command.order_id.as_str(), command.customer_id.as_str());
            mail.event(self.told, happening, who, Some(detail), Some(&delivery.envelope)).await?;
        }
        let sql = from_json!(
            D,
            "INSERT INTO payments (order_id, work, cents, standing, asked_ms, done_ms)
             SELECT value ->> 'order', value ->> 'work', CAST(value ->> 'cents' AS BIGINT), value ->> 'standing',
                    CAST(value ->> 'asked' AS BIGINT), $2 FROM ",
            " WHERE TRUE ON CONFLICT (order_id, work) DO NOTHING"
        );
        D::execute(transaction, sql, &[(&rows(&payments)?).into(), now_ms().into()]).await?;
        mail.write(transaction, after).await?;
        Ok(outcome)
    }
}
