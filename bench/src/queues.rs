//! The calls around a measurement: queues made, counted and removed. One plain blocking connection a call.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::answers::{self, Parsed, strings};
use crate::error::Error;
use crate::requests::request;

/// How long a visibility timeout the queues get, in seconds: longer than any slow peer needs between receive and delete.
const VISIBILITY_SECONDS: u32 = 600;

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The value of the `Host` header.
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    timeout: Duration,
}

impl Endpoint {
    /// Reads `http://HOST[:PORT]` and resolves the name.
    pub(crate) fn new(url: &str, timeout: Duration) -> Result<Endpoint, Error> {
        let Some(host) = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) else {
            return Err(Error::Arguments(format!("--endpoint must begin with http://, not {url}")));
        };
        if host.contains(['/', '@', '?']) || host.is_empty() {
            return Err(Error::Arguments(format!("--endpoint must be http://HOST:PORT, not {url}")));
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let target = if has_port { host.to_owned() } else { format!("{host}:80") };
        let unreachable = |cause| Error::Unreachable { endpoint: target.clone(), cause };
        let mut addresses = target.to_socket_addrs().map_err(unreachable)?;
        let address = addresses.next().ok_or_else(|| unreachable(io::ErrorKind::AddrNotAvailable.into()))?;
        Ok(Endpoint { host: host.to_owned(), address, timeout })
    }

    /// Creates a queue and returns its URL.
    pub(crate) fn create_queue(&self, name: &str, fifo: bool) -> Result<String, Error> {
        let mut attributes = serde_json::json!({ "VisibilityTimeout": VISIBILITY_SECONDS.to_string() });
        if fifo {
            attributes["FifoQueue"] = "true".into();
        }
        let body = serde_json::json!({ "QueueName": name, "Attributes": attributes });
        let answer = self.call("CreateQueue", &body)?;
        match serde_json::from_slice::<serde_json::Value>(&answer)
            .ok()
            .as_ref()
            .map(|answer| &answer["QueueUrl"])
        {
            Some(serde_json::Value::String(url)) => Ok(url.clone()),
            _ => Err(Error::Refused { operation: "CreateQueue", status: 200, body: beginning(&answer) }),
        }
    }

    /// The queue's ARN, by which topics know it.
    pub(crate) fn queue_arn(&self, queue_url: &str) -> Result<String, Error> {
        let body = serde_json::json!({ "QueueUrl": queue_url, "AttributeNames": ["QueueArn"] });
        let answer = self.call("GetQueueAttributes", &body)?;
        let found = strings(&answer).find(|(key, _)| *key == b"QueueArn");
        found.map(|(_, arn)| String::from_utf8_lossy(arn).into_owned()).ok_or_else(|| Error::Refused {
            operation: "GetQueueAttributes",
            status: 200,
            body: beginning(&answer),
        })
    }

    /// How many messages the queue says it has: waiting, delayed and in flight.
    pub(crate) fn count_messages(&self, queue_url: &str) -> Result<u64, Error> {
        let body = serde_json::json!({ "QueueUrl": queue_url, "AttributeNames": [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ] });
        let answer = self.call("GetQueueAttributes", &body)?;
        let counts = strings(&answer).filter(|(key, _)| key.starts_with(b"ApproximateNumberOf"));
        Ok(counts.filter_map(|(_, count)| std::str::from_utf8(count).ok()?.parse::<u64>().ok()).sum())
    }

    /// Deletes a queue with what is in it.
    pub(crate) fn delete_queue(&self, queue_url: &str) -> Result<(), Error> {
        self.call("DeleteQueue", &serde_json::json!({ "QueueUrl": queue_url })).map(drop)
    }

    fn call(&self, operation: &'static str, body: &serde_json::Value) -> Result<Vec<u8>, Error> {
        self.ask(operation, &request(&self.host, operation, body.to_string().as_bytes()))
    }

    /// Sends a whole request and returns the body of the answer, if its status is 200.
    pub(crate) fn ask(&self, operation: &'static str, request: &[u8]) -> Result<Vec<u8>, Error> {
        let (status, answer) = self.exchange(request).map_err(|cause| {
            // A socket's read timeout shows as WouldBlock.
            let said = match cause.kind() {
                io::ErrorKind::WouldBlock => {
                    format!("no answer to {operation} within {:?}", self.timeout)
                }
                _ => format!("{operation}: {cause}"),
            };
            Error::Unreachable { endpoint: self.host.clone(), cause: io::Error::new(cause.kind(), said) }
        })?;
        if status == 200 {
            Ok(answer)
        } else {
            Err(Error::Refused { operation, status, body: beginning(&answer) })
        }
    }

    fn exchange(&self, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect_timeout(&self.address, self.timeout)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_nodelay(true)?;
        stream.write_all(request)?;
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let count = stream.read(&mut buffer)?;
            bytes.extend_from_slice(&buffer[..count]);
            match answers::parse(&bytes, count == 0) {
                Parsed::Complete(answer) => return Ok((answer.status, answer.body.into_owned())),
                Parsed::Malformed => return Err(io::ErrorKind::InvalidData.into()),
                Parsed::Incomplete => {}
            }
        }
    }
}

pub(crate) fn beginning(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_http_a_host_and_perhaps_a_port() {
        let endpoint = |url| Endpoint::new(url, Duration::from_secs(1));
        assert_eq!(endpoint("http://127.0.0.1:4566/").unwrap().address, "127.0.0.1:4566".parse().unwrap());
        assert_eq!(endpoint("http://127.0.0.1").unwrap().address.port(), 80);
        for wrong in ["https://127.0.0.1:1", "127.0.0.1:1", "http://", "http://127.0.0.1:1/path"] {
            assert!(matches!(endpoint(wrong), Err(Error::Arguments(_))), "{wrong}");
        }
    }
}
