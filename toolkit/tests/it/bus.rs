//! Event buses: each queue gets the events that its rule selects, as envelopes or whole.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use toolkit::consumer::{ConsumerSettings, Delivery};
use toolkit::publisher::PublishError;
use toolkit::{Bus, Clients, Consumer, Publisher, Queue, QueueSpec, RuleSpec};

use crate::common::{Step, server};

/// What arrives in a queue, by its consumer: numbers, with the senders.
async fn hears(clients: &Clients, queue: &Queue, count: u64) -> Vec<(u32, String)> {
    let seen: Arc<Mutex<Vec<_>>> = Arc::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery<Step>| {
            seen.lock().unwrap().push((delivery.data().number, delivery.envelope.source.clone()));
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
    seen.sort();
    seen
}

#[tokio::test]
async fn each_queue_gets_what_its_rule_selects() {
    let (_server, clients) = server().await;
    let bus = Bus::ensure(&clients, "steps").await.unwrap();
    assert_eq!(Bus::ensure(&clients, "steps").await.unwrap(), bus);
    let all = QueueSpec::new("all").ensure(&clients).await.unwrap();
    let large = QueueSpec::new("large").ensure(&clients).await.unwrap();
    let grouped =
        QueueSpec::new("grouped.fifo").content_based_deduplication().ensure(&clients).await.unwrap();
    let whole = QueueSpec::new("whole").ensure(&clients).await.unwrap();
    RuleSpec::new("all", &all).ensure(&clients, &bus).await.unwrap();
    RuleSpec::new("large", &large).ensure(&clients, &bus).await.unwrap();
    // Declared again with a selection.
    let selected =
        RuleSpec::new("large", &large).types(["step"]).data(json!({ "number": [{ "numeric": [">=", 10] }] }));
    let first = selected.ensure(&clients, &bus).await.unwrap();
    assert_eq!(selected.ensure(&clients, &bus).await.unwrap(), first);
    RuleSpec::new("grouped", &grouped).sources(["tests"]).group("g").ensure(&clients, &bus).await.unwrap();
    RuleSpec::new("whole", &whole).whole_events().ensure(&clients, &bus).await.unwrap();

    let publisher = Publisher::bus(&clients, &bus).source("tests");
    for result in publisher.publish_all((0..12).map(|number| Step { number })).await.unwrap() {
        assert!(!result.unwrap().message_id.is_empty());
    }
    let from_tests = |numbers: std::ops::Range<u32>| -> Vec<(u32, String)> {
        numbers.map(|number| (number, "tests".to_owned())).collect()
    };
    assert_eq!(hears(&clients, &all, 12).await, from_tests(0..12));
    assert_eq!(hears(&clients, &large, 2).await, from_tests(10..12));
    assert_eq!(hears(&clients, &grouped, 12).await, from_tests(0..12));
    assert_eq!(hears(&clients, &whole, 12).await, from_tests(0..12));
}

#[tokio::test]
async fn events_of_others_are_read_and_what_a_bus_refuses_is_told() {
    let (_server, clients) = server().await;
    let bus = Bus::default_bus();
    let queue = QueueSpec::new("q").ensure(&clients).await.unwrap();
    RuleSpec::new("r", &queue).whole_events().types(["step"]).ensure(&clients, &bus).await.unwrap();
    let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder();
    let entry = entry.source("elsewhere").detail_type("step").detail(r#"{"number":7}"#).build();
    clients.events.put_events().entries(entry).send().await.unwrap();
    assert_eq!(hears(&clients, &queue, 1).await, [(7, "elsewhere".to_owned())]);

    let nameless = Publisher::bus(&clients, &bus).publish(Step { number: 1 }).await;
    let Err(PublishError::Refused { fault, attempts: 1 }) = nameless else { panic!("{nameless:?}") };
    assert_eq!(fault.code, "InvalidArgument");
}
