//! Databases for the tests: SQLite in a temporary file, PostgreSQL as a cluster of its own where it is installed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{PgPool, SqlitePool};
use tempfile::TempDir;

/// A SQLite database and the folder that it lives in.
pub async fn sqlite() -> (TempDir, SqlitePool) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("test.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    (folder, SqlitePool::connect_with(options).await.unwrap())
}

/// A PostgreSQL server that ends with this value.
pub struct Postgres {
    server: Child,
    folder: TempDir,
}

/// A new cluster, or `None` (said aloud) where PostgreSQL is not installed.
pub async fn postgres() -> Option<(Postgres, PgPool)> {
    let Some(programs) = programs() else {
        eprintln!("SKIPPED: PostgreSQL's initdb is not installed, so this test ran with SQLite only");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    if running_as_root() {
        // PostgreSQL refuses to run as root.
        std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut initdb = command(&programs.join("initdb"));
    initdb.arg("-D").arg(&data).args([
        "-U",
        "postgres",
        "--auth=trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C",
    ]);
    let made = initdb.stdout(Stdio::null()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut server = command(&programs.join("postgres"));
    // Only a socket in the folder: no port to collide on.
    server.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-h", "", "-F"]);
    let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut postgres = Postgres { server, folder };
    let options = sqlx::postgres::PgConnectOptions::new()
        .host(postgres.folder.path().to_str().unwrap())
        .username("postgres")
        .database("postgres");
    // Left to itself a pool tries for half a minute, however often it is asked to.
    let pool = || PgPoolOptions::new().acquire_timeout(Duration::from_secs(10));
    let begun = Instant::now();
    loop {
        match pool().connect_with(options.clone()).await {
            Ok(pool) => return Some((postgres, pool)),
            Err(why) => {
                let ended = postgres.server.try_wait().unwrap();
                assert!(ended.is_none(), "PostgreSQL ended at once: {ended:?}");
                assert!(begun.elapsed() < Duration::from_secs(60), "PostgreSQL did not start: {why}");
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Killed, it would leave its shared memory behind, of which the system has so many pieces and no more.
        let quit = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        if !quit.is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

const NOBODY: u32 = 65534;

fn command(program: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    command.current_dir("/");
    if running_as_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn running_as_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn programs() -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    // Debian keeps them off the PATH.
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    places.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}
