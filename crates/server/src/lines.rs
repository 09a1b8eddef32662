//! The state of connections: their activity, their memory, and when they are closed.

use std::cell::{Cell, OnceCell, RefCell};
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use slab::Slab;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::allocator;
use crate::budget::{Budget, Lease};

/// Number of checks after which an idle client is disconnected. Idle: it has no request in progress and sends
/// no complete head, or it reads nothing of its answer.
pub const LOOKS: u32 = 4;

/// The same for a client that does not read while others need the memory of its answer.
const LOOKS_WHEN_TIGHT: u32 = 2;

/// A longer answer is passed to hyper in pieces, because hyper copies each.
pub const PIECE: usize = 32 << 10;

/// Maximum length of an HTTP/1 request's head, and of the part of an answer that is buffered for a slow
/// client.
pub const BUFFER: usize = 96 << 10;

/// Memory is reserved for an unfinished head of more than this length.
const HEAD: usize = 8 << 10;

/// After this many bytes, a thread that becomes idle returns memory to the operating system.
const GIVE_BACK: usize = 4 << 20;

/// The connections of one thread.
#[derive(Debug)]
pub struct Lines {
    open: RefCell<Slab<Rc<Line>>>,
    common: Rc<Common>,
}

#[derive(Debug)]
struct Common {
    budget: Budget,
    /// Counts events, so that the most recently active of two connections is known.
    clock: Cell<u64>,
    /// Bytes of large bodies and answers since memory was last returned.
    passed: Cell<usize>,
}

/// A connection.
#[derive(Debug)]
pub struct Line {
    common: Rc<Common>,
    /// Requests in progress.
    under_way: Cell<u32>,
    /// Number of checks since the last activity.
    quiet: Cell<u32>,
    /// When the last request ended, or the connection was opened.
    since: Cell<u64>,
    /// Whether it was asked to close.
    leaves: Cell<bool>,
    wish: Cell<Wish>,
    waker: RefCell<Option<Waker>>,
    /// Long answers that are not written yet.
    answers: Cell<u32>,
    /// Their shared budget.
    share: OnceCell<Arc<Semaphore>>,
    /// Whether anything was written since the last check.
    moved: Cell<bool>,
    /// Bytes that were read while no request was in progress.
    unread: Cell<usize>,
    /// The reserved memory of a long head.
    head: RefCell<Option<Lease>>,
    /// The reserved memory of an answer that was passed to hyper, until it is written.
    leaving: RefCell<Option<Lease>>,
}

/// The instruction for a connection when it is woken next.
#[derive(Clone, Copy, Debug, Default)]
pub enum Wish {
    /// Continue.
    #[default]
    None,
    /// Answer the requests in progress, and accept no more.
    Finish,
    /// Close.
    Leave,
}

impl Lines {
    /// Creates an empty set.
    pub fn new(budget: Budget) -> Self {
        let common = Common { budget, clock: Cell::new(0), passed: Cell::new(0) };
        Lines { open: RefCell::default(), common: Rc::new(common) }
    }

    /// A connection outside of this set, which does not close it.
    pub fn stranger(&self) -> Rc<Line> {
        Rc::new(Line {
            common: self.common.clone(),
            under_way: Cell::default(),
            quiet: Cell::default(),
            since: Cell::default(),
            leaves: Cell::default(),
            wish: Cell::default(),
            waker: RefCell::default(),
            answers: Cell::default(),
            share: OnceCell::new(),
            moved: Cell::default(),
            unread: Cell::default(),
            head: RefCell::default(),
            leaving: RefCell::default(),
        })
    }

    /// Adds a connection, and returns its number.
    pub fn open(&self) -> (usize, Rc<Line>) {
        let line = self.stranger();
        line.note_time();
        (self.open.borrow_mut().insert(line.clone()), line)
    }

    /// Removes the connection with this number.
    pub fn close(&self, number: usize) {
        self.open.borrow_mut().try_remove(number);
    }

    /// Returns whether no connection is open.
    pub fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Returns whether a check can have an effect.
    pub fn wants_look(&self) -> bool {
        !self.is_empty() || self.common.passed.get() > GIVE_BACK
    }

    /// Closes connections that had no activity for several checks. Returns memory to the operating system if
    /// the thread is idle.
    pub fn look(&self) {
        let tight = self.common.budget.is_tight();
        let mut is_busy = false;
        for (_, line) in &*self.open.borrow() {
            let moved = line.moved.replace(false);
            let stuck = line.answers.get() > 0;
            let works = line.under_way.get() > 0 && !stuck;
            is_busy |= moved || stuck;
            let quiet = if moved || works { 0 } else { line.quiet.get() + 1 };
            line.quiet.set(quiet);
            if quiet >= if stuck && tight { LOOKS_WHEN_TIGHT } else { LOOKS } {
                line.leave();
            }
        }
        if !is_busy && self.common.passed.get() > GIVE_BACK {
            self.common.passed.set(0);
            allocator::give_back();
        }
    }

    /// Closes the connection that was inactive for the longest time. Returns whether there was one.
    pub fn make_room(&self) -> bool {
        let open = self.open.borrow();
        let is_idle =
            |line: &&Rc<Line>| line.under_way.get() == 0 && line.answers.get() == 0 && !line.leaves.get();
        let longest = open.iter().map(|(_, line)| line).filter(is_idle).min_by_key(|line| line.since.get());
        longest.inspect(|line| line.leave()).is_some()
    }

