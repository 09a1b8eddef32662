//! SQS through the AWS SDK for Rust, which checks no digests but is strict about types.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::operation::send_message::SendMessageOutput;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName as Attribute, SendMessageBatchRequestEntry,
};
use conformance_sqs::{client, endpoint, unique};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A queue of its own for each test.
#[derive(Clone)]
struct Queue {
    sqs: Client,
    url: String,
}

impl Queue {
    async fn with(attributes: &[(Attribute, &str)]) -> Queue {
        let sqs = client();
        let fifo = attributes.iter().any(|(name, _)| *name == Attribute::FifoQueue);
        let mut create = sqs.create_queue().queue_name(unique("rust") + if fifo { ".fifo" } else { "" });
        for (name, value) in attributes {
            create = create.attributes(name.clone(), *value);
        }
        let url = create.send().await.unwrap().queue_url.unwrap();
        Queue { sqs, url }
    }

    async fn standard() -> Queue {
        Queue::with(&[]).await
    }

    async fn fifo() -> Queue {
        Queue::with(&[(Attribute::FifoQueue, "true"), (Attribute::ContentBasedDeduplication, "true")]).await
    }

    async fn send(&self, body: &str) -> SendMessageOutput {
        self.sqs.send_message().queue_url(&self.url).message_body(body).send().await.unwrap()
    }

    async fn send_to(&self, group: &str, body: &str) -> SendMessageOutput {
        let send = self.sqs.send_message().queue_url(&self.url).message_body(body);
        send.message_group_id(group).send().await.unwrap()
    }

    async fn receive(&self, most: i32) -> Vec<Message> {
        let receive = self.sqs.receive_message().queue_url(&self.url).max_number_of_messages(most);
        let receive = receive.message_attribute_names("All");
        receive
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .unwrap()
            .messages
            .unwrap_or_default()
    }

    async fn bodies(&self) -> Vec<String> {
        self.receive(10).await.into_iter().map(|message| message.body.unwrap()).collect()
    }

    async fn delete(&self, message: &Message) {
        let delete = self.sqs.delete_message().queue_url(&self.url);
        delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    }
}

/// Lets so many seconds pass; `false` where the endpoint's clock cannot be moved.
async fn advance(seconds: u32) -> bool {
    let address = endpoint().replace("http://", "");
    let order = format!(r#"{{"advance": "{seconds}s"}}"#);
    let request = format!(
        "POST /_posthaste/clock HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{order}",
        order.len()
    );
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer.starts_with("HTTP/1.1 2") && !answer.contains("<?xml")
}

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let queue = Queue::standard().await;
    let sent = queue.send("hello").await;
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));
    let messages = queue.receive(10).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].body(), Some("hello"));
    assert_eq!(messages[0].message_id(), sent.message_id());
    let count =
        messages[0].attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount].as_str();
    assert_eq!(count, "1");
    queue.delete(&messages[0]).await;
    assert!(queue.bodies().await.is_empty());
}

