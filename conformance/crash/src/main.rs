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
use std::time::{Duration, Instant};

use conformance_crash::ballast::Ballast;
use conformance_crash::options::Options;
use conformance_crash::progress::{Progress, directory_size};
use conformance_crash::random::Random;
use conformance_crash::server;
use ledger::{Event, Ledger, Shared};

/// How much room a full disk leaves at most: with less than two segments, the server begins to refuse sends.
const MOST_ROOM: u64 = 160 << 20;

fn main() -> ExitCode {
    let options = match Options::from_arguments(500) {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    // A checker that notices nothing would call every server good: it is tested before it is believed.
    match alarm::test() {
        Ok(count) => println!("crash: the checker noticed all {count} doctored histories"),
        Err(silence) => {
            eprintln!("crash: the checker is broken: {silence}");
            return ExitCode::FAILURE;
        }
    }
    if options.self_test {
        return ExitCode::SUCCESS;
    }
    let Some(program) = options.program.clone() else {
        eprintln!("crash: set POSTHASTE_BIN to the program to start");
        return ExitCode::from(2);
    };
    println!(
        "crash: {} trials of {program} with --durability {}, seed {}, data in {}",
        options.trials,
        options.durability,
        options.seed,
        options.directory.display()
    );

    if let Some(percent) = options.large_percent {
        ledger::set_large_percent(percent);
    }
    let ballast = options.fill_disk.then(|| Ballast::beside(&options.directory));
    let shared = Arc::new(Shared::new(Ledger::new()));
    let begun = Instant::now();
    let mut progress = Progress::new(options.trials);
    for trial in 1..=options.trials {
        let outcome = run_trial(&options, &program, trial, &shared, ballast.as_ref());
        let report = match outcome {
            Err(failure) => Some(failure),
            Ok(()) => shared.with(|ledger| ledger.report()),
        };
        if let Some(report) = report {
            progress.end();
            println!(
                "\ncrash: trial {trial} of seed {} failed; the data is kept in {}",
                options.seed,
                options.directory.display()
            );
            println!("{report}");
            println!("\n{} passed, 1 failed", trial - 1);
            return ExitCode::FAILURE;
        }
        progress.show(trial, &shared.with(|ledger| ledger.summary()));
    }
    progress.end();
    if options.fill_disk {
        let refused = load::REFUSED.load(Ordering::Relaxed);
        println!("crash: {refused} requests were refused since the disk was full");
    }
    let size = directory_size(&options.directory);
    println!("crash: {}", shared.with(|ledger| ledger.summary()));
    println!(
        "crash: {:.1} s, {:.1} MiB on disk at the end",
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
    shared: &Arc<Shared>,
    ballast: Option<&Ballast>,
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
    shared.with(|ledger| ledger.restarted_within(recovery));
    let address = server.address();
    if trial == 1 {
        load::create_queues(address)?;
    }
    audit::run(address, shared, &mut random, ballast)?;
    if shared.with(|ledger| ledger.has_violations()) {
        server.kill()?;
        return Ok(());
    }

    if let Some(ballast) = ballast {
        ballast.fill(random.below(MOST_ROOM))?;
    }
    let clients = load::start(address, shared, &mut random, trial);
    std::thread::sleep(Duration::from_millis(20 + random.below(options.longest_load_ms)));
    server.kill()?;
    for client in clients {
        client.join().map_err(|_| "a client panicked".to_owned())??;
    }
    shared.with(|ledger| ledger.record(Event::Crashed));

    // The last trial's crash is audited too.
    if trial == options.trials {
        let mut server = server::spawn(program, options)?;
        server.wait_until_ready()?;
        audit::run(server.address(), shared, &mut random, ballast)?;
        server.kill()?;
    }
    Ok(())
}
