//! Drives the system at its targets, kills parts of it, audits it, and prints a table of target and achieved.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::audit::{Books, audit, number, told};
use crate::fleet::{Fleet, Victim};
use crate::generate::{Counter, Generator, Mix};
use crate::model::now_ms;
use crate::services::{Error, Service};
use crate::store::Store;
use crate::waiting::{LONGEST_STEP, Unrest, wait};

/// What is driven.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many times the targets' rates.
    pub times: f64,
    /// How long at that rate.
    pub seconds: u64,
    /// How long to wait for what is under way.
    pub patience: Duration,
    /// How many products there are.
    pub products: u32,
    /// Whether to kill each part afterwards.
    pub kills: bool,
}

/// A second, at 1 time: what the targets ask for.
const ORDERS: f64 = 100.0;
const PAYMENTS: f64 = 50.0;
const UPDATES: f64 = 200.0;
const NOTIFICATIONS: f64 = 500.0;
/// A little above the target, so that "at least" can be met by what is counted in a window.
const MARGIN: f64 = 1.04;
/// The first seconds, in which connections and caches fill, are not counted.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long after its kill a part is started again.
const DOWN: Duration = Duration::from_millis(500);

/// A line of the table.
struct Line {
    what: &'static str,
    target: String,
    achieved: String,
    met: bool,
}

/// Runs it and prints the table; gives whether all was met.
///
/// # Errors
/// When something cannot be reached.
pub async fn run(load: Load, fleet: &mut Fleet) -> Result<bool, Error> {
    let books = Books::open(&fleet.stores).await?;
    let counter = Counter::new(&fleet.clients, &fleet.places);
    let run = format!("o{:x}", now_ms());
    let generator = Generator::new(Mix::load(load.products), run, fastrand::u64(..));

    let began = now_ms();
    let shop = Shop::open(counter.clone(), generator, ORDERS * load.times * MARGIN);
    sleep(WARM_UP).await;
    let from = now_ms();
    watch(&books, load, from).await?;
    let until = now_ms();
    let (mut accepted, mut offered, generator) = shop.close().await?;
    println!("Waiting for the orders that are under way …");
    let mut left = fleet.settle(&books, began, load.patience).await?;

    let mut lines = Vec::new();
    lines.extend(rates(&books, load, from, until).await?);
    lines.extend(latencies(&books, from, until).await?);

    let mut recoveries = Vec::new();
    if load.kills {
        println!("Killing each part, at the single rate …");
        let shop = Shop::open(counter, generator, ORDERS);
        let server = fleet.owns_server().then_some(Victim::Server);
        let five = Service::ALL.into_iter().filter(|service| *service != Service::DeadLetters);
        for victim in five.map(Victim::Service).chain(server) {
            sleep(Duration::from_secs(2)).await;
            let (took, unrest) = recovery(fleet, &books, victim, load.patience).await?;
            if unrest.is_rest() {
                println!("  {victim}: back, with all that it had at hand, after {:.1} s", took.as_secs_f64());
            } else {
                println!("  {victim}: back, but what it had at hand is not at its end");
            }
            recoveries.push((took, unrest.is_rest()));
        }
        let (more, tried, _) = shop.close().await?;
        accepted.extend(more);
        offered += tried;
        left = fleet.settle(&books, began, load.patience).await?;
    }

    let (told, ended) = told(&books, began, now_ms()).await?;
    let delivered = share(told, accepted.len().max(ended));
    let available = share(accepted.len(), offered);
    lines.push(Line {
        what: "message delivery: ends that were told",
        target: "≥ 99.9 %".into(),
        achieved: format!("{delivered:.3} %"),
        met: delivered >= 99.9,
    });
    lines.push(Line {
        what: "availability: submissions accepted",
        target: "≥ 99.9 %".into(),
        achieved: format!("{available:.3} %"),
        met: available >= 99.9,
    });
    if !recoveries.is_empty() {
        let sum: Duration = recoveries.iter().map(|(took, _)| took).sum();
        let mean = sum.as_secs_f64() / recoveries.len() as f64;
        let worst = recoveries.iter().map(|(took, _)| took.as_secs_f64()).fold(0.0, f64::max);
        let all_back = recoveries.iter().all(|(_, back)| *back);
        lines.push(Line {
            what: "error recovery after kill -9 (MTTR)",
            target: "< 120 s".into(),
            achieved: match all_back {
                true => format!("{mean:.1} s, worst {worst:.1} s"),
                false => format!("not all within {worst:.0} s"),
            },
            met: all_back && worst < 120.0,
        });
    }
    let findings = audit(&books, Some(&accepted)).await?;
    let asked: usize = findings.rules.iter().map(|rule| rule.asked).sum();
    let broken: usize = findings.rules.iter().map(|rule| rule.broken).sum();
    lines.push(Line {
        what: "consistency of money and stock",
        target: "100 %".into(),
        achieved: format!(
            "{} of {asked}{}",
            asked - broken,
            if left.is_rest() { "" } else { ", not at rest" }
        ),
        met: left.is_rest() && findings.holds(),
    });
    println!("\nThe audit:\n{findings}");
    if !left.is_rest() {
        println!("Not at rest: {left}\n");
    }
    print(&lines);
    Ok(lines.iter().all(|line| line.met))
}

