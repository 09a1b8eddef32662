//! The server under test as a process: started, watched, killed.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::options::Options;
use crate::patience::Patience;

/// Longer than any recovery takes; a disk that is busy with other things may need seconds for one sync.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// One process; killed at the latest when it is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    directory: PathBuf,
}

/// Starts the program on a free port. It may not answer yet.
pub fn spawn(program: &str, options: &Options) -> Result<Server, String> {
    let address = free_address().ok_or("no port is free")?;
    let log = options.directory.with_extension("log");
    let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let errors = file.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
    let child = Command::new(program)
        .args(["--listen", &address.to_string(), "--durability", &options.durability, "--data"])
        .arg(&options.directory)
        .args(&options.flags)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    Ok(Server { child, address, log, directory: options.directory.clone() })
}

/// A port below those that outgoing connections get: a client that knocks at one of these before the server listens
/// may be connected to itself.
fn free_address() -> Option<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs that were started together have numbers in a row, and are to have ports far apart.
    let first = (std::process::id() % 6000 * 769 % 6000) as u16;
    (0..12_000).find_map(|_| {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed) % 6000);
        let listener = TcpListener::bind(("127.0.0.1", port)).ok()?;
        listener.local_addr().ok()
    })
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server answers; how long that took.
    pub fn wait_until_ready(&mut self) -> Result<Duration, String> {
        let begun = Instant::now();
        let mut patience = Patience::new(READY_WITHIN);
        loop {
            let mut client = Client::new(self.address);
            // Another run's server may have got the port meanwhile: its messages are not this run's.
            let is_own = |body: &[u8]| {
                let health: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
                health["journal"]["directory"].as_str().is_some_and(|path| self.directory == Path::new(path))
            };
            if client.get("/_posthaste/health").is_ok_and(|(status, body)| status == 200 && is_own(&body)) {
                return Ok(begun.elapsed());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server did not start again ({status}):\n{}", self.told()));
            }
            if patience.is_over() {
                return Err(format!("the server was not ready within {READY_WITHIN:?}:\n{}", self.told()));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// SIGKILL. That the server had ended by itself is an error.
    pub fn kill(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the server ended by itself ({status}):\n{}", self.told()));
        }
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .map(|_| ())
            .map_err(|error| format!("kill: {error}"))
    }

    fn told(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}
