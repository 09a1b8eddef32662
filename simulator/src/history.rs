//! The requests of clients and their answers, and the rules that must hold whatever happened to the server.
//!
//! An attribute of each message contains its number. The checks depend on what is certain: a send or delete
//! without an answer before a crash is in doubt, and may have happened or not.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use collections::dedup::WINDOW_MILLIS;
use kernel::{Place, Position, Time};
use sqs::operations::receive_message::Delivered;
use sqs::rules::handle::GroupHint;
use sqs::{QueueId, Seq};

use crate::publishing::Publishing;
use crate::queues::{FAMILIES, QUEUES};
use crate::world::publishing::SECRET;

mod topics;

/// Describes a violation.
pub type Check = Result<(), String>;

/// Whether a message was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    /// The request has no answer yet.
    Asked,
    /// The request will get no answer, because the server died.
    Doubt,
    /// It was accepted: the client got the answer, or has seen the message.
    Accepted,
    /// It was refused.
    Refused,
    /// It was treated as a duplicate of another message.
    Duplicate,
}

/// A message as its sender described it, and its state.
#[derive(Debug)]
pub struct Message {
    /// Its queue: an index into [`QUEUES`].
    pub queue: usize,
    /// The id of that queue at that time.
    pub queue_id: QueueId,
    /// Its group.
    pub group: Option<String>,
    /// The effective deduplication id, with the group if that is the scope.
    pub deduplication: Option<String>,
    /// The text.
    pub body: String,
    /// Its own delay in seconds.
    pub delay: u64,
    /// The machine's time of the request.
    pub sent: Time,
    /// The next number that the machine would have assigned.
    pub next_seq: u64,
    standing: Standing,
    /// Its assigned number, if that is known.
    seq: Option<Seq>,
    /// It is gone permanently.
    gone: Option<&'static str>,
    /// Number of events that may have removed it.
    doubtful: u32,
    /// It must not be visible in this queue before then.
    hidden: Option<(QueueId, Time)>,
    /// How often clients requested another visibility timeout.
    changes: u32,
    /// When they did so last.
    changed: Time,
    /// How often it was received and when first, by the number from which its id is computed.
    counts: BTreeMap<Seq, Vec<Count>>,
    /// Its receives, oldest first.
    pub given: Vec<Given>,
    /// The publish of which it is a copy, if it came from a topic.
    pub publish: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    receives: u32,
    received: Time,
    first: Time,
    /// Certain when the log is durable up to here.
    at: Position,
}

/// One receive of a message.
#[derive(Clone, Debug)]
pub struct Given {
    /// The queue.
    pub queue: usize,
    /// The queue's id.
    pub queue_id: QueueId,
    /// The time and the number of the receive.
    pub received: (Time, u32),
    /// The receipt handle.
    pub handle: String,
}

/// All requests and answers.
#[derive(Debug, Default)]
pub struct History {
    /// Whether subscriptions may get a message some time after it was published.
    takers_in_steps: bool,
    /// Messages by the number in their attribute.
    pub messages: Vec<Message>,
    /// Unanswered receives from a queue: they may have counted.
    unanswered: [u32; QUEUES.len()],
    /// The highest number in any answer.
    highest: Seq,
    /// The latest time that the machine has seen.
    pub latest: Time,
    /// Accepted messages by queue and deduplication id.
    accepted: BTreeMap<(QueueId, String), Vec<usize>>,
    /// The possible states of a queue: the last certain one, then those requested since.
    declared: BTreeMap<usize, Vec<(u64, String)>>,
    /// Requested purges: the queue, and the number of messages at that time.
    purges: Vec<(QueueId, usize)>,
    /// Number of received messages.
    pub deliveries: u64,
    /// The publishes.
    pub publishing: Publishing,
    /// The possible states of a topic, as `declared` for queues.
    topics: BTreeMap<usize, Vec<(u64, String)>>,
    /// Dead letters and replayed messages: certain when the log is durable up to a position.
    letters: Vec<(Position, usize)>,
}

/// A requested deletion.
#[derive(Clone, Copy, Debug)]
pub struct Deletion {
    /// The message.
    pub number: usize,
    /// Whether the message is gone if the deletion happened.
    pub certain: bool,
}

