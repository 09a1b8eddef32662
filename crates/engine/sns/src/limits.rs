//! Quotas, each with its source.

/// A subscription that is not confirmed is deleted after so long (facts/sns.md § 4).
pub const PENDING_MILLIS: u64 = 48 * 60 * 60 * 1000;

/// Items of a page (facts/sns.md § 2).
pub const PAGE: usize = 100;

/// Tags of a resource (facts/sns.md § 2).
pub const TAGS: usize = 50;

/// Entries of a batch (facts/sns.md § 2).
pub const BATCH_ENTRIES: usize = 10;

/// Bytes of a message with its attributes, unless the topic says otherwise (facts/sns.md § 3).
pub const MESSAGE_BYTES: usize = 262_144;

/// The least and the most that `MaximumMessageSize` can be, in bytes (facts/sns.md § 3).
pub const LEAST_MESSAGE_BYTES: usize = 1024;
/// See [`LEAST_MESSAGE_BYTES`].
pub const MOST_MESSAGE_BYTES: usize = 1_048_576;

/// Characters of a topic's name (AWS's documentation of CreateTopic).
pub const NAME_CHARACTERS: usize = 256;

/// Characters of a data protection policy (facts/sns.md § 2).
pub const DATA_PROTECTION_CHARACTERS: usize = 30_720;

/// Standard topics of an account in a region (facts/sns.md § 4).
pub const TOPICS: usize = 100_000;

/// FIFO topics of an account in a region (facts/sns.md § 4).
pub const FIFO_TOPICS: usize = 1_000;

/// Subscriptions of a standard topic (facts/sns.md § 4).
pub const SUBSCRIPTIONS: usize = 12_500_000;

/// Subscriptions of a FIFO topic (facts/sns.md § 4).
pub const FIFO_SUBSCRIPTIONS: usize = 100;

/// Subscriptions of a topic whose messages may be longer than [`MESSAGE_BYTES`] (facts/sns.md § 3).
pub const LARGE_MESSAGE_SUBSCRIPTIONS: usize = 100;

/// Pending subscriptions of an account (facts/sns.md § 4).
pub const PENDING_SUBSCRIPTIONS: usize = 5_000;

/// Filter policies of an account (facts/sns.md § 11).
pub const ACCOUNT_FILTER_POLICIES: usize = 10_000;

/// Filter policies of a topic (facts/sns.md § 11).
pub const FILTER_POLICIES: usize = 200;

/// Telephones of an account's sandbox (AWS's documentation of the SMS sandbox).
pub const SANDBOX_NUMBERS: usize = 10;

/// Attempts that are under way at once, of all subscriptions together, unless the server has room for fewer.
pub const ATTEMPTS: usize = 512;

/// Takers that a message gets in one turn. If a standard topic has more for it, they get it in steps of so many, between which
/// other requests run: with this number a step takes about two milliseconds.
pub const TAKERS_AT_ONCE: usize = 500;

/// Which limits are in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Whether a queue's policy must allow the topic to send to it (facts/sns.md § 12).
    pub queue_policies: bool,
    /// Whether what AWS raises on demand is limited: topics, subscriptions, filter policies.
    pub quotas: bool,
    /// Whether text messages go only to telephones that were verified.
    pub sms_sandbox: bool,
    /// Attempts to deliver something that may be under way at once. More than these wait for their turn.
    pub attempts: usize,
    /// Takers that a message gets in one turn ([`TAKERS_AT_ONCE`]).
    pub takers_at_once: usize,
}

impl Limits {
    /// As AWS has them.
    pub const fn strict() -> Self {
        Limits { queue_policies: true, quotas: true, sms_sandbox: true, ..Limits::relaxed() }
    }

    /// Without those that only slow a developer down.
    pub const fn relaxed() -> Self {
        Limits {
            queue_policies: false,
            quotas: false,
            sms_sandbox: false,
            attempts: ATTEMPTS,
            takers_at_once: TAKERS_AT_ONCE,
        }
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
