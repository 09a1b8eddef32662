//! What falls due, and who waits.

use api::Text;
use kernel::Time;

use crate::{QueueId, Seq, TaskId};

/// What falls due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Due {
    /// A message's visibility timeout or retention period ends.
    MessageDue(QueueId, Seq),
    /// The delay of the first messages with this delay ends.
    DelayEnds(QueueId, u32),
    /// The retention period of the oldest message that was never received ends.
    RetentionEnds(QueueId),
    /// A receive has waited long enough.
    PollEnds(QueueId, u64),
    /// Deduplication ids stop counting.
    DedupEnds(QueueId),
    /// A move task may move more messages.
    MoveStep(TaskId),
}

/// A receive that waits for a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiter {
    /// Whom to answer.
    pub ticket: u64,
    /// What it asked for.
    pub request: Receive,
    /// Until when it waits.
    pub until: Time,
}

/// What a receive asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receive {
    /// At most so many messages, 1 to 10.
    pub most: u32,
    /// They stay hidden for so long; absent: as long as the queue says.
    pub visibility_seconds: Option<u32>,
    /// The client waits for so long; absent: as long as the queue says.
    pub wait_seconds: Option<u32>,
    /// Under this id the receive can be repeated (FIFO).
    pub attempt: Option<Text>,
}
