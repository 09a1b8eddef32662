//! Why SQS refuses, in AWS's words. Those that several operations share stand in the order in which AWS checks them.

use kernel::Refusal;

/// A required parameter is absent (facts/sqs.md § 11).
pub fn parameter_missing(parameter: &str) -> Refusal {
    Refusal::new(
        "MissingRequiredParameterException",
        format!("The request must contain the parameter {parameter}."),
    )
}

/// The queue URL is not one of this service's.
pub fn address_invalid(url: &str) -> Refusal {
    Refusal::new("InvalidAddress", format!("The address {url} is not valid for this endpoint."))
}

/// There is no such queue. The query protocol has a text of its own, which `wire` puts in.
pub fn queue_missing() -> Refusal {
    Refusal::new("QueueDoesNotExist", "The specified queue does not exist.")
}

/// A parameter has a value that it cannot have; `reason` is the whole text.
pub fn parameter_invalid(reason: impl Into<String>) -> Refusal {
    Refusal::new("InvalidParameterValueException", reason.into())
}

/// `Value … for parameter … is invalid. Reason: …`
pub fn value_invalid(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Refusal {
    parameter_invalid(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
}

/// The receipt handle is none that this server made for this queue.
pub fn handle_invalid(handle: &str) -> Refusal {
    Refusal::new(
        "ReceiptHandleIsInvalid",
        format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
    )
}

/// The receipt handle was good once.
pub fn handle_expired(handle: &str) -> Refusal {
    value_invalid(handle, "ReceiptHandle", "The receipt handle has expired.")
}

/// The message is gone, or nobody has received it.
pub fn not_in_flight(handle: &str) -> Refusal {
    value_invalid(
        handle,
        "ReceiptHandle",
        "Message does not exist or is not available for visibility timeout change.",
    )
}

/// Too many messages are in flight (standard queues, short polls).
pub fn too_many_in_flight() -> Refusal {
    Refusal::new(
        "OverLimit",
        "Too many messages are in flight: a queue can have at most 120000 messages that were received and not deleted.",
    )
}

/// A batch has no entries; `kind` is the entries' shape.
pub fn batch_empty(kind: &str) -> Refusal {
    Refusal::new("EmptyBatchRequest", format!("There should be at least one {kind} in the request."))
}

/// A batch has more than ten entries.
pub fn batch_too_many(sent: usize) -> Refusal {
    Refusal::new(
        "TooManyEntriesInBatchRequest",
        format!("Maximum number of entries per request are 10. You have sent {sent}."),
    )
}

/// An entry's id has other characters than letters, digits, hyphens and underscores, or more than 80.
pub fn batch_id_invalid() -> Refusal {
    Refusal::new(
        "InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
    )
}

/// Two entries have the same id.
pub fn batch_id_repeated(id: &str) -> Refusal {
    Refusal::new("BatchEntryIdsNotDistinct", format!("Id {id} repeated."))
}

/// All entries together are too long.
pub fn batch_too_long(sent: usize) -> Refusal {
    Refusal::new(
        "BatchRequestTooLong",
        format!("Batch requests cannot be longer than 1048576 bytes. You have sent {sent} bytes."),
    )
}
