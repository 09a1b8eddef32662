//! Questions and answers: many at once on one reply queue, refusals, silence, and responders that die.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use toolkit::consumer::{ConsumerSettings, Delivery};
use toolkit::publisher::Outgoing;
use toolkit::request_reply::{RequestError, Requester, responder};
use toolkit::{Clients, Consumer, Message, Publisher, Queue, QueueSpec};

use crate::common::{Step, server};

#[derive(Serialize, Deserialize)]
struct Doubled(u32);

impl Message for Doubled {
    const TYPES: &'static [&'static str] = &["doubled"];
}

const PATIENCE: Duration = Duration::from_secs(30);

fn settings() -> ConsumerSettings {
    let second = Duration::from_secs(1);
    ConsumerSettings { wait: second, visibility: Some(second), ..ConsumerSettings::default() }
}

async fn requests(clients: &Clients) -> Queue {
    QueueSpec::new("requests").dead_letters("requests-dead", 100).ensure(clients).await.unwrap()
}

async fn double(request: Delivery<Step>) -> Result<Doubled, String> {
    match request.data().number {
        13 => Err("unlucky".to_owned()),
        number => Ok(Doubled(number * 2)),
    }
}

#[tokio::test]
async fn each_answer_finds_the_one_who_asked() {
    let (_server, clients) = server().await;
    let requests = requests(&clients).await;
    let answering = responder(&clients, "doubler", double);
    let running = Consumer::new(&clients, &requests).settings(settings()).start(answering).await.unwrap();
    let requester = Requester::temporary(&clients, Publisher::queue(&clients, &requests)).await.unwrap();
    let asked = (0..20).map(|number| requester.ask::<Step, Doubled>(Step { number }, PATIENCE));
    for (number, answer) in (0..).zip(futures_util::future::join_all(asked).await) {
        match number {
            13 => assert!(matches!(answer, Err(RequestError::Refused(why)) if why == "unlucky")),
            _ => assert_eq!(answer.unwrap().data.0, number * 2),
        }
    }
    let silent = QueueSpec::new("silent").ensure(&clients).await.unwrap();
    let unheard = Requester::shared(&clients, Publisher::queue(&clients, &silent), &requests);
    let answer = unheard.ask::<Step, Doubled>(Step { number: 1 }, Duration::from_millis(50)).await;
    assert!(matches!(answer, Err(RequestError::Timeout(_))));
    drop(unheard);
    requester.close().await.unwrap();
    let left = clients.sqs.list_queues().queue_name_prefix("reply-").send().await.unwrap();
    assert!(left.queue_urls().is_empty(), "a temporary queue goes with its requester");
    running.shutdown().await;
}

#[tokio::test]
async fn a_responder_that_dies_before_it_answers_is_replaced_by_the_next() {
    let server = toolkit::testing::Server::in_memory().unwrap();
    let clients = server.clients().await;
    let requests = requests(&clients).await;
    let (begun, mut seen) = mpsc::unbounded_channel();
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (endpoint, queue) = (server.endpoint().to_owned(), requests.clone());
    first.spawn(async move {
        let clients = Clients::local(&endpoint).await;
        let hanging = responder(&clients, "doubler", move |_: Delivery<Step>| {
            begun.send(()).unwrap();
            std::future::pending::<Result<Doubled, String>>()
        });
        let running =
            Consumer::<Step>::new(&clients, &queue).settings(settings()).start(hanging).await.unwrap();
        std::future::pending::<()>().await;
        drop(running);
    });
    let requester = Requester::temporary(&clients, Publisher::queue(&clients, &requests)).await.unwrap();
    let asking = requester.ask::<Step, Doubled>(Step { number: 21 }, PATIENCE);
    let replaced = async {
        seen.recv().await.unwrap();
        first.shutdown_background();
        let answering = responder(&clients, "doubler", double);
        Consumer::<Step>::new(&clients, &requests).settings(settings()).start(answering).await.unwrap()
    };
    let (answer, running) = tokio::join!(asking, replaced);
    assert_eq!(answer.unwrap().data.0, 42);
    running.shutdown().await;
    requester.close().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_nobody_elses() {
    let (_server, clients) = server().await;
    let requests = requests(&clients).await;
    let requester = Requester::temporary(&clients, Publisher::queue(&clients, &requests)).await.unwrap();
    // Nobody answers yet.
    let late = requester.ask::<Step, Doubled>(Step { number: 1 }, Duration::from_millis(50)).await;
    assert!(matches!(late, Err(RequestError::Timeout(_))));
    let answering = responder(&clients, "doubler", double);
    let running = Consumer::new(&clients, &requests).settings(settings()).start(answering).await.unwrap();
    while running.counts().done < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for number in 2..5 {
        let answer = requester.ask::<Step, Doubled>(Step { number }, PATIENCE).await.unwrap();
        assert_eq!(answer.data.0, number * 2);
    }
    // One question under one id, asked again by one who has lost patience with the first: both hear the answer.
    let ask =
        |patience| requester.ask::<Step, Doubled>(Outgoing::new(Step { number: 6 }).id("six"), patience);
    let (first, impatient, second) = tokio::join!(ask(PATIENCE), ask(Duration::ZERO), ask(PATIENCE));
    assert!(matches!(impatient, Err(RequestError::Timeout(_))));
    assert_eq!((first.unwrap().data.0, second.unwrap().data.0), (12, 12));
    // The same at a lasting queue, where an answer to somebody who is gone may lie still.
    let lasting = QueueSpec::new("answers").ensure(&clients).await.unwrap();
    for number in [7, 8] {
        let shared = Requester::shared(&clients, Publisher::queue(&clients, &requests), &lasting);
        let gone = shared.ask::<Step, Doubled>(Step { number: 100 }, Duration::ZERO).await;
        assert!(matches!(gone, Err(RequestError::Timeout(_))));
        assert_eq!(shared.ask::<Step, Doubled>(Step { number }, PATIENCE).await.unwrap().data.0, number * 2);
        shared.close().await.unwrap();
    }
    assert!(clients.queue("answers").await.is_ok(), "it is not the requester's to delete");
    running.shutdown().await;
    requester.close().await.unwrap();
}
