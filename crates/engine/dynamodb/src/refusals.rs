//! Why DynamoDB refuses, in AWS's words where they are known (facts/dynamodb.md § 4 to § 6).

use std::fmt::Display;

use items::Fault;
use kernel::Refusal;

/// What stands before texts of some operations about expressions and values (facts/dynamodb.md § 5).
const ENVELOPE: &str = "1 validation error detected: ";

/// A parameter is wrong; the whole text is the caller's.
pub fn invalid(text: impl Display) -> Refusal {
    Refusal::new("ValidationException", text.to_string())
}

/// The same with the usual beginning.
pub fn wrong(text: impl Display) -> Refusal {
    invalid(format_args!("One or more parameter values were invalid: {text}"))
}

/// Values or expressions of a request are wrong. `enveloped`: the operation is one of those that put [`ENVELOPE`] before it.
pub fn of_fault(fault: &Fault, enveloped: bool) -> Refusal {
    match fault {
        Fault::Serialization(text) => Refusal::new("SerializationException", text.clone()),
        Fault::Validation(text) if enveloped => invalid(format_args!("{ENVELOPE}{text}")),
        Fault::Validation(text) => invalid(text),
    }
}

/// There is no such table, where items are asked for.
pub fn resource_missing() -> Refusal {
    Refusal::new("ResourceNotFoundException", "Requested resource not found")
}

/// There is no such table, where tables are asked for.
pub fn table_missing(name: &str) -> Refusal {
    Refusal::new(
        "ResourceNotFoundException",
        format!("Requested resource not found: Table: {name} not found"),
    )
}

/// There is no table of this ARN. The spelling is AWS's.
pub fn arn_missing(arn: &str) -> Refusal {
    Refusal::new(
        "ResourceNotFoundException",
        format!("Requested resource not found: ResourcArn: {arn} not found"),
    )
}

/// There is such a table already.
pub fn table_exists(name: &str) -> Refusal {
    Refusal::new("ResourceInUseException", format!("Table already exists: {name}"))
}

/// There is no such table, where backups are asked for.
pub fn backups_missing(name: &str) -> Refusal {
    Refusal::new("TableNotFoundException", format!("Table not found: {name}"))
}

/// A condition is not met. `item`: the item as JSON, if it is to be shown.
pub fn unmet(item: Option<String>) -> Refusal {
    let refusal = Refusal::new("ConditionalCheckFailedException", "The conditional request failed");
    match item {
        Some(item) => refusal.with_details(format!("\"Item\":{item}")),
        None => refusal,
    }
}

/// The memory for items is full. The text is ours; the error is one that SDKs try again, since items may go meanwhile.
pub fn memory_full(most: usize) -> Refusal {
    Refusal::new(
        "ProvisionedThroughputExceededException",
        format!(
            "The memory for items of all tables, {most} bytes, is full. Delete items, or start the server with a larger --dynamodb-memory."
        ),
    )
}

/// A limit of the account or of a table is reached.
pub fn limit_exceeded(text: impl Display) -> Refusal {
    Refusal::new("LimitExceededException", text.to_string())
}

/// A key does not have the attributes of the schema.
pub fn key_mismatch() -> Refusal {
    invalid("The provided key element does not match the schema")
}
