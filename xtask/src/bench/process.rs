//! A server under measurement: started, asked, looked at from outside, ended.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A running server; it is killed when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From just before the process was made to its first answer.
    pub first_answer: Duration,
    /// What it said.
    log: PathBuf,
}

/// A port that nobody listens on.
pub fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

impl Server {
    /// Starts `command`, which must listen on `address`, and waits for its first answer with status 200.
    pub fn start(mut command: Command, address: SocketAddr, log: &Path) -> Result<Server, Box<dyn Error>> {
        let file = std::fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let begin = Instant::now();
        let child =
            command.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let mut server = Server { child, address, first_answer: Duration::ZERO, log: log.to_owned() };
        while ask(address, "AmazonSQS.ListQueues", "{}").is_none_or(|(status, _)| status != 200) {
            if let Some(status) = server.child.try_wait()? {
                return Err(
                    format!("ended with {status} before it answered; it said: {}", server.said()).into()
                );
            }
            if begin.elapsed() > Duration::from_secs(120) {
                return Err(format!("did not answer within two minutes; it said: {}", server.said()).into());
            }
            // Short beside the milliseconds that are measured, long beside what asking costs the server.
            std::thread::sleep(Duration::from_micros(200));
        }
        server.first_answer = begin.elapsed();
        Ok(server)
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The URL to give to clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets it stand still, whatever it has to do.
    pub fn pause(&self) -> Result<(), Box<dyn Error>> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<(), Box<dyn Error>> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Box<dyn Error>> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|error| format!("{signal:?}: {error}").into())
    }

    /// Ends it as an operator would (SIGTERM) and waits.
    pub fn terminate(mut self) -> Result<ExitStatus, Box<dyn Error>> {
        self.signal(Signal::TERM)?;
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begin.elapsed() > Duration::from_secs(60) {
                return Err("it did not end within a minute of SIGTERM".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What `/proc/PID/status` says under `name`, in bytes.
    pub fn memory(&self, name: &str) -> Result<u64, Box<dyn Error>> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        Ok(kib.ok_or_else(|| format!("/proc/PID/status has no {name}"))? * 1024)
    }

    /// Nanoseconds that all its threads have run, from the scheduler's own books.
    pub fn cpu_nanos(&self) -> Result<u64, Box<dyn Error>> {
        let mut sum = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let line = std::fs::read_to_string(task?.path().join("schedstat"))?;
            sum += line.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }

    fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.chars().take(600).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// One call in JSON of the operation that `target` names, on a connection of its own: status and body, or nothing if the
/// server is not there.
pub fn ask(address: SocketAddr, target: &str, body: &str) -> Option<(u16, String)> {
    exchange(
        address,
        "sqs",
        &format!("X-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-1.0"),
        body,
    )
}

/// The same in the query protocol: the body is a form that names the operation.
pub fn ask_form(address: SocketAddr, service: &str, body: &str) -> Option<(u16, String)> {
    exchange(address, service, "Content-Type: application/x-www-form-urlencoded; charset=utf-8", body)
}

fn exchange(address: SocketAddr, service: &str, headers: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let request = request(address, service, &format!("{headers}\r\nConnection: close"), body);
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.get(9..12)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

/// The bytes of a request, signed in form; `headers` are those of its protocol.
pub fn request(address: SocketAddr, service: &str, headers: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\n{headers}\r\nX-Amz-Date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={:064}\r\nContent-Length: {}\r\n\r\n{body}",
        0,
        body.len(),
    )
}
