//! Hours of mixed traffic at half of the rate that the server can take, on a small disk, with kills, jumps of the clock, clients that read
//! slowly and subscribers that never answer: memory and disk must stay flat, no answer may be one that AWS would not give, and nothing
//! acknowledged may be lost.
//!
//! The server's clock is virtual: this program moves it as time passes, and now and then further.

mod measure;
mod pace;
mod subscriber;
mod traffic;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance_crash::http::Client;
use conformance_crash::options::Options;
use conformance_crash::random::Random;
use conformance_crash::server::{self, Server};
use measure::Samples;
use world::World;

const USAGE: &str =
    "soak [--seconds N] [--kill-every N] [crash's options: --seed, --durability, --data, --keep]

  --seconds N      how long [60]
  --kill-every N   the server is killed about that often, in seconds [20]
  --data DIR       an empty folder; its file system is the small disk";

/// What this program is told besides what all of this package are told.
struct Told {
    seconds: u64,
    kill_every: u64,
    options: Options,
}

fn main() -> ExitCode {
    let told = match told() {
        Ok(told) => told,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    let Some(program) = told.options.program.clone() else {
        eprintln!("soak: set POSTHASTE_BIN to the program to start");
        return ExitCode::from(2);
    };
    println!(
        "soak: {} s of {program} with --durability {}, seed {}, data in {}",
        told.seconds,
        told.options.durability,
        told.options.seed,
        told.options.directory.display()
    );
    match run(&told, &program) {
        Ok(()) => {
            if !told.options.keep {
                let _ = std::fs::remove_dir_all(&told.options.directory);
            }
            println!("\n1 passed, 0 failed");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("\nsoak: failed; the data is kept in {}\n{why}", told.options.directory.display());
            println!("\n0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

fn told() -> Result<Told, String> {
    let (mut seconds, mut kill_every) = (60, 20);
    let mut rest = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let place = match word.as_str() {
            "--seconds" => &mut seconds,
            "--kill-every" => &mut kill_every,
            "--help" => return Err(USAGE.to_owned()),
            _ => {
                rest.push(word);
                continue;
            }
        };
        let value = words.next().and_then(|value| value.parse().ok()).filter(|value| *value > 0);
        *place = value.ok_or_else(|| format!("{word} needs a number\n\n{USAGE}"))?;
    }
    let mut options = Options::from_words(rest.into_iter(), 500)?.without_large_and_full()?;
    options.flags.push("--virtual-clock".to_owned());
    Ok(Told { seconds, kill_every, options })
}

fn run(told: &Told, program: &str) -> Result<(), String> {
    let mut random = Random::new(told.options.seed);
    let mut server = started(program, &told.options)?;
    let world = Arc::new(World::new(server.address()));
    let subscribers = subscriber::start().map_err(|error| format!("no port: {error}"))?;
    traffic::prepare(server.address(), &subscribers)?;
    let clients = traffic::start(&world, &mut random);
    world.wait_for_confirmation(&subscribers)?;

    // As fast as it goes, for a part of the time that is no more than ten seconds; then at half of that.
    let full = Duration::from_secs((told.seconds / 6).clamp(2, 10));
    let begun = Instant::now();
    while begun.elapsed() < full {
        tick(&world, begun.elapsed());
        world.check()?;
    }
    let rate = world.answered() as f64 / begun.elapsed().as_secs_f64();
    world.pace.set(rate / 2.0);
    println!("soak: {rate:.0} answers a second at most; from now on half as many");

    let mut samples = Samples::new(Duration::from_secs(told.seconds));
    let end = begun + Duration::from_secs(told.seconds);
    let mut kill_at = next_kill(told, &mut random);
    let mut jump_at = Instant::now() + Duration::from_secs(7);
    let (mut kills, mut jumps) = (0, 0);
    let mut shown = Instant::now();
    while Instant::now() < end {
        tick(&world, begun.elapsed());
        world.check()?;
        samples.take(&server, &told.options.directory)?;
        if Instant::now() >= jump_at {
            let seconds = [1, 31, 61, 600][random.below(4) as usize];
            world.jump(Duration::from_secs(seconds));
            jumps += 1;
            jump_at = Instant::now() + Duration::from_secs(5 + random.below(25));
        }
        if Instant::now() >= kill_at {
            world.begin_to_kill();
            server.kill()?;
            server = started(program, &told.options)?;
            world.lives_again(server.address());
            kills += 1;
            kill_at = next_kill(told, &mut random);
        }
        if shown.elapsed() > Duration::from_secs(10) {
            shown = Instant::now();
            let left = end.saturating_duration_since(shown).as_secs();
            println!(
                "soak: {} answers, {} kills, {jumps} jumps; {}; {left} s to go",
                world.answered(),
                kills,
                samples.last()
            );
        }
    }
    world.stop();
    for client in clients {
        client.join().map_err(|_| "a client panicked".to_owned())?;
    }
    world.check()?;
    println!("soak: {}", world.tell());
    traffic::nothing_is_lost(server.address(), &world)?;
    samples.are_flat()?;
    server.kill()
}

fn next_kill(told: &Told, random: &mut Random) -> Instant {
    let least = told.kill_every.div_ceil(2);
    Instant::now() + Duration::from_secs(least + random.below(told.kill_every))
}

fn started(program: &str, options: &Options) -> Result<Server, String> {
    let mut server = server::spawn(program, options)?;
    server.wait_until_ready()?;
    Ok(server)
}

/// A moment passes, here and at the server.
fn tick(world: &World, since_begin: Duration) {
    std::thread::sleep(Duration::from_millis(50));
    let mut client = Client::new(world.address());
    let by = world.time_to_pass(since_begin);
    // A server that is gone is seen elsewhere.
    let _ = client.post("/_posthaste/clock", &format!("{{\"advance\": \"{}ms\"}}", by.as_millis()));
}
