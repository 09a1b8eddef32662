//! Measures our server, the bare server and the peers in one run, and writes BENCHMARKS.md.
//!
//! Each round restarts every contender, and runs each task on one after the other; rounds repeat. A ratio is
//! computed within each round, between measurements that are close in time. The page reports the median of
//! the rounds and their spread. The machine is shared and its speed drifts, but less within a task than
//! between rounds or runs.

mod backlog;
mod cliffs;
pub mod contenders;
mod footprint;
mod page;
pub mod process;
mod sections;
mod services;
pub mod tasks;
mod topics;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

use contenders::{Contender, Kitchen};

use crate::release;
use crate::workspace::{cargo, root, show, target};

/// Options of `cargo xtask bench`.
#[derive(Parser)]
#[command(
    name = "cargo xtask bench",
    about = "Measures ours, the bare server and the peers; writes BENCHMARKS.md"
)]
pub struct Options {
    /// Only these contenders: ours, ours-os, ours-fsync, ours-memory, bare, peers, fauxqs, moto, ministack, elasticmq
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// One short round of the main tasks, with an ordinary release build: a trial run, not for numbers
    #[arg(long)]
    quick: bool,
    /// Number of rounds of the comparison
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Also measure ten million waiting messages and a million FIFO groups; takes minutes and 10 GiB of disk
    #[arg(long)]
    backlog: bool,
    /// Number of messages for --backlog
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    backlog_messages: u64,
    /// Leave out the cost of topics, filters and pending deliveries
    #[arg(long)]
    no_topics: bool,
    /// Leave the comparison out
    #[arg(long)]
    no_comparison: bool,
    /// Only sweep each dimension from small to large (queues, groups, filters, …), with a light client at the
    /// same time; writes only that section of BENCHMARKS.md. Takes about ten minutes
    #[arg(long)]
    cliffs: bool,
    /// With --cliffs: only dimensions whose names contain one of these; the table is printed, not written
    #[arg(long, value_delimiter = ',', value_name = "PARTS", requires = "cliffs")]
    dimensions: Vec<String>,
    /// Only measure events, workflows and schedules next to queues and topics; writes only that section of BENCHMARKS.md. Takes
    /// about five minutes
    #[arg(long, conflicts_with = "cliffs")]
    services: bool,
    /// Use this `posthaste` instead of building one as `cargo xtask release` does
    #[arg(long, value_name = "PROGRAM")]
    posthaste: Option<PathBuf>,
    /// Output file [default: BENCHMARKS.md; with --quick or --only target/benchmarks.md]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The results of one run.
pub struct Findings {
    /// How our program was built.
    pub built: String,
    /// The contenders that took part, in order.
    pub contenders: Vec<Contender>,
    /// Contenders that could not take part, with the reason.
    pub absent: Vec<(Contender, String)>,
    /// The comparison.
    pub comparison: tasks::Comparison,
    /// The cost of topics, if our server took part.
    pub topics: Option<topics::Topics>,
    /// Start, memory, size and idle CPU, if our server took part.
    pub footprint: Option<footprint::Footprint>,
    /// The backlog, if requested.
    pub backlog: Option<backlog::Backlog>,
}

/// Measures and writes the page.
///
/// # Errors
///
/// Something cannot be built, started, or written. A contender whose checks fail is shown as such, and is not
/// an error.
pub fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    let options = Options::parse_from([&["bench"], words].concat());
    let (posthaste, built) = ours(&options)?;
    let mut kitchen = Kitchen::build(posthaste)?;
    if options.cliffs {
        let section = cliffs::measure(&kitchen, options.quick, &options.dimensions)?;
        let is_whole = options.dimensions.is_empty();
        return write_section(&section, is_whole, &options);
    }
    if options.services {
        return write_section(&services::measure(&kitchen, options.quick)?, true, &options);
    }
    let mut contenders = contenders::select(&options.only)?;
    let mut absent = Vec::new();
    contenders.retain(|&contender| match kitchen.install(contender) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{}: {error}", contender.name());
            absent.push((contender, error.to_string()));
            false
        }
    });
    let mut comparison = tasks::Comparison::default();
    if !options.no_comparison {
        let rounds = if options.quick { 1 } else { options.rounds.max(1) };
        for round in 1..=rounds {
            eprintln!("round {round} of {rounds}");
            tasks::run(&kitchen, &contenders, options.quick, &mut comparison)?;
            comparison.end_round();
        }
    }
    let ours = contenders.iter().any(|contender| contender.is_ours());
    let topics = match ours && !options.no_topics {
        true => Some(topics::measure(&kitchen, options.quick)?),
        false => None,
    };
    let footprint = if ours { Some(footprint::measure(&kitchen, options.quick)?) } else { None };
    let backlog = match options.backlog {
        true => Some(backlog::measure(&kitchen, options.backlog_messages)?),
        false => None,
    };
    let findings = Findings { built, contenders, absent, comparison, topics, footprint, backlog };
    let partial = options.quick || !options.only.is_empty() || options.no_comparison || options.no_topics;
    let out = options.out.unwrap_or_else(|| match partial {
        true => target().join("benchmarks.md"),
        false => root().join("BENCHMARKS.md"),
    });
    let mut page = page::write(&findings, words);
    // The sections that commands of their own wrote earlier are kept.
    let before = std::fs::read_to_string(&out).unwrap_or_default();
    for heading in [services::HEADING, cliffs::HEADING] {
        if let Some(section) = sections::in_page(&before, heading) {
            page = sections::put(&page, section);
        }
    }
    std::fs::write(&out, &page).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    println!("{page}");
    eprintln!("written to {}", out.display());
    Ok(())
}

/// Prints a section, and puts it into the page if it is whole and no trial.
fn write_section(section: &str, is_whole: bool, options: &Options) -> Result<(), Box<dyn Error>> {
    println!("{section}");
    let out = match &options.out {
        Some(out) => out.clone(),
        None if options.quick || !is_whole => return Ok(()),
        None => root().join("BENCHMARKS.md"),
    };
    let cannot = |what: &str, error: std::io::Error| format!("cannot {what} {}: {error}", out.display());
    let page = match std::fs::read_to_string(&out) {
        Ok(page) => page,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(cannot("read", error).into()),
    };
    std::fs::write(&out, sections::put(&page, section)).map_err(|error| cannot("write", error))?;
    eprintln!("written to {}", out.display());
    Ok(())
}

/// Returns the program to measure, and how it was built.
fn ours(options: &Options) -> Result<(PathBuf, String), Box<dyn Error>> {
    if let Some(program) = &options.posthaste {
        return Ok((program.clone(), format!("the program {}, as it was given", program.display())));
    }
    if options.quick {
        show("ours", &mut cargo(&["build", "--release", "--package", "posthaste-server"]))?;
        return Ok((target().join("release/posthaste"), "built by `cargo build --release`".into()));
    }
    Ok((release::program()?, "built by `cargo xtask release`, with profile-guided optimisation".into()))
}
