//! Quotas and bounds, each with its source.

/// Tables of an account in a region (facts/dynamodb.md § 3).
pub const TABLES: usize = 2_500;

/// Names of a page of tables.
pub const PAGE_OF_TABLES: usize = 100;

/// Bytes of the items of a page, before filters and projections (facts/dynamodb.md § 3).
pub const PAGE_BYTES: usize = 1 << 20;

/// Items of a page. AWS has no such bound; here it keeps a page of tiny items within a turn.
pub const PAGE_ITEMS: usize = 10_000;

/// Bytes of the items of one BatchGetItem (facts/dynamodb.md § 3).
pub const BATCH_GET_BYTES: usize = 16 << 20;

/// Bytes of new items that one BatchWriteItem writes: they are one group of the log, which has 4 MiB. The rest is unprocessed.
pub const BATCH_WRITE_BYTES: usize = 3 << 20;

/// Global and local secondary indexes of a table (facts/dynamodb.md § 3).
pub const GLOBAL_INDEXES: usize = 20;
/// See [`GLOBAL_INDEXES`].
pub const LOCAL_INDEXES: usize = 5;

/// Bytes of a partition key and of a sort key (facts/dynamodb.md § 3).
pub const HASH_BYTES: usize = 2_048;
/// See [`HASH_BYTES`].
pub const RANGE_BYTES: usize = 1_024;

/// How long a token of TransactWriteItems counts (facts/dynamodb.md § 12).
pub const TOKEN_MILLIS: u64 = 600_000;

/// Tokens that are remembered. Each takes about a hundred bytes.
pub const TOKENS: usize = 1_000_000;

/// Tags of a table (facts/dynamodb.md § 2).
pub const TAGS: usize = 50;

/// Items that expire in one step.
pub const EXPIRED: usize = 100;

/// Items that are put into new indexes, or forgotten with their table, in one step between requests.
pub const STEP_ITEMS: usize = 500;

/// Bytes of memory for all items and their indexes, unless the server says otherwise.
pub const MEMORY_BYTES: usize = 1 << 30;

/// What the map of a table takes for an item besides its bytes, about.
pub const ITEM_OVERHEAD: usize = 100;

/// What an index takes for an entry besides its key, about.
pub const ENTRY_OVERHEAD: usize = 64;

/// Which limits are in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Whether what AWS raises on demand is limited: tables.
    pub quotas: bool,
    /// Bytes of memory for all items and their indexes. What needs more is refused.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { quotas: false, memory: MEMORY_BYTES }
    }
}

impl kernel::Limits for Limits {
    fn strict() -> Self {
        Limits { quotas: true, ..Limits::default() }
    }
}
