//! SNS through the AWS SDK for Rust, with a real HTTP server to deliver to.

use std::collections::BTreeSet;

use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::operation::publish::PublishOutput;
use aws_sdk_sns::primitives::Blob;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry, Tag};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use conformance_sns::{Receiver, clients, unique, visit};
use serde_json::Value;

/// A topic of its own for each test.
#[derive(Clone)]
struct Topic {
    sns: aws_sdk_sns::Client,
    arn: String,
}

/// A queue to subscribe.
struct Queue {
    sqs: aws_sdk_sqs::Client,
    url: String,
    arn: String,
}

const RAW: [(&str, &str); 1] = [("RawMessageDelivery", "true")];

impl Topic {
    async fn with(attributes: &[(&str, &str)]) -> Topic {
        let (sns, _) = clients();
        let fifo = attributes.iter().any(|(name, _)| *name == "FifoTopic");
        let mut create = sns.create_topic().name(unique("rust") + if fifo { ".fifo" } else { "" });
        for (name, value) in attributes {
            create = create.attributes(*name, *value);
        }
        let arn = create.send().await.unwrap().topic_arn.unwrap();
        Topic { sns, arn }
    }

    async fn subscribe(&self, protocol: &str, endpoint: &str, attributes: &[(&str, &str)]) -> String {
        let mut subscribe = self.sns.subscribe().topic_arn(&self.arn).protocol(protocol).endpoint(endpoint);
        for (name, value) in attributes {
            subscribe = subscribe.attributes(*name, *value);
        }
        subscribe.return_subscription_arn(true).send().await.unwrap().subscription_arn.unwrap()
    }

    async fn publish(&self, message: &str) -> PublishOutput {
        self.sns.publish().topic_arn(&self.arn).message(message).send().await.unwrap()
    }
}

impl Queue {
    async fn with(attributes: &[(QueueAttributeName, &str)]) -> Queue {
        let (_, sqs) = clients();
        let mut create =
            sqs.create_queue().queue_name(unique("rust") + if attributes.is_empty() { "" } else { ".fifo" });
        for (name, value) in attributes {
            create = create.attributes(name.clone(), *value);
        }
        let url = create.send().await.unwrap().queue_url.unwrap();
        let get = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
        let arn =
            get.send().await.unwrap().attributes.unwrap().remove(&QueueAttributeName::QueueArn).unwrap();
        Queue { sqs, url, arn }
    }

    async fn standard() -> Queue {
        Queue::with(&[]).await
    }

    async fn receive(&self) -> Vec<Message> {
        let receive = self.sqs.receive_message().queue_url(&self.url).max_number_of_messages(10);
        receive.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default()
    }

    async fn bodies(&self) -> Vec<String> {
        self.receive().await.into_iter().map(|message| message.body.unwrap()).collect()
    }
}

fn attribute(kind: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(kind).string_value(value).build().unwrap()
}

#[tokio::test]
async fn a_message_goes_to_every_queue_of_its_topic() {
    let (topic, wrapped, raw) = (Topic::with(&[]).await, Queue::standard().await, Queue::standard().await);
    topic.subscribe("sqs", &wrapped.arn, &[]).await;
    topic.subscribe("sqs", &raw.arn, &RAW).await;
    let publish = topic.sns.publish().topic_arn(&topic.arn).message("Grüße 😀").subject("subject");
    let sent = publish.send().await.unwrap();
    assert_eq!(raw.bodies().await, ["Grüße 😀"]);
    let envelope: Value = serde_json::from_str(&wrapped.bodies().await[0]).unwrap();
    assert_eq!(envelope["MessageId"].as_str(), sent.message_id());
    assert_eq!(envelope["Message"], "Grüße 😀");
    assert_eq!(envelope["Subject"], "subject");
    assert_eq!(envelope["TopicArn"], topic.arn.as_str());
}

