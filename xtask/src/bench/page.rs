//! BENCHMARKS.md: the machine, the commands, the tables, and how each target was met.

use std::fmt::Write;
use std::process::Command;

use bench::{Report, grouped};

use super::Findings;
use super::contenders::Contender;
use super::tasks::{Case, Outcome, Spread};
use super::topics::{Topics, Turn, over};
use crate::workspace::{root, run};

const MIB: f64 = 1024.0 * 1024.0;

/// One line of "What it must reach".
struct Target {
    what: String,
    needed: f64,
    found: f64,
    /// More is better.
    at_least: bool,
    unit: &'static str,
}

/// The whole page.
pub fn write(findings: &Findings, words: &[&str]) -> String {
    let mut page = String::from("# Benchmarks\n\n");
    if words.contains(&"--quick") {
        page.push_str("**A trial run (--quick): one round of a second each, hardly warmed up. Do not quote its numbers.**\n\n");
    }
    head(&mut page, findings, words);
    page.push_str("\n## Targets\n\n");
    let targets = targets(findings);
    if targets.is_empty() {
        page.push_str("This run measured none.\n");
    } else {
        page.push_str("| target | needed | measured | |\n|---|---:|---:|---|\n");
        for target in targets {
            target.line(&mut page);
        }
    }
    if findings.comparison.rounds() > 0 {
        comparison(&mut page, findings);
    }
    if let Some(found) = &findings.topics {
        topics(&mut page, found);
    }
    if let Some(found) = &findings.footprint {
        let start = &found.start_millis;
        _ = write!(
            page,
            "\n## At rest\n\n\
             `--durability fsync`, empty directory.\n\n\
             | | |\n|---|---:|\n\
             | start to first answer, median of {} ({:.1}–{:.1}) | {:.1} ms |\n\
             | resident memory, idle | {:.1} MiB |\n\
             | of this, anonymous | {:.1} MiB |\n\
             | program file | {:.1} MiB |\n\
             | CPU in {} idle seconds | {:.2} ms |\n",
            found.starts,
            start.least,
            start.most,
            start.median,
            found.resident as f64 / MIB,
            found.resident_own as f64 / MIB,
            found.binary as f64 / MIB,
            found.idle_seconds,
            found.idle_cpu_millis,
        );
    }
    if let Some(found) = &findings.backlog {
        let pair =
            |(all, own): (u64, u64)| format!("{:.0} MiB ({:.0} MiB)", all as f64 / MIB, own as f64 / MIB);
        let micros =
            |spread: &Spread| format!("{:.0} µs ({:.0}–{:.0})", spread.median, spread.least, spread.most);
        _ = write!(
            page,
            "\n## Backlog\n\n\
             {} waiting messages of 256 bytes, `--durability os`. The latency is that of ReceiveMessage while 8\n\
             connections each send a message, receive one and delete it, alternately on this queue and on an empty queue of another\n\
             server. At a restart the files are in the page cache.\n\n\
             | | |\n|---|---:|\n\
             | filled at | {} messages/s |\n\
             | resident memory (anonymous) | {} |\n\
             | receive p50, empty queue | {} |\n\
             | receive p50, full queue | {} |\n\
             | receive p99, empty queue | {} |\n\
             | receive p99, full queue | {} |\n\
             | restart to first answer after SIGTERM | {:.2} s |\n\
             | restart to first answer after SIGKILL | {:.2} s |\n\
             | resident memory after the restart (anonymous) | {} |\n\
             | FIFO: {} messages in {} groups, filled at | {} messages/s |\n\
             | FIFO: resident memory (anonymous) | {} |\n\
             | FIFO: restart to first answer after SIGKILL | {:.2} s |\n",
            grouped(found.messages as f64),
            grouped(found.fill_rate),
            pair(found.resident),
            micros(&found.receive_p50.0),
            micros(&found.receive_p50.1),
            micros(&found.receive_p99.0),
            micros(&found.receive_p99.1),
            found.restart_seconds.0,
            found.restart_seconds.1,
            pair(found.resident_restarted),
            grouped(found.fifo_messages as f64),
            grouped(found.fifo_groups as f64),
            grouped(found.fifo_fill_rate),
            pair(found.fifo_resident),
            found.fifo_restart_seconds,
        );
    }
    page
}

