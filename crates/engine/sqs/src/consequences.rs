//! What follows without anybody asking: messages expire, polls end, waiting clients are served, move tasks go on.

use std::borrow::Cow;

use kernel::{Demand, Time};

use crate::due::Due;
use crate::operations::Setting;
use crate::operations::dead_letters::Transfer;
use crate::operations::receive_message::{Received, group_name, receive};
use crate::operations::reply::Reply;
use crate::queue::Queue;
use crate::records::Draft;
use crate::records::{
    DropReason, DroppedMessage, MessagePlaced, MessagesDropped, MoveStatus, MoveTaskDeclared, Record,
};
use crate::rules::selection::{Candidate, select};
use crate::state::State;
use crate::{QueueId, QueueKey, Seq, TaskId, limits};

/// Something that follows: facts, and perhaps the answer to a request that waited.
#[derive(Debug, Default)]
pub struct Consequence {
    /// Facts to record.
    pub facts: Vec<Draft<'static>>,
    /// The request that is answered, and its answer.
    pub answer: Option<(u64, Reply)>,
}

impl Consequence {
    /// How much there is to do about it: messages that it gives, moves or drops, and one.
    pub fn cost(&self) -> usize {
        let messages = self.facts.iter().map(|draft| match &draft.record {
            Record::MessagesDropped(record) => record.messages.len(),
            Record::MessagesMoved(record) => 2 * record.placed.len(),
            Record::MessagesReceived(record) => record.messages.len(),
            _ => 1,
        });
        1 + messages.sum::<usize>()
    }

    fn silent(facts: Vec<Draft<'static>>) -> Self {
        Consequence { facts, answer: None }
    }
}

/// Expired messages that one step drops at the most.
const EXPIRED: usize = 500;

/// Messages that one step of a move task without a rate moves, and how long it leaves to others before the next.
const MOVE_STEP: u32 = 500;
const MOVE_PAUSE_MILLIS: u64 = 10;

impl State {
    /// What follows next at this moment, one thing at a time, until nothing does. Each is to be applied before the
    /// next is asked for. What asks for more than the disk has `room` for is put off until there is more.
    pub fn follow_up(&mut self, setting: &Setting<'_>) -> Option<Consequence> {
        self.expire(setting).or_else(|| self.follow_up_soon(setting))
    }

    /// What follows next of what somebody waits for.
    pub fn follow_up_soon(&mut self, setting: &Setting<'_>) -> Option<Consequence> {
        if let Some(ticket) = self.ended_polls.pop_front() {
            let received = Received { queue: QueueId(0), messages: Vec::new() };
            return Some(Consequence {
                facts: Vec::new(),
                answer: Some((ticket, Reply::Received(received))),
            });
        }
        if setting.room < Demand::Change {
            return None;
        }
        while let Some(&id) = self.woken.first() {
            if let Some(consequence) = self.serve_waiter(id, setting) {
                return Some(consequence);
            }
            self.woken.remove(&id);
        }
        while let Some(id) = self.due_tasks.pop_first() {
            if let Some(consequence) = self.move_step(id, setting) {
                return Some(consequence);
            }
        }
        None
    }

    /// The next messages that go since they have been kept long enough: nobody is given them any more.
    pub fn expire(&mut self, setting: &Setting<'_>) -> Option<Consequence> {
        let now = setting.now;
        if setting.room < Demand::Delete {
            return None;
        }
        if let Some(consequence) = self.expire_messages(now) {
            return Some(consequence);
        }
        while let Some(id) = self.overdue_queues.pop_first() {
            if let Some(consequence) = self.expire_waiting(id, now) {
                return Some(consequence);
            }
        }
        None
    }

    fn expire_messages(&mut self, now: Time) -> Option<Consequence> {
        while let Some((id, seq)) = self.overdue_messages.pop_front() {
            let Some(queue) = self.queues.get(&id) else { continue };
            let mut messages = Vec::new();
            let mut add = |seq: Seq| {
                if let Some(touched) =
                    queue.touched.get(&seq).filter(|touched| queue.is_expired(touched.sent, now))
                {
                    messages.push(DroppedMessage {
                        seq,
                        place: touched.extent.place,
                        group: group_name(queue, touched.group),
                    });
                }
            };
            add(seq);
            for _ in 1..EXPIRED {
                let Some(&(next, seq)) = self.overdue_messages.front() else { break };
                if next != id {
                    break;
                }
                add(seq);
                self.overdue_messages.pop_front();
            }
            if !messages.is_empty() {
                return Some(Consequence::silent(expired(id, messages)));
            }
        }
        None
    }

