//! Looks after the dead letters of all queues: logs, archives and reports each; puts back those that only a crash has made. And tells of
//! queues in which too much waits.

use std::collections::BTreeSet;
use std::time::Duration;

use toolkit::consumer::Category;
use toolkit::dead_letters::{DeadLetter, DeadLetterMonitor, DeadLetterReport, FileArchive, requeue};
use toolkit::health::{HealthCheck, Status, Thresholds};
use toolkit::publisher::Outgoing;
use toolkit::{Clients, Envelope, Fault, Publisher};

use crate::model::{Event, Happening};
use crate::places::DEAD_LETTERS;
use crate::services::{Error, RunningService, Surroundings, running};

/// How often a letter is put back by itself before a person has to look at it.
const ROUNDS: u32 = 3;
/// So many a second are put back: work that has failed must not push aside work that has not.
const RATE: f64 = 50.0;

/// Starts it.
///
/// # Errors
/// When a queue is missing.
pub async fn start(around: &Surroundings) -> Result<RunningService, Error> {
    let clients = &around.clients;
    let health = around.places.system_health.publisher(clients).source("dead-letters");
    let told = health.clone();
    let alert = move |report: &DeadLetterReport| {
        let what = format!("{} new dead letters in {}", report.new.len(), report.queue);
        tokio::spawn(tell(told.clone(), Happening::DeadLetters, what));
    };
    let archive = FileArchive::new(around.stores.folder.join("dead-letters.jsonl"));
    let mut monitor =
        DeadLetterMonitor::new(clients).every(around.settings.look_every).alert(alert).archive(archive);
    for (_, dead) in DEAD_LETTERS {
        monitor = monitor.watch(&clients.queue(dead).await?);
    }
    let mut running = running(Vec::new(), None);
    running.monitor = Some(monitor.start());
    let (clients, every, stop) = (clients.clone(), around.settings.look_every, running.stop.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // Not at the moment at which the monitor looks.
                () = tokio::time::sleep(every + Duration::from_millis(500)) => {}
            }
            match put_back(&clients, RATE, worth_another_round).await {
                Ok(0) => {}
                Ok(moved) => eprintln!("dead letters: {moved} put back"),
                Err(fault) => eprintln!("dead letters: {fault}"),
            }
        }
    });
    let (mut queues, depth, stop) =
        (HealthCheck::new(&around.clients), around.settings.alert_depth, running.stop.clone());
    for (queue, _) in DEAD_LETTERS {
        let thresholds = Thresholds { degraded: depth, unhealthy: depth.saturating_mul(10) };
        queues = queues.queue(&around.clients.queue(queue).await?, thresholds);
    }
    let every = around.settings.look_every;
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = watch(queues, health, every) => {}
        }
    });
    Ok(running)
}

/// Tells once of each queue that is not well, and once when it is well again.
async fn watch(queues: HealthCheck, health: Publisher, every: Duration) {
    let mut unwell = BTreeSet::new();
    loop {
        tokio::time::sleep(every).await;
        for check in queues.look().await.checks {
            let what = format!("{}: {}", check.queue, check.why);
            let happening = match check.status {
                Status::Healthy if unwell.remove(&check.queue) => Happening::QueueWell,
                Status::Degraded | Status::Unhealthy if unwell.insert(check.queue.clone()) => {
                    Happening::QueueUnwell
                }
                _ => continue,
            };
            tell(health.clone(), happening, what).await;
        }
    }
}

/// Tells the operators, here and by the topic.
async fn tell(health: Publisher, happening: Happening, what: String) {
    eprintln!("{}: {what}", happening.as_str());
    let (order_id, customer_id) = (String::new(), String::new());
    let event = Event { happening, order_id, customer_id, detail: Some(what), total_cents: None, due: None };
    let mut outgoing = Outgoing::new(event);
    if happening.is_critical() {
        outgoing = outgoing.attribute("critical", "true");
    }
    if let Err(error) = health.publish(outgoing).await {
        eprintln!("{}: nobody could be told: {error}", happening.as_str());
    }
}

/// Puts chosen letters of all queues back where they came from; gives how many.
///
/// # Errors
/// When a queue cannot be reached; the others' letters have been put back.
pub async fn put_back(
    clients: &Clients,
    rate: f64,
    choose: impl Fn(&DeadLetter) -> bool,
) -> Result<u64, Fault> {
    let (mut moved, mut failure) = (0, None);
    for (source, dead) in DEAD_LETTERS {
        let one = async {
            let (source, dead) = (clients.queue(source).await?, clients.queue(dead).await?);
            requeue(clients, &dead, &source, rate, &choose).await
        };
        match one.await {
            Ok(requeued) => moved += requeued.moved,
            Err(fault) => failure = failure.or(Some(fault)),
        }
    }
    failure.map_or(Ok(moved), Err)
}

/// Its handler never said no: it died, or its database or the gateway was away.
fn worth_another_round(letter: &DeadLetter) -> bool {
    let frame: Option<Envelope<serde::de::IgnoredAny>> = serde_json::from_str(&letter.message).ok();
    let rounds = frame.map_or(u32::MAX, |frame| frame.metadata.retry_count);
    matches!(letter.category, Category::Unanswered | Category::AttemptsExhausted) && rounds < ROUNDS
}
