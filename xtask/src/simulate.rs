//! Runs the simulator, built for speed, without depending on it.

use crate::workspace::cargo;

/// Runs the simulator with these arguments.
pub fn run(arguments: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let mut command = cargo(&["run", "--quiet", "--release", "--package", "posthaste-simulator", "--"]);
    match command.args(arguments).status()?.code() {
        Some(0) => Ok(()),
        Some(1) => Err("a simulated world went wrong".into()),
        _ => Err("the simulator was not run".into()),
    }
}
