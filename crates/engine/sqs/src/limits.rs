//! Quotas, each with its source. Strict and relaxed are two values of one type.

/// After a queue was deleted its name cannot be used for so long (facts/sqs.md § 2), if the limits are strict.
pub const DELETED_RECENTLY_MILLIS: u64 = 60_000;

/// Between two purges of a queue so long must pass (facts/sqs.md § 11), if the limits are strict.
pub const PURGE_AGAIN_MILLIS: u64 = 60_000;

/// Messages of one queue that can be in flight at once, standard and FIFO (facts/sqs.md § 15).
pub const IN_FLIGHT: u64 = 120_000;

/// Entries of a batch (facts/sqs.md § 10).
pub const BATCH_ENTRIES: usize = 10;

/// Bytes of a batch, bodies and attributes together, whatever the queue's own limit is (facts/sqs.md § 10).
pub const BATCH_BYTES: usize = 1_048_576;

/// Message attributes of one message (facts/sqs.md § 4).
pub const MESSAGE_ATTRIBUTES: usize = 10;

/// From a receive on, a message can be hidden for so long altogether (facts/sqs.md § 6).
pub const VISIBILITY_SECONDS: u32 = 43_200;

/// A standard queue's receipt handle is good for so long (facts/sqs.md § 6).
pub const HANDLE_MILLIS: u64 = 12 * 60 * 60 * 1000;

/// Move tasks that an account can have running at once (facts/sqs.md § 8).
pub const MOVE_TASKS: usize = 100;

/// A move task runs for so long at the most (facts/sqs.md § 8).
pub const MOVE_TASK_MILLIS: u64 = 36 * 60 * 60 * 1000;

/// Bytes of a queue's policy (facts/sqs.md § 9).
pub const POLICY_BYTES: usize = 8_192;

/// Statements of a policy (facts/sqs.md § 9).
pub const POLICY_STATEMENTS: usize = 20;

/// Actions of a policy's statement (facts/sqs.md § 9).
pub const STATEMENT_ACTIONS: usize = 7;

/// Queues that a redrive allow policy can name (facts/sqs.md § 3).
pub const REDRIVE_SOURCES: usize = 10;

/// Which limits are in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// A deleted queue's name cannot be used again for 60 seconds.
    pub delete_waits: bool,
    /// A queue cannot be purged again for 60 seconds.
    pub purge_waits: bool,
}

impl Limits {
    /// As AWS has them.
    pub const fn strict() -> Self {
        Limits { delete_waits: true, purge_waits: true }
    }

    /// Without those that only slow a developer down.
    pub const fn relaxed() -> Self {
        Limits { delete_waits: false, purge_waits: false }
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