impl History {
    /// A history of nothing, in which subscriptions may get a message in steps.
    pub fn new(takers_in_steps: bool) -> Self {
        History { takers_in_steps, ..History::default() }
    }

    // --- sends ---

    /// A client requests a send.
    #[expect(clippy::too_many_arguments, reason = "all that is known of a message")]
    pub fn send(
        &mut self,
        queue: usize,
        queue_id: QueueId,
        group: Option<String>,
        deduplication: Option<String>,
        body: String,
        delay: u64,
        sent: Time,
        next_seq: u64,
    ) -> usize {
        self.messages.push(Message {
            queue,
            queue_id,
            group,
            deduplication,
            body,
            delay,
            sent,
            next_seq,
            standing: Standing::Asked,
            seq: None,
            gone: None,
            doubtful: 0,
            hidden: None,
            changes: 0,
            changed: Time(0),
            counts: BTreeMap::new(),
            given: Vec::new(),
            publish: None,
        });
        self.messages.len() - 1
    }

    /// The send was refused.
    pub fn refused(&mut self, number: usize) {
        self.messages[number].standing = Standing::Refused;
    }

    /// The client got the answer that the message was accepted, with this number.
    pub fn sent(&mut self, number: usize, seq: Seq) -> Check {
        let message = &self.messages[number];
        let earlier = self.messages[..number].iter().rev().take(10);
        let of_batch = earlier.take_while(|other| other.next_seq == message.next_seq);
        if seq.0 < message.next_seq || of_batch.into_iter().any(|other| other.seq == Some(seq)) {
            return self.duplicate(number, seq);
        }
        if seq <= self.highest {
            return Err(format!("message {number} got {seq:?} after {:?} was told", self.highest));
        }
        self.highest = seq;
        if message.seq.is_some_and(|known| known != seq) {
            return Err(format!("message {number} got {seq:?} and was seen as {:?}", message.seq));
        }
        self.messages[number].seq = Some(seq);
        self.accept(number)
    }

    /// A message exists, so no other message with its deduplication id may have been accepted within the
    /// window.
    fn accept(&mut self, number: usize) -> Check {
        let message = &mut self.messages[number];
        if message.standing == Standing::Accepted {
            return Ok(());
        }
        message.standing = Standing::Accepted;
        if let Some(publish) = message.publish {
            self.accept_publish(publish)?;
        }
        let message = &self.messages[number];
        let Some(id) = message.deduplication.clone() else { return Ok(()) };
        let (queue, sent) = (message.queue_id, message.sent);
        let others = self.accepted.entry((queue, id.clone())).or_default();
        others.push(number);
        let near = |other: Time| (sent - other).max(other - sent) < WINDOW_MILLIS;
        for &other in others.iter().filter(|&&other| other != number) {
            // A purged queue forgets the ids of earlier messages.
            let between = other.min(number) + 1..=other.max(number);
            let purged = self.purges.iter().any(|(id, at)| *id == queue && between.contains(at));
            if near(self.messages[other].sent) && !purged {
                return Err(format!("messages {other} and {number} were both accepted with id {id}"));
            }
        }
        Ok(())
    }

    fn duplicate(&mut self, number: usize, seq: Seq) -> Check {
        let message = &self.messages[number];
        let Some(id) = message.deduplication.clone() else {
            return Err(format!("message {number} got {seq:?}, which was taken already"));
        };
        let candidates: Vec<usize> = (0..self.messages.len())
            .filter(|&other| {
                let other = &self.messages[other];
                other.seq.is_none_or(|known| known == seq)
                    && other.queue_id == message.queue_id
                    && other.deduplication.as_ref() == Some(&id)
                    && !matches!(other.standing, Standing::Refused | Standing::Duplicate)
                    && message.sent - other.sent < WINDOW_MILLIS
            })
            .filter(|&other| other != number)
            .collect();
        self.messages[number].standing = Standing::Duplicate;
        match candidates[..] {
            [] => Err(format!("message {number} was taken for a duplicate of {seq:?}, which is none of it")),
            // A message in doubt exists after all.
            [one] => {
                self.messages[one].seq = Some(seq);
                self.accept(one)
            }
            _ => Ok(()),
        }
    }

    // --- receives ---

