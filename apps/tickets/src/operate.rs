//! What operators do by hand: set up, look at the dead letters, put them back.

use std::time::Duration;

use clap::{Args, ValueEnum};
use toolkit::consumer::Category;
use toolkit::dead_letters::{DeadLetter, DeadLetterMonitor};
use toolkit::health::{HealthCheck, Thresholds};

use crate::dead_letters::{as_logged, put_back};
use crate::settings::Settings;
use crate::store::Store;
use crate::topology;

/// Options of `tickets monitor`.
#[derive(Args, Clone, Debug)]
pub struct MonitorOptions {
    /// Repeat at this interval instead of looking once
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
}

/// Options of `tickets requeue`. Without options it requeues all letters except those that would fail again (unreadable, or given up).
#[derive(Args, Clone, Debug)]
pub struct RequeueOptions {
    /// Requeue only letters of these categories
    #[arg(long, value_delimiter = ',', value_name = "CATEGORIES")]
    category: Vec<Reason>,
    /// Requeue only the letter with this id (`messageId` or `id`, as `tickets monitor` shows them), whatever its category
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Maximum number of letters per second
    #[arg(long, default_value_t = 50.0, value_parser = above_zero)]
    rate: f64,
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|error| error.to_string())?;
    if number > 0.0 && number.is_finite() {
        Ok(number)
    } else {
        Err("the number must be above zero".to_owned())
    }
}

/// Why a letter is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Reason {
    /// Its handler said that no attempt would help
    GaveUp,
    /// Every attempt failed
    AttemptsExhausted,
    /// It could not be read
    Unreadable,
    /// Its handlers never answered: they were killed, perhaps
    Unanswered,
}

impl Reason {
    fn of(category: Category) -> Reason {
        match category {
            Category::GaveUp => Reason::GaveUp,
            Category::AttemptsExhausted => Reason::AttemptsExhausted,
            Category::Unreadable => Reason::Unreadable,
            Category::Unanswered => Reason::Unanswered,
        }
    }
}

impl RequeueOptions {
    fn wants(&self, letter: &DeadLetter) -> bool {
        if let Some(id) = &self.id {
            return letter.message_id == *id || letter.envelope.as_ref().is_some_and(|(own, _)| own == id);
        }
        match self.category.is_empty() {
            true => may_succeed(letter),
            false => self.category.contains(&Reason::of(letter.category)),
        }
    }
}

/// Whether another attempt makes sense without anybody having changed the message or the program.
pub fn may_succeed(letter: &DeadLetter) -> bool {
    matches!(letter.category, Category::AttemptsExhausted | Category::Unanswered)
}

/// `tickets setup`.
pub async fn setup(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    let made = topology::ensure(&settings.clients().await, settings).await?;
    for (queue, dead_letters) in made.pairs() {
        println!("queue  {}\n  dead letters  {}", queue.url, dead_letters.url);
    }
    for (topic, queue) in [
        (&made.payment_topic, &made.payment_queue),
        (&made.ticket_topic, &made.ticket_queue),
        (&made.event_topic, &made.ticket_queue),
    ] {
        println!("topic  {}\n  heard at  {}", topic.arn, queue.name());
    }
    Ok(())
}

/// `tickets monitor`.
pub async fn monitor(
    settings: &Settings,
    options: &MonitorOptions,
) -> Result<(), Box<dyn std::error::Error>> {
    let clients = settings.clients().await;
    let topology = topology::ensure(&clients, settings).await?;
    let mut health = HealthCheck::new(&clients);
    let mut monitor = DeadLetterMonitor::new(&clients);
    for (queue, dead_letters) in topology.pairs() {
        health = health.queue(queue, Thresholds::default());
        health = health.queue(dead_letters, Thresholds { degraded: 1, unhealthy: 100 });
        monitor = monitor.watch(dead_letters);
    }
    loop {
        for check in health.look().await.checks {
            let status = format!("{:?}", check.status).to_lowercase();
            println!("{:<24} {status:<10} {}, {} in flight", check.queue, check.why, check.in_flight);
        }
        for report in monitor.look().await? {
            for ((category, source), count) in &report.by_category {
                let source = source.as_deref().unwrap_or("an unknown queue");
                println!("{:<24} {count} {} from {source}", report.queue, category.as_str());
            }
            for letter in &report.new {
                println!("{}", serde_json::to_string_pretty(&as_logged(letter))?);
            }
        }
        match options.every {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => return Ok(()),
        }
    }
}

/// `tickets requeue`.
pub async fn requeue(
    settings: &Settings,
    options: &RequeueOptions,
) -> Result<(), Box<dyn std::error::Error>> {
    let clients = settings.clients().await;
    let topology = topology::ensure(&clients, settings).await?;
    let store = Store::open(settings.folder()).await?;
    let done = put_back(&clients, &topology, &store, options.rate, |letter| options.wants(letter)).await?;
    println!("{} put back, {} left among the dead letters", done.moved, done.left);
    Ok(())
}
