//! Quotas, each with its source.

/// Schedules of an account in a region (facts/eventbridge.md § 9).
pub const SCHEDULES: usize = 1_000_000;

/// Groups of an account in a region (facts/eventbridge.md § 9).
pub const GROUPS: usize = 500;

/// Items of a page (AWS's model, `MaxResults`).
pub const PAGE: usize = 100;

/// Schedules that one page looks at, at the most: a page for which few of them qualify is short, and has a token.
pub const LOOKED_AT: usize = 2_000;

/// Tags of a group (AWS's model, `TagList`).
pub const TAGS: usize = 200;

/// Bytes of a target's `Input` (facts/eventbridge.md § 9).
pub const INPUT_BYTES: usize = 256 << 10;

/// Bytes of what all schedules have for themselves, such as names, expressions and inputs. They are kept in memory, so the server
/// bounds them; AWS does not.
pub const MEMORY_BYTES: usize = 512 << 20;

/// Bytes of all invocations that are tried again. What fails while there are more is given up at once.
pub const INVOCATION_BYTES: usize = 64 << 20;

/// `StartDate` cannot be earlier than so many milliseconds ago.
pub const START_AGO_MILLIS: u64 = 5 * 60 * 1000;

/// `MaximumRetryAttempts` unless the target says otherwise, and at the most (facts/eventbridge.md § 9).
pub const RETRY_ATTEMPTS: u32 = 185;

/// `MaximumEventAgeInSeconds` unless the target says otherwise, and at the most (facts/eventbridge.md § 9).
pub const EVENT_AGE_SECONDS: u32 = 86_400;

/// Which limits are in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Whether what AWS raises on demand is limited: schedules, groups.
    pub quotas: bool,
}

impl Limits {
    /// As AWS has them.
    pub const fn strict() -> Self {
        Limits { quotas: true }
    }

    /// Without those that only slow a developer down.
    pub const fn relaxed() -> Self {
        Limits { quotas: false }
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
