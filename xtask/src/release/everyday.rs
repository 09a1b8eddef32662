//! Typical requests besides the benchmark's tasks: attributes, visibility, lists, tags, dead letters,
//! envelopes, each in both protocols.

use std::error::Error;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::bench::process::{ask, ask_form};

/// Number of repetitions.
const ROUNDS: usize = 100;

/// A typical message, with characters that JSON and XML must escape.
const TEXT: &str =
    "{\"order\": 17, \"customer\": \"Zoë <zoe@example.com>\", \"note\": \"two lines\\n& a 'quote' ✓\"}";

/// Sends all of these requests. A status other than 200 is an error that names the request.
pub fn live(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let user = User { address };
    let dead = user.queue("everyday-dead", json!({}))?;
    let dead_arn = user.arn(&dead)?;
    let redrive = json!({ "deadLetterTargetArn": dead_arn, "maxReceiveCount": 1 }).to_string();
    let queue = user.queue("everyday", json!({ "VisibilityTimeout": "60", "RedrivePolicy": redrive }))?;
    let fifo =
        user.queue("everyday.fifo", json!({ "FifoQueue": "true", "ContentBasedDeduplication": "true" }))?;
    let envelopes = user.queue("everyday-envelopes", json!({}))?;
    let topic = user.topic(&user.arn(&envelopes)?)?;
    for round in 0..ROUNDS {
        user.queues_in_json(&queue)?;
        user.queues_in_forms(&queue)?;
        user.groups(&fifo, round)?;
        user.topics(&topic, &envelopes)?;
        user.dead_letter(&queue, &dead)?;
    }
    user.moves(&queue, &dead, &dead_arn)?;
    user.removals(&[&queue, &fifo, &envelopes, &dead], &topic)
}

/// Attributes of a message, in SQS's JSON.
fn attributes() -> Value {
    json!({
        "kind": { "DataType": "String", "StringValue": "order" },
        "weight": { "DataType": "Number", "StringValue": "12.5" },
        "seal": { "DataType": "Binary", "BinaryValue": "c2VhbGVk" },
    })
}

struct User {
    address: SocketAddr,
}

impl User {
    fn queue(&self, name: &str, attributes: Value) -> Result<String, Box<dyn Error>> {
        let body = json!({ "QueueName": name, "Attributes": attributes, "tags": { "team": "everyday" } });
        text(&self.sqs("CreateQueue", &body)?["QueueUrl"])
    }

    fn arn(&self, queue: &str) -> Result<String, Box<dyn Error>> {
        let answer =
            self.sqs("GetQueueAttributes", &json!({ "QueueUrl": queue, "AttributeNames": ["QueueArn"] }))?;
        text(&answer["Attributes"]["QueueArn"])
    }

    /// Creates a topic whose messages a queue gets in envelopes.
    fn topic(&self, queue_arn: &str) -> Result<String, Box<dyn Error>> {
        let answer = self.form("sns", &[("Action", "CreateTopic"), ("Name", "everyday")])?;
        let topic = element(&answer, "TopicArn")?.to_owned();
        self.form(
            "sns",
            &[
                ("Action", "Subscribe"),
                ("TopicArn", &topic),
                ("Protocol", "sqs"),
                ("Endpoint", queue_arn),
                ("ReturnSubscriptionArn", "true"),
                ("Attributes.entry.1.key", "FilterPolicy"),
                (
                    "Attributes.entry.1.value",
                    r#"{"kind": ["order", {"prefix": "pay"}], "weight": [{"numeric": [">", 1]}]}"#,
                ),
            ],
        )?;
        Ok(topic)
    }

