//! What AWS limits, and what this server does (facts/kinesis.md § 6).

/// Records of one PutRecords.
pub const RECORDS: usize = 500;

/// Bytes of data and partition keys of one request that puts records.
pub const REQUEST_BYTES: usize = 10 << 20;

/// Bytes of one answer that has records, unless it is one record. AWS's answers have up to 10 MiB, and may have less.
pub const READ_BYTES: usize = 2 << 20;

/// `MaxRecordSizeInKiB` unless something else is said.
pub const RECORD_KIB: u32 = 1024;

/// Records of one GetRecords.
pub const READ_RECORDS: usize = 10_000;

/// Characters of a partition key.
pub const PARTITION_KEY: usize = 256;

/// Tags of a resource.
pub const TAGS: usize = 50;

/// How long an iterator can be used.
pub const ITERATOR_MILLIS: u64 = 300_000;

/// How long the token of a list can be used.
pub const TOKEN_MILLIS: u64 = 300_000;

/// How long a subscription lasts.
pub const SUBSCRIPTION_MILLIS: u64 = 300_000;

/// A consumer that subscribes again to a shard within this time is refused; later the new subscription takes over.
pub const TAKE_OVER_MILLIS: u64 = 5_000;

/// A subscriber hears something at least so often.
pub const HEARTBEAT_MILLIS: u64 = 5_000;

/// Hours for which a stream keeps records, if nothing else is said; and the least.
pub const LEAST_HOURS: u32 = 24;

/// The most hours: a year.
pub const MOST_HOURS: u32 = 8760;

/// Shards of an on-demand stream when it is made.
pub const ON_DEMAND_SHARDS: u32 = 4;

/// Shards that all streams of the server may have together. They are kept in memory, so the server bounds them.
pub const ALL_SHARDS: usize = 1 << 20;

/// Shards of a request. AWS's limit of an account in its large regions.
pub const SHARDS: usize = 20_000;

/// On-demand streams of an account.
pub const ON_DEMAND_STREAMS: usize = 50;

/// Consumers of a stream.
pub const CONSUMERS: usize = 20;

/// Bytes of a resource policy.
pub const POLICY_BYTES: usize = 20 << 10;

/// Bytes and records that a shard takes in a second.
pub const SHARD_BYTES: u64 = 1 << 20;

/// See [`SHARD_BYTES`].
pub const SHARD_RECORDS: u64 = 1000;

/// Channels of an account.
pub const CHANNELS: usize = 50;

/// Which limits are in force.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// Whether what AWS raises on demand is limited: shards, streams, consumers.
    pub quotas: bool,
    /// Whether a shard takes no more in a second than AWS's.
    pub rates: bool,
    /// Whether resource policies decide what other accounts, and services for them, may do.
    pub policies: bool,
}

impl kernel::Limits for Limits {
    fn strict() -> Self {
        Limits { quotas: true, rates: true, policies: true }
    }
}