    /// A receive was never answered.
    pub fn receive_in_doubt(&mut self, queue: usize) {
        self.unanswered[queue] += 1;
    }

    /// Clients received messages. `at` is the end of the log then; its records are before that.
    pub fn given(
        &mut self,
        queue: usize,
        queue_id: QueueId,
        attempt: bool,
        visibility: u64,
        at: Position,
        messages: &[(usize, &Delivered)],
    ) -> Check {
        for (position, &(number, delivered)) in messages.iter().enumerate() {
            self.deliveries += 1;
            self.check_delivery(queue, queue_id, attempt, number, delivered)
                .map_err(|what| format!("message {number} (from {}): {what}", QUEUES[queue].name))?;
            if QUEUES[queue].is_fifo() {
                self.check_order(queue, queue_id, number, &messages[..position], delivered)?;
            }
            self.accept(number)?;
            let message = &mut self.messages[number];
            // On FIFO the answer has waited for the record of the receive.
            let at = if QUEUES[queue].is_fifo() { Place::new(0, 0) } else { at };
            let (receives, received) = (delivered.receives, delivered.received);
            let count = Count { receives, received, first: delivered.first_received, at };
            message.counts.entry(delivered.origin).or_default().push(count);
            let group = match QUEUES[queue].is_fifo() {
                true => GroupHint::Unknown,
                // A message that a FIFO queue refused has no group in its dead-letter queue.
                false => {
                    let group = message.group.as_deref().filter(|_| !QUEUES[message.queue].is_fifo());
                    GroupHint::of(group, &SECRET)
                }
            };
            let handle = delivered.handle_with(queue_id, group);
            let given = Given { queue, queue_id, received: (received, receives), handle: handle.to_text() };
            // An answer that waits for another message arrives late.
            let place = message.given.partition_point(|other| other.received <= given.received);
            if place == message.given.len() {
                // A repeated attempt hides the messages again, from a time that is not in the answer.
                // A receive whose answer arrives late may have been followed by a change.
                let known = !attempt && received > message.changed;
                message.hidden = known.then_some((queue_id, received.plus_seconds(visibility)));
            }
            message.given.insert(place, given);
        }
        Ok(())
    }

    fn check_delivery(
        &mut self,
        queue: usize,
        queue_id: QueueId,
        attempt: bool,
        number: usize,
        delivered: &Delivered,
    ) -> Check {
        let plan = &QUEUES[queue];
        let message = &mut self.messages[number];
        if matches!(message.standing, Standing::Refused | Standing::Duplicate) {
            return Err(format!("was given, though its send was answered with {:?}", message.standing));
        }
        if let Some(why) = message.gone {
            return Err(format!("has come back: {why} was acknowledged"));
        }
        if QUEUES[message.queue].family != plan.family {
            return Err(format!("was sent to {}", QUEUES[message.queue].name));
        }
        if !plan.movable && message.queue_id != queue_id {
            return Err("was sent to an earlier queue of that name".into());
        }
        if delivered.sent.plus_seconds(plan.retention) <= delivered.received {
            return Err("has expired".into());
        }
        let at_home = message.queue_id == queue_id && delivered.origin == delivered.seq;
        if !plan.movable {
            match message.seq {
                Some(seq) if seq != delivered.seq || seq != delivered.origin => {
                    return Err(format!(
                        "was {seq:?} and is {:?} of origin {:?}",
                        delivered.seq, delivered.origin
                    ));
                }
                _ => message.seq = Some(delivered.seq),
            }
        }
        if at_home && !plan.movable {
            // A copy that was handed on in a later step is sent later than its message was published.
            if self.takers_in_steps && !plan.is_fifo() && delivered.sent > message.sent {
                message.sent = delivered.sent;
            }
            if delivered.sent != message.sent {
                return Err(format!("was sent at {:?} and says {:?}", message.sent, delivered.sent));
            }
            if !plan.is_fifo() && delivered.received < message.sent.plus_seconds(message.delay) {
                return Err(format!("was given before its delay of {} s had ended", message.delay));
            }
        }
        if let Some((hidden_in, until)) = message.hidden
            && hidden_in == queue_id
            && delivered.received < until
            && message
                .given
                .last()
                .is_some_and(|last| last.received < (delivered.received, delivered.receives))
            && !attempt
        {
            return Err(format!("was given at {:?}, though hidden until {until:?}", delivered.received));
        }
        for count in message.counts.get(&delivered.origin).into_iter().flatten() {
            let repeated = attempt && delivered.receives == count.receives;
            let (now, then) = (delivered.received, count.received);
            let grows = match now.cmp(&then) {
                Ordering::Less => delivered.receives < count.receives,
                Ordering::Equal => delivered.receives != count.receives,
                Ordering::Greater => delivered.receives > count.receives,
            };
            if !grows && !repeated {
                return Err(format!("was received {} times, now {}", count.receives, delivered.receives));
            }
            if delivered.first_received != count.first {
                return Err("was first received at another time".into());
            }
        }
        Ok(())
    }

