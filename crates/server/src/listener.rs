//! Sockets: accepts connections, assigns them to threads, and closes them.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

use crate::alarm::{Alarm, sabotage};
use crate::budget::Budget;
use crate::descriptors::TURNED_AWAY;
use crate::engine::Handle;
use crate::lines::{Answer, BUFFER, Line, Lines, Socket, UnderWay, Wish};

/// Interval of the checks of all connections, which cost less than a timer for each request.
const LOOK: Duration = Duration::from_secs(15);

/// Maximum number of concurrent requests on an HTTP/2 connection.
const STREAMS: u32 = 256;

/// Bytes of an answer that are buffered for a slow HTTP/2 client.
const SEND_BUFFER: usize = 64 << 10;

/// Bytes that an HTTP/2 client may send before they are read.
const CONNECTION_WINDOW: u32 = 512 << 10;
const STREAM_WINDOW: u32 = 256 << 10;

/// How long a connection beyond the limit stays open to get its error.
const TELLING: Duration = Duration::from_secs(5);

/// How long the server waits if it has no descriptor to accept a connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);

/// Opens listening sockets on the addresses.
pub fn bind(addresses: &[SocketAddr]) -> std::io::Result<Vec<StdListener>> {
    addresses
        .iter()
        .map(|address| {
            let listener = StdListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .collect()
}

/// The receiving end of one HTTP thread, to which the porter assigns connections.
#[derive(Debug)]
pub struct Desk {
    errands: mpsc::UnboundedReceiver<Errand>,
    open: Arc<AtomicUsize>,
}

/// An order for a desk.
#[derive(Debug)]
enum Errand {
    /// Serve a connection.
    Serve(StdStream),
    /// Answer a connection beyond the limit with an error.
    TurnAway(StdStream, OwnedSemaphorePermit),
    /// Close an idle connection, and report whether there was one.
    MakeRoom(oneshot::Sender<bool>),
}

/// Assigns each connection to the thread with the fewest.
#[derive(Clone, Debug)]
pub struct Porter {
    desks: Vec<(mpsc::UnboundedSender<Errand>, Arc<AtomicUsize>)>,
    /// Number of assigned connections.
    handed: Arc<AtomicUsize>,
    /// Maximum number of open connections.
    most: usize,
    /// Permits for connections beyond the limit, which get an error.
    antechamber: Arc<Semaphore>,
}

/// Creates a porter, and a desk for each of `threads` threads, for at most `connections` connections.
pub fn open(threads: usize, most: usize) -> (Porter, Vec<Desk>) {
    let (senders, desks) = (0..threads)
        .map(|_| {
            let (sender, errands) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            ((sender, open.clone()), Desk { errands, open })
        })
        .unzip();
    let antechamber = Arc::new(Semaphore::new(TURNED_AWAY));
    (Porter { desks: senders, handed: Arc::default(), most, antechamber }, desks)
}

impl Porter {
    /// Accepts connections until the server stops.
    pub async fn accept(
        self,
        listener: StdListener,
        mut stop: watch::Receiver<bool>,
        engine: Handle,
    ) -> std::io::Result<()> {
        let _alarm = Alarm::new(&engine, "the thread that accepts connections");
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|&stop| stop) => return Ok(()),
            };
            sabotage::point("acceptor");
            match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => self.admit(stream).await,
                // Other parts have probably taken the spare descriptors.
                Err(_) => {
                    self.make_room().await;
                    tokio::time::sleep(NO_DESCRIPTOR).await;
                }
            }
        }
    }

    /// Makes room for a connection, if necessary by closing an idle one. If none is idle, the new client gets
    /// an error.
    async fn admit(&self, stream: StdStream) {
        let open: usize = self.desks.iter().map(|(_, open)| open.load(Ordering::Relaxed)).sum();
        if open < self.most || self.make_room().await {
            return self.hand(stream);
        }
        // If there are too many even of those, the connection is closed at once.
        if let Ok(permit) = self.antechamber.clone().try_acquire_owned() {
            let (sender, _) = &self.desks[self.next()];
            // A desk closes only when the server stops.
            let _ = sender.send(Errand::TurnAway(stream, permit));
        }
    }

    /// Closes an idle connection, if there is one.
    async fn make_room(&self) -> bool {
        let first = self.next();
        for number in 0..self.desks.len() {
            let (sender, _) = &self.desks[(first + number) % self.desks.len()];
            let (say, said) = oneshot::channel();
            if sender.send(Errand::MakeRoom(say)).is_ok() && said.await == Ok(true) {
                return true;
            }
        }
        false
    }

    fn hand(&self, stream: StdStream) {
        let (sender, open) = &self.desks[self.next()];
        open.fetch_add(1, Ordering::Relaxed);
        // A desk closes only when the server stops.
        let _ = sender.send(Errand::Serve(stream));
    }

    /// Returns the desk with the fewest connections. Clients often open connections of several kinds
    /// alternately. So ties are broken without a period; otherwise one thread would get all senders and
    /// another all receivers.
    fn next(&self) -> usize {
        let desks = self.desks.len();
        let round = self.handed.fetch_add(1, Ordering::Relaxed) / desks;
        let first = round.count_ones() as usize;
        let by_turns = (first..first + desks).map(|number| number % desks);
        by_turns.min_by_key(|&number| self.desks[number].1.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

/// Serves the connections that are assigned to this thread, until the server stops and all requests are
/// answered, or `grace` is over. `turn_away` answers the connections beyond the limit.
pub async fn serve<H, F, T>(
    mut desk: Desk,
    budget: Budget,
    handler: H,
    turn_away: T,
    mut stop: watch::Receiver<bool>,
    grace: impl Fn() -> Duration,
) where
    H: Fn(Request<Incoming>, Rc<Line>) -> F + Clone + 'static,
    F: Future<Output = Response<Answer>> + 'static,
    T: Fn(Request<Incoming>, Rc<Line>) -> Response<Answer> + Clone + 'static,
{
    let lines = Rc::new(Lines::new(budget));
    let mut look_at = Instant::now() + LOOK;
    loop {
        let errand = tokio::select! {
            errand = desk.errands.recv() => match errand {
                Some(errand) => errand,
                None => break,
            },
            () = tokio::time::sleep_until(look_at), if lines.wants_look() => {
                lines.look();
                look_at = Instant::now() + LOOK;
                continue;
            }
            _ = stop.wait_for(|&stop| stop) => break,
        };
        let (stream, permit) = match errand {
            Errand::Serve(stream) => (stream, None),
            Errand::TurnAway(stream, permit) => (stream, Some(permit)),
            Errand::MakeRoom(said) => {
                // The porter may be gone, with the server.
                let _ = said.send(lines.make_room());
                continue;
            }
        };
        if let Some(permit) = permit {
            let (turn_away, line) = (turn_away.clone(), lines.stranger());
            spawn_local(async move {
                if let Ok(stream) = TcpStream::from_std(stream) {
                    let answer = move |request, line| std::future::ready(turn_away(request, line));
                    let _ = tokio::time::timeout(TELLING, converse(stream, answer, line)).await;
                }
                drop(permit);
            });
            continue;
        }
        if !lines.wants_look() {
            look_at = Instant::now() + LOOK;
        }
        let Ok(stream) = TcpStream::from_std(stream) else {
            desk.open.fetch_sub(1, Ordering::Relaxed);
            continue;
        };
        // Answers are small and written at once, so waiting to fill a packet (Nagle) would only delay them.
        let _ = stream.set_nodelay(true);
        let (number, line) = lines.open();
        // Also if the task that serves it panics.
        let open = Open { lines: lines.clone(), number, count: desk.open.clone() };
        let handler = handler.clone();
        spawn_local(async move {
            converse(stream, handler, line).await;
            drop(open);
        });
    }
    lines.finish();
    let _ = tokio::time::timeout(grace(), async {
        while !lines.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A connection that counts as open until it is dropped.
struct Open {
    lines: Rc<Lines>,
    number: usize,
    count: Arc<AtomicUsize>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.lines.close(self.number);
    }
}

async fn converse<H, F>(stream: TcpStream, handler: H, line: Rc<Line>)
where
    H: Fn(Request<Incoming>, Rc<Line>) -> F + 'static,
    F: Future<Output = Response<Answer>> + 'static,
{
    let mut builder = hyper_util::server::conn::auto::Builder::new(LocalExecutor);
    // An answer is one write. (`pipeline_flush` would do that, too. But it holds an answer back while other
    // bytes of the client are not parsed: half a request, or an invalid one that should get an error.)
    builder.http1().header_read_timeout(None).writev(false).max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .keep_alive_interval(None);
    let own = line.clone();
    let service = service_fn(move |request| {
        let under_way = UnderWay::begin(&own);
        let answer = handler(request, own.clone());
        async move {
            let answer = answer.await;
            drop(under_way);
            Ok::<_, Infallible>(answer)
        }
    });
    let socket = Socket::new(stream, line.clone());
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    poll_fn(|context| {
        match line.take_wish() {
            Wish::None => {}
            Wish::Finish => connection.as_mut().graceful_shutdown(),
            Wish::Leave => return Poll::Ready(()),
        }
        line.remember(context.waker());
        // A broken connection affects only its client.
        connection.as_mut().poll(context).map(drop)
    })
    .await;
}

/// Spawns tasks on their own thread: nothing here is shared.
#[derive(Clone, Copy, Debug)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// Blocking threads of each HTTP thread.
const BLOCKING_THREADS: usize = 16;

/// Runs `task` on this thread, with a runtime of its own.
pub fn run_thread<F: Future<Output = ()>>(task: F) -> std::io::Result<()> {
    // The blocking work is disk reads and signatures.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    LocalSet::new().block_on(&runtime, task);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_two_kinds_that_are_opened_by_turns_are_shared_out_evenly() {
        for desks in [1, 2, 3, 4] {
            let (porter, _ends) = open(desks, 1000);
            let mut kinds = vec![[0_i32; 2]; desks];
            for connection in 0..64 * desks {
                let desk = porter.next();
                porter.desks[desk].1.fetch_add(1, Ordering::Relaxed);
                kinds[desk][connection % 2] += 1;
            }
            for [some, others] in kinds {
                assert_eq!(some + others, 64);
                assert!((some - others).abs() <= 16, "{desks} desks: {some} and {others}");
            }
        }
    }
}
