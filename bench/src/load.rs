//! The client: connections to one server, each with one request in progress, on event loops of one thread
//! each.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::answers::{self, Parsed};
use crate::phase::Phase;
use crate::requests::Operation;
use crate::tally::Tally;
use crate::worker::{Next, Outcome, Worker};

/// Timeout for a connection to be accepted.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval of the checks for overdue answers, in nanoseconds.
const OVERDUE_CHECK_NANOS: u64 = 250_000_000;
/// Maximum size of one read. Ten messages of a few KiB fit, so most answers are read at once and never
/// copied.
const READ_BYTES: usize = 256 * 1024;

/// One thread's connections, connected and idle.
pub(crate) struct Client {
    address: SocketAddr,
    timeout_nanos: u64,
    poll: Poll,
    connections: Vec<Connection>,
    /// Number of connections in [`State::Waiting`], and in [`State::Asking`].
    waiting: usize,
    asking: usize,
}

struct Connection {
    stream: TcpStream,
    worker: Worker,
    /// The current request, and the number of its bytes that are written.
    out: Vec<u8>,
    written: usize,
    /// The received part of an incomplete answer.
    partial: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A request is in progress.
    Asking { operation: Operation, since: u64, began: u64 },
    /// Ask the worker again, at this time at the latest.
    Waiting(u64),
    /// The worker is done.
    Done,
}

/// The result of checking a connection.
enum Look {
    /// Nothing yet.
    Pending,
    /// The connection is lost, for this reason.
    Broken(&'static str),
    /// The answer was processed. The flag says whether the server closes the connection.
    Taken { closes: bool },
}

impl Client {
    /// Opens a connection for each worker.
    ///
    /// # Errors
    ///
    /// A connection is refused, or the system has no more sockets.
    pub(crate) fn connect(
        address: SocketAddr,
        timeout: Duration,
        workers: Vec<Worker>,
    ) -> io::Result<Client> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for (slot, worker) in workers.into_iter().enumerate() {
            let stream = connect(&poll, address, slot)?;
            let (out, partial) = (Vec::with_capacity(4096), Vec::new());
            connections.push(Connection {
                stream,
                worker,
                out,
                written: 0,
                partial,
                state: State::Waiting(0),
            });
        }
        let waiting = connections.len();
        Ok(Client {
            address,
            timeout_nanos: timeout.as_nanos() as u64,
            poll,
            connections,
            waiting,
            asking: 0,
        })
    }