#[tokio::test]
async fn attributes_of_all_types_reach_a_raw_queue() {
    let (topic, queue) = (Topic::with(&[]).await, Queue::standard().await);
    topic.subscribe("sqs", &queue.arn, &RAW).await;
    let bytes = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255]));
    let publish = topic.sns.publish().topic_arn(&topic.arn).message("x");
    let publish = publish.message_attributes("text", attribute("String", "ä"));
    let publish = publish.message_attributes("number", attribute("Number", "-1.50"));
    publish.message_attributes("bytes", bytes.build().unwrap()).send().await.unwrap();
    let message = queue.receive().await.remove(0);
    let found = message.message_attributes().unwrap();
    assert_eq!(found["text"].string_value(), Some("ä"));
    assert_eq!((found["number"].data_type(), found["number"].string_value()), ("Number", Some("-1.50")));
    assert_eq!(found["bytes"].binary_value().unwrap().as_ref(), [0, 255]);
}

#[tokio::test]
async fn a_filter_delivers_what_matches() {
    let (topic, queue) = (Topic::with(&[]).await, Queue::standard().await);
    let policy = r#"{"price":[{"numeric":[">",0,"<=",100]}]}"#;
    topic.subscribe("sqs", &queue.arn, &[("RawMessageDelivery", "true"), ("FilterPolicy", policy)]).await;
    for price in ["0", "0.5", "100", "100.1"] {
        let publish = topic.sns.publish().topic_arn(&topic.arn).message(price);
        publish.message_attributes("price", attribute("Number", price)).send().await.unwrap();
    }
    let found: BTreeSet<String> = queue.bodies().await.into_iter().collect();
    assert_eq!(found, BTreeSet::from(["0.5".to_owned(), "100".to_owned()]));
}

#[tokio::test]
async fn a_batch_is_published() {
    let (topic, queue) = (Topic::with(&[]).await, Queue::standard().await);
    topic.subscribe("sqs", &queue.arn, &RAW).await;
    let entries = (0..10).map(|n| {
        PublishBatchRequestEntry::builder().id(format!("e{n}")).message(format!("body {n}")).build().unwrap()
    });
    let batch = topic.sns.publish_batch().topic_arn(&topic.arn);
    let sent = batch.set_publish_batch_request_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (10, 0));
    let found: BTreeSet<String> = queue.bodies().await.into_iter().collect();
    assert_eq!(found, (0..10).map(|n| format!("body {n}")).collect());
}

#[tokio::test]
async fn a_fifo_topic_keeps_order_and_drops_duplicates() {
    let topic = Topic::with(&[("FifoTopic", "true"), ("ContentBasedDeduplication", "true")]).await;
    let queue = Queue::with(&[(QueueAttributeName::FifoQueue, "true")]).await;
    topic.subscribe("sqs", &queue.arn, &RAW).await;
    let mut numbers = Vec::new();
    for message in ["1", "2", "2", "3"] {
        let publish = topic.sns.publish().topic_arn(&topic.arn).message(message).message_group_id("g");
        let sent = publish.send().await.unwrap();
        numbers.push(sent.sequence_number().unwrap().parse::<u128>().unwrap());
    }
    assert!(numbers[0] < numbers[1] && numbers[1] < numbers[3]);
    assert_eq!(queue.bodies().await, ["1", "2", "3"]);
}