/// Submits orders at a rate, whatever becomes of them.
struct Shop {
    stop: CancellationToken,
    accepted: mpsc::UnboundedReceiver<Vec<String>>,
    task: JoinHandle<(usize, Generator)>,
}

impl Shop {
    fn open(counter: Counter, mut generator: Generator, rate: f64) -> Shop {
        let (sender, accepted) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let task = tokio::spawn(async move {
            let mut tick = interval(Duration::from_millis(50));
            // A tick that comes late brings more orders, not fewer.
            tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let (mut begun, mut last, mut offered) = (Instant::now(), Instant::now(), 0);
            while !stopping.is_cancelled() {
                tick.tick().await;
                // But a machine that stood still has had no customers meanwhile.
                let pause = last.elapsed().saturating_sub(LONGEST_STEP);
                (begun, last) = (begun + pause, Instant::now());
                let due = (begun.elapsed().as_secs_f64() * rate) as usize;
                let orders: Vec<_> = (offered..due).map(|_| generator.order()).collect();
                offered = due.max(offered);
                let (counter, sender) = (counter.clone(), sender.clone());
                tokio::spawn(async move {
                    // The receiver lives until all senders are gone.
                    let _ = sender.send(counter.submit(orders).await);
                });
            }
            (offered, generator)
        });
        Shop { stop, accepted, task }
    }

    /// Gives what was accepted, and how many were offered.
    async fn close(mut self) -> Result<(Vec<String>, usize, Generator), Error> {
        self.stop.cancel();
        let (offered, generator) = self.task.await?;
        let mut all = Vec::new();
        while let Some(some) = self.accepted.recv().await {
            all.extend(some);
        }
        Ok((all, offered, generator))
    }
}

/// What is counted: a name, its store, and how many there are from one time to another.
fn counted(books: &Books) -> [(&'static str, &Store, &'static str); 4] {
    [
        ("orders", &books.orders, "SELECT COUNT(*) FROM orders WHERE ended_ms >= $1 AND ended_ms < $2"),
        ("payments", &books.payments, "SELECT COUNT(*) FROM payments WHERE done_ms >= $1 AND done_ms < $2"),
        ("stock", &books.inventory, "SELECT COUNT(*) FROM updates WHERE done_ms >= $1 AND done_ms < $2"),
        (
            "told",
            &books.notifications,
            "SELECT COUNT(*) FROM notifications WHERE sent_ms >= $1 AND sent_ms < $2",
        ),
    ]
}

/// Shows the rates while they are made.
async fn watch(books: &Books, load: Load, from: i64) -> Result<(), Error> {
    let bar = ProgressBar::new(load.seconds);
    bar.set_style(ProgressStyle::with_template("  {bar:16} {pos}/{len} s  {wide_msg}")?);
    let begun = Instant::now();
    let mut last = [0; 4];
    let mut at = from;
    let whole = Duration::from_secs(load.seconds);
    // Counting reads whole tables, on the processors that are being measured.
    let pause = Duration::from_secs((load.seconds / 10).clamp(2, 10));
    while begun.elapsed() < whole {
        sleep(pause.min(whole.saturating_sub(begun.elapsed()))).await;
        let now = now_ms();
        let mut words = Vec::new();
        for (index, (name, store, sql)) in counted(books).into_iter().enumerate() {
            let count = number(store, sql, &[from.into(), now.into()]).await?;
            let rate = (count - last[index]) as f64 * 1000.0 / (now - at).max(1) as f64;
            last[index] = count;
            words.push(format!("{name} {rate:.0}"));
        }
        at = now;
        let words = format!("{} a second", words.join("  "));
        bar.set_position(begun.elapsed().as_secs());
        if bar.is_hidden() {
            println!("{:>4} s  {words}", begun.elapsed().as_secs());
        }
        bar.set_message(words);
    }
    bar.finish();
    Ok(())
}

