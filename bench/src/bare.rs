//! The limit set by HTTP: a bare hyper server that answers SQS's requests with constant bytes.
//!
//! Its number means: the cost of HTTP alone, with hyper, this client and this machine: accept, parse the
//! head, read the whole body, write an answer of the size of an SQS server's. It does not mean that a real
//! server could reach it. This server parses no JSON, checks no signature, computes no MD5, has no queues,
//! stores nothing, and returns the same ten messages to each receiver.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A bare server that runs until the process ends.
pub struct BareServer {
    /// The address it listens on.
    pub address: SocketAddr,
    threads: Vec<std::thread::JoinHandle<io::Result<()>>>,
}

impl BareServer {
    /// Starts `threads` threads, each with its own runtime and its own listening socket on the same address
    /// (with SO_REUSEPORT the kernel distributes the connections). ReceiveMessage returns messages of
    /// `message_bytes`.
    ///
    /// # Errors
    ///
    /// The server cannot listen on the address.
    pub fn start(address: SocketAddr, threads: usize, message_bytes: usize) -> io::Result<BareServer> {
        let first = listen(address)?;
        let address = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..threads {
            listeners.push(listen(address)?);
        }
        let threads = listeners
            .into_iter()
            .map(|listener| std::thread::spawn(move || serve(listener, Answers::new(address, message_bytes))))
            .collect();
        Ok(BareServer { address, threads })
    }

    /// Waits for the threads, which end only by an error.
    ///
    /// # Errors
    ///
    /// A runtime cannot be created, or accepting fails.
    pub fn join(self) -> io::Result<()> {
        for thread in self.threads {
            // A panic of a thread is a bug and must be visible.
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket =
        if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.set_reuseport(true)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // Listening registers with a runtime, but this thread does not need a permanent one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    socket.listen(1024)?.into_std()
}

fn serve(listener: std::net::TcpListener, answers: Answers) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = tokio::task::LocalSet::new();
    let answers = Rc::new(answers);
    tasks.block_on(&runtime, async move {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answers = answers.clone();
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| answer(answers.clone(), request));
                // A broken connection affects only its client.
                _ = http1::Builder::new().writev(false).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

async fn answer(
    answers: Rc<Answers>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").cloned();
    let (status, body) = match request.into_body().collect().await {
        Ok(body) => {
            drop(body.to_bytes());
            answers.of(target.as_ref().map_or(b"", HeaderValue::as_bytes))
        }
        Err(_) => (StatusCode::BAD_REQUEST, Bytes::new()),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    let id = HeaderValue::from_static("5a5a3a6b-32b3-5f4c-9bd5-7cd6b9b0a0f1");
    headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
    Ok(response)
}

/// The answers of the operations.
struct Answers {
    queue_url: Bytes,
    send: Bytes,
    send_batch: Bytes,
    receive: Bytes,
    delete_batch: Bytes,
    nothing: Bytes,
}

impl Answers {
    fn new(address: SocketAddr, message_bytes: usize) -> Answers {
        let digest = "0123456789abcdef0123456789abcdef";
        let id = "9f4c2f0e-6a52-4d6c-8b4e-0d4a8a1f5c33";
        // As long as a real handle: queue, message, receive and their checksum.
        let handle = "AQEB".repeat(24);
        let body = "z".repeat(message_bytes);
        let list = |entry: &dyn Fn(usize) -> String| (0..10).map(entry).collect::<Vec<_>>().join(",");
        let sent = list(&|entry| {
            format!("{{\"Id\":\"{entry}\",\"MessageId\":\"{id}\",\"MD5OfMessageBody\":\"{digest}\"}}")
        });
        let messages = list(&|_| {
            format!(
                "{{\"MessageId\":\"{id}\",\"ReceiptHandle\":\"{handle}\",\"MD5OfBody\":\"{digest}\",\"Body\":\"{body}\"}}"
            )
        });
        let deleted = list(&|entry| format!("{{\"Id\":\"{entry}\"}}"));
        Answers {
            queue_url: format!("{{\"QueueUrl\":\"http://{address}/000000000000/bare\"}}").into(),
            send: format!("{{\"MD5OfMessageBody\":\"{digest}\",\"MessageId\":\"{id}\"}}").into(),
            send_batch: format!("{{\"Successful\":[{sent}]}}").into(),
            receive: format!("{{\"Messages\":[{messages}]}}").into(),
            delete_batch: format!("{{\"Successful\":[{deleted}]}}").into(),
            nothing: Bytes::new(),
        }
    }

    fn of(&self, target: &[u8]) -> (StatusCode, Bytes) {
        let body = match target.strip_prefix(b"AmazonSQS.") {
            Some(b"SendMessage") => &self.send,
            Some(b"SendMessageBatch") => &self.send_batch,
            Some(b"ReceiveMessage") => &self.receive,
            Some(b"DeleteMessageBatch") => &self.delete_batch,
            Some(b"CreateQueue") => &self.queue_url,
            Some(b"DeleteMessage" | b"DeleteQueue" | b"ListQueues") => &self.nothing,
            _ => {
                return (
                    StatusCode::BAD_REQUEST,
                    Bytes::from_static(b"{\"__type\":\"UnknownOperationException\"}"),
                );
            }
        };
        (StatusCode::OK, body.clone())
    }
}
