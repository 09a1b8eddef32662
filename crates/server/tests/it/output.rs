//! Output that cannot be written: a reader that closes the pipe, as `head` does, ends no command early, and a full disk ends no server.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::server::{Server, program};

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn run(arguments: &[&str], stdout: Stdio) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).env_remove("POSTHASTE_LISTEN").stdout(stdout).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

/// Runs a command twice, and tells what it prints where somebody reads.
fn same_without_a_reader(arguments: &[&str]) -> Output {
    let unread = run(arguments, closed());
    let read = run(arguments, Stdio::piped());
    assert!(!read.stdout.is_empty(), "{arguments:?} prints nothing: {read:?}");
    assert_eq!(unread.status.code(), read.status.code(), "{arguments:?}: {unread:?}");
    assert_eq!(
        String::from_utf8_lossy(&unread.stderr),
        String::from_utf8_lossy(&read.stderr),
        "{arguments:?}"
    );
    read
}

#[test]
fn commands_end_as_usual_when_nobody_reads_what_they_print() {
    for arguments in [&["--help"][..], &["check", "--help"], &["--version"]] {
        assert!(same_without_a_reader(arguments).status.success(), "{arguments:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let server = Server::run(Command::new(program()).args(["--data", data, "--durability", "os"]));
    assert_eq!(server.query("Action=CreateQueue&QueueName=q").status, 200);
    let url = format!("http://{}", server.address);
    assert!(same_without_a_reader(&["health", &url]).status.success());
    let load = ["bench", "send", "--endpoint", &url, "--messages", "10", "--connections", "1"];
    let unread = run(&load, closed());
    assert!(unread.status.success(), "{unread:?}");
    drop(server);
    assert!(same_without_a_reader(&["repair", data]).status.success());
    assert!(same_without_a_reader(&["check", data]).status.success());
    // The verdict on damage is an exit code, which must not depend on who reads the list.
    damage(directory.path());
    let checked = same_without_a_reader(&["check", data]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(String::from_utf8_lossy(&checked.stderr).contains("posthaste repair"), "{checked:?}");
}

#[test]
fn a_server_serves_although_nothing_that_it_prints_can_be_written() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut child = Command::new(program())
        .args(["--in-memory", "--listen", &address])
        .stdout(full())
        .stderr(full())
        .spawn()
        .unwrap();
    let url = format!("http://{address}");
    let is_well = || run(&["health", &url], Stdio::piped()).status.success();
    // The line about readiness is printed at about the time of the first answer: a server that ends with it does so soon.
    while child.try_wait().unwrap().is_none() && !is_well() {}
    for _ in 0..3 {
        assert!(child.try_wait().unwrap().is_none() && is_well(), "the server ended");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Overwrites the beginning of each segment.
fn damage(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len().min(64);
            bytes[..end].fill(0xff);
            fs::write(&path, bytes).unwrap();
        }
    }
}
