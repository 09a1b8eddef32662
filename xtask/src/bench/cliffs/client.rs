//! A small blocking client: connections that stay open, each with one request under way.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::process::request;

/// What goes wrong in a sweep: the row fails with this text.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Connections that work at the same time.
pub const CONNECTIONS: usize = 4;

/// A connection that stays open.
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Connection { address, stream, buffer: Vec::new() })
    }

    /// Calls an operation of SQS.
    pub fn sqs(&mut self, operation: &str, body: &Value) -> Result<Value, Failure> {
        self.send_sqs(operation, body)?;
        let answer = self.answer()?;
        if answer.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&answer)?) }
    }

    /// Sends a request of SQS and does not wait for its answer.
    pub fn send_sqs(&mut self, operation: &str, body: &Value) -> Result<(), Failure> {
        let headers =
            format!("X-Amz-Target: AmazonSQS.{operation}\r\nContent-Type: application/x-amz-json-1.0");
        self.send("sqs", &headers, &body.to_string())
    }

    /// Calls an operation of SNS; `parameters` are the form without `Action`. Returns the XML.
    pub fn sns(&mut self, operation: &str, parameters: &[(&str, &str)]) -> Result<String, Failure> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", operation)
            .append_pair("Version", "2010-03-31")
            .extend_pairs(parameters)
            .finish();
        self.send("sns", "Content-Type: application/x-www-form-urlencoded; charset=utf-8", &form)?;
        Ok(String::from_utf8(self.answer()?)?)
    }

    fn send(&mut self, service: &str, headers: &str, body: &str) -> Result<(), Failure> {
        let request = request(self.address, service, headers, body);
        Ok(self.stream.write_all(request.as_bytes())?)
    }

    /// Reads the body of one answer, whose status must be 200.
    fn answer(&mut self) -> Result<Vec<u8>, Failure> {
        self.buffer.clear();
        let mut chunk = [0; 64 << 10];
        let head = loop {
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            self.buffer.extend_from_slice(&chunk[..read]);
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let length: usize = text
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
            .ok_or("an answer without a length")?;
        let is_ok = text.starts_with("HTTP/1.1 200");
        while self.buffer.len() < head + length {
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err("the server closed the connection within an answer".into());
            }
            self.buffer.extend_from_slice(&chunk[..read]);
        }
        let body = self.buffer[head..head + length].to_vec();
        match is_ok {
            true => Ok(body),
            false => {
                let status = self.buffer.get(9..12).unwrap_or_default();
                let (status, body) = (String::from_utf8_lossy(status), String::from_utf8_lossy(&body));
                Err(format!("status {status}: {}", body.chars().take(300).collect::<String>()).into())
            }
        }
    }

    /// Makes a queue and returns its URL.
    pub fn create_queue(&mut self, name: &str, attributes: Value) -> Result<String, Failure> {
        let answer = self.sqs("CreateQueue", &json!({"QueueName": name, "Attributes": attributes}))?;
        Ok(answer["QueueUrl"].as_str().ok_or("CreateQueue gave no URL")?.to_owned())
    }

    /// Receives up to so many messages; returns their receipt handles.
    pub fn receive(&mut self, url: &str, most: usize) -> Result<Vec<String>, Failure> {
        let answer = self.sqs("ReceiveMessage", &json!({"QueueUrl": url, "MaxNumberOfMessages": most}))?;
        let messages = answer["Messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(messages.iter().filter_map(|one| one["ReceiptHandle"].as_str()).map(str::to_owned).collect())
    }

    /// Receives up to so many messages and deletes them; returns how many.
    pub fn receive_and_delete(&mut self, url: &str, most: usize) -> Result<u64, Failure> {
        let handles = self.receive(url, most)?;
        if !handles.is_empty() {
            self.delete(url, &handles)?;
        }
        Ok(handles.len() as u64)
    }

    /// Deletes up to ten messages.
    pub fn delete(&mut self, url: &str, handles: &[String]) -> Result<(), Failure> {
        let entry = |(at, handle): (usize, &String)| json!({"Id": at.to_string(), "ReceiptHandle": handle});
        let entries: Vec<Value> = handles.iter().enumerate().map(entry).collect();
        let answer = self.sqs("DeleteMessageBatch", &json!({"QueueUrl": url, "Entries": entries}))?;
        match answer["Failed"].as_array() {
            Some(failed) if !failed.is_empty() => Err(format!("DeleteMessageBatch: {}", failed[0]).into()),
            _ => Ok(()),
        }
    }
}

/// Does `task` for each number below `count`, on several connections at once.
pub fn each(
    address: SocketAddr,
    count: u64,
    task: impl Fn(&mut Connection, u64) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    work(address, count, None, task).map(drop)
}

/// Does `task` again and again for `time`, on several connections at once. Returns how often.
pub fn again(
    address: SocketAddr,
    time: Duration,
    task: impl Fn(&mut Connection, u64) -> Result<(), Failure> + Sync,
) -> Result<u64, Failure> {
    work(address, u64::MAX, Some(time), task)
}

fn work(
    address: SocketAddr,
    count: u64,
    time: Option<Duration>,
    task: impl Fn(&mut Connection, u64) -> Result<(), Failure> + Sync,
) -> Result<u64, Failure> {
    let (next, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    let one = || -> Result<(), Failure> {
        let mut connection = Connection::open(address)?;
        while !stop.load(Ordering::Relaxed) && time.is_none_or(|time| begun.elapsed() < time) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            if let Err(error) = task(&mut connection, number) {
                stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a client's thread panicked")?)
    })?;
    Ok(done.into_inner())
}
