//! Quotas and bounds, each with its source.

/// Pipes of an account in a region (AWS General Reference, "Amazon EventBridge Pipes quotas").
pub const PIPES: usize = 1_000;

/// Items of a page at the most (AWS's model, `LimitMax100`).
pub const PAGE: usize = 100;

/// Tags of a pipe (AWS's model, `TagMap`).
pub const TAGS: usize = 50;

/// Filters of a pipe (AWS's model, `FilterList`).
pub const FILTERS: usize = 5;

/// Messages that one poll of a queue gives, and so of a batch without a window (AWS's documentation of EventBridge Pipes, "Amazon Simple
/// Queue Service as a source": "up to 10 messages").
pub const POLL: u32 = 10;

/// Messages of a batch for a queue, a topic or an event bus (AWS's documentation of EventBridge Pipes, "batching and concurrency").
pub const TARGET_BATCH: u32 = 10;

/// Bytes of the input of a state machine, and so of a batch for one (the same).
pub const ARRAY_BYTES: usize = 262_144;

/// Messages that are put into other words in one step, of a batch that is handed on as one. Requests come between steps.
pub const GATHERED: usize = 100;

/// Batches of a pipe that are under way at the same time. AWS begins with five.
pub const OPEN: usize = 5;

/// Batches of all pipes whose messages are in memory or being read.
pub const LOADED: usize = 16;

/// An answer is waited for so long: a little longer than an express execution takes at the most (facts/stepfunctions.md § 2). A server
/// elsewhere has less time, but its request may wait for its turn.
pub const ASK_MILLIS: u64 = 330_000;

/// Batches of all pipes for which an API destination is asked. They do not count as [`LOADED`], so that one that hangs, or that takes few
/// requests a second, holds up no other kind of pipe.
pub const ASKING: usize = 128;

/// Bytes of the answer of an API destination. EventBridge asks for no more with its header `Range` (facts/eventbridge.md § 8).
pub const ANSWER_BYTES: usize = 1 << 20;

/// Bytes of a batch that are read from the log at once, if they are more than one message.
pub const READ_BYTES: u64 = 1 << 20;

/// A pipe whose source has promised something and then given nothing waits for so long.
pub const EMPTY_MILLIS: u64 = 1_000;

/// A pipe of whose batch nothing was handed on waits for so long, and twice as long after each further one, up to [`PAUSE_MILLIS`].
pub const FIRST_PAUSE_MILLIS: u64 = 1_000;

/// See [`FIRST_PAUSE_MILLIS`].
pub const PAUSE_MILLIS: u64 = 60_000;

/// Bytes of what a template may make of an event: the longest message that a queue takes (facts/sqs.md). Targets may take less.
pub const PAYLOAD_BYTES: usize = 1 << 20;

/// Bytes of what all pipes are declared to do. It is kept in memory, so the server bounds it; AWS does not.
pub const MEMORY_BYTES: usize = 128 << 20;

/// Which limits are in force.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// Whether what AWS raises on demand is limited: pipes.
    pub quotas: bool,
}

impl kernel::Limits for Limits {
    fn strict() -> Self {
        Limits { quotas: true }
    }
}
