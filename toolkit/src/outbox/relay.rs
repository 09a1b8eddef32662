//! Publishes what an outbox holds: one relay at a time, in order, again and again until it is taken or given up.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::outbox::Outbox;
use crate::publisher::{Prepared, PublishError, Publisher, Receipt};
use crate::sql::{Database, StoreError, from_json, from_now, now};

/// Publishes the messages of an [`Outbox`].
///
/// Several relays may run, on several machines: one works, by a lease in the database, and another takes over when it dies.
pub struct Relay<D> {
    outbox: Outbox<D>,
    publishers: HashMap<String, Publisher>,
    settings: RelaySettings,
    holder: String,
    /// When the lease was last renewed.
    renewed: Mutex<Option<Instant>>,
}

/// How a [`Relay`] works.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RelaySettings {
    /// How many messages are read at a time.
    pub batch: u32,
    /// How often it looks when nobody [wakes](Outbox::wake) it.
    pub every: Duration,
    /// How long it waits before each look, also when it was woken: messages that are written one after the other then leave in fewer,
    /// fuller requests.
    pub linger: Duration,
    /// How often a message is tried before it is given up; each try is the publisher's whole patience.
    pub attempts: u32,
    /// The wait before a message is tried again.
    pub backoff: Backoff,
    /// How long a relay that died keeps others from taking over.
    pub lease: Duration,
}

impl Default for RelaySettings {
    fn default() -> RelaySettings {
        RelaySettings {
            batch: 200,
            every: Duration::from_millis(500),
            linger: Duration::ZERO,
            attempts: 10,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            lease: Duration::from_secs(30),
        }
    }
}

/// How many batches a round looks at for a message that may go.
const LOOK_AHEAD: u32 = 50;

struct Entry {
    id: i64,
    message: Prepared,
    attempts: i64,
}

impl<D: Database> Relay<D> {
    /// Of this outbox.
    pub fn new(outbox: &Outbox<D>) -> Relay<D> {
        Relay {
            outbox: outbox.clone(),
            publishers: HashMap::new(),
            settings: RelaySettings::default(),
            holder: uuid::Uuid::new_v4().to_string(),
            renewed: Mutex::new(None),
        }
    }

    /// Publishes what was written for this publisher's destination. Messages for destinations that no publisher was named for wait.
    #[must_use]
    pub fn to(mut self, publisher: Publisher) -> Relay<D> {
        self.publishers.insert(publisher.destination().to_owned(), publisher);
        self
    }

    /// How it works.
    #[must_use]
    pub fn settings(mut self, settings: RelaySettings) -> Relay<D> {
        self.settings = settings;
        self
    }

    /// Begins. Must be called within a tokio runtime.
    pub fn start(self) -> RunningRelay {
        let stop = CancellationToken::new();
        let task = tokio::spawn(self.run(stop.clone()));
        RunningRelay { stop, task: Some(task) }
    }

