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

/// A ticket shop whose services talk through queues and topics.
///
/// Payment, Ticket and Event Service write their events to an outbox, in the same transaction as what they tell of. A relay
/// publishes them. The Notification Service handles each of them once, whatever dies meanwhile; what it cannot handle becomes
/// a dead letter, which is logged, and put back when you say so.
///
/// Begin with `tickets day`: it needs nothing, and shows a day of the shop's business on your terminal.
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
  tickets day --kills 3             a day of business, with services and server killed in the middle
  tickets run                       the services, and a Posthaste if none is running
  tickets monitor                   what lies among the dead letters, and why
  tickets requeue                   puts back what may succeed now
  AWS_SQS_ENDPOINT=https://sqs.us-east-1.amazonaws.com \\
  AWS_SNS_ENDPOINT=https://sns.us-east-1.amazonaws.com tickets run      the same on AWS";

#[derive(Subcommand)]
enum Command {
    /// Runs the services until interrupted: relay, consumers, monitor of dead letters
    Run(run::RunOptions),
    /// Plays a day of business, shows what happens to each message, and checks that nothing is lost or done twice
    ///
    /// Bookings, a declined card, refunds, an address that does not exist, a mail server that is down for a while, messages that
    /// nobody can read, an event that is called off. Ends with a table, and with status 1 if a message was lost or handled twice.
    Day(day::DayOptions),
    /// Shows the queues, and what lies among the dead letters
    Monitor(operate::MonitorOptions),
    /// Puts dead letters back into the queues that they came from
    Requeue(operate::RequeueOptions),
    /// Makes queues, dead-letter queues, topics and subscriptions, and says what they are
    Setup,
}

fn main() -> ExitCode {
    let mut program = Program::parse();
    program.settings = program.settings.or_as_the_sdks_find_them();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tickets: no threads: {error}");
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
        // Its own output is the story; the services' logs go to a file.
        return day::day(settings, &options).await;
    }
    let level = match std::env::var("TICKETS_LOG") {
        Ok(level) => {
            level.parse().map_err(|_| "TICKETS_LOG is not one of error, warn, info, debug, trace")?
        }
        Err(_) if matches!(command, Command::Run(_)) => tracing::Level::INFO,
        // What is asked for is printed; the log would say it again.
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
