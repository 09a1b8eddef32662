//! Kills a loaded server again and again, and checks after each restart that it kept its promises.
//!
//! Clients send, receive and delete; at a random moment the server gets SIGKILL and is started again on the same
//! directory. What the clients were told stands in a [`ledger::Ledger`], and every answer after the restart is held
//! against it: nothing acknowledged is missing, nothing whose deletion was acknowledged comes back, the groups of a
//! FIFO queue keep their order, receive counts do not go down.

mod alarm;
mod audit;
mod ledger;
mod load;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use conformance_crash::ballast::Ballast;
use conformance_crash::options::Options;
use conformance_crash::random::Random;
use conformance_crash::trials::Run;
use ledger::{Event, Ledger, Shared};

/// How much room a full disk leaves at most: with less than two segments, the server begins to refuse sends.
const MOST_ROOM: u64 = 160 << 20;

fn main() -> ExitCode {
    let run = match Run::begin("crash", Options::from_arguments(500), alarm::test) {
        Ok(run) => run,
        Err(code) => return code,
    };
    if let Some(percent) = run.options.large_percent {
        ledger::set_large_percent(percent);
    }
    let ballast = run.options.fill_disk.then(|| Ballast::beside(&run.options.directory));
    let shared = Arc::new(Shared::new(Ledger::new()));
    let trial = |trial, random: &mut Random| {
        run_trial(&run, trial, random, &shared, ballast.as_ref())?;
        shared.with(|ledger| ledger.report()).map_or(Ok(()), Err)
    };
    let summary = || shared.with(|ledger| ledger.summary());
    if let Err(code) = run.trials(trial, summary) {
        return code;
    }
    if run.options.fill_disk {
        let refused = load::REFUSED.load(Ordering::Relaxed);
        println!("crash: {refused} requests were refused since the disk was full");
    }
    run.end(&summary())
}

/// One life of the server: start, audit what the last crash left, load, kill.
fn run_trial(
    run: &Run,
    trial: u32,
    random: &mut Random,
    shared: &Arc<Shared>,
    ballast: Option<&Ballast>,
) -> Result<(), String> {
    let (mut server, recovery) = run.start_perhaps_twice(random)?;
    shared.with(|ledger| ledger.restarted_within(recovery));
    let address = server.address();
    if trial == 1 {
        load::create_queues(address)?;
    }
    audit::run(address, shared, random, ballast)?;
    if shared.with(|ledger| ledger.has_violations()) {
        server.kill()?;
        return Ok(());
    }

    if let Some(ballast) = ballast {
        ballast.fill(random.below(MOST_ROOM))?;
    }
    let clients = load::start(address, shared, random, trial);
    run.kill_under_load(&mut server, random)?;
    for client in clients {
        client.join().map_err(|_| "a client panicked".to_owned())??;
    }
    shared.with(|ledger| ledger.record(Event::Crashed));

    // The last trial's crash is audited too.
    if trial == run.options.trials {
        let (mut server, _) = run.start()?;
        audit::run(server.address(), shared, random, ballast)?;
        server.kill()?;
    }
    Ok(())
}
