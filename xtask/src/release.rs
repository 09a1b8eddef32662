//! Builds the program for production: once so that it counts what it runs, then, after it was put to work, with these counts
//! (profile-guided optimisation).
//!
//! Both builds have folders of their own, since their flags would have cargo rebuild all that ordinary builds have made. Both
//! name this machine as the target, since cargo then builds macros and build scripts without the flags.

mod everyday;
mod training;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::workspace::{self, cargo, show, target};

/// Builds, whatever there is already, and says where the program is.
///
/// # Errors
///
/// If the toolchain has no llvm-profdata, or a step fails.
pub fn run() -> Result<(), Box<dyn Error>> {
    let workshop = Workshop::open()?;
    let instrumented = workshop.instrumented()?;
    workshop.optimized(&instrumented)?;
    let finished = finished();
    let bytes = std::fs::metadata(&finished)?.len();
    println!("{}, {:.1} MB", finished.display(), bytes as f64 / 1e6);
    Ok(())
}

/// The same program for a chore that needs it: built only if something has changed since it last was.
///
/// # Errors
///
/// As [`run`].
pub fn program() -> Result<PathBuf, Box<dyn Error>> {
    let workshop = Workshop::open()?;
    let instrumented = workshop.instrumented()?;
    let optimized = workshop.built(OPTIMIZED);
    let age = |file: &Path| std::fs::metadata(file)?.modified();
    // What it was trained with lies in this very program.
    let newest = age(&instrumented)?.max(age(&std::env::current_exe()?)?);
    match age(&optimized) {
        Ok(age) if age > newest => Ok(optimized),
        _ => workshop.optimized(&instrumented),
    }
}

/// Where the user finds the program. `cargo build --profile dist` would leave one there, too, that knows no counts.
fn finished() -> PathBuf {
    target().join("dist/posthaste")
}

/// The folder of the program that counts.
const INSTRUMENTED: &str = "instrumented";
/// The folder of the program that the counts made.
const OPTIMIZED: &str = "optimized";

/// The toolchain, and where it is put to use.
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

    /// Where a build leaves the program.
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

    /// Where the program that counts writes when it ends.
    fn counts(&self) -> PathBuf {
        self.folder.join("counts")
    }

    /// Trains the program that counts, and builds the one that the counts make; a copy of it is in `target/dist`.
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
            // Cargo knows the name of the profile, not what is in it: it would find what it built with the last one good.
            empty(&self.folder.join(OPTIMIZED).join(&self.host))?;
            self.build(OPTIMIZED, &format!("-Cprofile-use={}", profile.display()))
        })?;
        // A program that runs cannot be written to, but its name can be given to another.
        let next = finished().with_extension("new");
        std::fs::create_dir_all(target().join("dist"))?;
        std::fs::copy(&optimized, &next)?;
        std::fs::rename(&next, finished())?;
        Ok(optimized)
    }
}

/// Does a part of the work, says so, and says how long it took.
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

/// The target triple in what `rustc -vV` says.
fn host(version: &str) -> Option<&str> {
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::trim)
}

/// The value of `CARGO_ENCODED_RUSTFLAGS` with a flag more than the user has set, by this variable or else by `RUSTFLAGS`.
fn flags(encoded: Option<String>, plain: Option<String>, more: &str) -> String {
    /// Stands between two flags, so that a flag may have spaces in it.
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
