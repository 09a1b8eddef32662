//! What this process and the server's have used of the machine. The server's is read from `/proc`, so on Linux only.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of CPU time that this process has used.
pub(crate) fn own_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Nanoseconds of CPU time that a process has used, user and system, in steps of 10 ms.
pub(crate) fn cpu_nanos(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name stands in parentheses and may hold anything; utime and stime are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks * 10_000_000)
}

/// Nanoseconds that all threads of a process have run, from the scheduler's own books: for spans too short for [`cpu_nanos`].
/// Threads that have ended are not in it.
pub(crate) fn scheduled_nanos(pid: u32) -> Option<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // It may end while it is being looked at.
        let Ok(line) = std::fs::read_to_string(task.ok()?.path().join("schedstat")) else { continue };
        sum += line.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}

/// Bytes that a process has given the system to write to disk, in whole pages. Only its owner may ask.
pub(crate) fn disk_bytes(pid: u32) -> Option<u64> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// Bytes of memory that a process has resident and of its own, rather than of files.
pub(crate) fn own_bytes(pid: u32) -> Option<u64> {
    kib(pid, "RssAnon:")
}

/// Bytes of memory that a process has resident.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    kib(pid, "VmRSS:")
}

fn kib(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_can_be_read() {
        let pid = std::process::id();
        assert!(cpu_nanos(pid).is_some());
        assert!(resident_bytes(pid).is_some_and(|bytes| bytes > 100_000));
        assert!(own_bytes(pid) <= resident_bytes(pid));
        assert!(scheduled_nanos(pid).is_some_and(|nanos| nanos > 0));
        assert!(disk_bytes(pid).is_some());
        assert!(own_cpu_nanos() > 0);
        assert_eq!(cpu_nanos(u32::MAX), None);
    }
}
