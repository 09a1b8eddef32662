//! The light client: a user with a queue of his own and little to do, who must not feel what others do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Connection, Failure};

/// How often the client sends a message, receives it and deletes it.
const PACE: Duration = Duration::from_millis(5);

/// A client at work.
pub struct Light {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Duration>, Failure>>,
}

/// The latencies of a light client's requests.
#[derive(Clone, Copy, Debug)]
pub struct Felt {
    /// At p99.9, in milliseconds.
    pub p999_millis: f64,
    /// The longest, in milliseconds.
    pub most_millis: f64,
}

impl Light {
    /// Starts it. The queue is made when this returns.
    pub fn start(address: SocketAddr) -> Result<Light, Failure> {
        let mut connection = Connection::open(address)?;
        let url = connection.create_queue("light-client", json!({}))?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut latencies = Vec::new();
            let mut next = Instant::now();
            while !told.load(Ordering::Relaxed) {
                let mut timed = |operation: &mut dyn FnMut() -> Result<(), Failure>| {
                    let begun = Instant::now();
                    operation()?;
                    latencies.push(begun.elapsed());
                    Ok::<(), Failure>(())
                };
                timed(&mut || {
                    connection.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "light"})).map(drop)
                })?;
                let mut handles = Vec::new();
                timed(&mut || {
                    handles = connection.receive(&url, 10)?;
                    Ok(())
                })?;
                if !handles.is_empty() {
                    timed(&mut || connection.delete(&url, &handles))?;
                }
                next += PACE;
                match next.checked_duration_since(Instant::now()) {
                    Some(rest) => std::thread::sleep(rest),
                    // It was kept waiting. What it would have sent meanwhile, it does not send now.
                    None => next = Instant::now(),
                }
            }
            Ok(latencies)
        });
        Ok(Light { stop, thread })
    }

    /// Stops it, and says what it felt.
    pub fn stop(self) -> Result<Felt, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let mut latencies = self.thread.join().map_err(|_| "the light client panicked")??;
        latencies.sort_unstable();
        let millis = |at: usize| latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e3);
        let last = latencies.len().saturating_sub(1);
        Ok(Felt { p999_millis: millis(last - last / 1000), most_millis: millis(last) })
    }
}
