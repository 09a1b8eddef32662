//! Runs the server for hours under mixed traffic, on a small disk, and sees that nothing grows. The work is done by `conformance/crash`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;

use crate::workspace::{cargo, root, run as ask, show, target};

/// What the user may ask for.
#[derive(Parser)]
#[command(
    name = "cargo xtask soak",
    about = "Mixed traffic at half of the saturated rate, with kills, jumps of the clock, slow readers and hanging endpoints"
)]
struct Options {
    /// How long
    #[arg(long, default_value_t = 2.0, value_name = "HOURS", conflicts_with = "seconds")]
    hours: f64,
    /// How long, in seconds: a minute or two, to see that all works
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// The disk's size. A file system in memory of this size, which needs root; others use the disk that is there
    #[arg(long, default_value_t = 2048, value_name = "MIB")]
    disk: u64,
    /// About how often the server is killed, in seconds
    #[arg(long, default_value_t = 20, value_name = "N")]
    kill_every: u64,
    /// What "acknowledged" means: `fsync` or `os`
    #[arg(long, default_value = "os", value_name = "WORD")]
    durability: String,
    /// Use this `posthaste` instead of building one
    #[arg(long, value_name = "PROGRAM")]
    posthaste: Option<PathBuf>,
}

/// Builds what is needed, and runs it.
///
/// # Errors
///
/// If something cannot be built; if memory, disk or descriptors grew, the server answered what AWS would not, or a message was lost.
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
        // What happened is to be looked at: disk and folder stay.
        std::mem::forget(disk);
        return result.map_err(|error| format!("{error}; all is kept in {}", folder.keep().display()).into());
    }
    Ok(())
}

/// A file system in memory, of a fixed size; it goes with this value.
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
