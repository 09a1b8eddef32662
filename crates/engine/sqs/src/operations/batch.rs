//! What the three batch operations share: their entries' ids, and an outcome for each.

use api::sqs::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    SendMessageBatchRequestEntry,
};
use bytestring::ByteString;
use kernel::Refusal;

use crate::{limits, refusals};

/// An entry of a batch, as a request has it.
pub trait BatchEntry {
    /// What AWS's model calls it.
    const SHAPE: &'static str;

    /// By what the answer refers to it.
    fn id(&self) -> Option<&ByteString>;
}

impl BatchEntry for SendMessageBatchRequestEntry {
    const SHAPE: &'static str = "SendMessageBatchRequestEntry";

    fn id(&self) -> Option<&ByteString> {
        self.id.as_ref()
    }
}

impl BatchEntry for DeleteMessageBatchRequestEntry {
    const SHAPE: &'static str = "DeleteMessageBatchRequestEntry";

    fn id(&self) -> Option<&ByteString> {
        self.id.as_ref()
    }
}

impl BatchEntry for ChangeMessageVisibilityBatchRequestEntry {
    const SHAPE: &'static str = "ChangeMessageVisibilityBatchRequestEntry";

    fn id(&self) -> Option<&ByteString> {
        self.id.as_ref()
    }
}

/// The entries of a request, if they are as many as they may be and have ids that are right. The query protocol
/// cannot tell an empty list from none, so neither do we.
pub fn checked<E: BatchEntry>(entries: Option<Vec<E>>) -> Result<Vec<E>, Refusal> {
    let entries = entries.unwrap_or_default();
    check_ids(E::SHAPE, entries.iter().map(|entry| entry.id().map_or("", |id| id)))?;
    Ok(entries)
}

/// What became of a batch's entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchOutcome<T> {
    /// Those that were done, by id.
    pub successful: Vec<(ByteString, T)>,
    /// Those that were not.
    pub failed: Vec<(ByteString, Refusal)>,
}

impl<T> BatchOutcome<T> {
    /// No outcome yet, with room for so many of the usual ones.
    pub fn with_room(entries: usize) -> Self {
        BatchOutcome { successful: Vec::with_capacity(entries), failed: Vec::new() }
    }

    /// Puts an entry to its like.
    pub fn put(&mut self, id: ByteString, result: Result<T, Refusal>) {
        match result {
            Ok(done) => self.successful.push((id, done)),
            Err(refusal) => self.failed.push((id, refusal)),
        }
    }

    /// Sorts entries by what became of them.
    pub fn collect(entries: impl Iterator<Item = (ByteString, Result<T, Refusal>)>) -> Self {
        let mut outcome = BatchOutcome::with_room(entries.size_hint().0);
        entries.for_each(|(id, result)| outcome.put(id, result));
        outcome
    }
}

/// What a batch's ids must be, in the order in which AWS checks it (facts/sqs.md § 10). `kind` is the entries' shape.
fn check_ids<'a>(kind: &str, ids: impl ExactSizeIterator<Item = &'a str> + Clone) -> Result<(), Refusal> {
    if ids.len() == 0 {
        return Err(refusals::batch_empty(kind));
    }
    if ids.len() > limits::BATCH_ENTRIES {
        return Err(refusals::batch_too_many(ids.len()));
    }
    for id in ids.clone() {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > 80 || !id.bytes().all(legal) {
            return Err(refusals::batch_id_invalid());
        }
    }
    for (at, id) in ids.clone().enumerate() {
        if ids.clone().take(at).any(|other| other == id) {
            return Err(refusals::batch_id_repeated(id));
        }
    }
    Ok(())
}

/// The code of a batch entry's error: what the query protocol calls it, without a namespace (facts/sqs.md §§ 6, 10).
pub fn entry_code(refusal: &Refusal) -> &'static str {
    match refusal.shape {
        "MissingRequiredParameterException" => "MissingParameter",
        "InvalidParameterValueException" => "InvalidParameterValue",
        shape => shape,
    }
}

/// The entries that were not done. AWS always says `Successful`; of `Failed` nothing if there are none.
pub fn present_failed(failed: Vec<(ByteString, Refusal)>) -> Option<Vec<BatchResultErrorEntry>> {
    let entry = |(id, refusal): (ByteString, Refusal)| BatchResultErrorEntry {
        id: Some(id),
        sender_fault: Some(true),
        code: Some(ByteString::from_static(entry_code(&refusal))),
        message: Some(refusal.message.as_ref().into()),
    };
    (!failed.is_empty()).then(|| failed.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ids: &[&str]) -> Option<&'static str> {
        check_ids("SendMessageBatchRequestEntry", ids.iter().copied()).err().map(|refusal| refusal.shape)
    }

    #[test]
    fn faults_of_a_batch_are_found_in_the_order_in_which_aws_checks_them() {
        // facts/sqs.md § 10
        assert_eq!(check(&[]), Some("EmptyBatchRequest"));
        assert_eq!(check(&["!"; 11]), Some("TooManyEntriesInBatchRequest"));
        assert_eq!(check(&["a", "a", "!"]), Some("InvalidBatchEntryId"));
        assert_eq!(check(&["a", "b", "a"]), Some("BatchEntryIdsNotDistinct"));
        assert_eq!(check(&["a", "b"]), None);
    }
}
