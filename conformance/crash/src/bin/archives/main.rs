//! Kills a server that archives and replays messages, again and again, and checks after each restart that no message is
//! missing in the archive, none is there twice, and none is out of order.
//!
//! Publishers write numbered messages to a FIFO topic with an archive, each in a group of its own, and publish again what
//! was not answered, with the same deduplication id. Before each load a new queue subscribes with a replay of the whole
//! archive, so the server dies while messages move from its log to its store and while they are replayed from both.
//! After the restart that queue must have every number of every publisher once, in order: replayed ones, and then new
//! ones.

mod audit;
mod load;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use conformance_crash::options::Options;
use conformance_crash::random::Random;
use conformance_crash::trials::Run;
use load::Ledger;

fn main() -> ExitCode {
    let options = Options::from_arguments(2000).and_then(Options::without_large_and_full);
    let run = match Run::begin("archives", options, audit::test) {
        Ok(run) => run,
        Err(code) => return code,
    };
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let summary = || load::lock(&ledger).summary();
    match run.trials(|trial, random| run_trial(&run, trial, random, &ledger), summary) {
        Ok(()) => run.end(&summary()),
        Err(code) => code,
    }
}

/// One life of the server: start, audit what the last crash left, load, kill.
fn run_trial(run: &Run, trial: u32, random: &mut Random, ledger: &Arc<Mutex<Ledger>>) -> Result<(), String> {
    let (mut server, _) = run.start_perhaps_twice(random)?;
    let address = server.address();
    if trial == 1 {
        load::create_topic(address)?;
    } else {
        audit::run(address, trial - 1, ledger)?;
    }
    load::subscribe(address, trial)?;
    let clients = load::start(address, ledger, random);
    run.kill_under_load(&mut server, random)?;
    for client in clients {
        client.join().map_err(|_| "a client panicked".to_owned())??;
    }
    if trial == run.options.trials {
        let (mut server, _) = run.start()?;
        audit::run(server.address(), trial, ledger)?;
        // The archive alone, with nothing that came besides.
        load::subscribe(server.address(), trial + 1)?;
        audit::run(server.address(), trial + 1, ledger)?;
        server.kill()?;
    }
    Ok(())
}
