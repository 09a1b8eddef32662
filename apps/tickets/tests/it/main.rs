//! The shop as a program: a day with deaths in it, its queues and topics, and a dead letter that is mended and put back.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use toolkit::publisher::Outgoing;
use toolkit::testing::Server;
use toolkit::{Clients, Message, Publisher};

/// The program, at this server, with its things in this folder.
fn tickets(server: Option<&Server>, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickets"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    if let Some(server) = server {
        command.env("AWS_SQS_ENDPOINT", server.endpoint());
    }
    command.env("TICKETS_DATA", folder).args(arguments);
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The numbers of the table's last row: issued, handled, retries, duplicates, requeued, dead, lost, twice.
fn totals(output: &str) -> Vec<u64> {
    let row = output.lines().find(|line| line.starts_with("all ")).expect(output);
    row.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect()
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_day_on_which_a_service_and_the_server_are_killed_loses_nothing_and_does_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["day", "--orders", "16", "--kills", "3", "--visibility", "2"];
    let output = tickets(None, folder.path(), &arguments).output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("killed in the middle: payments, server, tickets"), "{said}");
    let [issued, handled, _, duplicates, requeued, dead, lost, twice] = totals(&said)[..] else {
        panic!("{said}")
    };
    assert_eq!((lost, twice), (0, 0), "{said}");
    // The partner's two messages, and no others, are left.
    assert_eq!((dead, handled), (2, issued - 2), "{said}");
    // Each event comes by queue and by topic; and what died of the mail server came back.
    assert!(duplicates > 0 && requeued > 0, "{said}");
}

