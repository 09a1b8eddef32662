//! After a restart: receives all that there is, so that what is missing shows.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use conformance_crash::http::Failure;
use conformance_crash::patience::Patience;

use crate::ledger::{self, Queue, Shared};
use crate::load::{HIDDEN_SECONDS, Session};

/// How long a message may take to show: what may still hide it, and as much again for a slow machine.
const PATIENCE: Duration = Duration::from_millis(HIDDEN_SECONDS * 1000 + 3000);

/// How long deliveries may take that wait for their next attempt, a second apart.
const DELIVERED_WITHIN: Duration = Duration::from_secs(30);

/// Receives from every queue until all is found that must be there.
pub fn run(address: SocketAddr, shared: &Shared) -> Result<(), String> {
    let mut sessions = Queue::ALL.map(|queue| (queue, Session::new(address, shared)));
    let mut patience = Patience::new(PATIENCE);
    loop {
        let counts: Vec<Result<usize, Failure>> = thread::scope(|scope| {
            let all = sessions.iter_mut().map(|(queue, session)| scope.spawn(|| drain(session, *queue)));
            let all: Vec<_> = all.collect();
            all.into_iter().map(|one| one.join().unwrap_or(Err(Failure::Silence))).collect()
        });
        let mut count = 0;
        for (queue, got) in Queue::ALL.into_iter().zip(counts) {
            count += got.map_err(|failure| format!("the audit of {} failed: {failure:?}", queue.name()))?;
        }
        let done = {
            let ledger = ledger::lock(shared);
            ledger.has_violations() || (count == 0 && ledger.is_complete())
        };
        let over = patience.is_over();
        if done || (count == 0 && over) {
            break;
        }
        if count == 0 {
            // The rest is hidden by receives from before the crash.
            thread::sleep(Duration::from_millis(10));
        }
    }
    ledger::lock(shared).audit();
    Ok(())
}

/// Receives and deletes until the queue gives nothing; how many messages it gave.
fn drain(session: &mut Session, queue: Queue) -> Result<usize, Failure> {
    let mut count = 0;
    loop {
        let held = session.receive(queue, 0)?;
        if held.is_empty() {
            return Ok(count);
        }
        count += held.len();
        session.delete(queue, &held)?;
    }
}

/// Waits until the HTTP server has got all that it must get, or should have.
pub fn await_deliveries(shared: &Shared) {
    let mut patience = Patience::new(DELIVERED_WITHIN);
    while ledger::lock(shared).untold() > 0 && !patience.is_over() {
        thread::sleep(Duration::from_millis(20));
    }
    ledger::lock(shared).demand_told();
}
