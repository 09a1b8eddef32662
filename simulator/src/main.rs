//! Runs simulated worlds. For a failed world it prints a command that runs the world again.

use std::process::ExitCode;

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use simulator::{Bug, Options, run};

/// Runs the server in simulated worlds, with a disk and a clock that fail, and checks its guarantees
#[derive(Parser)]
#[command(
    name = "simulator",
    after_help = "By default each seed runs three worlds: one without topics, one with topics, and one with topics that have \
                  archives and replays. The command that is printed for a failed world runs it again."
)]
struct Arguments {
    /// Number of seeds to run [default: 100, or 1 with --seed]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Run the world of this seed; with --seeds, the first of them
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Number of steps of a world
    #[arg(long, value_name = "N", default_value_t = Options::new(0).steps)]
    steps: u64,
    /// Stop at this step
    #[arg(long, value_name = "STEP")]
    until: Option<u64>,
    /// Print every event
    #[arg(long)]
    trace: bool,
    /// Only worlds with topics without archives
    #[arg(long, conflicts_with_all = ["no_topics", "archives"])]
    topics: bool,
    /// Only worlds without topics
    #[arg(long, conflicts_with = "archives")]
    no_topics: bool,
    /// Only worlds with topics with archives and replays
    #[arg(long)]
    archives: bool,
    /// Combine half of the deletes with a receive
    #[arg(long)]
    turns: bool,
    /// Let many messages of groups with long names collect, and let days pass at once
    #[arg(long)]
    crowds: bool,
    /// Plant a fault, which the checkers must find
    #[arg(long, value_name = "NAME", value_parser = bugs())]
    bug: Option<Bug>,
}

fn bugs() -> impl TypedValueParser<Value = Bug> {
    PossibleValuesParser::new(Bug::ALL.map(|(name, _)| name)).map(|name| {
        let bug = Bug::ALL.iter().find(|(known, _)| *known == name);
        bug.unwrap_or_else(|| unreachable!("only these are possible")).1
    })
}

/// Whether a world has topics and archives.
type Kind = (bool, bool);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let kinds: &[Kind] = match (arguments.no_topics, arguments.topics, arguments.archives) {
        (true, _, _) => &[(false, false)],
        (_, true, _) => &[(true, false)],
        (_, _, true) => &[(true, true)],
        _ => &[(false, false), (true, false), (true, true)],
    };
    let count = arguments.seeds.unwrap_or(if arguments.seed.is_some() { 1 } else { 100 });
    let options = Options {
        steps: arguments.steps,
        until: arguments.until,
        trace: arguments.trace,
        bug: arguments.bug,
        turns: arguments.turns,
        crowds: arguments.crowds,
        ..Options::new(0)
    };
    worlds(arguments.seed.unwrap_or(1), count, kinds, &options)
}

/// The progress; shown on terminals only.
fn bar(worlds: u64) -> ProgressBar {
    let bar = ProgressBar::new(worlds);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} worlds  {msg}  {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn worlds(first: u64, count: u64, kinds: &[Kind], options: &Options) -> ExitCode {
    let started = std::time::Instant::now();
    let mut failed = 0;
    let mut sum = simulator::Outcome::default();
    let all = (first..first + count).flat_map(|seed| kinds.iter().map(move |&kind| (seed, kind)));
    let bar = bar(count * kinds.len() as u64);
    for (seed, (topics, archives)) in all {
        match run(&Options { seed, topics, archives, ..options.clone() }) {
            Ok(outcome) => {
                bar.suspend(|| print!("{}", outcome.trace));
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
                bar.set_message(format!("{failed} wrong"));
                let bug = Bug::ALL.iter().find(|(_, bug)| Some(*bug) == options.bug);
                let bug = bug.map_or(String::new(), |(name, _)| format!(" --bug {name}"));
                let (steps, turns) = (options.steps, if options.turns { " --turns" } else { "" });
                let crowds = if options.crowds { " --crowds" } else { "" };
                let kind = match (topics, archives) {
                    (_, true) => "--archives",
                    (true, _) => "--topics",
                    (false, _) => "--no-topics",
                };
                bar.suspend(|| {
                    print!("{}", violation.trace);
                    println!("step {}: {}", violation.step, violation.what);
                    println!("cargo xtask simulate --seed {seed} {kind}{turns}{crowds} --steps {steps}{bug} --trace");
                });
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
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
