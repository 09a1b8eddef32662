//! Clients that make the server hold much, and give it nothing to let go of it. (Linux tells how much that is.)

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::server::{Server, eventually, program, read_answer};

/// What a debug build needs besides, generously.
const SLACK: u64 = 64;

const QUEUE: &str = "QueueUrl=/000000000000/q";

/// A server that may take 64 MiB. (It is told so by its environment, so that another program can be looked at, too.)
fn frugal() -> Server {
    Server::run(Command::new(program()).arg("--in-memory").env("POSTHASTE_MEMORY_BUDGET", "64MiB"))
}

/// Writes as much as the server takes.
fn press(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    // It stops reading, or hangs up.
    let _ = stream.write_all(bytes);
}

#[test]
fn bodies_that_never_end_take_no_more_than_their_budget_and_nobody_is_shut_out() {
    let server = frugal();
    assert_eq!(server.query("Action=CreateQueue&QueueName=q").status, 200);
    let (before, _) = server.memory();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        15 << 20
    );
    let body = vec![b'x'; 14 << 20];
    let mut streams: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(head.as_bytes()).unwrap();
            press(&mut stream, &body);
            stream
        })
        .collect();
    let (_, most) = server.memory();
    assert!(most < before + 64 + SLACK, "{before} MiB before, {most} MiB at the most");
    // What is small has its own part of the memory.
    let text = "x".repeat(10_000);
    assert_eq!(server.query(&format!("Action=SendMessage&{QUEUE}&MessageBody={text}")).status, 200);
    // And what is large gets its turn: who sends nothing is let go as soon as others wait.
    let large = "x".repeat(1_000_000);
    eventually(|| {
        (server.query(&format!("Action=SendMessage&{QUEUE}&MessageBody={large}")).status == 200).then_some(())
    });
    let refused = streams.iter_mut().map(|stream| {
        // Some of them the server still reads from: nobody needs the memory any more.
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        matches!(read_answer(stream).status, 408 | 503)
    });
    let refused = refused.filter(|&refused| refused).count();
    assert!(refused > 50, "{refused} were told why");
    drop(streams);
    eventually(|| (server.memory().0 < before + SLACK / 2).then_some(()));
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A request of HTTP/2, with the simplest of all encodings of its head.
fn request(stream: u32, form: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/"),
        ("content-type", "application/x-www-form-urlencoded"),
    ] {
        head.push(0);
        head.extend([name.len() as u8]);
        head.extend(name.as_bytes());
        head.extend([value.len() as u8]);
        head.extend(value.as_bytes());
    }
    [frame(1, 4, stream, &head), frame(0, 1, stream, form.as_bytes())].concat()
}

#[test]
fn a_connection_with_hundreds_of_answers_that_are_not_read_takes_its_share_and_no_more() {
    let server = frugal();
    assert_eq!(server.query("Action=CreateQueue&QueueName=q").status, 200);
    let body = "x".repeat(1_000_000);
    for _ in 0..10 {
        assert_eq!(server.query(&format!("Action=SendMessage&{QUEUE}&MessageBody={body}")).status, 200);
    }
    let (before, _) = server.memory();
    let mut connection = server.connect();
    // No stream may send anything (SETTINGS_INITIAL_WINDOW_SIZE is 0).
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    connection.write_all(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 0])).unwrap();
    let receive = format!("Action=ReceiveMessage&{QUEUE}&MaxNumberOfMessages=10&VisibilityTimeout=0");
    for number in 0..200 {
        connection.write_all(&request(2 * number + 1, &receive)).unwrap();
    }
    // The server says so when it has read all of it: it answers a ping.
    connection.write_all(&frame(6, 0, 0, b"are you?")).unwrap();
    let mut read: Vec<u8> = Vec::new();
    let mut buffer = [0; 16384];
    while !read.windows(8).any(|bytes| bytes == b"are you?") {
        let count = connection.read(&mut buffer).unwrap();
        assert!(count > 0, "it hung up");
        read.extend(&buffer[..count]);
    }
    // Others have their turn, and time goes by.
    for _ in 0..200 {
        assert_eq!(server.query("Action=ListQueues").status, 200);
    }
    let (_, most) = server.memory();
    assert!(most < before + 64 + SLACK, "{before} MiB before, {most} MiB at the most");
    let answer =
        server.query(&format!("Action=ReceiveMessage&{QUEUE}&MaxNumberOfMessages=10&VisibilityTimeout=0"));
    assert_eq!(answer.status, 200, "others get large answers");
    assert!(answer.body.len() > 1_000_000);
    drop(connection);
    eventually(|| (server.memory().0 < before + SLACK).then_some(()));
}

#[test]
fn heads_that_never_end_take_no_more_than_their_budget() {
    // This program opens as many connections.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let server = frugal();
    let (before, _) = server.memory();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(90_000));
    let streams: Vec<TcpStream> = (0..2000)
        .map(|_| {
            let mut stream = server.connect();
            press(&mut stream, head.as_bytes());
            stream
        })
        .collect();
    let (_, most) = server.memory();
    assert!(most < before + 64 + SLACK, "{before} MiB before, {most} MiB at the most");
    assert_eq!(server.query("Action=ListQueues").status, 200);
    drop(streams);
}