#[tokio::test]
async fn bodies_of_all_kinds_come_back_as_they_were() {
    let queue = Queue::standard().await;
    for body in [
        "Grüße 你好 😀 \u{10ffff}".to_owned(),
        "\"\\/\n\r\t <&>' \u{2028}".to_owned(),
        "x".repeat(1_048_576),
        "\"\\\n<".repeat(262_144),
        "你".repeat(349_525),
    ] {
        queue.send(&body).await;
        let message = queue.receive(1).await.remove(0);
        assert!(message.body() == Some(body.as_str()), "a body of {} bytes came back changed", body.len());
        queue.delete(&message).await;
    }
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused() {
    let queue = Queue::standard().await;
    let body = "x".repeat(1_048_577);
    let error = queue.sqs.send_message().queue_url(&queue.url).message_body(body).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn attributes_have_the_recorded_digests() {
    let file = std::fs::read_to_string("../../cases/sqs/digests.json").unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let queue = Queue::standard().await;
    for vector in file["digests"].as_array().unwrap() {
        let mut attributes = HashMap::new();
        for (name, value) in vector["attributes"].as_object().unwrap() {
            let attribute = MessageAttributeValue::builder().data_type(value["DataType"].as_str().unwrap());
            let attribute = match value["BinaryText"].as_str() {
                Some(text) => attribute.binary_value(Blob::new(text)),
                None => attribute.string_value(value["StringValue"].as_str().unwrap()),
            };
            attributes.insert(name.clone(), attribute.build().unwrap());
        }
        let send = queue.sqs.send_message().queue_url(&queue.url).message_body("x");
        let sent = send.set_message_attributes(Some(attributes.clone())).send().await.unwrap();
        let digest = vector["digest"].as_str();
        assert_eq!(sent.md5_of_message_attributes(), digest);
        let message = queue.receive(1).await.remove(0);
        assert_eq!(message.md5_of_message_attributes(), digest);
        assert_eq!(message.message_attributes(), Some(&attributes));
        queue.delete(&message).await;
    }
}

#[tokio::test]
async fn a_batch_is_sent_and_deleted() {
    let queue = Queue::standard().await;
    let entries = (0..10).map(|n| {
        let entry = SendMessageBatchRequestEntry::builder().id(format!("e{n}"));
        entry.message_body(format!("body {n}")).build().unwrap()
    });
    let batch = queue.sqs.send_message_batch().queue_url(&queue.url);
    let sent = batch.set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (10, 0));
    let messages = queue.receive(10).await;
    assert_eq!(messages.len(), 10);
    let entries = messages.iter().enumerate().map(|(n, message)| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
        entry.receipt_handle(message.receipt_handle().unwrap()).build().unwrap()
    });
    let batch = queue.sqs.delete_message_batch().queue_url(&queue.url);
    let deleted = batch.set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed().len()), (10, 0));
}

#[tokio::test]
async fn an_entry_of_a_batch_fails_alone() {
    let queue = Queue::with(&[(Attribute::MaximumMessageSize, "1024")]).await;
    let entry = |id: &str, body: String| {
        SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
    };
    let batch = queue.sqs.send_message_batch().queue_url(&queue.url);
    let batch = batch.entries(entry("small", "x".into())).entries(entry("large", "x".repeat(1025)));
    let sent = batch.send().await.unwrap();
    assert_eq!(sent.successful()[0].id(), "small");
    let failed = &sent.failed()[0];
    assert_eq!((failed.id(), failed.code(), failed.sender_fault()), ("large", "InvalidParameterValue", true));
}

#[tokio::test]
async fn a_fifo_queue_keeps_order_drops_duplicates_and_locks_groups() {
    let queue = Queue::fifo().await;
    let first = queue.send_to("g", "1").await;
    let again = queue.send_to("g", "1").await;
    assert_eq!(first.message_id(), again.message_id());
    let second = queue.send_to("g", "2").await;
    let number = |sent: &SendMessageOutput| sent.sequence_number().unwrap().parse::<u128>().unwrap();
    assert!(number(&second) > number(&first));
    queue.send_to("h", "other").await;
    let one = queue.receive(1).await.remove(0);
    assert_eq!(one.body(), Some("1"));
    assert_eq!(queue.bodies().await, ["other"]);
    queue.delete(&one).await;
    assert_eq!(queue.bodies().await, ["2"]);
}

