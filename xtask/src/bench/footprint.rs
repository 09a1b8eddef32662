//! What ours costs when it does nothing: start, memory, size, CPU.

use std::error::Error;
use std::time::Duration;

use super::contenders::{Contender, Kitchen};
use super::tasks::Spread;

/// What ours costs when it does nothing.
pub struct Footprint {
    /// Milliseconds from the making of the process to its first answer, on an empty directory, `--durability fsync`.
    pub start_millis: Spread,
    /// How many starts.
    pub starts: usize,
    /// Bytes resident some seconds after the start.
    pub resident: u64,
    /// Of these, bytes of its own rather than of its program file.
    pub resident_own: u64,
    /// Milliseconds of CPU over the idle time.
    pub idle_cpu_millis: f64,
    /// How long that was.
    pub idle_seconds: u64,
    /// Bytes of the program file.
    pub binary: u64,
}

/// Measures it.
pub fn measure(kitchen: &Kitchen, quick: bool) -> Result<Footprint, Box<dyn Error>> {
    eprintln!("start, memory, size and idle CPU");
    let starts = if quick { 5 } else { 20 };
    let mut millis = Vec::new();
    for _ in 0..starts {
        let data = kitchen.data()?;
        millis.push(kitchen.start(Contender::OursFsync, data.path())?.first_answer.as_secs_f64() * 1e3);
    }
    let data = kitchen.data()?;
    let server = kitchen.start(Contender::OursFsync, data.path())?;
    std::thread::sleep(Duration::from_secs(2));
    let idle_seconds = if quick { 3 } else { 10 };
    let before = server.cpu_nanos()?;
    std::thread::sleep(Duration::from_secs(idle_seconds));
    let idle_cpu_millis = (server.cpu_nanos()? - before) as f64 / 1e6;
    Ok(Footprint {
        start_millis: Spread::of(millis).ok_or("no start was measured")?,
        starts,
        resident: server.memory("VmRSS")?,
        resident_own: server.memory("RssAnon")?,
        idle_cpu_millis,
        idle_seconds,
        binary: std::fs::metadata(&kitchen.posthaste)?.len(),
    })
}
