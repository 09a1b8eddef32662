//! A run of a program that kills the server again and again: its beginning, its trials, its end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::progress::{Progress, directory_size};
use crate::random::Random;
use crate::server::{self, Server};

/// A run.
pub struct Run {
    name: &'static str,
    /// What was said on the command line.
    pub options: Options,
    program: String,
    begun: Instant,
}

impl Run {
    /// Begins a run, once `test` has found that the checker notices all of its doctored histories. The error: there is nothing to run, or
    /// nothing can be.
    pub fn begin(
        name: &'static str,
        options: Result<Options, String>,
        test: fn() -> Result<usize, String>,
    ) -> Result<Run, ExitCode> {
        let options = options.map_err(|usage| {
            eprintln!("{usage}");
            ExitCode::from(2)
        })?;
        // A checker that notices nothing would call every server good: it is tested before it is believed.
        match test() {
            Ok(count) => println!("{name}: the checker noticed all {count} doctored histories"),
            Err(silence) => {
                eprintln!("{name}: the checker is broken: {silence}");
                return Err(ExitCode::FAILURE);
            }
        }
        if options.self_test {
            return Err(ExitCode::SUCCESS);
        }
        let Some(program) = options.program.clone() else {
            eprintln!("{name}: set POSTHASTE_BIN to the program to start");
            return Err(ExitCode::from(2));
        };
        println!(
            "{name}: {} trials of {program} with --durability {}, seed {}, data in {}",
            options.trials,
            options.durability,
            options.seed,
            options.directory.display()
        );
        Ok(Run { name, options, program, begun: Instant::now() })
    }

    /// Makes all trials, until one fails with a report.
    pub fn trials(
        &self,
        mut trial: impl FnMut(u32, &mut Random) -> Result<(), String>,
        summary: impl Fn() -> String,
    ) -> Result<(), ExitCode> {
        let Options { seed, trials, directory, .. } = &self.options;
        let mut progress = Progress::new(*trials);
        for number in 1..=*trials {
            let mut random = Random::new(seed ^ (u64::from(number) << 32));
            if let Err(report) = trial(number, &mut random) {
                progress.end();
                println!(
                    "\n{}: trial {number} of seed {seed} failed; the data is kept in {}",
                    self.name,
                    directory.display()
                );
                println!("{report}");
                println!("\n{} passed, 1 failed", number - 1);
                return Err(ExitCode::FAILURE);
            }
            progress.show(number, &summary());
        }
        progress.end();
        Ok(())
    }

    /// Ends a run whose trials have all passed.
    pub fn end(self, summary: &str) -> ExitCode {
        let Run { name, options, begun, .. } = self;
        println!("{name}: {summary}");
        println!(
            "{name}: {:.1} s, {:.1} MiB on disk at the end",
            begun.elapsed().as_secs_f64(),
            directory_size(&options.directory) as f64 / 1048576.0
        );
        if !options.keep {
            let _ = std::fs::remove_dir_all(&options.directory);
        }
        println!("\n{} passed, 0 failed", options.trials);
        ExitCode::SUCCESS
    }

    /// Starts the server, and waits until it answers; how long that took.
    pub fn start(&self) -> Result<(Server, Duration), String> {
        let mut server = server::spawn(&self.program, &self.options)?;
        let recovery = server.wait_until_ready()?;
        Ok((server, recovery))
    }

    /// The same; but now and then the server dies before that, while it still recovers.
    pub fn start_perhaps_twice(&self, random: &mut Random) -> Result<(Server, Duration), String> {
        if random.below(8) == 0 {
            let mut server = server::spawn(&self.program, &self.options)?;
            std::thread::sleep(Duration::from_millis(random.below(40)));
            server.kill()?;
        }
        self.start()
    }

    /// Lets the clients work for a moment, and kills the server.
    pub fn kill_under_load(&self, server: &mut Server, random: &mut Random) -> Result<(), String> {
        std::thread::sleep(Duration::from_millis(20 + random.below(self.options.longest_load_ms)));
        server.kill()
    }
}
