//! A server that may open few files: it goes on, and nobody is lost without a word.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use crate::server::{Server, eventually, program, read_answer};

/// Enough for the journal, for the store for retained data, and for a few dozen connections.
const FILES: &str = "ulimit -n 288 && exec \"$0\" \"$@\"";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const QUEUE: &str = "QueueUrl=/000000000000/q";

fn start(directory: &std::path::Path) -> Server {
    let mut command = Command::new("sh");
    Server::run(command.args(["-c", FILES]).arg(program()).arg("--data").arg(directory))
}

/// Reads an answer on a connection that is kept; its status.
fn read_kept(stream: &mut TcpStream) -> u16 {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse::<usize>().unwrap() {
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the server has hung up: {text}");
        text += std::str::from_utf8(&buffer[..count]).unwrap();
    }
}

#[test]
fn segments_roll_while_connections_are_idle_and_subscribers_hang() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path());
    // Takes requests, and never answers.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hanging.local_addr().unwrap();
    let mut held: Vec<TcpStream> = Vec::new();
    assert_eq!(server.query("Action=CreateTopic&Name=t&Version=2010-03-31").status, 200);
    for number in 0..300 {
        let subscribe = format!(
            "Action=Subscribe&TopicArn=arn:aws:sns:us-east-1:000000000000:t&Protocol=http&\
             Endpoint=http%3A%2F%2F{address}%2F{number}&Version=2010-03-31"
        );
        assert_eq!(server.query(&subscribe).status, 200);
    }
    held.push(hanging.accept().unwrap().0);
    assert_eq!(server.query("Action=CreateQueue&QueueName=q").status, 200);
    // One connection is in use all the time.
    let mut sender = server.connect();
    let mut send = |body: &str| {
        let form = format!("Action=SendMessage&{QUEUE}&MessageBody={body}");
        let request = server.request("POST", "/", &[FORM], &form).replace("Connection: close\r\n", "");
        sender.write_all(request.as_bytes()).unwrap();
        assert_eq!(read_kept(&mut sender), 200);
    };
    // These say nothing, or half of a request.
    let mut idle = |number: usize| {
        let mut idle = server.connect();
        if number.is_multiple_of(2) {
            idle.write_all(b"POST / HTTP/1.1\r\nHost: localh").unwrap();
        }
        held.push(idle);
    };
    for number in 0..300 {
        idle(number);
        if number % 10 == 0 {
            send("small");
        }
    }
    let body = "x".repeat(1_000_000);
    for number in 0..150 {
        send(&body);
        idle(number);
    }
    let health = server.ask("GET", "/_posthaste/health", &[], "");
    assert!(health.body.contains("\"written\":\"3:"), "the third segment is begun: {health:?}");
    assert!(server.ended().is_none());
    // And it comes back with everything.
    drop(server);
    let server = start(directory.path());
    let shown = server.query(&format!("Action=GetQueueAttributes&{QUEUE}&AttributeName.1=All"));
    assert!(shown.body.contains("<Value>180</Value>"), "{shown:?}");
}

#[test]
fn a_connection_too_many_is_told_so_and_idle_ones_make_room() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path());
    assert_eq!(server.query("Action=CreateQueue&QueueName=q").status, 200);
    let poll =
        server.request("POST", "/", &[FORM], &format!("Action=ReceiveMessage&{QUEUE}&WaitTimeSeconds=20"));
    // Something happens on each of these, as soon as the server has read it.
    let mut polls = Vec::new();
    let told = eventually(|| {
        let mut stream = server.connect();
        stream.write_all(poll.as_bytes()).unwrap();
        polls.push(stream);
        assert!(polls.len() < 256, "there are only so many descriptors");
        let answer = server.ask("GET", "/_posthaste/failures", &[], "");
        (answer.status == 503).then_some(answer)
    });
    assert!(told.body.contains("ServiceUnavailable") && told.body.contains("ulimit"), "{told:?}");
    assert_eq!(told.header("retry-after"), Some("1"));
    assert!(server.ended().is_none());
    // A poll that is one too many is told so, too; those before are not disturbed.
    let mut last = polls.pop().unwrap();
    assert!(matches!(read_answer(&mut last).status, 503 | 200));
    drop(polls);
    eventually(|| (server.query("Action=ListQueues").status == 200).then_some(()));
}
