//! Long transactions in steps, each with a compensation. A saga finishes every step or undoes all that began,
//! even if processes die.
//!
//! ```text
//!   reserve ──▶ charge ──▶ ship ──▶ done
//!      ▲           ▲         │ fails for good
//!      │           │         ▼
//!   release ◀── refund ◀── (undo, last first) ──▶ undone
//! ```

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::sql::{Database, Row, StoreError, from_now, migrate, now};

/// One step of a saga with the data `S`.
///
/// **Requirement**: `act` and `undo` tolerate repetition, because a crash between the work and storing its
/// result repeats them. Pass the [`key`](StepContext::key), which is the same in each repetition, to external
/// services. A panic counts as a failure that is worth a retry.
#[async_trait]
pub trait SagaStep<S>: Send + Sync + 'static {
    /// Returns the name, unique within the saga. It is stored: do not change it while sagas run.
    fn name(&self) -> &str;

    /// Does the step. Changes of `data` are stored.
    ///
    /// # Errors
    /// [`StepError::Retry`]: try again later. [`StepError::Fail`]: undo all steps.
    async fn act(&self, context: &StepContext<'_>, data: &mut S) -> Result<(), StepError>;

    /// Compensates the step. Also called for a step that failed or may have begun, so there may be nothing to
    /// undo.
    ///
    /// # Errors
    /// Retried without limit, with growing waits, because an undo cannot be given up. ([`Sagas::resume`]
    /// continues other sagas meanwhile.)
    async fn undo(&self, context: &StepContext<'_>, data: &mut S) -> Result<(), StepError>;
}

/// Identifies a run of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepContext<'a> {
    /// The saga's id.
    pub saga_id: &'a str,
    /// Unique to this saga and step, and the same in each attempt: an idempotency key for external services.
    pub key: &'a str,
    /// Number of failed attempts before this one.
    pub failures: u32,
}

/// Why a step failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StepError {
    /// A temporary failure.
    #[error("{0}")]
    Retry(String),
    /// A permanent failure.
    #[error("{0}")]
    Fail(String),
}

/// The state of a saga.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SagaState<S> {
    /// Its data after the last step.
    pub data: S,
    /// Its status.
    pub status: SagaStatus,
    /// The names of the steps that are done and not undone, in order.
    pub done: Vec<String>,
    /// The last failure, if any.
    pub last_error: Option<String>,
}

/// The status of a saga.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SagaStatus {
    /// Its steps are being done.
    Running,
    /// A step failed permanently; the steps are being undone.
    Undoing,
    /// All steps are done.
    Done,
    /// All steps are undone.
    Undone,
}

/// Sagas of one kind, in the table `toolkit_sagas`.
///
/// **Guarantee**: after [`begin`](Self::begin) has returned, either every step is done, or every step that
/// may have begun is undone, last first. If a process dies, another one [resumes](Self::resume) the saga.
/// Each step runs *at least once*.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # toolkit::testing::block_on(async {
/// use async_trait::async_trait;
/// use serde::{Deserialize, Serialize};
/// use toolkit::saga::{SagaStatus, SagaStep, Sagas, StepContext, StepError};
///
/// #[derive(Serialize, Deserialize)]
/// struct Order { cents: u64, charged: bool }
/// struct Charge;
///
/// #[async_trait]
/// impl SagaStep<Order> for Charge {
///     fn name(&self) -> &str { "charge" }
///     async fn act(&self, _: &StepContext<'_>, order: &mut Order) -> Result<(), StepError> {
///         if order.cents > 100_000 {
///             return Err(StepError::Fail("beyond the card's limit".into()));
///         }
///         order.charged = true;
///         Ok(())
///     }
///     async fn undo(&self, _: &StepContext<'_>, order: &mut Order) -> Result<(), StepError> {
///         order.charged = false;
///         Ok(())
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("s.db")).create_if_missing(true);
/// # let pool = sqlx::SqlitePool::connect_with(options).await?;
/// let sagas = Sagas::new(&pool, "orders").step(Charge);
/// sagas.migrate().await?;
/// sagas.begin("o-1", &Order { cents: 500, charged: false }).await?;
/// assert_eq!(sagas.run("o-1").await?.unwrap().status, SagaStatus::Done);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Sagas<D, S: 'static> {
    database: D,
    kind: String,
    steps: Vec<Arc<dyn SagaStep<S>>>,
    settings: SagaSettings,
}

/// Settings of sagas.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SagaSettings {
    /// Number of attempts before a step counts as permanently failed.
    pub attempts: u32,
    /// The wait before a step is retried.
    pub backoff: Backoff,
    /// The lease: how long a saga stays assigned to a process that died. A running process renews it, also
    /// during a step.
    pub lease: Duration,
}

