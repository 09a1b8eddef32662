//! The system as a program: orders of all kinds to their ends, its queues' settings, deaths in the middle, and an audit that can fail.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;
use toolkit::testing::{Postgres, Server, block_on};

/// The program, with its things in this folder.
fn orders(endpoint: Option<&str>, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("AWS_") || name.starts_with("ORDERS_"))
    {
        command.env_remove(name);
    }
    command.args(arguments).arg("--data").arg(folder);
    if let Some(endpoint) = endpoint {
        command.args(["--endpoint", endpoint]);
    }
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All services, ready to work.
fn all_services(endpoint: &str, folder: &Path, database: &[&str]) -> Running {
    let arguments = [&["run", "--products", "40", "--stock", "60"], database].concat();
    let mut command = orders(Some(endpoint), folder, &arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let running = Running(child);
    assert!(lines.any(|line| line.unwrap() == "dead-letters is ready"), "a service did not start");
    std::thread::spawn(move || lines.for_each(drop));
    running
}

/// A PostgreSQL, or `None` (said aloud) where none is installed.
fn postgres() -> Option<Postgres> {
    let postgres = Postgres::start().unwrap();
    if postgres.is_none() {
        eprintln!("SKIPPED: PostgreSQL's initdb is not installed");
    }
    postgres
}

/// Puts a message into a queue that the service cannot handle.
fn send_nonsense(server: &Server, queue: &str, message_type: &str, data: serde_json::Value) {
    let body = json!({
        "id": format!("nonsense-{queue}"), "type": message_type, "source": "a partner",
        "timestamp": "2026-01-01T00:00:00Z", "data": data, "metadata": { "version": "1.0" },
    });
    block_on(async {
        let clients = server.clients().await;
        let url = clients.queue(queue).await.unwrap().url;
        let call = clients.sqs.send_message().queue_url(url).message_body(body.to_string());
        let call = match queue.ends_with(".fifo") {
            true => call.message_group_id("g").message_deduplication_id("d"),
            false => call,
        };
        call.send().await.unwrap();
    })
}

/// Submits orders of all kinds, then audits; `database` says where the state is. `spoil` must make the audit fail.
fn orders_of_all_kinds(database: &[&str], spoil: impl FnOnce(&Path)) {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let _services = all_services(server.endpoint(), folder.path(), database);
    let run = |arguments: &[&str]| {
        let arguments = [arguments, database].concat();
        orders(Some(server.endpoint()), folder.path(), &arguments).output().unwrap()
    };
    let submit = |arguments: &[&str]| {
        let output = run(&[&["submit"], arguments].concat());
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let kinds: [(&[&str], &str); 8] = [
        (&["--product", "product-00001", "--card", "tok-1"], "completed"),
        (&["--product", "product-00001", "--vip"], "completed"),
        // Large: through the queue of its own.
        (&["--product", "product-00002", "--price", "600000"], "completed"),
        (&["--product", "product-00003", "--card", "declined"], "the card was declined"),
        (&["--product", "rare-000", "--quantity", "4", "--card", "tok-2"], "rare-000 is not in stock"),
        (&["--product", "product-00004", "--card", "tok-3", "--country", "XX"], "no carrier goes to XX"),
        (&["--product", "product-00005", "--quantity", "-1"], "rejected"),
        // No message group can be called so: an order that was taken in would never end.
        (&["--product", "brass lamp"], "rejected"),
    ];
    for (arguments, end) in kinds {
        let said = submit(arguments);
        assert!(said.contains(end), "{arguments:?}: {said}");
    }
    // The stock of what was declined and of what could not be delivered is back: all 60 can be bought.
    for product in ["product-00003", "product-00004"] {
        assert!(submit(&["--product", product, "--quantity", "60"]).contains("completed"));
    }
    // What cannot be stored, or must not be: it becomes a dead letter, and holds up nobody.
    let order = json!({ "orderId": "o-nul", "customerId": "c\u{0}", "items": [], "totalAmount": 1 });
    send_nonsense(&server, "orders", "order.submitted", order);
    let less_than_none = json!({
        "work": "reserve", "orderId": "o-less", "customerId": "c", "country": "DE", "line": 0, "lines": 1,
        "productId": "product-00006", "quantity": -5,
    });
    send_nonsense(&server, "inventory.fifo", "stock.reserve", less_than_none);
    submit(&["--count", "20"]);
    let dead = said(&run(&["dead-letters"]));
    assert!(dead.contains("quantity is below 1"), "{dead}");

    let good = run(&["audit"]);
    assert!(good.status.success(), "{}", said(&good));
    // An audit that finds nothing must be able to find something.
    spoil(folder.path());
    let bad = run(&["audit", "--patience", "0"]);
    assert_eq!(bad.status.code(), Some(1), "{}", said(&bad));
    assert!(said(&bad).contains("BROKEN") && said(&bad).contains("break it: "), "{}", said(&bad));
}

/// A second charge for an order that has one.
const CHARGED_AGAIN: &str =
    "INSERT INTO ledger SELECT payment_key || '-again', order_id, cents, standing, at_ms FROM ledger
     WHERE standing = 'charged' LIMIT 1";

#[test]
fn orders_of_all_kinds_come_to_their_ends_and_what_failed_is_undone() {
    orders_of_all_kinds(&[], charge_again);
}

/// Makes the books of the gateway wrong.
fn charge_again(folder: &Path) {
    block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("gateway.db"));
        let ledger = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query(CHARGED_AGAIN).execute(&ledger).await.unwrap();
        ledger.close().await;
    })
}

