//! Ships what is paid and taken out of stock, or says that it cannot be shipped there.

use serde::Serialize;
use toolkit::Consumer;
use toolkit::consumer::{BatchOutcome, Delivery, gather};
use toolkit::inbox::sql::{AfterCommit, SqlInbox, TransactionalBatchHandler, batches_in_transaction};
use toolkit::sql::{Database, StoreError, from_json};

use crate::model::{Happening, ShipCommand, now_ms};
use crate::services::{
    BATCH, Desk, Error, LINGER, Place, RunningService, Surroundings, Tables, consuming, remembering, rows,
    running,
};

/// Where no carrier goes (a code that ISO 3166 leaves to its users).
pub const NOWHERE: &str = "XX";

const TABLES: Tables = tables![
    "CREATE TABLE IF NOT EXISTS shipments (
        order_id TEXT PRIMARY KEY,
        country TEXT NOT NULL,
        tracking TEXT,
        at_ms BIGINT NOT NULL
    )"
];

/// Starts the service.
///
/// # Errors
/// When its database or its queue cannot be reached.
pub async fn start<D: Database>(around: &Surroundings, database: D) -> Result<RunningService, Error> {
    TABLES.make(&database).await?;
    let inbox = SqlInbox::new(&database, "shipping");
    inbox.migrate().await?;
    let mut desk = Desk::new("shipping-service", &around.clients, &database).await?;
    let told = desk.channel(&around.places.order_status);
    let relay = desk.relay();
    let handler = batches_in_transaction(inbox, remembering(), Shipping { desk, told });
    let handler = gather(BATCH, handler).linger(LINGER);
    let consumer =
        Consumer::new(&around.clients, &around.places.shipping).settings(consuming(&around.settings, 2));
    Ok(running(vec![consumer.start_batches(handler).await?], Some(relay)))
}

struct Shipping<D> {
    desk: Desk<D>,
    told: Place,
}

impl<D: Database> TransactionalBatchHandler<ShipCommand, D> for Shipping<D> {
    async fn handle_batch(
        &self,
        transaction: &mut D::Connection,
        batch: &[Delivery<ShipCommand>],
        after: &mut AfterCommit,
    ) -> Result<BatchOutcome, StoreError> {
        #[derive(Serialize)]
        struct Row<'a> {
            order: &'a str,
            country: &'a str,
            tracking: Option<String>,
        }
        let (mut shipments, mut mail) = (Vec::new(), self.desk.mail());
        for delivery in batch {
            let command = delivery.data();
            let tracking =
                (command.country != NOWHERE).then(|| format!("TRK-{:012X}", fastrand::u64(..1 << 48)));
            let (happening, detail) = match &tracking {
                Some(number) => (Happening::Shipped, number.clone()),
                None => (Happening::Undeliverable, format!("no carrier goes to {}", command.country)),
            };
            shipments.push(Row { order: &command.order_id, country: &command.country, tracking });
            let who = (command.order_id.as_str(), command.customer_id.as_str());
            mail.event(self.told, happening, who, Some(detail), Some(&delivery.envelope)).await?;
        }
        let sql = from_json!(
            D,
            "INSERT INTO shipments (order_id, country, tracking, at_ms)
             SELECT value ->> 'order', value ->> 'country', value ->> 'tracking', $2 FROM ",
            " WHERE TRUE ON CONFLICT (order_id) DO NOTHING"
        );
        D::execute(transaction, sql, &[(&rows(&shipments)?).into(), now_ms().into()]).await?;
        mail.write(transaction, after).await?;
        Ok(BatchOutcome::done())
    }
}
