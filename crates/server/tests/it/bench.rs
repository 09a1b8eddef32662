//! `posthaste bench` on this server: its checks hold for what goes through buses, workflows and schedules.

use std::process::Command;

use crate::server::{Server, program};

#[test]
fn what_goes_through_buses_and_workflows_comes_once_to_each_queue() {
    let server = Server::run(Command::new(program()).args(["--in-memory"]));
    let url = format!("http://{}", server.address);
    for line in [
        "put-events --subscriptions 3 --messages 200",
        "put-events --subscriptions 20 --filtered --batch 1 --messages 100",
        "route execute --duration 0.3",
        "execute-sync schedule --messages 100",
    ] {
        let shared = ["bench", "--quiet", "--connections", "4", "--warmup", "0", "--endpoint", &url];
        let run = Command::new(program()).args(shared).args(line.split(' ')).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        // It has looked at answers and queues, and has removed all that it made.
        assert!(run.status.success() && said.contains("checked: "), "{line}: {run:?}");
    }
    assert!(!server.query("Action=ListQueues").body.contains("bench-"), "a queue is left");
}