fn head(page: &mut String, findings: &Findings, words: &[&str]) {
    let said = |program: &str, arguments: &[&str]| {
        // What cannot be asked here is left empty.
        let said = run(Command::new(program).args(arguments).current_dir(root()));
        said.unwrap_or_default().trim().to_owned()
    };
    let line_of = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let gib = line_of("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0) / MIB;
    let command = ["cargo xtask bench", &words.join(" ")].join(" ");
    _ = write!(
        page,
        "Written by `{}`; do not edit.\n\n\
         - {}, commit {}\n\
         - {} × {}, {gib:.0} GiB, Linux {}, {}\n\
         - client and server share these cores; bodies of 1 KiB, 64 connections and one client thread, unless a line says otherwise\n",
        command.trim_end(),
        said("date", &["-u", "+%F"]),
        said("git", &["rev-parse", "--short", "HEAD"]),
        std::thread::available_parallelism().map_or(0, usize::from),
        line_of("/proc/cpuinfo", "model name"),
        said("uname", &["-r"]),
        said("rustc", &["--version"]),
    );
    if findings.contenders.iter().any(|contender| contender.is_ours()) {
        _ = writeln!(page, "- ours is {}", findings.built);
    }
    for contender in &findings.contenders {
        _ = writeln!(page, "- **{}**: {}", contender.name(), contender.description());
    }
    for (contender, reason) in &findings.absent {
        _ = writeln!(page, "- **{}** could not be installed: {reason}", contender.name());
    }
    page.push_str(
        "\nEach round restarts every server. Within a round, each task runs on one server after the other, within seconds. The\n\
         other servers are idle meanwhile, and all earlier writes are on disk. A number is the median of the rounds, with the\n\
         minimum and the maximum; a ratio is computed within each round. The bare server parses no JSON, validates nothing,\n\
         computes no digest and stores nothing: it shows the limit that HTTP sets on this machine. The benchmark checks the\n\
         answers of all other servers: it finds or receives each acknowledged message once, with its own bytes, and FIFO groups\n\
         in order.\n",
    );
}

impl Target {
    fn line(&self, page: &mut String) {
        let met = if self.at_least { self.found >= self.needed } else { self.found <= self.needed };
        let sign = if self.at_least { "≥" } else { "≤" };
        let by = match (met, self.needed == 0.0) {
            (true, true) => "met".into(),
            (false, true) => "**not met**".into(),
            (met, false) => {
                let part = (self.found / self.needed - 1.0) * 100.0;
                let side = if part >= 0.0 { "above" } else { "below" };
                format!("{}, {:.0} % {side}", if met { "met" } else { "**not met**" }, part.abs())
            }
        };
        let number = |value: f64| {
            let text =
                if value >= 100.0 || value == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") };
            format!("{text}{}", self.unit)
        };
        _ = writeln!(
            page,
            "| {} | {sign} {} | {} | {by} |",
            self.what,
            number(self.needed),
            number(self.found)
        );
    }
}

/// Every target that this run has numbers for.
fn targets(findings: &Findings) -> Vec<Target> {
    use Contender::{Bare, OursFsync, OursOs};
    let comparison = &findings.comparison;
    let mut targets = Vec::new();
    let mut target = |what: String, at_least: bool, needed: f64, found: f64, unit: &'static str| {
        targets.push(Target { what, needed, found, at_least, unit });
    };
    for (case, needed) in [(Case::Send, 0.6), (Case::SendBatch, 0.5), (Case::Drain, 0.5)] {
        if let Some(ratio) = comparison.ratio(case, OursOs, Bare) {
            target(format!("{}: ours-os over bare", case.title()), true, needed, ratio.median, "");
        }
    }
    for ours in [OursFsync, OursOs] {
        for (case, needed) in
            [(Case::Send, 1.0), (Case::SendBatch, 1.0), (Case::Drain, 5.0), (Case::EndToEnd, 5.0)]
        {
            let Some(peer) = comparison.fastest_peer(case) else { continue };
            if let Some(ratio) = comparison.ratio(case, ours, peer) {
                let what =
                    format!("{}: {} over the fastest peer ({})", case.title(), ours.name(), peer.name());
                target(what, true, needed, ratio.median, "");
            }
        }
    }
    if let Some(ratio) = comparison.ratio(Case::Send256, OursFsync, OursOs) {
        target(format!("{}: fsync over os", Case::Send256.title()), true, 0.7, ratio.median, "");
    }
    if let Some(found) = &findings.topics {
        for (what, at_least, needed, ratio) in topic_ratios(found) {
            target(what.into(), at_least, needed, ratio.median, "");
        }
        // Those limits were set for ten thousand.
        let pending = |number: fn(&bench::Pending) -> Option<f64>| {
            found.spread(|turn| {
                turn.beside.pending.as_ref().filter(|pending| pending.messages >= 10_000).and_then(number)
            })
        };
        let what = |text: &str| format!("10,000 deliveries pending for a dead HTTP endpoint: {text}");
        if let Some(bytes) = pending(|pending| Some(pending.own_bytes_added? as f64)) {
            target(what("memory added"), false, 20.0, bytes.median / MIB, " MiB");
        }
        if let Some(cpu) = pending(|pending| pending.idle_cpu_millis) {
            target(what("CPU between two retries"), false, 0.0, cpu.median, " ms");
        }
        if pending(|_| Some(1.0)).is_some()
            && let Some(ratio) = found.spread(|turn| over(&turn.beside, &turn.alone, Turn::arrival_p99))
        {
            target(
                what("p99 of a healthy endpoint, over its p99 without them"),
                false,
                1.2,
                ratio.median,
                "",
            );
        }
    }
    // The limits were set for ten million messages and a million groups.
    if let Some(found) = findings.backlog.as_ref().filter(|found| found.messages == 10_000_000) {
        let what = |text: &str| format!("{} waiting messages: {text}", grouped(found.messages as f64));
        target(what("resident memory"), false, 256.0, found.resident.0 as f64 / MIB, " MiB");
        target(
            what("receive p99 over the p99 of an empty queue"),
            false,
            1.5,
            found.receive_ratio.median,
            "",
        );
        let slower = found.restart_seconds.0.max(found.restart_seconds.1);
        target(what("restart"), false, 5.0, slower, " s");
        let groups =
            format!("{} FIFO groups of ten messages: resident memory", grouped(found.fifo_groups as f64));
        target(groups, false, 600.0, found.fifo_resident.0 as f64 / MIB, " MiB");
    }
    if let Some(found) = &findings.footprint {
        target(
            "start to first answer on an empty directory".into(),
            false,
            20.0,
            found.start_millis.median,
            " ms",
        );
        target("idle resident memory".into(), false, 12.0, found.resident as f64 / MIB, " MiB");
        target("program file".into(), false, 15.0, found.binary as f64 / MIB, " MiB");
        target(
            format!("CPU in {} idle seconds", found.idle_seconds),
            false,
            0.0,
            found.idle_cpu_millis,
            " ms",
        );
    }
    targets
}