async fn rates(books: &Books, load: Load, from: i64, until: i64) -> Result<Vec<Line>, Error> {
    let names = [
        ("orders ended, a second", ORDERS),
        ("payments, a second", PAYMENTS),
        ("stock updates, a second", UPDATES),
        ("notifications, a second", NOTIFICATIONS),
    ];
    let mut lines = Vec::new();
    for ((what, target), (_, store, sql)) in names.into_iter().zip(counted(books)) {
        let count = number(store, sql, &[from.into(), until.into()]).await?;
        let rate = count as f64 * 1000.0 / (until - from) as f64;
        let target = target * load.times;
        let met = rate >= target;
        lines.push(Line { what, target: format!("≥ {target:.0}"), achieved: format!("{rate:.0}"), met });
    }
    Ok(lines)
}

async fn latencies(books: &Books, from: i64, until: i64) -> Result<Vec<Line>, Error> {
    let kinds = [
        (
            "order, submission to end: P95",
            5_000,
            &books.orders,
            "SELECT COUNT(*) FROM orders WHERE submitted_ms >= $1 AND submitted_ms < $2 AND ended_ms IS NOT NULL",
            "SELECT ended_ms - submitted_ms FROM orders
             WHERE submitted_ms >= $1 AND submitted_ms < $2 AND ended_ms IS NOT NULL ORDER BY 1 LIMIT 1 OFFSET $3",
        ),
        (
            "payment, command to record: P95",
            10_000,
            &books.payments,
            "SELECT COUNT(*) FROM payments WHERE asked_ms >= $1 AND asked_ms < $2",
            "SELECT done_ms - asked_ms FROM payments WHERE asked_ms >= $1 AND asked_ms < $2 ORDER BY 1 LIMIT 1 OFFSET $3",
        ),
        (
            "stock update, command to record: P95",
            2_000,
            &books.inventory,
            "SELECT COUNT(*) FROM updates WHERE asked_ms >= $1 AND asked_ms < $2",
            "SELECT done_ms - asked_ms FROM updates WHERE asked_ms >= $1 AND asked_ms < $2 ORDER BY 1 LIMIT 1 OFFSET $3",
        ),
        (
            "notification, event to provider: P95",
            1_000,
            &books.notifications,
            "SELECT COUNT(*) FROM notifications WHERE asked_ms >= $1 AND asked_ms < $2",
            "SELECT sent_ms - asked_ms FROM notifications WHERE asked_ms >= $1 AND asked_ms < $2 ORDER BY 1 LIMIT 1 OFFSET $3",
        ),
    ];
    let mut lines = Vec::new();
    for (what, target, store, count, percentile) in kinds {
        let count = number(store, count, &[from.into(), until.into()]).await?;
        let at = async |share: f64| {
            let offset = ((count as f64 * share) as i64).min(count - 1).max(0);
            number(store, percentile, &[from.into(), until.into(), offset.into()]).await
        };
        let (p95, p99) = (at(0.95).await?, at(0.99).await?);
        lines.push(Line {
            what,
            target: format!("< {:.1} s", target as f64 / 1000.0),
            achieved: format!("{} s (P99 {})", secs(p95), secs(p99)),
            met: count > 0 && p95 < target,
        });
    }
    Ok(lines)
}

/// Kills a part, starts it again, and gives the time from the kill until everything that was submitted before it has ended and been
/// told; or what is left of that when patience is at its end.
async fn recovery(
    fleet: &mut Fleet,
    books: &Books,
    victim: Victim,
    patience: Duration,
) -> Result<(Duration, Unrest), Error> {
    let killed = Instant::now();
    let killed_ms = now_ms();
    fleet.kill(victim).await;
    sleep(DOWN).await;
    fleet.revive(victim).await?;
    let left = wait(patience, async || fleet.unrest_of_before(books, killed_ms).await).await?;
    Ok((killed.elapsed(), left))
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// In four or five figures: the table is narrow.
fn secs(milliseconds: i64) -> String {
    let seconds = milliseconds as f64 / 1000.0;
    if seconds < 10.0 { format!("{seconds:.3}") } else { format!("{seconds:.1}") }
}

/// A table of at most 80 columns.
fn print(lines: &[Line]) {
    println!("  {:<6}  {:<37}  {:>9}  achieved", "", "", "target");
    for line in lines {
        let word = if line.met { "met" } else { "MISSED" };
        println!("  {word:<6}  {:<37}  {:>9}  {}", line.what, line.target, line.achieved);
    }
}
