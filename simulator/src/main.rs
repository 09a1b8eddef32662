//! Runs simulated worlds. A world that goes wrong is printed as a line that runs it again.

use std::process::ExitCode;

use simulator::{Bug, Options, run};

const USAGE: &str = "\
simulator [--seeds N] [--seed S] [--steps N] [--until STEP] [--trace] [--bug NAME]

  --seeds N     Run N worlds (100)
  --seed S      Run the world of this seed; with --seeds, the first of them
  --steps N     How many steps a world has (1500)
  --until STEP  Stop at this step
  --trace       Print what happens
  --bug NAME    Build in a fault: lost-ack, resurrect, early-discard
";

fn main() -> ExitCode {
    match parse() {
        Ok((first, count, options)) => worlds(first, count, &options),
        Err(what) => {
            eprint!("simulator: {what}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse() -> Result<(u64, u64, Options), String> {
    let (mut seed, mut seeds) = (None, None);
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
            "--bug" => {
                let name = arguments.next().unwrap_or_default();
                let bug = Bug::ALL.iter().find(|(known, _)| *known == name);
                options.bug = Some(bug.ok_or(format!("there is no bug {name}"))?.1);
            }
            _ => return Err(format!("{argument}?")),
        }
    }
    let count = seeds.unwrap_or(if seed.is_some() { 1 } else { 100 });
    Ok((seed.unwrap_or(1), count, options))
}

fn worlds(first: u64, count: u64, options: &Options) -> ExitCode {
    let started = std::time::Instant::now();
    let mut failed = 0;
    let mut sum = simulator::Outcome::default();
    for seed in first..first + count {
        match run(&Options { seed, ..options.clone() }) {
            Ok(outcome) => {
                print!("{}", outcome.trace);
                sum.sends += outcome.sends;
                sum.deliveries += outcome.deliveries;
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
                println!(
                    "cargo run --release -p posthaste-simulator -- --seed {seed} --steps {steps}{bug} --trace"
                );
            }
        }
    }
    println!(
        "{count} worlds, {failed} wrong, in {:.1} s: {} messages sent, {} given; {} losses of power, {} other starts, \
         {} torn ends, {} segments dropped, {} requests refused by a full disk",
        started.elapsed().as_secs_f64(),
        sum.sends,
        sum.deliveries,
        sum.crashes,
        sum.restarts,
        sum.cuts,
        sum.discards,
        sum.full,
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
