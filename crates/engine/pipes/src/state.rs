//! What is remembered of all pipes, and `apply`, the only function that changes what the log says.

use std::sync::Arc;

use kernel::{Extent, Ledger};
use resources::Declarations;

use crate::PipeKey;
use crate::records::{PipeDeclared, PipeState, Record};
use crate::rules::pipe::Pipe;
use crate::runs::Runs;

/// All pipes.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) pipes: Declarations<PipeDeclared>,
    /// Bytes of what they are declared to do.
    bytes: usize,

    // What follows is not in the log.
    is_replaying: bool,
    /// What they are doing at the moment.
    pub(crate) runs: Runs,
}

impl State {
    /// The pipe of this name.
    pub fn pipe(&self, key: &PipeKey) -> Option<&PipeDeclared> {
        self.pipes.get(key)
    }

    /// All pipes, by key.
    pub fn pipes(&self) -> impl Iterator<Item = &PipeDeclared> {
        self.pipes.iter()
    }

    /// How many pipes an account has in a region.
    pub(crate) fn pipes_of(&self, key: &PipeKey) -> usize {
        let first = PipeKey { name: String::new(), ..key.clone() };
        let theirs = self.pipes.range(first..);
        theirs.take_while(|it| (&it.key.account, &it.key.region) == (&key.account, &key.region)).count()
    }

    /// Bytes of what all pipes are declared to do.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Applies a record that lies at `at`.
    pub fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        match record {
            Record::PipeDeclared(record) => {
                self.bytes += size_of_pipe(record);
                let before = self.pipes.declare(record, at, ledger);
                self.bytes -= before.as_ref().map_or(0, size_of_pipe);
                if let Some(before) = before.filter(|before| before.id != record.id) {
                    self.runs.remove(before.id);
                }
                if !self.is_replaying {
                    self.run(record);
                }
            }
            Record::PipeDeleted(record) => {
                if let Some(gone) = self.pipes.delete(record, at, ledger) {
                    self.bytes -= size_of_pipe(&gone);
                    self.runs.remove(record.id);
                }
            }
        }
    }

    /// What a pipe does follows from what is declared of it.
    fn run(&mut self, declared: &PipeDeclared) {
        let known = self.runs.pipe(declared.id).filter(|pipe| pipe.definition == declared.definition);
        let pipe = match known {
            Some(known) => known.clone(),
            // It was checked before it was declared.
            None => match Pipe::of(declared.id, declared.key.clone(), declared.definition.clone()) {
                Ok(pipe) => Arc::new(pipe),
                Err(_) => return,
            },
        };
        self.runs.set(pipe, declared.state);
    }

    /// A log is about to be read. Pipes begin to run behind it.
    pub(crate) fn replaying(&mut self) {
        self.is_replaying = true;
    }

    /// A log has been read.
    pub(crate) fn replayed(&mut self) {
        self.is_replaying = false;
        let all: Vec<PipeDeclared> = self.pipes.iter().cloned().collect();
        all.iter().for_each(|declared| self.run(declared));
    }

    /// What a pipe whose messages are no longer under way becomes.
    pub(crate) fn settled(&self, id: u64) -> Option<Record> {
        let declared = self.pipes.get(&self.runs.pipe(id)?.key).filter(|declared| declared.id == id)?;
        let state = match declared.state {
            PipeState::Deleting => return self.pipes.deletion(&declared.key).map(Record::PipeDeleted),
            state if !state.passes() => return None,
            _ if declared.is_wanted => PipeState::Running,
            _ => PipeState::Stopped,
        };
        Some(Record::PipeDeclared(Box::new(PipeDeclared { state, ..declared.clone() })))
    }

    /// The facts after which nothing is left.
    pub fn reset(&self) -> Vec<Record> {
        self.pipes.deletions().map(Record::PipeDeleted).collect()
    }
}

/// Bytes of a declaration, about. Patterns and templates take a few times as much when they have been read.
fn size_of_pipe(declared: &PipeDeclared) -> usize {
    let definition = &declared.definition;
    let filters = definition.filters.iter().flatten().map(String::len).sum::<usize>();
    let template = definition.target_parameters.as_ref().and_then(|it| it.input_template.as_ref());
    1024 + 4 * (filters + template.map_or(0, String::len))
}
