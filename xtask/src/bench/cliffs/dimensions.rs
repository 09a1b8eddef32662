//! What is swept: each dimension with its least and its most, how the server is brought there, and which operation is then measured.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Connection, Failure, again, each};
use super::light::{Felt, Light};
use crate::bench::contenders::{Contender, Kitchen};
use crate::bench::process::Server;

/// One dimension.
pub struct Dimension {
    /// What grows.
    pub name: &'static str,
    /// What is measured.
    pub operation: &'static str,
    /// From how much.
    pub least: u64,
    /// To how much.
    pub most: u64,
    /// How.
    how: How,
}

enum How {
    /// Brings a fresh server there, and measures.
    Steps(fn(&mut Sweep<'_>, u64) -> Result<Measured, Failure>),
    /// Subscriptions with these filter policies, of which a published message matches the first.
    Filters(fn(u64) -> Value),
}

use How::{Filters, Steps};

impl Dimension {
    /// Brings a fresh server to `value`, and measures.
    pub fn measure(&self, sweep: &mut Sweep<'_>, value: u64) -> Result<Measured, Failure> {
        match self.how {
            Steps(steps) => steps(sweep, value),
            Filters(filter) => {
                let arn = sweep.topic(value, |number| Some(filter(number)))?;
                sweep.publish(&arn)
            }
        }
    }
}

/// What was measured at one value.
pub struct Measured {
    /// Microseconds of the server's CPU for each operation; none where only the light client is looked at.
    pub cpu_micros: Option<f64>,
    /// What the light client felt.
    pub felt: Felt,
}

/// A server to be brought somewhere.
pub struct Sweep<'a> {
    kitchen: &'a Kitchen,
    data: tempfile::TempDir,
    server: Server,
    /// How long each operation is measured.
    time: Duration,
}

impl<'a> Sweep<'a> {
    /// A fresh server.
    pub fn start(kitchen: &'a Kitchen, time: Duration) -> Result<Sweep<'a>, Failure> {
        let data = kitchen.data().map_err(text)?;
        let server = kitchen.start(Contender::OursOs, data.path()).map_err(text)?;
        Ok(Sweep { kitchen, data, server, time })
    }

    fn connect(&self) -> Result<Connection, Failure> {
        Connection::open(self.server.address)
    }

    /// Starts the server anew on the same data, after it was killed.
    fn restart(self) -> Result<Sweep<'a>, Failure> {
        let Sweep { kitchen, data, server, time } = self;
        drop(server);
        let server = kitchen.start(Contender::OursOs, data.path()).map_err(text)?;
        Ok(Sweep { kitchen, data, server, time })
    }

    fn each(
        &self,
        count: u64,
        task: impl Fn(&mut Connection, u64) -> Result<(), Failure> + Sync,
    ) -> Result<(), Failure> {
        each(self.server.address, count, task)
    }

    /// Does `task` again and again beside a light client. The CPU is that of all; the light client's part is small.
    fn again(
        &self,
        task: impl Fn(&mut Connection, u64) -> Result<(), Failure> + Sync,
    ) -> Result<Measured, Failure> {
        let light = Light::start(self.server.address)?;
        // Caches and branch predictors are warm when it counts.
        again(self.server.address, self.time / 8, |connection, _| task(connection, 0))?;
        let before = self.server.cpu_nanos().map_err(text)?;
        let count = again(self.server.address, self.time, |connection, number| task(connection, number + 1))?;
        self.measured(before, count, light)
    }

    /// Does something once for each number below `count`, beside a light client.
    fn counted(
        &self,
        count: u64,
        task: impl Fn(&mut Connection, u64) -> Result<(), Failure> + Sync,
    ) -> Result<Measured, Failure> {
        let light = Light::start(self.server.address)?;
        let before = self.server.cpu_nanos().map_err(text)?;
        self.each(count, task)?;
        self.measured(before, count, light)
    }

    fn measured(&self, before: u64, count: u64, light: Light) -> Result<Measured, Failure> {
        let nanos = self.server.cpu_nanos().map_err(text)? - before;
        let felt = light.stop()?;
        Ok(Measured { cpu_micros: Some(nanos as f64 / 1e3 / count.max(1) as f64), felt })
    }

