//! A bare hyper server to measure others against; see `posthaste_bench::bare` for what its number means and what it does
//! not. Run the client with `--no-checks` against it.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use posthaste_bench::bare::BareServer;

/// Answers SQS's requests with constant bytes: the ceiling that HTTP sets.
#[derive(Parser)]
struct Program {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:4599")]
    listen: SocketAddr,
    /// Threads, each with its own runtime and listening socket
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(2, usize::from))]
    threads: usize,
    /// Bytes of each message that ReceiveMessage answers with
    #[arg(long, default_value_t = 1024)]
    size: usize,
}

fn main() -> ExitCode {
    let program = Program::parse();
    let served = BareServer::start(program.listen, program.threads.max(1), program.size).and_then(|server| {
        println!("bare server ready on http://{}", server.address);
        server.join()
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare_hyper: {}: {error}", program.listen);
            ExitCode::FAILURE
        }
    }
}