    /// Checks that every earlier accepted message of the group that still exists was received before.
    fn check_order(
        &self,
        queue: usize,
        queue_id: QueueId,
        number: usize,
        before: &[(usize, &Delivered)],
        delivered: &Delivered,
    ) -> Check {
        let message = &self.messages[number];
        if message.queue_id != queue_id || delivered.origin != delivered.seq {
            return Ok(());
        }
        if QUEUES[queue].movable && message.seq != Some(delivered.seq) {
            return Ok(());
        }
        for (earlier, other) in self.messages[..number].iter().enumerate() {
            if other.queue_id == queue_id
                && other.group == message.group
                && self.is_certain(other)
                && !self.may_be_dead_letter(other)
                && before.iter().all(|&(given, _)| given != earlier)
            {
                return Err(format!(
                    "message {number} of group {:?} was given before message {earlier}",
                    message.group
                ));
            }
        }
        Ok(())
    }

    fn may_be_dead_letter(&self, message: &Message) -> bool {
        let plan = &QUEUES[message.queue];
        let most = match plan.dead_letters {
            Some((_, most)) => most,
            None => return plan.movable,
        };
        let seen = message.counts.values().flatten().map(|count| count.receives).max().unwrap_or(0);
        seen + self.unanswered[message.queue] >= most
    }

    // --- deletes and changes of visibility ---

    /// A client deletes a received message. `now` is the machine's time.
    pub fn delete(&mut self, number: usize, which: usize, now: Time) -> Deletion {
        let message = &mut self.messages[number];
        message.doubtful += 1;
        let given = &message.given[which];
        let latest = which + 1 == message.given.len();
        let hidden = message.hidden.is_some_and(|(queue, until)| queue == given.queue_id && now < until);
        // If messages move, a handle may belong to a queue in which the message is no more.
        let certain = !QUEUES[given.queue].movable || (latest && hidden);
        Deletion { number, certain }
    }

    /// The deletion succeeded.
    pub fn deleted(&mut self, deletion: Deletion) {
        if deletion.certain {
            self.messages[deletion.number].gone.get_or_insert("its delete");
        }
    }

    /// The deletion was refused: nothing has happened.
    pub fn not_deleted(&mut self, deletion: Deletion) {
        self.messages[deletion.number].doubtful -= 1;
    }

    /// A client changes the visibility timeout of a message. Returns the number of this change.
    pub fn change_visibility(&mut self, number: usize, now: Time) -> u32 {
        let message = &mut self.messages[number];
        message.hidden = None;
        message.changes += 1;
        message.changed = now;
        message.changes
    }

    /// The change succeeded. On a standard queue it counts even if other clients received the message before
    /// the request.
    pub fn visibility_changed(&mut self, number: usize, given: usize, change: u32, until: Time) {
        let message = &mut self.messages[number];
        let (Some(by), Some(last)) = (message.given.get(given), message.given.last()) else { return };
        let by_an_older =
            !QUEUES[by.queue].is_fifo() && last.queue_id == by.queue_id && last.received.0 < message.changed;
        if (given + 1 == message.given.len() || by_an_older) && change == message.changes {
            message.hidden = Some((by.queue_id, until));
        }
    }

    // --- queues ---

