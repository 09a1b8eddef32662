//! Everything that must pass before a change lands, in the order in which it fails fastest.

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use crate::workspace::{self, root, show, target};
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
    let program = target().join("release/posthaste");
    let program = [("POSTHASTE_BIN", &*program.to_string_lossy())];
    cargo("tests of the workspace", &["test", "--workspace", "--no-fail-fast"], &program)?;
    if !quick {
        let optional = ["test", "--package", "posthaste-toolkit", "--features", "kms", "--test", "it", "kms"];
        cargo("the toolkit with KMS", &optional, &program)?;
        heading("conformance: SDKs, tools and applications, and a server that is killed again and again");
        show("conformance", Command::new("bash").arg(root().join("conformance/run")).envs(program))?;
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
    show(what, workspace::cargo(arguments).envs(environment.iter().copied()))
}
