//! An HTTP client of a few lines that speaks awsJson and awsQuery over one kept connection: it must cost little, for it
//! shares the machine with the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A signature of any kind: some operations are refused to who does not sign.
const SIGNED: &str = "X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 \
    Credential=test/20260101/us-east-1/sns/aws4_request, SignedHeaders=host;x-amz-date, \
    Signature=0000000000000000000000000000000000000000000000000000000000000000\r\n";

/// What came of a request.
#[derive(Debug)]
pub enum Failure {
    /// No answer: whether the server carried it out is not known.
    Silence,
    /// The server said no.
    Refused { code: String, message: String },
}

/// A connection to the server, opened when it is first used.
pub struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    /// The status of the last answer; none where there was no answer.
    last_status: Option<u16>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        Client { address, connection: None, last_status: None }
    }

    /// Calls one operation of SQS.
    pub fn call(&mut self, operation: &str, input: &Value) -> Result<Value, Failure> {
        self.call_json(("AmazonSQS", "1.0"), operation, input)
    }

    /// Calls one operation of EventBridge.
    pub fn call_events(&mut self, operation: &str, input: &Value) -> Result<Value, Failure> {
        self.call_json(("AWSEvents", "1.1"), operation, input)
    }

    fn call_json(
        &mut self,
        (service, version): (&str, &str),
        operation: &str,
        input: &Value,
    ) -> Result<Value, Failure> {
        let body = input.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nX-Amz-Target: {service}.{operation}\r\n\
             Content-Type: application/x-amz-json-{version}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let (status, body) = self.exchange(&request).map_err(|_| Failure::Silence)?;
        let answer = if body.is_empty() {
            Value::Null
        } else {
            // A half-written answer is no answer.
            serde_json::from_slice(&body).map_err(|_| Failure::Silence)?
        };
        match status {
            200 => Ok(answer),
            500.. => Err(Failure::Silence),
            _ => Err(Failure::Refused {
                code: answer["__type"].as_str().unwrap_or_default().to_owned(),
                message: answer["message"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Calls one operation of SNS; the answer is XML.
    pub fn call_sns(&mut self, action: &str, fields: &[(String, String)]) -> Result<String, Failure> {
        let mut body = format!("Action={action}&Version=2010-03-31");
        for (name, value) in fields {
            body.push('&');
            encode(name, &mut body);
            body.push('=');
            encode(value, &mut body);
        }
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
             {SIGNED}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let (status, answer) = self.exchange(&request).map_err(|_| Failure::Silence)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        match status {
            200 => Ok(answer),
            500.. => Err(Failure::Silence),
            _ => Err(Failure::Refused {
                code: element(&answer, "Code").unwrap_or_default().to_owned(),
                message: element(&answer, "Message").unwrap_or_default().to_owned(),
            }),
        }
    }

    /// The status and body of a GET.
    pub fn get(&mut self, path: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.exchange(&request)
    }

    /// The status of the last answer: tells a server that failed from one that is gone.
    pub fn last_status(&self) -> Option<u16> {
        self.last_status
    }

    /// The status and body of a POST.
    pub fn post(&mut self, path: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.exchange(&request)
    }

    fn exchange(&mut self, request: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let answer = self.try_exchange(request);
        self.last_status = answer.as_ref().ok().map(|(status, _)| *status);
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    fn try_exchange(&mut self, request: &str) -> std::io::Result<(u16, Vec<u8>)> {
        if self.connection.is_none() {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            self.connection = Some(BufReader::new(stream));
        }
        let Some(connection) = self.connection.as_mut() else {
            return Err(std::io::ErrorKind::NotConnected.into());
        };
        connection.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status: u16 = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let mut length = 0;
        loop {
            line.clear();
            if connection.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(|_| std::io::ErrorKind::InvalidData)?;
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body)?;
        Ok((status, body))
    }
}

/// The text of the first element of this name in XML that has no attributes and, where asked for, no escapes.
pub fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let begin = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let end = begin + xml[begin..].find(&format!("</{name}>"))?;
    Some(&xml[begin..end])
}

/// Writes a form field.
fn encode(text: &str, form: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => form.push(byte.into()),
            _ => form.push_str(&format!("%{byte:02X}")),
        }
    }
}
