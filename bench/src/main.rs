//! `posthaste-bench`: the same as `posthaste bench`, as a separate program.

use std::process::ExitCode;

use clap::Parser;

/// Loads any SQS or SNS endpoint and measures it.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(flatten)]
    arguments: posthaste_bench::Arguments,
}

fn main() -> ExitCode {
    match posthaste_bench::run(Program::parse().arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            stdio::errln!("posthaste-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
