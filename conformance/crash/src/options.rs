//! What the program is told on its command line.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

const USAGE: &str = "crash [--trials N] [--seed N] [--durability fsync|os] [--data DIR] [--longest-load MS] [--keep] [--self-test]
      [--large PERCENT] [--fill-disk]

  --trials N          how many times the server is killed [50]
  --seed N            what the random choices are made from [the time]
  --durability WORD   fsync or os [os]
  --data DIR          where the server keeps its data [a new folder under the system's temporary one]
  --longest-load MS   the server is killed within so many milliseconds of load [500; fan-out: 150]
  --keep              keep the data also when all went well
  --self-test         only test the checker

Of the program conformance-crash only:

  --large PERCENT     how many messages are large, up to 100 KB: segments fill up, and the server dies while it cleans [2]
  --fill-disk         a file beside the data leaves the server between 0 and 160 MiB; for a small disk of its own, such as a
                      tmpfs of 400 MiB

The server's program is named by POSTHASTE_BIN.";

/// The command line, understood.
pub struct Options {
    pub trials: u32,
    pub seed: u64,
    pub durability: String,
    pub directory: PathBuf,
    pub longest_load_ms: u64,
    /// How many of a hundred messages are large, if that was said.
    pub large_percent: Option<u64>,
    /// Whether the disk is nearly full when the server is loaded, killed and started.
    pub fill_disk: bool,
    pub keep: bool,
    pub self_test: bool,
    pub program: Option<String>,
    /// What the server is told besides.
    pub flags: Vec<String>,
}

impl Options {
    /// Reads the command line, or gives what to tell the user.
    pub fn from_arguments(longest_load_ms: u64) -> Result<Options, String> {
        Options::from_words(std::env::args().skip(1), longest_load_ms)
    }

    /// Reads these words, or gives what to tell the user.
    pub fn from_words(
        mut words: impl Iterator<Item = String>,
        longest_load_ms: u64,
    ) -> Result<Options, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| "the clock is before 1970")?;
        let seed = now.as_nanos() as u64 % 1_000_000_007;
        let mut options = Options {
            trials: 50,
            seed,
            durability: "os".to_owned(),
            directory: std::env::temp_dir().join(format!("posthaste-crash-{}-{seed}", std::process::id())),
            longest_load_ms,
            large_percent: None,
            fill_disk: false,
            keep: false,
            self_test: false,
            program: std::env::var("POSTHASTE_BIN").ok(),
            flags: Vec::new(),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value\n\n{USAGE}"));
            match word.as_str() {
                "--trials" => options.trials = number(&value()?)? as u32,
                "--seed" => options.seed = number(&value()?)?,
                "--durability" => options.durability = value()?,
                "--data" => options.directory = value()?.into(),
                "--longest-load" => options.longest_load_ms = number(&value()?)?.max(1),
                "--large" => options.large_percent = Some(number(&value()?)?.min(100)),
                "--fill-disk" => options.fill_disk = true,
                "--keep" => options.keep = true,
                "--self-test" => options.self_test = true,
                _ => return Err(USAGE.to_owned()),
            }
        }
        if !["fsync", "os"].contains(&options.durability.as_str()) || options.trials == 0 {
            return Err(USAGE.to_owned());
        }
        if options.directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            // What it holds was not written by this run's clients, so nothing could be said about it.
            return Err(format!("{} is not empty", options.directory.display()));
        }
        Ok(options)
    }

    /// For programs that have no large messages and fill no disk. Errors: one of those options was given.
    pub fn without_large_and_full(self) -> Result<Options, String> {
        if self.large_percent.is_some() || self.fill_disk {
            return Err(format!("--large and --fill-disk are options of conformance-crash\n\n{USAGE}"));
        }
        Ok(self)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number\n\n{USAGE}"))
}
