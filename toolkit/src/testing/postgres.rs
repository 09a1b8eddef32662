//! A PostgreSQL for a test, if PostgreSQL is installed. A test can start, crash and restart it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::testing::ServerError;

/// A running PostgreSQL with a cluster in a temporary folder. Dropping this value stops it and deletes the
/// cluster.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    folder: TempDir,
    programs: PathBuf,
}

/// Timeout for a start, including recovery.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The user that runs it if the tests run as root, which PostgreSQL refuses.
const NOBODY: u32 = 65534;

impl Postgres {
    /// Creates a cluster. Returns `None` if PostgreSQL's `initdb` is not installed; a test should print that.
    ///
    /// # Errors
    /// PostgreSQL is installed but does not start.
    pub fn start() -> Result<Option<Postgres>, ServerError> {
        let Some(programs) = programs() else { return Ok(None) };
        let initdb = programs.join("initdb");
        let unstartable = |why| ServerError::Unstartable { program: initdb.display().to_string(), why };
        let folder = tempfile::tempdir().map_err(unstartable)?;
        if running_as_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).map_err(unstartable)?;
        }
        let mut make = command(&initdb);
        make.arg("-D").arg(folder.path().join("data"));
        make.args(["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]);
        let made = make.stdout(Stdio::null()).output().map_err(unstartable)?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(ServerError::Ended { program: initdb.display().to_string(), said });
        }
        let server = launch(&programs, &folder)?;
        Ok(Some(Postgres { server, folder, programs }))
    }

    /// Returns the URL for sqlx. The server listens on a socket in its folder, so no port can conflict.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.path().display())
    }

    /// Stops it as a crash does: all connections break, open transactions are lost, and the next start has to
    /// recover.
    pub fn crash(&mut self) {
        // After SIGKILL its shared memory would remain, of which the system has a limited number of segments.
        let quit = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        if !quit.is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }

    /// Restarts it with the same data.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.crash();
        self.server = launch(&self.programs, &self.folder)?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Starts the server and waits until it accepts connections.
fn launch(programs: &Path, folder: &TempDir) -> Result<Child, ServerError> {
    let program = programs.join("postgres");
    let (data, named) = (folder.path().join("data"), program.display().to_string());
    let mut server = command(&program);
    // Without syncs: a test can crash the program, not the machine.
    server.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-h", "", "-F"]);
    let started = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut server = started.map_err(|why| ServerError::Unstartable { program: named.clone(), why })?;
    let begun = Instant::now();
    loop {
        // The server's own status: the eighth line of this file.
        let told = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = told.lines();
        if lines.next() == Some(&server.id().to_string()) && lines.nth(6).map(str::trim) == Some("ready") {
            return Ok(server);
        }
        let ended = !matches!(server.try_wait(), Ok(None));
        if ended || begun.elapsed() > READY_WITHIN {
            let _ = server.kill();
            let _ = server.wait();
            return Err(ServerError::Ended { program: named, said: told });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

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

/// Returns the folder of its programs.
fn programs() -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    // Debian does not put them on the PATH.
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    places.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}
