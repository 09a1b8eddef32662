//! File descriptors: the limit of the process, and its division.
//!
//! A log that cannot open its next segment cannot continue. So the journal's descriptors come first.
//! Connections and deliveries share the rest; beyond their share they are refused or wait.

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A higher limit has no use, and slows some systems down.
const WANTED: u64 = 1 << 20;

/// Maximum number of open connections.
const CONNECTIONS: usize = 16_384;
/// Maximum number of further connections that get only an error.
pub const TURNED_AWAY: usize = 16;
/// Maximum number of sockets of deliveries.
const SOCKETS: usize = 1024;
/// Minimum number of connections and sockets for a useful server.
const LEAST: usize = 24;

/// Descriptors that the journal opens after the server is ready: segments that are read, and the current one
/// and its neighbours, once for each thread that syncs.
const SEGMENTS_READ: usize = 64;
const SEGMENTS_WRITTEN: usize = 5;
const SYNC_THREADS: usize = 8;
/// The same of the store for retained data: segments and indexes that are read, and one segment of each class in use.
const RETAINED_READ: usize = 2 * 8;
const RETAINED_WRITTEN: usize = 12;
/// Other descriptors: the random source, certificates, a directory that is synced, a connection that is being
/// accepted.
const OTHERS: usize = 16;

/// The division of the descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shares {
    /// Connections of clients.
    pub connections: usize,
    /// Sockets of deliveries.
    pub sockets: usize,
    /// Concurrent delivery attempts: each needs a socket, and another one during a name lookup.
    pub attempts: usize,
}

/// Raises the limit as far as this process may. Returns the new limit.
pub fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(WANTED);
    let wanted = maximum.unwrap_or(WANTED).min(WANTED);
    if current < wanted {
        // If this fails, the limit stays as it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(WANTED)
}

/// Returns the number of open descriptors. If it is unknown, returns a high estimate.
pub fn open_now() -> usize {
    let listed = |path: &str| std::fs::read_dir(Path::new(path)).ok().map(Iterator::count);
    listed("/proc/self/fd").or_else(|| listed("/dev/fd")).unwrap_or(100)
}

/// Divides the rest of `limit`, when `open` descriptors are open and `threads` threads serve HTTP, with or
/// without a log on disk.
pub fn share_out(limit: u64, open: usize, threads: usize, keeps_log: bool) -> Result<Shares, String> {
    let limit_now = usize::try_from(limit.min(WANTED)).unwrap_or(usize::MAX);
    let journal = SEGMENTS_READ + SEGMENTS_WRITTEN * (SYNC_THREADS + 1);
    let journal = if keeps_log { journal + RETAINED_READ + RETAINED_WRITTEN } else { 0 };
    // Each thread has an event queue and a wake-up descriptor.
    let reserve = open + journal + OTHERS + TURNED_AWAY + 4 * (threads + 2);
    let left = limit_now.saturating_sub(reserve);
    if left < LEAST {
        return Err(format!(
            "the limit of open files is {limit}, and {} are needed: raise it (ulimit -n {}, or LimitNOFILE= in a systemd unit)",
            reserve + LEAST,
            (reserve + LEAST).next_power_of_two().max(1024),
        ));
    }
    let sockets = (left / 3).min(SOCKETS);
    Ok(Shares { connections: (left - sockets).min(CONNECTIONS), sockets, attempts: sockets / 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_comes_first_and_nobody_gets_nothing() {
        let many = share_out(1 << 20, 30, 2, true).unwrap();
        assert_eq!(many, Shares { connections: 16_384, sockets: 1024, attempts: 512 });
        for limit in 300..5000 {
            let shares = share_out(limit, 30, 2, true).unwrap();
            let given = shares.connections + shares.sockets;
            assert!(given + 30 + 137 + OTHERS + TURNED_AWAY <= limit as usize, "{limit}: {shares:?}");
            assert!(
                shares.connections >= 16 && shares.sockets >= 8 && shares.attempts >= 4,
                "{limit}: {shares:?}"
            );
            assert!(2 * shares.attempts <= shares.sockets);
        }
        let refused = share_out(100, 30, 2, true).unwrap_err();
        assert!(refused.contains("ulimit -n 1024"), "{refused}");
    }
}
