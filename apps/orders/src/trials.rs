//! Kills services and the server at random moments, lets all of it come to rest, and audits the books.

use std::time::Duration;

use fastrand::Rng;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use crate::audit::{Books, audit};
use crate::fleet::{Fleet, Victim};
use crate::generate::{Counter, Generator, Mix};
use crate::model::now_ms;
use crate::places::{Conduct, Events};
use crate::services::{Error, Service};
use crate::store::Stores;

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub struct Trials {
    /// How many trials.
    pub trials: u32,
    /// Orders in each.
    pub orders: u32,
    /// Kills in each.
    pub kills: u32,
    /// The first trial's seed; the next one's is one more.
    pub seed: u64,
    /// How events travel.
    pub events: Events,
    /// What leads orders.
    pub workflow: Conduct,
}

/// How long a trial may take to come to rest.
const REST: Duration = Duration::from_secs(180);

/// Runs them, and says of each what was found. Gives how many broke a rule.
///
/// # Errors
/// When something cannot be started or asked.
pub async fn run(trials: Trials, database: Option<&str>) -> Result<u32, Error> {
    let bar = ProgressBar::new(u64::from(trials.trials));
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} trials {elapsed} {msg}")?);
    let (mut bad, mut orders, mut kills) = (0, 0, 0);
    for number in 0..trials.trials {
        let seed = trials.seed + u64::from(number);
        let one = trial(trials, seed, database).await?;
        orders += one.accepted;
        kills += one.killed.len();
        if !one.holds {
            bad += 1;
        }
        let word = if one.holds { "holds" } else { "BROKEN" };
        let line = format!(
            "trial {seed}: {word}: {} orders in {:.1} s; killed {}{}",
            one.accepted,
            one.took.as_secs_f64(),
            one.killed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            if one.holds { String::new() } else { format!("\n{}", one.report) },
        );
        // Where there is no terminal, there is no bar; the lines are wanted all the same.
        if bar.is_hidden() {
            println!("{line}")
        } else {
            bar.println(line)
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!(
        "{} trials, {orders} orders, {kills} kills: {}",
        trials.trials,
        match bad {
            0 => "no order lost, none charged twice, stock consistent in all".to_owned(),
            bad => format!("{bad} broke a rule"),
        }
    );
    Ok(bad)
}

struct Trial {
    holds: bool,
    accepted: usize,
    killed: Vec<Victim>,
    took: Duration,
    report: String,
}

async fn trial(trials: Trials, seed: u64, database: Option<&str>) -> Result<Trial, Error> {
    let scratch = Stores::scratch(database, false)?;
    let result = crate::until_interrupted(try_with(trials, seed, &scratch.stores)).await;
    scratch.remove().await?;
    result
}

async fn try_with(trials: Trials, seed: u64, stores: &Stores) -> Result<Trial, Error> {
    let (begun, began) = (Instant::now(), now_ms());
    let mut chance = Rng::with_seed(seed);
    // In every other trial reservations run out while payments are still tried.
    let reservation = if seed.is_multiple_of(2) { "900" } else { "2" };
    let arguments = [
        "--hidden-for",
        "2",
        "--products",
        "40",
        "--stock",
        "60",
        "--reservation",
        reservation,
        "--look-every",
        "2",
        "--gateway-failing",
        "0.05",
        "--gateway-stalling",
        "0.02",
        "--gateway-losing",
        "0.05",
        "--gateway-stall",
        "4",
    ];
    let arguments = arguments.map(str::to_owned).to_vec();
    let mut fleet = Fleet::start(None, stores, (trials.events, trials.workflow), arguments).await?;
    let books = Books::open(stores).await?;
    let counter = Counter::new(&fleet.clients, &fleet.places);
    let mut generator = Generator::new(Mix::trials(40), format!("t{seed}"), seed);
    let orders = trials.orders;
    let shop = tokio::spawn(async move {
        let mut accepted = Vec::new();
        let mut left = orders;
        while left > 0 {
            let some = left.min(10);
            left -= some;
            accepted.extend(counter.submit((0..some).map(|_| generator.order()).collect()).await);
            sleep(Duration::from_millis(100)).await;
        }
        accepted
    });
    let mut killed = Vec::new();
    for _ in 0..trials.kills {
        sleep(Duration::from_millis(chance.u64(50..900))).await;
        let victim = match chance.usize(..Service::ALL.len() + 1) {
            0 => Victim::Server,
            some => Victim::Service(Service::ALL[some - 1]),
        };
        fleet.kill(victim).await;
        killed.push(victim);
        sleep(Duration::from_millis(chance.u64(..500))).await;
        fleet.revive(victim).await?;
    }
    let accepted = shop.await?;
    let left = fleet.settle(&books, began, REST).await?;
    let findings = audit(&books, Some(&accepted)).await?;
    Ok(Trial {
        holds: left.is_rest() && findings.holds(),
        accepted: accepted.len(),
        killed,
        took: begun.elapsed(),
        report: match left.is_rest() {
            true => findings.to_string(),
            false => format!("{findings}  it did not come to rest: {left}\n"),
        },
    })
}
