//! An inbox in a database, shared by all consumers of a queue; inside a business transaction it gives the
//! strongest guarantee.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::consumer::{BatchHandler, BatchOutcome, Delivery, Handler, Outcome};
use crate::inbox::{Begin, Claim, Forgetting, Inbox, InboxError, InboxSettings};
use crate::message::Message;
use crate::sql::{Database, Dialect, StoreError, from_json, from_now, is_whole, migrate, now};

/// Remembers ids in the table `toolkit_inbox`.
#[derive(Clone, Debug)]
pub struct SqlInbox<D> {
    database: D,
    /// The name separates the keys of consumers in the same table.
    consumer: Arc<str>,
}

macro_rules! table {
    () => {
        "CREATE TABLE IF NOT EXISTS toolkit_inbox (
            consumer TEXT NOT NULL,
            message_key TEXT NOT NULL,
            claim TEXT,
            until_ms BIGINT NOT NULL,
            PRIMARY KEY (consumer, message_key)
        )"
    };
}

/// On SQLite the rows are stored in the order of the key, without a second tree for a row id.
const SQLITE: &[&str] = &[concat!(table!(), " WITHOUT ROWID"), INDEX];
const POSTGRES: &[&str] = &[table!(), INDEX];
const INDEX: &str = "CREATE INDEX IF NOT EXISTS toolkit_inbox_until ON toolkit_inbox (until_ms)";

impl<D: Database> SqlInbox<D> {
    /// Creates an inbox for the consumer with this name; consumers with the same name share their ids.
    pub fn new(database: &D, consumer: &str) -> SqlInbox<D> {
        SqlInbox { database: database.clone(), consumer: consumer.into() }
    }

    /// Creates the table if it is missing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let schema = match D::DIALECT {
            Dialect::Sqlite => SQLITE,
            Dialect::Postgres => POSTGRES,
        };
        migrate(&self.database, schema).await
    }

    /// In a transaction of yours: returns `true` if this key is new, and remembers it if the transaction
    /// commits; `false` if it has been handled. If another transaction has the same key, waits for its end.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn first_time(
        &self,
        transaction: &mut D::Connection,
        key: &str,
        keep: Duration,
    ) -> Result<bool, StoreError> {
        // A claim that `once` left under the same name does not count: its work may not be done.
        let sql = "INSERT INTO toolkit_inbox (consumer, message_key, claim, until_ms) VALUES ($1, $2, NULL, $3)
                   ON CONFLICT (consumer, message_key) DO UPDATE SET claim = NULL, until_ms = excluded.until_ms
                   WHERE toolkit_inbox.claim IS NOT NULL OR toolkit_inbox.until_ms <= $4";
        let values = [(&*self.consumer).into(), key.into(), from_now(keep).into(), now().into()];
        Ok(D::execute(transaction, sql, &values).await? == 1)
    }

    /// As [`first_time`](Self::first_time) for several keys, with one statement. Returns the new ones. A key
    /// that is passed twice is returned once.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn first_times(
        &self,
        transaction: &mut D::Connection,
        keys: &[&str],
        keep: Duration,
    ) -> Result<HashSet<String>, StoreError> {
        // In the same order everywhere; otherwise two transactions could wait for each other.
        let keys: BTreeSet<&str> = keys.iter().copied().collect();
        let sql = from_json!(
            D,
            "INSERT INTO toolkit_inbox (consumer, message_key, claim, until_ms)
             SELECT $2, value ->> 'k', NULL, $3 FROM ",
            " WHERE TRUE
             ON CONFLICT (consumer, message_key) DO UPDATE SET claim = NULL, until_ms = excluded.until_ms
             WHERE toolkit_inbox.claim IS NOT NULL OR toolkit_inbox.until_ms <= $4 RETURNING message_key"
        );
        let keys = keys_json(keys)?;
        let values = [(&keys).into(), (&*self.consumer).into(), from_now(keep).into(), now().into()];
        let rows = D::query(transaction, sql, &values).await?;
        rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
    }

    /// In a transaction of yours: removes these keys, as if they had never been seen.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget(&self, transaction: &mut D::Connection, keys: &[&str]) -> Result<(), StoreError> {
        let sql = from_json!(
            D,
            "DELETE FROM toolkit_inbox WHERE consumer = $2 AND message_key IN (SELECT value ->> 'k' FROM ",
            ")"
        );
        let keys = keys_json(keys.iter().copied())?;
        D::execute(transaction, sql, &[(&keys).into(), (&*self.consumer).into()]).await?;
        Ok(())
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
            // It was returned in between.
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
        // Deletes old rows of all consumers, because with a consumer's name in the condition the database
        // would read all rows of that consumer. Deletes a limited number, so that others wait only briefly;
        // and checks the age again, because a row may just have been claimed.
        let sql = "DELETE FROM toolkit_inbox WHERE until_ms <= $1 AND (consumer, message_key) IN
                       (SELECT consumer, message_key FROM toolkit_inbox WHERE until_ms <= $1 LIMIT 1000)";
        let (now, mut all) = (now(), 0);
        loop {
            let some = self.database.execute_alone(sql, &[now.into()]).await?;
            all += some;
            if some == 0 {
                return Ok(all);
            }
        }
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

