//! After a restart: receives all that there is, so that what is missing shows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::ledger::{Event, Queue, Shared};
use crate::load::{HIDDEN_SECONDS, Session};
use conformance_crash::ballast::Ballast;
use conformance_crash::http::{Client, Failure};
use conformance_crash::patience::Patience;
use conformance_crash::random::Random;

/// How long a message may take to show: what may still hide it, and as much again for a slow machine.
const PATIENCE: Duration = Duration::from_millis(HIDDEN_SECONDS * 1000 + 3000);

/// How many of a hundred standard messages stay, so that some live through many crashes.
const KEPT: u64 = 30;

/// Receives from every queue until all is found that must be there.
///
/// Where a `ballast` fills the disk, the server may refuse even that; then the ballast goes, and all must be there.
pub fn run(
    address: SocketAddr,
    shared: &Shared,
    random: &mut Random,
    ballast: Option<&Ballast>,
) -> Result<(), String> {
    let mut session = Session { client: Client::new(address), address };
    let mut patience = Patience::new(PATIENCE);
    loop {
        let mut idle = true;
        for queue in Queue::ALL {
            let got = drain(&mut session, shared, queue, random);
            if let (Err(Failure::Silence), Some(503), Some(full)) =
                (&got, session.client.last_status(), ballast)
            {
                full.release();
                // The server looks now and then whether there is room again.
                std::thread::sleep(Duration::from_millis(10));
                idle = false;
                continue;
            }
            idle &= got.map_err(|failure| format!("the audit of {} failed: {failure:?}", queue.name()))? == 0;
        }
        if shared.with(|ledger| ledger.is_complete() || ledger.has_violations()) {
            break;
        }
        if patience.is_over() {
            break;
        }
        if idle {
            // The rest is hidden by receives from before the crash.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    shared.with(|ledger| ledger.record(Event::Audited));
    Ok(())
}

/// Receives until the queue gives nothing; how many messages it gave.
fn drain(
    session: &mut Session,
    shared: &Shared,
    queue: Queue,
    random: &mut Random,
) -> Result<usize, Failure> {
    let mut count = 0;
    // Half a second at most: messages that are shown again meanwhile would keep it here for ever.
    let begun = Instant::now();
    loop {
        let mut held = session.receive(shared, queue, HIDDEN_SECONDS, 0)?;
        if held.is_empty() || begun.elapsed() > Duration::from_millis(500) {
            return Ok(count);
        }
        count += held.len();
        if queue != Queue::Groups {
            held.retain(|_| !random.chance(KEPT));
        }
        session.delete_batch(shared, queue, &held)?;
    }
}