    /// Runs until each worker is done.
    ///
    /// # Errors
    ///
    /// The server cannot be reached any more, or the event loop fails. Single lost connections are counted
    /// and opened again; they are not errors.
    pub(crate) fn work(mut self, phase: &Phase<'_>) -> io::Result<Tally> {
        let mut tally = Tally::new();
        let mut scratch = vec![0; READ_BYTES].into_boxed_slice();
        let mut events = Events::with_capacity(1024);
        let start = phase.now();
        let mut next_overdue_check = start + OVERDUE_CHECK_NANOS;
        for connection in &mut self.connections {
            connection.worker.begin(start);
        }
        loop {
            let mut wake = next_overdue_check;
            let all_has_come = phase.all_has_come();
            // If all connections have a request in progress, which is usual, there is no worker to ask.
            if self.waiting > 0 {
                let now = phase.now();
                for slot in 0..self.connections.len() {
                    if let State::Waiting(_) = self.connections[slot].state {
                        let next = self.connections[slot].step(phase, Outcome::Nothing, 0, now, &mut tally);
                        self.follow(slot, next, phase);
                    }
                    if let State::Waiting(until) = self.connections[slot].state {
                        wake = wake.min(until);
                    }
                }
            }
            if self.waiting == 0 && (self.asking == 0 || (all_has_come && self.only_leavable())) {
                return Ok(tally);
            }
            let timeout = Duration::from_nanos(wake.saturating_sub(phase.now()));
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                let slot = event.token().0;
                self.look(slot, phase, &mut scratch, &mut tally)?;
            }
            if phase.now() >= next_overdue_check {
                next_overdue_check = phase.now() + OVERDUE_CHECK_NANOS;
                self.give_up_overdue(phase, &mut tally)?;
            }
        }
    }

    /// Handles an event on a connection.
    fn look(
        &mut self,
        slot: usize,
        phase: &Phase<'_>,
        scratch: &mut [u8],
        tally: &mut Tally,
    ) -> io::Result<()> {
        let connection = &mut self.connections[slot];
        if connection.written < connection.out.len() && matches!(connection.state, State::Asking { .. }) {
            connection.write();
        }
        let (look, next) = connection.read(phase, scratch, tally);
        match look {
            Look::Pending => return Ok(()),
            Look::Broken(reason) => return self.lose(slot, reason, phase, tally),
            Look::Taken { closes: true } => {
                self.connections[slot].stream = connect(&self.poll, self.address, slot)?;
            }
            Look::Taken { closes: false } => {}
        }
        if let Some(next) = next {
            self.follow(slot, next, phase);
        }
        Ok(())
    }

    /// Carries out a worker's decision.
    fn follow(&mut self, slot: usize, next: Next, phase: &Phase<'_>) {
        let connection = &mut self.connections[slot];
        match connection.state {
            State::Asking { .. } => self.asking -= 1,
            State::Waiting(_) => self.waiting -= 1,
            State::Done => {}
        }
        connection.state = match next {
            Next::Request { operation, since } => {
                self.asking += 1;
                connection.written = 0;
                connection.write();
                State::Asking { operation, since, began: phase.now() }
            }
            Next::Wait(until) => {
                self.waiting += 1;
                State::Waiting(until)
            }
            Next::Done => State::Done,
        };
    }

    /// Replaces a connection that is lost or given up, and continues with the new one.
    fn lose(&mut self, slot: usize, reason: &str, phase: &Phase<'_>, tally: &mut Tally) -> io::Result<()> {
        let connection = &mut self.connections[slot];
        let State::Asking { operation, since, .. } = connection.state else {
            // The server closed an idle connection, which is allowed.
            if connection.state != State::Done {
                connection.stream = connect(&self.poll, self.address, slot)?;
            }
            return Ok(());
        };
        tally.error(format!("{}: {reason}", operation.name()));
        connection.partial.clear();
        connection.stream = connect(&self.poll, self.address, slot)?;
        let next = connection.step(phase, Outcome::Lost(operation), since, phase.now(), tally);
        self.follow(slot, next, phase);
        Ok(())
    }

    /// Returns whether all requests in progress are long polls on queues that get no more messages.
    fn only_leavable(&self) -> bool {
        self.connections.iter().all(|connection| match connection.state {
            State::Asking { operation, .. } => {
                operation == Operation::Receive && connection.worker.may_leave()
            }
            State::Waiting(_) => false,
            State::Done => true,
        })
    }

    fn give_up_overdue(&mut self, phase: &Phase<'_>, tally: &mut Tally) -> io::Result<()> {
        let now = phase.now();
        for slot in 0..self.connections.len() {
            if let State::Asking { began, .. } = self.connections[slot].state
                && now > began + self.timeout_nanos
            {
                self.lose(slot, "no answer in time", phase, tally)?;
            }
        }
        Ok(())
    }
}

impl Connection {
    fn step(
        &mut self,
        phase: &Phase<'_>,
        outcome: Outcome<'_>,
        since: u64,
        now: u64,
        tally: &mut Tally,
    ) -> Next {
        self.worker.step(phase, outcome, since, now, &mut self.out, tally)
    }

    /// Writes as much as the socket accepts; the rest when the loop reports room. A failed write shows as a
    /// closed connection at the next read, which the loop reports, too.
    fn write(&mut self) {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Reads until no more data is available. Passes a complete answer to the worker.
    fn read(&mut self, phase: &Phase<'_>, scratch: &mut [u8], tally: &mut Tally) -> (Look, Option<Next>) {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (Look::Pending, None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return (Look::Broken("connection reset"), None),
            };
            let State::Asking { operation, since, .. } = self.state else {
                return (if count == 0 { Look::Broken("closed while idle") } else { Look::Pending }, None);
            };
            // A complete answer in the common buffer is parsed in place.
            let bytes = if self.partial.is_empty() {
                &scratch[..count]
            } else {
                self.partial.extend_from_slice(&scratch[..count]);
                &self.partial
            };
            match answers::parse(bytes, count == 0) {
                Parsed::Complete(answer) => {
                    let closes = answer.closes;
                    let outcome = Outcome::Answered(operation, &answer);
                    let next = self.worker.step(phase, outcome, since, phase.now(), &mut self.out, tally);
                    self.partial.clear();
                    return (Look::Taken { closes }, Some(next));
                }
                Parsed::Malformed if count == 0 => {
                    return (Look::Broken("connection closed without answer"), None);
                }
                Parsed::Malformed => return (Look::Broken("an answer that is not HTTP"), None),
                Parsed::Incomplete if self.partial.is_empty() => {
                    self.partial.extend_from_slice(&scratch[..count])
                }
                Parsed::Incomplete => {}
            }
            // Edge-triggered: a read that did not fill the buffer has emptied the socket, and the loop will
            // report more data.
            if count < scratch.len() {
                return (Look::Pending, None);
            }
        }
    }
}

/// Opens a connection and registers it with the loop. A replaced connection is deregistered when it is
/// dropped.
fn connect(poll: &Poll, address: SocketAddr, slot: usize) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry().register(&mut stream, Token(slot), Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}
