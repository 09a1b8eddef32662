//! The HTTP server that is subscribed: it works, it refuses, or it hangs up, as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance_crash::random::Random;
use serde_json::Value;

use crate::ledger::{self, Id, Shared};

const WORKING: u8 = 0;
/// It answers 503.
const REFUSING: u8 = 1;
/// It closes the connection without an answer.
const SILENT: u8 = 2;

/// The server; it lives as long as the program.
pub struct Receiver {
    pub url: String,
    mode: Arc<AtomicU8>,
    tokens: Mutex<mpsc::Receiver<String>>,
}

impl Receiver {
    pub fn start(shared: Shared) -> std::io::Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let mode = Arc::new(AtomicU8::new(WORKING));
        let (sender, tokens) = mpsc::channel();
        let inner = Arc::clone(&mode);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, mode, sender) = (Arc::clone(&shared), Arc::clone(&inner), sender.clone());
                std::thread::spawn(move || {
                    // A connection that breaks is the other side's to open again.
                    let _ = serve(stream, &shared, &mode, &sender);
                });
            }
        });
        Ok(Receiver { url, mode, tokens: Mutex::new(tokens) })
    }

    /// What it does during the next life of the server: mostly it works.
    pub fn set_mode(&self, random: &mut Random) {
        let mode = match random.below(6) {
            0 => REFUSING,
            1 => SILENT,
            _ => WORKING,
        };
        self.mode.store(mode, Ordering::SeqCst);
    }

    pub fn work(&self) {
        self.mode.store(WORKING, Ordering::SeqCst);
    }

    /// The token of the request to confirm, which must come.
    pub fn token(&self) -> Result<String, String> {
        let tokens = self.tokens.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        tokens
            .recv_timeout(Duration::from_secs(10))
            .map_err(|_| "no SubscriptionConfirmation came".to_owned())
    }
}

/// Answers the requests of one connection.
fn serve(
    stream: TcpStream,
    shared: &Shared,
    mode: &AtomicU8,
    tokens: &Sender<String>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(|_| std::io::ErrorKind::InvalidData)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let status = match mode.load(Ordering::SeqCst) {
            WORKING => {
                take(&body, shared, tokens);
                "200 OK"
            }
            REFUSING => "503 Service Unavailable",
            _ => return Ok(()),
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.get_mut().write_all(answer.as_bytes())?;
    }
}

/// Writes down what came.
fn take(body: &[u8], shared: &Shared, tokens: &Sender<String>) {
    let envelope: Value = serde_json::from_slice(body).unwrap_or_default();
    if envelope["Type"] == "SubscriptionConfirmation" {
        let _ = tokens.send(envelope["Token"].as_str().unwrap_or_default().to_owned());
        return;
    }
    let message = envelope["Message"].as_str().unwrap_or_default();
    // What bears no id was sent by nobody: as message 2^40 - 1 it is unknown.
    let (id, intact) = Id::from_body(message).unwrap_or((Id::new(0, 0xff_ffff_ffff), false));
    ledger::lock(shared).tell(id, intact);
}