    /// All messages of a queue may be removed: it is being purged or deleted. Returns the affected messages.
    pub fn empty(&mut self, queue: usize, queue_id: QueueId) -> Vec<usize> {
        let family = QUEUES[queue].family;
        self.purges.push((queue_id, self.messages.len()));
        let affected: Vec<usize> = (0..self.messages.len())
            .filter(|&number| {
                let message = &self.messages[number];
                let here = message.queue_id == queue_id;
                here || (QUEUES[queue].movable && QUEUES[message.queue].family == family)
            })
            .collect();
        for &number in &affected {
            self.messages[number].doubtful += 1;
        }
        affected
    }

    /// They have been removed.
    pub fn emptied(&mut self, queue: usize, affected: &[usize], why: &'static str) {
        for &number in affected {
            if !QUEUES[queue].movable {
                self.messages[number].gone.get_or_insert(why);
            }
        }
    }

    /// None has been removed.
    pub fn not_emptied(&mut self, affected: &[usize]) {
        for &number in affected {
            self.messages[number].doubtful -= 1;
        }
    }

    /// A request declared this state of a queue.
    pub fn declare(&mut self, queue: usize, ticket: u64, state: String) {
        self.declared.entry(queue).or_insert_with(|| vec![(0, "none".into())]).push((ticket, state));
    }

    /// The request was answered.
    pub fn declared(&mut self, queue: usize, ticket: u64) {
        if let Some(states) = self.declared.get_mut(&queue)
            && let Some(at) = states.iter().position(|&(other, _)| other == ticket)
        {
            states.drain(..at);
        }
    }

    /// The state of a queue after a start.
    pub fn found(&mut self, queue: usize, state: String) -> Check {
        let states = self.declared.entry(queue).or_insert_with(|| vec![(0, "none".into())]);
        if states.iter().all(|(_, other)| *other != state) {
            return Err(format!(
                "queue {} is {state}, which is none of what was asked for: {states:#?}",
                QUEUES[queue].name
            ));
        }
        *states = vec![(0, state)];
        Ok(())
    }

    // --- the whole ---

    /// The server has died; its log was durable at least up to here.
    pub fn crashed(&mut self, durable: Position) {
        self.letters.clear();
        self.publishing.crashed(durable);
        for message in &mut self.messages {
            if message.standing == Standing::Asked {
                message.standing = Standing::Doubt;
            }
            // The receive of a standard queue may be forgotten.
            if !QUEUES[message.queue].is_fifo() {
                message.hidden = None;
            }
            for counts in message.counts.values_mut() {
                counts.retain(|count| count.at <= durable);
            }
        }
    }

    fn is_certain(&self, message: &Message) -> bool {
        let retention = QUEUES[message.queue].retention;
        message.standing == Standing::Accepted
            && message.gone.is_none()
            && message.doubtful == 0
            && message.sent.plus_seconds(retention) > self.latest
    }

    /// Compares the number of messages with the minimum and the maximum, by family.
    pub fn check_counts(&self, counts: &[u64; FAMILIES]) -> Check {
        let mut least = [0; FAMILIES];
        let mut most = [0; FAMILIES];
        for message in &self.messages {
            let family = QUEUES[message.queue].family;
            least[family] += u64::from(self.is_certain(message));
            let may = !matches!(message.standing, Standing::Refused | Standing::Duplicate);
            most[family] += u64::from(may && message.gone.is_none());
        }
        for family in 0..FAMILIES {
            if !(least[family]..=most[family]).contains(&counts[family]) {
                let names: Vec<&str> =
                    QUEUES.iter().filter(|plan| plan.family == family).map(|plan| plan.name).collect();
                return Err(format!(
                    "{names:?} hold {} messages, and must hold {} to {}",
                    counts[family], least[family], most[family]
                ));
            }
        }
        Ok(())
    }

    /// All queues have been drained, and each message deleted: no certain message may be missing.
    pub fn check_drained(&self) -> Check {
        match self.messages.iter().position(|message| self.is_certain(message)) {
            None => Ok(()),
            Some(number) => {
                let message = &self.messages[number];
                Err(format!(
                    "message {number} ({:?}, sent to {}) was acknowledged and is lost",
                    message.seq, QUEUES[message.queue].name
                ))
            }
        }
    }

    /// Returns the number of certain messages.
    pub fn certain(&self) -> usize {
        self.messages.iter().filter(|message| self.is_certain(message)).count()
    }
}