#[test]
fn orders_of_all_kinds_come_to_their_ends_with_events_on_a_bus() {
    orders_of_all_kinds(&["--events", "eventbridge"], charge_again);
}

#[test]
fn orders_of_all_kinds_come_to_their_ends_as_executions_of_a_state_machine() {
    orders_of_all_kinds(&["--workflow", "stepfunctions"], charge_again);
}

#[test]
fn a_rule_of_the_bus_selects_valuable_orders() {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let on_bus = ["--events", "eventbridge"];
    let _services = all_services(server.endpoint(), folder.path(), &on_bus);
    for price in ["9999", "10000"] {
        let arguments = ["submit", "--product", "product-00001", "--price", price];
        let arguments = [&arguments[..], &on_bus].concat();
        let output = orders(Some(server.endpoint()), folder.path(), &arguments).output().unwrap();
        assert!(said(&output).contains("completed"), "{}", said(&output));
    }
    block_on(async {
        let clients = server.clients().await;
        let found = attributes(&clients, "valuable-orders").await;
        assert_eq!(found["ApproximateNumberOfMessages"], "1");
        let people = ["setup", "--email", "ops@shop.example", "--events", "eventbridge"];
        let output = orders(Some(server.endpoint()), folder.path(), &people).output().unwrap();
        assert!(!output.status.success() && said(&output).contains("--email"), "{}", said(&output));
    });
}

#[test]
fn orders_of_all_kinds_come_to_their_ends_with_the_state_in_postgresql() {
    let Some(postgres) = postgres() else { return };
    let url = postgres.url();
    orders_of_all_kinds(&["--database", &url, "--schema", "shop"], |_| {
        block_on(async {
            let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
            let options = options.options([("search_path", "shop_gateway")]);
            let ledger = sqlx::PgPool::connect_with(options).await.unwrap();
            sqlx::query(CHARGED_AGAIN).execute(&ledger).await.unwrap();
            ledger.close().await;
        })
    });
}