/// What is wanted of topics, as ratios within each turn.
fn topic_ratios(found: &Topics) -> Vec<(&'static str, bool, f64, Spread)> {
    let rate = |report: &Report| Some(report.messages_per_second);
    let disk = |report: &Report| report.server_disk_bytes_per_request;
    let cpu = |report: &Report| report.server_cpu_micros_per_request;
    [
        (
            "Publish to ten queues: rate over SendMessage's",
            true,
            0.5,
            found.spread(|turn| over(&turn.ten, &turn.send, rate)),
        ),
        (
            "Publish to ten queues: bytes to disk over SendMessage's",
            false,
            1.2,
            found.spread(|turn| over(&turn.ten, &turn.send, disk)),
        ),
        (
            "Publish past 1,000 filters, one of which matches: server CPU over that of 1 subscription",
            false,
            1.3,
            found.spread(|turn| over(&turn.filtered, &turn.one, cpu)),
        ),
        (
            "Publish past 1,000 filters, one of which matches: rate of 1 subscription over this rate",
            false,
            1.3,
            found.spread(|turn| over(&turn.one, &turn.filtered, rate)),
        ),
    ]
    .into_iter()
    .filter_map(|(what, at_least, needed, ratio)| Some((what, at_least, needed, ratio?)))
    .collect()
}

/// One of the measurements of a turn.
type OfTurn = fn(&Turn) -> &Report;

