//! Every task on both servers, and every lie.

use clap::Parser;
use posthaste_bench::bare::BareServer;
use posthaste_bench::{Arguments, Error, Report, Task, measure, run};

use crate::queue::{self, Lie};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(endpoint: std::net::SocketAddr, line: &str) -> Arguments {
    let endpoint = format!("http://{endpoint}");
    let mut words = vec!["bench", "--quiet", "--endpoint", &endpoint, "--warmup", "0"];
    if !line.contains("--timeout") {
        words.extend(["--timeout", "10"]);
    }
    if !line.contains("--duration") {
        words.extend(["--duration", "0.2"]);
    }
    words.extend(line.split_whitespace());
    Line::parse_from(words).arguments
}

fn measure_one(lie: Lie, line: &str) -> Report {
    // An honest answer may be late on a busy machine, and is still one; a liar's may never come.
    let line = if matches!(lie, Lie::None) { line.to_owned() } else { format!("{line} --timeout 1") };
    let mut reports = measure(&arguments(queue::start(lie), &line)).unwrap();
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}

#[test]
fn each_task_that_needs_no_state_runs_against_the_bare_server() {
    let server = BareServer::start("127.0.0.1:0".parse().unwrap(), 1, 1024).unwrap();
    let line = "send send-batch drain cycle poll --no-checks --connections 8";
    for report in measure(&arguments(server.address, line)).unwrap() {
        assert!(report.failures.is_empty(), "{report:?}");
        assert!(report.requests > 10 && report.messages > 10, "{report:?}");
    }
}

#[test]
fn each_task_balances_its_books_against_an_honest_queue() {
    for line in [
        "send --connections 4 --messages 500",
        "send-batch --connections 4 --threads 2",
        "send-batch --connections 4 --fifo --groups 9 --messages 400",
        "drain --connections 4 --messages 2000 --duration 20",
        "drain --connections 4 --messages 500 --fifo --groups 20 --duration 20",
        "end-to-end --connections 4 --window 50",
        "end-to-end --connections 8 --threads 2 --queues 2 --batch 1",
        "end-to-end --connections 4 --fifo --groups 10",
        "end-to-end --connections 4 --rate 1000",
        "cycle --connections 4",
        "poll --connections 4",
        "publish --connections 4 --subscriptions 3 --messages 500",
        "publish --connections 4 --filtered --subscriptions 20",
        "publish --connections 4 --attribute --subscriptions 1",
        "publish-batch --connections 4 --subscriptions 2 --fifo --groups 9 --messages 400",
        "fan-out --connections 4 --subscriptions 3 --messages 500 --duration 20",
    ] {
        let report = measure_one(Lie::None, line);
        assert!(report.failures.is_empty(), "{line}: {report:?}");
        assert!(report.checked && report.requests > 0, "{line}: {report:?}");
        assert!(report.task == Task::Poll || report.compared > 0, "{line}: {report:?}");
        if matches!(report.task, Task::Drain | Task::EndToEnd) {
            assert_eq!(report.acknowledged, report.arrived, "{line}: {report:?}");
        }
        assert_eq!(report.end_to_end.is_some(), report.task == Task::EndToEnd, "{line}: {report:?}");
    }
}

#[test]
fn what_is_published_comes_once_from_each_queue_of_the_topic() {
    let report =
        measure_one(Lie::None, "fan-out --connections 6 --subscriptions 3 --messages 500 --duration 20");
    assert_eq!((report.topic, report.queues), (true, 3));
    assert_eq!(report.arrived, 3 * report.acknowledged, "{report:?}");
    let report = measure_one(Lie::None, "fan-out --connections 2 --filtered --messages 500 --duration 20");
    assert_eq!((report.filtered, report.queues), (true, 10));
    assert_eq!(report.arrived, report.acknowledged, "{report:?}");
}

#[test]
fn deliveries_are_timed_and_those_to_a_dead_endpoint_come_when_it_is_back() {
    let report = measure_one(
        Lie::None,
        "deliver --connections 4 --rate 500 --duration 0.5 --pending 50 --retry-seconds 5",
    );
    assert!(report.failures.is_empty(), "{report:?}");
    assert_eq!(report.arrived, report.acknowledged, "{report:?}");
    assert!(report.messages > 50 && report.end_to_end.is_some(), "{report:?}");
    let pending = report.pending.unwrap();
    assert!(pending.messages >= 50 && pending.came == pending.messages, "{pending:?}");
}

