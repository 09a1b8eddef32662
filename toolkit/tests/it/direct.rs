//! The hot calls go past the SDK's machinery: to the same effect, and back to it when anything is wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sqs::error::BoxError;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use toolkit::body::{Attribute, Attributes};
use toolkit::consumer::{BatchOutcome, ConsumerSettings, Counts, Delivery};
use toolkit::publisher::{Outgoing, PublishError, PublisherSettings, TopicSink};
use toolkit::testing::Server;
use toolkit::{Backoff, Clients, Consumer, Publisher, Queue, QueueSpec, Subscription, TopicSpec};

use crate::common::{Step, receive, server};

/// Counts what the SDK is about to send, by operation.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<Mutex<BTreeMap<String, u32>>>);

impl Intercept for Counted {
    fn name(&self) -> &'static str {
        "Counted"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        // SQS names it in a header, SNS in its form.
        let form = || request.body().bytes()?.strip_prefix(b"Action=")?.split(|byte| *byte == b'&').next();
        let target = request.headers().get("x-amz-target").and_then(|target| target.split_once('.'));
        let operation = match target {
            Some((_, operation)) => operation.to_owned(),
            None => String::from_utf8_lossy(form().unwrap_or_default()).into_owned(),
        };
        *self.0.lock().unwrap().entry(operation).or_default() += 1;
        Ok(())
    }
}

impl Counted {
    fn watch(clients: &mut Clients) -> Counted {
        let counted = Counted::default();
        let config = aws_sdk_sqs::config::Builder::from(&clients.config).interceptor(counted.clone());
        clients.sqs = aws_sdk_sqs::Client::from_conf(config.build());
        let config = aws_sdk_sns::config::Builder::from(&clients.config).interceptor(counted.clone());
        clients.sns = aws_sdk_sns::Client::from_conf(config.build());
        counted
    }

    fn of(&self, operation: &str) -> u32 {
        self.0.lock().unwrap().get(operation).copied().unwrap_or(0)
    }
}

/// What may stand in a message that is not plain in JSON.
const AWKWARD: &str = "\"quotes\" \\ slashes / \n\t ünïcödé 🦀 \u{2028}";

fn attributes() -> Attributes {
    let all = [
        ("text", Attribute::from(AWKWARD)),
        ("number", Attribute::Number("-12.50".into())),
        ("binary", Attribute::Binary(vec![0, 159, 255, 10])),
        ("list", Attribute::List("[\"a\",1]".into())),
    ];
    all.map(|(name, value)| (name.to_owned(), value)).into()
}

async fn first_delivery(clients: &Clients, queue: &Queue) -> Delivery<Step> {
    let (handled, mut seen) = mpsc::unbounded_channel();
    let handler = move |delivery: Delivery<Step>| {
        handled.send(delivery).unwrap();
        async {}
    };
    let settings = ConsumerSettings { wait: Duration::from_secs(1), ..ConsumerSettings::default() };
    let consumer = Consumer::new(clients, queue).settings(settings).without_dead_letters();
    let running = consumer.start(handler).await.unwrap();
    let delivery = seen.recv().await.unwrap();
    assert_eq!(running.shutdown().await.deleted, 1);
    delivery
}

