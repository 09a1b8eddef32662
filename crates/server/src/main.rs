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

mod store;

mod alarm;

mod descriptors;

mod health;

mod check;
mod repair;

mod scrub;

mod clock;

mod allocator;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::Mimalloc = allocator::Mimalloc;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// A durable messaging server that speaks AWS's messaging APIs on one port.
///
/// Without a command it serves: point any AWS SDK at http://127.0.0.1:4566 and use any credentials.
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
  posthaste --in-memory --virtual-clock            for tests: nothing survives, time moves when told to
  posthaste --listen 127.0.0.1:9324 --data /var/lib/posthaste --init queues.toml
  posthaste check ./posthaste-data                 verify a data directory
  posthaste health http://127.0.0.1:4566           exit code 0 if a server answers there and is well
  posthaste bench send drain                       measure any SQS endpoint

  aws --endpoint-url http://127.0.0.1:4566 sqs create-queue --queue-name first

Say --endpoint-url to the aws command line: its version 1 ignores AWS_ENDPOINT_URL for sqs and would ask AWS itself.";

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant)] // There is one, once.
enum Chore {
    /// Serve (what a bare call does)
    Serve(options::ServeOptions),
    /// Verify a data directory and say what it holds; changes nothing
    Check {
        /// The data directory
        directory: std::path::PathBuf,
    },
    /// Make a damaged data directory one that starts again: what is damaged is set aside, what is sound is kept
    Repair {
        /// The data directory
        directory: std::path::PathBuf,
    },
    /// Say whether a server answers and is well: exit code 0 if it is, 1 if not. For containers and scripts
    Health {
        /// Where the server is: http://HOST:PORT [default: where --listen or POSTHASTE_LISTEN says]
        url: Option<String>,
        /// The address that the server listens on
        #[arg(long, value_name = "HOST:PORT", env = "POSTHASTE_LISTEN", hide_env_values = true)]
        listen: Option<String>,
    },
    /// Load an SQS or SNS endpoint, this server's or another's, and measure it
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    // Huge pages make an idle server ten times as large as it is. The allocator asks for none (its feature `no_thp`: it
    // would before this line); this is for systems that give them unasked. Where they cannot be disabled, it is just that.
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
