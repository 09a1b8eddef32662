//! Connections as they are seen from outside: what happens on them, what they hold, and when they are let go.

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

/// A client that has no request under way and sends no whole head of one, or that reads nothing of its answer, is let go after so
/// many looks at it.
pub const LOOKS: u32 = 4;

/// The same of one that does not read while others need the memory that its answer takes.
const LOOKS_WHEN_TIGHT: u32 = 2;

/// An answer that is longer than this is handed over in pieces: hyper copies what it is handed.
pub const PIECE: usize = 32 << 10;

/// The longest head of a request in HTTP/1, and what is kept of an answer that the client does not read fast enough.
pub const BUFFER: usize = 96 << 10;

/// The head of a request that is longer than this, and not finished, has its room counted.
const HEAD: usize = 8 << 10;

/// When so much has gone through a thread and it has nothing to do, it gives memory back.
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
    /// Counts what happens, so that of two connections it is known on which something has happened later.
    clock: Cell<u64>,
    /// Bytes of large bodies and answers since memory was given back.
    passed: Cell<usize>,
}

/// A connection.
#[derive(Debug)]
pub struct Line {
    common: Rc<Common>,
    /// Requests that are being answered.
    under_way: Cell<u32>,
    /// Looks at it since something has happened.
    quiet: Cell<u32>,
    /// When a request has ended last, or it was opened.
    since: Cell<u64>,
    /// Whether it was asked to go.
    leaves: Cell<bool>,
    wish: Cell<Wish>,
    waker: RefCell<Option<Waker>>,
    /// Long answers that are not written yet.
    answers: Cell<u32>,
    /// The room that they have together.
    share: OnceCell<Arc<Semaphore>>,
    /// Whether something was written since the last look.
    moved: Cell<bool>,
    /// Bytes that were read while no request was under way.
    unread: Cell<usize>,
    /// The room of a long head.
    head: RefCell<Option<Lease>>,
    /// The room of an answer that has been handed over, until it is written.
    leaving: RefCell<Option<Lease>>,
}

/// What a connection is to do when it is woken next.
#[derive(Clone, Copy, Debug, Default)]
pub enum Wish {
    /// Nothing else.
    #[default]
    None,
    /// Answer what is under way, and take nothing more.
    Finish,
    /// Go.
    Leave,
}

impl Lines {
    /// None is open.
    pub fn new(budget: Budget) -> Self {
        let common = Common { budget, clock: Cell::new(0), passed: Cell::new(0) };
        Lines { open: RefCell::default(), common: Rc::new(common) }
    }

    /// A connection that is not among these, and will not be let go by them.
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

    /// Another one, and its number.
    pub fn open(&self) -> (usize, Rc<Line>) {
        let line = self.stranger();
        line.note_time();
        (self.open.borrow_mut().insert(line.clone()), line)
    }

    /// The connection of this number is closed.
    pub fn close(&self, number: usize) {
        self.open.borrow_mut().try_remove(number);
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Whether a look is of any use.
    pub fn wants_look(&self) -> bool {
        !self.is_empty() || self.common.passed.get() > GIVE_BACK
    }

    /// Lets those go on which nothing has happened since some looks ago. Gives memory back when there is nothing to do.
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

    /// Lets the one go on which nothing has happened for the longest time. Says whether there is one.
    pub fn make_room(&self) -> bool {
        let open = self.open.borrow();
        let is_idle =
            |line: &&Rc<Line>| line.under_way.get() == 0 && line.answers.get() == 0 && !line.leaves.get();
        let longest = open.iter().map(|(_, line)| line).filter(is_idle).min_by_key(|line| line.since.get());
        longest.inspect(|line| line.leave()).is_some()
    }

    /// None takes another request.
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

    /// What it is to do now, if that is not what it does.
    pub fn take_wish(&self) -> Wish {
        self.wish.take()
    }

    /// Whom to wake for a wish.
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

    /// The room that its long answers have together.
    pub fn share(&self) -> &Arc<Semaphore> {
        self.share.get_or_init(|| self.common.budget.share())
    }

    /// So many bytes have gone through.
    pub fn note_passed(&self, bytes: usize) {
        self.common.passed.set(self.common.passed.get().saturating_add(bytes));
    }

    /// Bytes have come. Without room for more of a head the connection has to go.
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

/// A request, from when its head has been read until it has been answered or its client has gone.
pub struct UnderWay(Rc<Line>);

impl UnderWay {
    /// A request has come.
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

/// The body of an answer. A long one is handed over piece by piece, and has its room until it is written.
#[derive(Debug)]
pub struct Answer {
    bytes: Bytes,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    line: Rc<Line>,
    lease: Option<Lease>,
}

impl Answer {
    /// A body, and the room that was taken for it.
    pub fn new(bytes: Bytes, lease: Option<Lease>, line: &Rc<Line>) -> Self {
        if bytes.len() <= PIECE {
            return Answer { bytes, held: None };
        }
        line.answers.set(line.answers.get() + 1);
        line.note_passed(bytes.len());
        Answer { bytes, held: Some(Held { line: line.clone(), lease }) }
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
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let answer = self.get_mut();
        if answer.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let piece = answer.bytes.split_to(answer.bytes.len().min(PIECE));
        if answer.bytes.is_empty() {
            answer.held = None;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// A connection's socket, which tells what goes through it.
pub struct Socket {
    stream: TcpStream,
    line: Rc<Line>,
}

impl Socket {
    /// The socket of a connection.
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
        // This is called when all that was handed over has been written.
        let socket = self.get_mut();
        drop(socket.line.leaving.borrow_mut().take());
        Pin::new(&mut socket.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
