//! What is of another type is not handled, whatever its data; and where a queue carries several types, each has its handler.

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toolkit::consumer::{CATEGORY, Delivery, Outcome, REASON, Running};
use toolkit::publisher::BodyForm;
use toolkit::{Clients, Consumer, Message, Queue, QueueSpec, Router, SchemaVersion, Untyped, UpcastError};

use crate::common::{receive, server};

#[derive(Serialize, Deserialize)]
struct Placed {
    id: String,
    cents: u64,
}

impl Message for Placed {
    const TYPES: &'static [&'static str] = &["order.placed"];
    const VERSION: SchemaVersion = SchemaVersion::new(2, 0);

    fn upcast(_: &str, from: SchemaVersion, mut data: Value) -> Result<Value, UpcastError> {
        match from.major {
            1 => {
                data["cents"] = json!(data["dollars"].as_u64().unwrap_or(0) * 100);
                Ok(data)
            }
            _ => Err(UpcastError::unknown(from)),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Cancelled {
    id: String,
}

impl Message for Cancelled {
    const TYPES: &'static [&'static str] = &["order.cancelled"];
}

async fn queue(clients: &Clients) -> (Queue, Queue) {
    let queue = QueueSpec::new("orders").dead_letters("dead", 3).ensure(clients).await.unwrap();
    (queue, clients.queue("dead").await.unwrap())
}

/// Sends an envelope as any program may, whose data could be read as both types.
async fn send(clients: &Clients, queue: &Queue, message_type: &str, version: &str) {
    let body = json!({
        "id": format!("{message_type}-{version}"), "type": message_type, "metadata": { "version": version },
        "data": { "id": message_type, "cents": 5, "dollars": 3 },
    });
    clients.sqs.send_message().queue_url(&queue.url).message_body(body.to_string()).send().await.unwrap();
}

async fn deleted(running: &Running, count: u64) {
    while running.counts().deleted < count {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// The categories and reasons of so many dead letters, in order.
async fn reasons(clients: &Clients, dead: &Queue, count: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while found.len() < count {
        for letter in receive(clients, dead).await {
            let attributes = letter.message_attributes().unwrap();
            let text = |name| attributes[name].string_value().unwrap().to_owned();
            found.push((text(CATEGORY), text(REASON)));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_message_of_another_type_is_never_handled() {
    let (_server, clients) = server().await;
    let (queue, dead) = queue(&clients).await;
    send(&clients, &queue, "order.cancelled", "2.0").await;
    send(&clients, &queue, "order.cancelled", "1.0").await;
    send(&clients, &queue, "order.placed", "1.0").await;
    let handled = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let handled = handled.clone();
        move |placed: Delivery<Placed>| {
            handled.lock().unwrap().push((placed.data().id.clone(), placed.data().cents));
            async {}
        }
    };
    let running = Consumer::new(&clients, &queue).start(handler).await.unwrap();
    deleted(&running, 3).await;
    running.shutdown().await;
    assert_eq!(*handled.lock().unwrap(), [("order.placed".to_owned(), 300)]);
    let why = r#"the type is "order.cancelled"; this consumer reads "order.placed""#;
    assert_eq!(reasons(&clients, &dead, 2).await, vec![("unreadable".to_owned(), why.to_owned()); 2]);
}

#[tokio::test]
async fn a_bare_message_whose_attribute_names_another_type_is_not_handled_either() {
    let (_server, clients) = server().await;
    let (queue, dead) = queue(&clients).await;
    let send = |message_type: &'static str| {
        let attribute = aws_sdk_sqs::types::MessageAttributeValue::builder()
            .data_type("String")
            .string_value(message_type)
            .build()
            .unwrap();
        let call = clients.sqs.send_message().queue_url(&queue.url).message_body(r#"{"id":"o-1"}"#);
        call.message_attributes("type", attribute).send()
    };
    send("order.cancelled").await.unwrap();
    send("order.placed").await.unwrap();
    let running = Consumer::new(&clients, &queue)
        .form(BodyForm::Bare)
        .start(|_: Delivery<Cancelled>| async {})
        .await
        .unwrap();
    deleted(&running, 2).await;
    assert_eq!(running.shutdown().await.done, 1);
    let [(_, why)] = &reasons(&clients, &dead, 1).await[..] else { panic!("one") };
    assert_eq!(why, r#"the type is "order.placed"; this consumer reads "order.cancelled""#);
}

#[tokio::test]
async fn each_type_goes_to_its_handler_and_others_are_dead_letters() {
    let (_server, clients) = server().await;
    let (queue, dead) = queue(&clients).await;
    for message_type in ["order.placed", "order.cancelled", "order.lost"] {
        send(&clients, &queue, message_type, "1.0").await;
    }
    // Newer than its reader.
    send(&clients, &queue, "order.cancelled", "7.0").await;
    let handled = Arc::new(Mutex::new(Vec::new()));
    let note = |what: String| handled.lock().unwrap().push(what);
    let router = {
        let (placed, cancelled) = (handled.clone(), handled.clone());
        Router::new()
            .on(move |delivery: Delivery<Placed>| {
                placed.lock().unwrap().push(format!("placed for {}", delivery.data().cents));
                async {}
            })
            .on(move |delivery: Delivery<Cancelled>| {
                cancelled.lock().unwrap().push(format!("cancelled {}", delivery.envelope.id));
                async { Outcome::Done }
            })
    };
    let running = Consumer::new(&clients, &queue).start(router).await.unwrap();
    deleted(&running, 4).await;
    running.shutdown().await;
    note("end".to_owned());
    let mut handled = std::mem::take(&mut *handled.lock().unwrap());
    handled.sort();
    assert_eq!(handled, ["cancelled order.cancelled-1.0", "end", "placed for 300"]);
    let reasons = reasons(&clients, &dead, 2).await;
    assert_eq!(reasons[0].1, "the data has version 7.0; this program supports 1.0");
    assert_eq!(
        reasons[1].1,
        r#"the type is "order.lost"; this consumer handles "order.cancelled", "order.placed""#
    );
}

#[tokio::test]
async fn all_other_types_can_have_a_handler() {
    let (_server, clients) = server().await;
    let (queue, _) = queue(&clients).await;
    send(&clients, &queue, "order.placed", "2.0").await;
    send(&clients, &queue, "order.lost", "9.0").await;
    let other = Arc::new(Mutex::new(Vec::new()));
    let router = {
        let other = other.clone();
        Router::new().on(|_: Delivery<Placed>| async {}).otherwise(move |delivery: Delivery<Untyped>| {
            other
                .lock()
                .unwrap()
                .push((delivery.envelope.message_type.clone(), delivery.data().json().to_owned()));
            async {}
        })
    };
    let running = Consumer::new(&clients, &queue).start(router).await.unwrap();
    deleted(&running, 2).await;
    assert_eq!(running.shutdown().await.done, 2);
    let other = other.lock().unwrap();
    let [(message_type, data)] = &other[..] else { panic!("{other:?}") };
    assert_eq!(message_type, "order.lost");
    assert!(data.contains(r#""dollars":3"#), "{data}");
}
