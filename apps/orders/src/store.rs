//! Each service's own database: a SQLite file, or a schema in PostgreSQL.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgConnection, PgPool, SqlitePool};

/// Where the databases are.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The folder of SQLite files, unless `url` is given.
    pub folder: PathBuf,
    /// A PostgreSQL database.
    pub url: Option<String>,
    /// There each service has a schema, whose name begins so: letters, digits and underscores.
    pub schema: String,
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
                let schema = format!("{}_{}", self.schema, service.replace('-', "_"));
                // Two services that make one schema at the same time: the second finds it made.
                for last in [false, true] {
                    match run(url, format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await {
                        Err(error) if last => return Err(error),
                        Err(_) => {}
                        Ok(()) => break,
                    }
                }
                let options = PgConnectOptions::from_str(url)?.options([("search_path", schema)]);
                Ok(Store::Postgres(PgPoolOptions::new().max_connections(4).connect_with(options).await?))
            }
        }
    }

    /// Databases for a run that is to leave nothing, in a folder or schemas of their own.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn scratch(url: Option<&str>, full_sync: bool) -> std::io::Result<Scratch> {
        let folder = tempfile::Builder::new().prefix("orders-").tempdir()?;
        let schema = format!("orders_{:x}", fastrand::u64(..));
        let stores =
            Stores { folder: folder.path().to_owned(), url: url.map(str::to_owned), schema, full_sync };
        Ok(Scratch { _folder: folder, stores })
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

/// Databases that go when they are no longer wanted: see [`Stores::scratch`].
pub struct Scratch {
    _folder: tempfile::TempDir,
    /// Where they are.
    pub stores: Stores,
}

impl Scratch {
    /// Removes them. (Dropping this value removes the folder alone.)
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn remove(self) -> Result<(), sqlx::Error> {
        let Some(url) = &self.stores.url else { return Ok(()) };
        let each = format!(
            "DO $$ DECLARE name TEXT; BEGIN
                 FOR name IN SELECT nspname FROM pg_namespace WHERE starts_with(nspname, '{}_') LOOP
                     EXECUTE 'DROP SCHEMA ' || name || ' CASCADE';
                 END LOOP;
             END $$",
            self.stores.schema
        );
        run(url, each).await
    }
}

/// Runs a statement on a connection of its own. The only names in it are this program's.
async fn run(url: &str, statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(&PgConnectOptions::from_str(url)?).await?;
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}
