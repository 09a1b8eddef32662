//! The shop's database: orders, tickets, money, e-mails, and the log of what happened to each message.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqliteConnection, Transaction};
use toolkit::inbox::sql::SqlInbox;
use toolkit::outbox::Outbox;
use toolkit::sql::{Database, StoreError};

/// Made by `open`. What must not happen twice has no constraint against it here: the inbox is to prevent it, and the audit to notice.
const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS events (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, organiser TEXT NOT NULL, price_cents INTEGER NOT NULL, state TEXT NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS orders (
        id TEXT PRIMARY KEY, event_id TEXT NOT NULL, user_id TEXT NOT NULL, email TEXT NOT NULL,
        seats INTEGER NOT NULL, amount_cents INTEGER NOT NULL, state TEXT NOT NULL
    )",
    "CREATE INDEX IF NOT EXISTS orders_event ON orders (event_id)",
    "CREATE TABLE IF NOT EXISTS payments (order_id TEXT NOT NULL, kind TEXT NOT NULL, cents INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS payments_order ON payments (order_id)",
    "CREATE TABLE IF NOT EXISTS tickets (id TEXT PRIMARY KEY, order_id TEXT NOT NULL, state TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS tickets_order ON tickets (order_id)",
    "CREATE TABLE IF NOT EXISTS emails (
        id INTEGER PRIMARY KEY, because_of TEXT NOT NULL, recipient TEXT NOT NULL, subject TEXT NOT NULL, sent_ms INTEGER NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS mail_troubles (domain TEXT PRIMARY KEY, kind TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS message_log (
        id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, message_key TEXT NOT NULL, message_id TEXT NOT NULL, event_type TEXT NOT NULL,
        subject TEXT NOT NULL, status TEXT NOT NULL, attempt INTEGER NOT NULL, detail TEXT NOT NULL
    )",
    "CREATE INDEX IF NOT EXISTS message_log_key ON message_log (message_key, status)",
    "CREATE TABLE IF NOT EXISTS alerts (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL)",
];

/// A transaction that may write.
pub type Tx = Transaction<'static, Sqlite>;

/// The database of all of the shop's processes.
#[derive(Clone, Debug)]
pub struct Store {
    pub pool: SqlitePool,
    pub outbox: Outbox<SqlitePool>,
    pub inbox: SqlInbox<SqlitePool>,
}

impl Store {
    /// Opens `tickets.db` in this folder, and makes it if it is missing.
    ///
    /// # Errors
    /// When the folder or the file cannot be made or read.
    pub async fn open(folder: &Path) -> Result<Store, StoreError> {
        std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join("tickets.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // The queue forgets a message once its work is committed: then the work must outlive the machine's power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(60));
        let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await?;
        let mut tx = Database::begin(&pool).await?;
        for statement in SCHEMA {
            sqlx::query(*statement).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        let store =
            Store { outbox: Outbox::new(&pool), inbox: SqlInbox::new(&pool, "notification-service"), pool };
        store.outbox.migrate().await?;
        store.inbox.migrate().await?;
        Ok(store)
    }

    /// Begins a transaction that may write. It waits for others' to end.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Database::begin(&self.pool).await
    }

    /// Logs in a transaction of its own.
    ///
    /// # Errors
    /// What the database says.
    pub async fn log(&self, line: &LogLine) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        line.write(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

/// What became of a message at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Written to the outbox together with what it tells of.
    Issued,
    /// Handled: its effects are committed.
    Processed,
    /// Had been handled before; nothing was changed.
    Duplicate,
    /// Failed, and comes again.
    Retry,
    /// Failed for good.
    GaveUp,
    /// Seen among the dead letters.
    DeadLetter,
    /// Put back into its queue.
    Requeued,
}

impl Status {
    /// As the log has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Issued => "ISSUED",
            Status::Processed => "PROCESSED",
            Status::Duplicate => "DUPLICATE",
            Status::Retry => "RETRY",
            Status::GaveUp => "GAVE_UP",
            Status::DeadLetter => "DEAD_LETTER",
            Status::Requeued => "REQUEUED",
        }
    }
}

/// A line of the log: message, event type, time, status, and what was done or went wrong.
#[derive(Clone, PartialEq, Debug)]
pub struct LogLine {
    /// What tells one message from another, whatever way it takes: the envelope's id, or the body where there is no envelope.
    pub key: String,
    /// The queue's own id; empty where the message is not in a queue yet.
    pub message_id: String,
    pub event_type: String,
    /// The order or event.
    pub subject: String,
    pub status: Status,
    /// How often the queue has handed it out.
    pub attempt: u32,
    /// What was done, or what went wrong.
    pub detail: String,
}

impl LogLine {
    /// Writes it here and, as one line, to the program's log.
    ///
    /// # Errors
    /// What the database says.
    pub async fn write(&self, tx: &mut SqliteConnection) -> Result<(), StoreError> {
        let LogLine { key, message_id, event_type, subject, status, attempt, detail } = self;
        let status = status.as_str();
        tracing::info!(message_id, id = key, event_type, subject, status, attempt, "{detail}");
        let sql = "INSERT INTO message_log (at_ms, message_key, message_id, event_type, subject, status, attempt, detail)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let query = sqlx::query(sql).bind(Timestamp::now().as_millisecond()).bind(key).bind(message_id);
        let query = query.bind(event_type).bind(subject).bind(status).bind(attempt).bind(detail);
        query.execute(tx).await?;
        Ok(())
    }
}
