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
use std::time::{Duration, Instant};

use conformance_crash::options::Options;
use conformance_crash::progress::{Progress, directory_size};
use conformance_crash::random::Random;
use conformance_crash::server;
use ledger::{Ledger, Shared};
use receiver::Receiver;

fn main() -> ExitCode {
    // Less load than for queues alone: every message is received from several of them.
    let options = match Options::from_arguments(150).and_then(Options::without_large_and_full) {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    // A checker that notices nothing would call every server good: it is tested before it is believed.
    match alarm::test() {
        Ok(count) => println!("fan-out: the checker noticed all {count} doctored histories"),
        Err(silence) => {
            eprintln!("fan-out: the checker is broken: {silence}");
            return ExitCode::FAILURE;
        }
    }
    if options.self_test {
        return ExitCode::SUCCESS;
    }
    let Some(program) = options.program.clone() else {
        eprintln!("fan-out: set POSTHASTE_BIN to the program to start");
        return ExitCode::from(2);
    };
    println!(
        "fan-out: {} trials of {program} with --durability {}, seed {}, data in {}",
        options.trials,
        options.durability,
        options.seed,
        options.directory.display()
    );

    let shared: Shared = Arc::new(Mutex::new(Ledger::default()));
    let receiver = match Receiver::start(Arc::clone(&shared)) {
        Ok(receiver) => receiver,
        Err(error) => {
            eprintln!("fan-out: no port is free for the HTTP server: {error}");
            return ExitCode::from(2);
        }
    };
    let begun = Instant::now();
    let mut progress = Progress::new(options.trials);
    for trial in 1..=options.trials {
        let outcome = run_trial(&options, &program, trial, &shared, &receiver);
        let report = outcome.err().or_else(|| ledger::lock(&shared).report());
        if let Some(report) = report {
            progress.end();
            println!(
                "\nfan-out: trial {trial} of seed {} failed; the data is kept in {}",
                options.seed,
                options.directory.display()
            );
            println!("{report}");
            println!("\n{} passed, 1 failed", trial - 1);
            return ExitCode::FAILURE;
        }
        progress.show(trial, &ledger::lock(&shared).summary());
    }
    progress.end();
    let size = directory_size(&options.directory);
    println!("fan-out: {}", ledger::lock(&shared).summary());
    println!(
        "fan-out: {:.1} s, {:.1} MiB on disk at the end",
        begun.elapsed().as_secs_f64(),
        size as f64 / 1048576.0
    );
    if !options.keep {
        let _ = std::fs::remove_dir_all(&options.directory);
    }
    println!("\n{} passed, 0 failed", options.trials);
    ExitCode::SUCCESS
}

/// One life of the server: start, audit what the last crash left, load, kill.
fn run_trial(
    options: &Options,
    program: &str,
    trial: u32,
    shared: &Shared,
    receiver: &Receiver,
) -> Result<(), String> {
    let mut random = Random::new(options.seed ^ (u64::from(trial) << 32));
    // Now and then it dies while it still recovers.
    if random.below(8) == 0 {
        let mut server = server::spawn(program, options)?;
        std::thread::sleep(Duration::from_millis(random.below(40)));
        server.kill()?;
    }
    let mut server = server::spawn(program, options)?;
    let recovery = server.wait_until_ready()?;
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

    receiver.set_mode(&mut random);
    let clients = load::start(address, shared, &mut random, trial);
    std::thread::sleep(Duration::from_millis(20 + random.below(options.longest_load_ms)));
    server.kill()?;
    for client in clients {
        client.join().map_err(|_| "a client panicked".to_owned())??;
    }

    // The last trial's crash is audited too, and by then the HTTP server must get all that it has not got yet.
    if trial == options.trials {
        receiver.work();
        let mut server = server::spawn(program, options)?;
        server.wait_until_ready()?;
        audit::run(server.address(), shared)?;
        audit::await_deliveries(shared);
        server.kill()?;
    }
    Ok(())
}
