//! Runs all tests that must pass before a change lands, the fastest failures first.

mod documentation;
mod fresh;

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};

pub use documentation::compile_instead;

use crate::workspace::{self, root, target};
use crate::{codegen, tidy};

/// Options of `cargo xtask test`.
#[derive(Parser)]
#[command(name = "cargo xtask test", about = "Everything that must pass before a change lands")]
struct Options {
    /// Without the tests that need the built program
    #[arg(long, conflicts_with = "all")]
    quick: bool,
    /// Also the slow tests that rarely fail: hundreds of crashes, AWS's limits in full, all of Celery, the fuzz
    /// targets
    #[arg(long)]
    all: bool,
    /// In a fresh clone of the committed state, with empty caches of every tool: Cargo, Maven, Go, npm and
    /// pip
    #[arg(long)]
    fresh: bool,
}

/// Runs all checks and tests.
///
/// # Errors
///
/// Names the failed tests, and the file with the whole output.
pub fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    let options = Options::parse_from([&["test"], words].concat());
    if options.fresh {
        let without: Vec<&str> = words.iter().copied().filter(|word| *word != "--fresh").collect();
        return fresh::run(&without);
    }
    let mut steps = Steps::new()?;
    let result = all(&options, &mut steps);
    steps.report();
    result?;
    println!("\nAll passed, in {} minutes.", steps.begun.elapsed().as_secs().div_ceil(60));
    Ok(())
}

fn all(options: &Options, steps: &mut Steps) -> Result<(), Box<dyn Error>> {
    steps.step("generated files are as the models say", |_| codegen::run(true))?;
    steps.step("the tree is tidy", |_| tidy::run())?;
    // The suites download their dependencies while the compiler uses the processors.
    let installing = if options.quick { None } else { Some(Installing::begin(&steps.logs)?) };
    steps.cargo("formatted", &["fmt", "--all", "--check"], &[])?;
    // With this feature in the same command: a separate command would select other features of the
    // dependencies and build them again.
    let tests = ["test", "--workspace", "--no-fail-fast", "--features", "posthaste-toolkit/kms"];
    let compiler = documentation::compiler()?;
    let compiler: Vec<(&str, &str)> = compiler.iter().map(|(name, value)| (*name, &**value)).collect();
    // The toolkit's and the systems' tests start the program, which this builds for the server's own tests.
    steps.cargo(
        "the tests and the program are built, and lints",
        &[&tests[..], &["--no-run", "--quiet", "--all-targets"]].concat(),
        &compiler,
    )?;
    let mut program = target().join("debug/posthaste");
    if options.all {
        steps.cargo(
            "the program as users run it",
            &["build", "--release", "--package", "posthaste-server"],
            &[],
        )?;
        program = target().join("release/posthaste");
    }
    let program = program.to_string_lossy();
    let mut environment = vec![("POSTHASTE_BIN", &*program)];
    environment.extend(options.all.then_some(("POSTHASTE_TEST_ALL", "1")));
    environment.extend(&compiler);
    tests_and_documentation(steps, &tests, &environment)?;
    if let Some(installing) = installing {
        steps.step("what the suites need is installed", |_| installing.end())?;
        let mut conformance = Command::new("bash");
        conformance.arg(root().join("conformance/run")).args(options.all.then_some("--all"));
        conformance.envs(environment).env("LOGS", &steps.logs);
        steps.step("conformance", |steps| {
            // Its output ends with the failures and the paths of their outputs.
            steps.show("conformance", &mut conformance).map_err(|error| {
                let failures = std::fs::read_to_string(steps.logs.join("failures"));
                failures
                    .ok()
                    .filter(|text| !text.is_empty())
                    .map_or(error, |failures| format!("conformance: failed\n{}", failures.trim_end()).into())
            })
        })?;
    }
    if options.all {
        // A workspace of its own, for which all that it depends on is built once more.
        let fuzz = root().join("fuzz").join("Cargo.toml");
        let fuzz = fuzz.to_string_lossy();
        let shared = target().join("suites");
        let shared = [("CARGO_TARGET_DIR", &*shared.to_string_lossy())];
        steps.cargo("fuzz targets", &["check", "--quiet", "--locked", "--manifest-path", &fuzz], &shared)?;
    }
    Ok(())
}

