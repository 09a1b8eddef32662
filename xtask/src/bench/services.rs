//! What the services beside queues and topics cost: each task next to one of queues or topics that does the like, turn by turn.

use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bench::{Report, grouped};

use super::contenders::{Contender, Kitchen};
use super::process::Server;
use super::tasks::{Spread, measured};

/// The heading of the section in BENCHMARKS.md.
pub const HEADING: &str = "## Events, workflows, schedules";

/// Minutes after which one step is given up.
const STEP_MINUTES: u64 = 5;
/// Schedules of the large measurement.
const SCHEDULES: u64 = 1_000_000;

/// The tasks of a turn, on one server with `--durability os` each, in the order of the table.
const TASKS: [(&str, &str); 9] = [
    ("SendMessage", "send"),
    ("PublishBatch(10) to one queue", "publish-batch --subscriptions 1"),
    ("PutEvents(10), one rule with one queue", "put-events --subscriptions 1"),
    ("Publish to 100 queues", "publish --subscriptions 100"),
    ("PutEvents(1), 100 rules that match, one queue each", "put-events --batch 1 --subscriptions 100"),
    ("PutEvents(1), one rule", "put-events --batch 1 --subscriptions 1 --filtered"),
    (
        "PutEvents(1), 10,000 rules of which one matches",
        "put-events --batch 1 --subscriptions 10000 --filtered",
    ),
    ("StartSyncExecution, three states", "execute-sync"),
    ("CreateSchedule, input of 64 bytes", "schedule --size 64"),
];
// Where each of them is.
const SEND: usize = 0;
const PUBLISH_BATCH: usize = 1;
const PUT_EVENTS: usize = 2;
const PUBLISH_100: usize = 3;
const EVENTS_100: usize = 4;
const ONE_RULE: usize = 5;
const RULES: usize = 6;
const SYNC: usize = 7;
const SCHEDULE: usize = 8;

/// Those with `--durability fsync`: executions of ten states, the last of which sends a message that is received.
const DURABLE: [(&str, &str); 2] = [
    ("executions, ten states, 1,000 side by side", "execute --window 1000 --connections 128"),
    ("executions, ten states, 64 side by side", "execute --window 64"),
];

/// What a million schedules cost.
struct Million {
    bytes_each: f64,
    restart: Duration,
}

/// Measures, and writes the section.
pub fn measure(kitchen: &Kitchen, quick: bool) -> Result<String, Box<dyn Error>> {
    let turns = if quick { 1 } else { 3 };
    let times = if quick { "--duration 1 --warmup 0.3" } else { "--duration 4 --warmup 1" };
    let (mut side_by_side, mut durable) = (Vec::new(), Vec::new());
    for turn in 1..=turns {
        eprintln!("services, turn {turn} of {turns}");
        side_by_side.push(tasks(kitchen, Contender::OursOs, &TASKS, times)?);
        durable.push(tasks(kitchen, Contender::OursFsync, &DURABLE, times)?);
    }
    let million = million(kitchen, if quick { SCHEDULES / 100 } else { SCHEDULES })?;
    Ok(section(&side_by_side, &durable, &million, quick))
}

/// Measures tasks one after the other, each on a server of its own, whose memory nothing else has grown.
fn tasks(
    kitchen: &Kitchen,
    contender: Contender,
    tasks: &[(&str, &str)],
    times: &str,
) -> Result<Vec<Report>, Box<dyn Error>> {
    let mut reports = Vec::new();
    for (_, line) in tasks {
        let data = kitchen.data()?;
        let server = kitchen.start(contender, data.path())?;
        reports.push(measured(kitchen, &server, &format!("{line} {times}"), STEP_MINUTES)?);
    }
    Ok(reports)
}

fn million(kitchen: &Kitchen, schedules: u64) -> Result<Million, Box<dyn Error>> {
    eprintln!("{} schedules", grouped(schedules as f64));
    let data = kitchen.data()?;
    let start = || -> Result<(Server, Duration), Box<dyn Error>> {
        let begin = Instant::now();
        let server = kitchen.start(Contender::OursOs, data.path())?;
        Ok((server, begin.elapsed()))
    };
    let (server, _) = start()?;
    let before = server.memory("RssAnon")?;
    measured(kitchen, &server, &format!("schedule --size 64 --keep --messages {schedules}"), STEP_MINUTES)?;
    server.terminate()?;
    // After a restart memory is what schedules take, without what requests have left behind.
    let (server, restart) = start()?;
    let bytes = server.memory("RssAnon")?.saturating_sub(before);
    Ok(Million { bytes_each: bytes as f64 / schedules as f64, restart })
}

