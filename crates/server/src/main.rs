//! The program `posthaste`.

// `println!` and `eprintln!` panic if the output cannot be written. The macros of `stdio` do not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod logging;
mod options;

mod serve;

mod listener;

mod lines;

mod budget;

mod web;

mod address;
mod door;

mod admin;

mod peek;

mod init;

mod damage;
mod deliverer;
mod engine;
mod failures;
mod packing;
mod signing;

mod mailbox;

mod mover;
mod store;
mod streams;

mod alarm;

mod descriptors;

mod health;
mod histories;

mod check;
mod repair;
mod requests;

mod scrub;

mod clock;

mod allocator;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::Mimalloc = allocator::Mimalloc;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// A durable messaging server that speaks AWS's messaging APIs on one port.
///
/// Without a command the program starts the server: point any AWS SDK at http://127.0.0.1:4566 and use any credentials.
#[derive(Parser)]
#[command(name = "posthaste", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Chore>,

    #[command(flatten)]
    serve: options::ServeOptions,
}

const EXAMPLES: &str = "\
Examples:
  posthaste                                        serve on 127.0.0.1:4566, data in ./posthaste-data
  posthaste --in-memory --virtual-clock            for tests: nothing survives, time moves on request
  posthaste --listen 127.0.0.1:9324 --data /var/lib/posthaste --init queues.toml
  posthaste check ./posthaste-data                 verify a data directory
  posthaste health http://127.0.0.1:4566           exit code 0 if a healthy server answers
  posthaste bench send drain                       measure any SQS endpoint

  aws --endpoint-url http://127.0.0.1:4566 sqs create-queue --queue-name first

Give the aws command line --endpoint-url: its version 1 ignores AWS_ENDPOINT_URL for sqs and sends requests to AWS.";

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant)] // Only one value exists.
enum Chore {
    /// Start the server (the default)
    Serve(options::ServeOptions),
    /// Verify a data directory and list its content; changes nothing
    Check {
        /// The data directory
        directory: std::path::PathBuf,
    },
    /// Make a damaged data directory usable again: sets damaged bytes aside and keeps all valid records
    Repair {
        /// The data directory
        directory: std::path::PathBuf,
    },
    /// Check whether a server is healthy: exit code 0 if it is, 1 if not. For containers and scripts
    Health {
        /// URL of the server: http://HOST:PORT [default: the address of --listen or POSTHASTE_LISTEN]
        url: Option<String>,
        /// The address that the server listens on
        #[arg(long, value_name = "HOST:PORT", env = "POSTHASTE_LISTEN", hide_env_values = true)]
        listen: Option<String>,
    },
    /// Measure an SQS or SNS endpoint, of this or another server, under load
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    // With huge pages an idle server takes ten times the memory. The allocator does not request them (its feature `no_thp`,
    // because it starts before this line). This call is for systems that use them by default. A failure has no other effect.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let serve = |options: options::ServeOptions, matches: &clap::ArgMatches| {
        let settings = options.settle(matches).decide()?;
        logging::start(&settings.log);
        serve::run(settings)
    };
    let result: Result<(), Box<dyn std::error::Error>> = match cli.command {
        None => serve(cli.serve, &matches),
        Some(Chore::Serve(options)) => {
            serve(options, matches.subcommand_matches("serve").unwrap_or(&matches))
        }
        Some(Chore::Check { directory }) => check::run(&directory),
        Some(Chore::Repair { directory }) => repair::run(&directory),
        Some(Chore::Health { url, listen }) => health::run(url.as_deref(), listen.as_deref()),
        Some(Chore::Bench(arguments)) => bench::run(arguments).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::end(&*error);
            ExitCode::FAILURE
        }
    }
}
