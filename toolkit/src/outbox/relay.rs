//! Publishes the messages of an outbox: one relay at a time, in order, repeatedly until they are accepted or
//! given up.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::outbox::Outbox;
use crate::outbox::lines::{Entry, Lines};
use crate::publisher::{Prepared, PublishError, Publisher, Receipt};
use crate::sql::{Database, Dialect, Row, StoreError, from_json, from_now, now};

/// Publishes the messages of an [`Outbox`].
///
/// Several relays may run, on several machines. A lease in the database selects the one that works; another
/// takes over when it dies.
pub struct Relay<D> {
    outbox: Outbox<D>,
    publishers: HashMap<String, Publisher>,
    settings: RelaySettings,
    holder: String,
    /// When the lease was last renewed.
    renewed: Mutex<Option<Instant>>,
}

/// Settings of a [`Relay`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RelaySettings {
    /// Number of messages to read at a time, and to publish at a time to one destination.
    pub batch: u32,
    /// Interval of looks into the table for messages that were not [handed over](Outbox::committed).
    pub every: Duration,
    /// How long the relay waits after a wake-up, so that messages written one after the other leave in fewer,
    /// fuller requests.
    pub linger: Duration,
    /// Number of attempts before a message is given up; each attempt includes the publisher's own retries.
    pub attempts: u32,
    /// The wait before a message is retried.
    pub backoff: Backoff,
    /// The lease. If a relay dies, another one publishes after this time and [`every`](Self::every). The
    /// relay renews the lease after a quarter of this time; a relay that is stopped for longer loses it.
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
            lease: Duration::from_secs(4),
        }
    }
}

/// Number of batches of a destination that are kept in memory, and searched for a message that may be sent.
const LOOK_AHEAD: usize = 50;

impl<D: Database> Relay<D> {
    /// Creates a relay of this outbox.
    pub fn new(outbox: &Outbox<D>) -> Relay<D> {
        Relay {
            outbox: outbox.clone(),
            publishers: HashMap::new(),
            settings: RelaySettings::default(),
            holder: uuid::Uuid::new_v4().to_string(),
            renewed: Mutex::new(None),
        }
    }

    /// Publishes the messages for this publisher's destination. Messages for destinations without a publisher
    /// wait. Only one relay works at a time, so give all relays of a database the same publishers.
    #[must_use]
    pub fn to(mut self, publisher: Publisher) -> Relay<D> {
        self.publishers.insert(publisher.destination().to_owned(), publisher);
        self
    }

    /// Sets the settings.
    #[must_use]
    pub fn settings(mut self, settings: RelaySettings) -> Relay<D> {
        self.settings = settings;
        self
    }

    /// Starts the relay. Must be called within a tokio runtime.
    pub fn start(self) -> RunningRelay {
        let stop = CancellationToken::new();
        let task = tokio::spawn(self.run(stop.clone()));
        RunningRelay { stop, task: Some(task) }
    }