#[tokio::test]
async fn what_is_sent_past_the_sdk_is_what_the_sdk_receives_and_the_other_way_round() {
    let (_server, mut clients) = server().await;
    let queue = QueueSpec::new("q.fifo").ensure(&clients).await.unwrap();
    let counted = Counted::watch(&mut clients);
    let publisher = Publisher::queue(&clients, &queue).source("tests");
    let mut message = Outgoing::new(Step { number: 1 }).group("g").deduplication_id("d").priority(AWKWARD);
    for (name, value) in attributes() {
        message = message.attribute(name, value);
    }
    let prepared = publisher.prepare(message).await.unwrap();
    let receipt = publisher.publish_prepared(vec![prepared.clone()]).await.unwrap().remove(0).unwrap();
    assert_eq!(counted.of("SendMessageBatch"), 0, "it went past the SDK");

    let received = receive(&clients, &queue).await.remove(0);
    assert_eq!(received.body(), Some(prepared.body.as_str()));
    assert_eq!(received.message_id(), Some(receipt.message_id.as_str()));
    let system = received.attributes().unwrap();
    let system =
        |name: &str| system.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value.as_str());
    assert_eq!((system("MessageGroupId"), system("MessageDeduplicationId")), (Some("g"), Some("d")));
    assert_eq!(system("SequenceNumber"), receipt.sequence_number.as_deref());
    let read = |name: &str| received.message_attributes().unwrap()[name].clone();
    assert_eq!(read("text").string_value(), Some(AWKWARD));
    assert_eq!((read("number").data_type(), read("number").string_value()), ("Number", Some("-12.50")));
    assert_eq!(read("list").data_type(), "String.Array");
    assert_eq!(read("binary").binary_value().unwrap().as_ref(), [0, 159, 255, 10]);

    // Back through a consumer.
    let visible = clients.sqs.change_message_visibility().queue_url(&queue.url).visibility_timeout(0);
    visible.receipt_handle(received.receipt_handle().unwrap()).send().await.unwrap();
    let receives = counted.of("ReceiveMessage");
    let delivery = first_delivery(&clients, &queue).await;
    assert_eq!((delivery.receive_count, delivery.group.as_deref()), (2, Some("g")));
    assert_eq!(delivery.attributes(), prepared.attributes);
    assert_eq!(delivery.envelope.metadata.priority.as_deref(), Some(AWKWARD));
    assert_eq!(delivery.sent_at.as_millisecond().to_string(), system("SentTimestamp").unwrap());
    // One was prepared, to learn from it, and stopped.
    assert!(counted.of("ReceiveMessage") <= receives + 1);
    assert_eq!(counted.of("DeleteMessageBatch"), 0);

    // From the SDK to a consumer.
    let body = serde_json::to_string(&delivery.envelope).unwrap();
    let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([7, 0])).build();
    let send = clients.sqs.send_message().queue_url(&queue.url).message_body(body).message_group_id("h");
    let send = send.message_deduplication_id("e").message_attributes("b", binary.unwrap());
    send.send().await.unwrap();
    let again = first_delivery(&clients, &queue).await;
    assert_eq!(again.envelope, delivery.envelope);
    assert_eq!(again.attribute("b"), Some(Attribute::Binary(vec![7, 0])));
}

#[tokio::test]
async fn what_is_published_past_the_sdk_is_what_the_sdk_publishes() {
    let (_server, mut clients) = server().await;
    let queue = QueueSpec::new("q.fifo").ensure(&clients).await.unwrap();
    let topic = TopicSpec::new("t.fifo").ensure(&clients).await.unwrap();
    Subscription::queue(&queue).ensure(&clients, &topic).await.unwrap();
    let counted = Counted::watch(&mut clients);
    let past = Publisher::topic(&clients, &topic.arn).source("tests");
    let through = Publisher::to(TopicSink { sns: clients.sns.clone(), arn: topic.arn.clone() });
    let mut heard = Vec::new();
    for (publisher, id) in [(&past, "d"), (&through, "e")] {
        let mut message = Outgoing::new(Step { number: 1 }).id("i").group("g").deduplication_id(id);
        message = message.priority(AWKWARD);
        for (name, value) in attributes() {
            message = message.attribute(name, value);
        }
        // The same bytes by both ways.
        let prepared = toolkit::publisher::Prepared {
            deduplication_id: Some(id.to_owned()),
            ..past.prepare(message).await.unwrap()
        };
        let receipt = publisher.publish_prepared(vec![prepared.clone()]).await.unwrap().remove(0).unwrap();
        assert!(!receipt.message_id.is_empty() && receipt.sequence_number.is_some());
        let received = receive(&clients, &queue).await.remove(0);
        assert_eq!(received.body(), Some(prepared.body.as_str()));
        let system = received.attributes().unwrap().iter();
        let mut system: Vec<_> =
            system.map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
        system.retain(|(name, _)| name == "MessageGroupId" || name == "MessageDeduplicationId");
        system.sort();
        assert_eq!(system[0].1, id);
        heard.push((system.remove(1), received.message_attributes().unwrap().clone()));
        let delete = clients.sqs.delete_message().queue_url(&queue.url);
        delete.receipt_handle(received.receipt_handle().unwrap()).send().await.unwrap();
    }
    assert_eq!(heard[0].0, heard[1].0);
    assert_eq!(heard[0].1, heard[1].1);
    assert_eq!(heard[0].1["text"].string_value(), Some(AWKWARD));
    assert_eq!(heard[0].1["binary"].binary_value().unwrap().as_ref(), [0, 159, 255, 10]);
    assert_eq!(counted.of("PublishBatch"), 1, "one of the two went past the SDK");
}

