//! HTTP/1.1 connections without TLS, each driven by the calling task: no extra task to wake, and no copy of
//! the body.
//!
//! Answers are parsed in the connection's buffer. Unsupported syntax is an error; the caller then uses the
//! SDK.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::direct::POSTHASTE;

/// Servers close idle connections; most wait longer than this.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Ten messages of a few hundred bytes, with their other fields.
const USUAL_ANSWER: usize = 32 * 1024;
/// Maximum size of a buffer that a thread keeps.
const KEPT: usize = 256 * 1024;
const LONGEST_HEAD: usize = 64 * 1024;
const MOST_HEADERS: usize = 64;

thread_local! {
    /// The buffers for answers and heads while no connection of this thread uses them. An idle connection has
    /// none, and the next one finds them in the processor's cache.
    static INCOMING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static HEAD: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The connections to one server.
#[derive(Debug)]
pub(super) struct Connections {
    /// `host:port`
    address: String,
    connect_timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Connections {
    pub fn to(address: String, connect_timeout: Duration) -> Connections {
        Connections { address, connect_timeout, idle: Mutex::default() }
    }

    /// Returns the connection that was used last, or a new one.
    pub async fn take(&self) -> io::Result<Connection> {
        while let Some(mut connection) = self.last() {
            if connection.is_usable() {
                connection.head = HEAD.take();
                return Ok(connection);
            }
        }
        let stream = tokio::time::timeout(self.connect_timeout, TcpStream::connect(&self.address));
        let stream = stream.await.map_err(io::Error::from)??;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, head: HEAD.take(), incoming: Vec::new(), idle_since: Instant::now() })
    }

    /// Returns a connection for reuse after this answer, if the answer keeps it open. (Otherwise it is closed
    /// when dropped.)
    pub fn give_back(&self, mut connection: Connection, answer: &Answer) {
        if !answer.stays_open {
            return;
        }
        keep(&INCOMING, std::mem::take(&mut connection.incoming));
        connection.idle_since = Instant::now();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    fn last(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// A connection without a request in progress.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// The head that is sent before the next body.
    pub head: Vec<u8>,
    incoming: Vec<u8>,
    idle_since: Instant,
}

/// An answer in the connection's buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    /// Whether the connection can be reused.
    pub stays_open: bool,
    /// Whether the `server` header names Posthaste.
    pub is_posthaste: bool,
    body: Range<usize>,
}

impl Connection {
    /// Sends the head and the body.
    pub async fn send(&mut self, body: &[u8]) -> io::Result<()> {
        self.incoming.clear();
        let head = self.head.as_slice();
        let mut written = self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]).await?;
        if written < head.len() {
            self.stream.write_all(&head[written..]).await?;
            written = head.len();
        }
        self.stream.write_all(&body[written - head.len()..]).await?;
        keep(&HEAD, std::mem::take(&mut self.head));
        Ok(())
    }

    /// Reads the answer to the request.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let (mut head, mut at_end) = (None, false);
        loop {
            if head.is_none() && !self.incoming.is_empty() {
                head = Head::read(&self.incoming)?;
            }
            if let Some(head) = &head
                && let Some(answer) = head.answer(&mut self.incoming, at_end)?
            {
                return Ok(answer);
            }
            if at_end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(Head { length, body: Framing::Length(bytes), .. }) = &head {
                self.incoming.reserve((length + bytes).saturating_sub(self.incoming.len()));
            }
            at_end = self.read().await? == 0;
        }
    }

    /// Tells the server that no more requests follow. A server that has not answered yet can then end its
    /// work for this connection. An answer that it has already sent can still be read.
    pub async fn no_more(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    async fn read(&mut self) -> io::Result<usize> {
        poll_fn(|context| {
            if self.incoming.capacity() == 0 {
                self.incoming = INCOMING.take();
            }
            if self.incoming.spare_capacity_mut().len() < 4096 {
                self.incoming.reserve(USUAL_ANSWER);
            }
            let read = pin!(self.stream.read_buf(&mut self.incoming)).poll(context);
            if read.is_pending() && self.incoming.is_empty() {
                keep(&INCOMING, std::mem::take(&mut self.incoming));
            }
            read
        })
        .await
    }

    pub fn body(&self, answer: &Answer) -> &[u8] {
        &self.incoming[answer.body.clone()]
    }

    /// Returns whether the connection can be used: not if it was closed or has unexpected bytes. (Asks the
    /// operating system only if there may be something.)
    fn is_usable(&self) -> bool {
        let nothing = self.stream.try_read(&mut [0]);
        nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            && self.idle_since.elapsed() < IDLE_FOR
    }
}

