//! Topics: each queue hears what it asked for, wrapped or raw, and a topic's publisher promises what a queue's does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use toolkit::body::Attribute;
use toolkit::consumer::{ConsumerSettings, Delivery};
use toolkit::publisher::Outgoing;
use toolkit::{Clients, Consumer, Publisher, Queue, QueueSpec, Subscription, TopicSpec};

use crate::common::{Step, server};

/// What arrives in a queue, by its consumer: numbers, with the attribute `priority`.
async fn hears(clients: &Clients, queue: &Queue, count: u64) -> Vec<(u32, Option<Attribute>)> {
    let seen: Arc<Mutex<Vec<_>>> = Arc::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery<Step>| {
            seen.lock().unwrap().push((delivery.data().number, delivery.attribute("priority")));
            async {}
        }
    };
    let settings = ConsumerSettings { wait: Duration::from_secs(1), ..ConsumerSettings::default() };
    let consumer = Consumer::new(clients, queue).settings(settings).without_dead_letters();
    let running = consumer.start(handler).await.unwrap();
    while running.counts().deleted < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_by_key(|(number, _)| *number);
    seen
}

#[tokio::test]
async fn each_queue_hears_what_it_asked_for() {
    let (_server, clients) = server().await;
    let topic = TopicSpec::new("steps").ensure(&clients).await.unwrap();
    let all = QueueSpec::new("all").ensure(&clients).await.unwrap();
    let high = QueueSpec::new("high").ensure(&clients).await.unwrap();
    let wrapped = QueueSpec::new("wrapped").ensure(&clients).await.unwrap();
    Subscription::queue(&all).ensure(&clients, &topic).await.unwrap();
    Subscription::queue(&high).ensure(&clients, &topic).await.unwrap();
    // Declared again with a filter: the subscription that is there is changed.
    let filtered = Subscription::queue(&high).filter(json!({ "priority": ["high"], "type": ["step"] }));
    let first = filtered.ensure(&clients, &topic).await.unwrap();
    assert_eq!(filtered.ensure(&clients, &topic).await.unwrap(), first);
    let as_notification = Subscription::queue(&wrapped).attribute("RawMessageDelivery", "false");
    as_notification.ensure(&clients, &topic).await.unwrap();

    let publisher = Publisher::topic(&clients, &topic.arn).source("tests");
    let messages = (0..12).map(|number| {
        let priority = if number % 4 == 0 { "high" } else { "normal" };
        Outgoing::new(Step { number }).attribute("priority", priority)
    });
    for result in publisher.publish_all(messages).await.unwrap() {
        result.unwrap();
    }
    let high = hears(&clients, &high, 3).await;
    assert_eq!(high.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 4, 8]);
    for queue in [all, wrapped] {
        let heard = hears(&clients, &queue, 12).await;
        assert_eq!(heard.len(), 12);
        assert_eq!(heard[4], (4, Some(Attribute::from("high"))));
    }
}

#[tokio::test]
async fn a_fifo_topic_keeps_the_order_of_groups() {
    let (_server, clients) = server().await;
    let topic = TopicSpec::new("steps.fifo").ensure(&clients).await.unwrap();
    let queue = QueueSpec::new("steps.fifo").ensure(&clients).await.unwrap();
    Subscription::queue(&queue).ensure(&clients, &topic).await.unwrap();
    let publisher = Publisher::topic(&clients, &topic.arn);
    let messages = (0..30).map(|number| Outgoing::new(Step { number }).group(format!("g{}", number % 3)));
    for result in publisher.publish_all(messages).await.unwrap() {
        result.unwrap();
    }
    let arrived = crate::common::numbers(&crate::common::drain(&clients, &queue).await);
    assert_eq!(arrived.len(), 30);
    for group in 0..3 {
        let of_group: Vec<u32> = arrived.iter().copied().filter(|number| number % 3 == group).collect();
        assert!(of_group.is_sorted(), "{of_group:?}");
    }
}