#[tokio::test]
async fn errors_are_variants_of_their_own() {
    let queue = Queue::standard().await;
    let error = queue.sqs.get_queue_url().queue_name("no-such-queue").send().await.unwrap_err();
    assert_eq!(error.message(), Some("The specified queue does not exist."));
    assert!(error.into_service_error().is_queue_does_not_exist());

    let delete = queue.sqs.delete_message().queue_url(&queue.url).receipt_handle("garbage");
    let error = delete.send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
    assert!(error.into_service_error().is_receipt_handle_is_invalid());

    let send = queue.sqs.send_message().queue_url(&queue.url).message_body("a\u{1}b");
    assert!(send.send().await.unwrap_err().into_service_error().is_invalid_message_contents());

    let batch = queue.sqs.send_message_batch().queue_url(&queue.url).set_entries(Some(vec![]));
    assert!(batch.send().await.unwrap_err().into_service_error().is_empty_batch_request());

    let receive = queue.sqs.receive_message().queue_url(&queue.url).max_number_of_messages(11);
    assert_eq!(receive.send().await.unwrap_err().code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn attributes_and_tags_are_read_and_written() {
    let queue = Queue::with(&[(Attribute::VisibilityTimeout, "12")]).await;
    let set = queue.sqs.set_queue_attributes().queue_url(&queue.url);
    set.attributes(Attribute::DelaySeconds, "3").send().await.unwrap();
    let get = queue.sqs.get_queue_attributes().queue_url(&queue.url);
    let shown = get.attribute_names(Attribute::All).send().await.unwrap().attributes.unwrap();
    assert_eq!(shown.len(), 12);
    assert_eq!(shown[&Attribute::DelaySeconds], "3");
    assert_eq!(shown[&Attribute::VisibilityTimeout], "12");
    let tags = queue.sqs.list_queue_tags().queue_url(&queue.url).send().await.unwrap();
    assert_eq!(tags.tags(), None);
    queue.sqs.tag_queue().queue_url(&queue.url).tags("team", "küche").send().await.unwrap();
    let tags = queue.sqs.list_queue_tags().queue_url(&queue.url).send().await.unwrap();
    assert_eq!(tags.tags().unwrap()["team"], "küche");
}

#[tokio::test]
async fn queues_are_listed_page_by_page() {
    let (sqs, prefix) = (client(), unique("page"));
    let mut made = Vec::new();
    for letter in 'a'..='e' {
        let create = sqs.create_queue().queue_name(format!("{prefix}-{letter}"));
        made.push(create.send().await.unwrap().queue_url.unwrap());
    }
    let mut pages = sqs.list_queues().queue_name_prefix(&prefix).max_results(2).into_paginator().send();
    let (mut found, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        found.extend(page.unwrap().queue_urls.unwrap_or_default());
        count += 1;
    }
    assert_eq!((found, count), (made, 3));
}

#[tokio::test]
async fn a_waiting_receive_gets_a_message_as_soon_as_it_is_sent() {
    let queue = Queue::standard().await;
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move {
            queue.sqs.receive_message().queue_url(&queue.url).wait_time_seconds(20).send().await.unwrap()
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    queue.send("at last").await;
    let answer = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!(answer.messages()[0].body(), Some("at last"));
}

#[tokio::test]
async fn a_message_comes_back_when_its_visibility_ends() {
    // A short timeout, so that the clock's step hurts none of the tests that run beside this one.
    let queue = Queue::with(&[(Attribute::VisibilityTimeout, "2")]).await;
    if !advance(1).await {
        return eprintln!("skipped: this endpoint has no clock that can be moved");
    }
    queue.send("again").await;
    let first = queue.receive(1).await.remove(0);
    assert!(queue.bodies().await.is_empty());
    assert!(advance(3).await);
    let second = queue.receive(1).await.remove(0);
    assert_eq!(first.message_id(), second.message_id());
    assert_ne!(first.receipt_handle(), second.receipt_handle());
}

#[tokio::test]
async fn a_dead_letter_is_found_and_comes_back_through_a_move_task() {
    let dead = Queue::standard().await;
    let get = dead.sqs.get_queue_attributes().queue_url(&dead.url).attribute_names(Attribute::QueueArn);
    let arn = get.send().await.unwrap().attributes.unwrap().remove(&Attribute::QueueArn).unwrap();
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":1}}"#);
    let queue =
        Queue::with(&[(Attribute::RedrivePolicy, &policy), (Attribute::VisibilityTimeout, "0")]).await;
    queue.send("poison").await;
    assert_eq!(queue.bodies().await, ["poison"]);
    assert!(queue.bodies().await.is_empty());
    let started = dead.sqs.start_message_move_task().source_arn(&arn).send().await.unwrap();
    assert!(started.task_handle().is_some());
    for _ in 0..1000 {
        let tasks = dead.sqs.list_message_move_tasks().source_arn(&arn).send().await.unwrap();
        if tasks.results()[0].status() == Some("COMPLETED") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(queue.bodies().await, ["poison"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_work_on_one_queue() {
    let queue = Queue::standard().await;
    let senders = (0..10).map(|worker| {
        let queue = queue.clone();
        tokio::spawn(async move {
            for n in 0..10 {
                queue.send(&format!("{worker}/{n}")).await;
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 100 {
        let messages = queue.receive(10).await;
        assert!(!messages.is_empty(), "only {} messages came", seen.len());
        for message in messages {
            queue.delete(&message).await;
            seen.insert(message.body.unwrap());
        }
    }
}
