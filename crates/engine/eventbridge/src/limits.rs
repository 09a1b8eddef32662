//! Quotas, each with its source.

/// Items of a page (AWS's model: `LimitMax100`).
pub const PAGE: usize = 100;

/// Tags of a resource (AWS's documentation of TagResource).
pub const TAGS: usize = 50;

/// Entries of a PutEvents (facts/eventbridge.md § 3).
pub const ENTRIES: usize = 10;

/// Bytes of all entries of a PutEvents together (facts/eventbridge.md § 0).
pub const ENTRIES_BYTES: usize = 1 << 20;

/// Bytes that an entry's time counts for (facts/eventbridge.md § 3).
pub const TIME_BYTES: usize = 14;

/// Targets of a rule (facts/eventbridge.md § 2).
pub const TARGETS: usize = 5;

/// Rules of a bus (facts/eventbridge.md § 6).
pub const RULES: usize = 300;

/// Buses of an account in a region (facts/eventbridge.md § 6).
pub const BUSES: usize = 100;

/// Connections of an account in a region (AWS's documentation of EventBridge's quotas).
pub const CONNECTIONS: usize = 3000;

/// API destinations of an account in a region (AWS's documentation of EventBridge's quotas).
pub const DESTINATIONS: usize = 3000;

/// Requests to an API destination per second: by default, and at the most (facts/eventbridge.md § 8).
pub const RATE: u32 = 300;

/// Replays of an account in a region that have not ended (facts/eventbridge.md § 7).
pub const REPLAYS: usize = 10;

/// For how long the name of a replay that has ended stays taken: 90 days (facts/eventbridge.md § 7).
pub const REPLAY_REMEMBERED_MILLIS: u64 = 90 * 24 * 60 * 60 * 1000;

/// Bytes of a bus's policy (facts/eventbridge.md § 6).
pub const POLICY_BYTES: usize = 10_240;

/// Attempts after the first one, unless the target says otherwise (facts/eventbridge.md § 6).
pub const RETRY_ATTEMPTS: u32 = 185;

/// For how long an event is tried, unless the target says otherwise (facts/eventbridge.md § 6).
pub const EVENT_AGE_SECONDS: u32 = 86_400;

/// Bytes of what a target is handed at the most. What an input transformer makes longer is not delivered.
pub const INPUT_BYTES: usize = 1 << 20;

/// Bytes of what the targets of one step are handed, about: the next step follows.
pub const STEP_BYTES: usize = 256 << 10;

/// Targets that are handed something in one step, about.
pub const STEP_TARGETS: usize = 1000;

/// Attempts that are under way at once, of all targets together, unless the server has room for fewer.
pub const ATTEMPTS: usize = 512;

/// Which limits are in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Whether a target's policy must allow the rule to send to it, and a bus's policy another account to put events
    /// (facts/eventbridge.md § 6).
    pub policies: bool,
    /// Whether what AWS raises on demand is limited: buses, rules.
    pub quotas: bool,
    /// Attempts to deliver something that may be under way at once. More than these wait for their turn.
    pub attempts: usize,
}

impl Limits {
    /// As AWS has them.
    pub const fn strict() -> Self {
        Limits { policies: true, quotas: true, attempts: ATTEMPTS }
    }

    /// Without those that only slow a developer down.
    pub const fn relaxed() -> Self {
        Limits { policies: false, quotas: false, attempts: ATTEMPTS }
    }
}

impl kernel::Limits for Limits {
    fn strict() -> Self {
        Limits::strict()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::relaxed()
    }
}
