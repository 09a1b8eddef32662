//! Runs simulated worlds. A world that goes wrong is printed as a line that runs it again.

use std::process::ExitCode;

use simulator::{Bug, Options, run};

const USAGE: &str = "\
simulator [--seeds N] [--seed S] [--steps N] [--until STEP] [--trace] [--topics | --no-topics | --archives] [--bug NAME]

  --seeds N     Run N worlds (100)
  --seed S      Run the world of this seed; with --seeds, the first of them
  --steps N     How many steps a world has (1500)
  --until STEP  Stop at this step
  --trace       Print what happens
  --topics      Only worlds with topics; otherwise each seed is one world without topics, one with topics, and one
                with topics that keep and replay what is published
  --no-topics   Only worlds without topics
  --archives    Only worlds with topics that keep and replay what is published
  --bug NAME    Build in a fault: lost-ack, resurrect, early-discard, forgotten-delivery, repeated-delivery,
                split-fan-out, repeated-replay, forgotten-archive
";

fn main() -> ExitCode {
    match parse() {
        Ok((first, count, kinds, options)) => worlds(first, count, kinds, &options),
        Err(what) => {
            eprint!("simulator: {what}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Whether there are topics, and archives.
type Kind = (bool, bool);

fn parse() -> Result<(u64, u64, &'static [Kind], Options), String> {
    let (mut seed, mut seeds) = (None, None);
    let mut kinds: &[Kind] = &[(false, false), (true, false), (true, true)];
    let mut options = Options::new(0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().ok_or(format!("{argument} needs a number"))?;
            value.parse::<u64>().map_err(|_| format!("{value} is no number"))
        };
        match &*argument {
            "--seed" => seed = Some(number()?),
            "--seeds" => seeds = Some(number()?),
            "--steps" => options.steps = number()?,
            "--until" => options.until = Some(number()?),
            "--trace" => options.trace = true,
            "--topics" => kinds = &[(true, false)],
            "--no-topics" => kinds = &[(false, false)],
            "--archives" => kinds = &[(true, true)],
            "--bug" => {
                let name = arguments.next().unwrap_or_default();
                let bug = Bug::ALL.iter().find(|(known, _)| *known == name);
                options.bug = Some(bug.ok_or(format!("there is no bug {name}"))?.1);
            }
            _ => return Err(format!("{argument}?")),
        }
    }
    let count = seeds.unwrap_or(if seed.is_some() { 1 } else { 100 });
    Ok((seed.unwrap_or(1), count, kinds, options))
}

fn worlds(first: u64, count: u64, kinds: &[Kind], options: &Options) -> ExitCode {
    let started = std::time::Instant::now();
    let mut failed = 0;
    let mut sum = simulator::Outcome::default();
    let all = (first..first + count).flat_map(|seed| kinds.iter().map(move |&kind| (seed, kind)));
    for (seed, (topics, archives)) in all {
        match run(&Options { seed, topics, archives, ..options.clone() }) {
            Ok(outcome) => {
                print!("{}", outcome.trace);
                sum.sends += outcome.sends;
                sum.deliveries += outcome.deliveries;
                sum.publishes += outcome.publishes;
                sum.attempts += outcome.attempts;
                sum.replayed += outcome.replayed;
                sum.crashes += outcome.crashes;
                sum.restarts += outcome.restarts;
                sum.discards += outcome.discards;
                sum.cuts += outcome.cuts;
                sum.full += outcome.full;
            }
            Err(violation) => {
                failed += 1;
                print!("{}", violation.trace);
                println!("step {}: {}", violation.step, violation.what);
                let bug = Bug::ALL.iter().find(|(_, bug)| Some(*bug) == options.bug);
                let bug = bug.map_or(String::new(), |(name, _)| format!(" --bug {name}"));
                let steps = options.steps;
                let kind = match (topics, archives) {
                    (_, true) => "--archives",
                    (true, _) => "--topics",
                    (false, _) => "--no-topics",
                };
                println!(
                    "cargo run --release -p posthaste-simulator -- --seed {seed} {kind} --steps {steps}{bug} --trace"
                );
            }
        }
    }
    println!(
        "{} worlds, {failed} wrong, in {:.1} s: {} messages sent, {} published, {} given, {} attempts to deliver, {} replayed; {} losses \
         of power, {} other starts, {} torn ends, {} segments dropped, {} requests refused by a full disk",
        count * kinds.len() as u64,
        started.elapsed().as_secs_f64(),
        sum.sends,
        sum.publishes,
        sum.deliveries,
        sum.attempts,
        sum.replayed,
        sum.crashes,
        sum.restarts,
        sum.cuts,
        sum.discards,
        sum.full,
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
