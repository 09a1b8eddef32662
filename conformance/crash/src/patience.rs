//! A limit on waiting that counts only while this program runs.
//!
//! A long run may be stopped for minutes (SIGSTOP, a laptop that sleeps, a machine that is lent to somebody else), and the
//! server with it. Nobody broke a promise then, so such minutes use up no patience.

use std::time::{Duration, Instant};

/// What a wait may have taken between two looks at it; anything longer is held to be a pause of the machine.
const LONGEST_STEP: Duration = Duration::from_secs(2);

/// How much of a limit is used up.
pub struct Patience {
    limit: Duration,
    used: Duration,
    looked: Instant,
}

impl Patience {
    pub fn new(limit: Duration) -> Patience {
        Patience { limit, used: Duration::ZERO, looked: Instant::now() }
    }

    /// Whether the limit is used up. To be asked at least once in two seconds: of a longer time only two seconds count.
    pub fn is_over(&mut self) -> bool {
        let now = Instant::now();
        self.used += (now - self.looked).min(LONGEST_STEP);
        self.looked = now;
        self.used > self.limit
    }
}
