//! What all clients share: where the server is, whether it may be silent, what was sent and not deleted, and what went wrong.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use conformance_crash::http::Client;

use crate::pace::Pace;
use crate::subscriber::Subscribers;
use crate::traffic;

/// Most faults that are told.
const MOST_FAULTS: usize = 20;

pub struct World {
    pub pace: Pace,
    address: Mutex<SocketAddr>,
    /// Grows with each kill, before it and after the restart: odd while the server may be gone.
    life: AtomicU64,
    stopping: AtomicBool,
    answered: AtomicU64,
    /// What AWS would refuse, too.
    refused: AtomicU64,
    numbers: AtomicU64,
    faults: Mutex<Vec<String>>,
    /// Messages of the queues that are audited whose send was begun and whose deletion was not: whether the send was acknowledged.
    alive: Mutex<HashMap<String, bool>>,
    /// How far the server's clock has been moved, jumps not counted, and what it is to jump by.
    moved: Mutex<(Duration, Duration)>,
}

impl World {
    pub fn new(address: SocketAddr) -> World {
        World {
            pace: Pace::default(),
            address: Mutex::new(address),
            life: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            numbers: AtomicU64::new(0),
            faults: Mutex::default(),
            alive: Mutex::default(),
            moved: Mutex::default(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        *lock(&self.address)
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub fn begin_to_kill(&self) {
        self.life.fetch_add(1, Ordering::SeqCst);
    }

    pub fn lives_again(&self, address: SocketAddr) {
        *lock(&self.address) = address;
        self.life.fetch_add(1, Ordering::SeqCst);
    }

    pub fn life(&self) -> u64 {
        self.life.load(Ordering::SeqCst)
    }

    /// Whether a request that was begun in this life may have had no answer.
    pub fn may_be_silent(&self, life: u64) -> bool {
        life % 2 == 1 || self.life() != life || self.is_stopping()
    }

    /// Waits until the server is there.
    pub fn wait_for_life(&self) {
        while self.life() % 2 == 1 && !self.is_stopping() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn count_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// What has been done, in words.
    pub fn tell(&self) -> String {
        format!(
            "{} answers, of which {} were refusals that AWS gives, too; {} messages are to be found",
            self.answered(),
            self.refused.load(Ordering::Relaxed),
            self.to_be_found()
        )
    }

    /// A number that nobody else has.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub fn fault(&self, what: String) {
        let mut faults = lock(&self.faults);
        if faults.len() < MOST_FAULTS {
            faults.push(what);
        }
    }

    /// An error if anything has gone wrong.
    pub fn check(&self) -> Result<(), String> {
        let faults = lock(&self.faults);
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }

    /// A message is about to be sent.
    pub fn send_begun(&self, message: &str) {
        lock(&self.alive).insert(message.to_owned(), false);
    }

    /// Its send was acknowledged. (It may have been received and deleted already.)
    pub fn sent(&self, message: &str) {
        if let Some(acknowledged) = lock(&self.alive).get_mut(message) {
            *acknowledged = true;
        }
    }

    /// It is about to be deleted.
    pub fn delete_begun(&self, message: &str) {
        lock(&self.alive).remove(message);
    }

    /// About how many messages wait in the audited queues.
    pub fn backlog(&self) -> usize {
        lock(&self.alive).len()
    }

    /// How many messages must be there.
    pub fn to_be_found(&self) -> usize {
        lock(&self.alive).values().filter(|acknowledged| **acknowledged).count()
    }

    /// Some of those that must be there.
    pub fn missing(&self) -> Vec<String> {
        let alive = lock(&self.alive);
        alive
            .iter()
            .filter(|(_, acknowledged)| **acknowledged)
            .map(|(message, _)| message.clone())
            .take(10)
            .collect()
    }

    /// At the next tick the server's clock goes so much further.
    pub fn jump(&self, by: Duration) {
        lock(&self.moved).1 += by;
    }

    /// By how much the server's clock is to be moved now.
    pub fn time_to_pass(&self, since_begin: Duration) -> Duration {
        let mut moved = lock(&self.moved);
        let by = since_begin.saturating_sub(moved.0).max(Duration::from_millis(1)) + moved.1;
        *moved = (since_begin, Duration::ZERO);
        by
    }

    /// Confirms the subscriptions of all subscribers.
    pub fn wait_for_confirmation(&self, subscribers: &Subscribers) -> Result<(), String> {
        let tokens = lock(&subscribers.tokens);
        let begun = Instant::now();
        let mut client = Client::new(self.address());
        for _ in &subscribers.urls {
            let (topic, token) = loop {
                if let Ok(token) = tokens.recv_timeout(Duration::from_millis(100)) {
                    break token;
                }
                if begun.elapsed() > Duration::from_secs(30) {
                    return Err("no SubscriptionConfirmation came".to_owned());
                }
                let _ = client.post("/_posthaste/clock", "{\"advance\": \"100ms\"}");
            };
            let fields = traffic::fields(&[("TopicArn", &topic), ("Token", &token)]);
            client
                .call_sns("ConfirmSubscription", &fields)
                .map_err(|failure| format!("ConfirmSubscription: {failure:?}"))?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
