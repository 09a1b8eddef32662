//! Clients of the AWS SDK for Rust, pointed at the endpoint under test, and an HTTP server to deliver to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Where the endpoint listens: `POSTHASTE_ENDPOINT`, such as `http://127.0.0.1:4566`.
pub fn endpoint() -> String {
    std::env::var("POSTHASTE_ENDPOINT").expect("set POSTHASTE_ENDPOINT, or run under conformance/with-server")
}

/// Clients of SNS and SQS that retry nothing, so that every answer is seen.
pub fn clients() -> (aws_sdk_sns::Client, aws_sdk_sqs::Client) {
    macro_rules! client {
        ($sdk:ident) => {{
            use $sdk::config::{Config, Credentials, Region, retry::RetryConfig};
            let config = Config::builder()
                .endpoint_url(endpoint())
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "conformance"))
                .retry_config(RetryConfig::disabled())
                .http_client(aws_smithy_http_client::Builder::new().build_http());
            $sdk::Client::from_conf(config.build())
        }};
    }
    (client!(aws_sdk_sns), client!(aws_sdk_sqs))
}

/// A name that no other test uses.
pub fn unique(word: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos();
    format!("{word}-{:x}-{}", now, NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// One HTTP request or answer: names of headers are in lower case.
pub struct Exchange {
    /// The request line or the status line.
    pub first_line: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Exchange {
    async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Exchange>> {
        let mut first_line = String::new();
        if stream.read_line(&mut first_line).await? == 0 {
            return Ok(None);
        }
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let body = String::from_utf8(body).map_err(std::io::Error::other)?;
        Ok(Some(Exchange { first_line: first_line.trim_end().to_owned(), headers, body }))
    }
}

/// An HTTP server that gets what SNS delivers, and answers 200.
pub struct Receiver {
    pub url: String,
    arrived: mpsc::UnboundedReceiver<Exchange>,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
        let (sender, arrived) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Ok(Some(request)) = Exchange::read(&mut stream).await {
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                        if stream.write_all(answer).await.is_err() || sender.send(request).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Receiver { url, arrived }
    }

    /// The next request, which must come and be of this type.
    pub async fn next(&mut self, kind: &str) -> Exchange {
        let next = tokio::time::timeout(Duration::from_secs(10), self.arrived.recv()).await;
        let request = next.ok().flatten().unwrap_or_else(|| panic!("no {kind} came"));
        assert_eq!(request.headers["x-amz-sns-message-type"], kind, "{}", request.body);
        request
    }
}

/// An unsigned GET of a link.
pub async fn visit(url: &str) -> Exchange {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a link");
    let stream = TcpStream::connect(host).await.expect("the link leads somewhere");
    let mut stream = BufReader::new(stream);
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it listens");
    Exchange::read(&mut stream).await.expect("it answers").expect("it answers")
}
