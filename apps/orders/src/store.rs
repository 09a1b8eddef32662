//! Each service's own database: a SQLite file, or a schema in PostgreSQL.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

/// Where the databases are.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The folder of SQLite files, unless `url` is given.
    pub folder: PathBuf,
    /// A PostgreSQL database.
    pub url: Option<String>,
    /// SQLite: sync at each commit, so that power may fail, too. (Otherwise a commit survives every crash of programs.)
    pub full_sync: bool,
}

/// One service's database.
#[derive(Clone, Debug)]
pub enum Store {
    /// A file.
    Sqlite(SqlitePool),
    /// A schema.
    Postgres(PgPool),
}

/// Runs the same code with whichever database it is.
macro_rules! with_database {
    ($store:expr, $database:ident => $run:expr) => {
        match $store {
            $crate::store::Store::Sqlite($database) => $run,
            $crate::store::Store::Postgres($database) => $run,
        }
    };
}
pub(crate) use with_database;

impl Stores {
    /// Opens a service's database, and makes it if it is missing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(&self, service: &str) -> Result<Store, sqlx::Error> {
        match &self.url {
            None => Ok(Store::Sqlite(self.sqlite(&self.folder.join(format!("{service}.db"))).await?)),
            Some(url) => {
                let options = PgConnectOptions::from_str(url)?;
                let plain = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
                // The names are this program's own: letters and no quotes.
                let create = format!("CREATE SCHEMA IF NOT EXISTS orders_{}", service.replace('-', "_"));
                // Two services that make one schema at the same time: the second finds it made.
                for last in [false, true] {
                    match sqlx::query(sqlx::AssertSqlSafe(create.clone())).execute(&plain).await {
                        Err(error) if last => return Err(error),
                        Err(_) => {}
                        Ok(_) => break,
                    }
                }
                plain.close().await;
                let schema = format!("orders_{}", service.replace('-', "_"));
                let options = options.options([("search_path", schema)]);
                Ok(Store::Postgres(PgPoolOptions::new().max_connections(4).connect_with(options).await?))
            }
        }
    }

    async fn sqlite(&self, path: &Path) -> Result<SqlitePool, sqlx::Error> {
        let synchronous = if self.full_sync { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(Duration::from_secs(20))
            .pragma("cache_size", "-64000")
            // 40 MB: a page that changes often is copied into the database once for many changes.
            .pragma("wal_autocheckpoint", "10000")
            .pragma("temp_store", "memory");
        // One connection: who waits for it waits in a queue, and not by asking SQLite again and again.
        SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(60))
            .connect_with(options)
            .await
    }
}
