//! Sockets: who is let in, on which thread, and for how long.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

/// A client that has not sent its request's head after so long is let go.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections that are open at once at the most; more wait in the kernel's queue.
const CONNECTIONS: usize = 16_384;

/// How long a stopping server waits for requests that are being answered.
const GRACE: Duration = Duration::from_secs(10);

/// Sockets that listen, as the addresses say.
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

/// One HTTP thread's end of the line on which connections are handed out.
#[derive(Debug)]
pub struct Desk {
    connections: mpsc::UnboundedReceiver<StdStream>,
    open: Arc<AtomicUsize>,
}

/// Hands connections to the thread that has fewest.
#[derive(Clone, Debug)]
pub struct Porter {
    desks: Vec<(mpsc::UnboundedSender<StdStream>, Arc<AtomicUsize>)>,
}

/// A porter and a desk for each of `threads` threads.
pub fn open(threads: usize) -> (Porter, Vec<Desk>) {
    let (senders, desks) = (0..threads)
        .map(|_| {
            let (sender, connections) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            ((sender, open.clone()), Desk { connections, open })
        })
        .unzip();
    (Porter { desks: senders }, desks)
}

impl Porter {
    /// Accepts connections until the server stops.
    pub async fn accept(self, listener: StdListener, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|&stop| stop) => return Ok(()),
            };
            let open: usize = self.desks.iter().map(|(_, open)| open.load(Ordering::Relaxed)).sum();
            match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) if open < CONNECTIONS => self.hand(stream),
                // Closed at once: better than a client that waits for an answer that cannot come.
                Ok(_) => {}
                // Too many open files, most likely: let some be closed first.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn hand(&self, stream: StdStream) {
        let fewest = self.desks.iter().min_by_key(|(_, open)| open.load(Ordering::Relaxed));
        if let Some((sender, open)) = fewest {
            open.fetch_add(1, Ordering::Relaxed);
            // A desk closes only when the server stops.
            let _ = sender.send(stream);
        }
    }
}

/// Serves the connections that are handed to this thread, until the server stops and all requests are answered.
pub async fn serve<H, F>(mut desk: Desk, handler: H, mut stop: watch::Receiver<bool>)
where
    H: Fn(Request<Incoming>) -> F + Clone + 'static,
    F: Future<Output = Response<Full<Bytes>>> + 'static,
{
    let busy = Rc::new(Cell::new(0usize));
    loop {
        let stream = tokio::select! {
            stream = desk.connections.recv() => match stream {
                Some(stream) => stream,
                None => break,
            },
            _ = stop.wait_for(|&stop| stop) => break,
        };
        let Ok(stream) = TcpStream::from_std(stream) else {
            desk.open.fetch_sub(1, Ordering::Relaxed);
            continue;
        };
        // Answers are small and written whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let (handler, stop, open, busy) = (handler.clone(), stop.clone(), desk.open.clone(), busy.clone());
        busy.set(busy.get() + 1);
        spawn_local(async move {
            converse(stream, handler, stop).await;
            open.fetch_sub(1, Ordering::Relaxed);
            busy.set(busy.get() - 1);
        });
    }
    let _ = tokio::time::timeout(GRACE, async {
        while busy.get() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn converse<H, F>(stream: TcpStream, handler: H, mut stop: watch::Receiver<bool>)
where
    H: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Response<Full<Bytes>>> + 'static,
{
    let mut builder = hyper_util::server::conn::auto::Builder::new(LocalExecutor);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).pipeline_flush(true);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1024).keep_alive_interval(None);
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A broken connection concerns nobody but its client.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|&stop| stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Runs tasks on the thread that they were made on: nothing here is shared.
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

/// Runs `task` on this thread, with a runtime of its own.
pub fn run_thread<F: Future<Output = ()>>(task: F) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, task);
    Ok(())
}
