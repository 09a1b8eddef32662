//! Kills a server that fans messages out, again and again, and checks after each restart that it kept its promises.
//!
//! Clients publish to a standard topic and to a FIFO topic, each with several queues; one of the subscribers is an HTTP
//! server that is down now and then. At a random moment the server gets SIGKILL and is started again on the same
//! directory. Then all queues are received empty, and what they held is held against what the publishers were told, in
//! a [`ledger::Ledger`]: what was acknowledged is in every queue that it should be in, exactly once; what was not is in
//! all of them or in none; nothing else is anywhere; and the HTTP server gets in the end all that the queues got.

mod alarm;
mod audit;
mod ledger;
mod load;
mod receiver;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use conformance_crash::options::Options;
use conformance_crash::random::Random;
use conformance_crash::trials::Run;
use ledger::{Ledger, Shared};
use receiver::Receiver;

fn main() -> ExitCode {
    // Less load than for queues alone: every message is received from several of them.
    let options = Options::from_arguments(150).and_then(Options::without_large_and_full);
    let run = match Run::begin("fan-out", options, alarm::test) {
        Ok(run) => run,
        Err(code) => return code,
    };
    let shared: Shared = Arc::new(Mutex::new(Ledger::default()));
    let receiver = match Receiver::start(Arc::clone(&shared)) {
        Ok(receiver) => receiver,
        Err(error) => {
            eprintln!("fan-out: no port is free for the HTTP server: {error}");
            return ExitCode::from(2);
        }
    };
    let trial = |trial, random: &mut Random| {
        run_trial(&run, trial, random, &shared, &receiver)?;
        ledger::lock(&shared).report().map_or(Ok(()), Err)
    };
    let summary = || ledger::lock(&shared).summary();
    match run.trials(trial, summary) {
        Ok(()) => run.end(&summary()),
        Err(code) => code,
    }
}

/// One life of the server: start, audit what the last crash left, load, kill.
fn run_trial(
    run: &Run,
    trial: u32,
    random: &mut Random,
    shared: &Shared,
    receiver: &Receiver,
) -> Result<(), String> {
    let (mut server, recovery) = run.start_perhaps_twice(random)?;
    ledger::lock(shared).restarted_within(recovery);
    let address = server.address();
    if trial == 1 {
        load::create_topics(address, receiver)?;
    } else {
        audit::run(address, shared)?;
    }
    if ledger::lock(shared).has_violations() {
        server.kill()?;
        return Ok(());
    }

    receiver.set_mode(random);
    let clients = load::start(address, shared, random, trial);
    run.kill_under_load(&mut server, random)?;
    for client in clients {
        client.join().map_err(|_| "a client panicked".to_owned())??;
    }

    // The last trial's crash is audited too, and by then the HTTP server must get all that it has not got yet.
    if trial == run.options.trials {
        receiver.work();
        let (mut server, _) = run.start()?;
        audit::run(server.address(), shared)?;
        audit::await_deliveries(shared);
        server.kill()?;
    }
    Ok(())
}
