//! Runs the simulator, built for speed, without depending on it.

use std::process::Command;

/// Hands the arguments to the simulator and runs it.
pub fn run(arguments: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--release", "--package", "posthaste-simulator", "--"]).args(arguments);
    match command.status()?.code() {
        Some(0) => Ok(()),
        Some(1) => Err("a simulated world went wrong".into()),
        _ => Err("the simulator was not run".into()),
    }
}
