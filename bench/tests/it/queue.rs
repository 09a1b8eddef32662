//! A little server of queues and topics with just what the benchmark calls, which can be told to lie.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use serde_json::{Value, json};

/// How the server lies when it comes to its hundredth message; once, unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lie {
    /// It does not.
    #[default]
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
    /// All subscriptions get the message, whatever they filter.
    Overdelivers,
}

#[derive(Default)]
struct State {
    queues: HashMap<String, Queue>,
    topics: HashMap<String, Vec<Subscription>>,
    sends: u64,
    handles: u64,
    lie: Lie,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Message>,
    in_flight: HashMap<String, Message>,
}

struct Subscription {
    protocol: String,
    address: String,
    /// The value of the attribute that it wants, in JSON with quotes.
    filter: String,
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
    let state = Arc::new(Mutex::new(State { lie, ..State::default() }));
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
        let mut state = state.lock().unwrap();
        let answer = if operation.is_empty() {
            state.answer_form(&fields(&String::from_utf8(body).unwrap()))
        } else {
            let answer = state.answer(&operation, &serde_json::from_slice(&body).unwrap());
            answer.map(|answer| answer.map(|body| body.to_string()).map_err(|body| body.to_string()))
        };
        drop(state);
        let (status, body) = match answer {
            Some(Ok(body)) => (200, body),
            Some(Err(body)) => (500, body),
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
        let url = request["QueueUrl"].as_str().unwrap_or_default();
        Some(Ok(match operation {
            "CreateQueue" => {
                let url = format!("http://queue/1/{}", request["QueueName"].as_str().unwrap());
                self.queues.insert(url.clone(), Queue::default());
                json!({ "QueueUrl": url })
            }
            "DeleteQueue" => {
                self.queues.remove(url);
                json!({})
            }
            "GetQueueAttributes" => {
                let attribute = "ApproximateNumberOfMessages";
                let queue = &self.queues[url];
                json!({ "Attributes": {
                    "QueueArn": format!("arn:{url}"),
                    attribute: queue.waiting.len().to_string(),
                    format!("{attribute}NotVisible"): queue.in_flight.len().to_string(),
                } })
            }
            "SendMessage" => match self.send(url, request)? {
                Some(sent) => sent,
                None => return Some(Err(json!({ "__type": "com.amazonaws.sqs#InternalError" }))),
            },
            "SendMessageBatch" => {
                let (mut sent, mut failed) = (Vec::new(), Vec::new());
                for entry in entries {
                    match self.send(url, entry)? {
                        Some(answer) => sent.push(answer),
                        None => failed.push(json!({ "Id": entry["Id"], "Code": "InternalError" })),
                    }
                }
                json!({ "Successful": sent, "Failed": failed })
            }
            "ReceiveMessage" => {
                let most = request["MaxNumberOfMessages"].as_u64().unwrap();
                let messages: Vec<Value> = (0..most).map_while(|_| self.receive(url)).collect();
                if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) }
            }
            "DeleteMessage" => {
                self.queue(url).in_flight.remove(request["ReceiptHandle"].as_str().unwrap());
                json!({})
            }
            "DeleteMessageBatch" => {
                for entry in entries {
                    self.queue(url).in_flight.remove(entry["ReceiptHandle"].as_str().unwrap());
                }
                json!({ "Successful": entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect::<Vec<_>>() })
            }
            _ => panic!("{operation}"),
        }))
    }

    fn queue(&mut self, url: &str) -> &mut Queue {
        self.queues.get_mut(url).unwrap()
    }

    /// An operation of SNS.
    fn answer_form(&mut self, form: &HashMap<String, String>) -> Option<Result<String, String>> {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let topic = field("TopicArn");
        Some(Ok(match &*form["Action"] {
            "CreateTopic" => {
                let arn = format!("arn:{}", field("Name"));
                self.topics.insert(arn.clone(), Vec::new());
                format!("<R><TopicArn>{arn}</TopicArn></R>")
            }
            "DeleteTopic" => {
                self.topics.remove(&topic);
                "<R/>".into()
            }
            "Subscribe" => {
                let attribute = |wanted: &str| {
                    let entry =
                        (1..4).find(|entry| field(&format!("Attributes.entry.{entry}.key")) == wanted);
                    entry.map(|entry| field(&format!("Attributes.entry.{entry}.value"))).unwrap_or_default()
                };
                assert_eq!(attribute("RawMessageDelivery"), "true");
                let (protocol, address) = (field("Protocol"), field("Endpoint"));
                if protocol == "http" {
                    confirm(address.clone());
                }
                let filter = attribute("FilterPolicy");
                self.topics.get_mut(&topic).unwrap().push(Subscription { protocol, address, filter });
                "<R><SubscriptionArn>pending confirmation</SubscriptionArn></R>".into()
            }
            "Publish" => match self.publish(&topic, "", form)? {
                true => "<R><MessageId>m</MessageId></R>".into(),
                false => return Some(Err("<E><Code>InternalError</Code></E>".into())),
            },
            "PublishBatch" => {
                let mut text = String::new();
                for entry in 1..11 {
                    let before = format!("PublishBatchRequestEntries.member.{entry}.");
                    text += match self.publish(&topic, &before, form)? {
                        true => "<member><MessageId>m</MessageId></member>",
                        false => "<member><Code>InternalError</Code></member>",
                    };
                }
                text
            }
            other => panic!("{other}"),
        }))
    }

    /// `None` hangs up, `false` refuses.
    fn publish(&mut self, topic: &str, before: &str, form: &HashMap<String, String>) -> Option<bool> {
        let field = |name: &str| form.get(&format!("{before}{name}")).cloned().unwrap_or_default();
        let kind = format!("\"{}\"", field("MessageAttributes.entry.1.Value.StringValue"));
        let subscriptions = &self.topics[topic];
        let wanted = |one: &&Subscription| {
            one.filter.is_empty() || self.lie == Lie::Overdelivers || one.filter.contains(&kind)
        };
        let to: Vec<(String, String)> = subscriptions
            .iter()
            .filter(wanted)
            .map(|one| (one.protocol.clone(), one.address.clone()))
            .collect();
        for (protocol, address) in to {
            if protocol == "http" {
                self.sends += 1;
                if self.lie != Lie::Loses || self.sends != 100 {
                    deliver(address, field("Message"));
                }
                continue;
            }
            let request =
                json!({ "MessageBody": field("Message"), "MessageGroupId": field("MessageGroupId") });
            if self.send(address.strip_prefix("arn:").unwrap(), &request)?.is_none() {
                return Some(false);
            }
        }
        Some(true)
    }

    /// `None` hangs up, `Some(None)` refuses.
    fn send(&mut self, url: &str, request: &Value) -> Option<Option<Value>> {
        self.sends += 1;
        let repeats = self.lie == Lie::Miscounts && self.sends > 100;
        let lie = if self.sends == 100 || repeats { self.lie } else { Lie::None };
        let mut body = request["MessageBody"].as_str().unwrap().to_owned();
        let mut digest = hex_md5(&body);
        let group = request["MessageGroupId"].as_str().unwrap_or_default().to_owned();
        match lie {
            Lie::None | Lie::Loses | Lie::Reorders | Lie::Repeats | Lie::Overdelivers => {}
            Lie::Changes => body.replace_range(body.len() - 1.., "!"),
            Lie::Miscounts => digest = hex_md5("something else"),
            Lie::Refuses => return Some(None),
            Lie::HangsUp => return None,
        }
        let message = Message { body, group };
        match lie {
            Lie::Loses => {}
            Lie::Reorders => self.queue(url).waiting.push_front(message),
            Lie::Repeats => self.queue(url).waiting.extend([message.clone(), message]),
            _ => self.queue(url).waiting.push_back(message),
        }
        Some(Some(json!({ "Id": request["Id"], "MessageId": "m", "MD5OfMessageBody": digest })))
    }

    /// The first message whose group has none in flight, or the first if it has no group.
    fn receive(&mut self, url: &str) -> Option<Value> {
        let queue = self.queues.get_mut(url).unwrap();
        let in_flight = &queue.in_flight;
        let free = |message: &Message| {
            message.group.is_empty() || in_flight.values().all(|other| other.group != message.group)
        };
        let place = queue.waiting.iter().position(free)?;
        let message = queue.waiting.remove(place)?;
        self.handles += 1;
        let handle = format!("handle \"{}\"", self.handles);
        let answer = json!({
            "MessageId": "m",
            "ReceiptHandle": handle,
            "MD5OfBody": hex_md5(&message.body),
            "Body": message.body,
        });
        queue.in_flight.insert(handle, message);
        Some(answer)
    }
}