    /// Does something once, and then waits as long as it may have consequences, beside a light client.
    fn once(
        &self,
        task: impl FnOnce(&mut Connection) -> Result<(), Failure>,
        then: Duration,
    ) -> Result<Measured, Failure> {
        let light = Light::start(self.server.address)?;
        let begun = Instant::now();
        task(&mut self.connect()?)?;
        std::thread::sleep(then.max(self.time).saturating_sub(begun.elapsed()));
        Ok(Measured { cpu_micros: None, felt: light.stop()? })
    }

    /// Sends `count` messages in batches of ten; `entry` adds to each what makes it special.
    fn fill(&self, url: &str, count: u64, entry: impl Fn(u64, &mut Value) + Sync) -> Result<(), Failure> {
        self.each(count.div_ceil(10), |connection, batch| {
            let numbers = batch * 10..((batch + 1) * 10).min(count);
            let entries: Vec<Value> = numbers
                .map(|number| {
                    let mut message =
                        json!({"Id": number.to_string(), "MessageBody": "a message of a sweep"});
                    entry(number, &mut message);
                    message
                })
                .collect();
            let answer = connection.sqs("SendMessageBatch", &json!({"QueueUrl": url, "Entries": entries}))?;
            match answer["Failed"].as_array() {
                Some(failed) if !failed.is_empty() => Err(format!("SendMessageBatch: {}", failed[0]).into()),
                _ => Ok(()),
            }
        })
    }

    /// A topic with `count` subscribers that are queues; `filter` says which messages each wants. Returns the topic's ARN.
    fn topic(&self, count: u64, filter: impl Fn(u64) -> Option<Value> + Sync) -> Result<String, Failure> {
        let answer = self.connect()?.sns("CreateTopic", &[("Name", "swept")])?;
        let arn = between(&answer, "<TopicArn>", "</TopicArn>")?.to_owned();
        self.each(count, |connection, number| {
            connection.create_queue(&subscriber(number), json!({"ReceiveMessageWaitTimeSeconds": "0"}))?;
            let endpoint = format!("arn:aws:sqs:us-east-1:000000000000:{}", subscriber(number));
            let policy = filter(number).map(|policy| policy.to_string());
            let mut parameters = vec![
                ("TopicArn", arn.as_str()),
                ("Protocol", "sqs"),
                ("Endpoint", endpoint.as_str()),
                // An envelope's signature costs more than all that is swept here.
                ("Attributes.entry.1.key", "RawMessageDelivery"),
                ("Attributes.entry.1.value", "true"),
            ];
            if let Some(policy) = &policy {
                parameters.push(("Attributes.entry.2.key", "FilterPolicy"));
                parameters.push(("Attributes.entry.2.value", policy));
            }
            connection.sns("Subscribe", &parameters).map(drop)
        })?;
        Ok(arn)
    }

    /// Publishes messages that one subscription of many wants, if any.
    fn publish(&self, arn: &str) -> Result<Measured, Failure> {
        self.again(|connection, _| {
            let parameters = [
                ("TopicArn", arn),
                ("Message", "a message of a sweep"),
                ("MessageAttributes.entry.1.Name", "kind"),
                ("MessageAttributes.entry.1.Value.DataType", "String"),
                ("MessageAttributes.entry.1.Value.StringValue", "v0-x-0v"),
                ("MessageAttributes.entry.2.Name", "size"),
                ("MessageAttributes.entry.2.Value.DataType", "Number"),
                ("MessageAttributes.entry.2.Value.StringValue", "0"),
            ];
            connection.sns("Publish", &parameters).map(drop)
        })
    }

    /// Sends messages to a queue.
    fn send(&self, url: &str) -> Result<Measured, Failure> {
        self.again(|connection, _| {
            connection.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "a message"})).map(drop)
        })
    }

    /// Sends a message, receives one, deletes it.
    fn cycle(&self, url: &str) -> Result<Measured, Failure> {
        self.again(|connection, _| {
            connection.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "a message"}))?;
            connection.receive_and_delete(url, 1).map(drop)
        })
    }

    /// Receives `count` messages and leaves them in flight; returns some of their receipt handles.
    fn take(&self, url: &str, count: u64) -> Result<Vec<String>, Failure> {
        let some = Mutex::new(Vec::new());
        self.each(count.div_ceil(10), |connection, _| {
            let handles = connection.receive(url, 10)?;
            // A client that panicked with it has ended the sweep.
            let mut some = some.lock().map_err(|_| "a client panicked")?;
            if some.len() < 10_000 {
                some.extend(handles);
            }
            Ok(())
        })?;
        Ok(some.into_inner().map_err(|_| "a client panicked")?)
    }

    /// A queue whose `count` messages were all moved to its dead-letter queue. Returns both URLs.
    fn moved(&self, count: u64) -> Result<(String, String), Failure> {
        let mut connection = self.connect()?;
        let dead = connection.create_queue("dead", json!({}))?;
        let policy =
            json!({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 1});
        let source = connection
            .create_queue("source", json!({"RedrivePolicy": policy.to_string(), "VisibilityTimeout": "0"}))?;
        self.fill(&source, count, |_, _| {})?;
        // Those that were received once move when they are looked at again.
        self.each(count.div_ceil(10) * 3, |connection, _| connection.receive(&source, 10).map(drop))?;
        Ok((source, dead))
    }
}

