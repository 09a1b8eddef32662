//! Why Kinesis refuses, in AWS's words where they are known (facts/kinesis.md § 6, § 18).

use std::fmt::Display;

use kernel::{Refusal, Time};

use crate::StreamKey;
use crate::ids::shard_id;

/// A parameter is wrong in a way that the model does not say; the text is the caller's.
pub fn invalid(text: impl Display) -> Refusal {
    Refusal::new("InvalidArgumentException", text.to_string())
}

/// A parameter violates the model, or does not suit the stream; the text is the caller's.
pub fn violates(text: impl Display) -> Refusal {
    Refusal::new("ValidationException", text.to_string())
}

/// There is no such stream.
pub fn stream_missing(key: &StreamKey) -> Refusal {
    let text = format!("Stream {} under account {} not found.", key.name, key.account);
    Refusal::new("ResourceNotFoundException", text)
}

/// There is such a stream already.
pub fn stream_exists(key: &StreamKey) -> Refusal {
    let text = format!("Stream {} under account {} already exists.", key.name, key.account);
    Refusal::new("ResourceInUseException", text)
}

/// Something cannot be done now; the text is the caller's.
pub fn in_use(text: impl Display) -> Refusal {
    Refusal::new("ResourceInUseException", text.to_string())
}

/// A request that reads names a shard that the stream does not have.
pub fn shard_missing(id: impl Display, key: &StreamKey) -> Refusal {
    let text = format!("Shard {id} in stream {} under account {} does not exist", key.name, key.account);
    Refusal::new("ResourceNotFoundException", text)
}

/// A request that changes shards names one that the stream does not have.
pub fn shard_not_found(id: impl Display, key: &StreamKey) -> Refusal {
    let text = format!("Could not find shard {id} in stream {} under account {}.", key.name, key.account);
    Refusal::new("ResourceNotFoundException", text)
}

/// A shard is closed and can neither be split nor merged.
pub fn shard_closed(number: u32, key: &StreamKey) -> Refusal {
    invalid(format_args!(
        "Shard {} in stream {} under account {} has already been merged or split, and thus is not eligible for merging or splitting.",
        shard_id(number),
        key.name,
        key.account
    ))
}

/// There is no such consumer.
pub fn consumer_missing(name: &str, account: &str) -> Refusal {
    Refusal::new("ResourceNotFoundException", format!("Consumer {name}, account {account} not found."))
}

/// A sequence number is not one of this shard.
pub fn sequence_foreign(number: &str, shard: &str, key: &StreamKey) -> Refusal {
    invalid(format_args!(
        "StartingSequenceNumber {number} used in GetShardIterator on shard {shard} in stream {} under account {} is invalid because \
         it did not come from this stream.",
        key.name, key.account
    ))
}

/// A shard takes no more at the moment.
pub fn too_fast(number: u32, key: &StreamKey) -> Refusal {
    Refusal::new("ProvisionedThroughputExceededException", too_fast_text(number, key))
}

/// The text of [`too_fast`], as it also stands beside a record of PutRecords.
pub fn too_fast_text(number: u32, key: &StreamKey) -> String {
    format!(
        "Rate exceeded for shard {} in stream {} under account {}.",
        shard_id(number),
        key.name,
        key.account
    )
}

/// A limit of an account or a stream is reached; the text is the caller's.
pub fn limit_exceeded(text: impl Display) -> Refusal {
    Refusal::new("LimitExceededException", text.to_string())
}

/// A text is no iterator.
pub fn iterator_invalid() -> Refusal {
    invalid("Invalid ShardIterator.")
}

/// An iterator is too old.
pub fn iterator_expired(made: Time, now: Time) -> Refusal {
    let shown = |time: Time| kernel::iso8601::write(time.signed_millis());
    let text = format!(
        "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the future than the \
         tolerated delay of 300000 milliseconds.",
        shown(made),
        shown(now)
    );
    Refusal::new("ExpiredIteratorException", text)
}

/// The token of a list is too old.
pub fn token_expired() -> Refusal {
    Refusal::new("ExpiredNextTokenException", "NextToken has expired.")
}

/// `DryRun` was asked for, and the request would have succeeded.
pub fn dry_run() -> Refusal {
    let text = "The request would have succeeded, but the DryRun flag is set.";
    Refusal::new("DryRunOperationException", text)
}

/// A stream's mode does not allow something.
pub fn on_demand(key: &StreamKey) -> Refusal {
    violates(format_args!(
        "Request is invalid. Stream {} under account {} is in On-Demand mode.",
        key.name, key.account
    ))
}

/// The caller may not do that.
pub fn denied(who: &str, action: &str, arn: &str) -> Refusal {
    let text = format!(
        "User: {who} is not authorized to perform: {action} on resource: {arn} because no resource-based policy allows the {action} action"
    );
    Refusal::new("AccessDeniedException", text)
}
