//! Paths of the repository and of cargo's builds, and functions for running cargo and other programs.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of the repository.
pub fn root() -> PathBuf {
    // Cargo passes the folder of xtask here; the repository is its parent.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Returns the folder of cargo's builds.
pub fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Returns a command for the current cargo, in the repository.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root());
    cargo
}

/// Runs a command to its end, with its output on the terminal.
///
/// # Errors
///
/// The command cannot be started, or fails: `what` failed.
pub fn show(what: &str, command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status().map_err(|error| format!("{what}: {}: {error}", name(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: failed").into()) }
}

/// Runs a command to its end and returns its standard output.
///
/// # Errors
///
/// The command cannot be started or fails; the error contains its last output.
pub fn run(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output().map_err(|error| format!("{}: {error}", name(command)))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &said;
    let end: Vec<&str> = text.lines().rev().take(8).collect();
    let end = end.into_iter().rev().collect::<Vec<_>>().join("; ");
    Err(format!("{}: {}: {end}", name(command), output.status).into())
}

fn name(command: &Command) -> String {
    command.get_program().display().to_string()
}
