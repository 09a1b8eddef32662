//! Kills a server that archives and replays messages, again and again, and checks after each restart that no message is
//! missing in the archive, none is there twice, and none is out of order.
//!
//! Publishers write numbered messages to a FIFO topic with an archive, each in a group of its own, and publish again what
//! was not answered, with the same deduplication id. Before each load a new queue subscribes with a replay of the whole
//! archive, so the server dies while messages move from its log to its store and while they are replayed from both.
//! After the restart that queue must have every number of every publisher once, in order: replayed ones, and then new
//! ones. An event bus with an archive is under the same load ([`events`]).

mod audit;
mod events;
mod load;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use conformance_crash::options::Options;
use conformance_crash::random::Random;
use conformance_crash::trials::Run;
use load::Ledger;

fn main() -> ExitCode {
    let options = Options::from_arguments(2000).and_then(Options::without_large_and_full);
    let test = || Ok(audit::test()? + events::test()?);
    let run = match Run::begin("archives", options, test) {
        Ok(run) => run,
        Err(code) => return code,
    };
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let events = events::Shared::default();
    let summary = || format!("{}; {}", load::lock(&ledger).summary(), events::summary(&events));
    match run.trials(|trial, random| run_trial(&run, trial, random, &ledger, &events), summary) {
        Ok(()) => run.end(&summary()),
        Err(code) => code,
    }
}

/// One life of the server: start, audit what the last crash left, load, kill.
fn run_trial(
    run: &Run,
    trial: u32,
    random: &mut Random,
    ledger: &Arc<Mutex<Ledger>>,
    events: &events::Shared,
) -> Result<(), String> {
    let (mut server, _) = run.start_perhaps_twice(random)?;
    let address = server.address();
    if trial == 1 {
        load::create_topic(address)?;
        events::create_archive(address)?;
    } else {
        audit::run(address, trial - 1, ledger)?;
        events::audit(address, trial - 1, events)?;
    }
    load::subscribe(address, trial)?;
    events::replay(address, trial, events)?;
    let mut clients = load::start(address, ledger, random);
    clients.extend(events::start(address, events, random));
    run.kill_under_load(&mut server, random)?;
    for client in clients {
        client.join().map_err(|_| "a client panicked".to_owned())??;
    }
    if trial == run.options.trials {
        let (mut server, _) = run.start()?;
        audit::run(server.address(), trial, ledger)?;
        events::audit(server.address(), trial, events)?;
        // The archives alone, with nothing that came besides.
        load::subscribe(server.address(), trial + 1)?;
        audit::run(server.address(), trial + 1, ledger)?;
        events::replay(server.address(), trial + 1, events)?;
        events::audit(server.address(), trial + 1, events)?;
        server.kill()?;
    }
    Ok(())
}