/// All of them.
pub const ALL: &[Dimension] = &[
    Dimension {
        name: "queues",
        operation: "SendMessage, to all in turn",
        least: 10,
        most: 100_000,
        how: Steps(|sweep, count| {
            sweep.each(count, |connection, number| {
                connection.create_queue(&format!("q{number}"), json!({})).map(drop)
            })?;
            sweep.again(|connection, number| {
                // A step that visits all, and not in the order in which they were made.
                let url = format!("http://localhost/000000000000/q{}", number * 7919 % count);
                connection.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "a message"})).map(drop)
            })
        }),
    },
    Dimension {
        name: "deleted queues",
        operation: "DeleteQueue",
        least: 1_000,
        most: 100_000,
        how: Steps(|sweep, count| {
            sweep.each(count, |connection, number| {
                connection.create_queue(&format!("q{number}"), json!({})).map(drop)
            })?;
            sweep.counted(count, |connection, number| {
                let url = format!("http://localhost/000000000000/q{number}");
                connection.sqs("DeleteQueue", &json!({"QueueUrl": url})).map(drop)
            })
        }),
    },
    Dimension {
        name: "waiting messages",
        operation: "send, receive one, delete it",
        least: 10,
        most: 1_000_000,
        how: Steps(|sweep, count| {
            let url = sweep.connect()?.create_queue("backlog", json!({}))?;
            sweep.fill(&url, count, |_, _| {})?;
            sweep.cycle(&url)
        }),
    },
    Dimension {
        name: "messages in flight",
        operation: "ChangeMessageVisibility",
        least: 10,
        most: 100_000,
        how: Steps(|sweep, count| {
            let url = sweep.connect()?.create_queue("busy", json!({"VisibilityTimeout": "600"}))?;
            sweep.fill(&url, count, |_, _| {})?;
            let handles = sweep.take(&url, count)?;
            sweep.again(|connection, number| {
                let handle = &handles[number as usize % handles.len()];
                let request = json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 600 + number % 100});
                connection.sqs("ChangeMessageVisibility", &request).map(drop)
            })
        }),
    },
    Dimension {
        name: "distinct delays of waiting messages",
        operation: "SendMessage without a delay",
        least: 0,
        most: 850,
        how: Steps(|sweep, count| {
            let url = sweep.connect()?.create_queue("delayed", json!({}))?;
            sweep.fill(&url, count, |number, message| message["DelaySeconds"] = json!(50 + number))?;
            sweep.send(&url)
        }),
    },
    Dimension {
        name: "FIFO groups",
        operation: "send to a new group, receive one, delete it",
        least: 10,
        most: 1_000_000,
        how: Steps(|sweep, count| {
            let attributes = json!({"FifoQueue": "true", "ContentBasedDeduplication": "false"});
            let url = sweep.connect()?.create_queue("groups.fifo", attributes)?;
            sweep.fill(&url, count, |number, message| {
                message["MessageGroupId"] = json!(format!("g{number}"));
                message["MessageDeduplicationId"] = json!(number.to_string());
            })?;
            let next = AtomicU64::new(count);
            sweep.again(|connection, _| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let message = json!({
                    "QueueUrl": url, "MessageBody": "a message", "MessageGroupId": format!("g{number}"),
                    "MessageDeduplicationId": number.to_string(),
                });
                connection.sqs("SendMessage", &message)?;
                connection.receive_and_delete(&url, 1).map(drop)
            })
        }),
    },
    Dimension {
        name: "groups of a standard queue, after a restart",
        operation: "repeated DeleteMessage",
        least: 100,
        most: 1_000_000,
        how: Steps(|sweep, count| {
            let url = sweep.connect()?.create_queue("fair", json!({}))?;
            sweep.fill(&url, count, |number, message| {
                message["MessageGroupId"] = json!(format!("g{number}"));
            })?;
            let handles = sweep.take(&url, 50)?;
            sweep.connect()?.delete(&url, handles.get(..10).ok_or("nothing was received")?)?;
            // What is swapped here is dropped when it has been restarted.
            let fresh = Sweep::start(sweep.kitchen, sweep.time)?;
            *sweep = std::mem::replace(sweep, fresh).restart()?;
            sweep.counted(400, |connection, number| {
                let request = json!({"QueueUrl": url, "ReceiptHandle": handles[number as usize % 10]});
                connection.sqs("DeleteMessage", &request).map(drop)
            })
        }),
    },
    Dimension {
        name: "moved messages",
        operation: "CreateQueue and DeleteQueue of an empty queue",
        least: 10,
        most: 300_000,
        how: Steps(|sweep, count| {
            sweep.moved(count)?;
            sweep.counted(300, |connection, number| {
                let url = connection.create_queue(&format!("empty{number}"), json!({}))?;
                connection.sqs("DeleteQueue", &json!({"QueueUrl": url})).map(drop)
            })
        }),
    },
    Dimension {
        name: "moved messages",
        operation: "SetQueueAttributes: a shorter retention (the light client alone)",
        least: 10,
        most: 300_000,
        how: Steps(|sweep, count| {
            let (_, dead) = sweep.moved(count)?;
            sweep.once(
                |connection| {
                    let request =
                        json!({"QueueUrl": dead, "Attributes": {"MessageRetentionPeriod": "86400"}});
                    connection.sqs("SetQueueAttributes", &request).map(drop)
                },
                Duration::from_secs(4),
            )
        }),
    },
    Dimension {
        name: "waiting messages",
        operation: "PurgeQueue (the light client alone)",
        least: 10,
        most: 1_000_000,
        how: Steps(|sweep, count| {
            let url = sweep.connect()?.create_queue("purged", json!({}))?;
            sweep.fill(&url, count, |_, _| {})?;
            sweep.once(
                |connection| connection.sqs("PurgeQueue", &json!({"QueueUrl": url})).map(drop),
                Duration::from_secs(4),
            )
        }),
    },
    Dimension {
        name: "visibility timeouts that end together",
        operation: "(the light client alone)",
        least: 10,
        most: 500_000,
        how: Steps(|sweep, count| {
            for queue in 0..10 {
                let url = sweep.connect()?.create_queue(&format!("t{queue}"), json!({}))?;
                sweep.fill(&url, count / 10, |_, _| {})?;
                let ends = Instant::now() + Duration::from_secs(40);
                // They are taken for as long as it is until all end: within the same second.
                sweep.each((count / 10).div_ceil(10), |connection, _| {
                    let seconds = ends.saturating_duration_since(Instant::now()).as_secs().max(1);
                    let request =
                        json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": seconds});
                    connection.sqs("ReceiveMessage", &request).map(drop)
                })?;
            }
            sweep.once(|_| Ok(()), Duration::from_secs(45))
        }),
    },
    Dimension {
        name: "long polls on another queue",
        operation: "SendMessage",
        least: 10,
        most: 5_000,
        how: Steps(|sweep, count| {
            let mut connection = sweep.connect()?;
            let url = connection.create_queue("sent-to", json!({}))?;
            let polled = connection.create_queue("polled", json!({}))?;
            let request = json!({"QueueUrl": polled, "WaitTimeSeconds": 20});
            let mut polls = Vec::new();
            for _ in 0..count {
                let mut poll = sweep.connect()?;
                poll.send_sqs("ReceiveMessage", &request)?;
                polls.push(poll);
            }
            sweep.send(&url)
        }),
    },
    Dimension {
        name: "message attributes",
        operation: "send, receive one, delete it",
        least: 0,
        most: 10,
        how: Steps(|sweep, count| {
            let url = sweep.connect()?.create_queue("attributes", json!({}))?;
            let attributes: serde_json::Map<String, Value> = (0..count)
                .map(|at| (format!("name{at}"), json!({"DataType": "String", "StringValue": "a value"})))
                .collect();
            let message =
                json!({"QueueUrl": url, "MessageBody": "a message", "MessageAttributes": attributes});
            sweep.again(|connection, _| {
                connection.sqs("SendMessage", &message)?;
                connection.receive_and_delete(&url, 1).map(drop)
            })
        }),
    },
    Dimension {
        name: "bytes of a message",
        operation: "send, receive one, delete it (the cost grows with the bytes; only the light client counts)",
        least: 1_000,
        most: 1_000_000,
        how: Steps(|sweep, count| {
            let url = sweep.connect()?.create_queue("large", json!({}))?;
            let message = json!({"QueueUrl": url, "MessageBody": "x".repeat(count as usize)});
            sweep.again(|connection, _| {
                connection.sqs("SendMessage", &message)?;
                connection.receive_and_delete(&url, 1).map(drop)
            })
        }),
    },
    Dimension {
        name: "topics",
        operation: "Publish to a topic with one queue",
        least: 1,
        most: 20_000,
        how: Steps(|sweep, count| {
            sweep.each(count, |connection, number| {
                connection.sns("CreateTopic", &[("Name", &format!("t{number}"))]).map(drop)
            })?;
            let arn = sweep.topic(1, |_| None)?;
            sweep.publish(&arn)
        }),
    },
    Dimension {
        name: "queues of one topic",
        operation: "Publish, per copy",
        least: 10,
        most: 10_000,
        how: Steps(|sweep, count| {
            let arn = sweep.topic(count, |_| None)?;
            let found = sweep.counted(200, |connection, _| {
                connection.sns("Publish", &[("TopicArn", &arn), ("Message", "a message")]).map(drop)
            })?;
            let for_each = found.cpu_micros.map(|micros| micros / count as f64);
            Ok(Measured { cpu_micros: for_each, felt: found.felt })
        }),
    },
    Dimension {
        name: "queues of one topic",
        operation: "receive and delete ten from one of them",
        least: 10,
        most: 10_000,
        how: Steps(|sweep, count| {
            let arn = sweep.topic(count, |_| None)?;
            sweep.each(1_000, |connection, _| {
                connection.sns("Publish", &[("TopicArn", &arn), ("Message", "a message")]).map(drop)
            })?;
            let url = format!("http://localhost/000000000000/{}", subscriber(count / 2));
            sweep.counted(100, |connection, _| connection.receive_and_delete(&url, 10).map(drop))
        }),
    },
    Dimension {
        name: "queues of one topic",
        operation: "DeleteTopic (the light client alone)",
        least: 10,
        most: 10_000,
        how: Steps(|sweep, count| {
            let arn = sweep.topic(count, |_| None)?;
            sweep.once(
                |connection| connection.sns("DeleteTopic", &[("TopicArn", &arn)]).map(drop),
                Duration::from_secs(3),
            )
        }),
    },
    filters("filters: exact", |number| json!({"kind": [format!("v{number}-x-{number}v")]})),
    filters("filters: prefix", |number| json!({"kind": [{"prefix": format!("v{number}-")}]})),
    filters("filters: suffix", |number| json!({"kind": [{"suffix": format!("-{number}v")}]})),
    filters("filters: numeric", |number| json!({"size": [{"numeric": [">=", number, "<", number + 1]}]})),
    filters("filters: wildcard", |number| json!({"kind": [{"wildcard": format!("v{number}-*-{number}v")}]})),
    filters(
        "filters: $or",
        |number| json!({"$or": [{"kind": [format!("v{number}-x-{number}v")]}, {"size": [number + 1_000_000]}]}),
    ),
    filters(
        "filters: exists false",
        |number| json!({"kind": [format!("v{number}-x-{number}v")], format!("absent{number}"): [{"exists": false}]}),
    ),
    filters("filters: anything-but", |number| match number {
        0 => json!({"kind": [{"anything-but": ["other"]}]}),
        _ => json!({"kind": [{"anything-but": ["v0-x-0v", format!("other{number}")]}]}),
    }),
];

/// Many filters of one kind.
const fn filters(name: &'static str, filter: fn(u64) -> Value) -> Dimension {
    Dimension { name, operation: "Publish", least: 10, most: 10_000, how: Filters(filter) }
}

fn subscriber(number: u64) -> String {
    format!("subscriber{number}")
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Result<&'a str, Failure> {
    let (_, rest) = text.split_once(from).ok_or_else(|| format!("no {from} in {text}"))?;
    Ok(rest.split_once(to).ok_or_else(|| format!("no {to} in {text}"))?.0)
}

/// An error that need not be sent anywhere, as one that can.
fn text(error: Box<dyn std::error::Error>) -> Failure {
    error.to_string().into()
}
