//! Receives that a client may repeat by their `ReceiveRequestAttemptId` (FIFO).

use std::collections::BTreeMap;

use kernel::Time;

use crate::Seq;

/// How long an attempt can be repeated (facts/sqs.md § 7).
pub const WINDOW_MILLIS: u64 = 5 * 60 * 1000;

/// What a receive under an attempt id gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// When.
    pub at: Time,
    /// Until when its messages stay hidden, unless someone changes that.
    pub until: Time,
    /// The messages with the receive counts that they had.
    pub messages: Vec<(Seq, u32)>,
}

/// The attempts of the last five minutes.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    by_id: BTreeMap<String, Attempt>,
    by_age: BTreeMap<(Time, String), ()>,
}

impl Attempts {
    /// The attempt of this id, if it can still be repeated.
    pub fn find(&self, id: &str, now: Time) -> Option<&Attempt> {
        self.by_id.get(id).filter(|attempt| now < attempt.at + WINDOW_MILLIS)
    }

    /// Remembers an attempt and forgets those that are too old.
    pub fn remember(&mut self, id: &str, attempt: Attempt) {
        let now = attempt.at;
        while let Some(((at, _), ())) = self.by_age.first_key_value() {
            if *at + WINDOW_MILLIS > now {
                break;
            }
            if let Some(((at, id), ())) = self.by_age.pop_first()
                && self.by_id.get(&id).is_some_and(|attempt| attempt.at == at)
            {
                self.by_id.remove(&id);
            }
        }
        if let Some(old) = self.by_id.insert(id.to_owned(), attempt) {
            self.by_age.remove(&(old.at, id.to_owned()));
        }
        self.by_age.insert((now, id.to_owned()), ());
    }

    /// The messages of an attempt are hidden until another moment, by a repetition of it.
    pub fn extend(&mut self, id: &str, until: Time) {
        if let Some(attempt) = self.by_id.get_mut(id) {
            attempt.until = until;
        }
    }
}