/// Handles a message inside a transaction.
pub trait TransactionalHandler<T, D: Database>: Send + Sync + 'static {
    /// Works through `transaction`, which is committed after [`Outcome::Done`] and rolled back otherwise.
    /// Must not commit it.
    fn handle(
        &self,
        transaction: &mut D::Connection,
        delivery: &Delivery<T>,
    ) -> impl Future<Output = Outcome> + Send;
}

/// Makes a handler's changes to a database happen once for each envelope id.
///
/// **Guarantee**: effectively once. The changes and the message's id commit together. A crash before the
/// commit leaves neither, and the message comes again. A crash after the commit leaves both, and the message
/// comes again without an effect.
///
/// **Requirement**: all effects of the handler go through the transaction, and messages through an
/// [outbox](crate::outbox). (On PostgreSQL a failed statement aborts the transaction, however the handler
/// treats the error. Then the message comes again, even after [`Outcome::Done`]. Put a savepoint before
/// statements that may fail.)
pub fn in_transaction<D: Database, H>(
    inbox: SqlInbox<D>,
    settings: InboxSettings,
    handler: H,
) -> InTransaction<D, H> {
    InTransaction { inbox, settings, handler, forgetting: Forgetting::default() }
}

/// A handler in a transaction with its inbox: see [`in_transaction`].
pub struct InTransaction<D, H> {
    inbox: SqlInbox<D>,
    settings: InboxSettings,
    handler: H,
    forgetting: Forgetting,
}

impl<T: Message, D: Database, H: TransactionalHandler<T, D>> Handler<T> for InTransaction<D, H> {
    async fn handle(&self, delivery: Delivery<T>) -> Outcome {
        self.forgetting.now_and_then(|| self.inbox.clone().into());
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
            is_whole::<D>(&mut transaction).await?;
            D::commit(transaction).await?;
        }
        Ok(outcome)
    }
}

/// Handles several messages inside one transaction.
pub trait TransactionalBatchHandler<T, D: Database>: Send + Sync + 'static {
    /// Works through `transaction`, and returns the failed messages. All messages are new and have different
    /// envelope ids. For a failed message it must have changed nothing. It must not commit the transaction.
    /// Work that has to follow the commit, such as [handing messages to a
    /// relay](crate::outbox::Outbox::committed), goes into `after`.
    ///
    /// # Errors
    /// After an error nothing has happened, and all messages come again.
    fn handle_batch(
        &self,
        transaction: &mut D::Connection,
        batch: &[Delivery<T>],
        after: &mut AfterCommit,
    ) -> impl Future<Output = Result<BatchOutcome, StoreError>> + Send;
}

/// Work to do after a transaction is durable, and not if it is rolled back. (A crash in between prevents it,
/// too.)
#[derive(Default)]
pub struct AfterCommit(Vec<Box<dyn FnOnce() + Send>>);

impl AfterCommit {
    /// Adds work, after the work that was added before.
    pub fn run(&mut self, then: impl FnOnce() + Send + 'static) {
        self.0.push(Box::new(then));
    }
}

/// As [`in_transaction`], with all messages of a batch in one transaction, which is cheaper. Put
/// [`gather`](crate::consumer::gather) before it for batches of more than a receive's ten messages.
///
/// **Guarantee**: as [`in_transaction`]'s. If the database refuses the transaction, perhaps because of one
/// message, each half of the batch is tried separately, and so on, until the failing message is alone. That
/// message comes again, with those behind it in its group. If the database cannot be reached, all messages
/// come again.
pub fn batches_in_transaction<D: Database, H>(
    inbox: SqlInbox<D>,
    settings: InboxSettings,
    handler: H,
) -> BatchesInTransaction<D, H> {
    BatchesInTransaction { inbox, settings, handler, forgetting: Forgetting::default() }
}

/// A handler of batches in a transaction with its inbox: see [`batches_in_transaction`].
pub struct BatchesInTransaction<D, H> {
    inbox: SqlInbox<D>,
    settings: InboxSettings,
    handler: H,
    forgetting: Forgetting,
}

