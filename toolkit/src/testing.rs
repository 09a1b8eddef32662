//! Servers as child processes, for tests and demonstrations: a Posthaste on a free port, which a test can
//! kill and restart, and (on Unix) a PostgreSQL.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::clients::Clients;

#[cfg(unix)]
mod postgres;

#[cfg(unix)]
pub use postgres::Postgres;

/// A running server. It stops when this value is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    endpoint: String,
    program: PathBuf,
    data: Data,
}

/// Where a server keeps its data.
#[derive(Debug)]
enum Data {
    /// In memory.
    Nowhere,
    /// In a temporary directory, which is deleted with this value. The data survives a kill of the process.
    Temporary(tempfile::TempDir),
    /// In a permanent directory. The data survives a crash of the machine.
    Kept(PathBuf),
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The program was not found.
    #[error(
        "no posthaste program found. Set POSTHASTE_BIN, or build one: cargo build -p posthaste-server (looked in {looked_in})"
    )]
    Missing {
        /// The searched locations.
        looked_in: String,
    },
    /// The operating system reported an error.
    #[error("cannot start {program}: {why}")]
    Unstartable {
        /// The program.
        program: String,
        /// The system's error.
        #[source]
        why: std::io::Error,
    },
    /// The program ended before it was ready.
    #[error("{program} ended before it was ready; its output: {said}")]
    Ended {
        /// The program.
        program: String,
        /// The program's output.
        said: String,
    },
}

impl Server {
    /// Starts a server that keeps its data in memory.
    ///
    /// # Errors
    /// The program was not found, or does not start.
    pub fn in_memory() -> Result<Server, ServerError> {
        Server::start(find_program()?, "127.0.0.1:0", Data::Nowhere)
    }

    /// Starts a server with its data in a temporary directory, so that a test can [kill](Self::kill) and
    /// [restart](Self::restart) it. The directory is deleted with this value.
    ///
    /// # Errors
    /// The program was not found, or does not start.
    pub fn on_disk() -> Result<Server, ServerError> {
        let program = find_program()?;
        let data = tempfile::tempdir()
            .map_err(|why| ServerError::Unstartable { program: program.display().to_string(), why })?;
        Server::start(program, "127.0.0.1:0", Data::Temporary(data))
    }

    /// Starts a server at this address, such as `127.0.0.1:4566`, that keeps its data in this directory. It
    /// does not receive the keyboard's interrupt, so the program that started it can finish its work first.
    ///
    /// # Errors
    /// The program was not found, or does not start: the address or the directory is in use.
    pub fn kept(address: &str, directory: impl Into<PathBuf>) -> Result<Server, ServerError> {
        Server::start(find_program()?, address, Data::Kept(directory.into()))
    }

    /// Returns the endpoint: `http://127.0.0.1:…`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the started program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Returns clients of this server.
    pub async fn clients(&self) -> Clients {
        Clients::local(&self.endpoint).await
    }

    /// Stops the server as a crash does: `kill -9`.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Restarts the server at the same address with the same data.
    ///
    /// # Errors
    /// The server does not start.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.kill();
        let address = self.endpoint.trim_start_matches("http://").to_owned();
        let (child, endpoint) = launch(&self.program, &address, &self.data)?;
        (self.child, self.endpoint) = (child, endpoint);
        Ok(())
    }

    fn start(program: PathBuf, address: &str, data: Data) -> Result<Server, ServerError> {
        let (child, endpoint) = launch(&program, address, &data)?;
        Ok(Server { child, endpoint, program, data })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the program and waits for its line that it is ready.
fn launch(program: &Path, address: &str, data: &Data) -> Result<(Child, String), ServerError> {
    let mut command = Command::new(program);
    command.args(["--listen", address]);
    match data {
        Data::Nowhere => command.arg("--in-memory"),
        Data::Temporary(folder) => command.arg("--data").arg(folder.path()).args(["--durability", "os"]),
        Data::Kept(folder) => command.arg("--data").arg(folder).args(["--durability", "fsync"]),
    };
    #[cfg(unix)]
    if matches!(data, Data::Kept(_)) {
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
    }
    // Variables of the tests' environment must not configure this server.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTHASTE_")) {
        command.env_remove(name);
    }
    let unstartable = |why| ServerError::Unstartable { program: program.display().to_string(), why };
    let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().map_err(unstartable)?;
    let Some(stdout) = child.stdout.take() else {
        return Err(unstartable(std::io::Error::other("its output cannot be read")));
    };
    let mut lines = BufReader::new(stdout).lines();
    let mut said = String::new();
    while let Some(Ok(line)) = lines.next() {
        if let Some(endpoint) = line.split_whitespace().find(|word| word.starts_with("http://")) {
            // Keeps reading, so that the server's later output does not meet a closed pipe.
            let endpoint = endpoint.to_owned();
            std::thread::spawn(move || lines.for_each(drop));
            return Ok((child, endpoint));
        }
        said.push_str(&line);
        said.push('\n');
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(ServerError::Ended { program: program.display().to_string(), said })
}

/// Returns `POSTHASTE_BIN`, or a program in the same cargo target directory, or on the `PATH`; release before
/// debug.
fn find_program() -> Result<PathBuf, ServerError> {
    if let Some(program) = std::env::var_os("POSTHASTE_BIN") {
        return Ok(program.into());
    }
    let mut places = Vec::new();
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from) {
        places.extend([target.join("release"), target.join("debug")]);
    }
    // …/target/debug/deps/it-0123 or …/target/debug/orders
    let own = std::env::current_exe().unwrap_or_default();
    for folder in own.ancestors().skip(1).take(3) {
        places.extend([folder.join("../release"), folder.to_path_buf()]);
    }
    // The package's folder in the workspace, where a doc test runs.
    places.extend(["../target/release".into(), "../target/debug".into()]);
    if let Some(path) = std::env::var_os("PATH") {
        places.extend(std::env::split_paths(&path));
    }
    let name = format!("posthaste{}", std::env::consts::EXE_SUFFIX);
    match places.iter().map(|folder| folder.join(&name)).find(|program| program.is_file()) {
        Some(program) => Ok(program),
        None => Err(ServerError::Missing {
            looked_in: places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// Runs a future on a new runtime.
///
/// # Panics
/// The operating system cannot start threads.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads for a runtime").block_on(future)
}