    fn queues_in_json(&self, queue: &str) -> Result<(), Box<dyn Error>> {
        let entry = |id: &str| json!({ "Id": id, "MessageBody": TEXT, "MessageAttributes": attributes() });
        let batch: Vec<Value> = ["a", "b", "c", "d"].into_iter().map(entry).collect();
        self.sqs(
            "SendMessage",
            &json!({ "QueueUrl": queue, "MessageBody": TEXT, "MessageAttributes": attributes() }),
        )?;
        self.sqs("SendMessageBatch", &json!({ "QueueUrl": queue, "Entries": batch }))?;
        let handles = self.receive(queue, 10)?;
        let [first, second, third, fourth, ..] = &handles[..] else {
            return Err(format!("ReceiveMessage gave {} messages of five", handles.len()).into());
        };
        self.sqs(
            "ChangeMessageVisibility",
            &json!({ "QueueUrl": queue, "ReceiptHandle": first, "VisibilityTimeout": 120 }),
        )?;
        let entry = |handle: &str| json!({ "Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 120 });
        self.sqs("ChangeMessageVisibilityBatch", &json!({ "QueueUrl": queue, "Entries": [entry(second)] }))?;
        self.sqs("DeleteMessage", &json!({ "QueueUrl": queue, "ReceiptHandle": first }))?;
        let entry = |id: &str, handle: &str| json!({ "Id": id, "ReceiptHandle": handle });
        self.sqs(
            "DeleteMessageBatch",
            &json!({ "QueueUrl": queue, "Entries": [entry("a", second), entry("b", third)] }),
        )?;
        let next = json!({ "QueueUrl": queue, "Entries": [entry("a", fourth)], "MaxNumberOfMessages": 10 });
        self.json("Posthaste.DeleteAndReceiveMessages", &next)?;
        if let Some(rest) = handles.get(4) {
            self.sqs("DeleteMessage", &json!({ "QueueUrl": queue, "ReceiptHandle": rest }))?;
        }
        self.sqs("GetQueueAttributes", &json!({ "QueueUrl": queue, "AttributeNames": ["All"] }))?;
        self.sqs("SetQueueAttributes", &json!({ "QueueUrl": queue, "Attributes": { "DelaySeconds": "0" } }))?;
        self.sqs("GetQueueUrl", &json!({ "QueueName": "everyday" }))?;
        self.sqs("ListQueues", &json!({ "QueueNamePrefix": "every", "MaxResults": 10 }))?;
        self.sqs("TagQueue", &json!({ "QueueUrl": queue, "Tags": { "stage": "test" } }))?;
        self.sqs("ListQueueTags", &json!({ "QueueUrl": queue }))?;
        self.sqs("UntagQueue", &json!({ "QueueUrl": queue, "TagKeys": ["stage"] })).map(drop)
    }

    /// Returns the receipt handles of a receive with all attributes.
    fn receive(&self, queue: &str, at_most: u32) -> Result<Vec<String>, Box<dyn Error>> {
        let answer = self.sqs(
            "ReceiveMessage",
            &json!({
                "QueueUrl": queue, "MaxNumberOfMessages": at_most, "WaitTimeSeconds": 1,
                "MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"],
            }),
        )?;
        answer["Messages"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|message| text(&message["ReceiptHandle"]))
            .collect()
    }

    fn queues_in_forms(&self, queue: &str) -> Result<(), Box<dyn Error>> {
        let form = |fields: &[(&str, &str)]| self.form("sqs", &[&[("QueueUrl", queue)], fields].concat());
        form(&[
            ("Action", "SendMessage"),
            ("MessageBody", TEXT),
            ("MessageAttribute.1.Name", "kind"),
            ("MessageAttribute.1.Value.DataType", "String"),
            ("MessageAttribute.1.Value.StringValue", "order"),
        ])?;
        form(&[
            ("Action", "SendMessageBatch"),
            ("SendMessageBatchRequestEntry.1.Id", "a"),
            ("SendMessageBatchRequestEntry.1.MessageBody", TEXT),
        ])?;
        for _ in 0..2 {
            let answer = form(&[
                ("Action", "ReceiveMessage"),
                ("AttributeName.1", "All"),
                ("MessageAttributeName.1", "All"),
                ("WaitTimeSeconds", "1"),
            ])?;
            let handle = element(&answer, "ReceiptHandle")?;
            form(&[
                ("Action", "ChangeMessageVisibility"),
                ("ReceiptHandle", handle),
                ("VisibilityTimeout", "120"),
            ])?;
            form(&[
                ("Action", "DeleteMessageBatch"),
                ("DeleteMessageBatchRequestEntry.1.Id", "a"),
                ("DeleteMessageBatchRequestEntry.1.ReceiptHandle", handle),
            ])?;
        }
        form(&[("Action", "GetQueueAttributes"), ("AttributeName.1", "All")])?;
        self.form("sqs", &[("Action", "ListQueues")]).map(drop)
    }

    fn groups(&self, fifo: &str, round: usize) -> Result<(), Box<dyn Error>> {
        let body = json!({
            "QueueUrl": fifo, "MessageBody": format!("{TEXT} {round}"), "MessageGroupId": format!("group-{}", round % 7),
        });
        // The second time it exists already.
        self.sqs("SendMessage", &body)?;
        self.sqs("SendMessage", &body)?;
        for handle in self.receive(fifo, 1)? {
            self.sqs("DeleteMessage", &json!({ "QueueUrl": fifo, "ReceiptHandle": handle }))?;
        }
        Ok(())
    }

    fn topics(&self, topic: &str, queue: &str) -> Result<(), Box<dyn Error>> {
        let form = |fields: &[(&str, &str)]| self.form("sns", &[&[("TopicArn", topic)], fields].concat());
        form(&[
            ("Action", "Publish"),
            ("Message", TEXT),
            ("Subject", "An order"),
            ("MessageAttributes.entry.1.Name", "kind"),
            ("MessageAttributes.entry.1.Value.DataType", "String"),
            ("MessageAttributes.entry.1.Value.StringValue", "order"),
            ("MessageAttributes.entry.2.Name", "weight"),
            ("MessageAttributes.entry.2.Value.DataType", "Number"),
            ("MessageAttributes.entry.2.Value.StringValue", "12.5"),
        ])?;
        // No filter matches this one.
        form(&[
            ("Action", "Publish"),
            ("Message", r#"{"default": "to all"}"#),
            ("MessageStructure", "json"),
        ])?;
        for handle in self.receive(queue, 1)? {
            self.sqs("DeleteMessage", &json!({ "QueueUrl": queue, "ReceiptHandle": handle }))?;
        }
        form(&[("Action", "GetTopicAttributes")])?;
        let answer = form(&[("Action", "ListSubscriptionsByTopic")])?;
        let subscription = element(&answer, "SubscriptionArn")?;
        self.form("sns", &[("Action", "GetSubscriptionAttributes"), ("SubscriptionArn", subscription)])?;
        self.form("sns", &[("Action", "ListTopics")])?;
        self.form("sns", &[("Action", "ListSubscriptions")]).map(drop)
    }

    /// Sends a message, receives it and returns it; the next receive makes it a dead letter.
    fn dead_letter(&self, queue: &str, dead: &str) -> Result<(), Box<dyn Error>> {
        self.sqs("SendMessage", &json!({ "QueueUrl": queue, "MessageBody": TEXT }))?;
        for handle in self.receive(queue, 1)? {
            self.sqs(
                "ChangeMessageVisibility",
                &json!({ "QueueUrl": queue, "ReceiptHandle": handle, "VisibilityTimeout": 0 }),
            )?;
        }
        self.sqs("ReceiveMessage", &json!({ "QueueUrl": queue }))?;
        self.sqs(
            "GetQueueAttributes",
            &json!({ "QueueUrl": dead, "AttributeNames": ["ApproximateNumberOfMessages"] }),
        )
        .map(drop)
    }

    /// Moves all dead letters back.
    fn moves(&self, queue: &str, dead: &str, dead_arn: &str) -> Result<(), Box<dyn Error>> {
        self.sqs("ListDeadLetterSourceQueues", &json!({ "QueueUrl": dead }))?;
        self.sqs("StartMessageMoveTask", &json!({ "SourceArn": dead_arn }))?;
        self.sqs("ListMessageMoveTasks", &json!({ "SourceArn": dead_arn }))?;
        let handles = self.receive(queue, 10)?;
        if handles.is_empty() { Err("StartMessageMoveTask moved nothing".into()) } else { Ok(()) }
    }

    fn removals(&self, queues: &[&str], topic: &str) -> Result<(), Box<dyn Error>> {
        self.form("sns", &[("Action", "DeleteTopic"), ("TopicArn", topic)])?;
        for queue in queues {
            self.sqs("PurgeQueue", &json!({ "QueueUrl": queue }))?;
            self.sqs("DeleteQueue", &json!({ "QueueUrl": queue }))?;
        }
        Ok(())
    }

    fn sqs(&self, operation: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        self.json(&format!("AmazonSQS.{operation}"), body)
    }

    fn json(&self, target: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        let answer = good(target, ask(self.address, target, &body.to_string()))?;
        // Some answers are empty.
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer)? })
    }

    fn form(&self, service: &str, fields: &[(&str, &str)]) -> Result<String, Box<dyn Error>> {
        let action = fields.iter().find(|(name, _)| *name == "Action").map_or("", |(_, action)| action);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        good(&format!("{action} of {service}, as a form"), ask_form(self.address, service, &body))
    }
}

/// Returns the body of an answer with status 200.
fn good(request: &str, answer: Option<(u16, String)>) -> Result<String, Box<dyn Error>> {
    match answer {
        Some((200, body)) => Ok(body),
        Some((status, body)) => Err(format!("{request}: {status} {body}").into()),
        None => Err(format!("{request}: no answer").into()),
    }
}

fn text(value: &Value) -> Result<String, Box<dyn Error>> {
    Ok(value.as_str().ok_or_else(|| format!("{value} is no text"))?.to_owned())
}

/// Returns the content of the first element with this name in an answer.
fn element<'a>(answer: &'a str, name: &str) -> Result<&'a str, Box<dyn Error>> {
    let inside = |answer: &'a str| {
        let (_, rest) = answer.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    };
    inside(answer).ok_or_else(|| format!("no {name} in {answer}").into())
}
