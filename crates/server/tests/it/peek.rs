//! Looking at messages changes nothing.

use crate::server::{Answer, Server};

const QUEUE: &str = "QueueUrl=/000000000000/q";

fn bodies(answer: &Answer) -> Vec<&str> {
    answer.body.split("\"Body\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn messages_are_shown_page_by_page_whatever_their_state_and_nothing_changes() {
    let server = Server::start(&["--virtual-clock"]);
    assert_eq!(server.query("Action=CreateQueue&QueueName=q").status, 200);
    let received = ["r0", "r1"];
    for body in received.iter().map(ToString::to_string).chain((0..25).map(|number| format!("w{number}"))) {
        assert_eq!(server.query(&format!("Action=SendMessage&{QUEUE}&MessageBody={body}")).status, 200);
        if body.starts_with('r') {
            server.query(&format!("Action=ReceiveMessage&{QUEUE}&VisibilityTimeout=600"));
        }
    }
    server.query(&format!("Action=SendMessage&{QUEUE}&MessageBody=d0&DelaySeconds=60"));
    for _ in 0..2 {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = server.ask("GET", &format!("/_posthaste/messages?queue=q&limit=10{after}"), &[], "");
            assert_eq!(page.status, 200, "{page:?}");
            assert!(bodies(&page).len() <= 10);
            seen.extend(bodies(&page).into_iter().map(str::to_owned));
            let next = page.body.split("\"next\":\"").nth(1).and_then(|rest| rest.split('"').next());
            let Some(next) = next else { break };
            after = format!("&after={next}");
        }
        let waiting = (0..25).map(|number| format!("w{number}"));
        let all: Vec<String> =
            received.iter().map(ToString::to_string).chain(waiting).chain(["d0".to_owned()]).collect();
        assert_eq!(seen, all);
    }
    let page = server.ask("GET", "/_posthaste/messages?queue=q&limit=3", &[], "").body;
    assert_eq!(page.matches("\"State\":\"invisible\"").count(), 2, "{page}");
    assert!(page.contains("\"ApproximateReceiveCount\":\"1\"") && !page.contains("ReceiptHandle"), "{page}");
    let shown = server.query(&format!("Action=GetQueueAttributes&{QUEUE}&AttributeName.1=All")).body;
    for (name, count) in [("ApproximateNumberOfMessages", 25), ("ApproximateNumberOfMessagesDelayed", 1)] {
        assert!(shown.contains(&format!("<Name>{name}</Name><Value>{count}</Value>")), "{shown}");
    }
    assert_eq!(server.ask("GET", "/_posthaste/messages?queue=none", &[], "").status, 404);
    assert_eq!(server.ask("GET", "/_posthaste/messages?queue=q&limit=0", &[], "").status, 400);
}

#[test]
fn messages_are_shown_as_localstack_does() {
    let server = Server::start(&[]);
    assert_eq!(server.query("Action=CreateQueue&QueueName=q").status, 200);
    server.query(&format!("Action=SendMessage&{QUEUE}&MessageBody=hidden"));
    server.query(&format!("Action=ReceiveMessage&{QUEUE}"));
    server.query(&format!("Action=SendMessage&{QUEUE}&MessageBody=shown"));
    server.query(&format!("Action=SendMessage&{QUEUE}&MessageBody=late&DelaySeconds=600"));
    let json = [("Accept", "application/json")];
    let path = "/_aws/sqs/messages?QueueUrl=http://localhost:4566/000000000000/q";
    let xml = server.ask("GET", path, &[], "").body;
    assert!(xml.contains("<ReceiveMessageResponse") && xml.contains("<Body>shown</Body>"), "{xml}");
    assert!(xml.contains("<ReceiptHandle>SQS/BACKDOOR/ACCESS</ReceiptHandle>"), "{xml}");
    assert!(!xml.contains("hidden") && !xml.contains("late"), "{xml}");
    let all = server.ask("GET", &format!("{path}&ShowInvisible=true&ShowDelayed=1"), &json, "");
    let mut found = bodies(&all);
    found.sort_unstable();
    assert_eq!(found, ["hidden", "late", "shown"], "{all:?}");
    assert!(all.body.contains("IsVisible") && all.body.contains("IsDelayed"), "{all:?}");
    let below = server.ask("GET", "/_aws/sqs/messages/us-east-1/000000000000/q", &json, "");
    assert_eq!(bodies(&below), ["shown"]);
    let sdk = [("X-Amz-Target", "AmazonSQS.ReceiveMessage"), ("Content-Type", "application/x-amz-json-1.0")];
    let asked =
        server.ask("POST", "/_aws/sqs/messages", &sdk, "{\"QueueUrl\":\"http://localhost/000000000000/q\"}");
    assert_eq!(bodies(&asked), ["shown"]);
    for missing in
        ["/_aws/sqs/messages", "/_aws/sqs/messages?QueueUrl=/000000000000/none", "/_aws/sqs/messages/a/b"]
    {
        let answer = server.ask("GET", missing, &[], "");
        assert!(answer.status == 400 && answer.body.contains("NonExistentQueue"), "{missing}: {answer:?}");
    }
}