    async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let pause = match self.work(&stop, &mut failures).await {
                // Another relay works.
                Ok(()) => self.settings.every,
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "the outbox cannot be read");
                    // The backoff is for destinations; this relay asks the database again about as soon as
                    // another relay would.
                    self.settings.backoff.delay(failures).min(self.settings.lease)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        let sql = "DELETE FROM toolkit_leases WHERE name = 'outbox' AND holder = $1";
        if let Err(error) = self.outbox.database.execute_alone(sql, &[(&self.holder).into()]).await {
            tracing::debug!(%error, "the relay's lease ends by itself");
        }
    }

    /// Publishes while this relay has the lease and is not stopped. Afterwards it discards what it knows of
    /// the table.
    async fn work(&self, stop: &CancellationToken, failures: &mut u32) -> Result<(), StoreError> {
        if !self.lead().await? {
            return Ok(());
        }
        let settings = &self.settings;
        let _open = self.outbox.handover.open();
        let mut lines = Lines::new(self.publishers.keys(), settings.batch.max(1) as usize * LOOK_AHEAD);
        let mut under_way = FuturesUnordered::new();
        let mut ended: Vec<Ended> = Vec::new();
        let most = settings.batch.max(1) as usize;
        // An idle relay looks often enough to keep its lease.
        let idle = settings.every.min(settings.lease / 4);
        let (mut look_at, mut read_at) = (Instant::now(), Instant::now());
        loop {
            let stopping = stop.is_cancelled();
            if stopping && under_way.is_empty() && ended.is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = stop.cancelled(), if !stopping => {}
                Some(one) = under_way.next(), if !under_way.is_empty() => {
                    let one: Ended = one;
                    // If the next batch is full, it need not wait. Otherwise one transaction stores all
                    // results until the next look.
                    let linger = if lines.has(&one.destination, most) { Duration::ZERO } else { settings.linger };
                    look_at = look_at.min(Instant::now() + linger);
                    ended.push(one);
                }
                () = self.outbox.handover.woken() => look_at = look_at.min(Instant::now() + settings.linger),
                () = tokio::time::sleep_until(look_at) => {
                    // Two at once could be out of order.
                    if !self.lead().await? {
                        return Ok(());
                    }
                    look_at = Instant::now() + idle;
                    if !ended.is_empty() {
                        self.settle(std::mem::take(&mut ended), &mut lines).await?;
                    }
                    if stopping {
                        continue;
                    }
                    self.take_in(&mut lines, &mut read_at).await?;
                    *failures = 0;
                    for (destination, entries) in lines.start(most, now()) {
                        // The lines are those of the publishers.
                        if let Some(publisher) = self.publishers.get(&destination) {
                            // Each destination separately: a slow one does not block the others.
                            under_way.push(publish(publisher, destination, entries));
                        }
                    }
                }
            }
        }
    }

    /// Returns whether this relay has the lease, without a gap since the last call.
    async fn lead(&self) -> Result<bool, StoreError> {
        let begun = Instant::now();
        let renewed = || self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        let since = renewed().map(|at| begun.duration_since(at));
        // An idle relay need not write to the disk at each look.
        if since.is_some_and(|since| since < self.settings.lease / 4) {
            return Ok(true);
        }
        let sql = "INSERT INTO toolkit_leases (name, holder, until_ms) VALUES ('outbox', $1, $2)
                   ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms
                   WHERE toolkit_leases.holder = excluded.holder OR toolkit_leases.until_ms <= $3";
        let values = [(&self.holder).into(), from_now(self.settings.lease).into(), now().into()];
        let ours = self.outbox.database.execute_alone(sql, &values).await? == 1;
        // If it had expired, another relay may have worked in between.
        let lapsed = since.is_some_and(|since| since >= self.settings.lease);
        *renewed() = (ours && !lapsed).then_some(begun);
        Ok(ours && !lapsed)
    }

    /// Takes over the messages that writers handed over, and reads the others from the table.
    async fn take_in(&self, lines: &mut Lines, read_at: &mut Instant) -> Result<(), StoreError> {
        let (letters, mut look) = self.outbox.handover.take();
        for (id, letter) in letters {
            if id <= lines.seen {
                // The table has shown it already, unless a younger transaction committed before it.
                look |= D::DIALECT == Dialect::Postgres;
                continue;
            }
            if id > lines.seen + 1 {
                self.read(lines, id).await?;
            }
            let message = Arc::new(letter.message);
            let entry = || Ok::<_, StoreError>(Entry { id, message, attempts: 0, due_ms: 0 });
            lines.add(&letter.destination, id, entry)?;
        }
        if look || *read_at <= Instant::now() {
            self.read(lines, i64::MAX).await?;
            if D::DIALECT == Dialect::Postgres {
                self.read_late(lines).await?;
            }
            *read_at = Instant::now() + self.settings.every;
        }
        for (destination, after) in lines.with_room() {
            let sql = "SELECT id, destination, message, attempts, due_ms FROM toolkit_outbox
                       WHERE destination = $1 AND id > $2 AND id <= $3 ORDER BY id LIMIT $4";
            let most = self.settings.batch.max(1);
            let values = [(&destination).into(), after.into(), lines.seen.into(), i64::from(most).into()];
            let rows = self.outbox.database.read(sql, &values).await?;
            let mut entries = Vec::with_capacity(rows.len());
            for row in &rows {
                match entry(row) {
                    Ok(entry) => entries.push(entry),
                    Err(error) => self.unreadable(row, error).await?,
                }
            }
            // If one was taken out, the next look asks again.
            if entries.len() == rows.len() {
                lines.fill(&destination, most as usize, entries);
            }
        }
        Ok(())
    }

    /// Reads the table up to the row before this id.
    async fn read(&self, lines: &mut Lines, before: i64) -> Result<(), StoreError> {
        let most = self.settings.batch.max(1);
        loop {
            let sql = "SELECT id, destination, message, attempts, due_ms FROM toolkit_outbox
                       WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3";
            let values = [lines.seen.into(), before.into(), i64::from(most).into()];
            let rows = self.outbox.database.read(sql, &values).await?;
            for row in &rows {
                self.add(lines, row).await?;
            }
            if rows.len() < most as usize {
                return Ok(());
            }
        }
    }

    async fn add(&self, lines: &mut Lines, row: &Row) -> Result<(), StoreError> {
        match lines.add(row.text(1)?, row.int(0)?, || entry(row)) {
            Ok(()) => Ok(()),
            Err(error) => self.unreadable(row, error).await,
        }
    }

    /// A row that is not a valid message, perhaps written by another program, must not stop the others.
    async fn unreadable(&self, row: &Row, error: StoreError) -> Result<(), StoreError> {
        let StoreError::Shape(why) = error else { return Err(error) };
        let (id, why) = (row.int(0)?, format!("it cannot be read: {why}"));
        tracing::error!(id, destination = row.text(1)?, why, "given up: see toolkit_outbox_dead");
        let mut transaction = self.outbox.database.begin().await?;
        give_up::<D>(&mut transaction, id, row.int(3)?, &why).await?;
        D::commit(transaction).await
    }

    /// Reads rows that became visible only after younger rows, because concurrent transactions commit in any
    /// order. (SQLite has one writer at a time, so it has no such rows.)
    async fn read_late(&self, lines: &mut Lines) -> Result<(), StoreError> {
        let (destinations, ids) = lines.complete();
        let (destinations, ids) = (serde_json::to_string(&destinations)?, serde_json::to_string(&ids)?);
        let sql = "SELECT id, destination, message, attempts, due_ms FROM toolkit_outbox WHERE id <= $1
                     AND destination IN (SELECT jsonb_array_elements_text(CAST($2 AS JSONB)))
                     AND id NOT IN (SELECT CAST(value AS BIGINT) FROM jsonb_array_elements_text(CAST($3 AS JSONB)) AS value)
                   ORDER BY id LIMIT $4";
        let most = i64::from(self.settings.batch.max(1));
        let values = [lines.seen.into(), (&destinations).into(), (&ids).into(), most.into()];
        for row in &self.outbox.database.read(sql, &values).await? {
            self.add(lines, row).await?;
        }
        Ok(())
    }

    /// Stores the results of messages in one transaction.
    async fn settle(&self, all: Vec<Ended>, lines: &mut Lines) -> Result<(), StoreError> {
        let mut transaction = self.outbox.database.begin().await?;
        let (mut taken, mut finished) = (Vec::new(), Vec::new());
        for Ended { destination, entries, results } in all {
            let mut again = Vec::new();
            for (mut entry, result) in entries.into_iter().zip(results) {
                match result {
                    Ok(_) => taken.push(entry.id),
                    Err(PublishError::EarlierFailed) => again.push(entry),
                    Err(error) => {
                        entry.attempts += 1;
                        if self.failed(&mut transaction, &destination, &mut entry, &error).await? {
                            again.push(entry);
                        }
                    }
                }
            }
            finished.push((destination, again));
        }
        if !taken.is_empty() {
            let sql = from_json!(
                D,
                "DELETE FROM toolkit_outbox WHERE id IN (SELECT CAST(value AS BIGINT) FROM ",
                ")"
            );
            D::execute(&mut transaction, sql, &[(&serde_json::to_string(&taken)?).into()]).await?;
        }
        D::commit(transaction).await?;
        for (destination, again) in finished {
            lines.finish(&destination, again);
        }
        Ok(())
    }

    /// Handles a message that was not accepted. Returns whether it is retried or dead.
    async fn failed(
        &self,
        transaction: &mut D::Connection,
        destination: &str,
        entry: &mut Entry,
        error: &PublishError,
    ) -> Result<bool, StoreError> {
        let (id, attempts, why) = (entry.id.into(), entry.attempts, error.to_string());
        if attempts < i64::from(self.settings.attempts) {
            entry.due_ms = from_now(self.settings.backoff.delay(u32::try_from(attempts).unwrap_or(u32::MAX)));
            let sql = "UPDATE toolkit_outbox SET attempts = $2, due_ms = $3, last_error = $4 WHERE id = $1";
            let values = [id, attempts.into(), entry.due_ms.into(), (&why).into()];
            D::execute(transaction, sql, &values).await?;
            return Ok(true);
        }
        tracing::error!(destination, id = %entry.message.id, attempts, %error, "given up: see toolkit_outbox_dead");
        give_up::<D>(transaction, entry.id, attempts, &why).await?;
        Ok(false)
    }
}

