//! Makes the documentation from what the tests' build has made already.
//!
//! `cargo doc` reads all dependencies once more, in a form of their own, which costs more than the documentation itself. So the tests'
//! build runs this program in place of the compiler. It notes how each of our crates is compiled, and then `rustdoc` gets the same words:
//! the same features, and the same compiled dependencies.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::workspace::{root, target};

/// Names the folder of the notes. With this variable this program is a compiler.
const NOTES: &str = "POSTHASTE_XTASK_NOTES";

/// Lints of `rustdoc`.
const LINTS: [&str; 4] = ["-D", "warnings", "-A", "rustdoc::private_intra_doc_links"];

/// The compiler's options with a value that `rustdoc` does not need or does not know. `-C` chooses the code.
const LEFT_OUT: [&str; 5] = ["-C", "--emit", "--out-dir", "--diagnostic-width", "--error-format"];

/// Makes this program the compiler of our packages, and Clippy the compiler behind it, so that one pass makes the lints, the programs
/// and the notes.
///
/// # Errors
///
/// The program cannot be copied into the folder of the builds.
pub fn compiler() -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let folder = notes();
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // A copy, because the build replaces the program that runs here.
    let copy = folder.join("compiler");
    let itself = std::env::current_exe()?;
    if std::fs::read(&copy).ok() != Some(std::fs::read(&itself)?) {
        std::fs::copy(&itself, &copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    }
    Ok(vec![
        ("RUSTC_WORKSPACE_WRAPPER", copy.to_string_lossy().into_owned()),
        (NOTES, folder.to_string_lossy().into_owned()),
        // As `cargo clippy -- -D warnings` says it.
        ("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__".to_owned()),
    ])
}

fn notes() -> PathBuf {
    target().join("test").join("compiled")
}

/// Compiles with Clippy, if this program was started as a compiler, and notes how.
///
/// # Errors
///
/// The note cannot be written, or Clippy cannot be started.
pub fn compile_instead(words: &[OsString]) -> Option<Box<dyn Error>> {
    let folder = std::env::var_os(NOTES)?;
    Some(match note(Path::new(&folder), words) {
        // This returns only if it fails.
        Ok(()) => format!("clippy-driver: {}", Command::new("clippy-driver").args(words).exec()).into(),
        Err(error) => error,
    })
}

/// Writes down how a crate is compiled. Tests, and what is not documented, are left out.
fn note(folder: &Path, words: &[OsString]) -> Result<(), Box<dyn Error>> {
    // The first word is the compiler's path.
    let words: Vec<&str> = words.iter().skip(1).filter_map(|word| word.to_str()).collect();
    let value = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
    let (Some(name), Some(kind)) = (value("--crate-name"), value("--crate-type")) else { return Ok(()) };
    let is_documented = ["lib", "bin"].contains(kind)
        // Cargo asks the compiler about itself with such a crate.
        && *name != "___"
        && *name != "build_script_build"
        && !words.contains(&"--test")
        && !words.iter().any(|word| word.contains("benches/") || word.contains("examples/"));
    if !is_documented {
        return Ok(());
    }
    // Of them CARGO_MAKEFLAGS is about descriptors that end with the build.
    let cargo = |name: &str| (name.starts_with("CARGO_") && name != "CARGO_MAKEFLAGS") || name == "OUT_DIR";
    let variables: BTreeMap<String, String> = std::env::vars().filter(|(name, _)| cargo(name)).collect();
    let note = json!({ "words": for_rustdoc(&words), "variables": variables });
    let path = folder.join(format!("{name}-{kind}.json"));
    std::fs::write(&path, note.to_string()).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

/// Returns those of the compiler's words that say what the crate is.
fn for_rustdoc<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        let option = word.split('=').next().unwrap_or(word);
        if LEFT_OUT.contains(&option) {
            if !word.contains('=') {
                rest.next();
            }
        } else if !(word.starts_with("--json=") || word.contains("clippy::")) {
            kept.push(word);
        }
    }
    kept
}

/// Makes the documentation of all crates that the build has noted. Its warnings are errors.
///
/// # Errors
///
/// Names what `rustdoc` found.
pub fn make() -> Result<(), Box<dyn Error>> {
    let folder = notes();
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut crates: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    crates.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    crates.sort();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(path) = crates.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = document(path) {
                        // A poisoned list is still a list.
                        failures
                            .lock()
                            .unwrap_or_else(|poisoned| poisoned.into_inner())
                            .push(error.to_string());
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

fn document(path: &Path) -> Result<(), Box<dyn Error>> {
    let note: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let words: Vec<&str> = note["words"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !words.iter().any(|word| word.ends_with(".rs") && root().join(word).exists()) {
        // The crate is gone.
        return Ok(std::fs::remove_file(path)?);
    }
    let mut rustdoc = Command::new("rustdoc");
    rustdoc.current_dir(root()).args(words).args(LINTS).arg("--document-private-items");
    rustdoc
        .arg("--out-dir")
        .arg(target().join("test/documentation").join(path.file_stem().unwrap_or_default()));
    for (name, value) in note["variables"].as_object().into_iter().flatten() {
        rustdoc.env(name, value.as_str().unwrap_or_default());
    }
    let output = rustdoc.output().map_err(|error| format!("rustdoc: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let name = path.file_stem().unwrap_or_default().display();
    Err(format!("documentation of {name}:\n{}", String::from_utf8_lossy(&output.stderr)).into())
}

#[cfg(test)]
mod tests {
    use super::for_rustdoc;

    #[test]
    fn rustdoc_gets_what_says_what_a_crate_is() {
        let words = "--crate-name kernel --edition=2024 src/lib.rs --error-format=json --json=artifacts --crate-type lib \
                     --emit=dep-info,link -C opt-level=1 --warn=clippy::todo --cfg feature=\"a\" -C metadata=1 --out-dir \
                     deps -L dependency=deps --extern api=libapi.rmeta";
        let words: Vec<&str> = words.split_whitespace().collect();
        let kept = "--crate-name kernel --edition=2024 src/lib.rs --crate-type lib --cfg feature=\"a\" -L dependency=deps \
                    --extern api=libapi.rmeta";
        assert_eq!(for_rustdoc(&words), kept.split_whitespace().collect::<Vec<_>>());
    }
}
