//! Executions of express state machines as sources: who has started one by its name draws its output when it has ended.
//!
//! Nothing of this is in the log, and few ends are remembered: they are for those who wait at this moment.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use kernel::{Arn, Drawn, Extent, Stored};

use crate::operations::executions::end_of_record;
use crate::records::Status;
use crate::state::State;

/// Ends that are remembered, at the most, and executions that are awaited. Who waits for one reads it soon, or gives up.
const REMEMBERED: usize = 1024;

/// Executions that somebody waits for, by their ARNs without the id that each has behind its name.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    awaited: BTreeSet<String>,
    /// How they ended, and where the record lies that says it.
    ended: VecDeque<(String, Status, Extent)>,
    filled: VecDeque<Arn>,
}

impl Ended {
    /// Whether somebody waits for an execution.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// An execution has ended.
    pub(crate) fn over(&mut self, arn: String, status: Status, last: Extent) {
        if !self.awaited.remove(&arn) {
            return;
        }
        self.filled.extend(arn.parse());
        self.ended.push_back((arn, status, last));
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
    }

    /// Whether somebody is still to be told of an end.
    pub(crate) fn owes(&self) -> bool {
        !self.filled.is_empty()
    }

    fn find(&self, arn: &Arn) -> Option<&(String, Status, Extent)> {
        let arn = arn.to_string();
        self.ended.iter().find(|ended| ended.0 == arn)
    }
}

impl State {
    /// Somebody waits for the end of an execution that need not have begun.
    pub(crate) fn watch(&mut self, source: &Arn) {
        if source.resource.starts_with("express:") {
            self.ended.awaited.insert(source.to_string());
            // One that was never started is awaited for ever.
            if self.ended.awaited.len() > REMEMBERED {
                self.ended.awaited.pop_first();
            }
        }
    }

    /// The next execution that somebody waited for and that has ended.
    pub(crate) fn next_filled(&mut self) -> Option<Arn> {
        self.ended.filled.pop_front()
    }

    /// Where the last record of an execution lies, which has its output.
    pub(crate) fn place_of(&self, from: &Arn, _: Drawn) -> Option<Extent> {
        self.ended.find(from).map(|ended| ended.2)
    }

    /// The output of an execution, which is JSON; none if it has failed.
    pub(crate) fn show(&self, from: &Arn, _: Drawn, record: &Stored) -> Option<String> {
        let (_, status, last) = self.ended.find(from)?;
        let bytes = (Bytes::copy_from_slice(&record.head), Bytes::copy_from_slice(&record.tail));
        if *last != record.extent {
            return None;
        }
        end_of_record(*status, &bytes).ok()?.ok()
    }
}
