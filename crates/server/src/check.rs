//! `posthaste check DIR`: verifies a data directory and lists its content, without changing it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::path::Path;

use journal::{Class, Effect, Entry, Report, check_showing};
use kernel::{Extent, Ledger, Place, SegmentUse, Series, Time, iso8601};
use machine::{Machine, Options, Recovery};
use sns::views::SubscriptionView;
use stdio::outln;

use crate::failures::without_password;
use crate::store::RETAINED;

/// Verifies every byte and prints the content.
///
/// Errors: durable data is damaged, or may be missing.
pub fn run(directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut configuration: Vec<(Extent, Vec<u8>)> = Vec::new();
    let mut end = Place::new(1, 0);
    let report = check_showing(directory, |entry: Entry<'_>| {
        end = Place::new(entry.extent.place.segment(), entry.extent.place.offset() + entry.extent.len);
        if entry.class == Class::Configuration {
            configuration.push((entry.extent, entry.head.to_vec()));
        }
    })?;
    if report.empty {
        let text = format!("{} holds no data: no server has written to it", directory.display());
        return Err(text.into());
    }
    print_segments(directory, &report)?;
    for damage in &report.damage {
        let what = match damage.effect {
            Effect::Refused => "DAMAGED   ",
            Effect::Unreadable => "UNREADABLE",
            Effect::Rebuilt => "INDEX     ",
        };
        outln!("{what}  {}, offset {}: {}", damage.file, damage.offset, damage.what)?;
    }
    let count = |effect| report.damage.iter().filter(|damage| damage.effect == effect).count();
    if count(Effect::Refused) == 0 && !report.beyond.doubtful {
        // In the order of a start: configuration first, then all other records.
        let segments = report.segments.iter().map(|segment| (segment.number, None));
        let appender = journal::Appender::new(0, 64 << 20, end, 1);
        let mut recovery = Recovery::begin(Options::default(), appender, segments, 0, Time(0));
        for (extent, head) in &configuration {
            recovery.read(*extent, head);
        }
        let retained = check_retained(directory, &mut recovery)?;
        check_showing(directory, |entry: Entry<'_>| {
            if entry.class == Class::Flow {
                recovery.read(entry.extent, entry.head);
            }
        })?;
        let machine = recovery.finish()?;
        print_uses(machine.ledger())?;
        print_queues(&machine)?;
        print_topics(&machine)?;
        print_buses(&machine)?;
        print_schedules(&machine)?;
        print_schemas(&machine)?;
        print_pipes(&machine)?;
        print_streams(&machine)?;
        print_executions(&machine)?;
        let set_aside = machine.sqs().set_aside();
        if set_aside > 0 {
            outln!("\nMessages set aside because they could not be read: {set_aside}")?;
        }
        if count(Effect::Unreadable) > 0 {
            outln!("\nRecords in damaged frames are not counted here.")?;
            return Err(verdict(&report).into());
        }
        if retained > 0 {
            let text = "the store for retained data is damaged. The server starts on this directory, and reads around the damage";
            return Err(text.into());
        }
        outln!("\nAll acknowledged data is present and undamaged.")?;
        if count(Effect::Rebuilt) > 0 {
            outln!("The next start rebuilds the damaged indexes.")?;
        }
        return Ok(());
    }
    Err(verdict(&report).into())
}

/// Verifies the store for retained data, if there is one, prints what it holds, and tells `recovery` what the log does not owe
/// it. Returns the number of damaged places.
fn check_retained(directory: &Path, recovery: &mut Recovery) -> Result<usize, Box<dyn Error>> {
    let directory = directory.join(RETAINED);
    if !directory.is_dir() {
        return Ok(0);
    }
    let mut last: BTreeMap<Series, Option<u64>> = BTreeMap::new();
    let mut tell = |last: &mut BTreeMap<Series, Option<u64>>| {
        let told = recovery.ask_store(|series| Ok::<_, Infallible>(*last.entry(series).or_default()));
        told.unwrap_or_else(|never| match never {})
    };
    tell(&mut last);
    let report = retained::check_showing(&directory, |series, sequence| {
        if let Some(last) = last.get_mut(&series) {
            *last = (*last).max(Some(sequence));
        }
    })?;
    tell(&mut last);
    outln!("\n{}", directory.display())?;
    outln!("{:>12} {:>14} {:>10} {:>12} {:>12}  index", "segment", "bytes", "frames", "records", "series")?;
    for segment in &report.segments {
        let name = format!("{:02}-{:08}", segment.segment >> 28, segment.segment & 0xfff_ffff);
        let index = if segment.sealed { "yes" } else { "no" };
        let (bytes, frames) = (segment.bytes, segment.frames);
        outln!(
            "{name:>12} {bytes:>14} {frames:>10} {:>12} {:>12}  {index}",
            segment.records,
            segment.series
        )?;
    }
    for damage in &report.damage {
        let what = if damage.effect == Effect::Rebuilt { "INDEX     " } else { "UNREADABLE" };
        outln!("{what}  {}, offset {}: {}", damage.file, damage.offset, damage.what)?;
    }
    for torn in &report.torn {
        outln!(
            "An unfinished write at {}, offset {} ({}): the next start cuts it off.",
            torn.file,
            torn.offset,
            torn.what
        )?;
    }
    for warning in &report.warnings {
        outln!("{warning}")?;
    }
    Ok(report.damage.iter().filter(|damage| damage.effect != Effect::Rebuilt).count())
}

