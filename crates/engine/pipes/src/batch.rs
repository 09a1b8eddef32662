//! Messages that go through a pipe together, and what becomes of them.

use std::collections::VecDeque;
use std::sync::Arc;

use kernel::request::Answer;
use kernel::{Arn, Drawn, Extent, Stored, Time};

use crate::BatchId;
use crate::rules::pipe::Pipe;

/// Messages that go through a pipe together.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) pipe: Arc<Pipe>,
    /// Messages that are to be read.
    pub(crate) unread: Vec<Drawn>,
    /// Those that are being read, and where.
    pub(crate) reading: Vec<(Drawn, Extent)>,
    /// Those that have been read.
    pub(crate) read: VecDeque<(Drawn, Stored)>,
    /// Whether it counts among those that are in memory.
    pub(crate) is_loaded: bool,
    /// Whether it counts among those for which an API destination is asked.
    pub(crate) is_asking: bool,
    /// Groups of a FIFO queue of which a message was not handed on: those behind it wait.
    pub(crate) blocked: Vec<String>,
    pub(crate) done: usize,
    pub(crate) failed: usize,
    /// What is to be handed on together, as far as it has been put into other words.
    pub(crate) gathered: Gathered,
    /// The answer for which it waits.
    pub(crate) asked: Option<Asked>,
}

impl Batch {
    /// Notes what became of some of its messages.
    pub(crate) fn note(&mut self, handed: Handed) {
        self.done += handed.done;
        self.failed += handed.failed;
        self.blocked.extend(handed.blocked);
        for message in handed.rest.into_iter().rev() {
            self.read.push_front(message);
        }
    }
}

/// Messages that are about to be handed on.
#[derive(Debug)]
pub struct Hand {
    /// Their batch.
    pub batch: BatchId,
    /// Their pipe, as it was when they were drawn.
    pub pipe: Arc<Pipe>,
    /// The messages with their records.
    pub messages: Vec<(Drawn, Stored)>,
    /// Groups of which nothing is handed on.
    pub blocked: Vec<String>,
    /// What goes on together with them.
    pub gathered: Gathered,
    /// Whether the batch has no others behind them.
    pub is_last: bool,
}

/// Messages that go on together, as the items of one array.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gathered {
    /// The messages, with their ids.
    pub messages: Vec<(Drawn, String)>,
    /// The items, with commas between them.
    pub items: String,
}

/// For what somebody is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The answer takes the place of the messages.
    Enrich,
    /// It is the target that is asked, and the answer tells which messages have failed.
    Invoke,
}

/// What is asked for messages, and the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// For what.
    pub purpose: Purpose,
    /// Who.
    pub who: Who,
    /// The messages, with their ids.
    pub messages: Vec<(Drawn, String)>,
    /// The answer, if there is one.
    pub answer: Option<Said>,
    /// Until when it is waited for.
    pub until: Time,
}

/// Who is asked for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// An execution of an express state machine.
    Execution(Execution),
    /// An API destination.
    Destination,
}

/// An execution of an express state machine that is asked for messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Execution {
    /// The state machine.
    pub machine: Arn,
    /// The name of the execution, which no other one has.
    pub name: String,
    /// Its input.
    pub input: String,
    /// Where the record that has its output is being read.
    pub reading: Option<Extent>,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// The record that has the output of an execution.
    Output(Stored),
    /// That of an API destination.
    Answer(Answer),
}

impl Asked {
    /// The execution that is asked, if it is one.
    pub fn execution(&self) -> Option<&Execution> {
        match &self.who {
            Who::Execution(execution) => Some(execution),
            Who::Destination => None,
        }
    }

    /// About how many bytes it takes to deal with the answer.
    pub fn bytes(&self) -> usize {
        match (&self.who, &self.answer) {
            (Who::Execution(execution), _) => execution.input.len(),
            (_, Some(Said::Answer(Answer::Answered { body, .. }))) => body.len(),
            _ => 0,
        }
    }
}

impl Execution {
    /// The execution as a source: its ARN without the id behind its name.
    pub fn source(&self) -> Arn {
        let machine = self.machine.resource.split(':').nth(1).unwrap_or_default();
        Arn { resource: format!("express:{machine}:{}", self.name), ..self.machine.clone() }
    }
}

/// What became of messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Handed {
    /// How many are gone from their source: handed on, or filtered out.
    pub done: usize,
    /// How many the target did not take.
    pub failed: usize,
    /// The group of the one that it did not take.
    pub blocked: Option<String>,
    /// Those for which the target had no room left. They are handed on next.
    pub rest: Vec<(Drawn, Stored)>,
}