fn topics(page: &mut String, found: &Topics) {
    _ = write!(
        page,
        "\n## Topics\n\n\
         `--durability os`, {} turns, each with all four tasks; a ratio is computed within each turn. Bodies of 1 KiB, raw delivery. A\n\
         Publish counts once, however many queues it reaches; afterwards the benchmark checks all queues. Bytes to disk are\n\
         those that the server passed to the system, in whole pages.\n\n",
        found.turns.len()
    );
    for failure in &found.failures {
        _ = writeln!(page, "A turn was left out: {failure}\n");
    }
    if found.turns.is_empty() {
        return;
    }
    page.push_str("| | requests/s | least–most | p50, ms | p99, ms | server CPU, µs a request | to disk, bytes a request |\n|---|---:|---:|---:|---:|---:|---:|\n");
    let lines: [(&str, OfTurn); 4] = [
        ("SendMessage", |turn| &turn.send),
        ("Publish to ten queues", |turn| &turn.ten),
        ("Publish to one queue, with an attribute", |turn| &turn.one),
        ("Publish to one of 1,000 queues that filter by it", |turn| &turn.filtered),
    ];
    let cell = |spread: Option<Spread>, decimals: usize| {
        spread.map(|spread| format!("{:.decimals$}", spread.median)).unwrap_or_default()
    };
    for (name, of) in lines {
        let Some(rate) = found.spread(|turn| Some(of(turn).requests_per_second)) else { continue };
        let latency = |which: fn(&bench::Latency) -> f64| {
            found.spread(|turn| of(turn).operations.first().map(|line| which(&line.latency) / 1e3))
        };
        _ = writeln!(
            page,
            "| {name} | {} | {}–{} | {} | {} | {} | {} |",
            grouped(rate.median),
            grouped(rate.least),
            grouped(rate.most),
            cell(latency(|latency| latency.p50), 2),
            cell(latency(|latency| latency.p99), 2),
            cell(found.spread(|turn| of(turn).server_cpu_micros_per_request), 1),
            cell(found.spread(|turn| of(turn).server_disk_bytes_per_request), 0),
        );
    }
    page.push_str("\n| ratio | median | least–most |\n|---|---:|---:|\n");
    for (what, _, _, ratio) in topic_ratios(found) {
        _ = writeln!(page, "| {what} | {:.2} | {:.2}–{:.2} |", ratio.median, ratio.least, ratio.most);
    }
    let waiting = found.turns.iter().filter_map(|turn| turn.beside.pending.as_ref());
    let waiting = waiting.map(|pending| pending.messages).max().unwrap_or(0);
    _ = write!(
        page,
        "\nDeliveries by HTTP, 1,000 publishes a second, to an endpoint that answers at once: alone, and with {} pending\n\
         deliveries for an endpoint that stopped after its confirmation. All of these arrived when it was back.\n\n\
         | | median | least–most |\n|---|---:|---:|\n",
        grouped(waiting as f64)
    );
    let mut row = |what: &str, spread: Option<Spread>, unit: &str| {
        if let Some(spread) = spread {
            let (median, least, most) = (spread.median, spread.least, spread.most);
            _ = writeln!(page, "| {what} | {median:.2}{unit} | {least:.2}–{most:.2} |");
        }
    };
    let p99 = |report: &Report| Some(Turn::arrival_p99(report)? / 1e3);
    let p50 = |report: &Report| Some(report.end_to_end.as_ref()?.p50 / 1e3);
    row("publish to arrival p50, alone", found.spread(|turn| p50(&turn.alone)), " ms");
    row("publish to arrival p50, with pending deliveries", found.spread(|turn| p50(&turn.beside)), " ms");
    row("publish to arrival p99, alone", found.spread(|turn| p99(&turn.alone)), " ms");
    row("publish to arrival p99, with pending deliveries", found.spread(|turn| p99(&turn.beside)), " ms");
    row(
        "p99, with pending deliveries over alone",
        found.spread(|turn| over(&turn.beside, &turn.alone, p99)),
        "",
    );
    let pending = |number: fn(&bench::Pending) -> Option<f64>| {
        found.spread(|turn| turn.beside.pending.as_ref().and_then(number))
    };
    row("added memory (anonymous)", pending(|pending| Some(pending.own_bytes_added? as f64 / MIB)), " MiB");
    row("measured seconds between two retries", pending(|pending| Some(pending.idle_seconds)), "");
    row("server's CPU in these seconds", pending(|pending| pending.idle_cpu_millis), " ms");
}

