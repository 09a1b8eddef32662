//! How a log is read fast: messages are applied some dozens at a time, after a look at all that they will touch.
//!
//! Where there are a million groups, each message of a log goes to another one, somewhere in memory, and would wait for its
//! group to be found, for the group, for its lane. Memory answers many questions in the time of one, if they are asked
//! together.

use std::borrow::Cow;
use std::ops::Range;

use kernel::{Extent, Ledger};

use crate::records::{Deduplication, MessageSent};
use crate::state::State;

/// So many messages are looked at together.
const TOGETHER: usize = 64;

/// Messages of groups that have been read and are still to be applied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ahead {
    messages: Vec<Message>,
    /// The text of all of them.
    text: String,
}

#[derive(Clone, Debug)]
struct Message {
    /// All but its text.
    record: MessageSent<'static>,
    at: Extent,
    group: Range<usize>,
    deduplication: Option<(Range<usize>, bool)>,
}

impl Ahead {
    fn push(&mut self, record: &MessageSent<'_>, group: &str, at: Extent) {
        let mut add = |text: &str| {
            let begin = self.text.len();
            self.text.push_str(text);
            begin..self.text.len()
        };
        let group = add(group);
        let deduplication = record.deduplication.as_ref().map(|it| (add(&it.id), it.in_group));
        let record = MessageSent { group: None, deduplication: None, ..*record };
        self.messages.push(Message { record, at, group, deduplication });
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

impl State {
    /// Takes a message of a group that was read from a log, to apply it soon.
    pub(crate) fn read_message(
        &mut self,
        record: &MessageSent<'_>,
        group: &str,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        self.ahead.push(record, group, at);
        if self.ahead.messages.len() >= TOGETHER {
            self.catch_up(ledger);
        }
    }

    /// Applies what was read and not yet applied: before anything else is, and before anything is asked.
    pub(crate) fn catch_up(&mut self, ledger: &mut Ledger) {
        if self.ahead.messages.is_empty() {
            return;
        }
        let mut ahead = std::mem::take(&mut self.ahead);
        for messages in ahead.messages.chunk_by(|one, other| one.record.queue == other.record.queue) {
            let queue = messages.first().and_then(|message| self.queues.get(&message.record.queue));
            if let Some(queue) = queue {
                queue.groups.look_ahead(messages.iter().map(|message| ahead.text(&message.group)));
            }
        }
        for Message { record, at, group, deduplication } in &ahead.messages {
            let deduplication = deduplication.as_ref().map(|(id, in_group)| Deduplication {
                id: Cow::Borrowed(ahead.text(id)),
                in_group: *in_group,
            });
            let group = Some(Cow::Borrowed(ahead.text(group)));
            self.message_sent(&MessageSent { group, deduplication, ..*record }, *at, ledger);
        }
        ahead.messages.clear();
        ahead.text.clear();
        self.ahead = ahead;
    }
}
