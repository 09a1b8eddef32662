//! A little queue server with just what the benchmark calls, which can be told to lie.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use md5::{Digest, Md5};
use serde_json::{Value, json};

/// How the server lies when it comes to its hundredth message; once, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It does not.
    None,
    /// The message is acknowledged and forgotten.
    Loses,
    /// The message is kept twice.
    Repeats,
    /// A letter of the body is changed.
    Changes,
    /// The send's answer has another digest, from then on: only a sample is compared.
    Miscounts,
    /// The send is answered with 500.
    Refuses,
    /// The connection is closed without an answer.
    HangsUp,
    /// The message goes to the front of its queue.
    Reorders,
}

struct State {
    waiting: VecDeque<Message>,
    in_flight: HashMap<String, Message>,
    sends: u64,
    handles: u64,
    lie: Lie,
}

#[derive(Clone)]
struct Message {
    body: String,
    group: String,
}

/// Starts the server on a port of its own; it runs until the process ends.
pub fn start(lie: Lie) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = State { waiting: VecDeque::new(), in_flight: HashMap::new(), sends: 0, handles: 0, lie };
    let state = Arc::new(Mutex::new(state));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let state = state.clone();
            std::thread::spawn(move || serve(stream, &state));
        }
    });
    address
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if let Some(target) = line.strip_prefix("X-Amz-Target: AmazonSQS.") {
                operation = target.to_owned();
            } else if let Some(value) = line.strip_prefix("Content-Length:") {
                length = value.trim().parse().ok()?;
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let answer = state.lock().unwrap().answer(&operation, &serde_json::from_slice(&body).unwrap());
        let (status, body) = match answer {
            Some(Ok(body)) => (200, body.to_string()),
            Some(Err(body)) => (500, body.to_string()),
            None => return None,
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).ok()?;
    }
}

impl State {
    fn answer(&mut self, operation: &str, request: &Value) -> Option<Result<Value, Value>> {
        let no_entries = Vec::new();
        let entries = request["Entries"].as_array().unwrap_or(&no_entries);
        Some(Ok(match operation {
            "CreateQueue" => json!({ "QueueUrl": "http://queue/1/q" }),
            "DeleteQueue" => json!({}),
            "GetQueueAttributes" => {
                let attribute = "ApproximateNumberOfMessages";
                json!({ "Attributes": {
                    attribute: self.waiting.len().to_string(),
                    format!("{attribute}NotVisible"): self.in_flight.len().to_string(),
                } })
            }
            "SendMessage" => match self.send(request)? {
                Some(sent) => sent,
                None => return Some(Err(json!({ "__type": "com.amazonaws.sqs#InternalError" }))),
            },
            "SendMessageBatch" => {
                let (mut sent, mut failed) = (Vec::new(), Vec::new());
                for entry in entries {
                    match self.send(entry)? {
                        Some(answer) => sent.push(answer),
                        None => failed.push(json!({ "Id": entry["Id"], "Code": "InternalError" })),
                    }
                }
                json!({ "Successful": sent, "Failed": failed })
            }
            "ReceiveMessage" => {
                let most = request["MaxNumberOfMessages"].as_u64().unwrap();
                let messages: Vec<Value> = (0..most).map_while(|_| self.receive()).collect();
                if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) }
            }
            "DeleteMessage" => {
                self.in_flight.remove(request["ReceiptHandle"].as_str().unwrap());
                json!({})
            }
            "DeleteMessageBatch" => {
                for entry in entries {
                    self.in_flight.remove(entry["ReceiptHandle"].as_str().unwrap());
                }
                json!({ "Successful": entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect::<Vec<_>>() })
            }
            _ => panic!("{operation}"),
        }))
    }

    /// `None` hangs up, `Some(None)` refuses.
    fn send(&mut self, request: &Value) -> Option<Option<Value>> {
        self.sends += 1;
        let repeats = self.lie == Lie::Miscounts && self.sends > 100;
        let lie = if self.sends == 100 || repeats { self.lie } else { Lie::None };
        let mut body = request["MessageBody"].as_str().unwrap().to_owned();
        let mut digest = hex_md5(&body);
        let group = request["MessageGroupId"].as_str().unwrap_or_default().to_owned();
        match lie {
            Lie::None | Lie::Loses | Lie::Reorders | Lie::Repeats => {}
            Lie::Changes => body.replace_range(body.len() - 1.., "!"),
            Lie::Miscounts => digest = hex_md5("something else"),
            Lie::Refuses => return Some(None),
            Lie::HangsUp => return None,
        }
        let message = Message { body, group };
        match lie {
            Lie::Loses => {}
            Lie::Reorders => self.waiting.push_front(message),
            Lie::Repeats => self.waiting.extend([message.clone(), message]),
            _ => self.waiting.push_back(message),
        }
        Some(Some(json!({ "Id": request["Id"], "MessageId": "m", "MD5OfMessageBody": digest })))
    }

    /// The first message whose group has none in flight, or the first if it has no group.
    fn receive(&mut self) -> Option<Value> {
        let in_flight = &self.in_flight;
        let free = |message: &Message| {
            message.group.is_empty() || in_flight.values().all(|other| other.group != message.group)
        };
        let place = self.waiting.iter().position(free)?;
        let message = self.waiting.remove(place)?;
        self.handles += 1;
        let handle = format!("handle \"{}\"", self.handles);
        let answer = json!({
            "MessageId": "m",
            "ReceiptHandle": handle,
            "MD5OfBody": hex_md5(&message.body),
            "Body": message.body,
        });
        self.in_flight.insert(handle, message);
        Some(answer)
    }
}

fn hex_md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
