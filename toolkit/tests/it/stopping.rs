//! A consumer that stops while its receive waits at the server, which answers at that very moment.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use toolkit::consumer::{ConsumerSettings, Delivery, Outcome};
use toolkit::{Clients, Consumer};

use crate::common::Step;

/// A request's operation and body; `None` at the end of the connection.
async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length: usize = header("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
    let operation = header("x-amz-target: amazonsqs.").unwrap_or_default().to_owned();
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some((operation, String::from_utf8_lossy(&bytes[head..head + length]).into_owned()))
}

/// A queue that answers a receive when its client has said that nobody waits any more: with one message.
async fn serve(mut stream: TcpStream, happened: mpsc::UnboundedSender<(String, String)>) {
    while let Some((operation, body)) = request(&mut stream).await {
        happened.send((operation.clone(), body)).unwrap();
        let answer = match operation.as_str() {
            "getqueueattributes" => r#"{"Attributes":{"VisibilityTimeout":"30"}}"#.to_owned(),
            "receivemessage" => {
                // Nothing more comes; but what is written now can be read.
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
                happened.send(("broken off".into(), String::new())).unwrap();
                let body = r#"{"id":"a","type":"step","data":{"number":1}}"#;
                serde_json::json!({ "Messages": [{
                    "MessageId": "m", "ReceiptHandle": "the receipt", "Body": body, "MD5OfBody": "",
                    "Attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000" },
                }] })
                .to_string()
            }
            _ => r#"{"Successful":[{"Id":"0"}],"Failed":[]}"#.to_owned(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        // The client of a receive that was not broken off may be gone.
        let _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
    }
}

#[tokio::test]
async fn a_receive_is_broken_off_and_a_message_that_was_on_its_way_is_given_back_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (happened, mut happenings) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, happened.clone()));
        }
    });
    let clients = Clients::local(&endpoint).await;
    let queue = clients.queue(&format!("{endpoint}/000000000000/q")).await.unwrap();
    let settings =
        ConsumerSettings { wait: Duration::from_secs(20), pollers: 1, ..ConsumerSettings::default() };
    let handler = |_: Delivery<Step>| async { Outcome::give_up("it has been told to stop") };
    let consumer = Consumer::new(&clients, &queue).settings(settings).without_dead_letters();
    let running = consumer.start(handler).await.unwrap();
    let mut next = async || happenings.recv().await.unwrap();
    assert_eq!(next().await.0, "getqueueattributes");
    assert_eq!(next().await.0, "receivemessage");
    let stopped = tokio::spawn(running.shutdown());
    assert_eq!(next().await.0, "broken off");
    let (operation, body) = next().await;
    assert_eq!(operation, "changemessagevisibilitybatch");
    assert!(body.contains("the receipt") && body.contains(r#""VisibilityTimeout":0"#), "{body}");
    let counts = stopped.await.unwrap();
    assert_eq!((counts.received, counts.released, counts.done), (1, 1, 0));
}
