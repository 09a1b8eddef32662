//! Databases for the tests: SQLite in a temporary file, PostgreSQL as a cluster of its own where it is installed.

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{PgPool, SqlitePool};
use tempfile::TempDir;
use toolkit::testing::Postgres;

/// A SQLite database and the folder that it lives in.
pub async fn sqlite() -> (TempDir, SqlitePool) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("test.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    (folder, SqlitePool::connect_with(options).await.unwrap())
}

/// A new cluster, or `None` (said aloud) where PostgreSQL is not installed.
pub async fn postgres() -> Option<(Postgres, PgPool)> {
    let Some(server) = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap() else {
        eprintln!("SKIPPED: PostgreSQL's initdb is not installed, so this test ran with SQLite only");
        return None;
    };
    let pool = PgPool::connect(&server.url()).await.unwrap();
    Some((server, pool))
}