/// Runs the tests, and makes the documentation meanwhile: many tests wait for their servers.
fn tests_and_documentation(
    steps: &mut Steps,
    tests: &[&str],
    environment: &[(&str, &str)],
) -> Result<(), Box<dyn Error>> {
    const TESTS: &str = "tests of the workspace";
    println!("\n   cargo {}", tests.join(" "));
    let (begun, busy) = (Instant::now(), Busy::now());
    let (tested, documented, took) = std::thread::scope(|scope| {
        let documented = scope.spawn(|| {
            let result = documentation::make().map_err(|error| error.to_string());
            (result, begun.elapsed())
        });
        let tested = steps.show(TESTS, workspace::cargo(tests).envs(environment.iter().copied()));
        let took = (begun.elapsed(), share(busy, Busy::now()));
        // A panic of that thread is a bug here.
        let documented = documented.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (tested, documented, took)
    });
    steps.took.push((TESTS.to_owned(), took.0, took.1));
    steps.took.push(("of the documentation, beside them".to_owned(), documented.1, None));
    tested?;
    Ok(documented.0?)
}

/// The finished steps with their durations and how busy the processors were, and the folder of the outputs.
struct Steps {
    begun: Instant,
    logs: PathBuf,
    took: Vec<(String, Duration, Option<f64>)>,
}

/// What all processors have done since the machine's start, in ticks. Absent where `/proc` does not say it.
#[derive(Clone, Copy)]
struct Busy {
    working: u64,
    all: u64,
}

impl Busy {
    fn now() -> Option<Busy> {
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        let ticks: Vec<u64> =
            text.lines().next()?.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        // The fourth and the fifth are those of doing nothing (proc(5)).
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        let all: u64 = ticks.iter().take(8).sum();
        Some(Busy { working: all - idle.min(all), all })
    }
}

/// How busy the processors were from one moment to another, from 0 to 1.
fn share(from: Option<Busy>, to: Option<Busy>) -> Option<f64> {
    let (from, to) = (from?, to?);
    let all = to.all.checked_sub(from.all).filter(|all| *all > 0)?;
    Some(to.working.saturating_sub(from.working) as f64 / all as f64)
}

impl Steps {
    fn new() -> Result<Steps, Box<dyn Error>> {
        let logs = target().join("test");
        std::fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
        Ok(Steps { begun: Instant::now(), logs, took: Vec::new() })
    }

    fn step(
        &mut self,
        what: &str,
        work: impl FnOnce(&Steps) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        println!("\n── {what}");
        let (begun, busy) = (Instant::now(), Busy::now());
        let result = work(self);
        self.took.push((what.to_owned(), begun.elapsed(), share(busy, Busy::now())));
        result
    }

    fn cargo(
        &mut self,
        what: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<(), Box<dyn Error>> {
        println!("\n   cargo {}", arguments.join(" "));
        self.step(what, |steps| {
            steps.show(what, workspace::cargo(arguments).envs(environment.iter().copied()))
        })
    }

    /// The file with the output of a step.
    fn log(&self, what: &str) -> PathBuf {
        self.logs.join(what.replace(' ', "-")).with_extension("log")
    }

    /// Runs a command with its output on the terminal and in a file. The error names the failures and the
    /// file.
    fn show(&self, what: &str, command: &mut Command) -> Result<(), Box<dyn Error>> {
        let path = self.log(what);
        let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = command.get_program().display().to_string();
        let mut child = command.spawn().map_err(|error| format!("{what}: {name}: {error}"))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let file = Mutex::new(file);
        std::thread::scope(|scope| {
            scope.spawn(|| copy(out, &file, &mut std::io::stdout()));
            scope.spawn(|| copy(err, &file, &mut std::io::stderr()));
        });
        let status = child.wait()?;
        if status.success() {
            return Ok(());
        }
        let reasons = reasons(&std::fs::read_to_string(&path).unwrap_or_default());
        let reasons: String = reasons.iter().map(|reason| format!("\n    {reason}")).collect();
        Err(format!("{what}: failed ({status}); its whole output: {}{reasons}", path.display()).into())
    }

    /// Prints the durations of the steps.
    fn report(&self) {
        println!("\n── how long each took, in seconds, and how busy the processors were");
        for (what, took, busy) in &self.took {
            let busy = busy.map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
            println!("{:6}  {busy:>5}  {what}", took.as_secs());
        }
    }
}

/// Copies lines to the terminal and to the file.
fn copy(from: Option<impl Read>, file: &Mutex<File>, terminal: &mut impl Write) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        // A closed terminal or a full disk must not stop the tests: only their exit status counts.
        _ = terminal.write_all(&line).and_then(|()| terminal.flush());
        if let Ok(mut file) = file.lock() {
            _ = file.write_all(&line);
        }
        line.clear();
    }
}

