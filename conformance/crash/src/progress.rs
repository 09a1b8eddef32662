//! What a run tells of itself while it goes on.

use std::io::{IsTerminal, Write};
use std::time::Instant;

/// How many bytes the files in a directory have.
pub fn directory_size(path: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => directory_size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

/// How far the run is: one line that rewrites itself on a terminal, a line now and then elsewhere.
pub struct Progress {
    trials: u32,
    begun: Instant,
    terminal: bool,
}

impl Progress {
    pub fn new(trials: u32) -> Progress {
        Progress { trials, begun: Instant::now(), terminal: std::io::stdout().is_terminal() }
    }

    pub fn show(&mut self, trial: u32, summary: &str) {
        let spent = self.begun.elapsed().as_secs_f64();
        let left = spent / f64::from(trial) * f64::from(self.trials - trial);
        let line = format!("trial {trial}/{}: {summary}; {spent:.0} s, {left:.0} s to go", self.trials);
        if self.terminal {
            print!("\r\x1b[K{line}");
            let _ = std::io::stdout().flush();
        } else if trial.is_multiple_of(50) {
            println!("{line}");
        }
    }

    pub fn end(&self) {
        if self.terminal {
            println!();
        }
    }
}
