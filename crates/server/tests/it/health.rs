//! `posthaste health`, as containers call it.

use std::process::{Command, Output};

use crate::server::{Server, program};

fn health(arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.arg("health").args(arguments).env_remove("POSTHASTE_LISTEN").output().unwrap()
}

#[test]
fn health_is_an_exit_code() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    for arguments in [&[&*format!("http://{address}")][..], &[&*address], &["--listen", &address]] {
        let told = health(arguments);
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.status.success() && text.contains("\"status\":\"ok\""), "{told:?}");
    }
    drop(server);
    let told = health(&[&address]);
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stderr).contains(&address), "{told:?}");
}