/// Maximum number of reasons in an error; the file has the others.
const REASONS: usize = 20;

/// Returns the reasons of a failure from cargo's output: failed tests, or else the first errors.
fn reasons(output: &str) -> Vec<String> {
    let line = |text: &str| text.chars().take(300).collect::<String>();
    let mut suite = "";
    let mut failing = Vec::new();
    for text in output.lines().map(str::trim_end) {
        if let Some(begins) = text
            .trim_start()
            .strip_prefix("Running ")
            .or_else(|| text.trim_start().strip_prefix("Doc-tests "))
        {
            suite = begins;
        } else if let Some(test) =
            text.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            failing.push(line(&format!("{test} (in {suite})")));
        }
    }
    if failing.is_empty() {
        let errors = output.lines().filter(|text| text.starts_with("error") || text.starts_with("Diff in "));
        failing = errors.map(line).collect();
    }
    let more = failing.len().saturating_sub(REASONS);
    failing.truncate(REASONS);
    if more > 0 {
        failing.push(format!("and {more} more"));
    }
    failing
}

/// The suites' preparation, in the background.
struct Installing {
    child: Child,
    log: PathBuf,
}

impl Installing {
    /// The suites whose tools are downloaded; cargo's builds would wait for the current builds.
    const SUITES: [&str; 7] = ["python", "cli", "javascript", "go", "java", "sqs-consumer", "celery"];

    fn begin(logs: &Path) -> Result<Installing, Box<dyn Error>> {
        let log = logs.join("installing.log");
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = Command::new("bash");
        command.arg(root().join("conformance/run")).arg("--prepare").args(Installing::SUITES);
        command.env("LOGS", logs).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().map_err(|error| format!("conformance/run --prepare: {error}"))?;
        Ok(Installing { child, log })
    }

    fn end(mut self) -> Result<(), Box<dyn Error>> {
        let status = self.child.wait()?;
        print!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        if !status.success() {
            // This is not fatal: the preparation is repeated before the suite runs.
            println!("   not all could be installed; each suite tries again before it runs");
        }
        Ok(())
    }
}

impl Drop for Installing {
    fn drop(&mut self) {
        // A step before its end failed. The command that is running ends by itself.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::reasons;

    #[test]
    fn the_reasons_are_failing_tests_with_their_program() {
        let output = "     Running unittests src/lib.rs (target/debug/deps/journal-1)\ntest frames::torn ... ok\n\
                      test frames::cut ... FAILED\n     Running tests/it/main.rs (target/debug/deps/it-2)\n\
                      test stops ... FAILED\nerror: 2 targets failed:\n";
        assert_eq!(
            reasons(output),
            [
                "frames::cut (in unittests src/lib.rs (target/debug/deps/journal-1))",
                "stops (in tests/it/main.rs (target/debug/deps/it-2))"
            ]
        );
    }

    #[test]
    fn without_failing_tests_they_are_the_errors() {
        let output =
            "warning: unused\nerror[E0308]: mismatched types\n  --> a.rs:1:2\nerror: could not compile `x`\n";
        assert_eq!(reasons(output), ["error[E0308]: mismatched types", "error: could not compile `x`"]);
    }

    #[test]
    fn there_are_not_too_many_of_them() {
        let output: String = (0..50).map(|n| format!("test t{n} ... FAILED\n")).collect();
        let reasons = reasons(&output);
        assert_eq!((reasons.len(), reasons[20].as_str()), (21, "and 30 more"));
    }
}
