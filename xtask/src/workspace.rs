//! Where the repository lies, where cargo builds, and how a chore calls cargo and other programs.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the repository.
pub fn root() -> PathBuf {
    // Cargo runs xtask with its own folder here; the repository is the one above.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The folder that cargo builds in.
pub fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The cargo that runs this, in the repository.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root());
    cargo
}

/// Runs a command to its end, in sight of the user.
///
/// # Errors
///
/// If it cannot be started or fails: `what` failed.
pub fn show(what: &str, command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status().map_err(|error| format!("{what}: {}: {error}", name(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: failed").into()) }
}

/// Runs a command to its end and returns what it wrote to its standard output.
///
/// # Errors
///
/// If it cannot be started or fails, with the last that it said.
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