fn hurried() -> PublisherSettings {
    PublisherSettings {
        attempts: 1,
        backoff: Backoff::new(Duration::ZERO, Duration::ZERO),
        ..PublisherSettings::default()
    }
}

#[tokio::test]
async fn what_a_topic_refuses_is_said_by_the_sdk() {
    let (_server, mut clients) = server().await;
    let topic = TopicSpec::new("t").ensure(&clients).await.unwrap();
    let counted = Counted::watch(&mut clients);
    let publisher = Publisher::topic(&clients, &topic.arn).settings(hurried());
    publisher.publish(Step { number: 1 }).await.unwrap();
    assert_eq!(counted.of("PublishBatch"), 0);
    clients.sns.delete_topic().topic_arn(&topic.arn).send().await.unwrap();
    let call = clients.sns.publish().topic_arn(&topic.arn).message("m").send().await;
    let theirs = toolkit::Fault::from(call.unwrap_err());
    let Err(PublishError::Refused { fault, .. }) = publisher.publish(Step { number: 2 }).await else {
        panic!("there is no such topic");
    };
    assert_eq!((&fault.code, fault.retryable), (&theirs.code, false));
    assert_eq!(counted.of("PublishBatch"), 1, "the SDK said it");
}

#[tokio::test]
async fn what_goes_wrong_is_said_by_the_sdk() {
    let (_server, mut clients) = server().await;
    let queue = QueueSpec::new("q").ensure(&clients).await.unwrap();
    let counted = Counted::watch(&mut clients);
    let publisher = Publisher::queue(&clients, &queue).settings(hurried());
    publisher.publish(Step { number: 1 }).await.unwrap();
    assert_eq!(counted.of("SendMessageBatch"), 0);
    clients.sqs.delete_queue().queue_url(&queue.url).send().await.unwrap();
    let call = clients.sqs.receive_message().queue_url(&queue.url).send().await;
    let theirs = toolkit::Fault::from(call.unwrap_err());
    let Err(PublishError::Refused { fault, .. }) = publisher.publish(Step { number: 2 }).await else {
        panic!("there is no such queue");
    };
    assert_eq!((&fault.code, fault.retryable), (&theirs.code, false));
    assert_eq!(counted.of("SendMessageBatch"), 1, "the SDK said it");
}

/// What goes over the connections to a server, seen by somebody between.
#[derive(Debug, Default)]
struct Watched {
    /// How often deletes and a receive were asked for in one request.
    turns: AtomicUsize,
    /// How many connections were cut.
    cut: AtomicUsize,
}

/// How the one between meddles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meddling {
    None,
    /// The server is said to be another.
    Renames,
    /// The server knows AWS's operations alone.
    Older,
    /// The first answer to deletes and a receive in one request is lost.
    Cuts,
}

