//! An inbox in a database, shared by all consumers of a queue; and, inside a business transaction, the strongest promise.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::consumer::{Delivery, Handler, Outcome};
use crate::inbox::{Begin, Claim, Inbox, InboxError, InboxSettings};
use crate::message::Message;
use crate::sql::{Database, StoreError, from_now, migrate, now};

/// Remembers in the table `toolkit_inbox`.
#[derive(Clone, Debug)]
pub struct SqlInbox<D> {
    database: D,
    /// Keys of one consumer do not disturb another's in the same table.
    consumer: Arc<str>,
}

const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS toolkit_inbox (
        consumer TEXT NOT NULL,
        message_key TEXT NOT NULL,
        claim TEXT,
        until_ms BIGINT NOT NULL,
        PRIMARY KEY (consumer, message_key)
    )",
    "CREATE INDEX IF NOT EXISTS toolkit_inbox_until ON toolkit_inbox (until_ms)",
];

impl<D: Database> SqlInbox<D> {
    /// For the consumer of this name: those of one name share a memory.
    pub fn new(database: &D, consumer: &str) -> SqlInbox<D> {
        SqlInbox { database: database.clone(), consumer: consumer.into() }
    }

    /// Makes the table if it is missing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate(&self.database, SCHEMA).await
    }

    /// Within a transaction of yours: `true` if this key is new, and now remembered, should the transaction commit; `false` if it
    /// has been handled. Where another transaction is at the same key, waits for its end.
    ///
    /// # Errors
    /// What the database says.
    pub async fn first_time(
        &self,
        transaction: &mut D::Connection,
        key: &str,
        keep: Duration,
    ) -> Result<bool, StoreError> {
        // A claim that was left by `once` with the same name is no memory.
        let sql = "INSERT INTO toolkit_inbox (consumer, message_key, claim, until_ms) VALUES ($1, $2, NULL, $3)
                   ON CONFLICT (consumer, message_key) DO UPDATE SET claim = NULL, until_ms = excluded.until_ms
                   WHERE toolkit_inbox.until_ms <= $4";
        let values = [(&*self.consumer).into(), key.into(), from_now(keep).into(), now().into()];
        Ok(D::execute(transaction, sql, &values).await? == 1)
    }

    async fn begin_sql(&self, key: &str, lease: Duration) -> Result<Begin, StoreError> {
        let claim = Claim::new();
        let mut transaction = self.database.begin().await?;
        let sql = "INSERT INTO toolkit_inbox (consumer, message_key, claim, until_ms) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (consumer, message_key) DO UPDATE SET claim = excluded.claim, until_ms = excluded.until_ms
                   WHERE toolkit_inbox.until_ms <= $5";
        let values =
            [(&*self.consumer).into(), key.into(), (&claim.0).into(), from_now(lease).into(), now().into()];
        if D::execute(&mut transaction, sql, &values).await? == 1 {
            D::commit(transaction).await?;
            return Ok(Begin::Run(claim));
        }
        let sql = "SELECT claim, until_ms FROM toolkit_inbox WHERE consumer = $1 AND message_key = $2";
        let rows = D::query(&mut transaction, sql, &[(&*self.consumer).into(), key.into()]).await?;
        D::commit(transaction).await?;
        match rows.first() {
            Some(row) if row.maybe_text(0)?.is_none() => Ok(Begin::Done),
            Some(row) => {
                Ok(Begin::Busy(Duration::from_millis(u64::try_from(row.int(1)? - now()).unwrap_or(0))))
            }
            // It was given back in between.
            None => Ok(Begin::Busy(Duration::ZERO)),
        }
    }

    async fn change(
        &self,
        sql: &'static str,
        key: &str,
        claim: &Claim,
        until: i64,
    ) -> Result<bool, InboxError> {
        let values = [(&*self.consumer).into(), key.into(), (&claim.0).into(), until.into()];
        Ok(self.database.execute_alone(sql, &values).await? == 1)
    }
}