/// Moves a message to the dead messages.
async fn give_up<D: Database>(
    transaction: &mut D::Connection,
    id: i64,
    attempts: i64,
    why: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO toolkit_outbox_dead (id, destination, message, attempts, last_error, died_ms)
               SELECT id, destination, message, $2, $3, $4 FROM toolkit_outbox WHERE id = $1";
    D::execute(transaction, sql, &[id.into(), attempts.into(), why.into(), now().into()]).await?;
    D::execute(transaction, "DELETE FROM toolkit_outbox WHERE id = $1", &[id.into()]).await?;
    Ok(())
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    let message: Arc<Prepared> = Arc::new(serde_json::from_str(row.text(2)?)?);
    Ok(Entry { id: row.int(0)?, message, attempts: row.int(3)?, due_ms: row.int(4)? })
}

/// The results of the messages of one destination.
struct Ended {
    destination: String,
    entries: Vec<Entry>,
    results: Vec<Result<Receipt, PublishError>>,
}

async fn publish(publisher: &Publisher, destination: String, entries: Vec<Entry>) -> Ended {
    // A message that can never be sent (the destination's limits changed) must stop only those behind it in
    // its group.
    let (mut stopped, mut messages) = (HashSet::new(), Vec::with_capacity(entries.len()));
    let mut unsendable: Vec<Option<PublishError>> = Vec::with_capacity(entries.len());
    for Entry { message, .. } in &entries {
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
    // All were checked, so there is one result for each; a missing one is retried.
    let mut sent = publisher.publish_checked(messages).await.into_iter();
    let mut next = || sent.next().unwrap_or(Err(PublishError::Closed));
    let results = unsendable.into_iter().map(|error| error.map_or_else(&mut next, Err)).collect();
    Ended { destination, entries, results }
}

/// A running relay. Dropping it stops it like a crash: the next relay repeats messages that were not deleted
/// yet.
pub struct RunningRelay {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl RunningRelay {
    /// Finishes the current publishes, and releases the lease.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // tokio has reported a panic in the task; the lease ends by itself.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_relay_publishes_within_five_seconds() {
        // A relay that dies renewed its lease at its death at the latest; another relay asks for it once in
        // every `every`.
        let RelaySettings { lease, every, .. } = RelaySettings::default();
        assert!(lease + every <= Duration::from_secs(5), "{lease:?} and {every:?}");
    }
}
