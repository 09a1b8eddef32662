//! What millions of waiting messages cost ours: memory, the latency of a receive, a restart.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bench::Report;

use super::contenders::{Contender, Kitchen};
use super::process::{Server, ask};
use super::tasks::{Spread, measured};

/// Connections of the receivers whose latency is measured; few, so that it is the server's and not that of waiting in line.
const RECEIVERS: usize = 8;
/// Times that the empty and the full queue are measured in turn.
const TURNS: usize = 5;

/// What was found.
pub struct Backlog {
    /// Messages in the standard queue.
    pub messages: u64,
    /// Messages a second while it was filled.
    pub fill_rate: f64,
    /// Bytes resident when it was full: all, and the process's own.
    pub resident: (u64, u64),
    /// Microseconds of a ReceiveMessage at p99, of a queue with next to nothing and of the full one.
    pub receive_p99: (Spread, Spread),
    /// The second over the first, in each turn.
    pub receive_ratio: Spread,
    /// Microseconds of a ReceiveMessage at p50.
    pub receive_p50: (Spread, Spread),
    /// Seconds from start to first answer with all messages there: after SIGTERM, after SIGKILL.
    pub restart_seconds: (f64, f64),
    /// Bytes resident after the restart: all, and the process's own.
    pub resident_restarted: (u64, u64),
    /// Messages that a queue of so many FIFO groups held.
    pub fifo_messages: u64,
    /// How many groups.
    pub fifo_groups: u64,
    /// Bytes resident when it was full: all, and the process's own.
    pub fifo_resident: (u64, u64),
    /// Messages a second while it was filled.
    pub fifo_fill_rate: f64,
    /// Seconds from start to first answer after SIGKILL.
    pub fifo_restart_seconds: f64,
}

/// Fills, measures, restarts.
pub fn measure(kitchen: &Kitchen, messages: u64) -> Result<Backlog, Box<dyn Error>> {
    let (data, empty_data) = (kitchen.data()?, kitchen.data()?);
    let server = kitchen.start(Contender::OursOs, data.path())?;
    eprintln!("filling {messages} messages");
    let filled = fill(kitchen, &server, messages, "")?;
    let url = filled.kept_queue_urls[0].clone();
    let resident = settled(&server)?;
    let empty = kitchen.start(Contender::OursOs, empty_data.path())?;
    let (mut on_empty, mut on_full) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        on_empty.push(receive_latency(kitchen, &empty, None)?);
        on_full.push(receive_latency(kitchen, &server, Some(&url))?);
    }
    drop(empty);
    let of = |all: &[(f64, f64)], which: fn(&(f64, f64)) -> f64| {
        Spread::of(all.iter().map(which).collect()).ok_or("no turn was measured")
    };
    let ratios = on_full.iter().zip(&on_empty).map(|(full, empty)| full.1 / empty.1).collect();
    let held = count(server.address, &url)?;
    eprintln!("restarting");
    server.terminate()?;
    let server = kitchen.start(Contender::OursOs, data.path())?;
    let after_term = server.first_answer.as_secs_f64();
    same_count(&server, &url, &held)?;
    drop(server);
    let server = kitchen.start(Contender::OursOs, data.path())?;
    let after_kill = server.first_answer.as_secs_f64();
    same_count(&server, &url, &held)?;
    let resident_restarted = settled(&server)?;
    drop(server);
    drop(data);

    let fifo_groups = messages / 10;
    eprintln!("filling {fifo_groups} FIFO groups of ten messages");
    let data = kitchen.data()?;
    let server = kitchen.start(Contender::OursOs, data.path())?;
    let fifo = fill(kitchen, &server, messages, &format!("--fifo --groups {fifo_groups}"))?;
    let fifo_url = fifo.kept_queue_urls[0].clone();
    let fifo_resident = settled(&server)?;
    let held = count(server.address, &fifo_url)?;
    drop(server);
    let server = kitchen.start(Contender::OursOs, data.path())?;
    same_count(&server, &fifo_url, &held)?;
    Ok(Backlog {
        messages,
        fill_rate: filled.messages_per_second,
        resident,
        receive_p99: (of(&on_empty, |one| one.1)?, of(&on_full, |one| one.1)?),
        receive_ratio: Spread::of(ratios).ok_or("no turn was measured")?,
        receive_p50: (of(&on_empty, |one| one.0)?, of(&on_full, |one| one.0)?),
        restart_seconds: (after_term, after_kill),
        resident_restarted,
        fifo_messages: fifo.acknowledged,
        fifo_groups,
        fifo_resident,
        fifo_fill_rate: fifo.messages_per_second,
        fifo_restart_seconds: server.first_answer.as_secs_f64(),
    })
}

/// Messages of 256 bytes; `more` are arguments of the client.
fn fill(kitchen: &Kitchen, server: &Server, messages: u64, more: &str) -> Result<Report, Box<dyn Error>> {
    measured(kitchen, server, &format!("send-batch --size 256 --messages {messages} --keep {more}"), 30)
}

/// Microseconds of a ReceiveMessage, p50 and p99, while messages come and go at the same rate.
fn receive_latency(
    kitchen: &Kitchen,
    server: &Server,
    queue: Option<&str>,
) -> Result<(f64, f64), Box<dyn Error>> {
    let queue = queue.map(|url| format!("--queue {url}")).unwrap_or_default();
    let line = format!("cycle --size 256 --connections {RECEIVERS} --duration 4 {queue}");
    let report = measured(kitchen, server, &line, 3)?;
    let receive = report.operations.iter().find(|line| line.operation == "ReceiveMessage");
    Ok(receive.map(|line| (line.latency.p50, line.latency.p99)).ok_or("no receive was measured")?)
}

/// Resident memory once the work behind the answers is done.
fn settled(server: &Server) -> Result<(u64, u64), Box<dyn Error>> {
    std::thread::sleep(Duration::from_secs(5));
    Ok((server.memory("VmRSS")?, server.memory("RssAnon")?))
}

fn count(address: SocketAddr, url: &str) -> Result<String, Box<dyn Error>> {
    let body = format!("{{\"QueueUrl\":\"{url}\",\"AttributeNames\":[\"ApproximateNumberOfMessages\"]}}");
    let (status, answer) =
        ask(address, "AmazonSQS.GetQueueAttributes", &body).ok_or("the server does not answer")?;
    if status == 200 { Ok(answer) } else { Err(format!("GetQueueAttributes: {status} {answer}").into()) }
}

fn same_count(server: &Server, url: &str, held: &str) -> Result<(), Box<dyn Error>> {
    let now = count(server.address, url)?;
    if now == held { Ok(()) } else { Err(format!("before the restart {held}, after it {now}").into()) }
}