    /// Makes all connections refuse further requests.
    pub fn finish(&self) {
        self.open.borrow().iter().for_each(|(_, line)| line.wish(Wish::Finish));
    }
}

impl Line {
    fn wish(&self, wish: Wish) {
        self.wish.set(wish);
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn leave(&self) {
        self.leaves.set(true);
        self.wish(Wish::Leave);
    }

    /// Returns the instruction if it changed.
    pub fn take_wish(&self) -> Wish {
        self.wish.take()
    }

    /// Sets the task to wake for an instruction.
    pub fn remember(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if known.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    fn note_time(&self) {
        let clock = &self.common.clock;
        clock.set(clock.get() + 1);
        self.since.set(clock.get());
    }

    /// Returns the shared budget of its long answers.
    pub fn share(&self) -> &Arc<Semaphore> {
        self.share.get_or_init(|| self.common.budget.share())
    }

    /// Counts transferred bytes.
    pub fn note_passed(&self, bytes: usize) {
        self.common.passed.set(self.common.passed.get().saturating_add(bytes));
    }

    /// Counts received bytes. If there is no memory for a longer head, the connection is closed.
    fn note_read(&self, bytes: usize) -> io::Result<()> {
        if self.under_way.get() > 0 {
            return Ok(());
        }
        let unread = self.unread.get() + bytes;
        self.unread.set(unread);
        if unread > HEAD && self.head.borrow().is_none() {
            let lease = self.common.budget.try_take_head(BUFFER).ok_or(io::ErrorKind::ConnectionAborted)?;
            self.head.replace(Some(lease));
        }
        Ok(())
    }
}

/// A request, from the end of its head until it was answered or its client is gone.
pub struct UnderWay(Rc<Line>);

impl UnderWay {
    /// Notes that a request arrived.
    pub fn begin(line: &Rc<Line>) -> Self {
        line.under_way.set(line.under_way.get() + 1);
        if line.unread.replace(0) > HEAD {
            line.head.replace(None);
        }
        UnderWay(line.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.quiet.set(0);
        self.0.note_time();
    }
}

/// The body of an answer. A long body is passed on in pieces, and keeps its memory reserved until it is
/// written. What follows is made when the client has taken what came before.
pub struct Answer {
    bytes: Bytes,
    held: Option<Held>,
    /// What follows, with the connection, on which a request is in progress until it has ended.
    more: Option<(More, Rc<Line>, UnderWay)>,
}

/// What follows in an answer that goes on: nothing if the answer ends.
pub struct More(pub Pin<Box<dyn Future<Output = Option<Piece>>>>);

/// A piece of an answer that goes on, with its memory, and what follows it.
pub type Piece = (Bytes, Option<Lease>, More);

#[derive(Debug)]
struct Held {
    line: Rc<Line>,
    lease: Option<Lease>,
}

impl Answer {
    /// Creates a body with the memory that was reserved for it.
    pub fn new(bytes: Bytes, lease: Option<Lease>, line: &Rc<Line>) -> Self {
        if bytes.len() <= PIECE {
            return Answer { bytes, held: None, more: None };
        }
        line.answers.set(line.answers.get() + 1);
        line.note_passed(bytes.len());
        Answer { bytes, held: Some(Held { line: line.clone(), lease }), more: None }
    }

    /// The same answer, which goes on.
    pub fn followed_by(mut self, more: More, line: &Rc<Line>) -> Self {
        self.more = Some((more, line.clone(), UnderWay::begin(line)));
        self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.line.answers.set(self.line.answers.get() - 1);
        self.line.leaving.replace(self.lease.take());
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let answer = self.get_mut();
        if answer.bytes.is_empty() {
            let Some((more, line, _)) = &mut answer.more else { return Poll::Ready(None) };
            match more.0.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    answer.more = None;
                    return Poll::Ready(None);
                }
                Poll::Ready(Some((bytes, lease, next))) => {
                    let Answer { bytes, held, .. } = Answer::new(bytes, lease, line);
                    (answer.bytes, answer.held) = (bytes, held);
                    *more = next;
                }
            }
        }
        let piece = answer.bytes.split_to(answer.bytes.len().min(PIECE));
        if answer.bytes.is_empty() {
            answer.held = None;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.more.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.more {
            None => SizeHint::with_exact(self.bytes.len() as u64),
            Some(_) => SizeHint::default(),
        }
    }
}

/// A connection's socket, which counts the bytes that pass through it.
pub struct Socket {
    stream: TcpStream,
    line: Rc<Line>,
}

impl Socket {
    /// Wraps the socket of a connection.
    pub fn new(stream: TcpStream, line: Rc<Line>) -> Self {
        Socket { stream, line }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut socket.stream).poll_read(context, buffer);
        match read {
            Poll::Ready(Ok(())) => Poll::Ready(socket.line.note_read(buffer.filled().len() - before)),
            other => other,
        }
    }
}

impl Socket {
    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(1..)) = written {
            self.line.moved.set(true);
        }
        written
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let written = Pin::new(&mut socket.stream).poll_write(context, bytes);
        socket.note_written(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let written = Pin::new(&mut socket.stream).poll_write_vectored(context, bytes);
        socket.note_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Called when everything that was passed on has been written.
        let socket = self.get_mut();
        drop(socket.line.leaving.borrow_mut().take());
        Pin::new(&mut socket.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
