//! Archived messages in the store for retained data, and its damage.

use std::path::Path;
use std::process::{Command, Output};

use crate::server::{Answer, Server, eventually, program};

const SNS: &str = "&Version=2010-03-31";
const ARCHIVED: &str = "Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true&Attributes.entry.2.key=ArchivePolicy&\
                        Attributes.entry.2.value=%7B%22MessageRetentionPeriod%22%3A%2230%22%7D";
const TOPIC: &str = "TopicArn=arn:aws:sns:us-east-1:000000000000:old.fifo";

fn start(data: &Path) -> Server {
    Server::run(Command::new(program()).arg("--data").arg(data))
}

fn check(data: &Path) -> Output {
    Command::new(program()).arg("check").arg(data).output().unwrap()
}

fn ask(server: &Server, form: &str) -> Answer {
    let answer = server.query(form);
    assert_eq!(answer.status, 200, "{form}: {answer:?}");
    answer
}

/// The bodies that a replay gives to a new queue, until `count` have come.
fn replayed(server: &Server, queue: &str, count: usize) -> Vec<String> {
    let replay =
        "%7B%22PointType%22%3A%22Timestamp%22%2C%22StartingPoint%22%3A%222023-01-01T00%3A00%3A00.000Z%22%7D";
    ask(server, &format!("Action=CreateQueue&QueueName={queue}"));
    ask(
        server,
        &format!(
            "Action=Subscribe&{TOPIC}&Protocol=sqs&Endpoint=arn:aws:sqs:us-east-1:000000000000:{queue}&\
             Attributes.entry.1.key=ReplayPolicy&Attributes.entry.1.value={replay}&\
             Attributes.entry.2.key=RawMessageDelivery&Attributes.entry.2.value=true{SNS}"
        ),
    );
    let mut bodies = Vec::new();
    eventually(|| {
        let receive = format!(
            "Action=ReceiveMessage&QueueUrl=/000000000000/{queue}&MaxNumberOfMessages=10&VisibilityTimeout=3600"
        );
        let answer = ask(server, &receive).body;
        bodies.extend(
            answer.split("<Body>").skip(1).filter_map(|rest| rest.split('<').next()).map(str::to_owned),
        );
        (bodies.len() >= count).then_some(())
    });
    bodies.sort();
    bodies
}

#[test]
fn a_replay_leaves_out_what_is_damaged_in_the_store_and_the_operator_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = start(data);
    ask(&server, &format!("Action=CreateTopic&Name=old.fifo&{ARCHIVED}{SNS}"));
    let segment = data.join("retained/05-00000001.seg");
    for number in 0..3 {
        let message = format!("body-{number}-{}", "x".repeat(100));
        let form = format!("Action=Publish&{TOPIC}&Message={message}&MessageGroupId=g{SNS}");
        ask(&server, &format!("{form}&MessageDeduplicationId=d{number}"));
        // Each gets a frame of its own, which can be damaged without the others.
        let body = format!("body-{number}");
        eventually(|| {
            let bytes = std::fs::read(&segment).ok()?;
            bytes.windows(6).any(|window| window == body.as_bytes()).then_some(())
        });
    }
    // After an orderly stop damage is told from an unfinished write, and the next start knows that nothing is owed any more.
    server.stop();
    let server = start(data);
    assert_eq!(replayed(&server, "whole", 3).len(), 3);
    server.stop();
    assert!(check(data).status.success(), "{:?}", check(data));

    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(6).position(|window| window == b"body-1").unwrap();
    bytes[at + 20] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let server = start(data);
    let bodies = replayed(&server, "rest", 2);
    let numbers: Vec<&str> = bodies.iter().map(|body| &body[..6]).collect();
    assert_eq!(numbers, ["body-0", "body-2"]);
    let health = server.ask("GET", "/_posthaste/health", &[], "").body;
    assert!(health.contains("05-00000001.seg") && health.contains("\"status\":\"ok\""), "{health}");
    server.stop();
    let told = check(data);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(!told.status.success() && text.contains("05-00000001.seg"), "{text}");
}

/// Starts a server and stops it; returns what it logged.
fn logged(data: &Path) -> String {
    let log = tempfile::NamedTempFile::new().unwrap();
    let errors = log.reopen().unwrap();
    Server::run(Command::new(program()).arg("--data").arg(data).stderr(errors)).stop();
    std::fs::read_to_string(log.path()).unwrap()
}

#[test]
fn a_repair_that_loses_a_topic_does_not_lose_its_archive() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = start(data);
    ask(&server, &format!("Action=CreateTopic&Name=old.fifo&{ARCHIVED}{SNS}"));
    ask(
        &server,
        &format!("Action=Publish&{TOPIC}&Message=body&MessageGroupId=g&MessageDeduplicationId=d{SNS}"),
    );
    let segment = data.join("retained/05-00000001.seg");
    eventually(|| {
        let bytes = std::fs::read(&segment).ok()?;
        bytes.windows(4).any(|window| window == b"body").then_some(())
    });
    server.stop();
    let log = data.join("00000001.log");
    let mut bytes = std::fs::read(&log).unwrap();
    let declared = bytes.windows(8).position(|window| window == b"old.fifo").unwrap();
    bytes[declared] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let repaired = Command::new(program()).arg("repair").arg(data).output().unwrap();
    assert!(repaired.status.success(), "{repaired:?}");

    let unowned = "1 series of retained data have no owner";
    let log = logged(data);
    assert!(log.contains(unowned), "{log}");
    // The operator may give it up. A start deletes it in the background.
    let mark = data.join("REPAIRED");
    eventually(|| {
        std::fs::remove_file(&mark).unwrap();
        start(data).stop();
        std::fs::write(&mark, "").unwrap();
        (!logged(data).contains(unowned)).then_some(())
    });
}
