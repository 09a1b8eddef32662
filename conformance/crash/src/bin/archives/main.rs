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
use std::time::{Duration, Instant};

use conformance_crash::options::Options;
use conformance_crash::progress::{Progress, directory_size};
use conformance_crash::random::Random;
use conformance_crash::server;
use load::Ledger;

fn main() -> ExitCode {
    let options = match Options::from_arguments(2000).and_then(Options::without_large_and_full) {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    // A checker that notices nothing would call every server good: it is tested before it is believed.
    match audit::test() {
        Ok(count) => println!("archives: the checker noticed all {count} doctored histories"),
        Err(silence) => {
            eprintln!("archives: the checker is broken: {silence}");
            return ExitCode::FAILURE;
        }
    }
    if options.self_test {
        return ExitCode::SUCCESS;
    }
    let Some(program) = options.program.clone() else {
        eprintln!("archives: set POSTHASTE_BIN to the program to start");
        return ExitCode::from(2);
    };
    println!(
        "archives: {} trials of {program} with --durability {}, seed {}, data in {}",
        options.trials,
        options.durability,
        options.seed,
        options.directory.display()
    );
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let begun = Instant::now();
    let mut progress = Progress::new(options.trials);
    for trial in 1..=options.trials {
        if let Err(report) = run_trial(&options, &program, trial, &ledger) {
            progress.end();
            let data = options.directory.display();
            println!("\narchives: trial {trial} of seed {} failed; the data is kept in {data}", options.seed);
            println!("{report}");
            println!("\n{} passed, 1 failed", trial - 1);
            return ExitCode::FAILURE;
        }
        progress.show(trial, &load::lock(&ledger).summary());
    }
    progress.end();
    println!("archives: {}", load::lock(&ledger).summary());
    println!(
        "archives: {:.1} s, {:.1} MiB on disk at the end",
        begun.elapsed().as_secs_f64(),
        directory_size(&options.directory) as f64 / 1048576.0
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
    ledger: &Arc<Mutex<Ledger>>,
) -> Result<(), String> {
    let mut random = Random::new(options.seed ^ (u64::from(trial) << 32));
    // Now and then it dies while it still recovers.
    if random.below(8) == 0 {
        let mut server = server::spawn(program, options)?;
        std::thread::sleep(Duration::from_millis(random.below(40)));
        server.kill()?;
    }
    let mut server = server::spawn(program, options)?;
    server.wait_until_ready()?;
    let address = server.address();
    if trial == 1 {
        load::create_topic(address)?;
    } else {
        audit::run(address, trial - 1, ledger)?;
    }
    load::subscribe(address, trial)?;
    let clients = load::start(address, ledger, &mut random);
    std::thread::sleep(Duration::from_millis(20 + random.below(options.longest_load_ms)));
    server.kill()?;
    for client in clients {
        client.join().map_err(|_| "a client panicked".to_owned())??;
    }
    if trial == options.trials {
        let mut server = server::spawn(program, options)?;
        server.wait_until_ready()?;
        audit::run(server.address(), trial, ledger)?;
        // The archive alone, with nothing that came besides.
        load::subscribe(server.address(), trial + 1)?;
        audit::run(server.address(), trial + 1, ledger)?;
        server.kill()?;
    }
    Ok(())
}