/// The fields of a form, decoded.
fn fields(form: &str) -> HashMap<String, String> {
    let decode = |text: &str| {
        let mut parts = text.split('%');
        let mut decoded = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            decoded.push(u8::from_str_radix(&part[..2], 16).unwrap());
            decoded.extend_from_slice(&part.as_bytes()[2..]);
        }
        String::from_utf8(decoded).unwrap()
    };
    let pairs = form.split('&').filter_map(|field| field.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decode(value))).collect()
}

/// Asks an endpoint to confirm, at a link that leads to a listener of its own.
fn confirm(address: String) {
    std::thread::spawn(move || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = format!("http://{}/?Action=Confirm&Token=t", listener.local_addr().unwrap());
        let body = json!({ "Type": "SubscriptionConfirmation", "SubscribeURL": link }).to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            _ = stream.read(&mut [0; 1024]);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        assert!(post(&address, "SubscriptionConfirmation", &body));
    });
}

/// Delivers in the background, again and again until it is taken.
fn deliver(address: String, body: String) {
    std::thread::spawn(move || {
        let begin = Instant::now();
        while !post(&address, "Notification", &body) && begin.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
}

fn post(address: &str, kind: &str, body: &str) -> bool {
    let host = address.strip_prefix("http://").unwrap().trim_end_matches('/');
    let Ok(mut stream) = TcpStream::connect(host) else { return false };
    let head = format!(
        "POST / HTTP/1.1\r\nx-amz-sns-message-type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut answer = [0; 12];
    stream.write_all((head + body).as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b" 200")
}

fn hex_md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
