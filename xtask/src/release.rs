//! Builds the program for production with profile-guided optimisation: builds it with counters, runs a
//! training load, and builds it again with the counts.
//!
//! Both builds have their own folders, because their flags would make cargo rebuild everything of ordinary
//! builds. Both name this machine as the target, because cargo then builds macros and build scripts without
//! the flags.

mod everyday;
mod training;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::workspace::{self, cargo, show, target};

/// Builds the program in any case, and prints its path.
///
/// # Errors
///
/// The toolchain has no llvm-profdata, or a step failed.
pub fn run() -> Result<(), Box<dyn Error>> {
    let workshop = Workshop::open()?;
    let instrumented = workshop.instrumented()?;
    workshop.optimized(&instrumented)?;
    let finished = finished();
    let bytes = std::fs::metadata(&finished)?.len();
    println!("{}, {:.1} MB", finished.display(), bytes as f64 / 1e6);
    Ok(())
}

/// Returns the same program for another command: built only if something has changed since the last build.
///
/// # Errors
///
/// As [`run`].
pub fn program() -> Result<PathBuf, Box<dyn Error>> {
    let workshop = Workshop::open()?;
    let instrumented = workshop.instrumented()?;
    let optimized = workshop.built(OPTIMIZED);
    let age = |file: &Path| std::fs::metadata(file)?.modified();
    // The training load is part of this very program.
    let newest = age(&instrumented)?.max(age(&std::env::current_exe()?)?);
    match age(&optimized) {
        Ok(age) if age > newest => Ok(optimized),
        _ => workshop.optimized(&instrumented),
    }
}

/// The path of the program for the user. `cargo build --profile dist` would put a program without counts
/// there.
fn finished() -> PathBuf {
    target().join("dist/posthaste")
}

/// The folder of the program with counters.
const INSTRUMENTED: &str = "instrumented";
/// The folder of the optimised program.
const OPTIMIZED: &str = "optimized";

/// The toolchain and the machine.
struct Workshop {
    folder: PathBuf,
    /// The target triple of this machine.
    host: String,
    profdata: PathBuf,
}

impl Workshop {
    fn open() -> Result<Workshop, Box<dyn Error>> {
        let rustc = || Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let version = workspace::run(rustc().arg("-vV"))?;
        let host = host(&version).ok_or("`rustc -vV` names no host")?.to_owned();
        let sysroot = workspace::run(rustc().args(["--print", "sysroot"]))?;
        let profdata = Path::new(sysroot.trim()).join("lib/rustlib").join(&host).join("bin/llvm-profdata");
        if !profdata.exists() {
            return Err(format!("{} is missing: rustup component add llvm-tools", profdata.display()).into());
        }
        Ok(Workshop { folder: target().join("pgo"), host, profdata })
    }

    /// Returns the path of a build's program.
    fn built(&self, name: &str) -> PathBuf {
        self.folder.join(name).join(&self.host).join("dist/posthaste")
    }

    /// Builds the program with one more flag for the compiler.
    fn build(&self, name: &str, flag: &str) -> Result<PathBuf, Box<dyn Error>> {
        let mut build =
            cargo(&["build", "--locked", "--profile", "dist", "--package", "posthaste-server", "--target"]);
        build.arg(&self.host).arg("--target-dir").arg(self.folder.join(name));
        let given = |name| std::env::var(name).ok();
        build.env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags(given("CARGO_ENCODED_RUSTFLAGS"), given("RUSTFLAGS"), flag),
        );
        show(&format!("the {name} build"), &mut build)?;
        Ok(self.built(name))
    }

    fn instrumented(&self) -> Result<PathBuf, Box<dyn Error>> {
        step("building the program that counts what it runs", || {
            self.build(INSTRUMENTED, &format!("-Cprofile-generate={}", self.counts().display()))
        })
    }

    /// The directory into which the program writes its counts when it ends.
    fn counts(&self) -> PathBuf {
        self.folder.join("counts")
    }

    /// Runs the training load and builds the optimised program; a copy of it is in `target/dist`.
    fn optimized(&self, instrumented: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let counts = self.counts();
        step("putting it to work", || {
            empty(&counts)?;
            training::train(instrumented, &counts)
        })?;
        let profile = self.folder.join("posthaste.profdata");
        step("merging the counts", || {
            let mut merge = Command::new(&self.profdata);
            show("llvm-profdata", merge.args(["merge", "--output"]).arg(&profile).arg(&counts))
        })?;
        let optimized = step("building the program with these counts", || {
            // Cargo knows only the name of the profile, not its content: it would reuse an earlier build.
            empty(&self.folder.join(OPTIMIZED).join(&self.host))?;
            self.build(OPTIMIZED, &format!("-Cprofile-use={}", profile.display()))
        })?;
        // A running program cannot be overwritten, but its name can be given to another file.
        let next = finished().with_extension("new");
        std::fs::create_dir_all(target().join("dist"))?;
        std::fs::copy(&optimized, &next)?;
        std::fs::rename(&next, finished())?;
        Ok(optimized)
    }
}

/// Runs a step, and prints its name and its duration.
fn step<T>(what: &str, work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    eprintln!("── {what}");
    let begin = Instant::now();
    let done = work()?;
    eprintln!("── {what}: took {} s", begin.elapsed().as_secs());
    Ok(done)
}

fn empty(folder: &Path) -> std::io::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)
}

/// Returns the target triple in the output of `rustc -vV`.
fn host(version: &str) -> Option<&str> {
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::trim)
}

/// Returns `CARGO_ENCODED_RUSTFLAGS` with one more flag than the user has set, by this variable or else by
/// `RUSTFLAGS`.
fn flags(encoded: Option<String>, plain: Option<String>, more: &str) -> String {
    /// The separator between flags, so that a flag may contain spaces.
    const BETWEEN: &str = "\x1f";
    let given = encoded.unwrap_or_else(|| {
        plain.unwrap_or_default().split_ascii_whitespace().collect::<Vec<_>>().join(BETWEEN)
    });
    if given.is_empty() { more.to_owned() } else { [&given, more].join(BETWEEN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_added_to_those_that_the_user_has_set() {
        let of = |encoded: Option<&str>, plain: Option<&str>| {
            flags(encoded.map(str::to_owned), plain.map(str::to_owned), "-Cmore=a b")
        };
        assert_eq!(of(None, None), "-Cmore=a b");
        assert_eq!(of(None, Some("")), "-Cmore=a b");
        assert_eq!(of(None, Some(" -Cone  -C two ")), "-Cone\x1f-C\x1ftwo\x1f-Cmore=a b");
        assert_eq!(of(Some("-Cone=a b\x1f-Ctwo"), Some("-Cnot")), "-Cone=a b\x1f-Ctwo\x1f-Cmore=a b");
    }

    #[test]
    fn the_host_is_a_line_of_the_compilers_version() {
        let version = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        assert_eq!(host(version), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(host("rustc 1.95.0"), None);
    }
}