async fn between(server: &Server, meddling: Meddling) -> (Clients, Arc<Watched>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let to = server.endpoint().trim_start_matches("http://").to_owned();
    let watched = Arc::new(Watched::default());
    let seen = watched.clone();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&to).await.unwrap();
            tokio::spawn(converse(client, server, meddling, seen.clone()));
        }
    });
    (Clients::local(&endpoint).await, watched)
}

async fn converse(mut client: TcpStream, mut server: TcpStream, meddling: Meddling, seen: Arc<Watched>) {
    const TARGET: &[u8] = b"x-amz-target: Posthaste.DeleteAndReceiveMessages\r\n";
    let (mut from_client, mut from_server) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let place = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|at| at == what);
    let mut cuts = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let bytes = &mut from_client[..read.unwrap_or(0)];
                if let Some(at) = place(bytes, TARGET) {
                    let turns = seen.turns.fetch_add(1, Ordering::SeqCst);
                    cuts = meddling == Meddling::Cuts && turns == 0;
                    if meddling == Meddling::Older {
                        bytes[at + TARGET.len() - 3] = b'z';
                    }
                }
                if bytes.is_empty() || server.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let bytes = &mut from_server[..read.unwrap_or(0)];
                if meddling == Meddling::Renames && let Some(at) = place(bytes, b"server: posthaste") {
                    bytes[at..at + 17].copy_from_slice(b"server: elsewhere");
                }
                if cuts {
                    seen.cut.fetch_add(1, Ordering::SeqCst);
                }
                if bytes.is_empty() || cuts || client.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Has a consumer empty a queue of sixty messages through somebody between, and says how often each was handled.
async fn emptied(meddling: Meddling) -> (BTreeMap<u32, u32>, Counts, Arc<Watched>) {
    let (server, clients) = server().await;
    let queue = QueueSpec::new("q").ensure(&clients).await.unwrap();
    let publisher = Publisher::queue(&clients, &queue);
    for result in publisher.publish_all((0..60).map(|number| Step { number })).await.unwrap() {
        result.unwrap();
    }
    let (clients, watched) = between(&server, meddling).await;
    let (handled, mut seen) = mpsc::unbounded_channel();
    // What a receive brings is one job: of several, those that a slow machine makes tasks of are deleted by and by.
    let handler = move |deliveries: Vec<Delivery<Step>>| {
        deliveries.iter().for_each(|delivery| handled.send(delivery.data().number).unwrap());
        async { BatchOutcome::done() }
    };
    let settings = ConsumerSettings {
        pollers: 1,
        wait: Duration::from_secs(1),
        visibility: Some(Duration::from_secs(1)),
        ..ConsumerSettings::default()
    };
    let consumer = Consumer::new(&clients, &queue).settings(settings).without_dead_letters();
    let running = consumer.start_batches(handler).await.unwrap();
    let mut times = BTreeMap::new();
    while times.len() < 60 {
        *times.entry(seen.recv().await.unwrap()).or_default() += 1;
    }
    let counts = running.shutdown().await;
    let left = clients.sqs.get_queue_attributes().queue_url(&queue.url);
    let left = left.attribute_names(aws_sdk_sqs::types::QueueAttributeName::All).send().await.unwrap();
    let left = left.attributes.unwrap();
    for name in ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"] {
        assert_eq!(left[&name.into()], "0", "{name}");
    }
    (times, counts, watched)
}

#[tokio::test]
async fn deletes_bring_the_next_messages_where_the_server_is_a_posthaste_that_knows_how() {
    for (meddling, turns) in [(Meddling::None, 6), (Meddling::Renames, 0), (Meddling::Older, 1)] {
        let (times, counts, watched) = emptied(meddling).await;
        assert!(times.values().all(|times| *times == 1), "{times:?}");
        assert_eq!((counts.received, counts.done, counts.deleted, counts.released), (60, 60, 60, 0));
        assert_eq!(watched.turns.load(Ordering::SeqCst), turns, "{meddling:?}");
    }
}