    async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            if !self.settings.linger.is_zero() {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(self.settings.linger) => {}
                }
            }
            let pause = match self.round().await {
                // There may be more.
                Ok(Round::Published) => Duration::ZERO,
                Ok(Round::NothingToDo) => {
                    failures = 0;
                    self.settings.every
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "the outbox cannot be read");
                    self.settings.backoff.delay(failures)
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.outbox.woken.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        let sql = "DELETE FROM toolkit_leases WHERE name = 'outbox' AND holder = $1";
        if let Err(error) = self.outbox.database.execute_alone(sql, &[(&self.holder).into()]).await {
            tracing::debug!(%error, "the relay's lease ends by itself");
        }
    }

    /// Publishes one batch for each destination.
    async fn round(&self) -> Result<Round, StoreError> {
        if !self.lead().await? {
            return Ok(Round::NothingToDo);
        }
        // Each destination for itself: a slow one does not hold up the others.
        let rounds =
            self.publishers.iter().map(|(destination, publisher)| self.publish(destination, publisher));
        let mut published = false;
        for result in futures_util::future::join_all(rounds).await {
            published |= result?;
        }
        Ok(if published { Round::Published } else { Round::NothingToDo })
    }

    /// Publishes one batch for a destination; `true` if something was taken.
    async fn publish(&self, destination: &str, publisher: &Publisher) -> Result<bool, StoreError> {
        let entries = self.next(destination).await?;
        if entries.is_empty() {
            return Ok(false);
        }
        let Some(results) = self.send(publisher, &entries).await? else { return Ok(false) };
        let published = results.iter().any(Result::is_ok);
        self.settle(destination, &entries, results).await?;
        Ok(published)
    }

    /// Sends them; one result each. `None` when another relay took over, since this one seemed dead: two at once would be
    /// out of order.
    async fn send(
        &self,
        publisher: &Publisher,
        entries: &[Entry],
    ) -> Result<Option<Vec<Result<Receipt, PublishError>>>, StoreError> {
        // What can never be sent (the destination's limits changed) must not stop the others, but those behind it in its group.
        let (mut stopped, mut messages) = (HashSet::new(), Vec::with_capacity(entries.len()));
        let mut unsendable: Vec<Option<PublishError>> = Vec::with_capacity(entries.len());
        for Entry { message, .. } in entries {
            let error = match &message.group {
                Some(group) if stopped.contains(group) => Some(PublishError::EarlierFailed),
                _ => publisher.check(message).err(),
            };
            match error {
                Some(_) => stopped.extend(message.group.as_ref()),
                None => messages.push(message.clone()),
            }
            unsendable.push(error);
        }
        let publish = publisher.publish_prepared(messages);
        tokio::pin!(publish);
        let sent = loop {
            tokio::select! {
                sent = &mut publish => break sent,
                // It may take long; another relay must not think that this one died.
                () = tokio::time::sleep(self.settings.lease / 3) => {
                    if !self.lead().await? {
                        return Ok(None);
                    }
                }
            }
        };
        // All were checked, so there is one result for each; a missing one is tried again.
        let mut sent = sent.unwrap_or_default().into_iter();
        let mut next = || sent.next().unwrap_or(Err(PublishError::Closed));
        Ok(Some(unsendable.into_iter().map(|error| error.map_or_else(&mut next, Err)).collect()))
    }

    /// Whether this relay is the one that works.
    async fn lead(&self) -> Result<bool, StoreError> {
        let begun = Instant::now();
        let renewed = || self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        // An idle relay need not write to the disk at each look.
        if renewed().is_some_and(|at| begun.duration_since(at) < self.settings.lease / 4) {
            return Ok(true);
        }
        let sql = "INSERT INTO toolkit_leases (name, holder, until_ms) VALUES ('outbox', $1, $2)
                   ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms
                   WHERE toolkit_leases.holder = excluded.holder OR toolkit_leases.until_ms <= $3";
        let values = [(&self.holder).into(), from_now(self.settings.lease).into(), now().into()];
        let ours = self.outbox.database.execute_alone(sql, &values).await? == 1;
        *renewed() = ours.then_some(begun);
        Ok(ours)
    }

    /// What may be published now. A message that waits for its next attempt holds back those behind it in its group, and
    /// nobody else: where a whole batch is held back, the next one is looked at.
    async fn next(&self, destination: &str) -> Result<Vec<Entry>, StoreError> {
        let most = self.settings.batch.max(1);
        let (mut after, mut held_back, mut entries) = (0, HashSet::new(), Vec::new());
        for _ in 0..LOOK_AHEAD {
            let sql =
                "SELECT id, message, attempts, due_ms FROM toolkit_outbox WHERE destination = $1 AND id > $2
                       ORDER BY id LIMIT $3";
            let values = [destination.into(), after.into(), i64::from(most).into()];
            let rows = self.outbox.database.read(sql, &values).await?;
            let now = now();
            for row in &rows {
                after = row.int(0)?;
                let message: Prepared = serde_json::from_str(row.text(1)?)?;
                let in_line = message.group.as_ref().is_some_and(|group| held_back.contains(group));
                if in_line || row.int(3)? > now {
                    held_back.extend(message.group);
                    continue;
                }
                entries.push(Entry { id: after, message, attempts: row.int(2)? });
            }
            if !entries.is_empty() || rows.len() < most as usize {
                break;
            }
        }
        Ok(entries)
    }

    async fn settle(
        &self,
        destination: &str,
        entries: &[Entry],
        results: Vec<Result<Receipt, PublishError>>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.outbox.database.begin().await?;
        let taken = entries.iter().zip(&results).filter(|(_, result)| result.is_ok());
        let taken: Vec<i64> = taken.map(|(entry, _)| entry.id).collect();
        if !taken.is_empty() {
            let sql = from_json!(
                D,
                "DELETE FROM toolkit_outbox WHERE id IN (SELECT CAST(value AS BIGINT) FROM ",
                ")"
            );
            D::execute(&mut transaction, sql, &[(&serde_json::to_string(&taken)?).into()]).await?;
        }
        for (entry, result) in entries.iter().zip(results) {
            let id = entry.id.into();
            match result {
                Ok(_) | Err(PublishError::EarlierFailed) => {}
                Err(error) => {
                    let (attempts, why) = (entry.attempts + 1, error.to_string());
                    if attempts >= i64::from(self.settings.attempts) {
                        tracing::error!(destination, id = %entry.message.id, attempts, %error, "given up: see toolkit_outbox_dead");
                        let sql = "INSERT INTO toolkit_outbox_dead (id, destination, message, attempts, last_error, died_ms)
                                   SELECT id, destination, message, $2, $3, $4 FROM toolkit_outbox WHERE id = $1";
                        D::execute(
                            &mut transaction,
                            sql,
                            &[id, attempts.into(), (&why).into(), now().into()],
                        )
                        .await?;
                        D::execute(&mut transaction, "DELETE FROM toolkit_outbox WHERE id = $1", &[id])
                            .await?;
                        continue;
                    }
                    let attempt = u32::try_from(attempts).unwrap_or(u32::MAX);
                    let due = from_now(self.settings.backoff.delay(attempt));
                    let sql =
                        "UPDATE toolkit_outbox SET attempts = $2, due_ms = $3, last_error = $4 WHERE id = $1";
                    D::execute(&mut transaction, sql, &[id, attempts.into(), due.into(), (&why).into()])
                        .await?;
                }
            }
        }
        D::commit(transaction).await
    }
}

enum Round {
    Published,
    NothingToDo,
}

/// A relay at work. Dropping it stops it like a crash: the next one repeats what was not yet deleted.
pub struct RunningRelay {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl RunningRelay {
    /// Finishes what it is publishing, and lets another take over.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // A panic in there has been reported by tokio; the lease ends by itself.
            let _ = task.await;
        }
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