#[async_trait]
impl<D: Database> Inbox for SqlInbox<D> {
    async fn begin(&self, key: &str, lease: Duration) -> Result<Begin, InboxError> {
        Ok(self.begin_sql(key, lease).await?)
    }

    async fn renew(&self, key: &str, claim: &Claim, lease: Duration) -> Result<bool, InboxError> {
        let sql =
            "UPDATE toolkit_inbox SET until_ms = $4 WHERE consumer = $1 AND message_key = $2 AND claim = $3";
        self.change(sql, key, claim, from_now(lease)).await
    }

    async fn finish(&self, key: &str, claim: &Claim, keep: Duration) -> Result<bool, InboxError> {
        let sql = "UPDATE toolkit_inbox SET claim = NULL, until_ms = $4
                   WHERE consumer = $1 AND message_key = $2 AND claim = $3";
        self.change(sql, key, claim, from_now(keep)).await
    }

    async fn abandon(&self, key: &str, claim: &Claim) -> Result<(), InboxError> {
        let sql = "DELETE FROM toolkit_inbox WHERE consumer = $1 AND message_key = $2 AND claim = $3";
        let values = [(&*self.consumer).into(), key.into(), (&claim.0).into()];
        self.database.execute_alone(sql, &values).await?;
        Ok(())
    }

    async fn expire(&self) -> Result<u64, InboxError> {
        let sql = "DELETE FROM toolkit_inbox WHERE consumer = $1 AND until_ms <= $2";
        Ok(self.database.execute_alone(sql, &[(&*self.consumer).into(), now().into()]).await?)
    }
}

impl<D: Database> From<SqlInbox<D>> for Arc<dyn Inbox> {
    fn from(inbox: SqlInbox<D>) -> Arc<dyn Inbox> {
        Arc::new(inbox)
    }
}

impl From<StoreError> for InboxError {
    fn from(error: StoreError) -> InboxError {
        InboxError(error.to_string())
    }
}

/// Deals with a message inside a transaction.
pub trait TransactionalHandler<T, D: Database>: Send + Sync + 'static {
    /// Does its work through `transaction`, which is committed after [`Outcome::Done`] and undone otherwise. Must not commit it.
    fn handle(
        &self,
        transaction: &mut D::Connection,
        delivery: &Delivery<T>,
    ) -> impl Future<Output = Outcome> + Send;
}

/// Makes a handler's changes to a database happen once for each envelope id.
///
/// **Promise**: effectively once. The changes and the memory of the message commit together: a crash before the commit leaves
/// neither, and the message comes again; a crash after it leaves both, and the message that comes again changes nothing.
///
/// **Needs** a handler whose effects all go through the transaction: messages too, by an [outbox](crate::outbox).
pub fn in_transaction<D: Database, H>(
    inbox: SqlInbox<D>,
    settings: InboxSettings,
    handler: H,
) -> InTransaction<D, H> {
    InTransaction { inbox, settings, handler }
}

/// A handler in a transaction with its inbox: see [`in_transaction`].
pub struct InTransaction<D, H> {
    inbox: SqlInbox<D>,
    settings: InboxSettings,
    handler: H,
}

impl<T: Message, D: Database, H: TransactionalHandler<T, D>> Handler<T> for InTransaction<D, H> {
    async fn handle(&self, delivery: Delivery<T>) -> Outcome {
        match self.run(&delivery).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::retry(error),
        }
    }
}

impl<D: Database, H> InTransaction<D, H> {
    async fn run<T: Message>(&self, delivery: &Delivery<T>) -> Result<Outcome, StoreError>
    where
        H: TransactionalHandler<T, D>,
    {
        let mut transaction = self.inbox.database.begin().await?;
        if !self.inbox.first_time(&mut transaction, &delivery.envelope.id, self.settings.keep).await? {
            metrics::counter!("messages.duplicate").increment(1);
            return Ok(Outcome::Done);
        }
        let outcome = self.handler.handle(&mut transaction, delivery).await;
        if outcome == Outcome::Done {
            D::commit(transaction).await?;
        }
        Ok(outcome)
    }
}