#[tokio::test]
async fn when_the_answer_to_deletes_is_lost_what_had_come_with_it_comes_again() {
    let (times, counts, watched) = emptied(Meddling::Cuts).await;
    let seen = (watched.turns.load(Ordering::SeqCst), watched.cut.load(Ordering::SeqCst));
    assert_eq!(seen, (1, 1), "AWS's operations are used after it");
    assert!(times.values().all(|times| *times == 1), "what was deleted does not come again: {times:?}");
    assert_eq!((counts.done, counts.deleted), (60, 60));
}

/// A request by hand: the answer's status and body.
async fn post(server: &Server, target: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let host = server.endpoint().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-amz-json-1.0\r\nx-amz-target: {target}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all([head, body].concat().as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn one_request_deletes_and_receives_as_two_of_aws_would() {
    let (server, clients) = server().await;
    let queue = QueueSpec::new("q").ensure(&clients).await.unwrap();
    let publisher = Publisher::queue(&clients, &queue);
    for result in publisher.publish_all((0..12).map(|number| Step { number })).await.unwrap() {
        result.unwrap();
    }
    let url = &queue.url;
    let most = |most: u32| json!({ "QueueUrl": url, "MaxNumberOfMessages": most });
    let messages = |answer: &Value| answer["Messages"].as_array().cloned().unwrap_or_default();
    let (status, first) = post(&server, "AmazonSQS.ReceiveMessage", &most(1)).await;
    let first = messages(&first).remove(0);
    assert_eq!(status, 200);

    let target = "Posthaste.DeleteAndReceiveMessages";
    let mut ask = most(10);
    ask["Entries"] =
        json!([{ "Id": "a", "ReceiptHandle": first["ReceiptHandle"] }, { "Id": "b", "ReceiptHandle": "?" }]);
    ask["MessageSystemAttributeNames"] = json!(["ApproximateReceiveCount"]);
    let (status, answer) = post(&server, target, &ask).await;
    let ten = messages(&answer);
    assert_eq!((status, ten.len()), (200, 10));
    assert!(ten.iter().all(|message| message["Attributes"] == json!({ "ApproximateReceiveCount": "1" })));
    assert!(
        ten.iter().all(|message| message["MessageId"] != first["MessageId"] && message["Body"].is_string())
    );
    assert!(ten.iter().all(|message| message.get("MD5OfBody").is_none()) && first["MD5OfBody"].is_string());
    let delete = json!({ "QueueUrl": url, "Entries": [{ "Id": "b", "ReceiptHandle": "?" }] });
    let (_, theirs) = post(&server, "AmazonSQS.DeleteMessageBatch", &delete).await;
    assert_eq!(answer["Failed"], theirs["Failed"]);
    assert_eq!(answer["Failed"][0]["Code"], "ReceiptHandleIsInvalid");

    let handles = ten.iter().enumerate();
    ask["Entries"] = handles
        .map(|(id, message)| json!({ "Id": id.to_string(), "ReceiptHandle": message["ReceiptHandle"] }))
        .collect();
    let (status, answer) = post(&server, target, &ask).await;
    assert_eq!((status, messages(&answer).len(), answer.get("Failed")), (200, 1, None));
    ask["Entries"] = json!([{ "Id": "a", "ReceiptHandle": messages(&answer)[0]["ReceiptHandle"] }]);
    assert_eq!(post(&server, target, &ask).await, (200, json!({})), "it does not wait");

    for (change, code) in [
        (json!({ "Entries": [] }), "EmptyBatchRequest"),
        (json!({ "MaxNumberOfMessages": 0 }), "InvalidParameterValueException"),
        (json!({ "QueueUrl": format!("{url}-none") }), "QueueDoesNotExist"),
    ] {
        let mut wrong = ask.clone();
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, answer) = post(&server, target, &wrong).await;
        assert_eq!((status, answer["__type"].as_str().unwrap().rsplit('#').next()), (400, Some(code)));
    }
}