    fn expire_waiting(&mut self, id: QueueId, now: Time) -> Option<Consequence> {
        let queue = self.queues.get_mut(&id)?;
        let found = queue.expired(now, EXPIRED);
        if found.is_empty() {
            queue.retention_looked_at(&mut self.deadlines);
            return None;
        }
        let messages = found
            .into_iter()
            .map(|(seq, extent, group)| DroppedMessage {
                seq,
                place: extent.place,
                group: group_name(queue, group),
            })
            .collect();
        // There may be more; and if not, the next deadline is to be found.
        self.overdue_queues.insert(id);
        Some(Consequence::silent(expired(id, messages)))
    }

    /// The client that has waited longest gets what there is.
    fn serve_waiter(&mut self, id: QueueId, setting: &Setting<'_>) -> Option<Consequence> {
        let queue = self.queues.get(&id)?;
        let waiter = queue.waiters.values().next()?;
        let (facts, received) = receive(self, queue, &waiter.request, setting);
        if received.messages.is_empty() {
            // Only dead letters were found: they go, and the client waits on.
            return if facts.is_empty() { None } else { Some(Consequence::silent(facts)) };
        }
        let ticket = waiter.ticket;
        self.stop_waiting(ticket);
        Some(Consequence { facts, answer: Some((ticket, Reply::Received(received))) })
    }

    fn move_step(&mut self, id: TaskId, setting: &Setting<'_>) -> Option<Consequence> {
        let now = setting.now;
        let task = self.tasks.get(&id)?;
        if task.declared.status != MoveStatus::Running {
            return None;
        }
        let end = |status, failure: Option<&str>| {
            let declared = MoveTaskDeclared {
                status,
                moved: task.moved,
                failure: failure.map(str::to_owned),
                ..task.declared.clone()
            };
            Some(Consequence::silent(vec![Record::MoveTaskDeclared(Box::new(declared)).into()]))
        };
        let missing = Some("AWS.SimpleQueueService.NonExistentQueue");
        let Some(source) = self.queues.get(&task.declared.source) else {
            return end(MoveStatus::Failed, missing);
        };
        let destination = match &task.declared.destination {
            None => None,
            Some(arn) => match self.named(arn) {
                None => return end(MoveStatus::Failed, missing),
                found => found,
            },
        };
        if now - task.declared.started >= limits::MOVE_TASK_MILLIS {
            return end(MoveStatus::Failed, Some("AWS.SimpleQueueService.TaskTimeout"));
        }
        let (most, pause) = pace(task.declared.rate);
        let mut transfer = Transfer::new(setting.numbers, DropReason::Moved(id));
        let mut homeless = None;
        select(source, now, &mut |candidate: Candidate<'_>| {
            let touched = candidate.touched;
            // What was sent here by a client or a topic came from no queue (AWS's guide, "Troubleshoot … DLQ redrive issues").
            let came_from = || touched.and_then(|touched| touched.dead_letter_source.as_deref());
            let home = || self.named(&came_from()?.parse().ok()?);
            let Some(to) = destination.or_else(home) else {
                homeless =
                    if came_from().is_some() { missing } else { Some("CouldNotDetermineMessageSource") };
                return false;
            };
            let (fifo, group) = (to.is_fifo(), candidate.group_name.map(|name| Cow::Owned(name.to_owned())));
            // A moved message is a new message: id, time and counts begin anew (facts/sqs.md § 8).
            transfer.add(source, &candidate, |seq| MessagePlaced {
                queue: to.id,
                seq,
                origin: seq,
                copy: touched.map_or(candidate.seq, |touched| touched.copy),
                extent: candidate.extent,
                sent: now,
                group,
                dead_letter_source: None,
                deduplicates_by_id: fifo && touched.is_some_and(|touched| touched.deduplicates_by_id),
                receives: 0,
                receives_elsewhere: 0,
                first_received: Time(0),
                received: Time(0),
                visible: now,
                in_flight: false,
            });
            transfer.len() < most as usize
        });
        if transfer.len() == 0 {
            let status = if homeless.is_some() { MoveStatus::Failed } else { MoveStatus::Completed };
            return end(status, homeless);
        }
        let records = transfer.into_drafts(source);
        self.deadlines.set(now + pause, Due::MoveStep(id));
        Some(Consequence::silent(records))
    }

    fn named(&self, arn: &kernel::Arn) -> Option<&Queue> {
        self.queue(&QueueKey::from_arn(arn)?)
    }
}

/// How many messages a step moves, and milliseconds until the next.
fn pace(rate: Option<u32>) -> (u32, u64) {
    match rate {
        None => (MOVE_STEP, MOVE_PAUSE_MILLIS),
        // Ten steps a second at most, so that a small rate is kept as exactly as a large one.
        Some(rate @ ..=10) => (1, 1000 / u64::from(rate.max(1))),
        Some(rate) => (rate / 10, u64::from(rate / 10) * 1000 / u64::from(rate)),
    }
}

fn expired(queue: QueueId, messages: Vec<DroppedMessage<'static>>) -> Vec<Draft<'static>> {
    let records = MessagesDropped::of(queue, DropReason::Expired, messages);
    records.map(|record| Record::MessagesDropped(record).into()).collect()
}
