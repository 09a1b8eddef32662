//! The memory budget of requests and answers in progress.
//!
//! Small bodies have a part of their own, so that a few large bodies cannot block all others; so have the
//! heads of requests that do not end. A request without room waits: the server continues to read its body, or
//! builds its answer, when there is room. After too long a wait the client gets a 503.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit of the budget is a kilobyte.
const UNIT: usize = 1024;

/// Bodies up to this length are small.
pub const SMALL: usize = 64 << 10;

/// The minimum budget of a server: a few of the longest bodies.
pub const LEAST: usize = 64 << 20;

/// The budget of all requests and answers.
#[derive(Clone, Debug)]
pub struct Budget {
    small: Pool,
    large: Pool,
    heads: Pool,
    /// The budget of one connection's answers.
    share: usize,
}

#[derive(Clone, Debug)]
struct Pool {
    free: Arc<Semaphore>,
    units: usize,
}

/// The reserved memory of one body or answer, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    _room: OwnedSemaphorePermit,
    _share: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Creates a budget of `bytes`. A quarter of it is reserved for small bodies, an eighth for heads. One
    /// connection's answers may take at most an eighth, too.
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.max(LEAST);
        Budget {
            small: Pool::new(bytes / 4),
            large: Pool::new(bytes - bytes / 4 - bytes / 8),
            heads: Pool::new(bytes / 8),
            share: bytes / 8,
        }
    }

    /// Reserves this many bytes, or the whole budget if that is smaller. Returns `None` if there is no room
    /// now.
    pub fn try_take(&self, bytes: usize) -> Option<Lease> {
        let small = (bytes <= SMALL).then(|| self.small.try_take(bytes)).flatten();
        let room = small.or_else(|| self.large.try_take(bytes))?;
        Some(Lease { _room: room, _share: None })
    }

    /// Reserves memory for the head of a request. Returns `None` if there is no room now.
    pub fn try_take_head(&self, bytes: usize) -> Option<Lease> {
        Some(Lease { _room: self.heads.try_take(bytes)?, _share: None })
    }

    /// As [`Budget::try_take`], but waits for room for a limited time.
    pub async fn take(&self, bytes: usize, patience: Duration) -> Option<Lease> {
        if let Some(lease) = self.try_take(bytes) {
            return Some(lease);
        }
        let pool = if bytes <= SMALL { &self.small } else { &self.large };
        let room = tokio::time::timeout(patience, pool.take(bytes)).await.ok()??;
        Some(Lease { _room: room, _share: None })
    }

    /// As [`Budget::take`], for an answer on a connection whose answers share this budget.
    pub async fn take_of(&self, share: &Arc<Semaphore>, bytes: usize, patience: Duration) -> Option<Lease> {
        let of_share = units(bytes.min(self.share));
        let both = async {
            let of_share = share.clone().acquire_many_owned(of_share).await.ok()?;
            let lease = self.take(bytes, patience).await?;
            Some(Lease { _share: Some(of_share), ..lease })
        };
        tokio::time::timeout(patience, both).await.ok()?
    }

    /// Returns the budget that one connection's answers share.
    pub fn share(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(units(self.share) as usize))
    }

    /// Returns whether so much is reserved that holders must give unneeded room back.
    pub fn is_tight(&self) -> bool {
        self.small.is_tight() || self.large.is_tight()
    }
}

impl Pool {
    fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).min(u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        Pool { free: Arc::new(Semaphore::new(units)), units }
    }

    fn units(&self, bytes: usize) -> u32 {
        // A body larger than the whole budget has the budget alone.
        units(bytes).min(u32::try_from(self.units).unwrap_or(u32::MAX))
    }

    fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_many_owned(self.units(bytes)).ok()
    }

    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_many_owned(self.units(bytes)).await.ok()
    }

    fn is_tight(&self) -> bool {
        self.free.available_permits() < self.units / 2
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1)
}

/// Parses a size: `268435456`, `256M`, `256MiB`, `1G`.
pub fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: usize = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn soon<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let budget = Budget::new(64 << 20);
        let large: Vec<Lease> = std::iter::from_fn(|| budget.try_take(16 << 20)).collect();
        assert_eq!(large.len(), 2);
        assert!(budget.is_tight() && budget.try_take(9 << 20).is_none());
        let small: Vec<Lease> = std::iter::from_fn(|| budget.try_take(SMALL)).collect();
        assert_eq!(small.len(), 256 + 128, "and what is left of the room for large ones");
        assert!(budget.try_take(1).is_none() && budget.try_take_head(SMALL).is_some());
        assert!(soon(budget.take(1, NOW)).is_none());
        drop((large, small));
        assert!(!budget.is_tight());
        assert!(soon(budget.take(1 << 30, NOW)).is_some(), "what is larger than all has it alone");
    }

    #[test]
    fn one_connection_takes_no_more_than_its_share() {
        let budget = Budget::new(64 << 20);
        let share = budget.share();
        let first = soon(budget.take_of(&share, 6 << 20, NOW));
        assert!(first.is_some());
        assert!(soon(budget.take_of(&share, 6 << 20, NOW)).is_none());
        assert!(soon(budget.take_of(&budget.share(), 6 << 20, NOW)).is_some());
        drop(first);
        assert!(soon(budget.take_of(&share, 20 << 20, NOW)).is_some(), "one answer always finds room");
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, size) in [("65536", 65536), ("64k", 65536), ("256 MiB", 256 << 20), ("1G", 1 << 30)] {
            assert_eq!(parse_size(text), Some(size), "{text}");
        }
        for wrong in ["", "M", "1T", "-1", "1.5G", "99999999999999999999"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }
}