impl<T, D, H> BatchHandler<T> for BatchesInTransaction<D, H>
where
    T: Message,
    D: Database,
    H: TransactionalBatchHandler<T, D>,
{
    async fn handle_batch(&self, batch: Vec<Delivery<T>>) -> BatchOutcome {
        self.forgetting.now_and_then(|| self.inbox.clone().into());
        let mut all = BatchOutcome::done();
        // Groups with a failed message: those behind it must not be handled first.
        let mut held_back: HashSet<String> = HashSet::new();
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let (behind, mut part): (Vec<_>, Vec<_>) = part
                .into_iter()
                .partition(|one| one.group.as_ref().is_some_and(|group| held_back.contains(group)));
            let behind = behind
                .into_iter()
                .map(|one| (one.message_id, Outcome::retry("one before it in its group failed")));
            all.failures.extend(behind);
            let groups: HashMap<String, String> = match parts.is_empty() {
                true => HashMap::new(),
                false => {
                    let grouped =
                        part.iter().filter_map(|one| Some((one.message_id.clone(), one.group.clone()?)));
                    grouped.collect()
                }
            };
            match self.run(&mut part).await {
                Ok(outcome) => {
                    let again = outcome.failures.iter().filter(|(_, outcome)| outcome.comes_again());
                    held_back.extend(again.filter_map(|(id, _)| groups.get(id).cloned()));
                    all.failures.extend(outcome.failures);
                }
                Err(error) if part.len() > 1 && is_refusal(&error) => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Err(error) => {
                    let again = part.into_iter().map(|one| {
                        held_back.extend(one.group);
                        (one.message_id, Outcome::retry(&error))
                    });
                    all.failures.extend(again);
                }
            }
        }
        all
    }
}

/// Returns whether the database was reachable and refused the statement.
fn is_refusal(error: &StoreError) -> bool {
    match error {
        StoreError::Database(error) => error.as_database_error().is_some(),
        StoreError::Shape(_) => true,
    }
}

impl<D: Database, H> BatchesInTransaction<D, H> {
    /// Handles these messages in one transaction. They stay in `batch` if the transaction failed.
    async fn run<T: Message>(&self, batch: &mut Vec<Delivery<T>>) -> Result<BatchOutcome, StoreError>
    where
        H: TransactionalBatchHandler<T, D>,
    {
        if batch.is_empty() {
            return Ok(BatchOutcome::done());
        }
        let mut transaction = self.inbox.database.begin().await?;
        let keys: Vec<&str> = batch.iter().map(|delivery| delivery.envelope.id.as_str()).collect();
        let mut new = self.inbox.first_times(&mut transaction, &keys, self.settings.keep).await?;
        let (ours, others): (Vec<_>, Vec<_>) =
            batch.drain(..).partition(|delivery| new.remove(&delivery.envelope.id));
        metrics::counter!("messages.duplicate").increment(others.len() as u64);
        if ours.is_empty() {
            return Ok(BatchOutcome::done());
        }
        let result = self.work(transaction, &ours, &others).await;
        if result.is_err() {
            batch.extend(ours.into_iter().chain(others));
        }
        result
    }

    /// The messages in `ours` are new; those in `others` have been handled before, or are duplicates of
    /// `ours`.
    async fn work<T: Message>(
        &self,
        mut transaction: D::Transaction,
        ours: &[Delivery<T>],
        others: &[Delivery<T>],
    ) -> Result<BatchOutcome, StoreError>
    where
        H: TransactionalBatchHandler<T, D>,
    {
        let mut after = AfterCommit::default();
        let mut outcome = self.handler.handle_batch(&mut transaction, ours, &mut after).await?;
        outcome.failures.retain(|(_, outcome)| *outcome != Outcome::Done);
        let failed = ours.iter().filter_map(|delivery| {
            let (_, outcome) = outcome.failures.iter().find(|(id, _)| *id == delivery.message_id)?;
            Some((delivery.envelope.id.as_str(), outcome.clone()))
        });
        let failed: Vec<(&str, Outcome)> = failed.collect();
        if failed.len() < ours.len() {
            if !failed.is_empty() {
                let keys: Vec<&str> = failed.iter().map(|(key, _)| *key).collect();
                self.inbox.forget(&mut transaction, &keys).await?;
            }
            is_whole::<D>(&mut transaction).await?;
            D::commit(transaction).await?;
            after.0.into_iter().for_each(|then| then());
        }
        // Duplicates share the result of the first.
        for other in others {
            if let Some((_, fate)) = failed.iter().find(|(failed, _)| *failed == other.envelope.id) {
                outcome.failures.push((other.message_id.clone(), fate.clone()));
            }
        }
        Ok(outcome)
    }
}

fn keys_json<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<String, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Key<'a> {
        k: &'a str,
    }
    serde_json::to_string(&keys.into_iter().map(|k| Key { k }).collect::<Vec<_>>())
}
