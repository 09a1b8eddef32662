//! Runs the simulator, built for speed, without depending on it.

use std::process::Command;

/// Hands the arguments to the simulator and runs it.
pub fn run(arguments: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--release", "--package", "posthaste-simulator", "--"]).args(arguments);
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err("a simulated world went wrong".into()) }
}
