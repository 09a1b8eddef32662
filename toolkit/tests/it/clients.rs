//! Clients and the server that they talk to: endpoints apart from each other, and data that outlive a server.

use std::time::Duration;

use tokio::net::TcpListener;
use toolkit::publisher::PublisherSettings;
use toolkit::testing::Server;
use toolkit::{Clients, Publisher, Queue, QueueSpec, TopicSpec};

use crate::common::Step;

#[tokio::test]
async fn each_service_may_have_an_endpoint_and_a_region_of_its_own() {
    let (queues, topics) = (Server::in_memory().unwrap(), Server::in_memory().unwrap());
    let clients = Clients::local("http://127.0.0.1:9").await.in_region("eu-central-1");
    let clients = clients.with_endpoints(queues.endpoint(), topics.endpoint());

    let queue = QueueSpec::new("here").ensure(&clients).await.unwrap();
    assert_eq!(queue.arn(&clients).await.unwrap(), "arn:aws:sqs:eu-central-1:000000000000:here");
    TopicSpec::new("there").ensure(&clients).await.unwrap();
    let there = topics.clients().await.in_region("eu-central-1");
    assert!(there.queue("here").await.is_err(), "the queue is where the topics are");
    assert_eq!(there.sns.list_topics().send().await.unwrap().topics().len(), 1);
}

#[tokio::test]
async fn a_kept_servers_data_are_there_for_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    for attempt in 0..2 {
        let server = Server::kept("127.0.0.1:0", folder.path()).unwrap();
        let clients = server.clients().await;
        assert_eq!(clients.queue("kept").await.is_ok(), attempt > 0);
        QueueSpec::new("kept").ensure(&clients).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_a_failure_in_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            silent.push(connection);
        }
    });
    let clients = Clients::local(&endpoint).await;
    let once = PublisherSettings { attempts: 1, ..PublisherSettings::default() };
    let publisher =
        Publisher::queue(&clients, &Queue::at(format!("{endpoint}/000000000000/q"))).settings(once);
    let publish = publisher.publish(Step { number: 1 });
    let result = tokio::time::timeout(Duration::from_secs(600), publish).await;
    assert!(result.expect("it waits for ever").is_err());
}