/// Orders of several lines, whose reservations two processes write at the same time.
fn two_of_each(database: &[&str]) {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let _first = all_services(server.endpoint(), folder.path(), database);
    let _second = all_services(server.endpoint(), folder.path(), database);
    for arguments in [&["submit", "--count", "300"][..], &["audit"]] {
        let arguments = [arguments, database].concat();
        let output = orders(Some(server.endpoint()), folder.path(), &arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn two_processes_of_each_service_share_the_work() {
    two_of_each(&[]);
}

#[test]
fn two_processes_of_each_service_share_the_work_with_the_state_in_postgresql() {
    let Some(postgres) = postgres() else { return };
    two_of_each(&["--database", &postgres.url()]);
}

#[test]
fn the_queues_have_the_settings_of_the_design() {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    // Twice: what is there already is brought to its settings.
    for _ in 0..2 {
        let arguments = ["setup", "--email", "ops@shop.example", "--sms", "+15550100"];
        let output = orders(Some(server.endpoint()), folder.path(), &arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    block_on(async {
        let clients = server.clients().await;
        // Name, visibility timeout, retention, receives before it is a dead letter.
        let expected = [
            ("orders", 300, 1_209_600, 3),
            ("priority-orders.fifo", 120, 345_600, 3),
            ("large-orders", 300, 1_209_600, 3),
            ("payments", 600, 345_600, 5),
            ("inventory.fifo", 60, 345_600, 20),
            ("shipping", 300, 345_600, 5),
            ("order-events", 300, 345_600, 5),
            ("notifications", 60, 345_600, 2),
        ];
        for (name, visibility, retention, receives) in expected {
            let found = attributes(&clients, name).await;
            assert_eq!(found["VisibilityTimeout"], visibility.to_string(), "{name}");
            assert_eq!(found["MessageRetentionPeriod"], retention.to_string(), "{name}");
            assert_eq!(found["ReceiveMessageWaitTimeSeconds"], "20", "{name}");
            let policy: serde_json::Value = serde_json::from_str(&found["RedrivePolicy"]).unwrap();
            assert_eq!(policy["maxReceiveCount"], receives, "{name}");
            let dead = policy["deadLetterTargetArn"].as_str().unwrap().rsplit(':').next().unwrap();
            let (plain, fifo) = name.strip_suffix(".fifo").map_or((name, ""), |plain| (plain, ".fifo"));
            assert_eq!(dead, format!("{plain}-dlq{fifo}"));
            assert_eq!(attributes(&clients, dead).await["MessageRetentionPeriod"], "1209600", "{dead}");
            if !fifo.is_empty() {
                assert_eq!(found["DeduplicationScope"], "messageGroup", "{name}");
                assert_eq!(found["FifoThroughputLimit"], "perMessageGroupId", "{name}");
            }
        }
        assert_eq!(attributes(&clients, "priority-orders.fifo").await["ContentBasedDeduplication"], "true");

        for topic in ["order-status", "payment-notifications", "inventory-alerts", "system-health"] {
            let arn = format!("arn:aws:sns:us-east-1:000000000000:{topic}");
            let found = clients.sns.list_subscriptions_by_topic().topic_arn(arn).send().await.unwrap();
            let mut heard: Vec<(String, String)> = Vec::new();
            for one in found.subscriptions() {
                let end = one.endpoint().unwrap().rsplit(':').next().unwrap().to_owned();
                if one.protocol() == Some("sms") {
                    let arn = one.subscription_arn().unwrap();
                    let of =
                        clients.sns.get_subscription_attributes().subscription_arn(arn).send().await.unwrap();
                    assert_eq!(of.attributes().unwrap()["FilterPolicy"], r#"{"critical":["true"]}"#);
                }
                heard.push((one.protocol().unwrap().to_owned(), end));
            }
            heard.sort();
            let mut expected =
                vec![("email", "ops@shop.example"), ("sms", "+15550100"), ("sqs", "notifications")];
            if matches!(topic, "order-status" | "payment-notifications") {
                expected.push(("sqs", "order-events"));
            }
            expected.sort_unstable();
            let expected: Vec<_> =
                expected.iter().map(|(how, who)| ((*how).to_owned(), (*who).to_owned())).collect();
            assert_eq!(heard, expected, "{topic}");
        }
    });
}

async fn attributes(clients: &toolkit::Clients, queue: &str) -> std::collections::HashMap<String, String> {
    let url = clients.queue(queue).await.unwrap().url;
    let found = clients.sqs.get_queue_attributes().queue_url(url).attribute_names("All".into()).send().await;
    let found = found.unwrap().attributes.unwrap_or_default();
    found.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect()
}

/// These seeds kill services that hold money and stock, and the server.
fn kill(database: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["trials", "--trials", "2", "--orders", "80", "--kills", "4", "--seed", "1"];
    let output = orders(None, folder.path(), &[&arguments, database].concat()).output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("server") && said.contains("payment"), "{said}");
    assert!(said.contains("2 trials, 160 orders, 8 kills: no order lost"), "{said}");
}

#[test]
fn services_and_the_server_may_die_at_any_moment() {
    kill(&[]);
}

#[test]
fn services_and_the_server_may_die_at_any_moment_with_the_state_in_postgresql() {
    let Some(postgres) = postgres() else { return };
    kill(&["--database", &postgres.url()]);
    // The trials leave nothing behind.
    block_on(async {
        let pool = sqlx::PgPool::connect(&postgres.url()).await.unwrap();
        let left = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'orders%'";
        assert!(sqlx::query(left).fetch_all(&pool).await.unwrap().is_empty());
    });
}

#[test]
fn the_load_generator_measures_every_target_and_audits() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        orders(None, folder.path(), &["load", "--times", "0.2", "--seconds", "2", "--no-kills"]).output();
    let said = said(&output.unwrap());
    // Whether this machine is fast enough is not asked here.
    let row = |name: &str| {
        said.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    for name in [
        "orders ended, a second",
        "payments, a second",
        "stock updates, a second",
        "notifications, a second",
        "order, submission to end",
        "payment, command to record",
        "stock update, command to record",
        "notification, event to provider",
    ] {
        assert!(row(name).contains(" met ") || row(name).contains("MISSED"), "{said}");
    }
    assert!(row("consistency").contains(" met "), "{said}");
    assert!(row("message delivery").contains("100.000 %"), "{said}");
    let narrow = |line: &str| line.contains("waiting for") || line.chars().count() <= 80;
    assert!(said.lines().all(narrow), "too wide for a terminal: {said}");
}

/// Takes messages out of a queue that are not its own: `times` receives of each of the first ones that come, then it goes. Those that
/// are not deleted are there again at once.
fn thief(server: &Server, queue: &'static str, times: u32, delete: bool) -> std::thread::JoinHandle<()> {
    let endpoint = server.endpoint().to_owned();
    std::thread::spawn(move || {
        block_on(async {
            let clients = toolkit::Clients::local(&endpoint).await;
            let url = clients.queue(queue).await.unwrap().url;
            for _ in 0..times {
                let messages = loop {
                    let call = clients.sqs.receive_message().queue_url(&url).visibility_timeout(if delete {
                        30
                    } else {
                        0
                    });
                    let call = call.max_number_of_messages(1).wait_time_seconds(20);
                    let messages = call.send().await.unwrap().messages.unwrap_or_default();
                    if !messages.is_empty() {
                        break messages;
                    }
                };
                for message in messages.into_iter().filter(|_| delete) {
                    let receipt = message.receipt_handle.unwrap();
                    clients
                        .sqs
                        .delete_message()
                        .queue_url(&url)
                        .receipt_handle(receipt)
                        .send()
                        .await
                        .unwrap();
                }
            }
        })
    })
}

#[test]
fn the_load_says_what_it_waits_for_and_fails_with_it() {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let run =
        |arguments: &[&str]| orders(Some(server.endpoint()), folder.path(), arguments).output().unwrap();
    assert!(run(&["setup"]).status.success());
    // An order that will never be shipped. The thief waits before the service does.
    let thief = thief(&server, "shipping", 1, true);
    let output = run(&["load", "--times", "0.2", "--seconds", "2", "--no-kills", "--patience", "10"]);
    thief.join().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("waited 10 s, and no longer, for 1 order (1 fulfilling)"), "{said}");
    assert!(said.contains("Not at rest: 1 order (1 fulfilling)"), "{said}");
    assert!(said.contains("MISSED"), "{said}");
}

/// Takes what comes to this queue, until something in it says `wanted`; gives the message's body.
async fn hear(clients: &toolkit::Clients, queue: &str, wanted: &str) -> String {
    let url = clients.queue(queue).await.unwrap().url;
    loop {
        let call =
            clients.sqs.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(20);
        for message in call.send().await.unwrap().messages.unwrap_or_default() {
            let receipt = message.receipt_handle.unwrap();
            clients.sqs.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
            let body = message.body.unwrap();
            if body.contains(wanted) {
                return body;
            }
        }
    }
}

/// The watcher alone: what waits in the other services' queues stays there.
fn the_watcher(server: &Server, folder: &Path) -> Running {
    let arguments = ["run", "dead-letters", "--look-every", "1", "--alert-depth", "5"];
    let mut command = orders(Some(server.endpoint()), folder, &arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let running = Running(child);
    assert!(lines.any(|line| line.unwrap() == "dead-letters is ready"));
    std::thread::spawn(move || lines.for_each(drop));
    running
}

#[test]
fn operators_hear_of_a_queue_that_grows_too_deep_and_when_it_is_well_again() {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let _watcher = the_watcher(&server, folder.path());
    block_on(async {
        let clients = server.clients().await;
        let shipping = clients.queue("shipping").await.unwrap();
        for _ in 0..5 {
            clients.sqs.send_message().queue_url(&shipping.url).message_body("x").send().await.unwrap();
        }
        // The topic's events come to the notifications queue, whose service does not run.
        let unwell = hear(&clients, "notifications", "system.queue-unwell").await;
        assert!(unwell.contains("shipping: 5 messages wait"), "{unwell}");
        clients.sqs.purge_queue().queue_url(&shipping.url).send().await.unwrap();
        let well = hear(&clients, "notifications", "system.queue-well").await;
        assert!(well.contains("shipping"), "{well}");
    });
}

#[test]
fn what_only_crashes_have_made_a_dead_letter_is_put_back_three_times_and_no_more() {
    let (server, folder) = (Server::in_memory().unwrap(), tempfile::tempdir().unwrap());
    let _watcher = the_watcher(&server, folder.path());
    block_on(async {
        let clients = server.clients().await;
        let queue = clients.queue("notifications").await.unwrap();
        let event = json!({
            "id": "the-event", "type": "order.shipped", "source": "tests", "timestamp": "2026-01-01T00:00:00Z",
            "data": { "happening": "order.shipped", "orderId": "o-1", "customerId": "c-1" },
            "metadata": { "version": "1.0" },
        });
        clients
            .sqs
            .send_message()
            .queue_url(&queue.url)
            .message_body(event.to_string())
            .send()
            .await
            .unwrap();
        // Its consumers die at each attempt: it is handed out, and nobody answers.
        let dead = clients.queue("notifications-dlq").await.unwrap();
        let mut attempts = [0; 4];
        while attempts[3] < 2
            || attributes(&clients, "notifications-dlq").await["ApproximateNumberOfMessages"] != "1"
        {
            let call = clients
                .sqs
                .receive_message()
                .queue_url(&queue.url)
                .visibility_timeout(0)
                .wait_time_seconds(1);
            for message in call.send().await.unwrap().messages.unwrap_or_default() {
                let body: serde_json::Value = serde_json::from_str(message.body().unwrap()).unwrap();
                if body["id"] == "the-event" {
                    attempts[body["metadata"]["retryCount"].as_u64().unwrap_or(0) as usize] += 1;
                } else {
                    // The operators are told of the dead letter, by the same queue.
                    let receipt = message.receipt_handle.unwrap();
                    clients
                        .sqs
                        .delete_message()
                        .queue_url(&queue.url)
                        .receipt_handle(receipt)
                        .send()
                        .await
                        .unwrap();
                }
            }
        }
        assert_eq!(attempts, [2; 4], "two attempts a round, and three rounds besides the first");
        // A fourth round it is not given: a person has to look at it.
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        let letter = hear(&clients, "notifications-dlq", "the-event").await;
        assert!(letter.contains("\"retryCount\":3"), "{letter} in {}", dead.url);
    });
}

#[test]
fn a_service_that_is_told_to_end_ends_well_and_so_does_the_server_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = orders(None, folder.path(), &["run"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut running = Running(child);
    let endpoint =
        lines.find_map(|line| line.strip_prefix("Posthaste listens at ").map(str::to_owned)).unwrap();
    assert!(lines.any(|line| line.starts_with("All services are ready")));
    let told = Command::new("kill").arg(running.0.id().to_string()).status().unwrap();
    assert!(told.success());
    assert!(lines.any(|line| line.starts_with("Stopping")), "it ended without a word");
    assert!(running.0.wait().unwrap().success());
    let address = endpoint.strip_prefix("http://").unwrap();
    assert!(std::net::TcpStream::connect(address).is_err(), "its server is left over");
}

#[test]
fn where_nothing_runs_or_ran_it_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["submit"][..], &["setup"], &["dead-letters"], &["audit"]] {
        let output = orders(None, folder.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(
            said(&output).starts_with("orders: ") && said(&output).contains("nothing"),
            "{}",
            said(&output)
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "and nothing is made");
}