/// Returns what the damage means for a server, and what to do.
fn verdict(report: &Report) -> String {
    let count = |effect| report.damage.iter().filter(|damage| damage.effect == effect).count();
    let places =
        |count: usize| if count == 1 { "one place is".to_owned() } else { format!("{count} places are") };
    let (refused, unreadable) = (count(Effect::Refused), count(Effect::Unreadable));
    if refused == 0 && !report.beyond.doubtful {
        return format!(
            "{} damaged inside segments that have an index. The server starts on this directory. It sets a damaged message aside \
             when a client receives it, and delivers all others",
            places(unreadable)
        );
    }
    let what = match refused {
        0 => "records behind an unfinished write may have been acknowledged".to_owned(),
        count => format!("{} damaged", places(count)),
    };
    format!(
        "{what}. The server does not start on this directory, so that no data is lost unnoticed. Restore it from a copy, or run \
         `posthaste repair DIR`, which sets damaged bytes aside and keeps all valid records"
    )
}

fn print_segments(directory: &Path, report: &Report) -> io::Result<()> {
    outln!("{}", directory.display())?;
    outln!(
        "{:>10} {:>14} {:>10} {:>14} {:>12}  index",
        "segment",
        "bytes",
        "frames",
        "configuration",
        "flow"
    )?;
    for segment in &report.segments {
        outln!(
            "{:>10} {:>14} {:>10} {:>14} {:>12}  {}",
            segment.number,
            segment.bytes,
            segment.frames,
            segment.configuration,
            segment.flow,
            if segment.indexed { "yes" } else { "no" }
        )?;
    }
    if let Some(torn) = &report.torn {
        let (beyond, fate) = (
            report.beyond,
            match report.beyond.doubtful {
                true => "they were written with durability `os` and may have been acknowledged",
                false => "never acknowledged; the next start cuts them off",
            },
        );
        outln!(
            "An unfinished write at {}, offset {} ({}), followed by {} whole frames with {} records, {} bytes: {fate}.",
            torn.file,
            torn.offset,
            torn.what,
            beyond.frames,
            beyond.records,
            beyond.bytes
        )?;
    }
    Ok(())
}

/// What still needs each segment, and so keeps it from being deleted.
fn print_uses(ledger: &Ledger) -> io::Result<()> {
    outln!("\n{:>10} {:>14}  kept by", "segment", "live bytes")?;
    for (number, used) in ledger.segments() {
        outln!("{number:>10} {:>14}  {}", used.live_bytes, reasons(used))?;
    }
    Ok(())
}

fn reasons(used: &SegmentUse) -> String {
    let until = |time: Time| iso8601::write(time.millis() as i64);
    let numbers = |numbers: &mut dyn Iterator<Item = &u32>| {
        let numbers: Vec<String> = numbers.map(u32::to_string).collect();
        numbers.join(", ")
    };
    let mut reasons = Vec::new();
    if used.references > 0 {
        reasons.push(format!("{} messages or facts that are needed", used.references));
    }
    if !used.buries.is_empty() {
        reasons.push(format!("what was deleted of segments {}", numbers(&mut used.buries.keys())));
    }
    if !used.replaces.is_empty() {
        reasons.push(format!("what was written again of segments {}", numbers(&mut used.replaces.iter())));
    }
    if used.remembers > 0 {
        reasons.push(format!("{} deduplication ids until {}", used.remembers, until(used.keep_until)));
    }
    if used.set_aside_until > Time(0) {
        reasons.push(format!("messages set aside, until {}", until(used.set_aside_until)));
    }
    if reasons.is_empty() { "nothing".to_owned() } else { reasons.join("; ") }
}

