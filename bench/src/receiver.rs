//! An HTTP subscriber: confirms subscriptions on request, answers each delivery with 200, and records
//! arrivals and their latencies.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::answers::strings;
use crate::checks::book;
use crate::ledger::Ledger;
use crate::tally::Tally;

/// Maximum length of a request: a message in JSON, all of it escaped.
const LONGEST_DELIVERY: usize = 8 * 1024 * 1024;
/// One of this many deliveries is compared byte for byte.
const COMPARE_EVERY: u64 = 7;

/// The data for recording arrivals.
pub(crate) struct Books {
    pub(crate) ledger: Arc<Ledger>,
    /// Distinguishes this run's messages from others.
    pub(crate) run: u32,
    /// The body that was sent, without its identity.
    pub(crate) filler: Vec<u8>,
    /// The clock of the messages' times.
    pub(crate) clock: Instant,
}

/// A receiver that listens until it is dropped.
pub(crate) struct Receiver {
    /// The address it listens on.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    books: Books,
    tally: Mutex<Tally>,
    confirmed: AtomicU64,
    deliveries: AtomicU64,
    /// The time window for latencies, in nanoseconds of the run's clock.
    from: AtomicU64,
    until: AtomicU64,
    closed: AtomicBool,
    /// Open connections, so that they can be closed; a thread each, because the server opens at most a few
    /// dozen.
    streams: Mutex<HashMap<u64, TcpStream>>,
}

impl Receiver {
    /// Listens on `address`; port 0 selects a free one.
    ///
    /// # Errors
    ///
    /// The receiver cannot listen on the address.
    pub(crate) fn start(address: SocketAddr, books: Books) -> io::Result<Receiver> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            books,
            tally: Mutex::new(Tally::new()),
            confirmed: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
            from: AtomicU64::new(u64::MAX),
            until: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            streams: Mutex::new(HashMap::new()),
        });
        let ours = shared.clone();
        let thread = std::thread::spawn(move || ours.accept(&listener));
        Ok(Receiver { address, shared, thread: Some(thread) })
    }

    /// Returns the URL to subscribe.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Waits until a subscription was confirmed. Returns whether one was.
    pub(crate) fn wait_confirmed(&self, patience: Duration) -> bool {
        let begin = Instant::now();
        while self.shared.confirmed.load(Relaxed) == 0 {
            if begin.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Sets the time window for latencies, in nanoseconds of the run's clock.
    pub(crate) fn measure_between(&self, from: u64, until: u64) {
        self.shared.from.store(from, Relaxed);
        self.shared.until.store(until, Relaxed);
    }

    /// Returns the results so far: latencies as `end_to_end`, errors, comparisons.
    pub(crate) fn take(&self) -> Tally {
        std::mem::replace(&mut *lock(&self.shared.tally), Tally::new())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.closed.store(true, Relaxed);
        // The thread waits in `accept`; a connection wakes it. It may be gone already.
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
        for stream in lock(&self.shared.streams).values() {
            // The other side may have closed it first.
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Shared>, listener: &TcpListener) {
        for (number, stream) in listener.incoming().enumerate() {
            if self.closed.load(Relaxed) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let Ok(watched) = stream.try_clone() else { continue };
            lock(&self.streams).insert(number as u64, watched);
            let shared = self.clone();
            std::thread::spawn(move || {
                // The server handles a broken connection: it delivers again, and the ledger shows it.
                _ = shared.serve(stream);
                lock(&shared.streams).remove(&(number as u64));
            });
        }
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::with_capacity(16 * 1024, stream.try_clone()?);
        let (mut line, mut body) = (String::new(), Vec::new());
        loop {
            let (mut length, mut confirms) = (0, false);
            loop {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let Some((name, value)) = line.trim_end().split_once(':') else {
                    // The request line, or the empty line that ends the headers.
                    if line.trim_end().is_empty() {
                        break;
                    }
                    continue;
                };
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
                } else if name.eq_ignore_ascii_case("x-amz-sns-message-type") {
                    confirms = value.trim() == "SubscriptionConfirmation";
                }
            }
            if length > LONGEST_DELIVERY {
                return Err(io::ErrorKind::InvalidData.into());
            }
            body.resize(length, 0);
            reader.read_exact(&mut body)?;
            let now = self.books.clock.elapsed().as_nanos() as u64;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            if confirms {
                confirm(&body)?;
                self.confirmed.fetch_add(1, Relaxed);
            } else {
                self.arrived(&body, now);
            }
        }
    }

    fn arrived(&self, body: &[u8], now: u64) {
        let books = &self.books;
        let compare = self.deliveries.fetch_add(1, Relaxed).is_multiple_of(COMPARE_EVERY);
        let mut tally = lock(&self.tally);
        let Some(identity) = book(&books.ledger, books.run, &books.filler, 0, body, compare, &mut tally)
        else {
            return;
        };
        tally.compared += u64::from(compare);
        if now >= self.from.load(Relaxed) && now < self.until.load(Relaxed) {
            tally.end_to_end.saturating_record(now.saturating_sub(identity.sent_at).max(1));
        }
    }
}

/// Opens the link of a confirmation request.
fn confirm(body: &[u8]) -> io::Result<()> {
    let found = strings(body).find(|(key, _)| *key == b"SubscribeURL").map(|(_, url)| url);
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    // JSON escapes at most the slash and the ampersand in a URL.
    let url = std::str::from_utf8(found.ok_or_else(wrong)?).map_err(|_| wrong())?;
    let url = url.replace("\\/", "/").replace("\\u0026", "&");
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream
        .write_all(format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    if answer.ends_with(b" 200") { Ok(()) } else { Err(wrong()) }
}

/// The tally is valid after a panic of another thread.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