fn section(turns: &[Vec<Report>], durable: &[Vec<Report>], million: &Million, quick: bool) -> String {
    let mut text = format!("{HEADING}\n\nWritten by `cargo xtask bench --services`; do not edit.");
    if quick {
        text.push_str(" **A trial run (--quick): do not quote its numbers.**");
    }
    _ = write!(
        text,
        "\n\n{} turns; a ratio is computed within each turn, and the median is shown. Bodies of 1 KiB, 64 connections. The benchmark \
         checks that each message\ncomes once to each queue that is to have it.\n\n\
         | target | needed | measured | |\n|---|---:|---:|---|\n",
        turns.len()
    );
    for line in targets(turns, durable, million) {
        text.push_str(&line);
    }
    text.push_str(
        "\n| | messages/s | least–most | p50, ms | p99, ms | server CPU, µs a request | to disk, bytes a request |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (turns, tasks, durability) in [(turns, &TASKS[..], "os"), (durable, &DURABLE[..], "fsync")] {
        for (place, (name, _)) in tasks.iter().enumerate() {
            text.push_str(&row(turns, place, &format!("{name} (`{durability}`)")));
        }
    }
    text
}

/// The lines of what is wanted.
fn targets(turns: &[Vec<Report>], durable: &[Vec<Report>], million: &Million) -> Vec<String> {
    let rate = |report: &Report| Some(report.messages_per_second);
    let cpu = |report: &Report| report.server_cpu_micros_per_request;
    let ratio = |one: usize, other: usize, number: &dyn Fn(&Report) -> Option<f64>| {
        let ratio = |turn: &Vec<Report>| Some(number(&turn[one])? / number(&turn[other])?);
        Spread::of(turns.iter().filter_map(ratio).collect())
    };
    let transitions = |place: usize| {
        Spread::of(durable.iter().map(|turn| turn[place].messages_per_second * 10.0).collect())
    };
    let mut lines = Vec::new();
    let mut line = |what: &str, needed: f64, found: Option<f64>, at_least: bool| {
        let Some(found) = found else { return };
        let shown = |number: f64| if number >= 100.0 { grouped(number) } else { format!("{number:.2}") };
        let is_met = if at_least { found >= needed } else { found <= needed };
        let (sign, verdict) = (if at_least { "≥" } else { "≤" }, if is_met { "met" } else { "**not met**" });
        lines.push(format!("| {what} | {sign} {} | {} | {verdict} |\n", shown(needed), shown(found)));
    };
    let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
    line(
        "PutEvents(10) to one queue: rate over PublishBatch(10)'s",
        0.8,
        median(ratio(PUT_EVENTS, PUBLISH_BATCH, &rate)),
        true,
    );
    line(
        "PutEvents, 10,000 rules of which one matches: server CPU over that of one rule",
        1.2,
        median(ratio(RULES, ONE_RULE, &cpu)),
        false,
    );
    line(
        "PutEvents to 100 rules with one queue each: rate over Publish's to 100 queues",
        0.5,
        median(ratio(EVENTS_100, PUBLISH_100, &rate)),
        true,
    );
    line("CreateSchedule: rate over SendMessage's", 0.5, median(ratio(SCHEDULE, SEND, &rate)), true);
    line("a schedule of a million: bytes of memory, after a restart", 400.0, Some(million.bytes_each), false);
    line(
        "a million schedules: seconds from start to first answer",
        5.0,
        Some(million.restart.as_secs_f64()),
        false,
    );
    line(
        "state transitions a second, 1,000 executions side by side, `fsync`",
        20_000.0,
        median(transitions(0)),
        true,
    );
    line(
        "state transitions a second, 64 executions side by side, `fsync`",
        10_000.0,
        median(transitions(1)),
        true,
    );
    line(
        "StartSyncExecution of three states: rate over SendMessage's",
        0.4,
        median(ratio(SYNC, SEND, &rate)),
        true,
    );
    lines
}

fn row(turns: &[Vec<Report>], place: usize, name: &str) -> String {
    let spread = |number: &dyn Fn(&Report) -> Option<f64>| {
        Spread::of(turns.iter().filter_map(|turn| number(&turn[place])).collect())
    };
    let Some(rate) = spread(&|report| Some(report.messages_per_second)) else { return String::new() };
    // What makes the message, which is not the first operation of a task that also receives.
    let latency = |report: &Report| {
        let made = |line: &&bench::OperationReport| {
            !["ReceiveMessage", "DeleteMessageBatch"].contains(&&*line.operation)
        };
        report.operations.iter().find(made).map(|line| (line.latency.p50 / 1e3, line.latency.p99 / 1e3))
    };
    let cell = |number: &dyn Fn(&Report) -> Option<f64>, decimals: usize| {
        spread(number).map(|spread| format!("{:.decimals$}", spread.median)).unwrap_or_default()
    };
    format!(
        "| {name} | {} | {}–{} | {} | {} | {} | {} |\n",
        grouped(rate.median),
        grouped(rate.least),
        grouped(rate.most),
        cell(&|report| Some(latency(report)?.0), 2),
        cell(&|report| Some(latency(report)?.1), 2),
        cell(&|report| report.server_cpu_micros_per_request, 1),
        cell(&|report| report.server_disk_bytes_per_request, 0),
    )
}