#[test]
fn each_lie_makes_the_run_fail() {
    let drain = "drain --connections 2 --messages 400 --fifo --groups 2 --duration 1";
    for (lie, line, complaint) in [
        (Lie::Loses, "send --connections 2 --messages 200", "the queues say they hold 199 messages"),
        (Lie::Repeats, "send --connections 2 --messages 200", "the queues say they hold 201 messages"),
        (Lie::Repeats, drain, "a message came twice"),
        (
            Lie::Changes,
            "send --connections 2 --messages 200",
            "a message came with other bytes than were sent",
        ),
        (
            Lie::Miscounts,
            "send --connections 2 --messages 200",
            "MD5OfMessageBody is not that of the body sent",
        ),
        (Lie::Refuses, "send --connections 2 --messages 200", "500 InternalError"),
        (Lie::Refuses, "send-batch --connections 2 --messages 200", "entry failed: InternalError"),
        (
            Lie::HangsUp,
            "send --connections 2 --messages 200",
            "SendMessage: connection closed without answer",
        ),
        (Lie::Reorders, drain, "a group's message came out of order"),
        (
            Lie::Loses,
            "publish --connections 2 --subscriptions 3 --messages 200",
            "they hold 199 messages; by what was acknowledged and came it must be 200",
        ),
        (
            Lie::Repeats,
            "fan-out --connections 3 --subscriptions 3 --messages 300 --duration 20",
            "a message came twice",
        ),
        (
            Lie::Changes,
            "publish --connections 2 --subscriptions 3 --messages 200",
            "a message came with other bytes than were sent",
        ),
        (Lie::Refuses, "publish --connections 2 --subscriptions 1 --messages 200", "500 InternalError"),
        (
            Lie::Refuses,
            "publish-batch --connections 2 --subscriptions 1 --messages 200",
            "entry failed: InternalError",
        ),
        (
            Lie::Overdelivers,
            "publish --connections 2 --filtered --subscriptions 3 --messages 20",
            "the queues whose filters match nothing say they hold 20 messages",
        ),
        (Lie::Loses, "deliver --connections 2 --rate 1000 --duration 0.3", "1 messages were never delivered"),
    ] {
        let report = measure_one(lie, line);
        assert!(!report.failures.is_empty(), "{lie:?}: {report:?}");
        let said = format!("{:?} {:?}", report.failures, report.errors);
        assert!(said.contains(complaint), "{lie:?}: {said}");
    }
}

#[test]
fn a_run_leaves_its_results_as_json_and_fails_as_a_whole_if_a_check_failed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = format!("send --connections 2 --messages 200 --json {}", file.path().display());
    let outcome = run(arguments(queue::start(Lie::Loses), &line));
    assert!(matches!(outcome, Err(Error::Failed { .. })), "{outcome:?}");
    let reports: Vec<Report> = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    assert_eq!((reports[0].task, reports[0].acknowledged), (Task::Send, 200));
    assert!(run(arguments(queue::start(Lie::None), &line)).is_ok());
}

#[test]
fn messages_left_in_a_queue_are_found_by_the_next_run_and_told_from_its_own() {
    let address = queue::start(Lie::None);
    let left = measure(&arguments(address, "send --connections 2 --messages 50 --keep")).unwrap();
    let url = &left[0].kept_queue_urls[0];
    let report =
        measure(&arguments(address, &format!("cycle --connections 2 --queue {url}"))).unwrap().remove(0);
    assert!(report.failures.is_empty(), "{report:?}");
    assert_eq!(report.foreign, 50, "{report:?}");
}

#[test]
fn arguments_that_contradict_each_other_are_refused_before_anything_is_sent() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    for line in [
        "send --size 63",
        "send-batch --size 200000",
        "send --connections 2 --queues 3",
        "end-to-end --connections 2 --queues 2",
        "send --threads 3 --connections 2",
        "send --fifo --groups 3 --connections 4",
        "end-to-end --no-checks",
        "send --duration 0",
        "send --rate 0",
        "fan-out --connections 2 --subscriptions 3",
        "fan-out --no-checks",
        "publish --queue http://queue/1/q",
        "publish --subscriptions 0",
        "deliver --fifo",
    ] {
        let outcome = measure(&arguments(nowhere, line));
        assert!(matches!(outcome, Err(Error::Arguments(_))), "{line}: {outcome:?}");
    }
    let outcome = measure(&arguments(nowhere, "send"));
    assert!(matches!(outcome, Err(Error::Unreachable { .. })), "{outcome:?}");
}