#[tokio::test]
async fn setup_makes_the_queues_and_topics_with_their_settings() {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    for _ in 0..2 {
        let mut command = tickets(Some(&server), folder.path(), &["setup"]);
        let output = command.env("AWS_SQS_TICKET_EVENTS_QUEUE", "renamed").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let clients = server.clients().await;
    for (queue, dlq) in [("payment-events-queue", "payment-events-dlq"), ("renamed", "ticket-events-dlq")] {
        let found = attributes(&clients, queue).await;
        assert_eq!(
            (found["VisibilityTimeout"].as_str(), found["MessageRetentionPeriod"].as_str()),
            ("30", "345600")
        );
        let policy: serde_json::Value = serde_json::from_str(&found["RedrivePolicy"]).unwrap();
        assert_eq!(policy["deadLetterTargetArn"], format!("arn:aws:sqs:us-east-1:000000000000:{dlq}"));
        assert_eq!(policy["maxReceiveCount"], 3);
        assert_eq!(attributes(&clients, dlq).await["MessageRetentionPeriod"], "1209600");
    }
    for (topic, heard_at) in [
        ("payment-events", "payment-events-queue"),
        ("ticket-events", "renamed"),
        ("event-management-events", "renamed"),
    ] {
        let arn = format!("arn:aws:sns:us-east-1:000000000000:{topic}");
        let found = clients.sns.list_subscriptions_by_topic().topic_arn(arn).send().await.unwrap();
        let endpoints: Vec<&str> = found.subscriptions().iter().filter_map(|one| one.endpoint()).collect();
        assert_eq!(endpoints, [format!("arn:aws:sqs:us-east-1:000000000000:{heard_at}")], "{topic}");
    }
}

#[tokio::test]
async fn the_sdks_own_variable_says_where_the_queues_are() {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let mut command = tickets(None, folder.path(), &["setup"]);
    let output = command.env("AWS_ENDPOINT_URL", server.endpoint()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(server.clients().await.queue("payment-events-queue").await.is_ok(), "{}", said(&output));
}

async fn attributes(clients: &Clients, queue: &str) -> std::collections::HashMap<String, String> {
    let url = clients.queue(queue).await.unwrap().url;
    let found =
        clients.sqs.get_queue_attributes().queue_url(url).attribute_names("All".into()).send().await.unwrap();
    let found = found.attributes.unwrap_or_default();
    found.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect()
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paid {
    event_type: String,
    order_id: String,
    user_id: String,
    amount: f64,
}

impl Message for Paid {
    const TYPES: &'static [&'static str] = &["PAYMENT_COMPLETED"];
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_its_context_and_handled_once_its_cause_is_mended() {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let mut services = tickets(
        Some(&server),
        folder.path(),
        &["run", "--poll-wait", "1", "--monitor-every", "1", "--until-stdin-ends"],
    );
    let services = services.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut services = Running(services.spawn().unwrap());
    let clients = server.clients().await;
    let queue = loop {
        match clients.queue("payment-events-queue").await {
            Ok(queue) => break queue,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    // A payment for an order that is not in the shop's books.
    let (order_id, user_id) = ("o-7".to_owned(), "u-7".to_owned());
    let paid = Paid { event_type: "PAYMENT_COMPLETED".into(), order_id, user_id, amount: 100.00 };
    Publisher::queue(&clients, &queue).publish(Outgoing::new(paid).id("message-7")).await.unwrap();

    let database = SqliteConnectOptions::new().filename(folder.path().join("tickets.db"));
    let database = SqlitePool::connect_with(database.busy_timeout(Duration::from_secs(60))).await.unwrap();
    until_logged(&database, "DEAD_LETTER").await;
    let shown = tickets(Some(&server), folder.path(), &["monitor"]).output().unwrap();
    let shown = said(&shown);
    let json = shown[shown.find('{').expect(&shown)..=shown.rfind('}').expect(&shown)].to_owned();
    let letter: serde_json::Value = serde_json::from_str(&json).expect(&shown);
    assert!(letter["messageId"].is_string() && letter["sentTimestamp"].is_string(), "{shown}");
    assert_eq!((&letter["receiveCount"], &letter["category"]), (&"1".into(), &"gave-up".into()));
    assert_eq!(letter["reason"], "there is no order o-7");
    let event = serde_json::json!({
        "eventType": "PAYMENT_COMPLETED", "orderId": "o-7", "userId": "u-7", "amount": 100.00,
    });
    assert_eq!(letter["message"], event);

    // It would fail again, so it is put back when it is asked for, and not before.
    let order = "INSERT INTO orders VALUES ('o-7', 'e-1', 'u-7', 'ana@mail.example', 2, 10000, 'paid')";
    sqlx::query(order).execute(&database).await.unwrap();
    let requeue =
        |arguments: &[&str]| said(&tickets(Some(&server), folder.path(), arguments).output().unwrap());
    let mut answer = requeue(&["requeue"]);
    assert!(answer.contains("0 put back"), "{answer}");
    // The running monitor's look may hide it for a moment.
    while !answer.contains("1 put back") {
        answer = requeue(&["requeue", "--id", "message-7"]);
    }
    until_logged(&database, "PROCESSED").await;
    until_logged(&database, "TICKETS_DELIVERED").await;
    drop(services.0.stdin.take());
    assert!(services.0.wait().unwrap().success());
    let tickets: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM tickets WHERE order_id = 'o-7' AND state = 'delivered'")
            .fetch_one(&database)
            .await
            .unwrap();
    assert_eq!(tickets, 2);
}

/// Waits for a line of the log with this status, or for the processing of this type of event.
async fn until_logged(database: &SqlitePool, what: &str) {
    let sql =
        "SELECT COUNT(*) FROM message_log WHERE status = $1 OR (event_type = $1 AND status = 'PROCESSED')";
    loop {
        // The services may be just making the table.
        let found: Result<i64, _> = sqlx::query_scalar(sql).bind(what).fetch_one(database).await;
        if found.is_ok_and(|count| count > 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_day_wants_queues_of_its_own() {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    toolkit::testing::block_on(async {
        let queue =
            toolkit::QueueSpec::new("payment-events-queue").ensure(&server.clients().await).await.unwrap();
        let clients = server.clients().await;
        clients.sqs.send_message().queue_url(queue.url).message_body("somebody's").send().await.unwrap();
    });
    let output = tickets(Some(&server), folder.path(), &["day"]).output().unwrap();
    assert!(
        !output.status.success() && said(&output).contains("1 messages lie in the queues"),
        "{}",
        said(&output)
    );
}