fn comparison(page: &mut String, findings: &Findings) {
    let comparison = &findings.comparison;
    _ = write!(page, "\n## Comparison\n\nRounds: {}.\n", comparison.rounds());
    for case in Case::ALL {
        let present: Vec<Contender> = findings
            .contenders
            .iter()
            .copied()
            .filter(|&one| !comparison.outcomes(one, case).is_empty())
            .collect();
        if present.is_empty() {
            continue;
        }
        let timed = latency_of(case);
        _ = write!(
            page,
            "\n### {}\n\n\
             | | messages/s | least–most | over bare | over fastest peer | {timed} p50, ms | p99, ms | p99.9, ms | server CPU, µs a request | client CPU |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            case.title()
        );
        let peer = comparison.fastest_peer(case);
        for one in present {
            line(page, findings, case, one, peer);
        }
    }
}

fn line(page: &mut String, findings: &Findings, case: Case, one: Contender, peer: Option<Contender>) {
    let comparison = &findings.comparison;
    let Some(rate) = comparison.spread(one, case, |report| report.messages_per_second) else {
        _ = writeln!(
            page,
            "| {} | – | {} | | | | | | | |",
            one.name(),
            reason(&comparison.outcomes(one, case))
        );
        return;
    };
    let over = |other: Option<Contender>| {
        let ratio = other.and_then(|other| comparison.ratio(case, one, other));
        ratio.map(|ratio| format!("{:.2}", ratio.median)).unwrap_or_default()
    };
    let latency = |which: fn(&bench::Latency) -> f64| {
        let spread = comparison.spread(one, case, |report| timed(case, report).map_or(0.0, which));
        spread.map(|spread| format!("{:.2}", spread.median / 1e3)).unwrap_or_default()
    };
    let cpu = |which: fn(&Report) -> f64| {
        let spread = comparison.spread(one, case, which);
        spread.map(|spread| format!("{:.1}", spread.median)).unwrap_or_default()
    };
    // Rounds in which a check failed are left out of the numbers, and said.
    let outcomes = comparison.outcomes(one, case);
    let failed = outcomes.iter().filter(|outcome| !is_trusted(outcome)).count();
    let note =
        if failed > 0 { format!(" ({failed} rounds failed: {})", reason(&outcomes)) } else { String::new() };
    _ = writeln!(
        page,
        "| {}{note} | {} | {}–{} | {} | {} | {} | {} | {} | {} | {} |",
        one.name(),
        grouped(rate.median),
        grouped(rate.least),
        grouped(rate.most),
        over(Some(Contender::Bare)),
        over(peer),
        latency(|latency| latency.p50),
        latency(|latency| latency.p99),
        latency(|latency| latency.p999),
        cpu(|report| report.server_cpu_micros_per_request.unwrap_or(0.0)),
        cpu(|report| report.client_cpu_micros_per_request),
    );
}

fn is_trusted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Measured(report) if report.failures.is_empty())
}

/// Why there is no number.
fn reason(outcomes: &[&Outcome]) -> String {
    let failed = outcomes.iter().find(|outcome| !is_trusted(outcome));
    match failed {
        Some(Outcome::Broken(reason)) => reason.chars().take(120).collect(),
        Some(Outcome::Measured(report)) => {
            let errors = report.errors.iter().map(|(kind, count)| format!("{kind} ({count})"));
            errors.chain(report.failures.iter().cloned()).take(2).collect::<Vec<_>>().join("; ")
        }
        None => String::new(),
    }
}

/// What the latencies of a case are of.
fn latency_of(case: Case) -> &'static str {
    match case {
        Case::Send | Case::SendFifo | Case::Send256 => "SendMessage",
        Case::SendBatch => "SendMessageBatch",
        Case::Publish => "Publish",
        Case::PublishBatch => "PublishBatch",
        Case::Drain | Case::DrainFifo | Case::FanOut => "ReceiveMessage",
        Case::EndToEnd | Case::Modest => "send to arrival",
    }
}

fn timed(case: Case, report: &Report) -> Option<&bench::Latency> {
    let name = latency_of(case);
    let of = || report.operations.iter().find(|line| line.operation == name).map(|line| &line.latency);
    if name == "send to arrival" { report.end_to_end.as_ref() } else { of() }
}