impl Default for SagaSettings {
    fn default() -> SagaSettings {
        SagaSettings {
            attempts: 5,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(60)),
            lease: Duration::from_secs(30),
        }
    }
}

/// `until_ms`: the end of the lease, or the time when the saga ended.
const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS toolkit_sagas (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    data TEXT NOT NULL,
    done TEXT NOT NULL,
    begun TEXT,
    last_error TEXT,
    holder TEXT,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
)",
    "CREATE INDEX IF NOT EXISTS toolkit_sagas_until ON toolkit_sagas (kind, status, until_ms)",
];

/// A saga as it is stored.
struct Stored<S> {
    data: S,
    status: SagaStatus,
    /// Steps done and not undone, in order.
    done: Vec<String>,
    /// The step that may have begun.
    begun: Option<String>,
    last_error: Option<String>,
}

/// The result of one turn of a saga.
enum Went {
    /// One step was done and stored.
    On,
    /// Another process has the saga.
    Away,
    /// It cannot be undone at present.
    Nowhere,
}

impl<D: Database, S: Serialize + DeserializeOwned + Send + Sync + 'static> Sagas<D, S> {
    /// Creates sagas of one kind. The kind's name is stored.
    pub fn new(database: &D, kind: &str) -> Sagas<D, S> {
        Sagas {
            database: database.clone(),
            kind: kind.to_owned(),
            steps: Vec::new(),
            settings: SagaSettings::default(),
        }
    }

    /// Adds the next step.
    #[must_use]
    pub fn step(mut self, step: impl SagaStep<S>) -> Sagas<D, S> {
        self.steps.push(Arc::new(step));
        self
    }

    /// Sets the settings.
    #[must_use]
    pub fn settings(mut self, settings: SagaSettings) -> Sagas<D, S> {
        self.settings = settings;
        self
    }

    /// Creates the table if it is missing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate(&self.database, SCHEMA).await
    }

    /// Stores a saga to be run. Returns `false` if the id exists.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin(&self, id: &str, data: &S) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let new = self.begin_in(&mut transaction, id, data).await?;
        D::commit(transaction).await?;
        Ok(new)
    }

    /// As [`begin`](Self::begin), in a transaction of yours.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin_in(
        &self,
        transaction: &mut D::Connection,
        id: &str,
        data: &S,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO toolkit_sagas (kind, id, status, data, done, until_ms) VALUES ($1, $2, 'running', $3, '[]', 0)
                   ON CONFLICT (kind, id) DO NOTHING";
        let data = serde_json::to_string(data)?;
        Ok(D::execute(transaction, sql, &[(&self.kind).into(), id.into(), (&data).into()]).await? == 1)
    }

    /// Returns the state of a saga.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn state(&self, id: &str) -> Result<Option<SagaState<S>>, StoreError> {
        let mut transaction = self.database.begin().await?;
        let stored = self.load(&mut transaction, id).await?;
        D::commit(transaction).await?;
        Ok(stored.map(|stored| SagaState {
            data: stored.data,
            status: stored.status,
            done: stored.done,
            last_error: stored.last_error,
        }))
    }

    /// Runs a saga to its end in this call. Returns `None` if the id does not exist, or another process has
    /// the saga.
    ///
    /// # Errors
    /// Those of the database; the saga then keeps its state and can be resumed.
    pub async fn run(&self, id: &str) -> Result<Option<SagaState<S>>, StoreError> {
        self.work(id, u32::MAX).await
    }

    /// As [`run`](Self::run), but stops at a compensation that has failed `attempts` times.
    async fn work(&self, id: &str, undo_attempts: u32) -> Result<Option<SagaState<S>>, StoreError> {
        // One per run, so that two runs in one process do not share a lease.
        let holder = &uuid::Uuid::new_v4().to_string();
        if !self.claim(id, holder).await? {
            return Ok(None);
        }
        let mut transaction = self.database.begin().await?;
        let stored = self.load(&mut transaction, id).await?;
        D::commit(transaction).await?;
        let Some(mut saga) = stored else { return Ok(None) };
        let mut until = None;
        while !matches!(saga.status, SagaStatus::Done | SagaStatus::Undone) {
            let went = match saga.status {
                SagaStatus::Running => self.forward(id, holder, &mut saga).await?,
                _ => self.backward(id, holder, &mut saga, undo_attempts).await?,
            };
            match went {
                Went::On => {}
                // Another process took the saga over after the lease.
                Went::Away => return Ok(None),
                Went::Nowhere => {
                    until = Some(from_now(self.settings.backoff.most));
                    break;
                }
            }
        }
        let sql = "UPDATE toolkit_sagas SET holder = NULL, until_ms = $4 WHERE kind = $1 AND id = $2 AND holder = $3";
        let values = [(&self.kind).into(), id.into(), holder.into(), until.unwrap_or_else(now).into()];
        self.database.execute_alone(sql, &values).await?;
        let Stored { data, status, done, last_error, .. } = saga;
        Ok(Some(SagaState { data, status, done, last_error }))
    }

    /// Runs up to `most` sagas that no process has: sagas that were begun and not run yet, and those of dead
    /// processes. Returns how many ended. Call it at the start, and from time to time.
    ///
    /// A saga that cannot continue does not block others. If a compensation has failed
    /// [`attempts`](SagaSettings::attempts) times, the saga rests for the backoff's longest wait, and a later
    /// call continues it.
    ///
    /// # Errors
    /// Those of the database, or a saga is not one of this program's. In the latter case the other sagas have
    /// been run.
    pub async fn resume(&self, most: u32) -> Result<u32, StoreError> {
        let mut transaction = self.database.begin().await?;
        let sql = "SELECT id FROM toolkit_sagas WHERE kind = $1 AND status IN ('running', 'undoing') AND until_ms <= $2
                   ORDER BY id LIMIT $3";
        let values = [(&self.kind).into(), now().into(), i64::from(most).into()];
        let rows = D::query(&mut transaction, sql, &values).await?;
        D::commit(transaction).await?;
        let (mut ended, mut foreign) = (0, None);
        for row in &rows {
            let id = row.text(0)?;
            match self.work(id, self.settings.attempts).await {
                Ok(Some(saga)) => {
                    ended += u32::from(matches!(saga.status, SagaStatus::Done | SagaStatus::Undone))
                }
                Ok(None) => {}
                Err(error @ StoreError::Shape(_)) => {
                    tracing::error!(saga = id, kind = self.kind, %error, "this program cannot run the saga");
                    foreign = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        foreign.map_or(Ok(ended), Err)
    }

    /// Deletes sagas that ended at least this long ago, and returns their number. Ended sagas are kept until
    /// then. The id of a deleted saga may [begin](Self::begin) again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget(&self, age: Duration) -> Result<u64, StoreError> {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let sql =
            "DELETE FROM toolkit_sagas WHERE kind = $1 AND status IN ('done', 'undone') AND until_ms <= $2";
        self.database.execute_alone(sql, &[(&self.kind).into(), now().saturating_sub(age).into()]).await
    }

    /// Does the next step, or begins to undo.
    async fn forward(&self, id: &str, holder: &str, saga: &mut Stored<S>) -> Result<Went, StoreError> {
        let Some(step) = self.steps.iter().find(|step| !saga.done.iter().any(|done| done == step.name()))
        else {
            saga.status = SagaStatus::Done;
            return self.save(id, holder, saga).await;
        };
        // Stored before it begins: after a crash it may have happened.
        saga.begun = Some(step.name().to_owned());
        if let Went::Away = self.save(id, holder, saga).await? {
            return Ok(Went::Away);
        }
        let key = format!("{}/{id}/{}", self.kind, step.name());
        let mut failures = 0;
        loop {
            let context = StepContext { saga_id: id, key: &key, failures };
            let act = AssertUnwindSafe(step.act(&context, &mut saga.data)).catch_unwind();
            let Some(result) = self.while_claimed(id, holder, act).await? else { return Ok(Went::Away) };
            let result = match result {
                Ok(result) => result,
                Err(_) => self.after_panic(id, step.name(), saga).await?,
            };
            match result {
                Ok(()) => {
                    saga.done.push(step.name().to_owned());
                    saga.begun = None;
                    return self.save(id, holder, saga).await;
                }
                Err(StepError::Retry(why)) if failures + 1 < self.settings.attempts => {
                    tracing::info!(saga = id, step = step.name(), why, "a step failed and will be retried");
                    failures += 1;
                    let pause = tokio::time::sleep(self.settings.backoff.delay(failures));
                    if self.while_claimed(id, holder, pause).await?.is_none() {
                        return Ok(Went::Away);
                    }
                }
                Err(error) => {
                    tracing::warn!(saga = id, step = step.name(), %error, "a step failed permanently: the saga is being undone");
                    metrics::counter!("saga.failed", "kind" => self.kind.clone()).increment(1);
                    saga.last_error = Some(format!("{}: {error}", step.name()));
                    saga.status = SagaStatus::Undoing;
                    return self.save(id, holder, saga).await;
                }
            }
        }
    }

    /// Undoes the last step that may have been done.
    async fn backward(
        &self,
        id: &str,
        holder: &str,
        saga: &mut Stored<S>,
        attempts: u32,
    ) -> Result<Went, StoreError> {
        let Some(name) = saga.begun.clone().or_else(|| saga.done.last().cloned()) else {
            saga.status = SagaStatus::Undone;
            return self.save(id, holder, saga).await;
        };
        let Some(step) = self.steps.iter().find(|step| step.name() == name) else {
            return Err(StoreError::Shape(format!(
                "saga {id} has done \"{name}\", a step that this program lacks"
            )));
        };
        let key = format!("{}/{id}/{name}", self.kind);
        let mut failures = 0;
        loop {
            let context = StepContext { saga_id: id, key: &key, failures };
            let undo = AssertUnwindSafe(step.undo(&context, &mut saga.data)).catch_unwind();
            let Some(result) = self.while_claimed(id, holder, undo).await? else { return Ok(Went::Away) };
            let result = match result {
                Ok(result) => result,
                Err(_) => self.after_panic(id, &name, saga).await?,
            };
            let Err(error) = result else { break };
            failures += 1;
            tracing::error!(saga = id, step = name, %error, failures, "a compensation failed and will be retried");
            metrics::counter!("saga.undo_failed", "kind" => self.kind.clone()).increment(1);
            if failures >= attempts {
                return Ok(Went::Nowhere);
            }
            let pause = tokio::time::sleep(self.settings.backoff.delay(failures));
            if self.while_claimed(id, holder, pause).await?.is_none() {
                return Ok(Went::Away);
            }
        }
        if saga.begun.take().is_none() {
            saga.done.pop();
        }
        self.save(id, holder, saga).await
    }

    /// A panic may have left the data half-changed: the stored data is loaded again.
    async fn after_panic(
        &self,
        id: &str,
        step: &str,
        saga: &mut Stored<S>,
    ) -> Result<Result<(), StepError>, StoreError> {
        tracing::error!(saga = id, step, "a step panicked");
        let mut transaction = self.database.begin().await?;
        let stored = self.load(&mut transaction, id).await?;
        D::commit(transaction).await?;
        if let Some(stored) = stored {
            saga.data = stored.data;
        }
        Ok(Err(StepError::Retry("the step panicked".to_owned())))
    }

    /// Awaits a future while renewing the lease. Returns `None` if the lease is lost.
    async fn while_claimed<R>(
        &self,
        id: &str,
        holder: &str,
        work: impl Future<Output = R>,
    ) -> Result<Option<R>, StoreError> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return Ok(Some(result)),
                () = tokio::time::sleep(self.settings.lease / 3) => {
                    if !self.claim(id, holder).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Takes or renews the lease for this process.
    async fn claim(&self, id: &str, holder: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE toolkit_sagas SET holder = $3, until_ms = $4
                   WHERE kind = $1 AND id = $2 AND (holder = $3 OR until_ms <= $5)";
        let until = from_now(self.settings.lease);
        let values = [(&self.kind).into(), id.into(), holder.into(), until.into(), now().into()];
        Ok(self.database.execute_alone(sql, &values).await? == 1)
    }

    async fn load(&self, transaction: &mut D::Connection, id: &str) -> Result<Option<Stored<S>>, StoreError> {
        let sql =
            "SELECT status, data, done, begun, last_error FROM toolkit_sagas WHERE kind = $1 AND id = $2";
        let rows = D::query(transaction, sql, &[(&self.kind).into(), id.into()]).await?;
        let read = |row: &Row| -> Result<Stored<S>, StoreError> {
            Ok(Stored {
                status: serde_json::from_value(row.text(0)?.into())?,
                data: serde_json::from_str(row.text(1)?)?,
                done: serde_json::from_str(row.text(2)?)?,
                begun: row.maybe_text(3)?.map(str::to_owned),
                last_error: row.maybe_text(4)?.map(str::to_owned),
            })
        };
        rows.first().map(read).transpose()
    }

    /// Stores the saga's state, if this process still has the lease.
    async fn save(&self, id: &str, holder: &str, saga: &Stored<S>) -> Result<Went, StoreError> {
        let sql = "UPDATE toolkit_sagas SET status = $4, data = $5, done = $6, begun = $7, last_error = $8, until_ms = $9
                   WHERE kind = $1 AND id = $2 AND holder = $3";
        let status = match saga.status {
            SagaStatus::Running => "running",
            SagaStatus::Undoing => "undoing",
            SagaStatus::Done => "done",
            SagaStatus::Undone => "undone",
        };
        let (data, done) = (serde_json::to_string(&saga.data)?, serde_json::to_string(&saga.done)?);
        let values = [
            (&self.kind).into(),
            id.into(),
            holder.into(),
            status.into(),
            (&data).into(),
            (&done).into(),
            saga.begun.as_deref().into(),
            saga.last_error.as_deref().into(),
            from_now(self.settings.lease).into(),
        ];
        let ours = self.database.execute_alone(sql, &values).await? == 1;
        Ok(if ours { Went::On } else { Went::Away })
    }
}