/// Keeps the buffer for this thread's next connection.
fn keep(place: &'static std::thread::LocalKey<Cell<Vec<u8>>>, mut buffer: Vec<u8>) {
    if buffer.capacity() <= KEPT {
        buffer.clear();
        // A thread that ends needs no buffer.
        let _ = place.try_with(|place| place.set(buffer));
    }
}

/// The parsed head of an answer.
#[derive(Debug)]
struct Head {
    /// Length in bytes, including the empty line.
    length: usize,
    status: u16,
    keeps_alive: bool,
    is_posthaste: bool,
    body: Framing,
}

/// The end of the body.
#[derive(Debug)]
enum Framing {
    Length(usize),
    Chunks,
    /// The body ends when the connection closes.
    Open,
}

impl Head {
    /// Returns `None` if the head is not complete yet.
    fn read(bytes: &[u8]) -> io::Result<Option<Head>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes).map_err(|why| malformed(why.to_string()))? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial if bytes.len() > LONGEST_HEAD => {
                return Err(malformed("an endless head"));
            }
            httparse::Status::Partial => return Ok(None),
        };
        let mut head = Head {
            length,
            status: response.code.unwrap_or(0),
            keeps_alive: response.version == Some(1),
            is_posthaste: false,
            body: Framing::Open,
        };
        for header in &*response.headers {
            let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
            // Their lengths distinguish most of the others.
            if header.name.eq_ignore_ascii_case("content-length") {
                if !matches!(head.body, Framing::Chunks) {
                    head.body = Framing::Length(value.parse().map_err(|_| malformed("no such length"))?);
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                if !value.eq_ignore_ascii_case("chunked") {
                    return Err(malformed("an unknown transfer encoding"));
                }
                head.body = Framing::Chunks;
            } else if header.name.eq_ignore_ascii_case("connection") {
                head.keeps_alive &= !value.eq_ignore_ascii_case("close");
            } else if header.name.eq_ignore_ascii_case("server") {
                head.is_posthaste = value.starts_with(POSTHASTE);
            } else if header.name.eq_ignore_ascii_case("content-encoding") {
                return Err(malformed("an encoding that was not asked for"));
            }
        }
        Ok(Some(head))
    }

    /// Returns the answer when it is complete. Chunks of a body are joined in place.
    fn answer(&self, bytes: &mut [u8], at_end: bool) -> io::Result<Option<Answer>> {
        let (end, length) = match self.body {
            Framing::Length(length) => {
                let end = self.length.checked_add(length).ok_or_else(|| malformed("no such length"))?;
                if bytes.len() < end {
                    return Ok(None);
                }
                (end, end)
            }
            Framing::Chunks => match dechunk(bytes, self.length)? {
                None => return Ok(None),
                Some(ends) => ends,
            },
            Framing::Open if at_end => (bytes.len(), bytes.len()),
            Framing::Open => return Ok(None),
        };
        let stays_open = self.keeps_alive && !at_end && length == bytes.len();
        let (status, is_posthaste) = (self.status, self.is_posthaste);
        Ok(Some(Answer { status, stays_open, is_posthaste, body: self.length..end }))
    }
}

/// Joins the chunks that begin at `start`, when the last has arrived. Returns the end of the body, and of the
/// consumed bytes.
fn dechunk(bytes: &mut [u8], start: usize) -> io::Result<Option<(usize, usize)>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut place = start;
    loop {
        let Some(line) = bytes[place..].windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&bytes[place..place + line]).unwrap_or_default();
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed("no such chunk"))?;
        place += line + 2;
        if size == 0 {
            break;
        }
        let end = place.checked_add(size).ok_or_else(|| malformed("no such chunk"))?;
        match bytes.get(end..) {
            Some([b'\r', b'\n', ..]) => {}
            Some([_, _, ..]) => return Err(malformed("a chunk without an end")),
            _ => return Ok(None),
        }
        parts.push(place..end);
        place = end + 2;
    }
    // These servers send no trailers, so the empty line follows.
    match bytes.get(place..) {
        Some([b'\r', b'\n', ..]) => {}
        Some([_, _, ..]) => return Err(malformed("trailers")),
        _ => return Ok(None),
    }
    let mut end = start;
    for part in parts {
        let length = part.len();
        bytes.copy_within(part, end);
        end += length;
    }
    Ok(Some((end, place + 2)))
}

