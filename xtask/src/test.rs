//! Everything that must pass before a change lands, in the order in which it fails fastest.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::model::root;
use crate::{codegen, tidy};

/// Runs all checks and tests; `quick`: without those that speak to the built program.
pub fn run(quick: bool) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    heading("generated files are as the models say");
    codegen::run(true)?;
    heading("the tree is tidy");
    tidy::run()?;
    cargo("formatted", &["fmt", "--all", "--check"], &[])?;
    cargo("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"], &[])?;
    let docs = ["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"];
    cargo("documentation", &docs, &[("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")])?;
    // The toolkit's and the systems' tests start the program, and cargo builds a program only for the tests of its own package.
    cargo("the program", &["build", "--release", "--package", "posthaste-server"], &[])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("release/posthaste");
    let program = [("POSTHASTE_BIN", &*program.to_string_lossy())];
    cargo("tests of the workspace", &["test", "--workspace", "--no-fail-fast"], &program)?;
    if !quick {
        let optional = ["test", "--package", "posthaste-toolkit", "--features", "kms", "--test", "it", "kms"];
        cargo("the toolkit with KMS", &optional, &program)?;
        heading("conformance: SDKs, tools and applications, and a server that is killed again and again");
        let status = Command::new("bash").arg(root().join("conformance/run")).envs(program).status()?;
        if !status.success() {
            return Err("conformance failed".into());
        }
        let fuzz = root().join("fuzz").join("Cargo.toml");
        let fuzz = fuzz.to_string_lossy();
        cargo("fuzz targets compile", &["check", "--quiet", "--manifest-path", &fuzz], &[])?;
    }
    println!("\nAll passed, in {} minutes.", started.elapsed().as_secs().div_ceil(60));
    Ok(())
}

fn heading(what: &str) {
    println!("\n── {what}");
}

fn cargo(what: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
    heading(&format!("{what}: cargo {}", arguments.join(" ")));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status =
        Command::new(cargo).args(arguments).envs(environment.iter().copied()).current_dir(root()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{what}: failed").into()) }
}
