//! A receiver of parcels that behaves as a test requests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use delivery::{Carrier, HttpPost, Origin, Outcome, Parcel, Payload};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// The receiver's action after it has read a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Writes this, and waits for the next request on the connection.
    Write(String),
    /// Writes this and closes the connection.
    WriteAndClose(String),
    /// Does nothing while the clock runs.
    Stall(String),
}

impl Answer {
    pub fn status(status: u16) -> Answer {
        Answer::Write(format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok"))
    }
}

/// A received request, with the number of its connection.
#[derive(Clone, Debug)]
pub struct Received {
    pub connection: usize,
    pub head: String,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    /// Notified when a connection on which the receiver stalled has been closed.
    pub abandoned: Arc<Notify>,
}

impl Receiver {
    /// Creates a receiver that gives these answers, one per request, and then repeats the last one.
    pub async fn start(answers: Vec<Answer>) -> Receiver {
        Receiver::start_with(answers, None).await
    }

    pub async fn start_with(answers: Vec<Answer>, tls: Option<TlsAcceptor>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = received.clone();
        let answers = Arc::new(Mutex::new(answers));
        let abandoned = Arc::new(Notify::new());
        let told = abandoned.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, answers, tls, hung_up) = (log.clone(), answers.clone(), tls.clone(), told.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, connection, &log, &answers, &hung_up).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, connection, &log, &answers, &hung_up).await;
                            }
                        }
                    }
                });
            }
        });
        Receiver { address, received, abandoned }
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    log: &Mutex<Vec<Received>>,
    answers: &Mutex<Vec<Answer>>,
    abandoned: &Notify,
) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut received = Received { connection, head, body: String::new() };
        let length: usize = received.header("content-length").unwrap_or("0").parse().unwrap();
        while bytes.len() < end + 4 + length {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        received.body = String::from_utf8(bytes[end + 4..end + 4 + length].to_vec()).unwrap();
        bytes.drain(..end + 4 + length);
        log.lock().unwrap().push(received);
        let answer = {
            let mut answers = answers.lock().unwrap();
            if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
        };
        match answer {
            Answer::Write(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Answer::WriteAndClose(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
                return;
            }
            Answer::Stall(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                // From here on only the clock makes progress, and it jumps to the next timer.
                tokio::time::pause();
                while stream.read(&mut [0; 16]).await.unwrap_or(0) > 0 {}
                abandoned.notify_one();
                return;
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

pub fn parcel(url: &str) -> Parcel {
    let post = HttpPost {
        url: url.into(),
        headers: vec![
            ("x-amz-sns-message-id", "m".into()),
            ("content-type", "text/plain; charset=UTF-8".into()),
        ],
        body: Bytes::from_static(b"{\"Message\":\"hello\"}"),
    };
    Parcel { origin: Origin::default(), payload: Payload::Http(post) }
}

pub async fn post(carrier: &Carrier, url: &str) -> Outcome {
    carrier.carry(&parcel(url)).await
}

/// Waits until the carrier has kept its connection, which it does after it has returned the result.
pub async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Returns the text of a failure; panics on a success.
#[track_caller]
pub fn failure(outcome: Outcome) -> (bool, Option<u16>, String) {
    match outcome {
        Outcome::Failed { permanent, status, reason, .. } => (permanent, status, reason),
        Outcome::Delivered { .. } => panic!("delivered"),
    }
}
