//! A server that cannot work any more says so and ends. (Builds with debug assertions panic where a test wants it.)

#![cfg(debug_assertions)]

use crate::server::{Server, eventually};

const SNS: &str = "&Version=2010-03-31";

/// A request for a replay of an archive to a queue, one that goes on for long.
fn replay_to(queue: &str) -> String {
    let replay = "%7B%22PointType%22%3A%22Timestamp%22%2C%22StartingPoint%22%3A%222023-01-01T00%3A00%3A00.000Z%22%2C\
                  %22EndingPoint%22%3A%222099-01-01T00%3A00%3A00.000Z%22%7D";
    format!(
        "Action=Subscribe&TopicArn=arn:aws:sns:us-east-1:000000000000:old.fifo&Protocol=sqs&\
         Endpoint=arn:aws:sqs:us-east-1:000000000000:{queue}&\
         Attributes.entry.1.key=ReplayPolicy&Attributes.entry.1.value={replay}{SNS}"
    )
}

/// Asks for what leads to a place: a turn, an answer, a delivery, a replay.
fn go_everywhere(server: &Server) {
    let archived = "Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true&Attributes.entry.2.key=ArchivePolicy&\
                    Attributes.entry.2.value=%7B%22MessageRetentionPeriod%22%3A%221%22%7D";
    let topic = "TopicArn=arn:aws:sns:us-east-1:000000000000:old.fifo";
    for form in [
        "Action=CreateQueue&QueueName=q".to_owned(),
        format!("Action=CreateTopic&Name=old.fifo&{archived}{SNS}"),
        replay_to("q"),
        // It is read from the log at once, before the store can have it.
        format!("Action=Publish&{topic}&Message=x&MessageGroupId=g&MessageDeduplicationId=d{SNS}"),
        format!("Action=Publish&PhoneNumber=%2B15551234567&Message=x{SNS}"),
    ] {
        // From the panic on nobody need answer.
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let _ = server.try_ask("POST", "/", &headers, &form);
    }
}

#[test]
fn a_panic_of_what_others_wait_for_ends_the_server_with_an_error() {
    for place in ["turn", "answers", "acceptor", "deliverer", "cleaner", "mover", "retained-read"] {
        // The store gets only what is on disk: with `os` that is a full segment.
        let mut server = Server::start(&["--durability", "fsync"]);
        assert_eq!(server.ask("POST", "/_posthaste/panic", &[], place).status, 200);
        go_everywhere(&server);
        if matches!(place, "turn" | "answers") {
            // Known at once: before it ends nobody hears that it is well.
            let told = server.try_ask("GET", "/_posthaste/health", &[], "");
            assert!(told.as_ref().map_or(true, |told| told.status != 200), "{place}: {told:?}");
        }
        if place == "retained-read" {
            // Somewhen the store has the message, and then a replay reads it there.
            let mut queues = 0..;
            eventually(|| {
                let headers = [("Content-Type", "application/x-www-form-urlencoded")];
                let _ = server.try_ask("POST", "/", &headers, &replay_to(&format!("q{}", queues.next()?)));
                server.ended()
            });
        }
        assert_eq!(server.wait().code(), Some(1), "{place}");
    }
}

#[test]
fn an_attempt_that_panics_is_made_again() {
    let server = Server::start(&["--virtual-clock"]);
    assert_eq!(server.ask("POST", "/_posthaste/panic", &[], "attempt").status, 200);
    let form = format!("Action=Publish&PhoneNumber=%2B15551234567&Message=again{SNS}");
    assert_eq!(server.query(&form).status, 200);
    eventually(|| {
        server.ask("POST", "/_posthaste/clock", &[], "{\"advance\": \"1h\"}");
        server.ask("GET", "/_posthaste/outbox", &[], "").body.contains("again").then_some(())
    });
    assert_eq!(server.ask("GET", "/_posthaste/health", &[], "").status, 200);
}