fn print_queues(machine: &Machine) -> io::Result<()> {
    let mut none = true;
    for queue in machine.sqs().queues() {
        if std::mem::take(&mut none) {
            outln!("\n{:>12} {:>12} {:>12}  queue", "visible", "in flight", "delayed")?;
        }
        outln!("{:>12} {:>12} {:>12}  {}", queue.visible, queue.in_flight, queue.delayed, queue.key.arn())?;
    }
    if none {
        outln!("\nNo queues.")?;
    }
    Ok(())
}

/// Prints how many state machines and executions there are.
fn print_executions(machine: &Machine) -> io::Result<()> {
    let states = machine.stepfunctions();
    let machines = states.machines().count();
    if machines > 0 {
        let (all, open) = states
            .executions()
            .fold((0, 0), |(all, open), (_, execution)| (all + 1, open + usize::from(execution.is_open())));
        outln!("\n{machines} state machines, {all} executions, {open} of them running.")?;
    }
    Ok(())
}

fn print_schedules(machine: &Machine) -> io::Result<()> {
    let scheduler = machine.scheduler();
    let (schedules, groups) = (scheduler.len(), scheduler.groups().count());
    if groups > 0 {
        outln!("\n{schedules} schedules in {groups} groups.")?;
    }
    let again = scheduler.invocations().count();
    if again > 0 {
        outln!("{again} invocations are tried again.")?;
    }
    Ok(())
}

fn print_pipes(machine: &Machine) -> io::Result<()> {
    let (all, pipes) = (machine.pipes().pipes().count(), machine.pipes().pipes());
    if all > 0 {
        let running = pipes.filter(|pipe| pipe.state.name() == "RUNNING").count();
        outln!("\n{all} pipes, of which {running} run.")?;
    }
    Ok(())
}

fn print_streams(machine: &Machine) -> io::Result<()> {
    let kinesis = machine.kinesis();
    let mut none = true;
    for stream in kinesis.streams() {
        if std::mem::take(&mut none) {
            outln!("\n{:>12} {:>12} {:>12}  stream", "open shards", "shards", "to keep")?;
        }
        let (open, all) = (kinesis.open_shards(stream.id), kinesis.shards_of(stream.id, 0).count());
        outln!("{open:>12} {all:>12} {:>12}  {}", kinesis.owed_by(stream), stream.key.arn())?;
    }
    Ok(())
}

fn print_schemas(machine: &Machine) -> io::Result<()> {
    let schemas = machine.schemas();
    let (count, discoverers) = (schemas.schemas().count(), schemas.discoverers().count());
    if count + discoverers > 0 {
        outln!(
            "\n{count} schemas, whose contents take {} bytes, and {discoverers} discoverers.",
            schemas.bytes()
        )?;
    }
    Ok(())
}

fn print_topics(machine: &Machine) -> io::Result<()> {
    let mut none = true;
    for view in machine.sns().topics() {
        if std::mem::take(&mut none) {
            outln!("\n{:>12} {:>12}  topic, with its subscriptions", "to deliver", "to archive")?;
        }
        let pending: usize = view.subscriptions.iter().map(|subscription| subscription.pending).sum();
        outln!("{:>12} {:>12}  {}", pending, view.owed, view.topic.arn)?;
        for SubscriptionView { subscription, pending } in view.subscriptions {
            let declared = &subscription.declared;
            let endpoint = without_password(&declared.endpoint);
            let confirmed = if subscription.is_confirmed() { "" } else { " (not confirmed)" };
            outln!("{pending:>12} {:>12}    {} {endpoint}{confirmed}", "", declared.protocol)?;
        }
    }
    if none {
        outln!("\nNo topics.")?;
    }
    let direct = machine.sns().deliveries_pending_directly();
    if direct > 0 {
        outln!("{direct:>12} {:>12}  to telephones and devices without a subscription", "")?;
    }
    Ok(())
}

fn print_buses(machine: &Machine) -> io::Result<()> {
    let mut none = true;
    for bus in machine.eventbridge().bus_views() {
        if std::mem::take(&mut none) {
            outln!("\n{:>12} {:>12} {:>12}  event bus", "rules", "targets", "to deliver")?;
        }
        outln!("{:>12} {:>12} {:>12}  {}", bus.rules, bus.targets, bus.deliveries_pending, bus.arn)?;
    }
    let mut none = true;
    for archive in machine.eventbridge().archive_views() {
        if std::mem::take(&mut none) {
            outln!("\n{:>12} {:>12}  archive of an event bus", "events", "to archive")?;
        }
        outln!("{:>12} {:>12}  {}", archive.events, archive.owed, archive.arn)?;
    }
    Ok(())
}
