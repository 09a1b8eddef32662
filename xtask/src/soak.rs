//! Runs the server for hours under mixed traffic, on a small disk, and checks that nothing grows. The work is
//! done by `conformance/crash`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;

use crate::workspace::{cargo, root, run as ask, show, target};

/// Options of `cargo xtask soak`.
#[derive(Parser)]
#[command(
    name = "cargo xtask soak",
    about = "Mixed traffic at half of the saturated rate, with kills, jumps of the clock, slow readers and hanging endpoints"
)]
struct Options {
    /// Duration in hours
    #[arg(long, default_value_t = 2.0, value_name = "HOURS", conflicts_with = "seconds")]
    hours: f64,
    /// Duration in seconds: a minute or two for a trial
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Size of the disk: a file system in memory, which needs root; without root the existing disk is used
    #[arg(long, default_value_t = 2048, value_name = "MIB")]
    disk: u64,
    /// Approximate interval of the kills, in seconds
    #[arg(long, default_value_t = 20, value_name = "N")]
    kill_every: u64,
    /// What an acknowledgement guarantees: `fsync` or `os`
    #[arg(long, default_value = "os", value_name = "WORD")]
    durability: String,
    /// Use this `posthaste` instead of building one
    #[arg(long, value_name = "PROGRAM")]
    posthaste: Option<PathBuf>,
}

/// Builds the programs, and runs the soak test.
///
/// # Errors
///
/// A build failed; memory, disk or descriptors grew; the server gave an answer that AWS would not give; or a
/// message was lost.
pub fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    let options = Options::parse_from([&["soak"], words].concat());
    let posthaste = match &options.posthaste {
        Some(program) => std::path::absolute(program)?,
        None => {
            show("the program", &mut cargo(&["build", "--release", "--package", "posthaste-server"]))?;
            target().join("release/posthaste")
        }
    };
    let suites = target().join("suites");
    let manifest = root().join("conformance/crash/Cargo.toml");
    let manifest = manifest.to_string_lossy();
    let build = ["build", "--quiet", "--release", "--locked", "--bin", "soak", "--manifest-path", &manifest];
    show("the clients", cargo(&build).env("CARGO_TARGET_DIR", &suites))?;

    let folder = tempfile::Builder::new().prefix("posthaste-soak-").tempdir()?;
    let disk = Disk::mount(folder.path(), options.disk);
    let seconds = options.seconds.unwrap_or((options.hours * 3600.0) as u64).max(1);
    let mut soak = Command::new(suites.join("release/soak"));
    soak.arg("--seconds").arg(seconds.to_string());
    soak.arg("--kill-every").arg(options.kill_every.to_string());
    soak.arg("--durability").arg(&options.durability);
    soak.arg("--data").arg(folder.path().join("data")).env("POSTHASTE_BIN", posthaste);
    let result = show("soak", &mut soak);
    if result.is_err() {
        // The disk and the folder are kept for analysis.
        std::mem::forget(disk);
        return result.map_err(|error| format!("{error}; all is kept in {}", folder.keep().display()).into());
    }
    Ok(())
}

/// A file system in memory, of a fixed size; it is removed when this value is dropped.
struct Disk<'a>(Option<&'a Path>);

impl<'a> Disk<'a> {
    fn mount(folder: &'a Path, mib: u64) -> Disk<'a> {
        let size = format!("size={mib}m");
        let mount =
            ask(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "posthaste-soak"]).arg(folder));
        match mount {
            Ok(_) => Disk(Some(folder)),
            Err(error) => {
                eprintln!(
                    "soak: no disk of {mib} MiB ({error}): the data lies on the disk of {}",
                    folder.display()
                );
                Disk(None)
            }
        }
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        if let Some(folder) = self.0
            && let Err(error) = ask(Command::new("umount").arg(folder))
        {
            eprintln!("soak: {} is still mounted: {error}", folder.display());
        }
    }
}
