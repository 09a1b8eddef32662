//! The log on standard error: its forms and levels, and readers that do not read.

use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::server::{Server, program};

/// Starts a server in memory, and returns the reader of its log.
fn logging(options: &[&str]) -> (Server, BufReader<PipeReader>) {
    let (log, writer) = pipe().unwrap();
    let mut command = Command::new(program());
    let server = Server::run(command.arg("--in-memory").args(options).stderr(writer));
    // The command holds the other end, so that the log would have no end.
    drop(command);
    (server, BufReader::new(log))
}

/// The next object of a log in JSON.
fn next(log: &mut BufReader<PipeReader>) -> Value {
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

#[test]
fn a_log_in_json_has_an_object_a_line() {
    let (server, mut log) = logging(&["--log-format", "json", "--log", "warn,posthaste::web=debug"]);
    let answer = server.sqs("CreateQueue", "{\"QueueName\": \"q\"}");
    let line = next(&mut log);
    assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    for (field, value) in [
        ("level", "DEBUG"),
        ("target", "posthaste::web"),
        ("message", "request"),
        ("method", "POST"),
        ("operation", "AmazonSQS.CreateQueue"),
        ("request_id", answer.header("x-amzn-requestid").unwrap()),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!(line["status"], 200, "{line}");
}

#[cfg(debug_assertions)]
#[test]
fn a_panic_and_the_end_of_the_server_are_in_the_log() {
    let (mut server, log) = logging(&["--log-format", "json"]);
    assert_eq!(server.ask("POST", "/_posthaste/panic", &[], "turn").status, 200);
    // Nobody need answer any more.
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let _ = server.try_ask("POST", "/", &headers, "Action=CreateQueue&QueueName=q");
    assert_eq!(server.wait().code(), Some(1));
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    // Another thread may notice the panic, and log that, before the one that panics has logged it.
    let panic = lines.iter().find(|line| line["message"] == "panicked: as a test wants it").expect("a line");
    let end = &lines[lines.len() - 1];
    assert_eq!(panic["level"], "ERROR");
    assert!(panic["location"].as_str().is_some_and(|place| place.contains("alarm.rs:")), "{panic}");
    assert!(end["message"].as_str().is_some_and(|text| text.starts_with("stopped: ")), "{end}");
}

#[test]
fn a_log_that_nobody_reads_holds_up_no_answer() {
    let (server, mut log) = logging(&["--log", "debug"]);
    let ask = || assert_eq!(server.ask("GET", "/_posthaste/health", &[], "").status, 200);
    // A pipe has room for 64 KiB, and a line is longer than a hundred bytes.
    (0..800).for_each(|_| ask());
    let mut lines = 0;
    loop {
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        assert!(line.contains("DEBUG posthaste::web: request method=GET"), "{line}");
        lines += 1;
        if log.buffer().is_empty() {
            break;
        }
    }
    assert!(lines < 800, "{lines}");
    ask();
    let dropped =
        log.lines().map_while(Result::ok).find(|line| line.contains("lines of the log were dropped"));
    assert!(dropped.is_some_and(|line| line.contains("WARN posthaste: ") && line.contains("lines=")));
}

#[test]
fn what_keeps_a_server_from_starting_is_said_in_the_form_of_the_log() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let end = |options: &[&str]| {
        let mut command = Command::new(program());
        command.args(["--in-memory", "--listen", &address]).args(options).stdout(Stdio::piped());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let text = format!("cannot listen on {address}: ");
    assert!(end(&[]).contains(&format!(" ERROR posthaste: {text}")));
    assert!(end(&["--log", "off"]).starts_with(&format!("posthaste: {text}")));
    let line: Value = serde_json::from_str(&end(&["--log-format", "json"])).unwrap();
    assert!(line["message"].as_str().is_some_and(|message| message.starts_with(&text)), "{line}");
    let refused = end(&["--log", "info,posthaste=loud"]);
    assert!(refused.contains("\"posthaste=loud\" is no level"), "{refused}");
}