fn malformed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Returns the body, and whether the connection stays open, if `bytes` are a complete answer.
    fn read(bytes: &[u8], at_end: bool) -> io::Result<Option<(u16, String, bool)>> {
        let mut bytes = bytes.to_vec();
        let Some(head) = Head::read(&bytes)? else { return Ok(None) };
        let answer = head.answer(&mut bytes, at_end)?;
        let text = |body: Range<usize>| String::from_utf8(bytes[body].to_vec()).unwrap();
        Ok(answer.map(|answer| (answer.status, text(answer.body), answer.stays_open)))
    }

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there_and_not_before() {
        let texts = [
            &b"HTTP/1.1 200 OK\r\nContent-Type: x\r\ncontent-length: 13\r\n\r\nhello, world!"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n08;a=b\r\n, world!\r\n0\r\n\r\n",
        ];
        for text in texts {
            for end in 0..text.len() {
                assert_eq!(read(&text[..end], false).unwrap(), None, "at {end}");
            }
            assert_eq!(read(text, false).unwrap(), Some((200, "hello, world!".into(), true)));
        }
    }

    #[test]
    fn what_ends_with_its_connection_or_says_so_is_not_used_again() {
        for (text, at_end) in [
            (&b"HTTP/1.1 400 Bad\r\ncontent-length: 2\r\nConnection: Close\r\n\r\nno"[..], false),
            (b"HTTP/1.0 400 Bad\r\ncontent-length: 2\r\n\r\nno", false),
            (b"HTTP/1.1 400 Bad\r\n\r\nno", true),
            (b"HTTP/1.1 400 Bad\r\ncontent-length: 2\r\n\r\nno", true),
            (b"HTTP/1.1 400 Bad\r\ncontent-length: 2\r\n\r\nno, and more", false),
        ] {
            assert_eq!(read(text, at_end).unwrap(), Some((400, "no".into(), false)));
        }
    }

    #[test]
    fn a_posthaste_is_known_by_its_name() {
        for (name, is_posthaste) in [("posthaste", true), ("posthaste/2", true), ("Server", false)] {
            let text = format!("HTTP/1.1 200 OK\r\nServer: {name}\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(Head::read(text.as_bytes()).unwrap().unwrap().is_posthaste, is_posthaste);
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\n?",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello, world\r\n0\r\n\r\n",
        ] {
            assert!(read(text.as_bytes(), false).is_err(), "{text}");
        }
        assert!(Head::read(&[b"HTTP/1.1 200 OK\r\na:", &*vec![b'b'; LONGEST_HEAD]].concat()).is_err());
    }

    #[tokio::test]
    async fn a_connection_is_used_again_until_the_server_closes_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // Larger than any socket's buffer, so that it does not arrive at once.
        let large = vec![b'a'; 3 << 20];
        let expected = large.len();
        let server = tokio::spawn(async move {
            for connection in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                for _ in 0..2 {
                    let mut request = vec![0; "head".len() + expected];
                    stream.read_exact(&mut request).await.unwrap();
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {expected}\r\n\r\n");
                    stream.write_all(head.as_bytes()).await.unwrap();
                    request[4..].fill(b'0' + connection);
                    stream.write_all(&request[4..]).await.unwrap();
                }
            }
        });
        let connections = Connections::to(address, Duration::from_secs(60));
        let mut answered = Vec::new();
        for _ in 0..4 {
            let mut connection = connections.take().await.unwrap();
            connection.head.clear();
            connection.head.extend_from_slice(b"head");
            connection.send(&large).await.unwrap();
            let answer = connection.answer().await.unwrap();
            assert!((answer.status, answer.stays_open) == (200, true));
            let body = connection.body(&answer);
            assert!(body.len() == expected && body.iter().all(|byte| *byte == body[0]));
            answered.push(body[0]);
            if answered.len() == 2 {
                // The server closes its end after the second answer; wait for that.
                while connection.is_usable() {
                    connection.stream.readable().await.unwrap();
                }
            }
            assert!(!answer.is_posthaste);
            connections.give_back(connection, &answer);
        }
        assert_eq!(connections.idle.lock().unwrap().len(), 1, "it is still there for others");
        assert_eq!(answered, *b"0011");
        server.await.unwrap();
    }
}
