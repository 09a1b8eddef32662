//! `tickets`: a ticket shop whose services talk through queues and topics, on SQS and SNS or anything that speaks their protocols.

// What is said, and where.
mod events;

mod settings;

mod topology;

// What is done.
mod store;

mod services;

mod consumers;

mod dead_letters;

// Watching it.
mod metrics;

mod alerts;

// The commands.
mod run;

mod operate;

mod day;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Settings;

/// A ticket shop whose services communicate through queues and topics.
///
/// The Payment, Ticket and Event Services write events to an outbox, in the same transaction as the changes. A relay
/// publishes the events. The Notification Service handles each event once, even if processes die. An event that it cannot
/// handle becomes a dead letter, which is logged, and requeued on demand.
///
/// Start with `tickets day`: it has no prerequisites and shows a day of business on your terminal.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Program {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: Settings,
}

const AFTER_HELP: &str = "\
Examples:
  tickets day --kills 3             a day of business, with kills of services and server
  tickets run                       the services, and a Posthaste if none is running
  tickets monitor                   the dead letters and their reasons
  tickets requeue                   requeues dead letters that may succeed now
  AWS_SQS_ENDPOINT=https://sqs.us-east-1.amazonaws.com \\
  AWS_SNS_ENDPOINT=https://sns.us-east-1.amazonaws.com tickets run      the same on AWS";

#[derive(Subcommand)]
enum Command {
    /// Runs the services until interrupted: relay, consumers, monitor of dead letters
    Run(run::RunOptions),
    /// Simulates a day of business, shows the events of each message, and checks that nothing is lost or done twice
    ///
    /// Bookings, a declined card, refunds, an address that does not exist, a mail server that is down for a while, unreadable
    /// messages, a cancelled event. Ends with a table, and with exit status 1 if a message was lost or handled twice.
    Day(day::DayOptions),
    /// Shows the queues and the dead letters
    Monitor(operate::MonitorOptions),
    /// Requeues dead letters into the queues that they came from
    Requeue(operate::RequeueOptions),
    /// Creates queues, dead-letter queues, topics and subscriptions, and prints them
    Setup,
}

fn main() -> ExitCode {
    let mut program = Program::parse();
    program.settings = program.settings.or_as_the_sdks_find_them();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tickets: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let endpoint = program.settings.endpoints().0.to_owned();
    match runtime.block_on(execute(program)) {
        Ok(code) => code,
        Err(error) => {
            let fault = error.downcast_ref::<toolkit::Fault>();
            match fault.is_some_and(|fault| fault.code == "Connection") {
                true => eprintln!("tickets: {endpoint} does not answer ({error})"),
                false => eprintln!("tickets: {error}"),
            }
            ExitCode::FAILURE
        }
    }
}

async fn execute(program: Program) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Program { command, settings } = program;
    if let Command::Day(options) = command {
        // The day prints its own output; the services' logs go to a file.
        return day::day(settings, &options).await;
    }
    let level = match std::env::var("TICKETS_LOG") {
        Ok(level) => {
            level.parse().map_err(|_| "TICKETS_LOG is not one of error, warn, info, debug, trace")?
        }
        Err(_) if matches!(command, Command::Run(_)) => tracing::Level::INFO,
        // These commands print their result; the log would repeat it.
        Err(_) => tracing::Level::ERROR,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).init();
    let _server = settings.start_server_if_needed()?;
    match command {
        Command::Run(options) => run::run(&settings, &options).await?,
        Command::Monitor(options) => operate::monitor(&settings, &options).await?,
        Command::Requeue(options) => operate::requeue(&settings, &options).await?,
        Command::Setup => operate::setup(&settings).await?,
        Command::Day(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}