#[tokio::test]
async fn errors_are_variants_of_their_own() {
    let topic = Topic::with(&[]).await;
    let unknown = format!("{}:never", topic.arn.rsplit_once(':').unwrap().0);
    let publish = topic.sns.publish().topic_arn(&unknown).message("x");
    let error = publish.send().await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Some("NotFound"), Some("Topic does not exist")));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
    assert!(error.into_service_error().is_not_found_exception());

    let error = topic.sns.publish().topic_arn(&topic.arn).message("").send().await.unwrap_err();
    assert_eq!(error.message(), Some("Invalid parameter: Empty message"));
    assert!(error.into_service_error().is_invalid_parameter_exception());

    let publish = topic.sns.publish().topic_arn(&topic.arn).message("x");
    let error = publish.message_attributes("a", attribute("Bool", "x")).send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_parameter_value_exception());

    let entry = PublishBatchRequestEntry::builder().id("a").message("x").build().unwrap();
    let batch = topic.sns.publish_batch().topic_arn(&topic.arn);
    let batch = batch.publish_batch_request_entries(entry.clone()).publish_batch_request_entries(entry);
    let error = batch.send().await.unwrap_err().into_service_error();
    assert!(error.is_batch_entry_ids_not_distinct_exception());

    let list = topic.sns.list_tags_for_resource().resource_arn(&unknown);
    assert!(list.send().await.unwrap_err().into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn a_server_confirms_is_notified_and_unsubscribes() {
    let mut server = Receiver::start().await;
    let topic = Topic::with(&[]).await;
    let arn = topic.subscribe("http", &server.url, &[]).await;
    let asked: Value = serde_json::from_str(&server.next("SubscriptionConfirmation").await.body).unwrap();
    assert_eq!(asked["TopicArn"], topic.arn.as_str());
    let confirmed = visit(asked["SubscribeURL"].as_str().unwrap()).await;
    assert!(confirmed.first_line.contains(" 200 ") && confirmed.body.contains(&arn), "{}", confirmed.body);
    topic.publish("hello").await;
    let request = server.next("Notification").await;
    assert_eq!(request.first_line, "POST /hook HTTP/1.1");
    assert_eq!(request.headers["x-amz-sns-subscription-arn"], arn);
    let told: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(told["Message"], "hello");
    assert!(visit(told["UnsubscribeURL"].as_str().unwrap()).await.first_line.contains(" 200 "));
    server.next("UnsubscribeConfirmation").await;
    let list = topic.sns.list_subscriptions_by_topic().topic_arn(&topic.arn);
    assert!(list.send().await.unwrap().subscriptions().is_empty());
}

#[tokio::test]
async fn attributes_and_tags_are_read_and_written() {
    let topic = Topic::with(&[("DisplayName", "first")]).await;
    let set = topic.sns.set_topic_attributes().topic_arn(&topic.arn);
    set.attribute_name("DisplayName").attribute_value("küche").send().await.unwrap();
    let get = topic.sns.get_topic_attributes().topic_arn(&topic.arn);
    assert_eq!(get.send().await.unwrap().attributes().unwrap()["DisplayName"], "küche");
    let tag = Tag::builder().key("team").value("a").build().unwrap();
    topic.sns.tag_resource().resource_arn(&topic.arn).tags(tag.clone()).send().await.unwrap();
    let list = topic.sns.list_tags_for_resource().resource_arn(&topic.arn);
    assert_eq!(list.send().await.unwrap().tags(), [tag]);
}

#[tokio::test]
async fn subscriptions_are_listed_page_by_page() {
    let topic = Topic::with(&[]).await;
    let mut made = BTreeSet::new();
    for n in 0..101 {
        made.insert(topic.subscribe("sms", &format!("+1500555{n:04}"), &[]).await);
    }
    let mut pages =
        topic.sns.list_subscriptions_by_topic().topic_arn(&topic.arn).into_paginator().items().send();
    let mut found = BTreeSet::new();
    while let Some(subscription) = pages.next().await {
        found.insert(subscription.unwrap().subscription_arn.unwrap());
    }
    assert_eq!(found, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_publish_to_one_topic() {
    let (topic, queue) = (Topic::with(&[]).await, Queue::standard().await);
    topic.subscribe("sqs", &queue.arn, &RAW).await;
    let publishers = (0..10).map(|worker| {
        let topic = topic.clone();
        tokio::spawn(async move {
            for n in 0..10 {
                topic.publish(&format!("{worker}/{n}")).await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let mut seen = BTreeSet::new();
    loop {
        let bodies = queue.bodies().await;
        if bodies.is_empty() {
            break;
        }
        seen.extend(bodies);
    }
    assert_eq!(seen.len(), 100);
}
