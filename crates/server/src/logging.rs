//! The log of a server: lines on standard error, as text or as JSON.
//!
//! A line that cannot be written without waiting is dropped. A server must not stop because nobody reads its log, or because its log
//! is a file on a full disk. The next line that can be written is followed by a line that counts the dropped ones.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::PIPE_BUF;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing::{Level, enabled, error, field, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// `text` or `json`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people: time, level, module, message, fields.
    Text,
    /// A JSON object a line: `timestamp`, `level`, `target`, `message`, and each field by its name.
    Json,
}

/// What goes into the log, and in which form.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The least serious level that is logged, for each module.
    pub levels: Targets,
    /// The form of a line.
    pub format: LogFormat,
}

/// Reads the value of `--log`: parts after commas, each a level or `MODULE=LEVEL`. The level that stands alone is for all modules that
/// no part names; its default is `info`.
///
/// Errors: the part that is neither a level nor `MODULE=LEVEL`.
pub fn levels(text: &str) -> Result<Targets, String> {
    let mut levels = Targets::new().with_default(LevelFilter::INFO);
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        levels = match part.split_once('=') {
            None => levels.with_default(level(part).ok_or(part)?),
            Some(("", _)) => return Err(part.to_owned()),
            Some((module, word)) => levels.with_target(module, level(word).ok_or(part)?),
        };
    }
    Ok(levels)
}

fn level(word: &str) -> Option<LevelFilter> {
    // The parser of `tracing` takes no word for `error`, and numbers.
    word.parse().ok().filter(|_| word.starts_with(|first: char| first.is_ascii_alphabetic()))
}

/// Starts the log of this process, which panics go to as well.
pub fn start(settings: &Settings) {
    let lines = fmt::layer().with_ansi(false).with_writer(|| Line).log_internal_errors(false);
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    let subscriber = tracing_subscriber::registry().with(settings.levels.clone()).with(lines);
    // Fails only if there is a log already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(log_panic));
}

/// Writes why the program ends: to the log, or as a command does if there is no log that takes errors.
pub fn end(reason: &dyn Display) {
    if enabled!(target: "posthaste", Level::ERROR) {
        error!(target: "posthaste", "{reason}");
    } else {
        stdio::errln!("posthaste: {reason}");
    }
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    error!(
        target: "posthaste",
        thread = thread.name(),
        location = info.location().map(field::display),
        backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| field::display(backtrace)),
        "panicked: {}",
        info.payload_as_str().unwrap_or("without a text")
    );
}

/// Takes one line of the log.
struct Line;

impl Write for Line {
    /// Takes the whole line, also if the line is dropped.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        static LINES: Mutex<Lines> = Mutex::new(Lines { is_cut: false, dropped: 0 });
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = lines.write(&mut io::stderr().lock(), line);
        drop(lines);
        if dropped > 0 {
            warn!(target: "posthaste", lines = dropped, "lines of the log were dropped: they could not be written");
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the lines so far have fared.
struct Lines {
    /// Only the beginning of the last line was written.
    is_cut: bool,
    /// Lines that were dropped since the last one that was written.
    dropped: u64,
}

impl Lines {
    /// Writes a line, or drops it. Returns how many lines were dropped before this one, if this one was written.
    fn write(&mut self, out: &mut (impl Write + AsFd), line: &[u8]) -> u64 {
        if self.is_cut {
            self.is_cut = write_without_waiting(out, b"\n") == 0;
        }
        let written = if self.is_cut { 0 } else { write_without_waiting(out, line) };
        if written == line.len() {
            return std::mem::take(&mut self.dropped);
        }
        self.is_cut |= written > 0;
        self.dropped += 1;
        0
    }
}

/// Writes as many bytes as a pipe takes without waiting for its reader, and returns their number.
fn write_without_waiting(out: &mut (impl Write + AsFd), bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() && is_ready(out) {
        // A pipe that is ready takes this many at once.
        let end = bytes.len().min(written + PIPE_BUF);
        match out.write(&bytes[written..end]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}

/// Whether a write returns at once, with success or with an error.
fn is_ready(out: &impl AsFd) -> bool {
    let mut polled = [PollFd::new(out, PollFlags::OUT)];
    !matches!(poll(&mut polled, Some(&Timespec::default())), Ok(0))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    #[test]
    fn levels_are_those_of_all_modules_or_of_one() {
        let enabled = |text: &str, module: &str, level| levels(text).unwrap().would_enable(module, &level);
        for everywhere in ["", "info", "INFO", " info ,"] {
            assert!(enabled(everywhere, "posthaste::web", Level::INFO), "{everywhere}");
            assert!(!enabled(everywhere, "posthaste::web", Level::DEBUG), "{everywhere}");
        }
        let mixed = "warn,posthaste::web=debug";
        assert!(enabled(mixed, "posthaste::web", Level::DEBUG));
        assert!(!enabled(mixed, "posthaste::store", Level::INFO));
        assert!(enabled("posthaste::web=off", "posthaste::store", Level::INFO));
        assert!(!enabled("posthaste::web=off", "posthaste::web", Level::ERROR));
        assert!(!enabled("off", "posthaste", Level::ERROR));
    }

    #[test]
    fn a_part_that_is_no_level_is_named() {
        for part in ["debgu", "posthaste::web", "posthaste=loud", "=info", "posthaste=", "3"] {
            assert_eq!(levels(&format!("info,{part}")).unwrap_err(), part);
        }
    }

    #[test]
    fn a_full_pipe_drops_lines_and_the_next_line_tells_how_many() {
        let (mut reader, mut pipe) = io::pipe().unwrap();
        let mut lines = Lines { is_cut: false, dropped: 0 };
        let long = "x".repeat(2 * PIPE_BUF + 100);
        let line = format!("{long}\n");
        let mut sent = 0;
        while lines.dropped < 2 {
            assert_eq!(lines.write(&mut pipe, line.as_bytes()), 0);
            sent += 1;
        }
        let mut read = vec![0; sent * line.len()];
        let count = reader.read(&mut read).unwrap();
        assert_eq!(lines.write(&mut pipe, b"again\n"), 2);
        drop(pipe);
        read.truncate(count);
        reader.read_to_end(&mut read).unwrap();
        let text = String::from_utf8(read).unwrap();
        // The beginning of a line that did not fit is a line by itself.
        let others: Vec<&str> = text.lines().filter(|&line| line != long).collect();
        assert!(others.ends_with(&["again"]) && others.len() <= 2, "{} others", others.len());
        assert!(others.iter().all(|line| *line == "again" || long.starts_with(line)));
    }

    #[test]
    fn a_closed_pipe_and_a_full_disk_drop_lines() {
        let mut lines = Lines { is_cut: false, dropped: 0 };
        let (reader, mut closed) = io::pipe().unwrap();
        drop(reader);
        assert_eq!(lines.write(&mut closed, b"lost\n"), 0);
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(lines.write(&mut full, b"lost\n"), 0);
        assert_eq!((lines.is_cut, lines.dropped), (false, 2));
    }
}
